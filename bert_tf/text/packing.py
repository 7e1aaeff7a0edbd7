"""Packs, truncates and divides token sequences: `[CLS] a [SEP] b [SEP]`.

    input_ids     [CLS] who was he ? [SEP] a king of france [SEP]   (padding: 0)
    segment_ids     0    0   0   0 0   0   1  1   1    1      1     (padding: 0)
    input_mask      1    1   1   1 1   1   1  1   1    1      1     (padding: 0)

Sequences are lists of tokens or ids. Given a `DoubledSeparator`, a pair is packed as in RoBERTa:

    input_ids      <s>  who was he ? </s> </s> a king of france </s>
    segment_ids     0    0   0   0 0   0    0  0  0   0    0      0

Source: google-research/bert, run_classifier.py, run_squad.py and extract_features.py.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

Token = TypeVar("Token")
Tokens = Sequence[Token]  # All texts, or all ids.


class Window(NamedTuple):
    """Locates a part of a long sequence: the index of its first token, and its length in tokens."""

    start: int
    length: int


class DoubledSeparator(int):
    """The id of a separator that stands twice between two texts, which have one segment.

    Source: fairseq, examples/roberta; Hugging Face's RobertaTokenizer.
    """


def num_between(sep) -> int:
    """Returns how often a separator stands between the texts of a pair."""
    return 2 if isinstance(sep, DoubledSeparator) else 1


def num_special_tokens(sep, is_pair: bool) -> int:
    """Returns how many special tokens `pack` adds to a text or a pair."""
    return 2 + num_between(sep) if is_pair else 2


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
    tokens_a: Tokens, tokens_b: Tokens, cls: Token, sep: Token
) -> tuple[list[Token], list[int]]:
    """Returns `[CLS] a [SEP]`, or `[CLS] a [SEP] b [SEP]` if `tokens_b` is not empty, and the
    segment, 0 or 1, of each token."""
    tokens = [cls, *tokens_a, sep]
    segment_ids = [0] * len(tokens)
    if tokens_b:
        extra = num_between(sep) - 1
        tokens += [*[sep] * extra, *tokens_b, sep]
        segment_ids += [0 if extra else 1] * (len(tokens) - len(segment_ids))
    return tokens, segment_ids


def pack_truncated(
    tokens_a: Tokens, tokens_b: Tokens, cls: Token, sep: Token, max_seq_length: int
) -> tuple[list[Token], list[int]]:
    """Packs like `pack`, after truncation to `max_seq_length` tokens by `truncate_pair`."""
    tokens_a, tokens_b = list(tokens_a), list(tokens_b)
    truncate_pair(tokens_a, tokens_b, max_seq_length - num_special_tokens(sep, bool(tokens_b)))
    return pack(tokens_a, tokens_b, cls, sep)


def is_truncated(tokens_a: Tokens, tokens_b: Tokens, max_seq_length: int, sep: Token) -> bool:
    """Returns whether `pack_truncated` leaves tokens out, for this separator."""
    room = max_seq_length - num_special_tokens(sep, bool(tokens_b))
    return len(tokens_a) + len(tokens_b) > room


def pack_rows(
    pairs: Iterable[tuple[Sequence[int], Sequence[int]]], cls: int, sep: int, max_seq_length: int
) -> tuple[dict[str, list[int]], bool]:
    """Returns the features of several texts or pairs, each padded to `max_seq_length`, in a row.

    Also returns whether `pack_truncated` left tokens out of any.
    """
    row: dict[str, list[int]] = {"input_ids": [], "input_mask": [], "segment_ids": []}
    is_cut = False
    for pair in pairs:
        ids, segments = pack_truncated(*pair, cls, sep, max_seq_length)
        is_cut |= is_truncated(*pair, max_seq_length, sep)
        for values, own in zip(row.values(), (ids, [1] * len(ids), segments), strict=True):
            values += pad(own, max_seq_length)
    return row, is_cut


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
