"""Evaluates a model on pre-training records: loss and accuracies."""

import dataclasses
import functools
import logging
from collections.abc import Callable, Iterator
from typing import TextIO

import keras
import tensorflow as tf

from bert_tf import files
from bert_tf.pretraining.objective import PretrainingObjective, Totals
from bert_tf.pretraining.phases import RunPhase
from bert_tf.progress import Progress
from bert_tf.training import distribution
from bert_tf.training.model_card import update_metrics
from bert_tf.training.run import write_eval_results
from bert_tf.training.run_directory import EVALUATION, MetricsLog
from bert_tf.training.trainer import Batch
from bert_tf.training.workers import Workers

logger = logging.getLogger(__name__)

# Ends the name of the accuracy of a model that always predicts the more frequent of two labels.
_BASELINE = "_majority_accuracy"


@dataclasses.dataclass
class PretrainingEvaluator:
    """Computes a model's metrics on a phase's evaluation records."""

    objective: PretrainingObjective
    model: keras.Model
    strategy: tf.distribute.Strategy
    stream: TextIO | None  # Where progress is shown.

    def __post_init__(self) -> None:
        self._run = tf.function(self._distributed_step, reduce_retracing=True, autograph=False)
        self._latest: tuple[int, dict[str, float]] = (-1, {})

    def metrics(
        self, phase: RunPhase, step: int, between_batches: Callable[[], None] = lambda: None
    ) -> dict[str, float]:
        """Returns the metrics at `step`, computed once; `between_batches` may raise to end that."""
        if self._latest[0] != step:
            self._latest = (step, self._evaluate(phase, between_batches))
        return self._latest[1]

    def write(self, phase: RunPhase, step: int, log: MetricsLog, folder: str) -> dict[str, float]:
        """Writes the metrics to the log and, as the original does, to `eval_results.txt`."""
        metrics = self.metrics(phase, step)
        baselines = {name: value for name, value in metrics.items() if name.endswith(_BASELINE)}
        results = {"global_step": step, **metrics}
        results = {name: value for name, value in results.items() if name not in baselines}
        if log.is_writer:
            if log.evaluation(step) is None:
                log.write(step, metrics, prefix=EVALUATION)
            write_eval_results(files.join_path(folder, "eval_results.txt"), results)
            update_metrics(folder)
            for name, value in baselines.items():
                logger.info("  (Always the more frequent label: %s = %.4f)", name, value)
        return results

    def _evaluate(self, phase: RunPhase, between_batches: Callable[[], None]) -> dict[str, float]:
        settings, records = phase.settings, phase.eval_records
        max_batches = settings.max_eval_steps or None
        # The original repeats the training files until it has its number of batches.
        repeats = not settings.eval_file and max_batches is not None
        num_rows = distribution.padded_batch_size(self.strategy, settings.eval_batch_size)
        batches = distribution.distribute(
            self.strategy,
            lambda num_hosts, host_index: records.evaluation_batches(
                settings.eval_batch_size, max_batches, repeats, num_hosts, host_index, num_rows
            ),
            num_rows,
        )
        num_batches = -(-records.num_examples // settings.eval_batch_size)
        if max_batches is not None:
            num_batches = max_batches if repeats else min(num_batches, max_batches)
        stream = Workers(self.strategy).stream(self.stream)
        progress = Progress(num_batches, "batches", stream, label="eval")

        def done(count: int) -> None:
            progress.update(count)
            between_batches()

        with progress, records.named_corruption():
            metrics = self.means(batches, done)
        for name in [name for name in metrics if name.endswith("_positives")]:
            share = metrics.pop(name)
            metrics[name.replace("_positives", _BASELINE)] = max(share, 1 - share)
        return metrics

    def means(
        self, batches: Iterator, on_progress: Callable[[int], None] = lambda count: None
    ) -> dict[str, float]:
        """Returns each metric's mean over distributed batches; 0 without batches."""
        totals: dict[str, tuple[float, float]] = {}
        for batch in batches:
            for name, (value, weight) in self._run(batch).items():
                values, weights = totals.get(name, (0.0, 0.0))
                totals[name] = (values + float(value), weights + float(weight))
            on_progress(1)
        return {name: total / weight if weight else 0.0 for name, (total, weight) in totals.items()}

    def _distributed_step(self, batch: Batch) -> Totals:
        totals = self.strategy.run(self._replica_step, args=(batch,))
        local = self.strategy.experimental_local_results
        return tf.nest.map_structure(lambda x: local(x)[0], totals)

    def _replica_step(self, batch: Batch) -> Totals:
        outputs = self.model(self.model.select_features(batch), training=False)
        context = tf.distribute.get_replica_context()
        all_reduce = functools.partial(context.all_reduce, tf.distribute.ReduceOp.SUM)
        return self.objective.metrics(batch, outputs, all_reduce)
