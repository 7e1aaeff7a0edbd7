"""Defines the examples and answers of text classification.

TextExample("dev-1", "Amrozi accused his brother ...", "Referring to him as ...", "1")
TextAnswer("1", (0.0218, 0.9782))
"""

import dataclasses
import math

import numpy as np


def original_split(split: str) -> str:
    """Returns the original's name of a split: `dev_mismatched` for `eval_mismatched`."""
    return split.replace("eval", "dev").replace("predict", "test")


def to_number(text: str | float) -> float:
    """Returns a label as a number; NaN if it is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


@dataclasses.dataclass(frozen=True, slots=True)
class TextExample:
    """A text, or a pair of texts, to classify."""

    guid: str  # As in the original: `dev-17`.
    text_a: str
    text_b: str | None = None  # A text without tokens is treated like None.
    # A class, a number (also as text) or the tuple of all labels; None if unknown.
    label: str | float | tuple[str, ...] | None = None
    where: str = ""  # Its `file:line`, for error messages.


@dataclasses.dataclass(frozen=True, slots=True)
class TextAnswer:
    """The prediction for an example."""

    label: str | float | tuple[str, ...]  # The most likely class, the number, or all labels.
    # float32, one per class in the order of the labels; () for numbers.
    probabilities: tuple[np.float32, ...] = ()
