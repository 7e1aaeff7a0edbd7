import sys

import forked_python
import pytest
import tensorflow as tf

from bert_tf.settings.devices import DeviceSettings
from bert_tf.training import distribution
from bert_tf.training.devices import tpu_strategy

# Sixty steps of the original, on two logical devices: they must exist before TensorFlow starts.
TWO_DEVICES = """
import sys
import dataclasses
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

import bert_tf
from bert_tf.pretraining.objectives.masked_lm_next_sentence import OBJECTIVE
from bert_tf.training import distribution
from bert_tf.training.checkpoint import named_variables
from bert_tf.training.optimizer import AdamWeightDecay
from bert_tf.training.schedule import WarmupAndDecay
from bert_tf.training.trainer import Trainer

folder = sys.argv[1]
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
recorded = np.load(f"{folder}/trajectory.npz")
config = bert_tf.BertConfig.from_json_file(f"{folder}/bert_config.json")
config = dataclasses.replace(config, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
with strategy.scope():
    model = bert_tf.PretrainingModel(bert_tf.BertEncoder(config))
    schedule = WarmupAndDecay(float(recorded["learning_rate"]), 50, 10)
    optimizer = AdamWeightDecay(named_variables(model), schedule)
bert_tf.load_checkpoint(model, f"{folder}/bert_model.ckpt")
trainer = Trainer(
    model, OBJECTIVE, optimizer, 1, strategy=strategy
)
batches = {name[6:]: recorded[name] for name in recorded.files if name.startswith("batch_")}
iterator = distribution.distribute(
    strategy, lambda hosts, host: tf.data.Dataset.from_tensor_slices(batches), 4
)
losses = [trainer.run(iterator, 1)["loss"] for _ in range(60)]
np.testing.assert_allclose(losses, recorded["losses"][:, 0], atol=1e-5)
reader = tf.train.load_checkpoint(f"{folder}/after_training.ckpt")
for name, variable in trainer.state().items():
    np.testing.assert_allclose(variable.numpy(), reader.get_tensor(name), atol=1e-5, err_msg=name)
print("same")
"""


def test_two_devices_train_to_the_weights_of_the_original(golden_dir):
    result = forked_python.run(
        [sys.executable, "-c", TWO_DEVICES, str(golden_dir / "model")], timeout=300
    )
    assert result.stdout.endswith("same\n"), result.stderr


def test_without_a_tpu_the_error_says_what_to_check():
    with pytest.raises(ValueError, match="No TPU answers at 'local'") as refusal:
        tpu_strategy(DeviceSettings())
    build = f"Installed: tensorflow {tf.__version__}"
    for hint in (build, "pip install tensorflow-tpu", "name, zone and project"):
        assert hint in str(refusal.value)


def test_an_address_where_nobody_listens_is_reported_at_once():
    with pytest.raises(ValueError, match=r"No TPU answers at 'grpc://127.0.0.1:9' \(zone z"):
        tpu_strategy(DeviceSettings(master="grpc://127.0.0.1:9", tpu_zone="z"))


def test_one_device_gets_the_dataset_as_it_is():
    dataset = tf.data.Dataset.range(3)
    iterator = distribution.distribute(tf.distribute.get_strategy(), lambda hosts, host: dataset, 1)
    assert [int(x) for x in iterator] == [0, 1, 2]
