"""Parameters and matrix products: by hand, as published, and as TensorFlow's own graph has them."""

import numpy as np
import pytest

from bert_tf import BertEncoder
from bert_tf.config import BertConfig
from bert_tf.planning.costs import count_pretraining_parameters, count_products
from bert_tf.released.models import find_released_model

SMALL = BertConfig(
    vocab_size=20,
    hidden_size=8,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=12,
    max_position_embeddings=16,
    type_vocab_size=2,
)
LENGTH, MASKED = 6, 3


@pytest.mark.parametrize(
    ("name", "encoder"), [("bert_base_uncased", 109_482_240), ("bert_large_uncased", 335_141_888)]
)
def test_parameters_are_the_published_encoder_and_both_heads(name, encoder):
    config = find_released_model(name).config
    width = config.hidden_size
    heads = width * width + 3 * width + 30_522 + 2 * width + 2
    assert count_pretraining_parameters(config) == encoder + heads


def test_products_of_a_tiny_model_are_those_counted_by_hand():
    config = BertConfig(
        vocab_size=5,
        hidden_size=2,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=3,
        type_vocab_size=2,
    )
    products = count_products(config, max_seq_length=4, max_predictions=1)
    # [4, 2] x [2, 2] four times; [4, 2] x [2, 3] and [4, 3] x [3, 2]; pooler and label [1, 2] x
    # [2, 2] each; a masked position [1, 2] x [2, 2] and [1, 2] x [2, 5]. Both gradients: times 3.
    forward = 4 * 32 + 2 * 48 + 8 + 8 + 8 + 20
    # One-hot segments [4, 2] x [2, 2] have the gradient of the table only: times 2.
    assert products.weights == 3 * forward + 2 * 32
    assert products.attention == 3 * (64 + 64)  # [4, 2] x [2, 4] and [4, 4] x [4, 2].
    assert products.total == products.weights + products.attention


def test_recomputing_adds_one_forward_pass_of_the_blocks():
    once = count_products(SMALL, LENGTH, MASKED)
    twice = count_products(SMALL, LENGTH, MASKED, recomputes=True)
    block = 2 * LENGTH * (4 * 8 * 8 + 2 * 8 * 12)
    assert twice.attention == once.attention * 4 / 3
    assert twice.weights - once.weights == 2 * block


@pytest.fixture(scope="module")
def graph_of_a_step():
    """The graph of losses and gradients of one example, and the number of trained values."""
    import tensorflow as tf

    from bert_tf.model.heads import PretrainingModel
    from bert_tf.pretraining.objectives.masked_lm_next_sentence import OBJECTIVE

    model = PretrainingModel(BertEncoder(SMALL))
    objective = OBJECTIVE
    batch = {
        "input_ids": tf.zeros([1, LENGTH], tf.int32),
        "input_mask": tf.ones([1, LENGTH], tf.int32),
        "segment_ids": tf.zeros([1, LENGTH], tf.int32),
        "masked_lm_positions": tf.zeros([1, MASKED], tf.int32),
        "masked_lm_ids": tf.zeros([1, MASKED], tf.int32),
        "masked_lm_weights": tf.ones([1, MASKED]),
        "next_sentence_labels": tf.zeros([1, 1], tf.int32),
    }

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            outputs = model(model.select_features(batch), training=True)
            sums = objective.sums(batch, outputs)
            loss = tf.add_n(list(sums.values()))
        return tape.gradient(loss, model.trainable_variables)

    num_values = sum(int(np.prod(weight.shape)) for weight in model.trainable_variables)
    return step.get_concrete_function().graph, num_values


def test_parameters_are_those_of_the_real_model(graph_of_a_step):
    assert count_pretraining_parameters(SMALL) == graph_of_a_step[1]


def test_products_are_those_in_the_graph_of_a_real_step(graph_of_a_step):
    weights = attention = 0
    for operation in graph_of_a_step[0].get_operations():
        if operation.type == "MatMul":
            left = operation.inputs[0].shape
            inner = left[0] if operation.get_attr("transpose_a") else left[1]
            weights += 2 * operation.outputs[0].shape.num_elements() * inner
        elif operation.type.startswith("BatchMatMul"):
            shape = operation.inputs[0].shape
            inner = shape[-2] if operation.get_attr("adj_x") else shape[-1]
            flops = 2 * operation.outputs[0].shape.num_elements() * inner
            if len(shape) == 4:
                attention += flops
            else:
                weights += flops
        else:
            assert operation.type not in ("Einsum", "XlaDot"), "A product that is not counted."
    products = count_products(SMALL, LENGTH, MASKED, last_positions=1 + MASKED)
    assert (weights, attention) == (products.weights, products.attention)
