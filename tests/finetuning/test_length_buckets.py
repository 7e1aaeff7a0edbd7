"""Batches by length, in the model and in the training loop: the same numbers, with less to do."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import bert_tf
from bert_tf.data.records import RecordWriter
from bert_tf.data.schema import Feature, encode_example
from bert_tf.finetuning.feature_records import FeatureRecords
from bert_tf.model.task_heads import ClassificationModel

L = 64
FEATURES = {
    "input_ids": Feature((L,)),
    "input_mask": Feature((L,)),
    "segment_ids": Feature((L,)),
    "label_ids": Feature(()),
}


@pytest.fixture
def feature_file(tmp_path):
    """100 features of random tokens, 3 to 40 of them."""
    rng = np.random.default_rng(0)
    path = tmp_path / "train.tf_record"
    with open(path, "wb") as file:
        writer = RecordWriter(file)
        for _ in range(100):
            length = int(rng.integers(3, 41))
            padding = [0] * (L - length)
            values = {
                "input_ids": rng.integers(1, 50, length).tolist() + padding,
                "input_mask": [1] * length + padding,
                "segment_ids": [int(place > 8) for place in range(length)] + padding,
                "label_ids": [length % 2],
            }
            writer.write(encode_example(values), length)
    return str(path)


def test_the_losses_of_a_bucketed_batch_are_those_of_the_padded_one(feature_file):
    keras.utils.set_random_seed(1)
    config = bert_tf.BertConfig(
        vocab_size=50,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=L,
        initializer_range=0.2,
    )
    model = ClassificationModel(bert_tf.BertEncoder(config), 2)
    records = FeatureRecords(feature_file, FEATURES, L)
    losses = {}
    for bucketed in (True, False):
        of_number = {}
        for batch in records.ordered_batches(8, bucketed=bucketed):
            logits = model(model.select_features(batch), training=False)
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(batch["label_ids"], logits)
            of_number.update(zip(batch["feature_numbers"].numpy(), loss.numpy(), strict=True))
        losses[bucketed] = np.array([of_number[number] for number in range(100)])
    assert losses[False].std() > 0.01
    np.testing.assert_allclose(losses[True], losses[False], atol=1e-5)


# Trains on bucketed batches, on padded ones, and on two logical devices, which must exist before
# TensorFlow starts.
TRAIN = """
import sys
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

import bert_tf
from bert_tf.finetuning.feature_records import FeatureRecords
from bert_tf.model.task_heads import ClassificationModel
from bert_tf.training import distribution
from bert_tf.training.trainer import Trainer
from bert_tf.training.checkpoint import named_variables
from bert_tf.training.optimizer import AdamWeightDecay
from bert_tf.training.schedule import WarmupAndDecay

sys.path.insert(0, sys.argv[1])
from test_length_buckets import FEATURES, L

config = bert_tf.BertConfig(
    vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
    intermediate_size=64, max_position_embeddings=L, hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
)
records = FeatureRecords(sys.argv[2], FEATURES, L)
first = None

class Objective:
    measured = ("computed",)
    epsilons = {}

    def weights(self, batch):
        replicas = tf.distribute.get_replica_context().num_replicas_in_sync
        real = tf.reduce_sum(batch["is_real_example"])
        return {"loss": real, "computed": tf.constant(1.0 / replicas)}

    def sums(self, batch, outputs):
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(batch["label_ids"], outputs)
        # On all devices together.
        rows = tf.cast(tf.shape(batch["input_ids"]), tf.float32)
        real = tf.reduce_sum(loss * batch["is_real_example"])
        return {"loss": real, "computed": rows[0] * rows[1]}

def train(strategy, bucketed):
    global first
    with strategy.scope():
        model = ClassificationModel(bert_tf.BertEncoder(config), 2)
        model.dropout.rate = 0.0
        variables = named_variables(model)
        optimizer = AdamWeightDecay(variables, WarmupAndDecay(1e-3, 50, 2))
    if first is None:
        first = {name: variable.numpy() for name, variable in variables.items()}
    for name, variable in variables.items():
        variable.assign(first[name])
    trainer = Trainer(model, Objective(), optimizer, 1, strategy=strategy)
    iterator = distribution.distribute(
        strategy,
        lambda num_hosts, host_index: records.training_batches(
            8, 3, 0, num_hosts, host_index, bucketed
        ),
        8,
    )
    figures = [trainer.run(iterator, 4) for _ in range(4)]
    return [(f["loss"], f["computed"]) for f in figures]

one = train(tf.distribute.get_strategy(), True)
two = train(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]), True)
np.testing.assert_allclose(one, two, atol=1e-5)
assert one[0][1] < 4 * 8 * L
padded = train(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]), False)
assert padded[0][1] == 4 * 8 * L
assert padded[0][0] != one[0][0]
print("same")
"""


def test_two_devices_train_on_bucketed_batches_as_one_does(feature_file):
    command = [sys.executable, "-c", TRAIN, str(Path(__file__).parent), feature_file]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert result.stdout.endswith("same\n"), result.stderr
