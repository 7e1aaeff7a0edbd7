"""Packs, truncates and divides token sequences: `[CLS] a [SEP] b [SEP]`.

    input_ids     [CLS] who was he ? [SEP] a king of france [SEP]   (padding: 0)
    segment_ids     0    0   0   0 0   0   1  1   1    1      1     (padding: 0)
    input_mask      1    1   1   1 1   1   1  1   1    1      1     (padding: 0)

Sequences are lists of tokens or ids.

Source: google-research/bert, run_classifier.py, run_squad.py and extract_features.py.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

Token = TypeVar("Token")


class Window(NamedTuple):
    """Locates a part of a long sequence: the index of its first token, and its length in tokens."""

    start: int
    length: int


def truncate_pair(tokens_a: list, tokens_b: list, max_tokens: int) -> None:
    """Shortens two sequences in place until together they hold at most `max_tokens` tokens.

    The longer one loses its last token repeatedly; on a tie, `tokens_b`.
    """
    excess = len(tokens_a) + len(tokens_b) - max_tokens
    while excess > 0:
        longer = tokens_a if len(tokens_a) > len(tokens_b) else tokens_b
        # Until both are equally long, the longer one loses tokens alone.
        num_lost = min(excess, max(abs(len(tokens_a) - len(tokens_b)), 1))
        del longer[len(longer) - num_lost :]
        excess -= num_lost


def pack(
    tokens_a: Sequence[Token], tokens_b: Sequence[Token], cls: Token, sep: Token
) -> tuple[list[Token], list[int]]:
    """Returns `[CLS] a [SEP]`, or `[CLS] a [SEP] b [SEP]` if `tokens_b` is not empty, and the
    segment, 0 or 1, of each token."""
    tokens = [cls, *tokens_a, sep]
    segment_ids = [0] * len(tokens)
    if tokens_b:
        tokens += [*tokens_b, sep]
        segment_ids += [1] * (len(tokens_b) + 1)
    return tokens, segment_ids


def pack_truncated(
    tokens_a: Sequence[Token],
    tokens_b: Sequence[Token],
    cls: Token,
    sep: Token,
    max_seq_length: int,
) -> tuple[list[Token], list[int]]:
    """Packs like `pack`, after truncation to `max_seq_length` tokens by `truncate_pair`."""
    tokens_a, tokens_b = list(tokens_a), list(tokens_b)
    truncate_pair(tokens_a, tokens_b, max_seq_length - (3 if tokens_b else 2))
    return pack(tokens_a, tokens_b, cls, sep)


def is_truncated(tokens_a: Sequence[Token], tokens_b: Sequence[Token], max_seq_length: int) -> bool:
    """Returns whether `pack_truncated` leaves tokens out."""
    return len(tokens_a) + len(tokens_b) > max_seq_length - (3 if tokens_b else 2)


def divide(num_tokens: int, max_tokens: int, stride: int) -> list[Window]:
    """Returns windows of at most `max_tokens` tokens over a sequence, `stride` tokens apart.

        divide(10, 6, 2)    # [(0, 6), (2, 6), (4, 6)]

    The first window that reaches the end is the last. An empty sequence has none.

    Source: google-research/bert, run_squad.py, `convert_examples_to_features`.
    """
    windows: list[Window] = []
    start = end = 0
    while end < num_tokens:
        end = min(start + max_tokens, num_tokens)
        windows.append(Window(start, end - start))
        start += min(end - start, stride)
    return windows


def pad(values: Sequence[int], length: int) -> list[int]:
    """Returns `values` padded with zeros to `length`."""
    return [*values, *([0] * (length - len(values)))]
