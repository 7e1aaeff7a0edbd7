"""Makes google-research's code importable under TensorFlow 2, without a change to its files.

It is written for TensorFlow 1, and uses two things that TensorFlow 2 lacks: `tf.layers.dense` and
`tf.contrib.layers.layer_norm`. They are put there, in terms of what TensorFlow 2 has. Import this
module before `bert`.
"""

import sys
import types

import tensorflow.compat.v1 as tf


def _dense(inputs, units, activation=None, kernel_initializer=None, name="dense"):
    with tf.variable_scope(name):
        shape = [inputs.shape[-1], units]
        kernel = tf.get_variable("kernel", shape, initializer=kernel_initializer)
        bias = tf.get_variable("bias", [units], initializer=tf.zeros_initializer())
        outputs = tf.nn.bias_add(tf.matmul(inputs, kernel), bias)
        return outputs if activation is None else activation(outputs)


def _layer_norm(inputs, begin_norm_axis=-1, begin_params_axis=-1, scope=None):
    with tf.variable_scope(scope or "LayerNorm"):
        width = [inputs.shape[-1]]
        beta = tf.get_variable("beta", width, initializer=tf.zeros_initializer())
        gamma = tf.get_variable("gamma", width, initializer=tf.ones_initializer())
        mean, variance = tf.nn.moments(inputs, [begin_norm_axis], keepdims=True)
        return tf.nn.batch_normalization(inputs, mean, variance, beta, gamma, 1e-12)


contrib = types.ModuleType("tensorflow.contrib")
contrib.layers = types.SimpleNamespace(layer_norm=_layer_norm)
for _name in ("cluster_resolver", "tpu", "data", "lookup"):  # Imported, and never called here.
    setattr(contrib, _name, types.SimpleNamespace())
sys.modules["tensorflow.contrib"] = contrib
tf.layers = types.SimpleNamespace(dense=_dense)
