"""Sequences put together: against the original's way of doing it, one token at a time."""

import random

import pytest

from bert_tf.text.packing import divide, pack, pack_truncated, pad, truncate_pair


def truncated_one_by_one(a: list, b: list, max_tokens: int) -> tuple[list, list]:
    while len(a) + len(b) > max_tokens:
        (a if len(a) > len(b) else b).pop()
    return a, b


def test_a_pair_loses_the_end_of_the_longer_sequence_as_in_the_original():
    rng = random.Random(1)
    for _ in range(2000):
        a, b = list(range(rng.randint(0, 20))), list(range(rng.randint(0, 20)))
        max_tokens = rng.randint(0, 30)
        expected = truncated_one_by_one(a[:], b[:], max_tokens)
        truncate_pair(a, b, max_tokens)
        assert (a, b) == expected


def test_segments_are_numbered_and_each_ends_with_a_separator():
    assert pack(["who"], ["a", "king"], "[CLS]", "[SEP]") == (
        ["[CLS]", "who", "[SEP]", "a", "king", "[SEP]"],
        [0, 0, 0, 1, 1, 1],
    )
    assert pack([], [], "[CLS]", "[SEP]") == (["[CLS]", "[SEP]"], [0, 0])


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([1, 2, 3, 4], [], [8, 1, 2, 3, 9]),
        ([1, 2, 3, 4], [5, 6], [8, 1, 9, 5, 9]),
        ([1], [5], [8, 1, 9, 5, 9]),
    ],
)
def test_what_is_packed_has_at_most_so_many_tokens(a, b, expected):
    tokens, segment_ids = pack_truncated(a, b, 8, 9, 5)
    assert tokens == expected
    assert len(segment_ids) == len(tokens)
    assert len(a) in (1, 4)  # The arguments stay as they were.


def test_windows_cover_a_sequence_a_stride_apart():
    assert divide(10, 6, 2) == [(0, 6), (2, 6), (4, 6)]
    assert divide(6, 6, 2) == [(0, 6)]
    assert divide(7, 6, 10) == [(0, 6), (6, 1)]  # A stride beyond the window leaves nothing out.
    assert divide(0, 6, 2) == []


def test_every_token_is_in_a_window():
    rng = random.Random(2)
    for _ in range(500):
        num_tokens, size, stride = rng.randint(0, 60), rng.randint(1, 20), rng.randint(1, 20)
        windows = divide(num_tokens, size, stride)
        covered = {i for start, length in windows for i in range(start, start + length)}
        assert covered == set(range(num_tokens))
        assert all(0 < length <= size for _, length in windows)


def test_padding_is_zeros_at_the_end():
    assert pad([3, 4], 4) == [3, 4, 0, 0]
