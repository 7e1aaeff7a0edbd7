"""Tasks that are trained and evaluated on other examples than those of their splits.

In a cross-validation, the training examples are divided into folds:

    fold 1   [eval ] train   train   train   train
    fold 2    train [eval ]  train   train   train   ...

A student may be trained on unlabelled files. They are read as the task reads those that it
predicts: any labels in them are ignored.
"""

import abc
import dataclasses
import random
from collections.abc import Sequence
from typing import Any

from bert_tf.tasks.task import Task, find_task, options_of

_PARTS = ("train", "eval")
_FILE_OPTIONS = ("test_file", "predict_file")


@dataclasses.dataclass(frozen=True)
class OtherExamples(abc.ABC):
    """A task that reads some splits as those of `origin`; in everything else it is `task`."""

    task: Task

    def __getattr__(self, name: str) -> Any:
        if name == "task" or name.startswith("__"):  # While it is being unpickled.
            raise AttributeError(name)
        return getattr(self.task, name)

    @abc.abstractmethod
    def origin(self, split: str) -> tuple[Task, str]:
        """Returns the task and its split that a split's examples are of."""

    def sources(self, split: str) -> list[str]:
        task, split = self.origin(split)
        return task.sources(split)

    def read(self, split: str) -> Sequence[Any]:
        task, split = self.origin(split)
        return task.read(split)

    def features(self, split: str, max_seq_length: int) -> dict:
        return self.task.features(self.origin(split)[1], max_seq_length)

    def encode(self, example: Any, split: str, *how) -> Any:
        return self.task.encode(example, self.origin(split)[1], *how)


@dataclasses.dataclass(frozen=True)
class FoldTask(OtherExamples):
    """A task that evaluates on one fold of its training examples, and trains on the others."""

    num_folds: int
    number: int  # From 1.
    seed: int  # The division into folds depends on it alone.

    def splits(self, purpose: str) -> tuple[str, ...]:
        return (purpose,) if purpose in _PARTS else self.task.splits(purpose)

    def origin(self, split: str) -> tuple[Task, str]:
        return self.task, "train" if split in _PARTS else split

    def read(self, split: str) -> Sequence[Any]:
        """Returns the examples of this fold (`eval`) or of the others (`train`)."""
        examples = super().read(split)
        if split not in _PARTS:
            return examples
        groups = [self.task.fold_group(example) for example in examples]
        both = zip(examples, fold_numbers(examples, self.num_folds, self.seed, groups), strict=True)
        return [each for each, fold in both if (fold == self.number) == (split == "eval")]


def fold_numbers(
    examples: Sequence[Any], num_folds: int, seed: int, groups: Sequence[Any] = ()
) -> list[int]:
    """Returns the fold of each example, from 1. Each fold has about as many of every `label`.

    Args:
        groups: of each example, see `Task.fold_group`; by default all are divided freely.
    """
    places_by_group: dict[Any, list[int]] = {}
    for place, group in enumerate(groups or [None] * len(examples)):
        key = ("alone", place) if group is None else ("group", group)
        places_by_group.setdefault(key, []).append(place)
    order = list(places_by_group.values())
    if len(order) < num_folds:
        what = "" if len(order) == len(examples) else "sentences or passages of "
        raise ValueError(
            f"--num_folds={num_folds} is more than there are {what}training examples, {len(order)}."
        )
    random.Random(seed).shuffle(order)
    order.sort(key=lambda places: str(getattr(examples[places[0]], "label", "")))
    numbers = [0] * len(examples)
    for rank, places in enumerate(order):
        for place in places:
            numbers[place] = rank % num_folds + 1
    return numbers


@dataclasses.dataclass(frozen=True)
class UnlabelledTask(OtherExamples):
    """A task whose examples for training are those that `source` predicts."""

    source: Task

    def splits(self, purpose: str) -> tuple[str, ...]:
        if purpose == "train":
            self.source.splits("predict")
            return ("train",)
        return self.task.splits(purpose)

    def origin(self, split: str) -> tuple[Task, str]:
        is_other = split == "train"
        return (self.source, self.source.splits("predict")[0]) if is_other else (self.task, split)

    def calibrated(self, examples: Sequence[Any], answers: Sequence[Any]) -> "UnlabelledTask":
        return dataclasses.replace(self, task=self.task.calibrated(examples, answers))


def unlabelled_task(task: Task, paths: Sequence[str]) -> UnlabelledTask:
    """Returns a task that is trained on files without labels.

    Raises a ValueError if the task has no option for files to predict.
    """
    names = [f.name for f in options_of(task.name) if f.name in _FILE_OPTIONS]
    if not names:
        raise ValueError(
            f"--unlabelled_file is for tasks with an option {' or '.join(_FILE_OPTIONS)}; "
            f"{task.name} has none."
        )
    options = {f.name: getattr(task.options, f.name) for f in dataclasses.fields(task.options)}
    options[names[0]] = ",".join(paths)
    return UnlabelledTask(task, find_task(task.name, options, task.labels))
