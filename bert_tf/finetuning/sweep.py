"""Sweeps learning rates, batch sizes, seeds and folds, and keeps the best run.

On small data sets BERT-Large in particular sometimes collapses to one answer for everything
(Devlin et al. 2019, section 4.1). Such runs are reported, and chosen only if all collapse.

    OUTPUT_DIR/runs/lr-5e-05-batch-32-seed-12345/    metrics.jsonl, eval_results.txt, result.json
    OUTPUT_DIR/runs.tsv, runs.json                   a line per run; mean and deviation per setting
    OUTPUT_DIR/best/model.ckpt-STEP, run.json        the weights of the best run, and its name

In a cross-validation each fold is a run, see `FoldTask`; eval_results.txt has mean and deviation.
"""

import dataclasses
import gc
import itertools
import json
import logging
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

import keras

from bert_tf import files
from bert_tf.config import read_json, write_json
from bert_tf.files.checkpoints import BEST_FOLDER
from bert_tf.finetuning.other_examples import FoldTask
from bert_tf.finetuning.run import FinetuningRun, num_train_steps
from bert_tf.progress import format_number
from bert_tf.settings import FinetuningSettings
from bert_tf.tasks.task import Task
from bert_tf.training.best_checkpoint import BestCheckpoint
from bert_tf.training.checkpoint import NumberedCheckpoints, remove_checkpoints
from bert_tf.training.finite import NonFiniteLoss
from bert_tf.training.run import write_eval_results
from bert_tf.training.run_directory import find_changes

logger = logging.getLogger(__name__)

_RESULT_NAME = "result.json"
_RUN_NAME = "run.json"
# The settings of one run of a sweep, instead of the grid.
_ONE_RUN = {"num_restarts": 1, "learning_rates": (), "train_batch_sizes": (), "num_folds": 0}


@dataclasses.dataclass(frozen=True)
class RunResult:
    """The result of a run, as in `result.json`; the defaults are a diverged run's."""

    name: str  # The name of its folder.
    learning_rate: float
    batch_size: int
    seed: int
    step: int = 0
    value: float = 0.0  # The task's metric on the evaluation set.
    is_collapsed: bool = False  # Whether the model gives the same answer to everything.
    is_diverged: bool = True  # Whether the loss became NaN or infinite.
    figures: dict[str, float] = dataclasses.field(default_factory=dict)  # All metrics.
    fold: int | None = None  # The one that it was evaluated on, from 1.


_FIELDS = {field.name: field.type for field in dataclasses.fields(RunResult)}
_RESULT_FORM = {**_FIELDS, "figures": {str: float | int}}


@dataclasses.dataclass(frozen=True)
class PlannedRun:
    """A run that is to be done."""

    settings: FinetuningSettings
    task: Task
    feature_dir: str  # Runs on the same examples share it.
    fold: int | None = None

    @property
    def name(self) -> str:
        return files.split_path(self.settings.output_dir)[1]


def run_sweep(
    settings: FinetuningSettings, task: Task, purposes: Sequence[str], stream: TextIO | None
) -> tuple[FinetuningRun, dict[str, float] | None]:
    """Trains every combination; returns a run in the sweep's folder with the best weights.

    With it come the metrics of a cross-validation, which are written to `eval_results.txt`; None
    without one: the run is yet to be evaluated.

    A killed sweep resumes with the run that was killed. Raises a ValueError if every run diverged,
    or the weights in the folder are from another sweep.
    """
    own = {"do_train": False, "do_eval": True, "early_stopping_patience": 0, **_ONE_RUN}
    whole = FinetuningRun(dataclasses.replace(settings, **own), task, stream=stream)
    whole.workers.wait()  # Another process may still be writing what seems unfinished.
    if whole.workers.is_chief:
        NumberedCheckpoints(settings.output_dir, {}).remove_unfinished()
    whole.data.prepare(purposes)
    runs = _planned_runs(settings, task)
    for run in runs:  # Too few examples are reported now.
        num_examples = whole.data.records("train")[0].num_examples
        if settings.num_folds:
            num_examples -= -(-num_examples // settings.num_folds)
        num_train_steps(run.settings, num_examples)
    splits = ("train", *(() if settings.num_folds else task.splits("eval")))
    records = {split: whole.data.records(split)[0].sha256 for split in splits}
    results: list[RunResult] = []
    for run in runs:
        results.append(_find_result(run, records, whole, results))
        if whole.workers.is_chief:
            _write_table(settings.output_dir, task.metric, results)
    rows = _summary(results)
    for row in (list(rows[0]), *(row.values() for row in rows)):
        texts = ("-" if value is None else format_number(value) for value in row)
        logger.info("%s", "  ".join(f"{text:>13}" for text in texts))
    best = _best_of(results)
    logger.info("Best: %s with %s %.4f at step %d", best.name, task.metric, best.value, best.step)
    if best.is_diverged:
        raise ValueError("Every run diverged: its loss became NaN or infinite. Use lower rates.")
    # As the README will say.
    its = {"learning_rate": best.learning_rate, "train_batch_size": best.batch_size}
    whole.settings = dataclasses.replace(whole.settings, **its, seed=best.seed)
    whole.restore()
    _check_kept_weights(whole.best, best.name)
    metrics = _fold_metrics(results) if settings.num_folds else None
    if metrics and whole.workers.is_chief:
        logger.info("***** Mean and standard deviation of %d folds *****", settings.num_folds)
        write_eval_results(files.join_path(settings.output_dir, "eval_results.txt"), metrics)
    return whole, metrics


def _planned_runs(settings: FinetuningSettings, task: Task) -> list[PlannedRun]:
    runs = []
    for rate, size, restart, fold in itertools.product(
        settings.learning_rate_grid,
        settings.batch_size_grid,
        range(settings.num_restarts),
        range(1, settings.num_folds + 1) if settings.num_folds else [None],
    ):
        seed = settings.seed + restart
        name = f"runs/lr-{rate}-batch-{size}-seed-{seed}{f'-fold-{fold}' if fold else ''}"
        values = {
            "output_dir": files.join_path(settings.output_dir, name),
            "learning_rate": rate,
            "train_batch_size": size,
            "seed": seed,
            "do_eval": True,
            "do_predict": False,
        }
        own = dataclasses.replace(settings, **values, **_ONE_RUN)
        its_task, feature_dir = task, settings.output_dir
        if fold:
            its_task = FoldTask(task, settings.num_folds, fold, settings.seed)
            feature_dir = files.join_path(settings.output_dir, f"folds/{fold}")
        runs.append(PlannedRun(own, its_task, feature_dir, fold))
    return runs


def _find_result(
    run: PlannedRun, records: Mapping[str, str], whole: FinetuningRun, before: Sequence[RunResult]
) -> RunResult:
    """Reads the result of a finished run, or trains it.

    The result is written after the weights, so a run killed in between is evaluated again.
    """
    run_settings, name = run.settings, run.name
    folder, workers = run_settings.output_dir, whole.workers
    path = files.join_path(folder, _RESULT_NAME)
    fingerprint = {
        **run_settings.fingerprint(),
        "early_stopping_patience": run_settings.early_stopping_patience,
        "records": records,
    }
    if run.fold:
        fingerprint |= {"num_folds": run.task.num_folds, "fold_seed": run.task.seed}
    is_done = files.exists(path)
    workers.wait()  # Until all have looked.
    if is_done:
        result = _read_result(path, json.loads(json.dumps(fingerprint)))
        logger.info("Run %s is done: %s = %.4f", name, whole.task.metric, result.value)
    else:
        logger.info("Run %s", name)
        result = _train(run, whole, before)
        if workers.is_chief:
            write_json(path, {"result": dataclasses.asdict(result), "settings": fingerprint})
        keras.backend.clear_session()
        gc.collect()
    if workers.is_chief:
        for place in (folder, files.join_path(folder, BEST_FOLDER)):
            remove_checkpoints(place)
    workers.wait()
    return result


def _train(planned: PlannedRun, whole: FinetuningRun, before: Sequence[RunResult]) -> RunResult:
    """Trains and evaluates a run, and keeps its weights if it is the best so far."""
    output_dir, metric = whole.settings.output_dir, whole.task.metric
    run_settings, name = planned.settings, planned.name
    run = FinetuningRun(run_settings, planned.task, planned.feature_dir, whole.stream)
    diverged = RunResult(
        *(name, run_settings.learning_rate, run_settings.train_batch_size, run_settings.seed),
        fold=planned.fold,
    )
    try:
        run.train()
    except NonFiniteLoss as error:
        logger.warning("Run %s diverged: %s", name, error)
        return diverged
    metrics = run.evaluator.evaluate_and_write()
    result = dataclasses.replace(
        diverged,
        step=int(metrics["global_step"]),
        value=metrics[f"eval_{metric}"],
        is_collapsed=run.evaluator.is_collapsed(),
        is_diverged=False,
        figures=metrics,
    )
    if result.is_collapsed:
        logger.warning(
            "Run %s collapsed: the model gives the same answer to everything. More restarts, a "
            "lower learning rate, more epochs or --bias_correction help.",
            name,
        )
    if _best_of([*before, result]) is result and run.workers.is_chief:
        run.write_model_folder(output_dir)
        best = BestCheckpoint(output_dir, run.model, f"{metric} of all runs")
        best.note(result.step, result.value)
        write_json(files.join_path(best.best_folder, _RUN_NAME), {"name": name})
    return result


def _read_result(path: str, fingerprint: dict[str, Any]) -> RunResult:
    content = read_json(path, {"settings": dict, "result": _RESULT_FORM})
    then = content["settings"]
    if changes := list(find_changes(then, {name: fingerprint.get(name) for name in then})):
        raise ValueError(
            f"{path}: the run was done with other settings (then -> now): {', '.join(changes)}. "
            "Give a new --output_dir, or the old settings."
        )
    with files.naming_damage(path):
        return RunResult(**content["result"])


def _check_kept_weights(best: BestCheckpoint, name: str) -> None:
    """Refuses weights of a run that is not in this sweep."""
    if not best.is_there():
        raise ValueError(f"{best.best_folder}: the weights of the best run, {name}, are gone.")
    path = files.join_path(best.best_folder, _RUN_NAME)
    kept = read_json(path, {"name": str})["name"] if files.exists(path) else name
    if kept != name:
        raise ValueError(
            f"{best.best_folder} holds the weights of {kept}, which is not one of this sweep's "
            f"runs; the best of them is {name}. Include {kept} too, or give a new --output_dir."
        )


def _best_of(results: Sequence[RunResult]) -> RunResult:
    """Returns the first run with the best metric; a collapsed one only if all are."""
    return max(results, key=lambda r: (not r.is_diverged, not r.is_collapsed, r.value))


def _summary(results: Sequence[RunResult]) -> list[dict[str, Any]]:
    """Returns a row per learning rate and batch size; means omit collapsed and diverged runs."""
    rows = []
    for rate, size in dict.fromkeys((r.learning_rate, r.batch_size) for r in results):
        runs = [r for r in results if (r.learning_rate, r.batch_size) == (rate, size)]
        values = [r.value for r in runs if not (r.is_collapsed or r.is_diverged)]
        row = {
            "learning_rate": rate,
            "batch_size": size,
            "runs": len(runs),
            "collapsed": sum(r.is_collapsed for r in runs),
            "diverged": sum(r.is_diverged for r in runs),
            "mean": statistics.fmean(values) if values else None,
            "deviation": statistics.stdev(values) if len(values) > 1 else None,
            "best": max(values, default=None),
        }
        rows.append(row)
    return rows


def _fold_metrics(results: Sequence[RunResult]) -> dict[str, float]:
    """Returns the mean and standard deviation of each metric over the folds of the best setting.

    Several restarts count as further runs on the folds; diverged runs are left out. A metric that
    some folds lack, such as the F1 of a type that is not in them, is that of the others.
    """
    groups: dict[tuple[float, int], list[RunResult]] = {}
    for result in results:
        if not result.is_diverged:
            groups.setdefault((result.learning_rate, result.batch_size), []).append(result)
    best = max(groups.values(), key=lambda group: statistics.fmean(r.value for r in group))
    metrics = {}
    for name in dict.fromkeys(name for result in best for name in result.figures):
        if name.startswith("eval_"):
            # Without truncated examples, an evaluation has no share of them.
            default = 0.0 if name == "eval_truncated" else None
            values = [result.figures.get(name, default) for result in best]
            values = [value for value in values if value is not None]
            metrics[name] = statistics.fmean(values)
            metrics[f"{name}_deviation"] = statistics.stdev(values) if len(values) > 1 else 0.0
    return metrics


def _write_table(folder: str, metric: str, results: Sequence[RunResult]) -> None:
    content = {
        "metric": metric,
        "best": _best_of(results).name,
        "summary": _summary(results),
        "runs": [dataclasses.asdict(result) for result in results],
    }
    write_json(files.join_path(folder, "runs.json"), content)
    columns = ("name", "learning_rate", "batch_size", "seed", "step", "value", "is_collapsed")
    with files.atomic_write(files.join_path(folder, "runs.tsv"), "w") as file:
        file.write("\t".join((*columns[:-2], metric, "collapsed")) + "\n")
        for result in results:
            file.write("\t".join(str(getattr(result, column)) for column in columns) + "\n")
