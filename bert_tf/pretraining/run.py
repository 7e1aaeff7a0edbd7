"""Pre-trains a model: from records to a checkpoint and its evaluation.

Source: google-research/bert, run_pretraining.py.
"""

import contextlib
import dataclasses
import logging
from collections.abc import Iterator
from typing import TextIO

import keras
import tensorflow as tf

from bert_tf import files
from bert_tf.config import BertConfig
from bert_tf.model.dropout import dropout_seeds
from bert_tf.model.encoder import make_encoder
from bert_tf.pretraining.evaluation import PretrainingEvaluator
from bert_tf.pretraining.objectives import find_objective
from bert_tf.pretraining.phases import (
    RunPhase,
    check_lengths,
    describe_records,
    fingerprint,
    open_phases,
    phase_that_reached,
    training_plan,
)
from bert_tf.settings import PretrainingSettings
from bert_tf.training import distribution, loop, run_directory
from bert_tf.training.checkpoint import NumberedCheckpoints, newest_step, remove_checkpoints
from bert_tf.training.devices import make_strategy
from bert_tf.training.interruption import EvaluationLeft
from bert_tf.training.run import (
    TrainingRun,
    check_batch_size,
    precision,
    restore_weights,
    write_eval_results,
)
from bert_tf.training.run_directory import EVALUATION, MetricsLog
from bert_tf.training.workers import Workers, together

logger = logging.getLogger(__name__)


def run_pretraining(
    settings: PretrainingSettings, stream: TextIO | None = None
) -> dict[str, float] | None:
    """Trains and evaluates as the settings say; run again, it resumes where it stopped.

    Args:
        settings: the run.
        stream: where progress is shown.

    Returns: the evaluation's metrics, which are also written to `eval_results.txt`; None without
        `do_eval`.

    Raises:
        ValueError: for settings, records, config and checkpoints that do not fit each other, before
            the first step.
        NonFiniteLoss: naming the step.
        Interrupted: after SIGTERM or Ctrl-C, once everything is saved.
    """
    objective = find_objective(settings.objective)
    config = BertConfig.from_json_file(settings.bert_config_file)
    if objective.is_causal:
        config = dataclasses.replace(config, is_causal=True)
    check_lengths(settings, config)
    strategy = make_strategy(settings)
    with together(strategy, settings):
        run_directory.prepare_folder(settings.output_dir)
        run_directory.check_model(settings.output_dir, config.to_json_string())
        if settings.do_train:
            for _, of_phase in settings.by_phase():
                check_batch_size(of_phase, strategy)
        phases = open_phases(settings, config, objective)
        workers = Workers(strategy)
        workers.check_same(describe_records(phases))

        with strategy.scope(), precision(settings.mixed_precision):
            keras.utils.set_random_seed(settings.seed % 2**32)
            model = objective.make_model(make_encoder(config))
        evaluator = PretrainingEvaluator(objective, model, strategy, stream)

        if settings.do_train:
            run = TrainingRun(
                settings,
                model,
                objective,
                training_plan(settings, phases),
                strategy,
                dropout_seeds,
                is_trained=lambda name: not model.is_unneeded(name),
                stream=stream,
            )
            step = _train(run, phases, evaluator, strategy)
        else:
            init_checkpoint = settings.init_checkpoint
            step = restore_weights(model, settings.output_dir, init_checkpoint, workers) or 0
        if not settings.do_eval:
            return None
        return evaluator.evaluate_and_write(phase_that_reached(phases, step), step)


def _train(
    run: TrainingRun,
    phases: tuple[RunPhase, ...],
    evaluator: PretrainingEvaluator,
    strategy: tf.distribute.Strategy,
) -> int:
    """Trains all phases, from the newest checkpoint if there is one. Returns the step reached."""
    step = run.begin(fingerprint(run.settings, phases))
    if step >= phases[-1].end:
        logger.info("Training is complete at step %d; there is nothing to train.", step)
        if len(phases) == 1:
            return step
    elif len(phases) == 1:
        logger.info("%s", run.describe(phases[0].records.num_examples))
    with MetricsLog(run.settings.output_dir, step, run.workers.is_chief) as log:
        for phase in phases:
            if run.step < phase.end:
                batches = _batches(phase, run.step, strategy)
                _train_phase(run, phase, evaluator, batches, log)
            if phase.name and run.step == phase.end:
                _keep_phase(run, phase, evaluator, log)
    return run.step


def _train_phase(
    run: TrainingRun,
    phase: RunPhase,
    evaluator: PretrainingEvaluator,
    batches: Iterator,
    log: MetricsLog,
) -> None:
    if phase.name:
        logger.info("%s", phase.describe())
    with (
        phase.records.named_corruption(),
        run.events(batches, log, phase.settings, phase.end) as events,
    ):
        for event in events:
            match event:
                case loop.Log(step, metrics):
                    log.write(step, metrics)
                case loop.Evaluate(step):
                    with contextlib.suppress(EvaluationLeft):
                        metrics = evaluator.metrics(phase, step, run.between_batches)
                        log.write(step, metrics, prefix=EVALUATION)
                case loop.Save(step):
                    run.save(step)


def _batches(phase: RunPhase, step: int, strategy: tf.distribute.Strategy) -> Iterator:
    """Returns the training batches of a phase from `step` on."""
    settings = phase.settings
    return distribution.distribute(
        strategy,
        lambda num_hosts, host_index: phase.records.training_batches(
            settings.train_batch_size, settings.seed, step - phase.start, num_hosts, host_index
        ),
        settings.train_batch_size,
    )


def _keep_phase(
    run: TrainingRun, phase: RunPhase, evaluator: PretrainingEvaluator, log: MetricsLog
) -> None:
    """Evaluates at the end of a phase, and keeps its checkpoint in a folder of its own."""
    step = run.step
    folder = files.join_path(run.settings.output_dir, f"phase_{phase.name}")
    kept = NumberedCheckpoints(folder, run.checkpoints.variables, keep=1)
    is_kept = newest_step(folder) == step
    run.workers.wait()  # All have seen the folder as it was.
    if run.workers.is_chief:
        kept.remove_unfinished()
    if is_kept:
        return
    if phase.eval_records is not None:
        metrics = evaluator.metrics(phase, step)
        if not log.has(step, "eval_loss"):
            log.write(step, metrics, prefix=EVALUATION)
    if not run.workers.is_chief:
        return
    files.make_directories(folder)
    if phase.eval_records is not None:
        results = {"global_step": step, **metrics}
        write_eval_results(files.join_path(folder, "eval_results.txt"), results)
    remove_checkpoints(folder)  # Those of a run with other settings, which was resumed with these.
    kept.save(step)
