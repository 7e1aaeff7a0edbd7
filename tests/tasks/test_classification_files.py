"""The files of predictions: the original's, one with labels, and a benchmark's submission."""

import json

import numpy as np
import pytest
from task_rows import predict_texts

from bert_tf.tasks.classification import TextClassification, softmax
from bert_tf.tasks.text_examples import TextExample


def make_task(submissions=()):
    labels = ("no", "yes", "maybe")
    return TextClassification(
        "test", None, labels, None, ("accuracy",), "accuracy", submissions=dict(submissions)
    )


def make_regression(submissions):
    return TextClassification(
        "test", None, (), None, ("pearson",), "pearson", submissions=submissions
    )


def predict(task, logits):
    examples = [TextExample(str(i), "a") for i in range(len(logits))]
    return predict_texts(task, examples, np.array(logits, np.float32))


def read_files(folder):
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in paths}


def test_predictions_are_written_as_the_original_writes_them_and_with_labels(tmp_path):
    task = make_task()
    examples = [TextExample("test-1", "a"), TextExample("tést-2", "b")]
    answers = predict(task, [[0.0, 0.0, -100.0], [np.log(3.0), np.log(6.0), 0.0]])
    paths = task.write("predict", examples, answers, str(tmp_path))
    assert paths == [str(tmp_path / "test_results.tsv"), str(tmp_path / "predictions.jsonl")]
    written = read_files(tmp_path)
    assert list(written) == ["predictions.jsonl", "test_results.tsv"]
    probabilities = [
        softmax(np.array([row], np.float32))[0] for row in ([0, 0, -100], np.log([3, 6, 1]))
    ]
    assert written["test_results.tsv"] == "".join(
        "\t".join(str(value) for value in row) + "\n" for row in probabilities
    )
    assert written["test_results.tsv"].startswith("0.5\t0.5\t")
    first, second = map(json.loads, written["predictions.jsonl"].splitlines())
    assert (first["id"], first["label"]) == ("test-1", "no")
    assert (second["id"], second["label"]) == ("tést-2", "yes")
    assert list(second["probabilities"]) == ["no", "yes", "maybe"]
    assert second["probabilities"]["yes"] == pytest.approx(0.6)


def test_every_split_has_files_of_its_own(tmp_path):
    task = make_task()
    answers = predict(task, [[0.0, 1.0, 2.0]])
    for split in ("predict", "predict_mismatched", "eval"):
        task.write(split, [TextExample("0", "a")], answers, str(tmp_path))
    assert set(read_files(tmp_path)) == {
        f"{name}{suffix}"
        for name, suffix in [
            *(("test_results", each) for each in (".tsv", "_mismatched.tsv", "_eval.tsv")),
            *(("predictions", each) for each in (".jsonl", "_mismatched.jsonl", "_eval.jsonl")),
        ]
    }


def test_a_submission_has_a_header_numbers_and_the_words_of_the_labels(tmp_path):
    task = make_task({"predict": "A.tsv", "predict_other": "B.tsv"})
    examples = [TextExample("x", "a"), TextExample("y", "b")]
    answers = predict(task, [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    paths = task.write("predict", examples, answers, str(tmp_path))
    assert paths[-1] == str(tmp_path / "submission" / "A.tsv")
    task.write("predict_other", examples[:1], answers[:1], str(tmp_path))
    task.write("eval", examples, answers, str(tmp_path))
    written = read_files(tmp_path / "submission")
    assert written == {
        "A.tsv": "index\tprediction\n0\tmaybe\n1\tyes\n",
        "B.tsv": "index\tprediction\n0\tmaybe\n",
    }


def test_a_regressions_numbers_are_written_whole_and_submitted_within_their_limits(tmp_path):
    task = make_regression({"predict": "STS-B.tsv"})
    logits = [[5.75], [-0.5], [3.14159274], [-0.0], [0.0001]]
    answers = predict(task, logits)
    examples = [TextExample(str(i), "a") for i in range(len(logits))]
    task.write("predict", examples, answers, str(tmp_path))
    written = read_files(tmp_path)
    assert written["test_results.tsv"] == "5.75\n-0.5\n3.1415927\n-0.0\n1e-04\n"
    assert written["submission/STS-B.tsv"].splitlines()[1:] == [
        "0\t5.000",
        "1\t0.000",
        "2\t3.142",
        "3\t0.000",
        "4\t0.000",
    ]
    first, _, third, *_ = written["predictions.jsonl"].splitlines()
    assert json.loads(first) == {"id": "0", "label": 5.75}
    assert third == '{"id": "2", "label": 3.1415927}'
