"""Several labels per text, and class weights: tables, losses, thresholds, and a whole run."""

import dataclasses
import json
import random
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from small_finetuning import small_finetuning
from task_rows import predict_texts

import bert_tf
from bert_tf.conversion.convert import convert
from bert_tf.finetuning.program import run_finetuning
from bert_tf.formats import huggingface
from bert_tf.serving.export import export_saved_model
from bert_tf.settings import ConversionSettings, ExportSettings
from bert_tf.tasks.task import find_task

COLUMNS = {"text_a_column": "text", "multi_label": "true"}


@pytest.fixture
def make(tmp_path):
    """Writes rows, with | between their fields, as train.tsv and dev.tsv, and makes the task."""

    def make(rows=(), saved=None, **options):
        for name in ("train", "dev") if rows else ():
            lines = [row.replace("|", "\t") + "\n" for row in rows]
            (tmp_path / f"{name}.tsv").write_text("".join(lines))
        return find_task("tsv", {"data_dir": str(tmp_path), **COLUMNS, **options}, saved)

    return make


def refusal(function, *arguments, **options) -> str:
    with pytest.raises(ValueError, match=r"\S") as error:
        function(*arguments, **options)
    return str(error.value)


def test_labels_stand_in_one_cell_or_in_columns_of_their_own(make, tmp_path):
    in_cells = make(["text|tags", "a|x, y", "b|", "c|y,y", "d|z"], label_column="tags")
    assert in_cells.labels == ("x", "y", "z")
    assert [each.label for each in in_cells.read("eval")] == [("x", "y"), (), ("y",), ("z",)]
    in_columns = make(["text|x|y", "a|1|1", "b|0|0.0", "c|False|1.0"], label_columns="x,y")
    assert in_columns.labels == ("x", "y")
    assert [each.label for each in in_columns.read("eval")] == [("x", "y"), (), ("y",)]
    named = make(label_columns="x,y", labels="first,second")
    assert named.read("eval")[2].label == ("second",)
    other = make(["text|tags", "a|x; y"], label_column="tags", label_separator=";")
    assert other.labels == ("x", "y")
    row = {"text": "a", "tags": ["y", " x "]}
    (tmp_path / "list.jsonl").write_text(json.dumps(row) + "\n")
    listed = make(label_column="tags", train_file=str(tmp_path / "list.jsonl"))
    assert listed.read("train")[0].label == ("y", "x")


def test_what_does_not_fit_is_refused(make, tmp_path):
    columns = make(["text|x", "a|2"], label_columns="x")
    where = f"{tmp_path}/dev.tsv:2"
    assert refusal(columns.read, "eval").startswith(f"{where}: the column 'x' of a label must hold")
    given = make(["text|x", "a|b"], label_column="x", labels="c,d")
    assert refusal(given.read, "eval").startswith(f"{where}: label 'b' is not one of c, d")
    assert "not both" in refusal(make, label_column="x", label_columns="y")
    assert "are for --multi_label" in refusal(make, multi_label="false", label_columns="x,y")
    assert "neither --multi_label nor" in refusal(make, label_column="x", regression="true")
    assert "must name 2 labels" in refusal(make, label_columns="x,y", labels="a")
    assert "one for each of the 2 labels" in refusal(
        make, label_columns="x,y", thresholds="0.1,0.2,0.3"
    )
    assert "must be balanced, or numbers for x, y" in refusal(
        make, label_columns="x,y", class_weights="1"
    )
    assert "at least one label" in refusal(make, ["text|x", "a|"], label_column="x")


def test_answers_scores_and_thresholds(make):
    task = make(["text|x|y", "a|1|1", "b|1|0", "c|0|0"], label_columns="x,y", thresholds="auto")
    examples = task.read("eval")
    logits = np.array([[2.0, -1.0], [1.0, -3.0], [-2.0, -3.0]])
    answers = predict_texts(task, examples, logits)
    assert [answer.label for answer in answers] == [("x",), ("x",), ()]
    assert answers[0].probabilities == pytest.approx(1 / (1 + np.exp(-logits[0])))
    scores = {"micro_f1": 0.8, "macro_f1": 0.5, "accuracy": 2 / 3, "f1_x": 1.0, "f1_y": 0.0}
    assert task.score(examples, answers) == pytest.approx(scores)
    assert task.needs_calibration
    better = task.calibrated(examples, answers)
    assert not better.needs_calibration
    found = predict_texts(better, examples, logits)
    assert [answer.label for answer in found] == [("x", "y"), ("x",), ()]
    assert better.score(examples, found)["macro_f1"] == 1.0
    assert task.record(examples[0], answers[0]) == {
        "id": "dev-0",
        "text": "a",
        "gold": ["x", "y"],
        "label": ["x"],
        "probabilities": {
            "x": pytest.approx(0.880797, abs=1e-6),
            "y": pytest.approx(0.2689414, abs=1e-6),
        },
        "correct": False,
        "error": pytest.approx(0.731059, abs=1e-6),
    }


def test_the_loss_is_the_mean_of_the_labels_binary_cross_entropies(make):
    rows = ["text|x|y", "a|1|1", "b|1|0", "c|1|0", "d|0|0"]
    plain = make(rows, label_columns="x,y")
    weighted = make(label_columns="x,y", class_weights="balanced")
    assert weighted.class_weights == (1 / 3, 3.0)  # 1 without x of 3 with it, 3 of 1.
    logits = np.array([[2.0, -1.0], [0.5, 0.0]])
    batch = {"label_ids": np.array([[1, 1], [0, 0]], np.float32)}
    p = 1 / (1 + np.exp(-logits))
    entropies = -np.log(np.where(batch["label_ids"] > 0, p, 1 - p))
    np.testing.assert_allclose(plain.loss(batch, logits), entropies.mean(1), rtol=1e-5)
    entropies[0] *= (1 / 3, 3.0)
    np.testing.assert_allclose(weighted.loss(batch, logits), entropies.mean(1), rtol=1e-5)
    np.testing.assert_array_equal(plain.hits(batch, tf.constant(logits)), [0, 0])


def test_class_weights_multiply_the_losses_of_a_class(make):
    rows = ["text|x", "a|no", "b|no", "c|no", "d|yes"]
    common = {"label_column": "x", "multi_label": "false"}
    task = make(rows, **common, class_weights="balanced")
    assert task.class_weights == (4 / (2 * 3), 4 / 2)
    assert task.options.class_weights == f"{2 / 3},2.0"
    logits = np.array([[1.0, 0.0], [1.0, 0.0]])
    batch = {"label_ids": np.array([0, 1], np.int32)}
    losses = np.log(np.exp(1) + 1) - np.array([1.0, 0.0])
    np.testing.assert_allclose(task.loss(batch, logits), losses * (2 / 3, 2), rtol=1e-5)
    plain = make(**common)
    np.testing.assert_allclose(plain.loss(batch, logits), losses, rtol=1e-5)
    assert make(**common, class_weights="1,5").class_weights == (1.0, 5.0)
    with pytest.raises(ValueError, match=r"not all 0. Received: '0,0'"):
        make(**common, class_weights="0,0")


@pytest.mark.slow
def test_it_learns_and_answers_alike_everywhere(small_model, tmp_path):
    rng = random.Random(4)
    words = {"bad": ["poor", "awful"], "good": ["fine", "great"], "film": ["cast", "plot"]}
    for name, size in (("train", 256), ("dev", 40), ("test", 7)):
        lines = ["text\t" + "\t".join(words)]
        for _ in range(size):
            has = [rng.random() < 0.5 for _ in words]
            told = [
                rng.choice(words[x]) for x, is_there in zip(words, has, strict=True) if is_there
            ]
            text = " ".join(rng.sample([*told, "the", "a", "very"], len(told) + 3))
            lines.append("\t".join([text, *(str(int(x)) for x in has)]))
        (tmp_path / f"{name}.tsv").write_text("\n".join(lines) + "\n")
    labels = ",".join(words)
    # The small model's pooler is too narrow for three labels that do not depend on each other.
    config = json.loads(Path(small_model["bert_config_file"]).read_text())
    config |= {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 1}
    (tmp_path / "bert_config.json").write_text(json.dumps(config))
    out = tmp_path / "out"
    settings = small_finetuning(
        {**small_model, "bert_config_file": str(tmp_path / "bert_config.json")},
        "tsv",
        out,
        (
            *(f"data_dir={tmp_path}", "text_a_column=text", "multi_label=true"),
            *(f"label_columns={labels}", "thresholds=auto", "class_weights=balanced"),
        ),
        max_seq_length=12,
        learning_rate=5e-4,
        num_train_epochs=20.0,
        do_predict=True,
    )
    metrics = run_finetuning(settings)
    assert metrics["eval_micro_f1"] > 0.9
    report = json.loads((out / "eval_report.json").read_text())
    assert report["classes"]["good"]["f1"] == metrics["eval_f1_good"]
    saved = json.loads((out / "task.json").read_text())["options"]
    thresholds = [float(number) for number in saved["thresholds"].split(",")]
    assert len(thresholds) == len(saved["class_weights"].split(",")) == 3
    # A later run takes them from the folder, and needs no training file.
    (tmp_path / "train.tsv").unlink()
    later = dataclasses.replace(
        settings, do_train=False, init_checkpoint=str(out), do_predict=False
    )
    assert run_finetuning(later)["eval_loss"] == pytest.approx(metrics["eval_loss"], abs=1e-6)
    expected = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    export = export_saved_model(ExportSettings(model=str(out), export_dir=str(tmp_path / "served")))
    assert export.validation.largest_difference < 1e-5
    for folder in (str(out), export.folder):
        answers = bert_tf.Predictor(folder).predict([line["text"] for line in expected])
        for line, answer in zip(expected, answers, strict=True):
            assert list(answer.labels) == line["label"]
            assert answer.probabilities == pytest.approx(line["probabilities"], abs=1e-5)
    there, back = str(tmp_path / "huggingface"), str(tmp_path / "google")
    convert(ConversionSettings(source=str(out), to="huggingface", output_dir=there))
    config = json.loads((tmp_path / "huggingface" / "config.json").read_text())
    assert config["problem_type"] == "multi_label_classification"
    assert config["id2label"] == {"0": "bad", "1": "good", "2": "film"}
    assert huggingface.read(there).head.kind == "multi_label"
    convert(ConversionSettings(source=there, to="google", output_dir=back))
    again = bert_tf.Predictor(back).predict([line["text"] for line in expected])
    for line, answer in zip(expected, again, strict=True):
        assert answer.probabilities == pytest.approx(line["probabilities"], abs=1e-5)
