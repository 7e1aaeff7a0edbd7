"""Pre-trains and evaluates a model.

Source: google-research/bert, run_pretraining.py.
"""

import contextlib
import dataclasses
import logging
from collections.abc import Mapping
from typing import TextIO

import keras

from bert_tf import files
from bert_tf.config import BertConfig
from bert_tf.model.encoders import make_encoder
from bert_tf.pretraining.evaluation import PretrainingEvaluator
from bert_tf.pretraining.model_folder import check_vocabulary, write_card, write_tokenizer_files
from bert_tf.pretraining.objectives import make_objective
from bert_tf.pretraining.phases import RunPhase, describe_records, fingerprint, open_phases
from bert_tf.settings import PretrainingSettings
from bert_tf.training import distribution, loop, run_directory
from bert_tf.training.checkpoint import NumberedCheckpoints, has_encoder, newest_step
from bert_tf.training.devices import make_strategy
from bert_tf.training.interruption import EvaluationLeft
from bert_tf.training.run import (
    TrainingRun,
    check_batch_size,
    check_length,
    describe_steps,
    precision,
    restore_weights,
)
from bert_tf.training.run_directory import EVALUATION, MetricsLog
from bert_tf.training.schedule import Schedule, make_schedule
from bert_tf.training.workers import Workers, together

logger = logging.getLogger(__name__)


def run_pretraining(
    settings: PretrainingSettings, stream: TextIO | None = None
) -> dict[str, float] | None:
    """Trains and evaluates as the settings say; run again, it resumes where it stopped.

    Shows progress on `stream`. Returns the evaluation's metrics, which are also written to
    `eval_results.txt`; None without `do_eval`.

    Raises:
        ValueError: if settings, records, config and checkpoints do not fit each other.
        NonFiniteLoss: naming the step.
        Interrupted: after SIGTERM or Ctrl-C, once everything is saved.
    """
    objective = make_objective(settings)
    config = BertConfig.from_json_file(settings.bert_config_file)
    if objective.is_causal:
        config = dataclasses.replace(config, is_causal=True)
    for _, of_phase in settings.by_phase():
        if of_phase.do_train:  # Another kind of file fits no length.
            files.refuse_other_kinds(files.expand_input_files(of_phase.input_file)[0], "records")
        check_length(of_phase.max_seq_length, config, settings.bert_config_file)
    strategy = make_strategy(settings)
    with together(strategy, settings):
        output_dir = settings.output_dir
        if settings.do_train:
            run_directory.refuse_other_model(output_dir)
        check_vocabulary(settings, config)
        run_directory.prepare_folder(output_dir)
        run_directory.check_model(output_dir, config.to_json_string())
        if settings.do_train:
            for _, of_phase in settings.by_phase():
                check_batch_size(of_phase, strategy)
        phases = open_phases(settings, config, objective)
        workers = Workers(strategy)
        records = [each for phase in phases for each in (phase.records, phase.eval_records)]
        workers.check_same({"the records": [describe_records(each) for each in records]})

        with strategy.scope(), precision(settings.mixed_precision):
            keras.utils.set_random_seed(settings.seed % 2**32)
            is_loaded = has_encoder(settings.init_checkpoint)
            model = objective.make_model(make_encoder(config, will_be_loaded=is_loaded))
        evaluator = PretrainingEvaluator(objective, model, strategy, stream)

        if settings.do_train:
            copies = settings.init_from_teacher
            run = TrainingRun(
                settings,
                model,
                objective,
                phases[-1].end,
                _schedule(phases[0]),
                strategy,
                is_trained=lambda name: not model.is_unneeded(name),
                stream=stream,
                initialize=(lambda: objective.initialize(model)) if copies else None,
            )
            if workers.is_chief:
                write_tokenizer_files(settings)
            also = getattr(objective, "fingerprint", dict)()
            step = _train(run, phases, evaluator, also)
        else:
            step = restore_weights(model, settings, workers)
        results = None
        if settings.do_eval:
            reached = next((phase for phase in phases if step <= phase.end), phases[-1])
            with MetricsLog(output_dir, is_writer=workers.is_chief) as log:
                results = evaluator.write(reached, step, log, output_dir)
        if settings.do_train and workers.is_chief:
            write_card(settings, config, phases[-1].records.num_examples, step)
        return results


def _train(
    run: TrainingRun,
    phases: tuple[RunPhase, ...],
    evaluator: PretrainingEvaluator,
    also: Mapping[str, str],
) -> int:
    """Trains all phases, from the newest checkpoint if any. Returns the step reached.

    `also` is what the weights depend on besides settings and records.
    """
    step = run.begin({**fingerprint(run.settings, phases), **also})
    if step >= phases[-1].end:
        logger.info("Training is complete at step %d; there is nothing to train.", step)
        if len(phases) == 1:
            return step
    with MetricsLog(run.settings.output_dir, step, run.workers.is_chief) as log:
        for phase in phases:
            if run.step < phase.end:
                log.hyperparameters(phase.settings)
                _train_phase(run, phase, evaluator, log)
            if phase.name and run.step == phase.end:
                _keep_phase(run, phase, evaluator, log)
    return run.step


def _schedule(phase: RunPhase) -> Schedule:
    """Returns the schedule of a phase or, if all share one, of the whole run."""
    settings = phase.settings
    return make_schedule(settings, settings.num_train_steps, settings.num_warmup_steps)


def _train_phase(
    run: TrainingRun, phase: RunPhase, evaluator: PretrainingEvaluator, log: MetricsLog
) -> None:
    if run.settings.phase_schedule == "each":
        run.optimizer.restart(phase.start, _schedule(phase))
    records, batch_size, seed = phase.records, phase.settings.train_batch_size, phase.settings.seed
    length = describe_steps(phase.end - phase.start, batch_size, records.num_examples)
    logger.info("%s", f"Phase {phase.name}: {length}" if phase.name else length)
    start_step = run.step - phase.start
    batches = distribution.distribute(
        run.strategy,
        lambda num_hosts, host_index: records.training_batches(
            batch_size, seed, start_step, num_hosts, host_index
        ),
        batch_size,
    )
    with records.named_corruption():
        for event in run.events(batches, log, phase.settings, phase.end):
            match event:
                case loop.Log(step, metrics):
                    log.write(step, metrics)
                case loop.Evaluate(step):
                    with contextlib.suppress(EvaluationLeft):
                        metrics = evaluator.metrics(phase, step, run.between_batches)
                        log.write(step, metrics, prefix=EVALUATION)
                case loop.Save(step):
                    run.save(step)


def _keep_phase(
    run: TrainingRun, phase: RunPhase, evaluator: PretrainingEvaluator, log: MetricsLog
) -> None:
    """Evaluates at the end of a phase, and keeps a checkpoint in the phase's folder."""
    step = run.step
    folder = files.join_path(run.settings.output_dir, f"phase_{phase.name}")
    kept = NumberedCheckpoints(folder, run.checkpoints.variables, keep=1)
    is_kept = newest_step(folder) == step
    run.workers.wait()  # All have seen the folder as it was.
    if run.workers.is_chief:
        files.make_directories(folder)
        kept.remove_unfinished()
    if is_kept:
        return
    if phase.eval_records is not None:
        evaluator.write(phase, step, log, folder)
    if run.workers.is_chief:
        kept.save(step)
