"""Divides texts and pairs that are too long for the model into windows, and joins their outputs.

    text        t t t t t t t t t t         the pair's longer text is divided; the shorter one is
    window 0    t t t t t t                 in each window, at most half of it
    window 1          t t t t t t
    window 2                t t t t

Training learns the label from each window, and all windows of a text count as one example.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from bert_tf.settings.setting import Settings, setting
from bert_tf.text.packing import Window, divide, num_special_tokens, pack

AGGREGATES = ("mean", "max", "first")
SHORTEST = 5  # Tokens of a window: three special ones, and one of each text.


@dataclasses.dataclass(frozen=True, kw_only=True)
class LongTextOptions(Settings):
    """What tasks and models do with texts of more than max_seq_length tokens."""

    long_texts: str = setting(
        "truncate",
        "What is done with texts longer than max_seq_length: their end is cut off, or they are "
        "read in overlapping windows.",
        choices=("truncate", "windows"),
    )
    window_stride: int = setting(
        0, "Tokens between the starts of two windows; 0: half of what a window holds.", at_least=0
    )
    window_aggregate: str = setting(
        "mean",
        "How the windows' logits, or numbers, become those of the text: the mean or the maximum "
        "of each over all windows, or the first window's.",
        choices=AGGREGATES,
    )

    @property
    def has_windows(self) -> bool:
        return self.long_texts == "windows"


def check_window_length(max_seq_length: int) -> None:
    """Raises a ValueError if windows of this length cannot hold two texts."""
    if max_seq_length < SHORTEST:
        raise ValueError(
            f"--long_texts=windows needs a max_seq_length of at least {SHORTEST}. Received: "
            f"{max_seq_length}"
        )


def divide_pair(
    num_a: int, num_b: int, max_seq_length: int, stride: int, sep: int = 0
) -> tuple[list[tuple[Window, Window]], bool]:
    """Returns the parts of both texts in each window, and whether the shorter text was cut.

        divide_pair(9, 2, 9, 2)    # room for 6 tokens: [(0, 4), (0, 2)], [(2, 4), (0, 2)], ...

    Args:
        num_a, num_b: tokens of the texts; `num_b` is 0 for a single one.
        stride: as of `LongTextOptions.window_stride`.
        sep: the tokenizer's separator, of which there may be two between the texts.
    """
    room = max_seq_length - num_special_tokens(sep, bool(num_b))
    if num_a + num_b <= room:
        return [(Window(0, num_a), Window(0, num_b))], False
    kept = min(num_a, num_b, room // 2)
    width = room - kept
    windows = divide(max(num_a, num_b), width, stride or max(width // 2, 1))
    whole = Window(0, kept)
    pairs = [(window, whole) if num_a > num_b else (whole, window) for window in windows]
    return pairs, kept < min(num_a, num_b)


def pack_pair_windows(
    ids_a: Sequence[int], ids_b: Sequence[int], cls: int, sep: int, max_seq_length: int, stride: int
) -> tuple[list[tuple[list[int], list[int]]], bool]:
    """Returns ids and segments of each window, and whether the shorter text was cut."""
    parts, is_cut = divide_pair(len(ids_a), len(ids_b), max_seq_length, stride, sep)
    both = (((ids_a, a), (ids_b, b)) for a, b in parts)
    texts = ([ids[w.start : w.start + w.length] for ids, w in pair] for pair in both)
    return [pack(*pair, cls, sep) for pair in texts], is_cut


def aggregated(values: np.ndarray, aggregate: str) -> np.ndarray:
    """Returns the outputs of a text, [C], from those of its windows, [S, C]."""
    if aggregate == "first":
        return values[0]
    return values.mean(axis=0) if aggregate == "mean" else values.max(axis=0)
