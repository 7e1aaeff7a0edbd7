"""Packs `[CLS] a [SEP] b [SEP]` in a TensorFlow graph, as `packing` does, for a whole batch.

Ids are ragged tensors, int32 [N, (T)], where N may be 0. Rows are padded to the longest one. A
`DoubledSeparator` stands twice between two texts, as there.

Source: google-research/bert, run_classifier.py, `convert_single_example`, and run_squad.py,
`convert_examples_to_features`.
"""

from typing import NamedTuple

import tensorflow as tf

from bert_tf.text.packing import num_between, num_special_tokens

Ids = tf.RaggedTensor  # int32 [N, (T)]


class PackedWindows(NamedTuple):
    """Holds the S windows of N passages, in the order of passages."""

    features: dict[str, tf.Tensor]  # As of `pack_texts`, int32 [S, L].
    owner: tf.Tensor  # int32 [S]: the index of the window's example.
    window_start: tf.Tensor  # int32 [S]: the index in the passage of its first token.
    window_length: tf.Tensor  # int32 [S]: the number of tokens of the passage.
    passage_start: tf.Tensor  # int32 [S]: the index in the row of its first token.


def pack_texts(
    ids_a: Ids, ids_b: Ids | None, cls_id: int, sep_id: int, max_seq_length: int
) -> dict[str, tf.Tensor]:
    """Packs one or two sequences per row, truncated as by `pack_truncated`.

    Empty rows of `ids_b`, or None, mean no second sequence. Returns `input_ids`, `input_mask` and
    `segment_ids`, int32 [N, L].
    """
    _check_at_least(3, "max_seq_length", max_seq_length)
    if ids_b is None:
        ids_b = ids_a[:, :0]
    lengths_a, lengths_b = _lengths(ids_a), _lengths(ids_b)
    # The longer one is cut to the length of the other, then both are; b gets less of an odd room.
    room = max_seq_length - num_special_tokens(sep_id, is_pair=True)
    beside = tf.minimum(lengths_a, tf.maximum(room - lengths_b, room - room // 2))
    kept_a = tf.where(lengths_b > 0, beside, tf.minimum(lengths_a, max_seq_length - 2))
    kept_b = tf.minimum(lengths_b, tf.maximum(room - lengths_a, room // 2))
    first_a, first_b = _first_indices(ids_a), _first_indices(ids_b)
    return _rows(_slices(ids_a, first_a, kept_a), _slices(ids_b, first_b, kept_b), cls_id, sep_id)


def pack_windows(
    question_ids: Ids | None,
    passage_ids: Ids,
    cls_id: int,
    sep_id: int,
    max_seq_length: int,
    doc_stride: int,
) -> PackedWindows:
    """Packs `[CLS] question [SEP] window [SEP]`, the windows as `packing.divide` makes them.

    Without questions it packs `[CLS] window [SEP]`. An empty passage has no window. Raises a
    tf.errors.InvalidArgumentError for a question that leaves no room for a token of its passage.
    """
    _check_at_least(3 if question_ids is None else 4, "max_seq_length", max_seq_length)
    _check_at_least(1, "doc_stride", doc_stride)
    lengths = _lengths(passage_ids)
    # A question's tokens, and the separators between it and the passage.
    before = tf.zeros_like(lengths)
    if question_ids is not None:
        before = _lengths(question_ids) + num_between(sep_id)
    room = max_seq_length - 2 - before
    tf.debugging.assert_positive(
        tf.where(lengths > 0, room, 1),
        f"A question leaves no room for its passage in {max_seq_length} tokens: cut it before.",
    )
    room = tf.maximum(room, 1)
    step = tf.minimum(room, doc_stride)
    num_steps = (tf.maximum(lengths - room, 0) + step - 1) // step
    num_windows = tf.where(lengths > 0, num_steps + 1, 0)
    owner, number = _numbered(num_windows)
    start = number * tf.gather(step, owner)
    length = tf.minimum(tf.gather(lengths, owner) - start, tf.gather(room, owner))
    first = tf.gather(_first_indices(passage_ids), owner) + start
    passages = _slices(passage_ids, first, length)
    if question_ids is None:
        rows = _rows(passages, passages[:, :0], cls_id, sep_id)
    else:
        rows = _rows(tf.gather(question_ids, owner), passages, cls_id, sep_id)
    passage_start = tf.gather(before, owner) + 1
    return PackedWindows(rows, owner, start, length, passage_start)


class PairWindows(NamedTuple):
    """Holds the S windows of N texts or pairs, in their order; each has at least one."""

    features: dict[str, tf.Tensor]  # As of `pack_texts`, int32 [S, L].
    owner: tf.Tensor  # int32 [S]: the index of the window's example.
    number: tf.Tensor  # int32 [S]: the index of the window among those of its example.


def pack_pair_windows(
    ids_a: Ids, ids_b: Ids, cls_id: int, sep_id: int, max_seq_length: int, stride: int
) -> PairWindows:
    """Packs the windows that `bert_tf.spans.long_texts.divide_pair` makes of texts or pairs."""
    _check_at_least(5, "max_seq_length", max_seq_length)
    lengths_a, lengths_b = _lengths(ids_a), _lengths(ids_b)
    shorter, longer = tf.minimum(lengths_a, lengths_b), tf.maximum(lengths_a, lengths_b)
    room = max_seq_length - 2 - num_between(sep_id) * tf.cast(lengths_b > 0, tf.int32)
    fits = lengths_a + lengths_b <= room
    kept = tf.where(fits, shorter, tf.minimum(shorter, room // 2))
    width = tf.where(fits, tf.maximum(longer, 1), room - kept)
    step = tf.minimum(width, stride) if stride else tf.maximum(width // 2, 1)
    num_windows = (tf.maximum(longer - width, 0) + step - 1) // step + 1
    owner, number = _numbered(num_windows)
    start = number * tf.gather(step, owner)
    length = tf.minimum(tf.gather(longer, owner) - start, tf.gather(width, owner))
    kept, is_a = tf.gather(kept, owner), tf.gather(lengths_a > lengths_b, owner)
    parts = [
        _slices(
            ids,
            tf.gather(_first_indices(ids), owner) + tf.where(is_divided, start, 0),
            tf.where(is_divided, length, kept),
        )
        for ids, is_divided in ((ids_a, is_a), (ids_b, ~is_a))
    ]
    return PairWindows(_rows(*parts, cls_id, sep_id), owner, number)


def _numbered(num_windows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns each window's example and its index among that example's windows, int32 [S]."""
    owner = tf.repeat(tf.range(tf.size(num_windows)), num_windows)
    first = tf.gather(tf.cumsum(num_windows, exclusive=True), owner)
    return owner, tf.range(tf.size(owner)) - first


def pack_slices(
    ids: Ids,
    first: tuple[tf.Tensor, tf.Tensor],
    second: tuple[tf.Tensor, tf.Tensor],
    cls_id: int,
    sep_id: int,
) -> dict[str, tf.Tensor]:
    """Packs two slices of each row, given by their starts and lengths, int32 [N].

    An empty second slice means no second sequence. Returns the features of `pack_texts`.
    """
    begins = _first_indices(ids)
    slices = (_slices(ids, begins + start, length) for start, length in (first, second))
    return _rows(*slices, cls_id, sep_id)


def _check_at_least(least: int, name: str, value: int) -> None:
    if value < least:
        raise ValueError(f"{name} must be {least} or more. Received: {value}")


def _lengths(ids: Ids) -> tf.Tensor:
    return tf.cast(ids.row_lengths(), tf.int32)


def _first_indices(ids: Ids) -> tf.Tensor:
    return tf.cast(ids.row_starts(), tf.int32)


def _slices(ids: Ids, first: tf.Tensor, lengths: tf.Tensor) -> Ids:
    indices = tf.ragged.range(first, first + lengths)
    return indices.with_values(tf.gather(ids.values, indices.values))


def _rows(a: Ids, b: Ids, cls_id: int, sep_id: int) -> dict[str, tf.Tensor]:
    """Packs and pads; rows with an empty b have one [SEP]."""
    lengths_a, lengths_b = _lengths(a), _lengths(b)
    once, has_b = tf.ones_like(lengths_a), tf.cast(lengths_b > 0, tf.int32)
    between = once + (num_between(sep_id) - 1) * has_b
    parts = [_repeated(cls_id, once), a, _repeated(sep_id, between), b, _repeated(sep_id, has_b)]
    input_ids = tf.concat([part.with_row_splits_dtype(tf.int64) for part in parts], 1).to_tensor()
    first_lengths = lengths_a + 2
    lengths = lengths_a + 1 + between + lengths_b + has_b
    indices = tf.range(tf.shape(input_ids)[1])
    is_token = indices < lengths[:, tf.newaxis]
    is_second = is_token & (indices >= first_lengths[:, tf.newaxis])
    segment_ids = tf.cast(is_second, tf.int32)
    return {
        "input_ids": input_ids,
        "input_mask": tf.cast(is_token, tf.int32),
        "segment_ids": segment_ids if num_between(sep_id) == 1 else tf.zeros_like(segment_ids),
    }


def _repeated(token_id: int, times: tf.Tensor) -> Ids:
    """Repeats a token in each row: int32 [N, (times)]."""
    values = tf.fill([tf.reduce_sum(times)], token_id)
    return tf.RaggedTensor.from_row_lengths(values, times, validate=False)
