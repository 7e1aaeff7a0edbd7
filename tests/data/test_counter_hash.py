import numpy as np
import tensorflow as tf

from bert_tf.data.counter_hash import hash_counters, uniform_below, uniform_fraction


def reference_hash(*counters: int) -> int:
    """The same in Python's own whole numbers."""
    bits = 0
    for counter in counters:
        bits = ((bits ^ (counter % 2**64)) + 0x9E3779B97F4A7C15) % 2**64
        bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) % 2**64
        bits ^= bits >> 31
    return bits


def test_one_counter_gives_the_published_output_of_splitmix64():
    # The first number of SplitMix64 with seed 1234567, as in the published test vectors.
    assert int(hash_counters(1234567)) == 6457827717110365317


def test_several_counters_agree_with_the_same_arithmetic_in_python():
    examples = tf.constant([0, 1, 2**40, -1], tf.int64)
    places = tf.range(3)
    bits = hash_counters(12345, -7, examples[:, None], places).numpy()
    expected = [
        [reference_hash(12345, -7, example, place) for place in range(3)]
        for example in (0, 1, 2**40, -1)
    ]
    assert bits.tolist() == expected


def test_the_same_bits_come_out_inside_a_graph():
    numbers = tf.range(1000, dtype=tf.int64)
    np.testing.assert_array_equal(
        tf.function(lambda n: hash_counters(3, n))(numbers), hash_counters(3, numbers)
    )


def test_the_order_of_counters_matters():
    assert int(hash_counters(1, 2)) != int(hash_counters(2, 1))


def test_fractions_are_uniform_in_the_unit_interval():
    fractions = uniform_fraction(hash_counters(5, tf.range(100_000))).numpy()
    assert fractions.min() >= 0
    assert fractions.max() < 1
    counts = np.histogram(fractions, bins=20, range=(0, 1))[0]
    chi_square = ((counts - 5000) ** 2 / 5000).sum()
    assert chi_square < 43.8  # 19 degrees of freedom, 0.1 %


def test_the_largest_bits_stay_below_one_and_below_the_limit():
    largest = tf.constant(2**64 - 1, tf.uint64)
    assert float(uniform_fraction(largest)) < 1
    assert int(uniform_below(largest, 30522)) == 30521


def test_whole_numbers_are_uniform_below_the_limit():
    numbers = uniform_below(hash_counters(6, tf.range(100_000)), 7).numpy()
    counts = np.bincount(numbers, minlength=7)
    assert len(counts) == 7
    assert ((counts - 100_000 / 7) ** 2 / (100_000 / 7)).sum() < 22.5  # 6 degrees, 0.1 %
