"""Compiled functions agree with TensorFlow's own, and so do their gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from bert_tf.model import fused


def random(*shape, dtype="float32", seed=0):
    return tf.cast(np.random.default_rng(seed).normal(size=shape, scale=2.0), dtype)


def outputs_and_gradients(function, *inputs):
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        output = function(*inputs)
    upstream = random(*output.shape, dtype=output.dtype, seed=9)
    return [output, *tape.gradient(output, inputs, upstream)]


def assert_same(function, expected, *inputs, tolerance=2e-6):
    results = outputs_and_gradients(function, *inputs)
    for actual, wanted in zip(results, outputs_and_gradients(expected, *inputs), strict=True):
        assert actual.dtype == wanted.dtype
        wide = (tf.cast(x, tf.float32).numpy() for x in (actual, wanted))
        np.testing.assert_allclose(*wide, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-6), ("bfloat16", 0.05)])
def test_gelu_is_keras_tanh_form(dtype, tolerance):
    x = random(3, 5, 7, dtype=dtype)
    assert_same(fused.gelu, lambda x: keras.ops.gelu(x, True), x, tolerance=tolerance)


@pytest.mark.parametrize("width", [5, 16, 50])
def test_layer_norm_is_keras(width):
    layer = keras.layers.LayerNormalization(epsilon=1e-12)
    layer.build((None, None, width))

    def expected(x, gamma, beta):
        mean, variance = tf.nn.moments(x, -1, keepdims=True)
        return tf.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-12)

    def actual(x, gamma, beta):
        return fused.layer_norm(x, gamma, beta, 1e-12)

    inputs = random(3, 4, width), random(width, seed=1), random(width, seed=2)
    assert_same(actual, expected, *inputs, tolerance=1e-5)
    np.testing.assert_allclose(
        fused.layer_norm(inputs[0], tf.ones(width), tf.zeros(width), 1e-12),
        layer(inputs[0]),
        atol=2e-6,
    )


@pytest.mark.parametrize("num_classes", [2, 16, 1000])
def test_crossentropy_is_tensorflows_also_for_large_logits(num_classes):
    labels = np.random.default_rng(3).integers(0, num_classes, (4, 3)).astype("int32")
    assert_same(
        lambda logits: fused.crossentropy(labels, logits),
        lambda logits: tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits),
        30.0 * random(4, 3, num_classes),
        tolerance=1e-5,
    )


def test_an_unknown_shape_is_not_supported():
    graph = tf.Graph()
    with graph.as_default():
        unknown = tf.compat.v1.placeholder(tf.float32, [None, 3])
        assert not fused.is_supported(unknown)


def test_two_classes_are_not_worth_compiling():
    assert not fused.is_supported(random(32, 2))
    assert fused.is_supported(random(32, 16))
