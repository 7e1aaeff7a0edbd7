"""Computes a model's answers to a task's examples, their metrics, and writes both."""

import dataclasses
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TextIO

import keras
import numpy as np
import tensorflow as tf

from bert_tf import files
from bert_tf.data.feature_records import FeatureRecords
from bert_tf.finetuning.objective import window_losses
from bert_tf.finetuning.task_data import TaskData
from bert_tf.model.feature_model import named_outputs
from bert_tf.progress import Progress
from bert_tf.tasks.task import Windows
from bert_tf.text.tokenizer import Tokenizer
from bert_tf.training import distribution
from bert_tf.training.prediction import OutputCollector
from bert_tf.training.run import write_eval_results
from bert_tf.training.run_directory import MetricsLog
from bert_tf.training.trainer import Batch

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class SplitAnswers:
    """The answers to a split's examples.

    answers: one per example.
    losses, weights: float32 [F], of each window: the sum of its losses and of their weights; None
        where the split has no labels.
    """

    answers: list[Any]
    losses: np.ndarray | None
    weights: np.ndarray | None

    def mean_loss(self) -> float:
        """The weighted mean of the losses."""
        return float(np.sum(self.losses, dtype=np.float64) / np.sum(self.weights, dtype=np.float64))

    def mean_of_batches(self, batch_size: int) -> float:
        """The original's `loss`: the mean of the batches' means, smaller last batch included."""
        starts = range(0, len(self.losses), batch_size)
        batches = [slice(start, start + batch_size) for start in starts]
        return float(np.mean([self.losses[b].sum() / self.weights[b].sum() for b in batches]))


class TaskEvaluator:
    """Evaluates a model on a task, and predicts with it.

    Args:
        data: the task's examples and features.
        model: made by the task's `head`.
        tokenizer: the one that the features were made with.
        strategy: the devices.
        folder: where results are written.
        stream: where progress is shown.
    """

    def __init__(
        self,
        data: TaskData,
        model: keras.Model,
        tokenizer: Tokenizer,
        strategy: tf.distribute.Strategy,
        folder: str,
        stream: TextIO | None,
    ):
        self.data = data
        self.task = data.task
        self.settings = data.settings
        self.model = model
        self.tokenizer = tokenizer
        self.strategy = strategy
        self.workers = data.workers
        self.folder = folder
        self.stream = self.workers.stream(stream)
        self.step = 0
        self._answers: dict[str, SplitAnswers] = {}
        self._collectors = {
            has_loss: OutputCollector(self._output_step(has_loss), strategy)
            for has_loss in (True, False)
        }

    def weights_changed(self, step: int) -> None:
        """Must be called when the model has other weights, those after `step` training steps."""
        self.step = step
        self._answers.clear()

    def metrics(self, between_batches: Callable[[], None] = lambda: None) -> dict[str, float]:
        """The metrics of all evaluation splits: `accuracy`, and `mismatched_accuracy` for a second
        split `eval_mismatched`. `between_batches` may raise to end the evaluation."""
        metrics = {}
        for split in self.task.splits("eval"):
            self.answers(split, self.settings.eval_batch_size, between_batches)
            prefix = split.removeprefix("eval").removeprefix("_")
            for name, value in self._metrics_of(split).items():
                metrics[f"{prefix}_{name}" if prefix else name] = value
        return metrics

    def _metrics_of(self, split: str) -> dict[str, float]:
        found = self.answers(split, self.settings.eval_batch_size)
        metrics = dict(self.task.score(self.data.examples(split), found.answers))
        if self.task.metric not in metrics:
            raise ValueError(
                f"{', '.join(self.task.sources(split))}: there are no labels or correct answers to "
                "evaluate with. Give only --do_predict, which needs none."
            )
        if found.losses is not None:
            metrics["loss"] = found.mean_loss()
        return metrics

    def evaluate_and_write(self) -> dict[str, float]:
        """Evaluates, and writes `eval_results.txt`, and a file for each further split.

        Returns: what was written, of all splits.
        """
        is_chief = self.workers.is_chief
        with MetricsLog(self.folder, is_writer=is_chief) as log:
            metrics = self.metrics()
            if log.value(self.step, f"eval_{self.task.metric}") != metrics[self.task.metric]:
                log.write(self.step, metrics, prefix="eval_")
        everything = {}
        for split in self.task.splits("eval"):
            suffix = split.removeprefix("eval")
            logger.info("***** Eval results%s *****", suffix.replace("_", " "))
            results = {f"eval_{name}": value for name, value in self._metrics_of(split).items()}
            results["global_step"] = self.step
            found = self.answers(split, self.settings.eval_batch_size)
            if found.losses is not None:
                results["loss"] = found.mean_of_batches(self.settings.eval_batch_size)
            if is_chief:
                path = files.join_path(self.folder, f"eval_results{suffix}.txt")
                write_eval_results(path, results)
            everything.update({f"{name}{suffix}": value for name, value in results.items()})
        return everything

    def is_collapsed(self) -> bool:
        """Whether the model answers every example of the first evaluation split alike."""
        split = self.task.splits("eval")[0]
        found = self.answers(split, self.settings.eval_batch_size)
        return self.task.is_collapsed(self.data.examples(split), found.answers)

    def predict_and_write(self) -> list[str]:
        """Writes the predictions for the test set. Returns: the files' paths, in the chief."""
        paths: list[str] = []
        for split in self.task.splits("predict"):
            answers = self.answers(split, self.settings.predict_batch_size).answers
            if self.workers.is_chief:
                paths += self.task.write(split, self.data.examples(split), answers, self.folder)
        if paths:
            logger.info("Predictions: %s", ", ".join(paths))
        return paths

    def answers(
        self, split: str, batch_size: int, between_batches: Callable[[], None] = lambda: None
    ) -> SplitAnswers:
        """The answers to a split's examples, computed once for the model's present weights."""
        if split not in self._answers:
            self._answers[split] = self._compute(split, batch_size, between_batches)
        return self._answers[split]

    def _compute(
        self, split: str, batch_size: int, between_batches: Callable[[], None]
    ) -> SplitAnswers:
        feature_file, records = self.data.records(split)
        has_loss = split.startswith("eval") and self.data.has_labels(split)
        num_features = feature_file.num_features
        with Progress(num_features, "examples", self.stream, label=split) as progress:

            def done(count: int) -> None:
                progress.update(count)
                between_batches()

            batches = self._ordered_batches(records, batch_size)
            outputs = self._collectors[has_loss].run(batches, num_features, done)
        losses, weights = outputs.pop("loss", None), outputs.pop("loss_weight", None)
        if set(outputs) == set(named_outputs(None)):
            (outputs,) = outputs.values()  # A head with one output returns it without a name.
        windows = Windows(feature_file.windows_per_example, outputs, records.arrays)
        answers = self.task.predict(self.data.examples(split), windows, self.tokenizer)
        return SplitAnswers(answers, losses, weights)

    def _ordered_batches(self, records: FeatureRecords, batch_size: int) -> Iterator:
        num_rows = distribution.padded_batch_size(self.strategy, batch_size)
        return distribution.distribute(
            self.strategy,
            lambda num_hosts, host_index: records.ordered_batches(
                batch_size, num_hosts, host_index, self.data.is_bucketed, num_rows
            ),
            num_rows,
        )

    def _output_step(self, has_loss: bool) -> Callable[[Batch], Mapping[str, tf.Tensor]]:
        def step(batch: Batch) -> Mapping[str, tf.Tensor]:
            outputs = self.model(self.model.select_features(batch), training=False)
            losses = window_losses(self.task, batch, outputs) if has_loss else {}
            return {**named_outputs(outputs), **losses}

        return step
