"""Reads the examples and makes the features of a task's splits, once each."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any, TextIO

import numpy as np
import tensorflow as tf

from bert_tf import files
from bert_tf.config import BertConfig
from bert_tf.data.schema import Feature
from bert_tf.finetuning.feature_encoding import Encoding
from bert_tf.finetuning.feature_files import FeatureFile, ensure_features, report_truncated
from bert_tf.finetuning.feature_records import FeatureRecords
from bert_tf.progress import Progress
from bert_tf.settings import FinetuningSettings
from bert_tf.tasks.task import Task
from bert_tf.training import distribution
from bert_tf.training.prediction import OutputCollector
from bert_tf.training.workers import Workers


@dataclasses.dataclass
class TaskData:
    """The examples and features of a task, by split."""

    settings: FinetuningSettings
    task: Task
    max_seq_length: int  # Tokens of a sequence, padding included.
    folder: str  # Of the feature files, `SPLIT.tf_record`.
    strategy: tf.distribute.Strategy  # With several processes, the chief writes the files.
    stream: TextIO | None

    def __post_init__(self) -> None:
        self.workers = Workers(self.strategy)
        self.stream = self.workers.stream(self.stream)
        # Whether a batch has examples of similar length and is only as long as the longest.
        self.is_bucketed = self.settings.length_buckets and not (
            self.task.padding_matters or distribution.is_tpu(self.strategy)
        )
        self._examples: dict[str, Sequence[Any]] = {}
        self._records: dict[str, tuple[FeatureFile, FeatureRecords]] = {}

    def features(self, split: str) -> dict[str, Feature]:
        """Returns the features in the records of a split."""
        return self.task.features(split, self.max_seq_length)

    def examples(self, split: str) -> Sequence[Any]:
        """Returns all examples of a split, in the order of the answers."""
        if split not in self._examples:
            self._examples[split] = self.task.read(split)
        return self._examples[split]

    def prepare(self, purposes: Sequence[str]) -> None:
        """Makes the features of all splits, so that invalid data are reported before training.

        What evaluation and prediction need is read first, and even if its features exist.
        """
        splits = [split for purpose in purposes for split in self.task.splits(purpose)]
        for split in splits:
            if split != "train":
                self.examples(split)
        for split in splits:
            self.records(split)

    def records(self, split: str) -> tuple[FeatureFile, FeatureRecords]:
        """Returns the features of a split, made at the first call."""
        if split not in self._records:
            file, length = self._feature_file(split), self.max_seq_length
            windows = file.windows_per_example
            records = FeatureRecords(file.path, self.features(split), length, windows)
            self._records[split] = file, records
        return self._records[split]

    def outputs(
        self,
        split: str,
        collector: OutputCollector,
        batch_size: int,
        label: str,
        between_batches: Callable[[], None] = lambda: None,
    ) -> dict[str, np.ndarray]:
        """Returns what `collector` computes for the features of a split, in their order.

        `label` names the work in the progress bar; `between_batches` may raise to end it.
        """
        file, records = self.records(split)
        num_rows = distribution.padded_batch_size(collector.strategy, batch_size)
        batches = distribution.distribute(
            collector.strategy,
            lambda num_hosts, host_index: records.ordered_batches(
                batch_size, num_hosts, host_index, self.is_bucketed, num_rows
            ),
            num_rows,
        )
        with Progress(file.num_features, "examples", self.stream, label) as progress:

            def done(count: int) -> None:
                progress.update(count)
                between_batches()

            return collector.run(batches, file.num_features, done)

    def fingerprint(self) -> dict[str, Any]:
        """Returns everything that trained weights depend on, as JSON values."""
        feature_file, _ = self.records("train")
        options = dataclasses.asdict(self.task.options)
        return {
            **self.settings.fingerprint(),
            "max_seq_length": self.max_seq_length,
            "length_buckets": self.is_bucketed,
            # Files may be moved, and the file to predict does not affect the weights.
            "task_options": {n: v for n, v in options.items() if not n.endswith(("_file", "_dir"))},
            "data": {
                "files": [os.path.basename(path) for path in self.task.sources("train")],
                "num_examples": feature_file.num_examples,
            },
            "records": feature_file.sha256,
        }

    def _feature_file(self, split: str) -> FeatureFile:
        vocab_file, do_lower_case = self.settings.vocab_file, self.settings.do_lower_case
        model_type = BertConfig.from_json_file(self.settings.bert_config_file).model_type
        rules = (vocab_file, do_lower_case, self.max_seq_length, model_type)
        encoding = Encoding(self.task, split, *rules)
        # Training examples are not cached: only their features are needed later.
        read = self.task.read if split == "train" else self.examples
        path = files.join_path(self.folder, f"{split}.tf_record")
        if not self.workers.is_chief:
            self.workers.wait()  # Until the chief has written the file.
        feature_file = ensure_features(
            encoding, lambda: read(split), path, self.settings.num_workers, self.stream
        )
        report_truncated(encoding, feature_file)
        if self.workers.is_chief:
            self.workers.wait()
        return feature_file
