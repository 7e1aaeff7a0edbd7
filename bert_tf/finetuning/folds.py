"""Divides a task's training examples into folds, for cross-validation.

fold 1   [eval ] train   train   train   train
fold 2    train [eval ]  train   train   train   ...
"""

import dataclasses
import random
from collections.abc import Sequence
from typing import Any

from bert_tf.tasks.task import Task

_PARTS = ("train", "eval")


@dataclasses.dataclass(frozen=True)
class FoldTask:
    """A task that evaluates on one fold of its training examples, and trains on the others."""

    task: Task
    num_folds: int
    number: int  # From 1.
    seed: int  # The division into folds depends on it alone.

    def __getattr__(self, name: str) -> Any:
        if name == "task" or name.startswith("__"):  # While it is being unpickled.
            raise AttributeError(name)
        return getattr(self.task, name)

    def splits(self, purpose: str) -> tuple[str, ...]:
        return (purpose,) if purpose in _PARTS else self.task.splits(purpose)

    def sources(self, split: str) -> list[str]:
        return self.task.sources(_original(split))

    def features(self, split: str, max_seq_length: int) -> dict:
        return self.task.features(_original(split), max_seq_length)

    def encode(self, example: Any, split: str, *how) -> Any:
        return self.task.encode(example, _original(split), *how)

    def read(self, split: str) -> Sequence[Any]:
        """Returns the examples of this fold (`eval`) or of the others (`train`)."""
        examples = self.task.read(_original(split))
        if split not in _PARTS:
            return examples
        folds = fold_numbers(examples, self.num_folds, self.seed)
        is_eval = split == "eval"
        both = zip(examples, folds, strict=True)
        return [each for each, fold in both if (fold == self.number) == is_eval]


def fold_numbers(examples: Sequence[Any], num_folds: int, seed: int) -> list[int]:
    """Returns the fold of each example, from 1. Each fold has about as many of every `label`."""
    if len(examples) < num_folds:
        raise ValueError(
            f"--num_folds={num_folds} is more than there are training examples, {len(examples)}."
        )
    order = list(range(len(examples)))
    random.Random(seed).shuffle(order)
    order.sort(key=lambda place: str(getattr(examples[place], "label", "")))
    numbers = [0] * len(examples)
    for rank, place in enumerate(order):
        numbers[place] = rank % num_folds + 1
    return numbers


def _original(split: str) -> str:
    return "train" if split in _PARTS else split
