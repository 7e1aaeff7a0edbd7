"""A product of dropped inputs equals the two operations, bit for bit, as do its gradients."""

import numpy as np
import pytest
import tensorflow as tf

from bert_tf.model import processors
from bert_tf.model.dropout import Dropout, dropout_seeds


def product_and_gradients(layer, training, dtype):
    generator = np.random.default_rng(0)
    inputs = tf.cast(generator.normal(size=(2, 3, 6, 5)), dtype)
    values = tf.cast(generator.normal(size=(2, 3, 5, 4)), dtype)

    @tf.function
    def compute(inputs, values):
        with tf.GradientTape() as tape, dropout_seeds(lambda place: [3, place]):
            tape.watch((inputs, values))
            output = layer.product(inputs, values, training=training)
        return output, *tape.gradient(output, (inputs, values), tf.sin(output))

    return compute(inputs, values)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("rate", [0.0, 0.4])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_product_is_that_of_the_dropped_inputs(monkeypatch, training, rate, dtype):
    layer = Dropout(rate, place=7)
    actual = product_and_gradients(layer, training, dtype)
    monkeypatch.setattr(processors, "is_one_cpu", lambda: False)
    for one, other in zip(actual, product_and_gradients(layer, training, dtype), strict=True):
        assert one.dtype == other.dtype == dtype
        np.testing.assert_array_equal(*(tf.cast(x, tf.float32) for x in (one, other)))
