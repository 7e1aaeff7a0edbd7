"""[CLS] a [SEP] b [SEP] inside a TensorFlow graph: what `packing` does, for a whole batch at once.

    ids, questions and passages     RaggedTensor int32 [N, (T)], as `GraphTokenizer` gives them
    pack_texts                      a row for each text or pair, cut to the model's length
    pack_windows                    a row for each window of each passage

What comes back is padded to its longest row, and N may be 0.

Source: google-research/bert, run_classifier.py, `convert_single_example`, and run_squad.py,
`convert_examples_to_features`.
"""

from typing import NamedTuple

import tensorflow as tf

# [CLS] a [SEP], [CLS] a [SEP] b [SEP]
_NUM_SPECIAL_OF_ONE = 2
_NUM_SPECIAL_OF_PAIR = 3


class PackedWindows(NamedTuple):
    """The windows of N passages, S in all; those of one passage follow each other.

    features: `input_ids`, `input_mask` and `segment_ids`, int32 [S, L].
    owner: int32 [S], which example a window is of.
    window_start: int32 [S], the place in the passage of its first token.
    window_length: int32 [S], how many tokens of the passage it has.
    passage_start: int32 [S], where in the row they start.
    """

    features: dict[str, tf.Tensor]
    owner: tf.Tensor
    window_start: tf.Tensor
    window_length: tf.Tensor
    passage_start: tf.Tensor


def pack_texts(
    ids_a: tf.RaggedTensor,
    ids_b: tf.RaggedTensor | None,
    cls_id: int,
    sep_id: int,
    max_seq_length: int,
) -> dict[str, tf.Tensor]:
    """Rows of one or two sequences, cut as `pack_truncated` cuts them.

    Args:
        ids_a, ids_b: int32 [N, (T)]; a row of `ids_b` that is empty, or None for all, is no second
            sequence.
        cls_id, sep_id: of [CLS] and [SEP].
        max_seq_length: how many tokens a row has at most; 3 or more.

    Returns: `input_ids`, `input_mask` and `segment_ids`, int32 [N, L], L that of the longest row.
    """
    _check_at_least(_NUM_SPECIAL_OF_PAIR, "max_seq_length", max_seq_length)
    lengths_a = _lengths(ids_a)
    alone = tf.minimum(lengths_a, max_seq_length - _NUM_SPECIAL_OF_ONE)
    if ids_b is None:
        return _rows(_slices(ids_a, alone), None, cls_id, sep_id)
    lengths_b = _lengths(ids_b)
    # The longer one is cut until both are equal, then both are; of an odd number b has less.
    room = max_seq_length - _NUM_SPECIAL_OF_PAIR
    beside = tf.minimum(lengths_a, tf.maximum(room - lengths_b, room - room // 2))
    kept_a = tf.where(lengths_b > 0, beside, alone)
    kept_b = tf.minimum(lengths_b, tf.maximum(room - lengths_a, room // 2))
    return _rows(_slices(ids_a, kept_a), _slices(ids_b, kept_b), cls_id, sep_id)


def pack_windows(
    question_ids: tf.RaggedTensor,
    passage_ids: tf.RaggedTensor,
    cls_id: int,
    sep_id: int,
    max_seq_length: int,
    doc_stride: int,
) -> PackedWindows:
    """Rows `[CLS] question [SEP] window [SEP]`, the windows as `packing.divide` makes them.

    Args:
        question_ids: int32 [N, (T)], cut so that each leaves room for a token of its passage.
        passage_ids: int32 [N, (T)]; one without tokens has no window.
        cls_id, sep_id: of [CLS] and [SEP].
        max_seq_length: how many tokens a row has at most.
        doc_stride: how many tokens after one window of a passage the next one starts.

    Raises:
        tf.errors.InvalidArgumentError: when it runs and a question leaves no room.
    """
    _check_at_least(_NUM_SPECIAL_OF_PAIR + 1, "max_seq_length", max_seq_length)
    _check_at_least(1, "doc_stride", doc_stride)
    question_lengths, lengths = _lengths(question_ids), _lengths(passage_ids)
    room = max_seq_length - _NUM_SPECIAL_OF_PAIR - question_lengths
    tf.debugging.assert_positive(
        tf.where(lengths > 0, room, 1),
        f"A question leaves no room for its passage in {max_seq_length} tokens: cut it before.",
    )
    room = tf.maximum(room, 1)
    step = tf.minimum(room, doc_stride)
    num_steps = (tf.maximum(lengths - room, 0) + step - 1) // step
    num_windows = tf.where(lengths > 0, num_steps + 1, 0)
    owner = tf.repeat(tf.range(tf.size(lengths)), num_windows)
    number = tf.range(tf.size(owner)) - tf.gather(tf.cumsum(num_windows, exclusive=True), owner)
    start = number * tf.gather(step, owner)
    length = tf.minimum(tf.gather(lengths, owner) - start, tf.gather(room, owner))
    return PackedWindows(
        _rows(
            tf.gather(question_ids, owner),
            _slices(passage_ids, length, start, owner),
            cls_id,
            sep_id,
        ),
        owner,
        start,
        length,
        tf.gather(question_lengths, owner) + _NUM_SPECIAL_OF_ONE,
    )


def _check_at_least(least: int, name: str, value: int) -> None:
    if value < least:
        raise ValueError(f"{name} must be {least} or more. Received: {value}")


def _lengths(ids: tf.RaggedTensor) -> tf.Tensor:
    """int32 [N]"""
    return tf.cast(ids.row_lengths(), tf.int32)


def _slices(
    ids: tf.RaggedTensor,
    lengths: tf.Tensor,
    starts: tf.Tensor | None = None,
    rows: tf.Tensor | None = None,
) -> tf.RaggedTensor:
    """Of each row, or of `rows`, so many tokens: from the first on, or from `starts`."""
    first = tf.cast(ids.row_starts(), tf.int32)
    if rows is not None:
        first = tf.gather(first, rows) + starts
    places = tf.ragged.range(first, first + lengths)
    return places.with_values(tf.gather(ids.values, places.values))


def _rows(
    a: tf.RaggedTensor, b: tf.RaggedTensor | None, cls_id: int, sep_id: int
) -> dict[str, tf.Tensor]:
    """`[CLS] a [SEP]`, or `[CLS] a [SEP] b [SEP]` where a row of b is not empty, padded."""
    once = tf.ones_like(_lengths(a))
    parts = [_repeated(cls_id, once), a, _repeated(sep_id, once)]
    first_lengths = _lengths(a) + _NUM_SPECIAL_OF_ONE
    lengths = first_lengths
    if b is not None:
        has_b = tf.cast(_lengths(b) > 0, tf.int32)
        parts += [b, _repeated(sep_id, has_b)]
        lengths += _lengths(b) + has_b
    input_ids = tf.concat([part.with_row_splits_dtype(tf.int64) for part in parts], 1).to_tensor()
    places = tf.range(tf.shape(input_ids)[1])
    is_token = places < lengths[:, tf.newaxis]
    is_second = is_token & (places >= first_lengths[:, tf.newaxis])
    return {
        "input_ids": input_ids,
        "input_mask": tf.cast(is_token, tf.int32),
        "segment_ids": tf.cast(is_second, tf.int32),
    }


def _repeated(token_id: int, times: tf.Tensor) -> tf.RaggedTensor:
    """A token so many times in each row: int32 [N, (times)]."""
    return tf.RaggedTensor.from_row_lengths(
        tf.fill([tf.reduce_sum(times)], token_id), times, validate=False
    )
