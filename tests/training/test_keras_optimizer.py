"""The Keras optimizer gives the numbers of our own training loop."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import bert_tf
from bert_tf.training.checkpoint import named_variables
from bert_tf.training.keras_optimizer import clip_by_global_norm
from bert_tf.training.optimizer import AdamWeightDecay
from bert_tf.training.schedule import WarmupAndDecay

CONFIG = bert_tf.BertConfig(
    vocab_size=30,
    hidden_size=8,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=16,
    max_position_embeddings=12,
    type_vocab_size=2,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
)
IDS = np.random.default_rng(0).integers(0, 30, (8, 6)).astype("int32")
LABELS = IDS[:, 0] % 3


def make_model():
    keras.utils.set_random_seed(1)
    model = bert_tf.ClassificationModel(bert_tf.BertEncoder(CONFIG), num_labels=3)
    model.dropout.rate = 0.0
    return model


def fitted(model, steps=20, **options):
    optimizer = bert_tf.create_optimizer(1e-3, steps, num_warmup_steps=4, **options)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, jit_compile=False)  # XLA rounds otherwise.
    batches = tf.data.Dataset.from_tensor_slices((IDS, LABELS)).batch(8).repeat(steps)
    model.fit(batches, shuffle=False, verbose=0)
    return {weight.path: weight.numpy() for weight in model.weights}


@pytest.mark.parametrize("bias_correction", [False, True])
def test_twenty_steps_of_fit_give_the_weights_of_our_own_optimizer(bias_correction):
    by_fit = fitted(make_model(), bias_correction=bias_correction)
    model = make_model()
    weights = named_variables(model)
    optimizer = AdamWeightDecay(
        weights, WarmupAndDecay(1e-3, 20, 4), bias_correction=bias_correction
    )

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            logits = model(IDS, training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(LABELS, logits)
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, list(weights.values()))
        clipped, norm = clip_by_global_norm(list(map(tf.convert_to_tensor, gradients)), 1.0)
        optimizer.apply(clipped)
        return norm

    assert all(float(step()) > 0 for _ in range(20))
    for name, weight in weights.items():
        np.testing.assert_allclose(by_fit[name], weight.numpy(), atol=1e-6, err_msg=name)


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_a_weight_that_the_loss_does_not_need_is_left_alone():
    encoder = bert_tf.BertEncoder(CONFIG)
    ids = keras.Input((None,), dtype="int32")
    scores = keras.layers.Dense(3)(encoder(ids)["sequence_output"])
    model = keras.Model(ids, scores)
    before = {weight.path: weight.numpy() for weight in encoder.weights}
    model.compile(
        bert_tf.create_optimizer(1e-3, 10), keras.losses.SparseCategoricalCrossentropy(True)
    )
    model.fit(IDS, IDS % 3, verbose=0)
    for weight in encoder.weights:
        is_pooler = weight.path.startswith(encoder.pooler_prefix)
        assert (weight.numpy() == before[weight.path]).all() == is_pooler, weight.path


def test_it_is_saved_with_its_state_and_schedule(tmp_path):
    model = make_model()
    fitted(model)
    model.save(tmp_path / "x.keras")
    again = keras.saving.load_model(tmp_path / "x.keras")
    assert again.optimizer.get_config() == model.optimizer.get_config()
    for a, b in zip(again.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a, b)
    assert float(again.optimizer.learning_rate) == float(model.optimizer.learning_rate)


def test_what_is_no_schedule_is_refused():
    with pytest.raises(ValueError, match="original, continuous"):
        bert_tf.create_optimizer(1e-3, 10, learning_rate_schedule="cosine")
    with pytest.raises(ValueError, match="num_warmup_steps from 0"):
        bert_tf.create_optimizer(1e-3, 10, num_warmup_steps=11)


TWO_DEVICES = """
import sys
import numpy as np
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
sys.path.insert(0, sys.argv[1])
import test_keras_optimizer as t
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    model = t.make_model()
    two = t.fitted(model)
one = t.fitted(t.make_model())
for name in one:
    np.testing.assert_allclose(two[name], one[name], atol=1e-6, err_msg=name)
"""


def test_two_devices_clip_and_update_as_one_does():
    folder = __file__.rpartition("/")[0]
    command = [sys.executable, "-c", TWO_DEVICES, folder]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
