"""Chooses spans of whole words to mask in the input pipeline, for a whole batch in a graph.

The rules are those of `pretraining_data/span_masking.py`. In each round every row draws a length
and an anchor, until it has its number of masked tokens:

    word_ids     0  1  2  2  3  4  5  6  0     anchor 2 or 3, two words, at most 4 tokens
    masked             x  x  x
"""

from collections.abc import Sequence

import tensorflow as tf

from bert_tf.data import counter_hash


def choose_spans(
    word_ids: tf.Tensor,
    num_to_mask: tf.Tensor,
    probabilities: Sequence[float],
    random_bits: counter_hash.RandomBits,
) -> tf.Tensor:
    """Returns the tokens to mask, <bool>[B, L].

    Args:
        word_ids: <int32>[B, L] of single segments: the word of each token, 0 only at the ends.
        num_to_mask: <int32>[B], limited to the tokens that there are.
        probabilities: of spans of 1, 2, ... words.
        random_bits: see `counter_hash.bits_of_rows`.
    """
    up_to = tf.cumsum(tf.constant(probabilities[:-1], tf.float64))
    num_tokens = tf.reduce_sum(tf.cast(word_ids > 0, tf.int32), axis=1)

    def fraction(use: int, number: tf.Tensor) -> tf.Tensor:
        return counter_hash.uniform_fraction(random_bits(use, number[None])[:, 0])

    def mask_span(number: tf.Tensor, masked: tf.Tensor, left: tf.Tensor):
        drawn = fraction(counter_hash.SPAN_LENGTH, number)
        num_words = 1 + tf.reduce_sum(tf.cast(up_to <= drawn[:, None], tf.int32), axis=1)
        anchor = fraction(counter_hash.SPAN_ANCHOR, number) * tf.cast(num_tokens, tf.float64)
        anchor = 1 + tf.cast(anchor, tf.int32)  # [CLS] is at 0.
        first = tf.gather(word_ids, anchor, batch_dims=1)[:, None]
        is_in_span = (word_ids >= first) & (word_ids < first + num_words[:, None])
        is_in_span &= ~tf.gather(masked, anchor, batch_dims=1)[:, None]
        is_new = is_in_span & (word_ids > 0) & ~masked
        is_new &= tf.cumsum(tf.cast(is_new, tf.int32), axis=1) <= left[:, None]
        left -= tf.reduce_sum(tf.cast(is_new, tf.int32), axis=1)
        return number + 1, masked | is_new, left

    _, masked, _ = tf.while_loop(
        lambda number, masked, left: tf.reduce_any(left > 0),
        mask_span,
        (
            tf.constant(0, tf.int64),
            tf.zeros_like(word_ids, tf.bool),
            tf.minimum(num_to_mask, num_tokens),
        ),
    )
    return masked


def number_spans(is_masked: tf.Tensor) -> tf.Tensor:
    """Returns the number of the span, from 1, that each masked token is in: <int32>[B, L]."""
    is_start = is_masked & ~tf.pad(is_masked[:, :-1], [[0, 0], [1, 0]])
    return tf.cumsum(tf.cast(is_start, tf.int32), axis=1)
