"""Classifying texts: features, loss, answers, figures and files, beside the original's rules."""

import dataclasses
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
from task_rows import encode_all, predict_texts

import bert_tf
from bert_tf.config import BertConfig
from bert_tf.data.schema import Feature
from bert_tf.tasks.classification import TextAnswer, TextClassification, TextExample, softmax
from bert_tf.text.tokenization import FullTokenizer

SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["the", "cat", "##s", "sat", "on", "mat", "dog", ",", "."]
PAD, UNK, CLS, SEP = 0, 1, 2, 3
THE, CAT, S, SAT = 5, 6, 7, 8


@dataclasses.dataclass(frozen=True)
class ListReader:
    """Reads the same examples from every split."""

    examples: tuple[TextExample, ...] = ()

    def splits(self, purpose):
        return (purpose,)

    def sources(self, split):
        return [f"{split}.tsv"]

    def read(self, split):
        return list(self.examples)


def make_task(*examples, **changes):
    values = {
        "name": "test",
        "options": None,
        "labels": ("no", "yes", "maybe"),
        "reader": ListReader(examples),
        "metrics": ("accuracy",),
        "metric": "accuracy",
    }
    return TextClassification(**{**values, **changes})


def make_regression(*examples, **changes):
    figures = {"labels": (), "metrics": ("pearson", "spearman"), "metric": "spearman"}
    return make_task(*examples, **{**figures, **changes})


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    path = tmp_path_factory.mktemp("vocab") / "vocab.txt"
    path.write_text("\n".join([*SPECIAL_TOKENS, *WORDS]) + "\n", encoding="utf-8")
    return FullTokenizer(str(path))


def padded(features, max_seq_length):
    """The original's arrays from what `encode` gives."""
    rows = list(features)

    def pad(values):
        return [*values, *[0] * (max_seq_length - len(values))]

    return {
        "input_ids": np.array([pad(row["input_ids"]) for row in rows]),
        "input_mask": np.array([pad([1] * len(row["input_ids"])) for row in rows]),
        "segment_ids": np.array([pad(row["segment_ids"]) for row in rows]),
        "label_id": np.array([row["label_ids"][0] for row in rows]),
    }


def check_golden(folder, tokenizer_path):
    case = json.loads((folder / "examples.json").read_text(encoding="utf-8"))
    tokenizer = FullTokenizer(str(tokenizer_path), do_lower_case=case["do_lower_case"])
    examples = [TextExample(str(i), **row) for i, row in enumerate(case["examples"])]
    task = make_task(*examples, labels=tuple(case["labels"]))
    length = case["max_seq_length"]
    received = padded(encode_all(task, task.read("train"), "train", tokenizer, length), length)
    with np.load(folder / "features.npz") as expected:
        assert set(expected.files) == set(received)
        for name in expected.files:
            np.testing.assert_array_equal(received[name], expected[name], err_msg=name)


@pytest.mark.parametrize("name", ["classifier_pair", "classifier_single"])
def test_features_are_those_that_the_original_release_makes(golden_dir, tmp_path, name):
    # Of Google's vocabulary the pieces that occur, each in its line.
    pieces = json.loads((golden_dir / name / "pieces.json").read_text(encoding="utf-8"))
    by_line = {line: piece for piece, line in pieces.items()}
    lines = [by_line.get(line, f"[unused-{line}]") for line in range(max(by_line) + 1)]
    (tmp_path / "vocab.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    check_golden(golden_dir / name, tmp_path / "vocab.txt")


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "vocab"),
    [("classifier_pair", "bert_base_uncased"), ("classifier_single", "bert_base_cased")],
)
def test_features_are_the_originals_with_the_whole_vocabulary(golden_dir, data_dir, name, vocab):
    check_golden(golden_dir / name, data_dir / "vocab" / f"{vocab}.txt")


def original_ids(tokens_a, tokens_b, max_seq_length):
    """The rule of the original, one token at a time."""
    tokens_a, tokens_b = list(tokens_a), list(tokens_b)
    if tokens_b:
        while len(tokens_a) + len(tokens_b) > max_seq_length - 3:
            (tokens_a if len(tokens_a) > len(tokens_b) else tokens_b).pop()
    else:
        tokens_a = tokens_a[: max_seq_length - 2]
    first = [CLS, *tokens_a, SEP]
    second = [*tokens_b, SEP] if tokens_b else []
    return first + second, [0] * len(first) + [1] * len(second)


@pytest.mark.parametrize("max_seq_length", [3, 4, 5, 8, 16, 40])
def test_any_pair_is_cut_and_joined_by_the_originals_rule(tokenizer, max_seq_length):
    rng = np.random.default_rng(max_seq_length)
    examples = [
        TextExample(
            str(i),
            " ".join(rng.choice(["the", "cats", "xyz", "."], rng.integers(0, 20))),
            " ".join(rng.choice(["cat", "dogs", "Sat,"], rng.integers(0, 20))) or None,
        )
        for i in range(60)
    ]
    task = make_task(*examples)
    for example, row in zip(
        examples, encode_all(task, examples, "predict", tokenizer, max_seq_length), strict=True
    ):
        ids_a = tokenizer.convert_tokens_to_ids(tokenizer.tokenize(example.text_a))
        ids_b = tokenizer.convert_tokens_to_ids(tokenizer.tokenize(example.text_b or ""))
        expected = original_ids(ids_a, ids_b, max_seq_length)
        assert (list(row["input_ids"]), list(row["segment_ids"])) == expected


@pytest.mark.parametrize("text_b", [None, "", " ", "\u200b"])
def test_a_second_text_without_a_token_is_none_at_all(tokenizer, text_b):
    example = TextExample("0", "The cats sat", text_b, "yes")
    (row,) = encode_all(make_task(), [example], "train", tokenizer, 6)
    assert list(row["input_ids"]) == [CLS, THE, CAT, S, SAT, SEP]
    assert list(row["segment_ids"]) == [0] * 6


def test_labels_become_their_place_and_an_unknown_label_the_first_one(tokenizer):
    examples = [TextExample("0", "a", label=label) for label in ("maybe", "no", "yes", None)]
    rows = list(encode_all(make_task(), examples, "predict", tokenizer, 8))
    assert [row["label_ids"] for row in rows] == [[2], [0], [1], [0]]
    assert all(row["is_real_example"] == [1] for row in rows)


def test_a_regressions_labels_stay_numbers(tokenizer):
    task = make_regression(
        TextExample("0", "a", label="3.25"), TextExample("1", "a", label=4), TextExample("2", "a")
    )
    examples = task.read("predict")
    assert [example.label for example in examples] == [3.25, 4.0, None]
    rows = list(encode_all(task, examples, "predict", tokenizer, 8))
    assert [row["label_ids"] for row in rows] == [[3.25], [4.0], [0.0]]
    assert all(isinstance(row["label_ids"][0], float) for row in rows)


def test_the_features_have_the_names_and_shapes_of_the_original():
    sequence = Feature((16,))
    expected = {
        "input_ids": sequence,
        "input_mask": sequence,
        "segment_ids": sequence,
        "label_ids": Feature(()),
        "is_real_example": Feature(()),
    }
    assert make_task().features("train", 16) == expected
    expected["label_ids"] = Feature((), "float32")
    assert make_regression().features("predict", 16) == expected
    with pytest.raises(ValueError, match="at least 3"):
        make_task().features("train", 2)


def test_a_label_that_there_is_not_is_refused_with_its_place_and_those_that_there_are():
    task = make_task(TextExample("0", "a", label="Yes", where="data/train.tsv:17"))
    with pytest.raises(
        ValueError, match=r"data/train\.tsv:17: label 'Yes' is not one of no, yes, maybe"
    ):
        task.read("train")


@pytest.mark.parametrize("number", ["warm", "", "nan", "inf"])
def test_a_regressions_label_that_is_no_number_is_refused_with_its_place(number):
    task = make_regression(TextExample("0", "a", label=number, where="dev.tsv:3"))
    with pytest.raises(ValueError, match=rf"dev\.tsv:3: label '{number}' is not a number"):
        task.read("eval")


def test_only_what_is_predicted_may_lack_its_label():
    task = make_task(TextExample("0", "a", where="dev.tsv:3"))
    assert task.read("predict") == task.read("predict_mismatched") == [*task.reader.examples]
    for split in ("train", "eval", "eval_mismatched"):
        with pytest.raises(ValueError, match=rf"dev\.tsv:3: no label\. Of 1 .* '{split}', 1"):
            task.read(split)


def test_a_file_without_examples_is_refused():
    with pytest.raises(ValueError, match=r"train\.tsv: no examples"):
        make_task().read("train")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": ("yes",)}, "at least two different labels"),
        ({"labels": ("yes", "no", "yes")}, "at least two different labels"),
        ({"metrics": ("accuracy", "pearson")}, "metrics must be among accuracy, f1, matthews"),
        ({"labels": ()}, "metrics must be among pearson, spearman"),
        ({"metric": "matthews"}, "models by one of them"),
        (
            {"metrics": ("f1",), "metric": "f1"},
            "positive_label.* must be one of the labels no, yes, maybe",
        ),
    ],
)
def test_labels_and_metrics_that_do_not_go_together_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        make_task(**changes)


def test_the_head_has_an_output_for_each_label_or_one_for_a_number():
    config = BertConfig(
        vocab_size=20,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=8,
        type_vocab_size=2,
    )
    inputs = {name: np.ones((2, 5), int) for name in ("input_ids", "input_mask", "segment_ids")}
    for task, outputs in [(make_task(), 3), (make_regression(), 1)]:
        assert task.head(bert_tf.BertEncoder(config))(inputs).shape == (2, outputs)


def test_the_loss_is_the_cross_entropy_of_each_example():
    logits = np.array([[2.0, 0.0, -1.0], [0.0, 0.0, 0.0], [5.0, 1.0, 1.0]], np.float32)
    labels = np.array([0, 2, 1], np.int32)
    loss = make_task().loss({"label_ids": labels}, logits).numpy()
    expected = [
        np.log(np.sum(np.exp(row))) - row[label] for row, label in zip(logits, labels, strict=True)
    ]
    assert loss.dtype == np.float32
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


def test_a_regressions_loss_is_the_squared_difference_without_a_sigmoid():
    logits = np.array([[2.0], [-1.0], [7.0]], np.float32)
    labels = np.array([4.5, -1.0, 5.0], np.float32)
    loss = make_regression().loss({"label_ids": labels}, logits).numpy()
    np.testing.assert_allclose(loss, [6.25, 0.0, 4.0])
    assert loss.shape == (3,)


def predict(task, logits):
    examples = [TextExample(str(i), "a") for i in range(len(logits))]
    return predict_texts(task, examples, np.array(logits, np.float32))


def test_an_answer_is_the_likeliest_label_with_all_probabilities():
    answers = predict(make_task(), [[0.0, np.log(6.0), 0.0], [1000.0, 0.0, 1000.0]])
    assert [answer.label for answer in answers] == ["yes", "no"]
    np.testing.assert_allclose(answers[0].probabilities, [0.125, 0.75, 0.125], rtol=1e-6)
    np.testing.assert_allclose(answers[1].probabilities, [0.5, 0.0, 0.5])
    assert {type(value) for value in answers[0].probabilities} == {np.float32}


def test_probabilities_are_tensorflows():
    import tensorflow as tf

    logits = np.random.default_rng(1).normal(size=(200, 3), scale=5).astype(np.float32)
    np.testing.assert_allclose(softmax(logits), tf.nn.softmax(logits).numpy(), rtol=1e-6)
    assert softmax(logits).dtype == np.float32


def test_a_regressions_answer_is_the_number_itself():
    answers = predict(make_regression(), [[5.5], [-0.25]])
    assert answers == [TextAnswer(5.5), TextAnswer(-0.25)]


def labelled(*labels):
    return [TextExample(str(i), "a", label=label) for i, label in enumerate(labels)]


def answered(*labels):
    return [TextAnswer(label) for label in labels]


def test_the_score_is_the_figures_asked_for():
    task = make_task(
        labels=("0", "1"), metrics=("f1", "accuracy", "matthews"), metric="f1", positive_label="1"
    )
    scores = task.score(labelled("1", "1", "0", "0"), answered("1", "0", "0", "0"))
    # Precision 1, recall 1/2; counts 1, 0, 1, 2.
    assert scores == pytest.approx(
        {"f1": 2 / 3, "accuracy": 0.75, "matthews": 2 / np.sqrt(1 * 2 * 2 * 3)}
    )


def test_a_regressions_score_is_two_correlations():
    scores = make_regression().score(labelled(1.0, 2.0, 3.0), answered(1.0, 2.0, 4.0))
    assert scores == pytest.approx({"pearson": 3 / np.sqrt(28 / 3), "spearman": 1.0})


def test_without_labels_there_is_no_score():
    assert make_task().score(labelled("yes", None), answered("yes", "no")) == {}
    assert make_task().score([], []) == {}


@pytest.mark.parametrize(
    ("gold", "predicted", "collapsed"),
    [
        (["no", "yes", "no"], ["no", "no", "no"], True),
        (["no", "yes", "no"], ["maybe", "maybe", "maybe"], True),
        (["no", "yes", "no"], ["no", "maybe", "no"], False),
        (["no", "no", "no"], ["no", "no", "no"], False),
        ([None, None], ["no", "no"], False),
    ],
)
def test_one_class_for_everything_is_a_collapse_where_there_should_be_more(
    gold, predicted, collapsed
):
    assert make_task().is_collapsed(labelled(*gold), answered(*predicted)) is collapsed


@pytest.mark.parametrize(
    ("gold", "predicted", "collapsed"),
    [
        ([1.0, 2.0, 3.0], [2.0, 2.0, 2.0], True),
        ([1.0, 2.0, 3.0, 4.0], [1.0, -1.0, -1.0, 1.0], True),
        ([1.0, 2.0, 3.0], [0.1, 0.2, 0.3], False),
        ([1.0, 2.0, 3.0], [3.0, 2.0, 1.0], False),
        ([2.0, 2.0], [1.0, 1.0], False),
    ],
)
def test_numbers_without_correlation_are_a_collapse(gold, predicted, collapsed):
    assert make_regression().is_collapsed(labelled(*gold), answered(*predicted)) is collapsed


def test_examples_and_answers_survive_pickling():
    example = TextExample("0", "a", "b", 2.5, "file:1")
    assert pickle.loads(pickle.dumps(example)) == example
    assert pickle.loads(pickle.dumps(TextAnswer("yes"))) == TextAnswer("yes")


def test_reading_and_encoding_does_not_import_tensorflow():
    code = (
        "import sys\n"
        "from bert_tf.tasks import classification, glue, xnli\n"
        "task = glue.make('mrpc', glue.Options('somewhere'), None)\n"
        "task.features('train', 128)\n"
        "print({'tensorflow', 'keras', 'tensorflow_datasets'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"
