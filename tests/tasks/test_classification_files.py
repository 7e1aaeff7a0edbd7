"""The files of predictions: the original's, one with labels, and a benchmark's submission."""

import dataclasses
import json
import sys

import numpy as np
import pytest
from task_rows import predict_texts

from bert_tf.tasks.classification import TextClassification, softmax
from bert_tf.tasks.evaluation_report import write_report
from bert_tf.tasks.text_examples import TextExample


class NoFiles:
    def sources(self, split):
        return []


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
    assert (second["text"], "gold" in second) == ("b", False)


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
    assert json.loads(first) == {"id": "0", "text": "a", "label": 5.75}
    assert third == '{"id": "2", "text": "a", "label": 3.1415927}'


def test_a_report_has_each_class_the_confusion_and_the_worst_errors_first(tmp_path):
    task = dataclasses.replace(make_task(), reader=NoFiles())
    gold = ["no", "no", "yes", "maybe"]
    examples = [TextExample(str(i), "a", "b", label) for i, label in enumerate(gold)]
    logits = [[3, 0, 0], [0, 1, 0], [0, 9, 0], [0, 5, 0]]
    answers = predict_texts(task, examples, np.array(logits, np.float32))
    write_report(task, "eval", examples, answers, {"eval_accuracy": 0.5}, str(tmp_path))
    lines = {
        name: list(map(json.loads, (tmp_path / f"eval_{name}.jsonl").read_text().splitlines()))
        for name in ("predictions", "errors")
    }
    assert [(e["id"], e["text_b"], e["gold"], e["label"]) for e in lines["errors"]] == [
        ("3", "b", "maybe", "yes"),
        ("1", "b", "no", "yes"),
    ]
    assert [each["correct"] for each in lines["predictions"]] == [True, False, True, False]
    report = json.loads((tmp_path / "eval_report.json").read_text())
    assert report["confusion_matrix"] == [[1, 1, 0], [0, 1, 0], [0, 1, 0]]
    assert report["classes"]["no"] == pytest.approx(
        {"precision": 1.0, "recall": 0.5, "f1": 2 / 3, "support": 2}
    )
    assert report["classes"]["maybe"] == {"precision": 0, "recall": 0, "f1": 0, "support": 1}
    assert report["majority_baseline"] == {"label": "no", "accuracy": 0.5}


@pytest.mark.parametrize("is_installed", [True, False])
def test_the_confusion_is_drawn_where_matplotlib_is(tmp_path, monkeypatch, caplog, is_installed):
    if is_installed:
        pytest.importorskip("matplotlib", reason="needs: pip install matplotlib")
    else:
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    task = dataclasses.replace(make_task(), reader=NoFiles())
    examples = [TextExample("0", "a", None, "no")]
    answers = predict_texts(task, examples, np.zeros([1, 3], np.float32))
    with caplog.at_level("INFO"):
        write_report(task, "eval", examples, answers, {}, str(tmp_path))
    path = tmp_path / "eval_confusion_matrix.png"
    assert path.exists() == is_installed
    assert ("pip install matplotlib" in caplog.text) != is_installed
    if is_installed:
        assert path.read_bytes().startswith(b"\x89PNG")


def test_the_errors_of_a_regression_are_sorted_by_their_size(tmp_path):
    task = dataclasses.replace(make_regression({}), reader=NoFiles())
    examples = [TextExample(str(i), "a", None, 1.0) for i in range(3)]
    answers = predict_texts(task, examples, np.array([[1.0], [3.0], [-4.0]], np.float32))
    write_report(task, "eval_other", examples, answers, {}, str(tmp_path))
    lines = (tmp_path / "eval_errors_other.jsonl").read_text().splitlines()
    assert [json.loads(line)["error"] for line in lines] == [5.0, 2.0]
    assert "classes" not in json.loads((tmp_path / "eval_report_other.json").read_text())
