"""Fine-tunes on any task, given by its name: one run, or a sweep with restarts.

run_finetuning(settings)
    checks -> model -> features -> train -> evaluate -> predict
"""

import logging
import os
from collections.abc import Sequence
from typing import TextIO

from bert_tf import files
from bert_tf.finetuning.run import FinetuningRun
from bert_tf.finetuning.sweep import run_sweep
from bert_tf.released.model_folder import read_description
from bert_tf.settings import FinetuningSettings
from bert_tf.tasks.task import PURPOSES, Task, find_task
from bert_tf.training.devices import make_strategy
from bert_tf.training.workers import together

logger = logging.getLogger(__name__)


def run_finetuning(
    settings: FinetuningSettings, stream: TextIO | None = None
) -> dict[str, float] | None:
    """Trains, evaluates and predicts as the settings say; run again, it resumes where it stopped.

    Args:
        settings: of the run.
        stream: where progress is shown.

    Returns: the evaluation's metrics, which are also written to `eval_results.txt`; None without
        `do_eval`.

    Raises:
        ValueError: for settings, data, config and checkpoints that do not fit each other, before
            the first step.
        NonFiniteLoss: naming the step.
        Interrupted: after SIGTERM or Ctrl-C, once everything is saved.
    """
    with together(make_strategy(settings), settings):
        task = make_task(settings)
        purposes = purposes_of(settings)
        _find_files(task, purposes)
        if settings.is_sweep:
            run = run_sweep(settings, task, purposes, stream)
        else:
            run = FinetuningRun(settings, task, stream=stream)
            if settings.do_train:
                run.data.prepare(purposes)
                run.train()
            else:
                run.restore()
        metrics = None
        if settings.do_eval or settings.is_sweep:
            metrics = run.evaluator.evaluate_and_write()
        if settings.do_predict:
            run.evaluator.predict_and_write()
        return metrics


def make_task(settings: FinetuningSettings) -> Task:
    """Makes the task of the settings, with the labels of the trained model, if there is one."""
    options = {}
    for option in settings.task_options:
        name, equals, value = option.partition("=")
        if not equals:
            raise ValueError(f"A task option is written name=value. Received: {option!r}")
        options[name] = value
    return find_task(settings.task, options, _saved_labels(settings))


def _saved_labels(settings: FinetuningSettings) -> Sequence[str] | None:
    folders = [settings.output_dir]
    if settings.init_checkpoint and not settings.do_train:
        is_folder = files.is_directory(settings.init_checkpoint)
        path = settings.init_checkpoint
        folders.append(path if is_folder else files.split_path(path)[0])
    for folder in folders:
        description = read_description(folder)
        if description is not None and description.task == settings.task.lower():
            return description.labels
    return None


def purposes_of(settings: FinetuningSettings) -> list[str]:
    """The `task.PURPOSES` that examples are needed for."""
    wanted = {
        "train": settings.do_train,
        "eval": settings.do_eval or settings.is_sweep or bool(settings.eval_steps),
        "predict": settings.do_predict,
    }
    return [purpose for purpose in PURPOSES if wanted[purpose]]


def _find_files(task: Task, purposes: Sequence[str]) -> None:
    """Finds the files of everything that is asked for, before anything long begins."""
    for purpose in purposes:
        paths = [path for split in task.splits(purpose) for path in task.sources(split)]
        names = ", ".join(os.path.basename(path) for path in paths)
        logger.info("%s: %s from %s", task.name, purpose, names)
