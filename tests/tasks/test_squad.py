"""SQuAD's files: as the original reads, answers and writes them, and what is wrong with one."""

import gzip
import json
import logging
import random
import re
import time

import numpy as np
import pytest
from task_rows import encode_all, predict_spans

from bert_tf.metrics.squad import _warn_of_f1
from bert_tf.spans.answers import NbestEntry
from bert_tf.spans.windows import answer_words
from bert_tf.tasks.span import SpanAnswer
from bert_tf.tasks.squad_files import SquadFiles
from bert_tf.tasks.task import find_task, options_of
from bert_tf.text.tokenization import FullTokenizer

CONTEXT = "The leader was John Smith (1895-1943)."


def qa(name="q", text="1895", start=27, **changes):
    """A question as it stands in a file; a change to None leaves a field out."""
    fields = {
        "id": name,
        "question": "When was he born?",
        "answers": [{"text": text, "answer_start": start}],
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not None}


def squad(*questions, context=CONTEXT):
    return {"version": "1.1", "data": [{"paragraphs": [{"context": context, "qas": questions}]}]}


@pytest.fixture
def write(tmp_path):
    def write(content, name="squad.json"):
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        path = tmp_path / name
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return str(path)

    return write


@pytest.fixture
def task_of(write):
    """Makes the task of a file's content, for training and for prediction."""

    def make(content, name="squad.json", **options):
        path = write(content, name)
        options = {key: str(value) for key, value in options.items()}
        return find_task("squad", {"train_file": path, "predict_file": path, **options})

    return make


# --- the original's values ---


def read_gzipped(path):
    with gzip.open(path, "rb") as file:
        return file.read()


@pytest.fixture(params=["squad_v1", "squad_v2"])
def golden(request, golden_dir, tmp_path):
    """(folder, task, tokenizer, max_seq_length), with the pieces that occur of Google's words."""
    folder = golden_dir / request.param
    pieces = json.loads((folder / "pieces.json").read_text(encoding="utf-8"))
    by_line = {line: piece for piece, line in pieces.items()}
    lines = [by_line.get(line, f"[unused-{line}]") for line in range(max(by_line) + 1)]
    (tmp_path / "vocab.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    settings = json.loads((folder / "settings.json").read_text())
    tokenizer = FullTokenizer(str(tmp_path / "vocab.txt"), settings.pop("do_lower_case"))
    length = settings.pop("max_seq_length")
    path = str(folder / "input.json.gz")
    options = {name: str(value) for name, value in settings.items()}
    task = find_task("squad", {**options, "train_file": path, "predict_file": path})
    return folder, task, tokenizer, length


def check_features(rows, expected, part, length):
    def padded(values):
        return [*values, *[0] * (length - len(values))]

    received = {
        "input_ids": [padded(row["input_ids"]) for row in rows],
        "input_mask": [padded([1] * len(row["input_ids"])) for row in rows],
        "segment_ids": [padded(row["segment_ids"]) for row in rows],
    }
    if part == "train":
        received["start_position"] = [row["start_positions"][0] for row in rows]
        received["end_position"] = [row["end_positions"][0] for row in rows]
        received["is_impossible"] = [row["is_impossible"][0] for row in rows]
    for name, values in received.items():
        np.testing.assert_array_equal(values, expected[f"{part}/{name}"], err_msg=name)


def check_golden(folder, task, tokenizer, length, tmp_path):
    with np.load(folder / "features.npz") as expected:
        # The features in the file were made of examples that were not shuffled.
        in_order = SquadFiles(task.options).read_training_examples(*task.sources("train"))
        train = list(encode_all(task, in_order, "train", tokenizer, length))
        check_features(train, expected, "train", length)
        examples = task.read("eval")
        check_features(
            list(encode_all(task, examples, "eval", tokenizer, length)), expected, "predict", length
        )
        outputs = {f"{side}_logits": expected[f"logits/{side}"] for side in ("start", "end")}
        answers = predict_spans(task, examples, outputs, tokenizer, length)
    paths = task.write("eval", examples, answers, str(tmp_path))
    names = ["predictions.json", "nbest_predictions.json", "null_odds.json"]
    assert paths == [str(tmp_path / name) for name in names[: len(paths)]]
    assert len(paths) == (3 if task.options.version_2_with_negative else 2)
    for path, name in zip(paths, names, strict=False):
        wanted = read_gzipped(folder / f"{name}.gz").decode()
        assert without_probabilities(open_text(path)) == without_probabilities(wanted)
    nbest = [open_text(paths[1]), read_gzipped(folder / "nbest_predictions.json.gz")]
    nbest = [json.loads(text) for text in nbest]
    received, wanted = ([e["probability"] for q in n.values() for e in q] for n in nbest)
    np.testing.assert_allclose(received, wanted, atol=1e-9)


def open_text(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def without_probabilities(text):
    """The text of a file, byte for byte, but for the digits of the likelihoods."""
    return [line for line in text.split("\n") if '"probability":' not in line]


def test_features_answers_and_files_are_the_originals(golden, tmp_path):
    check_golden(*golden, tmp_path)


@pytest.mark.data
def test_they_are_so_with_the_whole_vocabulary(golden, data_dir, tmp_path):
    folder, task, _, length = golden
    tokenizer = FullTokenizer(str(data_dir / "vocab" / "bert_base_uncased.txt"))
    check_golden(folder, task, tokenizer, length, tmp_path)


# --- reading ---


def test_training_examples_are_shuffled_as_by_the_original(task_of):
    names = [f"q{i}" for i in range(50)]
    task = task_of(squad(*map(qa, names)))
    assert [example.id for example in task.read("eval")] == names
    random.Random(12345).shuffle(names)
    assert [example.id for example in task.read("train")] == names


def test_examples_share_the_text_of_their_passage(task_of):
    first, second = task_of(squad(qa("1"), qa("2"))).read("eval")
    assert first.context is second.context


@pytest.mark.parametrize("name", ["squad.json", "squad.json.gz"])
def test_a_file_may_be_gzipped_and_begin_with_a_byte_order_mark(task_of, name):
    content = b"\xef\xbb\xbf" + json.dumps(squad(qa()), indent=1).replace("\n", "\r\n").encode()
    assert [example.answers for example in task_of(content, name).read("eval")] == [("1895",)]


@pytest.mark.parametrize("verbose", [False, True])
def test_answers_that_cannot_be_found_are_left_out_and_counted_in_one_line(
    task_of, caplog, verbose
):
    lost = [qa(f"lost-{i}", "nowhere", 4) for i in range(5)]
    task = task_of(squad(qa("a"), *lost, qa("b", "x", 4000)), verbose_logging=verbose)
    with caplog.at_level(logging.INFO):
        assert [example.id for example in task.read("train")] == ["a"]
    messages = [record.getMessage() for record in caplog.records]
    assert messages[0].endswith(
        "6 of 7 questions are skipped, as their answer is not in their passage, where answer_start "
        "says, such as data[0].paragraphs[0].qas[1] (lost-0), data[0].paragraphs[0].qas[2] "
        "(lost-1), data[0].paragraphs[0].qas[3] (lost-2)"
    )
    assert messages[1:] == (
        [*(f"lost-{i}: could not find 'nowhere'" for i in range(5)), "b: could not find 'x'"]
        if verbose
        else []
    )
    assert len(task.read("eval")) == 7


NOTHING = ("", " \n", "\u200b", "\ufeff\u00a0\u2028")


@pytest.mark.parametrize("nothing", NOTHING)
@pytest.mark.parametrize("version_2", [False, True])
def test_a_question_of_nothing_and_an_answer_of_nothing_are_not_trained_on(
    task_of, caplog, nothing, version_2
):
    questions = [qa("a", nothing, 0), qa("b", question=nothing), qa("c"), qa("d", "1895", -11)]
    for question in questions:
        question["is_impossible"] = False
    context = f"{nothing}{CONTEXT}" if nothing.strip() else CONTEXT
    task = task_of(squad(*questions, context=context), version_2_with_negative=version_2)
    assert [example.id for example in task.read("train")] == ["c"]
    place = r"such as data\[0\]\.paragraphs\[0\]\.qas"
    assert re.search(rf"1 of 4 questions .* answer is blank, {place}\[0\] \(a\)", caplog.text)
    assert re.search(rf"1 of 4 questions .* they are blank, {place}\[1\] \(b\)", caplog.text)
    assert re.search(rf"1 of 4 questions .* not in their passage.*{place}\[3\]", caplog.text)


@pytest.mark.parametrize("nothing", NOTHING)
def test_what_is_to_be_answered_and_is_nothing_is_named_beforehand(task_of, caplog, nothing):
    task = task_of(squad(qa("a", nothing), qa("b", question=nothing), qa("c")))
    assert len(task.read("eval")) == 3
    assert "1 of 3 questions have only blank correct answers" in caplog.text
    assert "qas[1] (b)" in caplog.text
    task_of(squad(qa(nothing)), "named.json").read("eval")
    assert "1 of 1 questions have a blank text or id" in caplog.text
    caplog.clear()
    task_of(squad(qa("d"), context=nothing), "other.json").read("eval")
    assert "1 of 1 questions have a passage without text" in caplog.text


@pytest.mark.parametrize("names", [("1", "1"), ("1", 1), (1, 1), ("", "")])
def test_two_questions_with_one_id_are_refused_where_answers_have_it(task_of, caplog, names):
    article = squad(qa("0"), qa(names[0]))["data"] + squad(qa(names[1]))["data"]
    task = task_of({"data": article})
    message = r"data\[0\]\.paragraphs\[0\]\.qas\[1\] and data\[1\]\.paragraphs\[0\]\.qas\[0\] have"
    for split in ("eval", "predict"):
        with pytest.raises(ValueError, match=rf"{message} the same id '{names[0]}'\."):
            task.read(split)
    assert len(task.read("train")) == 3
    assert re.search(message, caplog.text)


def test_a_key_that_is_there_twice_is_refused(task_of):
    content = json.dumps(squad(qa())).replace('"context"', '"context": "other", "context"')
    with pytest.raises(ValueError, match=r"squad\.json: an object has the key 'context' twice"):
        task_of(content.encode()).read("eval")


def test_version_2_trains_on_questions_without_an_answer(task_of, tmp_path):
    questions = qa("1", is_impossible=False), qa("2", answers=[], is_impossible=True)
    task = task_of(squad(*questions), version_2_with_negative=True)
    examples = {example.id: example for example in task.read("train")}
    assert (examples["1"].answers, examples["1"].first_word) == (("1895",), 5)
    assert (examples["2"].answers, examples["2"].is_impossible) == ((), True)
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n")
    tokenizer = FullTokenizer(str(tmp_path / "vocab.txt"))
    rows = list(encode_all(task, [examples["2"]], "train", tokenizer, 384))
    assert [(r["start_positions"], r["end_positions"], r["is_impossible"]) for r in rows] == [
        ([0], [0], [1])
    ]
    with pytest.raises(ValueError, match=r"qas\[1\] \(question 2\).*give version_2_with_negative"):
        task_of(squad(*questions)).read("train")


@pytest.mark.parametrize(
    "odd",
    [
        {"answers": [{}]},
        {"answers": ["abc"]},
        {"answers": {"text": ["abc"], "answer_start": [0]}},
        {"answers": [{"text": 1}], "is_impossible": "false"},
    ],
)
def test_to_answer_a_question_its_right_answers_need_no_form(task_of, odd):
    """The original does not look at them; to train on they must have theirs."""
    (example,) = task_of(squad(qa(**odd))).read("eval")
    assert example.answers is None
    with pytest.raises(ValueError, match="answers"):
        task_of(squad(qa(**odd))).read("train")


@pytest.mark.parametrize("truth", [1, True, 0, False])
def test_whether_a_question_has_an_answer_may_be_said_with_numbers(task_of, truth):
    question = qa(is_impossible=truth)
    (example,) = task_of(squad(question), version_2_with_negative=True).read("train")
    assert example.is_impossible is bool(truth)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{]", r"squad.json:1: not JSON: .*column 2"),
        (b'{"data":\n  x}', "squad.json:2: not JSON"),
        ([], "squad.json: the file must be an object whose 'data' is a list. Received: \\[\\]"),
        ({"version": "1"}, "the file must be an object whose 'data' is a list. Received: nothing"),
        ({"data": [{}]}, r"data\[0\] must be an object whose 'paragraphs' is a list"),
        ({"data": [{"paragraphs": [{"qas": []}]}]}, r"data\[0\].paragraphs\[0\] .*'context' is a"),
        (
            squad(qa(), qa("r", question=None)),
            r"qas\[1\] \(question r\) must be .*'question' is a text",
        ),
        (squad(qa(id=None)), r"data\[0\].paragraphs\[0\].qas\[0\] must .*'id' is a text"),
        (squad(qa(question=7)), r"'question' is a text. Received: 7"),
        (squad("q"), r"qas\[0\] must be an object whose 'id' is a text. Received: 'q'"),
    ],
)
def test_what_is_no_squad_file_is_refused_with_the_place(task_of, content, message):
    for split in ("eval", "train"):
        with pytest.raises(ValueError, match=message):
            task_of(content).read(split)


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (qa(answers=None), "'answers' is a list. Received: nothing"),
        (qa(answers=[{"text": "a"}]), r"answers\[0\] .*'answer_start' is a whole number"),
        (qa(answers=[{"text": "a", "answer_start": True}]), "'answer_start' is a whole number"),
        (qa(answers=[{"text": "a", "answer_start": 0}] * 2), "one answer. Received: 2 answers"),
    ],
)
def test_training_needs_one_answer_with_its_place(task_of, question, message):
    with pytest.raises(ValueError, match=message):
        task_of(squad(question)).read("train")


def test_version_2_must_say_of_each_question_whether_it_has_an_answer(task_of):
    with pytest.raises(ValueError, match=r"'is_impossible' is true or false\. Received: nothing"):
        task_of(squad(qa()), version_2_with_negative=True).read("train")


@pytest.mark.parametrize(
    ("context", "answer"),
    [
        ("北京是中华人民共和国的首都。", "中华人民共和国"),
        ("กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทย", "ประเทศไทย"),
        ("العاصمة هي القاهرة، في مصر.", "القاهرة"),
        ("दिल्ली भारत की राजधानी है।", "भारत"),
        ("Η Αθήνα είναι η πρωτεύουσα.", "Αθήνα"),
        ("Hà Nội là thủ đô\u00a0của Việt Nam.", "Việt Nam"),
        ("Москва — столица России.", "столица"),
    ],
)
@pytest.mark.parametrize("do_lower_case", [True, False])
def test_languages_of_all_scripts_are_trained_on_and_answered(
    task_of, tmp_path, context, answer, do_lower_case
):
    letters = sorted({*context, *context.lower()} - {" ", "\u00a0"})
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in letters)]
    (tmp_path / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    tokenizer = FullTokenizer(str(tmp_path / "vocab.txt"), do_lower_case)
    content = squad(qa("q", answer, context.index(answer)), context=context)
    task = task_of(content, max_answer_length=40)
    (example,) = task.read("train")
    (row,) = encode_all(task, [example], "train", tokenizer, 384)
    outputs = {name: np.zeros((1, 384), np.float32) for name in ("start_logits", "end_logits")}
    outputs["start_logits"][0, row["start_positions"]] = 9
    outputs["end_logits"][0, row["end_positions"]] = 9
    (predicted,) = predict_spans(task, task.read("eval"), outputs, tokenizer, 384)
    assert answer in predicted.text
    # Accents that were characters of their own, or became ones: then it is the whole words.
    assert predicted.text == answer or len(predicted.text.split()) <= len(answer.split()) + 1


# --- which files ---


def test_files_have_their_usual_names_in_a_folder(tmp_path):
    for name in ("train-v1.1.json", "dev-v1.1.json.gz", "dev-v2.0.json"):
        (tmp_path / name).write_text(json.dumps(squad(qa())))
    task = find_task("squad", {"data_dir": str(tmp_path)})
    assert task.sources("train") == [str(tmp_path / "train-v1.1.json")]
    with gzip.open(tmp_path / "dev-v1.1.json.gz", "wt") as file:
        file.write(json.dumps(squad(qa())))
    assert task.splits("eval") == task.splits("predict") == ("eval",)
    assert task.sources("eval") == [str(tmp_path / "dev-v1.1.json.gz")]
    other = str(tmp_path / "dev-v2.0.json")
    task = find_task("squad", {"data_dir": str(tmp_path), "predict_file": other})
    assert task.sources("eval") == [other]
    options = {"data_dir": str(tmp_path), "version_2_with_negative": "true"}
    assert find_task("squad", options).sources("eval") == [other]
    with pytest.raises(ValueError, match=r"no file for the split 'train'.*train-v2.0.json"):
        find_task("squad", options).splits("train")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"Give predict_file.*Received: predict_file=''"):
        find_task("squad").splits("predict")
    with pytest.raises(ValueError, match=r"train_file='/nowhere\.json'"):
        find_task("squad", {"train_file": "/nowhere.json"}).splits("train")


def test_a_metric_that_does_not_fit_the_script_is_named_before_training(task_of, caplog):
    _warn_of_f1.cache_clear()
    task_of(squad(qa("1", "首都", 3)), "zh.json").read("eval")
    assert "1 of 1 correct answers are in a script without spaces" in caplog.text


def test_unanswerable_questions_need_version_2(task_of, caplog):
    task_of(squad(qa("1"), qa("2", answers=[], is_impossible=True))).read("eval")
    assert "1 of 2 questions have no answer, but get one: give version_2_with_neg" in caplog.text


def test_questions_without_answers_are_predicted_but_not_scored(task_of):
    task = task_of(squad(qa(answers=None, question='"answers"?')))
    assert task.splits("predict") == ("eval",)
    with pytest.raises(ValueError, match="no question has correct answers"):
        task.splits("eval")
    examples = task.read("eval")
    assert examples[0].answers is None
    assert task.score(examples, [SpanAnswer("a", (), None)]) == {}


@pytest.mark.parametrize("unknown", [None, [], [{"text": None}], "1895"])
def test_questions_whose_answers_are_unknown_do_not_count_and_are_counted(
    task_of, caplog, tmp_path, unknown
):
    task = task_of(squad(qa("1"), qa("2", answers=unknown), qa("3", answers=unknown)))
    assert task.splits("eval") == ("eval",)
    examples = task.read("eval")
    assert "2 of 3 questions have no correct answers" in caplog.text
    assert "such as data[0].paragraphs[0].qas[1] (2)" in caplog.text
    answers = [answer(text) for text in ("1895", "a", "b")]
    figures = task.score(examples, answers)
    assert (figures["exact"], figures["total"]) == (100, 1)
    paths = task.write("eval", examples, answers, str(tmp_path))
    assert json.loads(open_text(paths[0])) == {"1": "1895", "2": "a", "3": "b"}


def test_every_option_has_a_help_text():
    for field in options_of("squad"):
        assert field.metadata["help"].endswith(".")


# --- figures and files ---


def answer(text, null_odds=None):
    return SpanAnswer(text, (NbestEntry(text, 1.0, 0.5, 0.25),), null_odds)


def test_version_1_has_the_official_figures(task_of):
    task = task_of(squad(qa("1"), qa("2"), qa("3")))
    figures = task.score(task.read("eval"), [answer("the 1895"), answer("1943"), answer("in 1895")])
    assert figures == {
        "exact_match": pytest.approx(100 / 3),
        "exact": pytest.approx(100 / 3),
        "f1": pytest.approx(100 * (1 + 0 + 2 / 3) / 3),
        "total": 3,
    }
    assert task.metric in figures


def test_version_2_also_has_the_best_threshold(task_of):
    questions = qa("1", is_impossible=False), qa("2", answers=[], is_impossible=True)
    task = task_of(squad(*questions), version_2_with_negative=True, null_score_diff_threshold=3.0)
    figures = task.score(task.read("eval"), [answer("1895", 2.0), answer("x", 2.5)])
    # 2.5 is above the official script's usual threshold, but the answer stands: 3.0 was asked for.
    assert (figures["exact"], figures["HasAns_exact"], figures["NoAns_f1"]) == (50, 100, 0)
    assert (figures["best_exact"], figures["best_exact_thresh"]) == (100, 2.0)
    assert (figures["best_f1"], figures["best_f1_thresh"]) == (100, 2.0)


def test_files_are_written_in_the_originals_layout(task_of, tmp_path):
    task = task_of(squad(qa("1"), qa("2", text="é")), version_2_with_negative=True)
    answers = [answer("é", -1.5), answer("", 2.0)]
    paths = task.write("eval", task.read("eval"), answers, str(tmp_path))
    predictions, nbest, null_odds = map(open_text, paths)
    assert predictions == '{\n    "1": "\\u00e9",\n    "2": ""\n}\n'
    assert null_odds == '{\n    "1": -1.5,\n    "2": 2.0\n}\n'
    assert list(json.loads(nbest)["1"][0]) == ["text", "probability", "start_logit", "end_logit"]


# --- the real files ---


@pytest.mark.data
def test_the_right_places_give_the_right_answers_on_the_real_dev_set(data_dir):
    """Scores that point to the first right answer: what windows and texts lose is what is left."""
    tokenizer = FullTokenizer(str(data_dir / "vocab" / "bert_base_uncased.txt"))
    path = str(data_dir / "squad" / "dev-v1.1.json.gz")
    task = find_task("squad", {"predict_file": path, "n_best_size": "5"})
    assert task.splits("eval") == ("eval",)
    examples = task.read("eval")
    assert len(examples) == 10570
    rows, starts, ends = perfect_places(task, examples, path, tokenizer)
    outputs = {name: np.zeros((rows, 384), np.float32) for name in ("start_logits", "end_logits")}
    for row, (start, end) in enumerate(zip(starts, ends, strict=True)):
        if start:
            outputs["start_logits"][row, start] = outputs["end_logits"][row, end] = 9
    began = time.process_time()
    answers = predict_spans(task, examples, outputs, tokenizer, 384)
    assert time.process_time() - began < 30
    figures = task.score(examples, answers)
    assert figures["exact_match"] > 99
    assert figures["f1"] > 99.4


def perfect_places(task, examples, path, tokenizer):
    """The number of windows, and the places of the first right answers in them."""
    articles = json.loads(read_gzipped(path))["data"]
    first = {
        q["id"]: q["answers"][0]["answer_start"]
        for article in articles
        for paragraph in article["paragraphs"]
        for q in paragraph["qas"]
    }
    starts, ends = [], []
    for example in examples:
        words = answer_words(example.context, example.answers[0], first[example.id])
        located = example._replace(first_word=words[0], last_word=words[1])
        for row in encode_all(task, [located], "train", tokenizer, 384):
            starts += row["start_positions"]
            ends += row["end_positions"]
    return len(starts), starts, ends


@pytest.mark.data
def test_the_real_files_of_both_versions_are_read(data_dir, caplog):
    folder = data_dir / "squad"
    task = find_task("squad", {"data_dir": str(folder), "version_2_with_negative": "true"})
    examples = task.read("eval")
    assert len(examples) == 11873
    assert sum(example.is_impossible for example in examples) == 5945
    figures = task.score(examples, [answer("", 1.0)] * len(examples))
    assert figures["exact"] == figures["NoAns_exact"] * 5945 / 11873
    train = find_task("squad", {"data_dir": str(folder)}).read("train")
    assert len(train) + sum(int(r.args[1]) for r in caplog.records) == 78161
