"""In half precision: which operations are, and which stay in float32."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bert_tf
from bert_tf.pretraining.objectives.masked_lm_next_sentence import OBJECTIVE
from bert_tf.training.checkpoint import named_variables
from bert_tf.training.loss_scale import LossScale
from bert_tf.training.optimizer import AdamWeightDecay
from bert_tf.training.trainer import Trainer

CONFIG = bert_tf.BertConfig(
    vocab_size=50,
    hidden_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=24,
    max_position_embeddings=8,
    type_vocab_size=2,
)
# LayerNorm divides by a root; the others are softmax, and the loss in all its forms.
EXACT = ("Softmax", "LogSoftmax", "SparseSoftmaxCrossEntropyWithLogits", "Exp", "Log", "Rsqrt")


def make_trainer(precision, loss_scale=None):
    keras.config.set_dtype_policy(f"mixed_{precision}")
    try:
        model = bert_tf.PretrainingModel(bert_tf.BertEncoder(CONFIG))
    finally:
        keras.config.set_dtype_policy("float32")
    optimizer = AdamWeightDecay(named_variables(model), lambda step: 0.1, lamb=True)
    return Trainer(model, OBJECTIVE, optimizer, 1, loss_scale=loss_scale)


def make_batch():
    rng = np.random.default_rng(0)
    batch = {
        "input_ids": rng.integers(0, 50, (3, 8)),
        "input_mask": np.ones((3, 8)),
        "segment_ids": np.zeros((3, 8)),
        "masked_lm_positions": rng.integers(0, 8, (3, 2)),
        "masked_lm_ids": rng.integers(0, 50, (3, 2)),
        "next_sentence_labels": np.ones((3, 1)),
    }
    batch = {name: tf.constant(value, tf.int32) for name, value in batch.items()}
    return {**batch, "masked_lm_weights": tf.ones([3, 2])}


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_products_are_halved_and_softmax_layer_norm_loss_and_weights_are_not(precision):
    trainer = make_trainer(precision, LossScale() if precision == "float16" else None)
    graph = trainer._step.get_concrete_function(make_batch()).graph.as_graph_def()
    called = (node for function in graph.library.function for node in function.node_def)
    kinds: dict[str, set] = {}
    for node in (*graph.node, *called):
        if node.attr["T"].type:  # Not a list of types.
            kinds.setdefault(node.op, set()).add(tf.as_dtype(node.attr["T"].type))
    half = tf.as_dtype(precision)
    assert half in kinds["MatMul"]
    assert half in kinds["BatchMatMulV2"]
    for name in EXACT:
        assert kinds.get(name, {tf.float32}) <= {tf.float32, tf.int32}, name
    assert {"Softmax", "Rsqrt"} <= set(kinds)
    state = trainer.state()
    assert {v.dtype for v in state.values()} == {tf.float32, tf.int64}


def test_a_float16_overflow_leaves_weights_and_averages_as_they_were_with_lamb_too():
    trainer = make_trainer("float16", LossScale(2.0**60))
    before = {name: variable.numpy() for name, variable in trainer.state().items()}
    figures = trainer.run(iter(tf.data.Dataset.from_tensors(make_batch()).repeat()), 2)
    assert figures["skipped_steps"] == 2
    for name, variable in trainer.state().items():
        if name not in ("global_step", "loss_scale", "loss_scale_good_steps"):
            np.testing.assert_array_equal(variable, before[name], err_msg=name)
    assert float(trainer.loss_scale.scale) == 2.0**58
