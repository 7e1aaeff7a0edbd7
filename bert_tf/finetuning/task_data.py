"""A task's examples and features, each made once."""

from collections.abc import Sequence
from typing import Any, TextIO

import tensorflow as tf

from bert_tf import files
from bert_tf.data.feature_records import FeatureRecords
from bert_tf.finetuning.feature_files import FeatureFile, ensure_features
from bert_tf.settings import FinetuningSettings
from bert_tf.tasks.task import Task
from bert_tf.training import distribution
from bert_tf.training.workers import Workers


class TaskData:
    """What a task reads, and what the model is fed of it, by split.

    Args:
        settings: the run.
        task: what is learned.
        max_seq_length: tokens of a sequence at most.
        folder: where the features' files `SPLIT.tf_record` lie.
        strategy: the devices. Of several processes the chief makes the files.
        stream: where progress is shown.
    """

    def __init__(
        self,
        settings: FinetuningSettings,
        task: Task,
        max_seq_length: int,
        folder: str,
        strategy: tf.distribute.Strategy,
        stream: TextIO | None,
    ):
        self.settings = settings
        self.task = task
        self.max_seq_length = max_seq_length
        self.folder = folder
        self.workers = Workers(strategy)
        self.stream = self.workers.stream(stream)
        self._static_shapes = distribution.is_tpu(strategy)
        self._examples: dict[str, Sequence[Any]] = {}
        self._records: dict[str, tuple[FeatureFile, FeatureRecords]] = {}

    @property
    def is_bucketed(self) -> bool:
        """Whether batches are of similar length, and as long as their longest example."""
        is_wanted = self.settings.length_buckets and not self._static_shapes
        return is_wanted and not self.task.padding_matters

    def features(self, split: str) -> dict:
        """What the model is fed, by name."""
        return self.task.features(split, self.max_seq_length)

    def has_labels(self, split: str) -> bool:
        """Whether the features of a split have all that the loss needs."""
        return set(self.features("train")) <= set(self.features(split))

    def examples(self, split: str) -> Sequence[Any]:
        """All examples of a split, in the order in which answers are wanted."""
        if split not in self._examples:
            self._examples[split] = self.task.read(split)
        return self._examples[split]

    def prepare(self, purposes: Sequence[str]) -> None:
        """Makes the features of all splits: what cannot be read is said before training."""
        for purpose in purposes:
            for split in self.task.splits(purpose):
                self.records(split)

    def records(self, split: str) -> tuple[FeatureFile, FeatureRecords]:
        """The features of a split: made now, unless they are there already."""
        if split not in self._records:
            self._records[split] = self._make_records(split)
        return self._records[split]

    def _make_records(self, split: str) -> tuple[FeatureFile, FeatureRecords]:
        settings = self.settings
        files.make_directories(self.folder)
        path = files.join_path(self.folder, f"{split}.tf_record")
        # Training examples are not needed again once their features are made.
        read = self.task.read if split == "train" else self.examples
        if not self.workers.is_chief:
            self.workers.wait()  # The chief's files are found then.
        feature_file = ensure_features(
            self.task,
            split,
            lambda: read(split),
            path,
            vocab_file=settings.vocab_file,
            do_lower_case=settings.do_lower_case,
            max_seq_length=self.max_seq_length,
            num_workers=settings.num_workers,
            progress=self.stream,
        )
        if self.workers.is_chief:
            self.workers.wait()
        return feature_file, FeatureRecords(path, self.features(split), self.max_seq_length)
