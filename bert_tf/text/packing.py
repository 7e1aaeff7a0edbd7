"""[CLS] a [SEP] b [SEP]: the only place that puts sequences together, cuts and divides them.

    input_ids     [CLS] who was he ? [SEP] a king of france [SEP]   (padding: 0)
    segment_ids     0    0   0   0 0   0   1  1   1    1      1     (padding: 0)
    input_mask      1    1   1   1 1   1   1  1   1    1      1     (padding: 0)

Sequences are lists of anything: tokens or their ids. No TensorFlow.

Source: google-research/bert, run_classifier.py, run_squad.py and extract_features.py, which each
have a copy of this.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

Token = TypeVar("Token")


class Window(NamedTuple):
    """A stretch of a long sequence: its first token's place, and how many tokens it has."""

    start: int
    length: int


def truncate_pair(tokens_a: list, tokens_b: list, max_tokens: int) -> None:
    """Shortens two sequences in place until together they hold at most `max_tokens` tokens.

    The longer one loses its last token, again and again; on a tie, `tokens_b`.
    """
    excess = len(tokens_a) + len(tokens_b) - max_tokens
    while excess > 0:
        longer = tokens_a if len(tokens_a) > len(tokens_b) else tokens_b
        # All that the longer one has more than the other is lost by it alone.
        difference = abs(len(tokens_a) - len(tokens_b))
        num_lost = min(excess, max(difference, 1))
        del longer[len(longer) - num_lost :]
        excess -= num_lost


def pack(
    tokens_a: Sequence[Token], tokens_b: Sequence[Token], cls: Token, sep: Token
) -> tuple[list[Token], list[int]]:
    """`[CLS] a [SEP]`, or `[CLS] a [SEP] b [SEP]` where `tokens_b` is not empty.

    Returns: the tokens, and for each the number of its segment, 0 or 1.
    """
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
    """As `pack`, cut to `max_seq_length` tokens, [CLS] and [SEP] included.

    A single sequence loses its end; of a pair the longer one does, see `truncate_pair`.
    """
    tokens_a, tokens_b = list(tokens_a), list(tokens_b)
    if tokens_b:
        truncate_pair(tokens_a, tokens_b, max_seq_length - 3)
    else:
        del tokens_a[max_seq_length - 2 :]
    return pack(tokens_a, tokens_b, cls, sep)


def divide(num_tokens: int, max_tokens: int, stride: int) -> list[Window]:
    """Windows of at most `max_tokens` tokens over a sequence, `stride` tokens apart.

        divide(10, 6, 2)    # [(0, 6), (2, 6), (4, 6)]

    The last one is the first that reaches the end. A sequence without tokens has none.

    Source: google-research/bert, run_squad.py, `convert_examples_to_features`.
    """
    windows: list[Window] = []
    start = 0
    while start < num_tokens:
        length = min(num_tokens - start, max_tokens)
        windows.append(Window(start, length))
        if start + length == num_tokens:
            break
        start += min(length, stride)
    return windows


def pad(values: Sequence[int], length: int) -> list[int]:
    """`values`, with zeros after them up to `length`."""
    return [*values, *([0] * (length - len(values)))]
