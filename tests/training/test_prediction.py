"""Outputs come back in the order of the examples, whatever the batches."""

import numpy as np
import pytest
import tensorflow as tf

from bert_tf.training.prediction import NO_SCORE, OutputCollector


def batches_of(*batches: tuple[list[int], int]):
    """(numbers of the examples, length): example n holds n in all places; -1 fills up."""
    for numbers, length in batches:
        yield {
            "feature_numbers": tf.constant([max(n, 0) for n in numbers]),
            "is_real_example": tf.constant([float(n >= 0) for n in numbers]),
            "values": tf.constant([[float(n)] * length for n in numbers]),
        }


def outputs_of(batch):
    return {"scores": batch["values"], "sums": tf.reduce_sum(batch["values"], -1)}


@pytest.fixture
def collector():
    return OutputCollector(outputs_of, tf.distribute.get_strategy())


def test_they_are_put_in_order_and_filling_rows_left_out(collector):
    done = []
    outputs = collector.run(batches_of(([2, 0], 2), ([3, -1], 4), ([1, -1], 1)), 4, done.append)
    np.testing.assert_array_equal(outputs["sums"], [0, 1, 4, 12])
    np.testing.assert_array_equal(outputs["scores"][3], [3, 3, 3, 3])
    np.testing.assert_array_equal(outputs["scores"][1], [1, NO_SCORE, NO_SCORE, NO_SCORE])
    assert done == [2, 1, 1]


def test_an_example_that_did_not_come_is_an_error(collector):
    with pytest.raises(ValueError, match="1 of 3 examples were not computed, the first is number"):
        collector.run(batches_of(([2, 0], 2)), 3)
