"""What is classified, and what is said of it: texts with labels, and answers.

TextExample("dev-1", "Amrozi accused his brother ...", "Referring to him as ...", "1")
TextAnswer("1", (0.0218, 0.9782))
"""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import numpy as np


@dataclasses.dataclass(frozen=True, slots=True)
class TextExample:
    """A text, or a pair of texts, to be classified.

    Args:
        guid: names the example, as the original release does: `dev-17`.
        text_a: the text.
        text_b: the second text of a pair. One without any token is as good as none.
        label: its class, or its number (a reader may give a number as text, too). None where it is
            not known: where predictions are wanted.
        where: `file:line` that it was read from, for errors.
    """

    guid: str
    text_a: str
    text_b: str | None = None
    label: str | float | None = None
    where: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class TextAnswer:
    """What the model says of an example.

    Args:
        label: the likeliest class, or the number.
        probabilities: float32, one for each class, in the order of the labels; () for numbers.
    """

    label: str | float
    probabilities: tuple[np.float32, ...] = ()


class TextReader(Protocol):
    """Reads a task's files. It can be pickled: a frozen dataclass at the top of a module.

    The splits for a purpose are called as it is (`train`, `eval`, `predict`), or begin with it and
    `_` (`eval_mismatched`).
    """

    def splits(self, purpose: str) -> tuple[str, ...]:
        """See `bert_tf.tasks.task.Task`."""

    def sources(self, split: str) -> list[str]:
        """See `bert_tf.tasks.task.Task`."""

    def read(self, split: str) -> Sequence[TextExample]:
        """All examples of a split, their labels as they stand in the file: they are checked here.

        Raises:
            ValueError: for rows that cannot be understood, with file and line.
        """
