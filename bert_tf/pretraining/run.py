"""Pre-training: masked LM and next sentence prediction, from records to a checkpoint.

    run_pretraining(settings)
        checks everything -> model, optimizer -> restore or initialize -> train -> evaluate

Source: google-research/bert, run_pretraining.py.
"""

import contextlib
import logging
from collections.abc import Callable
from typing import TextIO

import keras
import tensorflow as tf

from bert_tf import files
from bert_tf.config import BertConfig
from bert_tf.model.heads import PretrainingModel
from bert_tf.pretraining.objective import (
    PretrainingObjective,
    evaluation_figures,
    evaluation_sums,
)
from bert_tf.pretraining.phases import (
    RunPhase,
    check_lengths,
    course,
    describe_records,
    learning_rate,
    open_phases,
    phase_that_reached,
)
from bert_tf.progress import Progress
from bert_tf.settings import PretrainingSettings
from bert_tf.training import distribution, loop, run_directory
from bert_tf.training.checkpoint import NumberedCheckpoints, newest_step, remove_checkpoints
from bert_tf.training.devices import make_strategy
from bert_tf.training.run import (
    TrainingRun,
    check_batch_size,
    precision,
    restore_weights,
    write_eval_results,
)
from bert_tf.training.workers import Workers, together

logger = logging.getLogger(__name__)


def run_pretraining(
    settings: PretrainingSettings, stream: TextIO | None = None
) -> dict[str, float] | None:
    """Trains and evaluates as the settings say; started again, it goes on where it was.

    Args:
        settings: the run.
        stream: where progress is shown.

    Returns: the evaluation's figures, which are also written to `eval_results.txt`; None without
        `do_eval`.

    Raises:
        ValueError: for settings, records, config and checkpoints that do not fit each other, before
            the first step.
        loop.NonFiniteLoss: naming the step.
        Interrupted: after SIGTERM or Ctrl-C, when all is saved.
    """
    config = BertConfig.from_json_file(settings.bert_config_file)
    check_lengths(settings, config)
    strategy = make_strategy(settings)
    with together(strategy, settings):
        return _train_and_evaluate(settings, config, strategy, stream)


def _train_and_evaluate(
    settings: PretrainingSettings,
    config: BertConfig,
    strategy: tf.distribute.Strategy,
    stream: TextIO | None,
) -> dict[str, float] | None:
    run_directory.prepare_folder(settings.output_dir)
    run_directory.check_model(settings.output_dir, config.to_json_string())
    if settings.do_train:
        for _, of_phase in settings.by_phase():
            check_batch_size(of_phase, strategy)
    phases = open_phases(settings, config)
    Workers(strategy).check_same(describe_records(phases))
    with strategy.scope(), precision(settings.mixed_precision):
        keras.utils.set_random_seed(settings.seed % 2**32)
        model = PretrainingModel(config)
    run = _Run(settings, model, strategy, phases, stream)
    if settings.do_train:
        schedule, restarts = learning_rate(settings, phases)
        training = TrainingRun(
            settings,
            model,
            PretrainingObjective(),
            settings.num_steps,
            settings.num_warmup_steps,
            strategy,
            stream=stream,
            schedule=schedule,
            restarts=restarts,
        )
        run.train(training)
    else:
        run.step = (
            restore_weights(model, settings.output_dir, settings.init_checkpoint, run.workers) or 0
        )
        run.phase = phase_that_reached(phases, run.step)
    return run.evaluate_and_write() if settings.do_eval else None


class _Run:
    """What the steps of a run share."""

    def __init__(
        self,
        settings: PretrainingSettings,
        model: PretrainingModel,
        strategy: tf.distribute.Strategy,
        phases: tuple[RunPhase, ...],
        stream: TextIO | None,
    ):
        self.settings = settings
        self.model = model
        self.strategy = strategy
        self.workers = Workers(strategy)
        self.phases = phases
        self.phase = phases[-1]
        self.evaluator = loop.Evaluator(self._eval_step, evaluation_figures, strategy)
        self.stream = self.workers.stream(stream)
        self.step = 0
        self._evaluated: tuple[int, dict[str, float]] | None = None

    def train(self, run: TrainingRun) -> None:
        """Trains to the last step, from the newest checkpoint or else from the beginning."""
        self.step = run.begin(course(self.settings, self.phases))
        if self.step >= run.num_steps:
            logger.info("Training is complete at step %d; there is nothing to train.", self.step)
            if len(self.phases) == 1:
                return
        elif len(self.phases) == 1:
            logger.info("%s", run.describe(self.phase.records.num_examples))
        log = run_directory.open_log(self.settings.output_dir, self.workers.is_chief, self.step)
        with contextlib.closing(log):
            for phase in self.phases:
                if self.step <= phase.end:
                    self._train_phase(run, phase, log)

    def _train_phase(
        self, run: TrainingRun, phase: RunPhase, log: run_directory.MetricsLog | run_directory.NoLog
    ) -> None:
        """Trains to the last step of a phase, unless it is reached, and keeps what came of it."""
        self.phase, settings = phase, phase.settings
        run.enter(settings, phase.end)
        if self.step < phase.end:
            if phase.name:
                logger.info("%s", phase.describe())
            batches = distribution.distribute(
                self.strategy,
                lambda num_hosts, host_index: phase.records.training_batches(
                    settings.train_batch_size,
                    settings.seed,
                    self.step - phase.start,
                    num_hosts,
                    host_index,
                ),
                settings.train_batch_size,
            )
            with phase.records.named_corruption():
                self.step = run.train(batches, log, self.evaluate)
        if phase.name and self.step == phase.end:
            self._keep(run, phase, log)

    def _keep(
        self, run: TrainingRun, phase: RunPhase, log: run_directory.MetricsLog | run_directory.NoLog
    ) -> None:
        """Evaluates at the end of a phase, and leaves its checkpoint in a folder of its own."""
        folder = files.join_path(self.settings.output_dir, f"phase_{phase.name}")
        kept = NumberedCheckpoints(folder, run.checkpoints.variables, keep=1)
        is_kept = newest_step(folder) == self.step
        self.workers.wait()  # All have seen the folder as it was.
        if self.workers.is_chief:
            kept.remove_unfinished()
        if is_kept:
            return
        if phase.eval_records is not None:
            figures = self.evaluate(self.step)
            if not log.has(self.step, "eval_loss"):
                log.write(self.step, figures, prefix="eval_")
        if not self.workers.is_chief:
            return
        files.make_directories(folder)
        if phase.eval_records is not None:
            results = {"global_step": self.step, **figures}
            write_eval_results(files.join_path(folder, "eval_results.txt"), results)
        remove_checkpoints(folder)  # Those of another course, which was gone on with otherwise.
        kept.save(self.step)

    def evaluate(
        self, step: int, between_batches: Callable[[], None] = lambda: None
    ) -> dict[str, float]:
        """Loss and accuracy of both tasks on the evaluation records, with the present weights."""
        if self._evaluated is None or self._evaluated[0] != step:
            self._evaluated = (step, self._evaluate(between_batches))
        return self._evaluated[1]

    def _evaluate(self, between_batches: Callable[[], None]) -> dict[str, float]:
        settings, records = self.phase.settings, self.phase.eval_records
        max_batches = settings.max_eval_steps or None
        # The original goes over the training files again until it has its number of batches.
        repeats = not settings.eval_file and max_batches is not None
        num_rows = distribution.padded_batch_size(self.strategy, settings.eval_batch_size)
        iterator = distribution.distribute(
            self.strategy,
            lambda num_hosts, host_index: records.evaluation_batches(
                settings.eval_batch_size, max_batches, repeats, num_hosts, host_index, num_rows
            ),
            num_rows,
        )
        num_batches = -(-records.num_examples // settings.eval_batch_size)
        if max_batches is not None:
            num_batches = max_batches if repeats else min(num_batches, max_batches)
        with (
            Progress(num_batches, "batches", self.stream, label="eval") as progress,
            records.named_corruption(),
        ):

            def done(count: int) -> None:
                progress.update(count)
                between_batches()

            return self.evaluator.run(iterator, done)

    def _eval_step(self, batch: loop.Batch) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
        return evaluation_sums(batch, self.model(batch, training=False))

    def evaluate_and_write(self) -> dict[str, float]:
        """Evaluates, and writes `eval_results.txt` as the original does."""
        figures = self.evaluate(self.step)
        folder = self.settings.output_dir
        log = run_directory.open_log(folder, self.workers.is_chief)
        with contextlib.closing(log):
            if not log.has(self.step, "eval_loss"):
                log.write(self.step, figures, prefix="eval_")
        results = {"global_step": self.step, **figures}
        if self.workers.is_chief:
            write_eval_results(files.join_path(folder, "eval_results.txt"), results)
        return results
