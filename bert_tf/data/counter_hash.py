"""Random numbers that are a function of what they are for: (seed, epoch, example, ...) -> 64 bits.

There is no state to save or to advance: the numbers of example 5,000,000 are as near as those of
example 0, on any number of hosts and after any restart. The function is the output step of
SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014),
applied once for each number that goes in; it is integer arithmetic only, so that every version of
TensorFlow on every kind of processor gives the same bits.
"""

import tensorflow as tf

_GOLDEN_GAMMA = 0x9E3779B97F4A7C15


def hash_counters(*counters: tf.Tensor | int) -> tf.Tensor:
    """64 random bits for every tuple of whole numbers.

    Args:
        *counters: int tensors or ints whose shapes broadcast together. Their order matters;
            negative numbers are counted modulo 2^64.

    Returns:
        <uint64>[...], the broadcast shape of the arguments.
    """
    bits = tf.constant(0, tf.uint64)
    for counter in counters:
        bits = _mix(tf.bitwise.bitwise_xor(bits, _to_uint64(counter)))
    return bits


def uniform_fraction(bits: tf.Tensor) -> tf.Tensor:
    """The upper 53 bits of <uint64>[...] as <float64>[...] in [0, 1)."""
    return tf.cast(tf.bitwise.right_shift(bits, _uint64(11)), tf.float64) * 2.0**-53


def uniform_below(bits: tf.Tensor, limit: int) -> tf.Tensor:
    """Whole numbers <int64>[...] in [0, limit) from the lower 32 bits of <uint64>[...].

    `limit` is at most 2^31. No number is likelier than another by more than limit / 2^32.
    """
    low = tf.bitwise.bitwise_and(bits, _uint64(0xFFFFFFFF))
    return tf.cast(tf.bitwise.right_shift(low * _uint64(limit), _uint64(32)), tf.int64)


def _mix(bits: tf.Tensor) -> tf.Tensor:
    bits = bits + _uint64(_GOLDEN_GAMMA)
    bits = _xor_shift(bits, 30) * _uint64(0xBF58476D1CE4E5B9)
    bits = _xor_shift(bits, 27) * _uint64(0x94D049BB133111EB)
    return _xor_shift(bits, 31)


def _xor_shift(bits: tf.Tensor, places: int) -> tf.Tensor:
    return tf.bitwise.bitwise_xor(bits, tf.bitwise.right_shift(bits, _uint64(places)))


def _to_uint64(counter: tf.Tensor | int) -> tf.Tensor:
    if isinstance(counter, int):
        return _uint64(counter % 2**64)
    return tf.cast(counter, tf.uint64)


def _uint64(value: int) -> tf.Tensor:
    return tf.constant(value, tf.uint64)
