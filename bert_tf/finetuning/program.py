"""Fine-tunes on any task, given by its name: one run, or a sweep with restarts.

run_finetuning(settings)
    checks -> model -> features -> train -> evaluate -> predict
"""

import logging
import os
from typing import TextIO

from bert_tf import files
from bert_tf.distillation.teacher import find_teacher
from bert_tf.finetuning.other_examples import unlabelled_task
from bert_tf.finetuning.run import FinetuningRun
from bert_tf.finetuning.sweep import run_sweep
from bert_tf.released.model_folder import read_description
from bert_tf.settings import FinetuningSettings
from bert_tf.tasks.task import PURPOSES, Task, find_task, options_chosen_in_training
from bert_tf.training import run_directory
from bert_tf.training.devices import make_strategy
from bert_tf.training.workers import together

logger = logging.getLogger(__name__)


def run_finetuning(
    settings: FinetuningSettings, stream: TextIO | None = None
) -> dict[str, float] | None:
    """Trains, evaluates and predicts; resumes where an earlier call was stopped.

    Returns: the metrics in `eval_results.txt`; None without `do_eval`.

    Raises:
        ValueError: before the first step, for inconsistent settings, data, config and checkpoints.
        NonFiniteLoss: naming the step.
        Interrupted: after SIGTERM or Ctrl-C, once everything is saved.
    """
    with together(make_strategy(settings), settings):
        if settings.do_train:
            run_directory.refuse_other_model(settings.output_dir)
        task = _make_task(settings)
        purposes = _find_purposes(settings, task)
        metrics = None
        if settings.is_sweep:
            run, metrics = run_sweep(settings, task, purposes, stream)
        else:
            run = FinetuningRun(settings, task, stream=stream)
            if not settings.do_train:
                run.restore()
            run.data.prepare(purposes)
            if settings.do_train:
                run.train()
        if "eval" in purposes:
            run.calibrate()
        if settings.do_predict:
            run.evaluator.predict_and_write()  # First, as it needs less: no labels.
        if metrics is None and (settings.do_eval or settings.is_sweep):
            metrics = run.evaluator.evaluate_and_write()
        if settings.do_train and run.workers.is_chief:
            run.write_card(settings.output_dir)
        return metrics


def _make_task(settings: FinetuningSettings) -> Task:
    """Makes the task, with the labels and chosen options of the trained model, if there is one."""
    options = {}
    for option in settings.task_options:
        name, equals, value = option.partition("=")
        if not equals:
            raise ValueError(f"A task option is written name=value. Received: {option!r}")
        options[name] = value
    folders, checkpoint = [settings.output_dir], settings.init_checkpoint
    if settings.teacher and settings.do_train:  # Its labels are the student's.
        folders += find_teacher(settings.teacher, settings.max_seq_length).folders
    if checkpoint and not settings.do_train:
        is_folder = files.is_directory(checkpoint)
        folders.append(checkpoint if is_folder else files.split_path(checkpoint)[0])
    descriptions = filter(None, map(read_description, folders))
    trained = next((d for d in descriptions if d.task == settings.task.lower()), None)
    if trained and not settings.do_train:
        for name, word in options_chosen_in_training(settings.task).items():
            if options.get(name, word) == word and name in trained.options:
                options[name] = trained.options[name]
    task = find_task(settings.task, options, trained.labels if trained else None)
    if not (settings.unlabelled_file and settings.do_train):
        return task
    if settings.num_folds:
        raise ValueError("--num_folds needs labels: it goes without --unlabelled_file.")
    return unlabelled_task(task, settings.unlabelled_file)


def _find_purposes(settings: FinetuningSettings, task: Task) -> list[str]:
    """Returns the `task.PURPOSES` that the settings need, after finding all their files."""
    wanted = {
        "train": settings.do_train,
        "eval": not settings.num_folds
        and (settings.do_eval or settings.is_sweep or bool(settings.eval_steps)),
        "predict": settings.do_predict,
    }
    sources = {
        purpose: [path for split in task.splits(purpose) for path in task.sources(split)]
        for purpose in PURPOSES
        if wanted[purpose]
    }
    for purpose, paths in sources.items():
        names = ", ".join(map(os.path.basename, paths))
        logger.info("%s: %s from %s", task.name, purpose, names)
    for path in {*sources.get("train", ())} & {*sources.get("eval", ())}:
        logger.warning("%s is trained on and evaluated: its metrics say little.", path)
    return list(sources)
