"""Blocks that compute their inner values a second time: the same gradients, in every setting."""

import dataclasses
import sys

import forked_python
import keras
import numpy as np
import pytest
import tensorflow as tf

import bert_tf
from bert_tf.model import dropout, layers
from bert_tf.model.dropout import dropout_seeds

CONFIG = bert_tf.BertConfig(
    vocab_size=50,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=24,
    max_position_embeddings=12,
    type_vocab_size=2,
    hidden_dropout_prob=0.3,
    attention_probs_dropout_prob=0.3,
)


def make_encoder(config=CONFIG, policy="float32"):
    keras.config.set_dtype_policy(policy)
    try:
        return bert_tf.BertEncoder(config)
    finally:
        keras.config.set_dtype_policy("float32")


def fold_in(place):
    return tf.random.experimental.stateless_fold_in(tf.constant([3, 4], tf.int32), place)


def gradients_of(encoder, recompute, run_eagerly=False, jit_compile=None):
    """The gradients of all weights for one batch, as they are with and without recomputation."""
    weights = [weight.value for weight in encoder.weights]
    input_ids = tf.constant(np.random.default_rng(0).integers(0, 50, (4, 9)), tf.int32)
    mask = tf.sequence_mask([9, 4, 7, 1], 9, tf.int32)
    factors = tf.constant(np.random.default_rng(1).normal(size=(4, 9, 16)), tf.float32)

    def compute():
        # As in a training step: the gradient is taken outside of where the seeds hold.
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            with dropout_seeds(fold_in):
                outputs = encoder({"input_ids": input_ids, "input_mask": mask}, training=True)
            loss = tf.reduce_sum(outputs["sequence_output"] * factors)
            loss += tf.reduce_sum(outputs["pooled_output"])
        gradients = tape.gradient(loss, weights, unconnected_gradients="zero")
        return loss, [tf.convert_to_tensor(gradient) for gradient in gradients]

    encoder.recompute_activations = recompute
    try:
        run = compute if run_eagerly else tf.function(compute, jit_compile=jit_compile)
        return run()
    finally:
        encoder.recompute_activations = False


@pytest.mark.parametrize(
    ("policy", "how"),
    [
        ("float32", {"run_eagerly": True}),
        ("float32", {}),
        ("float32", {"jit_compile": True}),
        ("mixed_bfloat16", {"run_eagerly": True}),
    ],
    ids=str,
)
def test_gradients_with_dropout_are_the_same(policy, how):
    encoder = make_encoder(policy=policy)
    loss, expected = gradients_of(encoder, False, **how)
    again_loss, again = gradients_of(encoder, True, **how)
    assert float(again_loss) == float(loss)
    assert len(again) == len(expected) == len(encoder.weights)
    for weight, gradient, value in zip(encoder.weights, again, expected, strict=True):
        if how.get("run_eagerly"):
            np.testing.assert_array_equal(gradient, value, err_msg=weight.path)
        else:  # The two graphs are fused in other ways, and so round in other ways.
            size = float(tf.reduce_max(tf.abs(value)))
            np.testing.assert_allclose(
                gradient, value, atol=1e-6 * size + 1e-9, err_msg=weight.path
            )


def test_outside_of_a_training_step_the_masks_are_the_same_both_times_too(monkeypatch):
    encoder = make_encoder()
    drawn = []
    uniform = tf.random.stateless_uniform

    def recorded(shape, seed, **others):
        if others["dtype"] == tf.uint32:  # Keras draws seeds of another type.
            drawn.append(tuple(np.array(seed)))
        return uniform(shape, seed, **others)

    monkeypatch.setattr(dropout.tf.random, "stateless_uniform", recorded)
    encoder.recompute_activations = True
    with tf.GradientTape() as tape:
        outputs = encoder({"input_ids": np.array([[1, 2, 3]])}, training=True)
        loss = tf.reduce_sum(outputs["pooled_output"])
    forward = drawn[1:]  # The first is that of the embeddings, which are kept.
    num_forward = len(drawn)
    tape.gradient(loss, [weight.value for weight in encoder.weights])
    assert len(set(forward)) == len(forward) == 6
    assert sorted(drawn[num_forward:]) == sorted(forward)


def test_without_training_nothing_is_recomputed(monkeypatch):
    encoder = make_encoder()
    encoder.recompute_activations = True
    monkeypatch.setattr(layers.keras, "remat", None)
    encoder({"input_ids": np.array([[1, 2, 3]])})


def test_an_old_keras_is_refused_with_what_would_do(monkeypatch):
    monkeypatch.delattr(layers.keras, "remat")
    encoder = make_encoder(dataclasses.replace(CONFIG, num_hidden_layers=1))
    encoder.recompute_activations = True
    with pytest.raises(ValueError, match=r"needs Keras 3\.9 or later. Received: Keras 3"):
        encoder({"input_ids": np.array([[1, 2, 3]])}, training=True)


# Two logical devices must exist before TensorFlow starts.
TWO_DEVICES = """
import sys
import dataclasses
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

import bert_tf
from bert_tf.model.dropout import dropout_seeds
from bert_tf.pretraining.objectives.masked_lm_next_sentence import OBJECTIVE
from bert_tf.training import distribution
from bert_tf.training.trainer import Trainer
from bert_tf.training.checkpoint import named_variables
from bert_tf.training.optimizer import AdamWeightDecay

folder = sys.argv[1]
recorded = np.load(f"{folder}/trajectory.npz")
batches = {name[6:]: recorded[name] for name in recorded.files if name.startswith("batch_")}
mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
config = bert_tf.BertConfig.from_json_file(f"{folder}/bert_config.json")
config = dataclasses.replace(config, num_hidden_layers=1)


def train(strategy, dropout, recompute, accumulation_steps=1):
    shape = dataclasses.replace(
        config, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout
    )
    with strategy.scope():
        model = bert_tf.PretrainingModel(bert_tf.BertEncoder(shape))
        optimizer = AdamWeightDecay(named_variables(model), lambda step: 0.01, lamb=True)
    bert_tf.load_checkpoint(model, f"{folder}/bert_model.ckpt")
    model.encoder.recompute_activations = recompute
    trainer = Trainer(
        model,
        OBJECTIVE,
        optimizer,
        1,
        accumulation_steps=accumulation_steps,
        strategy=strategy,
    )
    iterator = distribution.distribute(
        strategy, lambda hosts, host: tf.data.Dataset.from_tensor_slices(batches), 4
    )
    trainer.run(iterator, 5)
    return {name: variable.numpy() for name, variable in trainer.state().items()}


def assert_alike(result, expected):
    for name, value in expected.items():
        if "self/key/bias" in name:
            continue  # Softmax does not see it: its gradient is nothing but rounding.
        size = np.abs(value).max() + 1e-9
        np.testing.assert_allclose(result[name], value, atol=1e-5 * size, err_msg=name)


one = tf.distribute.get_strategy()
expected = train(one, 0.0, False)
if sys.argv[2] == "parts":
    assert_alike(train(one, 0.0, True, accumulation_steps=2), expected)
    assert_alike(train(mirrored, 0.1, True), train(mirrored, 0.1, False))
else:
    assert_alike(train(mirrored, 0.0, True), expected)
print("same")
"""


def run_on_two_devices(golden_dir, what):
    result = forked_python.run(
        [sys.executable, "-c", TWO_DEVICES, str(golden_dir / "model"), what], timeout=600
    )
    assert result.stdout.endswith("same\n"), result.stderr


def test_two_devices_train_as_one_with_lamb_and_recomputation(golden_dir):
    run_on_two_devices(golden_dir, "devices")


@pytest.mark.slow
def test_parts_of_a_batch_and_replicas_with_dropout_train_alike_with_recomputation(golden_dir):
    run_on_two_devices(golden_dir, "parts")
