"""Evaluates a model on pre-training records: loss and accuracies."""

from collections.abc import Callable
from typing import TextIO

import keras
import tensorflow as tf

from bert_tf import files
from bert_tf.pretraining.objective import PretrainingObjective, Totals
from bert_tf.pretraining.phases import RunPhase
from bert_tf.progress import Progress
from bert_tf.training import distribution
from bert_tf.training.prediction import Evaluator
from bert_tf.training.run import write_eval_results
from bert_tf.training.run_directory import EVALUATION, MetricsLog
from bert_tf.training.trainer import Batch
from bert_tf.training.workers import Workers


class PretrainingEvaluator:
    """Computes the metrics of a model on a phase's evaluation records.

    Args:
        objective: what the model predicts.
        model: made by the objective.
        strategy: the devices.
        stream: where progress is shown.
    """

    def __init__(
        self,
        objective: PretrainingObjective,
        model: keras.Model,
        strategy: tf.distribute.Strategy,
        stream: TextIO | None,
    ):
        self._objective = objective
        self._model = model
        self._strategy = strategy
        self._workers = Workers(strategy)
        self._stream = self._workers.stream(stream)
        self._evaluator = Evaluator(self._sums, objective.evaluation_metrics, strategy)
        self._latest: tuple[int, dict[str, float]] | None = None

    def metrics(
        self, phase: RunPhase, step: int, between_batches: Callable[[], None] = lambda: None
    ) -> dict[str, float]:
        """Returns the metrics of the weights that the model has after `step` steps.

        They are computed once for a step. `between_batches` may raise to end the evaluation.
        """
        if self._latest is None or self._latest[0] != step:
            self._latest = (step, self._evaluate(phase, between_batches))
        return self._latest[1]

    def evaluate_and_write(self, phase: RunPhase, step: int) -> dict[str, float]:
        """Evaluates, and writes `eval_results.txt` as the original does. Returns what it says."""
        metrics = self.metrics(phase, step)
        folder = phase.settings.output_dir
        with MetricsLog(folder, is_writer=self._workers.is_chief) as log:
            if not log.has(step, "eval_loss"):
                log.write(step, metrics, prefix=EVALUATION)
        results = {"global_step": step, **metrics}
        if self._workers.is_chief:
            write_eval_results(files.join_path(folder, "eval_results.txt"), results)
        return results

    def _evaluate(self, phase: RunPhase, between_batches: Callable[[], None]) -> dict[str, float]:
        settings, records = phase.settings, phase.eval_records
        max_batches = settings.max_eval_steps or None
        # The original repeats the training files until it has its number of batches.
        repeats = not settings.eval_file and max_batches is not None
        num_rows = distribution.padded_batch_size(self._strategy, settings.eval_batch_size)
        batches = distribution.distribute(
            self._strategy,
            lambda num_hosts, host_index: records.evaluation_batches(
                settings.eval_batch_size, max_batches, repeats, num_hosts, host_index, num_rows
            ),
            num_rows,
        )
        num_batches = -(-records.num_examples // settings.eval_batch_size)
        if max_batches is not None:
            num_batches = max_batches if repeats else min(num_batches, max_batches)
        with (
            Progress(num_batches, "batches", self._stream, label="eval") as progress,
            records.named_corruption(),
        ):

            def done(count: int) -> None:
                progress.update(count)
                between_batches()

            return self._evaluator.run(batches, done)

    def _sums(self, batch: Batch) -> Totals:
        outputs = self._model(self._model.select_features(batch), training=False)
        return self._objective.evaluation_sums(batch, outputs)
