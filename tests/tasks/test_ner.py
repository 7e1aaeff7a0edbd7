"""Tags of words: files, schemes, windows, documents, scores, predictions, and whole runs."""

import gzip
import json
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from small_finetuning import small_finetuning

import bert_tf
from bert_tf.finetuning.program import run_finetuning
from bert_tf.metrics import conlleval
from bert_tf.tasks.tagging import TaggedAnswer
from bert_tf.tasks.task import TruncatedRow, Windows, find_task

CONLL = """\
-DOCSTART- -X- O O

EU NNP I-NP I-ORG
rejects VBZ I-VP O
German JJ I-NP I-MISC
British JJ I-NP B-MISC
. . O O

Peter NNP I-NP I-PER
Blackburn NNP I-NP I-PER

-DOCSTART- -X- O O

BRUSSELS NNP I-NP I-LOC
"""
IOB2 = [("B-ORG", "O", "B-MISC", "B-MISC", "O"), ("B-PER", "I-PER"), ("B-LOC",)]
LABELS = ("O", *(f"{x}-{t}" for t in ("LOC", "MISC", "ORG", "PER") for x in "BI"))


def write(folder, **contents):
    for name, text in contents.items():
        (folder / f"{name}.txt").write_text(text)
    return str(folder)


def task_of(folder, trained=None, **options):
    return find_task("ner", {"data_dir": str(folder), **options}, trained)


def read(tmp_path, text, split="train", **options):
    return task_of(write(tmp_path, **{split: text}), **options).read(split)


def test_columns_are_read_with_documents_and_become_iob2(tmp_path):
    task = task_of(write(tmp_path, train=CONLL))
    sentences = task.read("train")
    assert task.labels == LABELS
    assert [each.words for each in sentences] == [
        ("EU", "rejects", "German", "British", "."),
        ("Peter", "Blackburn"),
        ("BRUSSELS",),
    ]
    assert [each.tags for each in sentences] == IOB2
    assert [each.index for each in sentences] == [0, 1, 0]
    assert sentences[0].document == [each.words for each in sentences[:2]]
    assert sentences[1].where(1) == f"{tmp_path}/train.txt:10"


@pytest.mark.parametrize("ending", ["", "\n", "\n\n\n"])
def test_the_end_of_a_file_separators_and_gzip_do_not_matter(tmp_path, ending):
    expected = [each[:2] for each in read(tmp_path, CONLL)]
    for text in (CONLL.replace(" ", "\t"), CONLL.replace(" ", "  "), CONLL.replace("\n", "\r\n")):
        (tmp_path / "train.txt").unlink()
        text = text.rstrip() + ending
        (tmp_path / "train.txt.gz").write_bytes(gzip.compress(text.encode()))
        found = task_of(tmp_path).read("train")
        assert [each[:2] for each in found] == expected
        (tmp_path / "train.txt.gz").unlink()
        write(tmp_path, train=CONLL)


def test_json_lines_are_read_with_ids_and_documents(tmp_path):
    lines = [
        {"id": "1", "tokens": ["EU", "rejects"], "tags": ["B-ORG", "O"], "document": "a"},
        {"id": "2", "tokens": ["Peter Jr."], "tags": ["S-PER"], "document": "a"},
        {"id": "3", "tokens": ["x"], "tags": ["O"]},
    ]
    lines[0]["tags"][0] = "S-ORG"
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, lines)))
    sentences = task_of(tmp_path).read("train")
    assert [each.tags for each in sentences] == [("B-ORG", "O"), ("B-PER",), ("O",)]
    assert [each.index for each in sentences] == [0, 1, 0]
    assert sentences[1].words == ("Peter Jr.",)
    nulls = [{**each, "id": None, "document": None} for each in lines]
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, nulls)))
    assert [each.index for each in task_of(tmp_path).read("train")] == [0, 0, 0]
    renamed = [{"w": each["tokens"], "t": each["tags"]} for each in lines]
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, renamed)))
    other = task_of(tmp_path, word_column="w", tag_column="t").read("train")
    assert [each[:2] for each in other] == [each[:2] for each in sentences]


def test_other_columns_give_chunks_and_parts_of_speech(tmp_path):
    folder = write(tmp_path, train=CONLL)
    chunks = task_of(folder, tag_column="2")
    assert chunks.labels == ("O", "B-NP", "I-NP", "B-VP", "I-VP")
    assert chunks.metric == "f1"
    words = task_of(folder, tag_column="1")
    assert words.labels == (".", "JJ", "NNP", "VBZ")
    assert (words.metric, words.has_entities) == ("accuracy", False)
    sentences = words.read("train")
    right = [TaggedAnswer(each.tags, (1.0,) * len(each.tags)) for each in sentences]
    assert words.score(sentences, right) == {"accuracy": 100.0}


@pytest.mark.parametrize(
    ("text", "scheme"),
    [
        ("a I-X\nb I-X\n\nc B-X\n", "iob1"),
        ("a B-X\nb I-X\nc B-X\n", None),
        ("a B-X\nb E-X\nc S-Y-Z\n", None),
        ("a I-X\nb B-X\nc I-Y\n", None),
    ],
)
def test_schemes_are_detected(tmp_path, text, scheme):
    options = {"scheme": scheme} if scheme else {}
    tags = [each.tags for each in read(tmp_path, text, document_context="false", **options)]
    expected = {
        "a I-X\nb I-X\n\nc B-X\n": [("B-X", "I-X"), ("B-X",)],
        "a B-X\nb I-X\nc B-X\n": [("B-X", "I-X", "B-X")],
        "a B-X\nb E-X\nc S-Y-Z\n": [("B-X", "I-X", "B-Y-Z")],
        "a I-X\nb B-X\nc I-Y\n": [("B-X", "B-X", "B-Y")],
    }
    assert tags == expected[text]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("a B-X\nb O\nc I-X\n", {}, "train.txt:3: the tag I-X would be B-X in IOB2.*scheme=iob1"),
        ("a O\nb I-X\n", {"scheme": "iob2"}, ":2: the tag I-X would be B-X in IOB2.*scheme=iob1"),
        ("a B-X\nb I-Y\n", {}, ":2: the tag I-Y would be B-Y in IOB2"),
        ("a B-X\nb O\nc S-X\n", {}, ":1: the tag B-X would be S-X in BIOES"),
        ("a S-X\nb I-X\nc E-X\n", {}, ":1: .* S-X would be B-X in BIOES.* all entities must be"),
        ("a B-X\nb E-Y\n", {}, ":1: the tag B-X would be S-X in BIOES"),
        ("a B-X\nb I-X\nc S-X\n", {}, ":2: the tag I-X would be E-X in BIOES"),
        ("a B-X\nb E-X\nc E-X\n", {}, ":2: the tag E-X would be I-X in BIOES"),
        ("a S-X\nb B-X\n", {}, ":2: the tag B-X would be S-X in BIOES"),
        ("a S-X\n", {"scheme": "iob2"}, ":1: the tag S-X would be B-X in IOB2.*scheme=bioes"),
        ("a S-X\n", {"scheme": "iob1"}, ":1: the tag S-X would be I-X in IOB1.*scheme=bioes"),
        ("a B-X\nb X\n", {}, ":2: the tag 'X' is neither O nor .*scheme=none"),
        ("a B-X\nb L-X\n", {}, ":2: the tag 'L-X' is neither .*BILOU's L and U are BIOES's E"),
        ("a B-X\nb I-X O\n", {}, r":2: each word needs as many columns.*2.*Received: 3: 'b I-X O'"),
        ("a B-X\nb\n", {}, ":2: each word needs as many columns.*Received: 1"),
        ("a\nb\n", {}, ":1: a word and its tag are needed"),
        ("a\tO\nb\t\n", {}, ":2: the word or its tag is empty"),
        ("a O\n", {"tag_column": "2"}, ":1: there are 2 columns.*tag_column=2"),
        ("a O\n", {"tag_column": "x"}, "tag_column must be a number.*'x'"),
        ("\n\n", {}, "train.txt: no sentences"),
        ("a O\nb O\n", {}, "has 1 different tags"),
        ("a O\n\nb B-X\n", {"document_context": "true"}, ":1: no line begins with -DOCSTART-"),
    ],
)
def test_broken_files_are_refused_with_line_and_remedy(tmp_path, text, options, message):
    options = {"document_context": "false", **options}
    with pytest.raises(ValueError, match=message):
        read(tmp_path, text, **options)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"tokens": ["a"]}', "jsonl:2: .*'tags' is a list. Received: nothing"),
        ('{"tokens": ["a", "b"], "tags": ["O"]}', ":2: each word needs a tag. Received: 2.* 1"),
        ('{"tokens": ["a", " "], "tags": ["O", "O"]}', "none of them empty"),
        ('{"tokens": ["a"], "tags": [3]}', ":2: 'tags' must be a list of texts"),
        ('{"tokens": ["a"], "tags": ["O"], "id": 7}', ":2: the id 7 is that of line 1"),
        ("[1]", ":2: "),
    ],
)
def test_broken_json_lines_are_refused(tmp_path, line, message):
    first = '{"tokens": ["a"], "tags": ["B-X"], "id": 7}'
    (tmp_path / "train.jsonl").write_text(f"{first}\n{line}\n")
    with pytest.raises(ValueError, match=message):
        task_of(tmp_path)


def test_labels_may_be_given_and_unknown_ones_are_refused_in_training_only(tmp_path, caplog):
    folder = write(tmp_path, train=CONLL, dev=CONLL)
    task = task_of(folder, labels="O,B-PER,I-PER,B-ORG,I-ORG,B-LOC,I-LOC")
    with pytest.raises(ValueError, match=r"train.txt:5: the tag 'B-MISC' is not one of O, B-PER"):
        task.read("train")
    sentences = task.read("eval")
    assert "2 words have such tags" in caplog.text
    right = [TaggedAnswer(each.tags, (1.0,) * len(each.tags)) for each in sentences]
    assert task.score(sentences, right)["recall"] == 100.0
    with pytest.raises(ValueError, match="was trained for the labels O,B-X"):
        task_of(folder, ("O", "B-X"), labels="O,B-Y")
    with pytest.raises(ValueError, match="at least two different tags"):
        task_of(folder, labels="O,O")


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    path = tmp_path_factory.mktemp("vocab") / "vocab.txt"
    words = [f"w{number}" for number in range(40)]
    path.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, "##x"]))
    return bert_tf.FullTokenizer(str(path), do_lower_case=True)


def rows_of(tmp_path, tokenizer, text, length, split="train", **options):
    task = task_of(write(tmp_path, **{split: text, "train": text}), **options)
    sentences = task.read(split)
    rows = [list(task.encode(each, split, tokenizer, length)) for each in sentences]
    to_words = tokenizer.convert_ids_to_tokens
    return task, sentences, [[(to_words(r["input_ids"]), r) for r in each] for each in rows]


def test_a_sentence_has_its_document_around_it(tmp_path, tokenizer):
    text = "-DOCSTART-\n\n" + "\n\n".join(f"w{i} {'B-X' if i == 3 else 'O'}" for i in range(7))
    text += "\n\n-DOCSTART-\n\nw9x O\n"
    _, _, rows = rows_of(tmp_path, tokenizer, text, 7)
    tokens = [" ".join(each[0][0]) for each in rows]
    assert tokens == [
        "[CLS] w0 w1 w2 w3 w4 [SEP]",
        "[CLS] w0 w1 w2 w3 w4 [SEP]",
        "[CLS] w0 w1 w2 w3 w4 [SEP]",
        "[CLS] w1 w2 w3 w4 w5 [SEP]",
        "[CLS] w2 w3 w4 w5 w6 [SEP]",
        "[CLS] w2 w3 w4 w5 w6 [SEP]",
        "[CLS] w2 w3 w4 w5 w6 [SEP]",
        "[CLS] w9 ##x [SEP]",
    ]
    (_, row), *_ = rows[3]
    assert row["word_starts"] == [0, 0, 0, 1, 0, 0, 0]
    assert row["label_ids"] == [0, 0, 0, 1, 0, 0, 0]
    assert row["segment_ids"] == [0] * 7
    alone = rows_of(tmp_path, tokenizer, text, 7, document_context="false")[2]
    assert " ".join(alone[3][0][0]) == "[CLS] w3 [SEP]"


def test_no_word_of_a_long_sentence_is_lost(tmp_path, tokenizer):
    text = "".join(f"w{i}{'x' * (i % 3)} {'B-X' if i % 2 else 'O'}\n" for i in range(30))
    for length in (3, 4, 5, 9, 20):
        task, sentences, (rows,) = rows_of(tmp_path, tokenizer, text, length)
        label_ids = [
            label
            for _, row in rows
            for label, start in zip(row["label_ids"], row["word_starts"], strict=True)
            if start
        ]
        assert label_ids == [i % 2 for i in range(30)]
        assert all(len(tokens) <= length for tokens, _ in rows)
        assert not any(isinstance(row, TruncatedRow) for _, row in rows)
        starts = np.zeros((len(rows), length), int)
        logits = np.full((len(rows), length, len(task.labels)), -5.0, np.float32)
        for number, (_, row) in enumerate(rows):
            starts[number, : len(row["word_starts"])] = row["word_starts"]
            for place, label in enumerate(row["label_ids"]):
                logits[number, place, label] = 5.0
        windows = Windows([len(rows)], logits, lambda starts=starts: {"word_starts": starts})
        (answer,) = task.predict(sentences, windows, tokenizer)
        assert answer.tags == sentences[0].tags
        assert min(answer.probabilities) > 0.99


def test_the_loss_counts_first_pieces_of_words_with_known_tags(tmp_path):
    task = task_of(write(tmp_path, train="a O\nb B-X\n"))  # O, B-X, I-X
    batch = {
        "word_starts": tf.constant([[0, 1, 0, 1, 1, 0]]),
        "label_ids": tf.constant([[0, 1, 0, 0, 3, 0]]),  # 3: a tag that is unknown.
        "is_real_example": tf.ones(1),
    }
    logits = tf.math.log([[[0.5, 0.25, 0.25]] * 6])
    weights = task.loss_weights(batch)
    assert weights.numpy().tolist() == [[0, 1, 0, 1, 0, 0]]
    losses = task.loss(batch, logits) * weights
    np.testing.assert_allclose(losses[0], [0, np.log(4), 0, np.log(2), 0, 0], atol=1e-6)
    assert (task.hits(batch, logits) * weights).numpy().tolist() == [[0, 0, 0, 1, 0, 0]]
    crf = task_of(tmp_path, crf="true")
    zeros = {"logits": logits, "transitions": tf.zeros((1, 5, 3))}
    assert crf.loss_weights(batch).numpy().tolist() == [2.0]
    np.testing.assert_allclose(crf.loss(batch, zeros), [np.log(8) / 2], atol=1e-6)
    assert not crf.measures_accuracy


def test_scores_are_conlleval_s_with_strict_ones_and_types(tmp_path):
    task = task_of(write(tmp_path, train=CONLL))
    sentences = task.read("train")
    tags = [("B-ORG", "O", "I-MISC", "B-MISC", "O"), ("B-PER", "O"), ("B-LOC",)]
    answers = [TaggedAnswer(each, (0.5,) * len(each)) for each in tags]
    metrics = task.score(sentences, answers)
    assert (metrics["precision"], metrics["recall"]) == (80.0, 80.0)
    assert (metrics["f1_PER"], metrics["f1_LOC"]) == (0.0, 100.0)
    assert metrics["strict_precision"] == 75.0
    assert metrics["accuracy"] == 75.0
    assert task.record(sentences[1], answers[1])["correct"] is False
    assert not task.is_collapsed(sentences, answers)


@pytest.mark.parametrize("scheme", ["iob1", "iob2", "bioes"])
def test_predictions_are_columns_that_conlleval_reads(tmp_path, scheme):
    blocks = [line.split(" ") for line in CONLL.splitlines()]
    (tmp_path / "train.txt").write_text(CONLL)
    rewritten = iter(t for tags in IOB2 for t in conlleval.from_iob2(tags, scheme))
    lines = [
        " ".join([*cells[:3], next(rewritten)]) if len(cells) > 1 and "DOC" not in cells[0]
        else " ".join(cells)
        for cells in blocks
    ]  # fmt: skip
    (tmp_path / "test.txt").write_text("\n".join(lines))
    task = task_of(tmp_path)
    sentences = task.read("predict")
    answers = [TaggedAnswer(tags, (0.5,) * len(tags)) for tags in IOB2]
    columns, jsonl = task.write("predict", sentences, answers, str(tmp_path))
    written = [line.split(" ") for line in Path(columns).read_text().splitlines()]
    assert [cells[:-1] for cells in written if len(cells) > 1] == [
        line.split(" ") for line in lines if line
    ]
    assert all(cells[-1] == cells[-2] for cells in written if len(cells) > 1)
    assert [cells == [""] for cells in written] == [not line for line in lines] + [True]
    assert json.loads(Path(jsonl).read_text().splitlines()[0])["predicted"] == list(IOB2[0])


def test_words_alone_can_be_predicted(tmp_path):
    task = task_of(write(tmp_path, train=CONLL, test="EU\nrejects\n"))
    (sentence,) = task.read("predict")
    assert (sentence.words, sentence.tags) == (("EU", "rejects"), None)
    answer = TaggedAnswer(("B-ORG", "O"), (0.9, 0.8))
    columns, _ = task.write("predict", [sentence], [answer], str(tmp_path))
    assert Path(columns).read_text() == "EU B-ORG\nrejects O\n\n"
    assert task.score([sentence], [answer]) == {}


PUBLISHED = {
    "train": (946, 14_041, 23_499),
    "eval": (216, 3_250, 5_942),
    "predict": (231, 3_453, 5_648),
}


@pytest.mark.data
def test_conll2003_has_the_published_numbers_and_the_baseline_s_score(data_dir):
    task = task_of(data_dir / "conll2003", test_file=str(data_dir / "conll2003" / "eng.testa.gz"))
    assert task.labels == LABELS
    counts = {}
    for name, (num_documents, num_sentences, num_entities) in PUBLISHED.items():
        file = {"train": "eng.train.gz", "eval": "eng.testa.gz", "predict": "eng.testb.gz"}[name]
        read = task_of(data_dir / "conll2003", dev_file=str(data_dir / "conll2003" / file))
        sentences = read.read("eval")
        assert len(sentences) == num_sentences
        assert sum(each.starts_document for each in sentences) in (num_documents, num_documents + 1)
        assert sum(len(conlleval.entities(each.tags)) for each in sentences) == num_entities
        if name == "train":
            for sentence in sentences:
                for word, tag in zip(sentence.words, sentence.tags, strict=True):
                    counts.setdefault(word, Counter())[tag] += 1
            continue
        # The commonest training tag of each word; of equal ones the first seen.
        predicted = [
            [counts[word].most_common(1)[0][0] if word in counts else "O" for word in each.words]
            for each in sentences
        ]
        figures = conlleval.evaluate([each.tags for each in sentences], predicted)
        expected = {"eval": (5630, 3782, 65.36), "predict": (4855, 2882, 54.88)}[name]
        assert (figures["found"], figures["correct"], round(figures["f1"], 2)) == expected


NAMES, PLACES = ["good", "fine", "great"], ["bad", "poor"]
OTHERS = ["the", "film", "is", "was", "a", "very"]


def write_data(folder, num_train=150):
    """A name is one or two of NAMES; a place one of PLACES."""
    rng = random.Random(3)
    for name, size in (("train", num_train), ("dev", 30), ("test", 12)):
        lines = []
        for number in range(size):
            if number % 5 == 0:
                lines.append("-DOCSTART- O\n")
            for _ in range(rng.randint(1, 5)):
                lines.append(f"{rng.choice(OTHERS)} O")
                if rng.random() < 0.4:
                    lines.append(f"{rng.choice(NAMES)} B-PER")
                    lines += [f"{rng.choice(NAMES)} I-PER"] * (rng.random() < 0.5)
                elif rng.random() < 0.4:
                    lines.append(f"{rng.choice(PLACES)} B-LOC")
            lines.append("")
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return str(folder)


@pytest.mark.parametrize(
    "options",
    [
        ("document_context=false",),
        pytest.param(("crf=true", "document_context=false"), marks=pytest.mark.slow),
        pytest.param(
            ("feature_based=weighted_all", "lstm_units=16", "crf=true"), marks=pytest.mark.slow
        ),
    ],
)
def test_a_model_is_trained_scored_and_used(tmp_path, small_model, options):
    data = write_data(tmp_path)
    settings = small_finetuning(
        small_model,
        "ner",
        tmp_path / "out",
        (f"data_dir={data}", *options),
        max_seq_length=16,
        train_batch_size=8,
        learning_rate=5e-3,
        num_train_epochs=14.0,
        do_predict=True,
    )
    metrics = run_finetuning(settings)
    assert metrics["eval_f1"] > (40 if options[0].startswith("feature") else 70)
    assert metrics["eval_f1"] >= metrics["eval_strict_f1"] > 0
    lines = (tmp_path / "out" / "test_predictions.txt").read_text().splitlines()
    given = (tmp_path / "test.txt").read_text().splitlines()
    assert [line.rsplit(" ", 1)[0] for line in lines if line] == [line for line in given if line]
    predictor = bert_tf.Predictor(tmp_path / "out")
    assert (predictor.kind, predictor.inputs) == ("tagging", ("words",))
    if "document_context=false" in options:  # Else a sentence is predicted with its document.
        rows = (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()
        predicted = [json.loads(row) for row in rows]
        tagged = predictor.predict([row["tokens"] for row in predicted])
        assert [[w.label for w in words] for words in tagged] == [
            row["predicted"] for row in predicted
        ]
    if options[0].startswith("feature"):
        again = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(tmp_path / "out")))
        names = again.get_variable_to_shape_map()
        assert "bilstm/layer_1/backward_lstm/lstm_cell/kernel/adam_m" in names
        assert "bert/encoder/layer_0/output/dense/kernel/adam_m" not in names
