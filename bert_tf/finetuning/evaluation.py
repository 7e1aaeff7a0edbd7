"""A fine-tuned model's answers: their figures, and the files that hold them."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any, TextIO

import keras
import numpy as np
import tensorflow as tf

from bert_tf import files
from bert_tf.data.feature_records import FeatureRecords
from bert_tf.finetuning.task_data import TaskData
from bert_tf.progress import Progress
from bert_tf.text.tokenization import FullTokenizer
from bert_tf.training import distribution, loop, run_directory
from bert_tf.training.prediction import OutputCollector
from bert_tf.training.run import write_eval_results

logger = logging.getLogger(__name__)


class TaskEvaluator:
    """Asks a model a task's questions.

    Args:
        data: the task's examples and features.
        model: made by the task's `head`.
        tokenizer: what the features were made with.
        strategy: the devices.
        folder: where results are written.
        stream: where progress is shown.
    """

    def __init__(
        self,
        data: TaskData,
        model: keras.Model,
        tokenizer: FullTokenizer,
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
        self._answers: dict[str, tuple[list[Any], np.ndarray | None]] = {}
        self._collectors = {
            has_loss: OutputCollector(self._output_step(has_loss), strategy)
            for has_loss in (True, False)
        }

    def weights_changed(self, step: int) -> None:
        """Forgets answers of earlier weights; the present ones have seen `step` steps."""
        self.step = step
        self._answers.clear()

    def figures(self, between_batches: Callable[[], None] = lambda: None) -> dict[str, float]:
        """The figures of all evaluation splits: `accuracy`, and `mismatched_accuracy` for a second
        split `eval_mismatched`. `between_batches` may raise to end it."""
        figures = {}
        for split in self.task.splits("eval"):
            self.answers(split, self.settings.eval_batch_size, between_batches)
            prefix = split.removeprefix("eval").removeprefix("_")
            for name, value in self._figures(split).items():
                figures[f"{prefix}_{name}" if prefix else name] = value
        return figures

    def _figures(self, split: str) -> dict[str, float]:
        answers, losses = self.answers(split, self.settings.eval_batch_size)
        figures = dict(self.task.score(self.data.examples(split), answers))
        if self.task.metric not in figures:
            raise ValueError(
                f"{', '.join(self.task.sources(split))}: there are no labels or right answers to "
                "compare with, so nothing can be evaluated; --do_predict needs none."
            )
        if losses is not None:
            figures["loss"] = float(np.mean(losses, dtype=np.float64))
        return figures

    def evaluate_and_write(self) -> dict[str, float]:
        """Evaluates, and writes `eval_results.txt`; one for each further split, too.

        Returns: what was written, of all splits.
        """
        folder = self.folder
        is_chief = self.workers.is_chief
        log = run_directory.open_log(folder, is_chief)
        with contextlib.closing(log):
            figures = self.figures()
            if log.value(self.step, f"eval_{self.task.metric}") != figures[self.task.metric]:
                log.write(self.step, figures, prefix="eval_")
        everything = {}
        for split in self.task.splits("eval"):
            suffix = split.removeprefix("eval")
            logger.info("***** Eval results%s *****", suffix.replace("_", " "))
            results = {f"eval_{name}": value for name, value in self._figures(split).items()}
            results["global_step"] = self.step
            _, losses = self.answers(split, self.settings.eval_batch_size)
            if losses is not None:
                results["loss"] = _mean_of_batches(losses, self.settings.eval_batch_size)
            if is_chief:
                write_eval_results(files.join_path(folder, f"eval_results{suffix}.txt"), results)
            everything.update({f"{name}{suffix}": value for name, value in results.items()})
        return everything

    def is_collapsed(self) -> bool:
        """Whether the model says the same of every example of the first evaluation split."""
        split = self.task.splits("eval")[0]
        answers, _ = self.answers(split, self.settings.eval_batch_size)
        return self.task.is_collapsed(self.data.examples(split), answers)

    def predict_and_write(self) -> list[str]:
        """Writes the predictions for the test set. Returns: the files' paths, in the chief."""
        paths: list[str] = []
        for split in self.task.splits("predict"):
            answers, _ = self.answers(split, self.settings.predict_batch_size)
            if self.workers.is_chief:
                paths += self.task.write(split, self.data.examples(split), answers, self.folder)
        if paths:
            logger.info("Predictions: %s", ", ".join(paths))
        return paths

    def answers(
        self, split: str, batch_size: int, between_batches: Callable[[], None] = lambda: None
    ) -> tuple[list[Any], np.ndarray | None]:
        """The answers to a split's examples, and their losses where the split has labels.

        Computed once for the present weights; `between_batches` may raise to end it.
        """
        if split not in self._answers:
            feature_file, records = self.data.records(split)
            has_loss = split.startswith("eval") and self.data.has_labels(split)
            num_features = feature_file.num_features
            with Progress(num_features, "examples", self.stream, label=split) as progress:

                def done(count: int) -> None:
                    progress.update(count)
                    between_batches()

                batches = self._ordered_batches(records, batch_size)
                outputs = self._collectors[has_loss].run(batches, num_features, done)
            losses = outputs.pop("loss", None)
            answers = self.task.predict(
                self.data.examples(split), outputs, self.tokenizer, self.data.max_seq_length
            )
            self._answers[split] = answers, losses
        return self._answers[split]

    def _ordered_batches(self, records: FeatureRecords, batch_size: int) -> Iterator:
        num_rows = distribution.padded_batch_size(self.strategy, batch_size)
        return distribution.distribute(
            self.strategy,
            lambda num_hosts, host_index: records.ordered_batches(
                batch_size, num_hosts, host_index, self.data.is_bucketed, num_rows
            ),
            num_rows,
        )

    def _output_step(self, has_loss: bool) -> Callable[[loop.Batch], dict[str, tf.Tensor]]:
        def step(batch: loop.Batch) -> dict[str, tf.Tensor]:
            outputs = self.model(batch, training=False)
            wanted = {name: outputs[name] for name in self.task.output_names}
            return {**wanted, "loss": self.task.loss(batch, outputs)} if has_loss else wanted

        return step


def _mean_of_batches(losses: np.ndarray, batch_size: int) -> float:
    """The original's `loss`: the mean of the batches' means, the last and smaller one included."""
    starts = range(0, len(losses), batch_size)
    return float(np.mean([losses[start : start + batch_size].mean() for start in starts]))
