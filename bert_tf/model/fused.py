"""The functions between a block's matrix products, each as one compiled pass with its own gradient.

TensorFlow runs every multiplication of a gelu as an operation of its own, which reads and writes
the whole tensor, and keeps most of the results for the gradient. Here XLA compiles each function,
and its gradient, into one pass on a CPU, and only the input is kept. Matrix products stay outside,
as TensorFlow's library of them is faster on a CPU than XLA.

Only training on CPUs calls these, with shapes that are known when the graph is made: each new
shape is compiled, in about 0.1 seconds. On other devices the whole step can be compiled.
"""

import functools
import math

import keras
import tensorflow as tf
from keras import ops

from bert_tf.model import processors
from bert_tf.model.part import register

_GELU_SCALE, _GELU_CUBIC = math.sqrt(2.0 / math.pi), 0.044715
_LANES = 16  # Floats of a vector register: XLA adds up that many columns at once, but not rows.


def is_supported(inputs) -> bool:
    """Returns whether compiled functions pay for a tensor: long rows, a known shape, one CPU."""
    shape = inputs.shape
    return shape.is_fully_defined() and shape[-1] >= _LANES and processors.is_one_cpu()


@tf.custom_gradient
def gelu(x):
    """Returns the gelu in its tanh form; only `x` is kept for the gradient."""
    return _gelu(x), functools.partial(_gelu_gradient, x)


@processors.compiled
def _gelu(x):
    wide = tf.cast(x, tf.float32)
    return tf.cast(0.5 * wide * (1.0 + _gelu_tanh(wide)), x.dtype)


@processors.compiled
def _gelu_gradient(x, upstream):
    wide = tf.cast(x, tf.float32)
    tanh = _gelu_tanh(wide)
    slope = _GELU_SCALE * (1.0 + 3.0 * _GELU_CUBIC * wide * wide)
    derivative = 0.5 * (1.0 + tanh) + 0.5 * wide * (1.0 - tanh * tanh) * slope
    return tf.cast(tf.cast(upstream, tf.float32) * derivative, x.dtype)


def _gelu_tanh(x):
    return tf.tanh(_GELU_SCALE * (x + _GELU_CUBIC * x * x * x))


@register
class LayerNorm(keras.layers.LayerNormalization):
    """Keras' LayerNorm, in one compiled pass where that is faster."""

    def call(self, inputs, training: bool = False):
        if training and is_supported(inputs):
            # Reshaped to become tensors: a custom gradient may not see a variable.
            gamma, beta = (ops.reshape(weight, (-1,)) for weight in (self.gamma, self.beta))
            return layer_norm(ops.cast(inputs, "float32"), gamma, beta, self.epsilon)
        return super().call(inputs)


@tf.custom_gradient
def layer_norm(x, gamma, beta, epsilon: float):
    """Returns the LayerNorm of the last axis; keeps the normalized values and their scale."""
    output, normalized, scale = _layer_norm(x, gamma, beta, epsilon)

    def gradient(upstream):
        return *_layer_norm_gradient(normalized, scale, gamma, upstream), None

    return output, gradient


@processors.compiled
def _layer_norm(x, gamma, beta, epsilon):
    centered = x - _mean(x)
    scale = tf.math.rsqrt(_mean(centered * centered) + epsilon)
    normalized = centered * scale
    return normalized * gamma + beta, normalized, scale


@processors.compiled
def _layer_norm_gradient(normalized, scale, gamma, upstream):
    inner = upstream * gamma
    of_x = scale * (inner - _mean(inner) - normalized * _mean(inner * normalized))
    rows = list(range(upstream.shape.rank - 1))
    return of_x, tf.reduce_sum(upstream * normalized, rows), tf.reduce_sum(upstream, rows)


@tf.custom_gradient
def crossentropy(labels, logits):
    """Returns the cross-entropy of int labels [...] and logits [..., C], a float32 [...]."""
    losses, normalizer = _crossentropy(labels, logits)
    return losses, lambda upstream: (
        None,
        _crossentropy_gradient(labels, logits, normalizer, upstream),
    )


@processors.compiled
def _crossentropy(labels, logits):
    largest = _reduced(tf.reduce_max, logits)
    normalizer = largest + tf.math.log(_reduced(tf.reduce_sum, tf.exp(logits - largest)))
    chosen = tf.gather(logits, labels, batch_dims=labels.shape.rank)
    return tf.squeeze(normalizer, -1) - chosen, normalizer


@processors.compiled
def _crossentropy_gradient(labels, logits, normalizer, upstream):
    is_label = tf.range(logits.shape[-1], dtype=labels.dtype) == labels[..., None]
    return upstream[..., None] * (tf.exp(logits - normalizer) - tf.cast(is_label, tf.float32))


def _mean(x):
    return _reduced(tf.reduce_sum, x) / x.shape[-1]


def _reduced(reduce, x):
    """Reduces the last axis, which is kept: [..., H] -> [..., 1]."""
    whole = x.shape[-1] // _LANES * _LANES
    lanes = reduce(tf.reshape(x[..., :whole], [*x.shape[:-1], whole // _LANES, _LANES]), -2)
    return reduce(tf.concat([lanes, x[..., whole:]], -1), -1, keepdims=True)
