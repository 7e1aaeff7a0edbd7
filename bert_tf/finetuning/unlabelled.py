"""A task that is trained on unlabelled examples, by its teacher's answers alone.

The files are read as the task reads those that it predicts: any labels in them are ignored.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from bert_tf.tasks.task import Task, find_task, options_of

_FILE_OPTIONS = ("test_file", "predict_file")


@dataclasses.dataclass(frozen=True)
class UnlabelledTask:
    """A task whose examples for training are those that `source` predicts."""

    labelled: Task
    source: Task

    def __getattr__(self, name: str) -> Any:
        if name in ("labelled", "source") or name.startswith("__"):  # While it is being unpickled.
            raise AttributeError(name)
        return getattr(self.labelled, name)

    @property
    def _split(self) -> str:
        return self.source.splits("predict")[0]

    def splits(self, purpose: str) -> tuple[str, ...]:
        if purpose == "train":
            self.source.splits("predict")
            return ("train",)
        return self.labelled.splits(purpose)

    def sources(self, split: str) -> list[str]:
        if split == "train":
            return self.source.sources(self._split)
        return self.labelled.sources(split)

    def read(self, split: str) -> Sequence[Any]:
        return self.source.read(self._split) if split == "train" else self.labelled.read(split)

    def features(self, split: str, max_seq_length: int) -> dict:
        of = self._split if split == "train" else split
        return self.labelled.features(of, max_seq_length)

    def encode(self, example: Any, split: str, *how) -> Any:
        return self.labelled.encode(example, self._split if split == "train" else split, *how)

    def calibrated(self, examples: Sequence[Any], answers: Sequence[Any]) -> "UnlabelledTask":
        return dataclasses.replace(self, labelled=self.labelled.calibrated(examples, answers))


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
