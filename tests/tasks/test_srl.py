"""Semantic roles: what the model is fed, what is scored and written, and a small training."""

import dataclasses
import json

import numpy as np
import pytest
from served_models import VOCAB, small_config
from small_finetuning import small_finetuning

import bert_tf
from bert_tf.finetuning.other_examples import FoldTask
from bert_tf.finetuning.program import run_finetuning
from bert_tf.serving.export import export_saved_model
from bert_tf.settings import ExportSettings
from bert_tf.spans.bio import RoleSpan
from bert_tf.tasks.role_files import read_sentences
from bert_tf.tasks.srl import SrlAnswer
from bert_tf.tasks.task import TruncatedRow, Windows, find_task
from bert_tf.text.tokenization import FullTokenizer

CONLL_2005 = """\
The        -   -     (A0*  *
teachers   -   -     *)    *
want       01  want  (V*)  *
to         -   -     (A1*  *
eat        02  eat   *     (V*)
apples     -   -     *)    (A1*)

Yes        -   -

"""
UP = """\
1\tHe\the\tP\tP\t_\t2\tn\t_\t_\t_\tARG0\tARG0|R-ARG0
2\twants\twant\tV\tV\t_\t0\tr\t_\t_\twant.01\tV\t_
3\tto\tto\tP\tT\t_\t4\tm\t_\t_\t_\t_\t_
4\teat\teat\tV\tV\t_\t2\tx\t_\t_\teat.02\tARG1\tV

1\tYes\tyes\tI\tU\t_\t0\tr\t_\t_\t\t

"""


@pytest.fixture
def task(tmp_path):
    def make(text, name="roles.txt", **options):
        path = str(tmp_path / name)
        (tmp_path / name).write_text(text)
        files = {f"{split}_file": path for split in ("train", "dev", "test")}
        return find_task("srl", {**files, **{n: str(v) for n, v in options.items()}})

    return make


def pieces(task, example, length=32):
    tokenizer = FullTokenizer(str(VOCAB))
    (row,) = task.encode(example, "train", tokenizer, length)
    return row, tokenizer.convert_ids_to_tokens(row["input_ids"])


def named(task, numbers):
    return [task.labels[n - 1] if n else "" for n in numbers]


def test_labels_are_outside_then_tags_then_senses(task):
    expected = ["B-A0", "I-A0", "B-A1", "I-A1", "B-V", "I-V"]
    assert task(CONLL_2005).labels == ("O", *expected, "sense:01", "sense:02")
    assert task(CONLL_2005, senses=False).labels == ("O", *expected)
    roles = ("ARG0", "ARG1", "R-ARG0")
    assert task(UP, "a.conllu").labels == ("O", *roles, "sense:01", "sense:02")


def test_all_pieces_of_a_span_are_learned_and_none_after_the_sentence(task):
    spans = task(CONLL_2005)
    want, eat = spans.read("train")
    assert spans.read("eval")[:2] == [want, eat]
    (nothing,) = spans.read("eval")[2:]
    row, tokens = pieces(spans, want)
    end = tokens.index("[SEP]")
    assert tokens[end + 1 :] == ["want", "[SEP]"]
    assert len(row["tag_numbers"]) == end + 1
    tags = named(spans, row["tag_numbers"])
    first = tokens.index("want")
    num_teacher = row["word_numbers"][2:].index(3)  # Pieces of "teachers".
    assert tags[:2] == ["O", "B-A0"]
    assert tags[2:first] == ["I-A0"] * num_teacher
    assert tags[first] == "B-V"
    assert tags[end] == "O"
    assert row["sense_number"] == [1 + spans.labels.index("sense:01")]
    assert list(spans.encode(nothing, "train", FullTokenizer(str(VOCAB)), 32)) == []
    plain = task(CONLL_2005, variant="plain")
    row, tokens = pieces(plain, eat)
    assert tokens.count("[SEP]") == 1
    assert [t for t, s in zip(tokens, row["segment_ids"], strict=True) if s] == ["eat"]


@pytest.mark.parametrize(("variant", "shortest"), [("shi_lin", 11), ("plain", 9)])
def test_an_example_is_marked_as_truncated_if_part_of_its_sentence_is_left_out(
    task, variant, shortest
):
    spans = task(CONLL_2005.replace("teachers", "men     "), variant=variant)
    want, *_ = spans.read("train")
    for length, is_cut in ((shortest, False), (shortest - 1, True)):
        row, _ = pieces(spans, want, length)
        assert isinstance(row, TruncatedRow) is is_cut


def test_a_head_is_learned_at_the_first_piece_of_its_word(task):
    heads = task(UP, "a.conllu")
    want, eat = heads.read("train")
    row, tokens = pieces(heads, want)
    tags = named(heads, row["tag_numbers"])
    assert tags[tokens.index("he")] == "ARG0"
    assert tags[tokens.index("eat")] == "ARG1"
    assert [bool(tag) for tag in tags] == [bool(n) for n in row["word_numbers"]]
    row, tokens = pieces(heads, eat)
    assert named(heads, row["tag_numbers"])[tokens.index("he")] == "ARG0"  # The first of two.


def windows(task, rows, tags, senses, length=32):
    """The outputs of a model that is sure of `tags` at the words' first pieces."""
    logits = np.zeros((len(rows), length, len(task.labels)), np.float32)
    features = {name: np.zeros((len(rows), length), int) for name in rows[0]}
    for i, row in enumerate(rows):
        for name in ("word_numbers", "predicate_mask"):
            features[name][i, : len(row[name])] = row[name]
        for place, number in enumerate(row["word_numbers"]):
            if number:
                logits[i, place, task.labels.index(tags[i][number - 1])] = 5
        place = row["predicate_mask"].index(1)
        logits[i, place, task.labels.index(senses[i])] = 5
    counts = [1] * len(rows) + [0]
    return Windows(counts, logits, lambda: features)


def test_predictions_are_scored_and_written_in_the_official_formats(task, tmp_path):
    spans = task(CONLL_2005)
    examples = spans.read("eval")
    rows = [pieces(spans, each)[0] for each in examples[:2]]
    tags = [["B-A0", "I-A0", "B-V", "O", "O", "B-A1"], ["O", "O", "O", "O", "B-V", "B-A1"]]
    found = windows(spans, rows, tags, ["sense:01", "sense:01"])
    answers = spans.predict(examples, found, None)
    assert answers[0].roles == (RoleSpan("A0", 0, 1), RoleSpan("V", 2, 2), RoleSpan("A1", 5, 5))
    assert [each.sense for each in answers] == ["01", "01", ""]
    scores = spans.score(examples, answers)
    assert scores["f1"] == pytest.approx(200 / 3)
    assert (scores["perfect_propositions"], scores["sense_accuracy"]) == (50.0, 50.0)
    assert (scores["f1_A0"], scores["f1_A1"]) == (100.0, 50.0)
    paths = spans.write("predict", examples, answers, str(tmp_path / "out"))
    assert len(paths) == 2
    props = (tmp_path / "out" / "predict_predictions.props").read_text()
    lines = [line.split() for line in props.split("\n")]
    assert lines[:6] == [
        ["-", "(A0*", "*"],
        ["-", "*)", "*"],
        ["want", "(V*)", "*"],
        ["-", "*", "*"],
        ["eat", "*", "(V*)"],
        ["-", "(A1*)", "(A1*)"],
    ]
    assert lines[6:8] == [[], ["-"]]
    record = spans.record(examples[0], answers[0])
    assert record["roles"] == [["A0", "The teachers"], ["A1", "apples"]]
    assert record["correct"] is False
    assert not spans.is_collapsed(examples, answers)
    assert spans.is_collapsed(examples, [SrlAnswer()] * 3)


def test_constrained_decoding_gives_a_valid_path(task):
    free, constrained = task(CONLL_2005), task(CONLL_2005, constrained=True)
    examples = free.read("eval")
    rows = [pieces(free, each)[0] for each in examples[:2]]
    tags = [["I-A0", "I-A0", "B-V", "I-A1", "O", "O"]] * 2
    found = windows(free, rows, tags, ["sense:01"] * 2)
    assert free.predict(examples, found, None)[0].roles[0] == ("A0", 0, 1)
    assert len(constrained.predict(examples, found, None)[0].roles) <= 3


def test_heads_are_scored_with_senses_and_without(task, tmp_path):
    heads = task(UP, "a.conllu")
    examples = heads.read("eval")
    rows = [pieces(heads, each)[0] for each in examples[:2]]
    tags = [["ARG0", "O", "O", "O"], ["ARG0", "O", "ARG1", "O"]]
    answers = heads.predict(examples, windows(heads, rows, tags, ["sense:01"] * 2), None)
    scores = heads.score(examples, answers)
    # Arguments: 2 of 4 right, 3 given. Senses: 1 of 2.
    assert scores["f1"] == pytest.approx(100 * 2 * 2 / 7)
    assert scores["labeled_f1"] == pytest.approx(100 * 2 * 3 / 11)
    (path,) = heads.write("predict", examples, answers, str(tmp_path / "out"))
    first, second = read_sentences(path)
    assert [each.sense for each in first.predicates] == ["want.01", "eat.01"]
    assert [tuple(s) for s in first.predicates[1].roles] == [("ARG0", 0, 0), ("ARG1", 2, 2)]
    assert second.words == ("Yes",)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (CONLL_2005, {"variant": "other"}, "--variant must be one of"),
        (CONLL_2005, {"format": "xml"}, "--format must be one of"),
        ("He -\nwants want\n", {}, "no roles to learn in what was read as conll2005"),
        (CONLL_2005, {"train_file": ""}, "Give train_file, or a data_dir with one file named"),
    ],
)
def test_what_does_not_fit_is_refused(task, text, options, message):
    with pytest.raises(ValueError, match=message):
        task(text, **options)


def test_folds_divide_sentences_whose_predicates_are_scored_together(task):
    spans = task(CONLL_2005.replace("Yes        -   -\n\n", "") * 4)
    evaluated = []
    for number in (1, 2, 3):
        fold = FoldTask(spans, 3, number, seed=1)
        examples = fold.read("eval")
        evaluated += [each.id for each in examples]
        answers = [SrlAnswer(each.predicate.roles, each.predicate.sense[-2:]) for each in examples]
        scores = fold.score(examples, answers)
        assert (scores["f1"], scores["sense_accuracy"]) == (100.0, 100.0)
    assert sorted(evaluated) == sorted(each.id for each in spans.read("train"))


def test_a_folder_has_a_file_for_each_split(task, tmp_path):
    for name in ("en-up-dev.conllu", "en-up-train.conllu", "constraints.txt"):
        (tmp_path / name).write_text(UP)
    found = find_task("srl", {"data_dir": str(tmp_path)})
    assert found.sources("eval") == [str(tmp_path / "en-up-dev.conllu")]
    with pytest.raises(ValueError, match="named after test"):
        found.splits("predict")
    (tmp_path / "train.conllu").write_text(UP)
    with pytest.raises(ValueError, match=r"en-up-train\.conllu and train\.conllu"):
        found.splits("train")


def test_a_model_of_spans_refuses_heads(task, tmp_path):
    spans = task(CONLL_2005)
    (tmp_path / "a.conllu").write_text(UP)
    other = find_task("srl", {"dev_file": str(tmp_path / "a.conllu")}, spans.labels)
    with pytest.raises(ValueError, match="the model labels spans"):
        other.splits("eval")


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["shi_lin", "plain"])
def test_training_learns_and_the_model_is_used_and_exported(task, tmp_path, variant):
    path = tmp_path / "roles.txt"
    path.write_text(CONLL_2005 * 20)
    config = dataclasses.replace(small_config(), initializer_range=0.1)
    (tmp_path / "bert_config.json").write_text(config.to_json_string())
    options = {
        **{f"{name}_file": str(path) for name in ("train", "dev", "test")},
        "variant": variant,
        "lstm_units": 16,
        "mlp_units": 16,
        "constrained": "true",
    }
    settings = small_finetuning(
        {"bert_config_file": str(tmp_path / "bert_config.json"), "vocab_file": str(VOCAB)},
        "srl",
        tmp_path / "out",
        tuple(f"{name}={value}" for name, value in options.items()),
        train_batch_size=8,
        learning_rate=5e-3,
        num_train_epochs=40.0,
        do_predict=True,
    )
    metrics = run_finetuning(settings)
    assert metrics["eval_f1"] > 90
    assert (tmp_path / "out" / "predict_predictions.props").exists()
    assert json.loads((tmp_path / "out" / "task.json").read_text())["kind"] == "roles"
    answer = bert_tf.Predictor(str(tmp_path / "out")).roles(
        "The teachers want to eat apples", "eat"
    )
    assert [(role.role, role.text) for role in answer.roles] == [("A1", "apples")]
    assert answer.sense == "02"
    export = export_saved_model(
        ExportSettings(model=str(tmp_path / "out"), export_dir=str(tmp_path / "served"))
    )
    assert export.validation.largest_difference < 1e-4
