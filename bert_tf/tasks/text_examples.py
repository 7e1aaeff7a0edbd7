"""Examples and answers of text classification, and the protocol of what reads the examples.

TextExample("dev-1", "Amrozi accused his brother ...", "Referring to him as ...", "1")
TextAnswer("1", (0.0218, 0.9782))
"""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import numpy as np


@dataclasses.dataclass(frozen=True, slots=True)
class TextExample:
    """A text, or a pair of texts, to classify.

    Args:
        guid: the example's name, as in the original release: `dev-17`.
        text_a: the text.
        text_b: the second text of a pair. A text without tokens is treated like None.
        label: the class or number (which a reader may give as text), or None if unknown.
        where: the `file:line` it was read from, for error messages.
    """

    guid: str
    text_a: str
    text_b: str | None = None
    label: str | float | None = None
    where: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class TextAnswer:
    """The prediction for an example.

    Args:
        label: the most likely class, or the number.
        probabilities: float32, one per class in the order of the labels; () for numbers.
    """

    label: str | float
    probabilities: tuple[np.float32, ...] = ()


class TextReader(Protocol):
    """Reads a task's files. It must be picklable: a frozen dataclass at the top of a module.

    The splits for a purpose have its name (`train`, `eval`, `predict`), or begin with it and `_`
    (`eval_mismatched`).
    """

    def splits(self, purpose: str) -> tuple[str, ...]:
        """See `bert_tf.tasks.task.Task`."""

    def sources(self, split: str) -> list[str]:
        """See `bert_tf.tasks.task.Task`."""

    def read(self, split: str) -> Sequence[TextExample]:
        """All examples of a split. The task checks their labels afterwards.

        Raises:
            ValueError: for invalid rows, with file and line.
        """
