"""Cross-validation: how examples are divided, and what a whole one leaves."""

import collections
import json
import pickle
import statistics
from pathlib import Path

import pytest
from small_finetuning import small_finetuning

from bert_tf.finetuning.other_examples import FoldTask, fold_numbers
from bert_tf.finetuning.program import run_finetuning
from bert_tf.finetuning.sweep import RunResult, _fold_metrics
from bert_tf.settings import FinetuningSettings
from bert_tf.tasks.task import find_task
from bert_tf.tasks.text_examples import TextExample


def test_folds_have_equal_sizes_and_shares_of_labels_and_depend_on_the_seed():
    examples = [TextExample(str(i), "a", label="yes" if i < 20 else "no") for i in range(103)]
    numbers = fold_numbers(examples, 5, seed=1)
    assert sorted(collections.Counter(numbers).values()) == [20, 20, 21, 21, 21]
    assert collections.Counter(numbers[:20]) == dict.fromkeys(range(1, 6), 4)
    assert fold_numbers(examples, 5, seed=1) == numbers
    assert fold_numbers(examples, 5, seed=2) != numbers
    with pytest.raises(ValueError, match=r"num_folds=5 is more than .* examples, 3"):
        fold_numbers(examples[:3], 5, seed=1)


def test_examples_of_a_group_are_in_one_fold():
    examples = [TextExample(str(i), "a", label="yes") for i in range(12)]
    groups = [None, "x", "x", "x", None, "y", "y", "z", "z", "x", None, None]
    numbers = fold_numbers(examples, 3, seed=1, groups=groups)
    by_group = collections.defaultdict(set)
    for group, number in zip(groups, numbers, strict=True):
        by_group[group].add(number)
    assert [len(by_group[group]) for group in "xyz"] == [1, 1, 1]
    assert set(numbers) == {1, 2, 3}
    with pytest.raises(ValueError, match=r"more than there are sentences or passages of .*, 3"):
        fold_numbers(examples, 4, seed=1, groups=list("xyzxyzxyzxyz"))


def test_a_metric_that_some_folds_lack_is_the_mean_of_the_others():
    figures = [
        {"eval_f1": 0.5, "eval_f1_PER": 0.3, "loss": 1.0},
        {"eval_f1": 0.7, "eval_f1_ORG": 0.4, "eval_truncated": 0.5},
    ]
    results = [
        RunResult("run", 1e-5, 32, 1, is_diverged=False, figures=each, fold=fold)
        for fold, each in enumerate(figures, start=1)
    ]
    metrics = _fold_metrics(results)
    means = {name: value for name, value in metrics.items() if not name.endswith("_deviation")}
    expected = {"eval_f1": 0.6, "eval_f1_PER": 0.3, "eval_f1_ORG": 0.4, "eval_truncated": 0.25}
    assert means == pytest.approx(expected)
    assert metrics["eval_f1_deviation"] == pytest.approx(0.02**0.5)
    assert metrics["eval_f1_PER_deviation"] == 0.0


def test_every_example_is_evaluated_once_and_else_trained_on(reviews):
    task = find_task("glue:sst-2", {"data_dir": reviews})
    everything = [example.guid for example in task.read("train")]
    folds = [FoldTask(task, 4, number, seed=7) for number in range(1, 5)]
    evaluated = [[example.guid for example in fold.read("eval")] for fold in folds]
    assert sorted(guid for guids in evaluated for guid in guids) == sorted(everything)
    for fold, guids in zip(folds, evaluated, strict=True):
        trained = [example.guid for example in pickle.loads(pickle.dumps(fold)).read("train")]
        assert trained == [guid for guid in everything if guid not in set(guids)]
    assert folds[0].read("predict") == task.read("predict")
    assert (folds[0].metric, folds[0].splits("eval")) == ("accuracy", ("eval",))
    assert folds[0].sources("eval") == task.sources("train")


def test_a_cross_validation_gives_mean_and_deviation_and_resumes(small_model, reviews, tmp_path):
    for name in ("train.tsv", "test.tsv"):  # It needs no evaluation file.
        (tmp_path / name).write_bytes(Path(reviews, name).read_bytes())
    out = tmp_path / "out"
    settings = small_finetuning(
        small_model,
        "glue:sst-2",
        out,
        (f"data_dir={tmp_path}",),
        num_train_epochs=1.0,
        num_folds=2,
        do_eval=False,
        do_predict=True,
    )
    metrics = run_finetuning(settings)
    runs = json.loads((out / "runs.json").read_text())["runs"]
    assert [run["fold"] for run in runs] == [1, 2]
    values = [run["figures"]["eval_accuracy"] for run in runs]
    assert metrics["eval_accuracy"] == pytest.approx(statistics.fmean(values))
    assert metrics["eval_accuracy_deviation"] == pytest.approx(statistics.stdev(values))
    assert "eval_loss_deviation = " in (out / "eval_results.txt").read_text()
    lines = [
        line for path in (out / "runs").glob("*/eval_predictions.jsonl") for line in path.open()
    ]
    assert len({json.loads(line)["id"] for line in lines}) == len(lines) == 256
    assert (out / "test_results.tsv").exists()
    # The fold that was not finished is trained again, the others are not.
    names = [run["name"] for run in runs]
    before = {name: (out / "runs" / name / "metrics.jsonl").stat().st_mtime_ns for name in names}
    (out / "runs" / names[1] / "result.json").unlink()
    assert run_finetuning(settings) == pytest.approx(metrics, abs=1e-6)
    after = {name: (out / "runs" / name / "metrics.jsonl").stat().st_mtime_ns for name in names}
    assert [name for name in names if before[name] != after[name]] == names[1:]


def test_what_cannot_be_divided_is_refused(small_model):
    common = {**small_model, "task": "tsv", "output_dir": "out"}
    with pytest.raises(ValueError, match="2 or more"):
        FinetuningSettings(**common, do_train=True, num_folds=1)
    with pytest.raises(ValueError, match="need --do_train"):
        FinetuningSettings(**common, do_eval=True, num_folds=5)
