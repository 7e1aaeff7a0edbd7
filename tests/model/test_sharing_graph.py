"""A graph that all blocks share: the same loss, gradients and dropout as a graph of each."""

import numpy as np
import pytest
import tensorflow as tf

import bert_tf
from bert_tf.model.dropout import dropout_seeds

CONFIG = bert_tf.BertConfig(
    vocab_size=50,
    hidden_size=16,
    num_hidden_layers=4,
    num_attention_heads=2,
    intermediate_size=24,
    max_position_embeddings=12,
    hidden_dropout_prob=0.3,
    attention_probs_dropout_prob=0.3,
)


def fold_in(place):
    return tf.stack([tf.constant(7, tf.int64), tf.cast(place, tf.int64)])


def graph_of_a_step(encoder, length):
    """The loss and its gradients, for 4 sequences of which no shape but their number is known."""
    weights = [weight.value for weight in encoder.weights]
    factors = tf.constant(np.random.default_rng(1).normal(size=16), tf.float32)

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([4, length], tf.int32)] * 2)
    def compute(input_ids, mask):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            with dropout_seeds(fold_in):
                outputs = encoder({"input_ids": input_ids, "input_mask": mask}, training=True)
            loss = tf.reduce_sum(outputs["sequence_output"] ** 3 * factors)
            loss += tf.reduce_sum(outputs["pooled_output"])
        gradients = tape.gradient(loss, weights, unconnected_gradients="zero")
        return loss, [tf.convert_to_tensor(gradient) for gradient in gradients]

    return compute


@pytest.mark.parametrize(("length", "dtype"), [(9, None), (None, None), (9, "mixed_bfloat16")])
def test_blocks_that_share_a_graph_train_alike(length, dtype):
    encoder = bert_tf.BertEncoder(CONFIG, dtype=dtype)
    input_ids = tf.constant(np.random.default_rng(0).integers(0, 50, (4, 9)), tf.int32)
    mask = tf.sequence_mask([9, 4, 7, 1], 9, tf.int32)
    results, sizes = [], []
    for encoder.shares_graph in (False, True):
        step = graph_of_a_step(encoder, length)
        sizes.append(len(step.get_concrete_function().graph.get_operations()))
        results.append(step(input_ids, mask))
    assert sizes[1] < sizes[0] / 2
    (loss, expected), (shared_loss, gradients) = results
    np.testing.assert_allclose(shared_loss, loss, rtol=1e-6)
    tolerance = 1e-2 if dtype else 1e-5
    for weight, gradient, value in zip(encoder.weights, gradients, expected, strict=True):
        size = float(tf.reduce_max(tf.abs(value)))
        # The gradient of the keys' bias is 0 but for rounding.
        limit = tolerance * max(size, 1e-3)
        np.testing.assert_allclose(gradient, value, atol=limit, err_msg=weight.path)


def test_without_given_seeds_blocks_share_no_graph_in_training():
    encoder = bert_tf.BertEncoder(CONFIG)
    encoder.shares_graph = True
    input_ids = tf.ones([1, 5], tf.int32)
    call = tf.function(lambda: encoder(input_ids, training=True)["pooled_output"])
    assert np.any(call() != call())  # Keras' generators go on from call to call.
