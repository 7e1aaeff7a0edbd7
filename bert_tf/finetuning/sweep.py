"""Several fine-tunings, of which the best is kept: a grid of learning rates and batch sizes, each
with restarts from other seeds.

Small sets make BERT, and most of all BERT-Large, end at times with a model that says the same of
everything (Devlin et al. 2019, section 4.1). Such runs are named, and never the best.

    OUTPUT_DIR/runs/lr-5e-05-batch-32-seed-12345/    metrics.jsonl, eval_results.txt, result.json
    OUTPUT_DIR/runs.tsv, runs.json                   a line a run; mean and deviation of settings
    OUTPUT_DIR/best/model.ckpt-STEP                  the weights of the best
    OUTPUT_DIR/best/run.json                         its name
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
from bert_tf.config import read_json
from bert_tf.finetuning.run import (
    FinetuningRun,
    course_of,
    num_train_steps,
)
from bert_tf.settings import FinetuningSettings
from bert_tf.tasks.task import Task
from bert_tf.training.best_checkpoint import FOLDER as BEST_FOLDER
from bert_tf.training.best_checkpoint import BestCheckpoint
from bert_tf.training.checkpoint import NumberedCheckpoints, remove_checkpoints
from bert_tf.training.loop import NonFiniteLoss
from bert_tf.training.workers import Workers

logger = logging.getLogger(__name__)

_RESULT_NAME = "result.json"
# In the folder of the best weights: which run they are of.
_RUN_NAME = "run.json"


@dataclasses.dataclass(frozen=True)
class RunResult:
    """What became of a run.

    name: of its folder.
    value: the task's metric on the evaluation set.
    is_collapsed: whether it says the same of everything.
    is_diverged: whether its loss became no finite number; then there are no figures.
    figures: all figures.
    """

    name: str
    learning_rate: float
    batch_size: int
    seed: int
    step: int
    value: float
    is_collapsed: bool
    is_diverged: bool
    figures: dict[str, float]


def run_sweep(
    settings: FinetuningSettings, task: Task, purposes: Sequence[str], stream: TextIO | None
) -> dict[str, float] | None:
    """Trains every combination, keeps the best, and evaluates and predicts with it.

    A sweep that was killed goes on with the run that was not finished.

    Args:
        purposes: what examples are needed for.

    Returns: the best run's figures, as `eval_results.txt` holds them.
    """
    last = dataclasses.replace(
        settings,
        do_train=False,
        do_eval=True,
        num_restarts=1,
        learning_rates=(),
        train_batch_sizes=(),
        early_stopping_patience=0,
    )
    whole = FinetuningRun(last, task, stream=stream)
    whole.workers.wait()  # What others are still writing is not unfinished.
    if whole.workers.is_chief:
        NumberedCheckpoints(settings.output_dir, {}).remove_unfinished()
    whole.data.prepare(purposes)
    num_examples = whole.data.records("train")[0].num_examples
    for run_settings in runs_of(settings):
        num_train_steps(run_settings, num_examples)  # That there are too few is said now.
    splits = ("train", *task.splits("eval"))
    data = {split: whole.data.records(split)[0].sha256 for split in splits}
    results: list[RunResult] = []
    for run_settings in runs_of(settings):
        course = _course(run_settings, data)
        results.append(_run(settings, run_settings, course, task, results, whole.workers, stream))
        if whole.workers.is_chief:
            _write_table(settings.output_dir, task.metric, results)
    for line in describe(results, task.metric):
        logger.info("%s", line)
    if best_of(results).is_diverged:
        raise ValueError("Every run diverged: its loss became no finite number. Learn more slowly.")
    whole.restore()
    if not whole.best.is_there():
        raise ValueError(f"{settings.output_dir}: the weights of the best run are gone.")
    _check_whose_weights(whole.best.best_folder, best_of(results).name)
    figures = whole.evaluator.evaluate_and_write()
    if settings.do_predict:
        whole.evaluator.predict_and_write()
    return figures


def runs_of(settings: FinetuningSettings) -> list[FinetuningSettings]:
    """The settings of each run, in the order in which they are done."""
    runs = []
    for rate, size, restart in itertools.product(
        settings.learning_rate_grid, settings.batch_size_grid, range(settings.num_restarts)
    ):
        seed = settings.seed + restart
        name = f"lr-{rate}-batch-{size}-seed-{seed}"
        runs.append(
            dataclasses.replace(
                settings,
                output_dir=files.join_path(files.join_path(settings.output_dir, "runs"), name),
                learning_rate=rate,
                train_batch_size=size,
                seed=seed,
                do_eval=True,
                do_predict=False,
                num_restarts=1,
                learning_rates=(),
                train_batch_sizes=(),
            )
        )
    return runs


def _run(
    settings: FinetuningSettings,
    run_settings: FinetuningSettings,
    course: dict[str, Any],
    task: Task,
    before: Sequence[RunResult],
    workers: Workers,
    stream: TextIO | None,
) -> RunResult:
    """Does a run, or takes up the result of one that is done; keeps its weights if it is best.

    The result is written when the weights are kept: a run killed before that is looked at again.
    """
    folder = run_settings.output_dir
    name = files.split_path(folder)[1]
    path = files.join_path(folder, _RESULT_NAME)
    is_done = files.exists(path)
    workers.wait()  # All have looked before anything is written.
    if is_done:
        result = _read_result(path, course)
        logger.info("Run %s is done: %s = %.4f", name, task.metric, result.value)
    else:
        logger.info("Run %s", name)
        result = _train(settings, run_settings, task, before, name, stream)
        if workers.is_chief:
            with files.atomic_write(path, "w") as file:
                content = {"result": dataclasses.asdict(result), "settings": course}
                file.write(json.dumps(content, indent=2) + "\n")
        keras.backend.clear_session()
        gc.collect()
    if workers.is_chief:
        for place in (folder, files.join_path(folder, BEST_FOLDER)):
            remove_checkpoints(place)
    workers.wait()
    return result


def _train(
    settings: FinetuningSettings,
    run_settings: FinetuningSettings,
    task: Task,
    before: Sequence[RunResult],
    name: str,
    stream: TextIO | None,
) -> RunResult:
    run = FinetuningRun(run_settings, task, settings.output_dir, stream)
    described = {
        "name": name,
        "learning_rate": run_settings.learning_rate,
        "batch_size": run_settings.train_batch_size,
        "seed": run_settings.seed,
    }
    try:
        run.train()
    except NonFiniteLoss as error:
        logger.warning("Run %s diverged: %s", name, error)
        return RunResult(
            **described, step=0, value=0.0, is_collapsed=False, is_diverged=True, figures={}
        )
    figures = run.evaluator.evaluate_and_write()
    result = RunResult(
        **described,
        step=int(figures["global_step"]),
        value=figures[f"eval_{task.metric}"],
        is_collapsed=run.evaluator.is_collapsed(),
        is_diverged=False,
        figures=figures,
    )
    if result.is_collapsed:
        logger.warning("Run %s collapsed: the model says the same of every example.", name)
    if best_of([*before, result]) is result and run.workers.is_chief:
        run.write_model_folder(settings.output_dir)
        label = f"{task.metric} of all runs"
        best = BestCheckpoint(settings.output_dir, run.model, label)
        best.note(result.step, result.value)
        with files.atomic_write(files.join_path(best.best_folder, _RUN_NAME), "w") as file:
            file.write(json.dumps({"name": name}) + "\n")
    return result


def _course(settings: FinetuningSettings, data: Mapping[str, str]) -> dict[str, Any]:
    """All that a run's result depends on, as JSON values."""
    values = {
        **course_of(settings),
        "early_stopping_patience": settings.early_stopping_patience,
        "records": dict(data),
    }
    return json.loads(json.dumps(values))


def _read_result(path: str, course: dict[str, Any]) -> RunResult:
    content = read_json(path)
    changed = [
        f"{name}: {then!r} -> {course.get(name)!r}"
        for name, then in content["settings"].items()
        if then != course.get(name)
    ]
    if changed:
        raise ValueError(
            f"{path}: the run was done with other settings (then -> now): {', '.join(changed)}. "
            "Give a new --output_dir, or the old settings."
        )
    return RunResult(**content["result"])


def _check_whose_weights(best_folder: str, best: str) -> None:
    """Refuses weights of a run that is not asked for any more; those of the others are gone."""
    path = files.join_path(best_folder, _RUN_NAME)
    kept = read_json(path)["name"] if files.exists(path) else best
    if kept != best:
        raise ValueError(
            f"{best_folder} holds the weights of {kept}, which is not among the runs asked for; "
            f"the best of these is {best}. Ask for {kept} too, or give a new --output_dir."
        )


def best_of(results: Sequence[RunResult]) -> RunResult:
    """The run with the highest figure; the first of several; a collapsed one only if all are."""
    return max(results, key=lambda r: (not r.is_diverged, not r.is_collapsed, r.value))


def describe(results: Sequence[RunResult], metric: str) -> list[str]:
    """The table at the end: a line for each setting, and what is worth knowing."""
    lines = [f"{'learning rate':>13} {'batch':>6} {'runs':>5}  {metric}: mean ± deviation, best"]
    for row in summary(results):
        deviation = "-" if row["deviation"] is None else f"{row['deviation']:.4f}"
        figures = (
            "-" if row["mean"] is None else f"{row['mean']:.4f} ± {deviation}, {row['best']:.4f}"
        )
        failed = [f"{row[kind]} {kind}" for kind in ("collapsed", "diverged") if row[kind]]
        lines.append(
            f"{row['learning_rate']:>13g} {row['batch_size']:>6} {row['runs']:>5}  {figures}"
            + (f" ({' and '.join(failed)}, left out)" if failed else "")
        )
    best = best_of(results)
    lines.append(f"Best: {best.name} with {metric} {best.value:.4f} at step {best.step}")
    collapsed = [result.name for result in results if result.is_collapsed]
    if collapsed:
        lines.append(
            f"Collapsed (the model says the same of every example): {', '.join(collapsed)}. More "
            "restarts, a lower learning rate, more epochs or --bias_correction help."
        )
    return lines


def summary(results: Sequence[RunResult]) -> list[dict[str, Any]]:
    """Mean and deviation over the restarts of each learning rate and batch size.

    Collapsed and diverged runs are left out of them.
    """
    rows = []
    for key in dict.fromkeys((r.learning_rate, r.batch_size) for r in results):
        runs = [r for r in results if (r.learning_rate, r.batch_size) == key]
        values = [r.value for r in runs if not (r.is_collapsed or r.is_diverged)]
        rows.append(
            {
                "learning_rate": key[0],
                "batch_size": key[1],
                "runs": len(runs),
                "collapsed": sum(r.is_collapsed for r in runs),
                "diverged": sum(r.is_diverged for r in runs),
                "mean": statistics.fmean(values) if values else None,
                "deviation": statistics.stdev(values) if len(values) > 1 else None,
                "best": max(values, default=None),
            }
        )
    return rows


def _write_table(folder: str, metric: str, results: Sequence[RunResult]) -> None:
    content = {
        "metric": metric,
        "best": best_of(results).name,
        "summary": summary(results),
        "runs": [dataclasses.asdict(result) for result in results],
    }
    with files.atomic_write(files.join_path(folder, "runs.json"), "w") as file:
        file.write(json.dumps(content, indent=2) + "\n")
    columns = ("name", "learning_rate", "batch_size", "seed", "step", "value", "is_collapsed")
    with files.atomic_write(files.join_path(folder, "runs.tsv"), "w") as file:
        file.write("\t".join((*columns[:-2], metric, "collapsed")) + "\n")
        for result in results:
            file.write("\t".join(str(getattr(result, column)) for column in columns) + "\n")
