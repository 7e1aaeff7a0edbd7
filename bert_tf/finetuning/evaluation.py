"""Computes and writes a model's answers to a task's examples and their metrics."""

import dataclasses
import logging
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from bert_tf import files
from bert_tf.config import read_json, write_json
from bert_tf.finetuning.objective import window_losses
from bert_tf.finetuning.other_examples import OtherExamples
from bert_tf.finetuning.task_data import TaskData
from bert_tf.model.feature_model import named_outputs
from bert_tf.tasks.evaluation_report import write_report
from bert_tf.tasks.task import Windows
from bert_tf.text.tokenizer import Tokenizer
from bert_tf.training.model_card import update_metrics
from bert_tf.training.prediction import OutputCollector
from bert_tf.training.run import write_eval_results
from bert_tf.training.run_directory import EVALUATION, MetricsLog
from bert_tf.training.trainer import Batch

logger = logging.getLogger(__name__)

_DATA_NAME = "eval_data.json"  # Digests of the features that were evaluated first.


class SplitAnswers(NamedTuple):
    """The answers to a split's examples, and the sums of each window's losses and weights."""

    answers: list[Any]
    losses: np.ndarray | None  # float32 [F]; None where the split has no labels.
    weights: np.ndarray | None  # float32 [F]

    def mean_loss(self) -> float:
        return float(np.sum(self.losses, dtype=np.float64) / np.sum(self.weights, dtype=np.float64))

    def mean_of_batches(self, batch_size: int) -> float:
        """Returns the original's `loss`: the mean over batches, even if the last one is smaller."""
        starts = range(0, len(self.losses), batch_size)
        batches = [slice(start, start + batch_size) for start in starts]
        return float(np.mean([self.losses[b].sum() / self.weights[b].sum() for b in batches]))


@dataclasses.dataclass
class TaskEvaluator:
    """Evaluates a model on a task's data, and predicts with it."""

    data: TaskData
    model: keras.Model  # Made by the task's `head`.
    tokenizer: Tokenizer  # The one used to make the features.
    step: int = 0  # Training steps of the weights.

    def __post_init__(self) -> None:
        self.task = self.data.task
        self.settings = self.data.settings
        # Training may be without labels.
        labelled = self.task.task if isinstance(self.task, OtherExamples) else self.task
        self._labelled_features = labelled.features("train", self.data.max_seq_length).keys()
        self._answers: dict[str, SplitAnswers] = {}
        self._collector = OutputCollector(self._outputs, self.data.strategy)

    def weights_changed(self, step: int) -> None:
        """Must be called when the model's weights change, to those after `step` training steps."""
        self.step = step
        self._answers.clear()

    def metrics(self, between_batches: Callable[[], None] = lambda: None) -> dict[str, float]:
        """Returns the metrics of all evaluation splits, such as `accuracy`, `mismatched_accuracy`.

        `between_batches` may raise to end the evaluation.
        """
        metrics = {}
        for split in self.task.splits("eval"):
            prefix = split.removeprefix("eval")
            for name, value in self._metrics_of(split, between_batches).items():
                metrics[f"{prefix}_{name}".lstrip("_")] = value
        return metrics

    def _metrics_of(
        self, split: str, between_batches: Callable[[], None] = lambda: None
    ) -> dict[str, float]:
        found = self.answers(split, between_batches)
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
        """Writes and returns all metrics: `eval_results.txt`, and a file for each further split.

        Other data than the output directory's first evaluation had get a folder in it.
        """
        is_chief, metrics = self.data.workers.is_chief, self.metrics()
        folder = self._results_folder()
        if folder == self.settings.output_dir:
            self._log_metrics(metrics)
        everything = {}
        for split in self.task.splits("eval"):
            suffix = split.removeprefix("eval")
            logger.info("***** Eval results%s *****", suffix.replace("_", " "))
            results = {f"eval_{name}": value for name, value in self._metrics_of(split).items()}
            results["global_step"] = self.step
            examples, found = self.data.examples(split), self.answers(split)
            if found.losses is not None:
                results["loss"] = found.mean_of_batches(self.settings.eval_batch_size)
            num_truncated = self.data.records(split)[0].num_truncated
            if num_truncated:  # Otherwise the file is the original's.
                results["eval_truncated"] = num_truncated / len(examples)
            if is_chief:
                write_eval_results(files.join_path(folder, f"eval_results{suffix}.txt"), results)
                self._explain_losses(results)
                write_report(
                    *(self.task, split, examples, found.answers, results, folder), num_truncated
                )
            everything.update({f"{name}{suffix}": value for name, value in results.items()})
        if is_chief:
            self._write_table(files.join_path(folder, "eval_results_by_split.tsv"))
            update_metrics(folder)
        return everything

    def _write_table(self, path: str) -> None:
        """Writes a line of metrics for each evaluation split, and their mean, if there are many."""
        splits = self.task.splits("eval")
        if len(splits) < 2:
            return
        title = getattr(self.task, "split_title", str)
        rows = {title(split): self._metrics_of(split) for split in splits}
        names = [name for name in rows[title(splits[0])] if all(name in r for r in rows.values())]
        rows["mean"] = {name: np.mean([row[name] for row in rows.values()]) for name in names}
        lines = ["\t".join(("split", *names))]
        lines += [
            "\t".join((key, *(f"{r[name]:.6g}" for name in names))) for key, r in rows.items()
        ]
        logger.info("***** Eval results by split *****")
        for line in lines:
            logger.info("  %s", line.replace("\t", "  "))
        with files.atomic_write(path, "w") as file:
            file.write("\n".join(lines) + "\n")

    def _results_folder(self) -> str:
        folder, splits = self.settings.output_dir, self.task.splits("eval")
        data = {split: self.data.records(split)[0].sha256 for split in splits}
        path = files.join_path(folder, _DATA_NAME)
        first = read_json(path, dict) if files.exists(path) else None
        self.data.workers.wait()  # Until all have looked.
        if first is None and self.data.workers.is_chief:
            write_json(path, data, indent=None)
        if first in (None, data):
            return folder
        source = self.task.sources(splits[0])[0]
        name = os.path.basename(source).partition(".")[0]
        folder = files.join_path(folder, f"eval_{name}-{data[splits[0]][:8]}")
        logger.info("%s is not what was evaluated here first. Its results: %s", source, folder)
        files.make_directories(folder)
        return folder

    def _log_metrics(self, metrics: dict[str, float]) -> None:
        with MetricsLog(self.settings.output_dir, is_writer=self.data.workers.is_chief) as log:
            logged = log.evaluation(self.step) or {}
            if logged.get(f"eval_{self.task.metric}") != metrics[self.task.metric]:
                log.write(self.step, metrics, EVALUATION)

    def _explain_losses(self, results: Mapping[str, float]) -> None:
        if abs(results.get("loss", 0.0) - results.get("eval_loss", 0.0)) > 1e-6:
            logger.info(
                "  (eval_loss is the mean over all examples. loss is the original's: the mean over "
                "batches, where the examples of a smaller last batch count more.)"
            )

    def is_collapsed(self) -> bool:
        """Returns whether all answers to the first evaluation split are the same."""
        split = self.task.splits("eval")[0]
        return self.task.is_collapsed(self.data.examples(split), self.answers(split).answers)

    def predict_and_write(self) -> list[str]:
        """Writes the predictions for the test set and, in the chief, returns the files' paths."""
        paths: list[str] = []
        for split in self.task.splits("predict"):
            examples, answers = self.data.examples(split), self.answers(split).answers
            if self.data.workers.is_chief:
                paths += self.task.write(split, examples, answers, self.settings.output_dir)
        if paths:
            logger.info("Predictions: %s", ", ".join(paths))
        return paths

    def answers(
        self, split: str, between_batches: Callable[[], None] = lambda: None
    ) -> SplitAnswers:
        """Returns the answers to a split's examples, cached until the weights change."""
        if split not in self._answers:
            self._answers[split] = self._compute(split, between_batches)
        return self._answers[split]

    def _compute(self, split: str, between_batches: Callable[[], None]) -> SplitAnswers:
        file, records = self.data.records(split)
        is_evaluation = split.startswith("eval")
        settings = self.settings
        batch_size = settings.eval_batch_size if is_evaluation else settings.predict_batch_size
        outputs = self.data.outputs(split, self._collector, batch_size, split, between_batches)
        losses, weights = outputs.pop("loss", None), outputs.pop("loss_weight", None)
        if set(outputs) == set(named_outputs(None)):
            (outputs,) = outputs.values()  # A head with one output returns it without a name.
        windows = Windows(file.windows_per_example, outputs, records.arrays)
        answers = self.task.predict(self.data.examples(split), windows, self.tokenizer)
        return SplitAnswers(answers, losses, weights)

    def _outputs(self, batch: Batch) -> Mapping[str, tf.Tensor]:
        """Returns the model's outputs and, if the batch has labels, the losses of its windows."""
        outputs = self.model(self.model.select_features(batch), training=False)
        has_labels = batch.keys() >= self._labelled_features
        losses = window_losses(self.task, batch, outputs) if has_labels else {}
        return {**named_outputs(outputs), **losses}
