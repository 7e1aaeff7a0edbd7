"""Computes random numbers without a state, from counters: (seed, use, epoch, ...) -> 64 bits.

The function is the output step of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom
number generators", OOPSLA 2014), applied once per counter. It is integer arithmetic, so every
TensorFlow version and processor computes the same bits.
"""

from collections.abc import Callable

import tensorflow as tf

RandomBits = Callable[[int, tf.Tensor], tf.Tensor]  # See `bits_of_rows`.

# The second counter, so that no two uses share random numbers.
BLOCK_ORDER, RECORD_ORDER, WORD_ORDER, REPLACEMENT_KIND, REPLACEMENT_ID = range(1, 6)
FEATURE_ORDER, BATCH_ORDER = 6, 7
SPAN_LENGTH, SPAN_ANCHOR = 8, 9
MASKED_POSITION, IS_MASKED, REPLACEMENT_SEED = 10, 11, 12


def hash_counters(*counters: tf.Tensor | int) -> tf.Tensor:
    """Returns 64 random bits <uint64>[...] for every tuple of the counters, which are broadcast.

    Their order matters. Negative numbers are taken modulo 2^64.
    """
    bits = tf.constant(0, tf.uint64)
    for counter in counters:
        is_int = isinstance(counter, int)
        value = _uint64(counter % 2**64) if is_int else tf.cast(counter, tf.uint64)
        bits = _mix(tf.bitwise.bitwise_xor(bits, value))
    return bits


def bits_of_rows(seed: int, epochs: tf.Tensor | int, examples: tf.Tensor) -> RandomBits:
    """Returns a function of (use, numbers <int>[n]): random bits <uint64>[B, n] of a batch's rows.

    `epochs` are <int>[B] or <int>[]; `examples`, <int>[B], are positions in the data set.
    """
    epochs = tf.broadcast_to(tf.cast(epochs, tf.int64), tf.shape(examples))[:, None]
    return lambda use, numbers: hash_counters(seed, use, epochs, examples[:, None], numbers)


def uniform_fraction(bits: tf.Tensor) -> tf.Tensor:
    """Returns the upper 53 bits of <uint64>[...] as <float64>[...] in [0, 1)."""
    return tf.cast(tf.bitwise.right_shift(bits, _uint64(11)), tf.float64) * 2.0**-53


def uniform_below(bits: tf.Tensor, limit: int | tf.Tensor) -> tf.Tensor:
    """Returns integers <int64>[...] in [0, limit) from the lower 32 bits of <uint64>[...].

    `limit` is at most 2^31, or a tensor of such, which is broadcast; a limit of 0 gives 0. The
    relative bias is less than limit / 2^32.
    """
    low = tf.bitwise.bitwise_and(bits, _uint64(0xFFFFFFFF))
    limit = _uint64(limit) if isinstance(limit, int) else tf.cast(limit, tf.uint64)
    return tf.cast(tf.bitwise.right_shift(low * limit, _uint64(32)), tf.int64)


def _mix(bits: tf.Tensor) -> tf.Tensor:
    bits = bits + _uint64(0x9E3779B97F4A7C15)
    bits = _xor_shift(bits, 30) * _uint64(0xBF58476D1CE4E5B9)
    bits = _xor_shift(bits, 27) * _uint64(0x94D049BB133111EB)
    return _xor_shift(bits, 31)


def _xor_shift(bits: tf.Tensor, places: int) -> tf.Tensor:
    return tf.bitwise.bitwise_xor(bits, tf.bitwise.right_shift(bits, _uint64(places)))


def _uint64(value: int) -> tf.Tensor:
    return tf.constant(value, tf.uint64)
