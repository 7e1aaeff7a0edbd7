"""How much faster training is on batches of about one length than on padded ones.

    python benchmarks/length_batches.py --data_dir=SST-2 --vocab_file=vocab.txt

Trains the same small BERT (4 layers, 256 wide; dropout on) on GLUE's SST-2 with batches of 32 and
--max_seq_length=128, as fine-tuning does: padded to 128, and bucketed by length. Both take turns in
one process, so that whatever else the machine does slows down both. Without --data_dir the features
are of random tokens, and as long as those of SST-2.

A turn of the bucketed one is 50 steps, a whole chunk of its order. Prints examples a second of
every turn, the ratio of the medians, and the same for seconds of computing, of all threads
together, which suffer less from what else the machine does. Takes about three minutes on two cores.
"""

import datetime
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
from absl import app, flags
from machine import summary

import bert_tf
from bert_tf.data.order import CHUNK_BATCHES
from bert_tf.data.records import RecordWriter
from bert_tf.data.schema import encode_example
from bert_tf.finetuning.feature_encoding import Encoding
from bert_tf.finetuning.feature_files import ensure_features
from bert_tf.finetuning.feature_records import FeatureRecords
from bert_tf.finetuning.objective import TaskObjective
from bert_tf.tasks.task import find_task
from bert_tf.training import distribution
from bert_tf.training.checkpoint import named_variables
from bert_tf.training.optimizer import AdamWeightDecay
from bert_tf.training.schedule import WarmupAndDecay
from bert_tf.training.trainer import Trainer

FLAGS = flags.FLAGS
flags.DEFINE_string("data_dir", None, "GLUE's SST-2; None for random tokens.")
flags.DEFINE_string("vocab_file", None, "The vocabulary; with --data_dir.")
flags.DEFINE_integer("rounds", 5, "How often each has its turn.")
flags.DEFINE_integer("padded_steps", 10, "Steps of a turn with padded batches.")
flags.DEFINE_integer("max_seq_length", 128, "What batches are padded to.")
flags.DEFINE_integer("batch_size", 32, "Examples a step.")
flags.DEFINE_integer("layers", 4, "Of the model.")
flags.DEFINE_integer("width", 256, "Of the model, with a head for each 64.")

VOCAB_SIZE = 30522
# How many of SST-2's training sentences have 3, 4, 5, ... pieces of Google's uncased vocabulary,
# [CLS] and [SEP] included: 13.3 on average.
LENGTH_COUNTS = (
    *(1978, 5322, 6065, 5345, 4749, 4155, 3713, 3267, 2947, 2650, 2413, 2138, 1950, 1777, 1661),
    *(1515, 1373, 1285, 1132, 1106, 1046, 909, 820, 806, 733, 692, 628, 538, 491, 442, 448, 400),
    *(337, 304, 286, 242, 195, 203, 192, 155, 148, 130, 89, 82, 85, 73, 55, 42, 50, 40, 36, 19),
    *(21, 22, 15, 8, 6, 3, 2, 5, 5, 1, 2, 2),
)


def real_features(task, path: str) -> str:
    encoding = Encoding(task, "train", FLAGS.vocab_file, True, FLAGS.max_seq_length)
    return ensure_features(encoding, lambda: task.read("train"), path).path


def random_features(path: str) -> str:
    rng = np.random.default_rng(0)
    lengths = rng.permutation(np.repeat(np.arange(3, 3 + len(LENGTH_COUNTS)), LENGTH_COUNTS))
    with open(path, "wb") as file:
        writer = RecordWriter(file)
        for length in np.minimum(lengths, FLAGS.max_seq_length):
            mask = np.arange(FLAGS.max_seq_length) < length
            record = {
                "input_ids": rng.integers(1000, VOCAB_SIZE, FLAGS.max_seq_length) * mask,
                "input_mask": mask.astype(int),
                "segment_ids": np.zeros(FLAGS.max_seq_length, int),
                "label_ids": [int(rng.integers(2))],
                "is_real_example": [1],
            }
            writer.write(encode_example(record), int(length))
    return path


class Run:
    """A model in training on one kind of batches.

    Args:
        task: what is learned.
        records: of what.
        bucketed: the kind.
        steps: of a turn.
    """

    def __init__(self, task, records: FeatureRecords, bucketed: bool, steps: int) -> None:
        config = bert_tf.BertConfig(
            vocab_size=VOCAB_SIZE,
            hidden_size=FLAGS.width,
            num_hidden_layers=FLAGS.layers,
            num_attention_heads=FLAGS.width // 64,
            intermediate_size=4 * FLAGS.width,
        )
        model = task.head(bert_tf.BertEncoder(config))
        schedule = WarmupAndDecay(1e-4, 100_000, 100)
        self.trainer = Trainer(
            model=model,
            objective=TaskObjective(task),
            optimizer=AdamWeightDecay(named_variables(model), schedule),
            seed=1,
        )
        self.batches = distribution.distribute(
            tf.distribute.get_strategy(), self._dataset(records, bucketed), FLAGS.batch_size
        )
        self.steps = steps
        self.rates: list[float] = []  # Examples a second, of each turn.
        self.rates_per_core: list[float] = []
        self.trainer.run(self.batches, 1)  # Makes the graph.

    def take_turn(self) -> None:
        start, computed = time.perf_counter(), time.process_time()
        self.trainer.run(self.batches, self.steps)
        num_examples = self.steps * FLAGS.batch_size
        self.rates.append(num_examples / (time.perf_counter() - start))
        self.rates_per_core.append(num_examples / (time.process_time() - computed))

    @staticmethod
    def _dataset(records: FeatureRecords, bucketed: bool):
        return lambda num_hosts, host_index: records.training_batches(
            FLAGS.batch_size, 1, 0, num_hosts, host_index, bucketed
        )


def mean_length(records: FeatureRecords) -> float:
    """The mean length of bucketed batches, over 10 chunks."""
    batches: Iterator = iter(records.training_batches(FLAGS.batch_size, 1))
    return statistics.mean(next(batches)["input_ids"].shape[1] for _ in range(10 * CHUNK_BATCHES))


def describe_machine() -> str:
    gpus = [
        tf.config.experimental.get_device_details(gpu).get("device_name", "GPU")
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    return ", ".join([*gpus, summary("tensorflow", "keras")])


def main(_) -> None:
    task = find_task("glue:sst-2", {"data_dir": FLAGS.data_dir} if FLAGS.data_dir else None)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "train.tf_record"))
        path = real_features(task, path) if FLAGS.data_dir else random_features(path)
        features = task.features("train", FLAGS.max_seq_length)
        records = FeatureRecords(path, features, FLAGS.max_seq_length)
        print(f"{datetime.date.today()}; {describe_machine()}")
        print(
            f"{records.num_features:,} features of {records.lengths.mean():.1f} tokens on average "
            f"({'SST-2' if FLAGS.data_dir else 'random tokens'}), batches of {FLAGS.batch_size}; "
            f"{FLAGS.layers} layers, {FLAGS.width} wide"
        )
        padded = Run(task, records, False, FLAGS.padded_steps)
        bucketed = Run(task, records, True, CHUNK_BATCHES)
        for _ in range(FLAGS.rounds):
            padded.take_turn()
            bucketed.take_turn()
        report(padded, bucketed, mean_length(records))


def report(padded: Run, bucketed: Run, length: float) -> None:
    """Prints the figures of both; `length`: of a bucketed batch, on average."""
    for name, run, tokens in (
        ("padded", padded, FLAGS.max_seq_length),
        ("bucketed", bucketed, length),
    ):
        turns = ", ".join(f"{rate:,.0f}" for rate in run.rates)
        print(
            f"{name:9} computes {tokens:5.1f} tokens an example: "
            f"{statistics.median(run.rates):7,.0f} examples/s (turns: {turns}), "
            f"{statistics.median(run.rates_per_core):7,.1f} per core s"
        )
    ratio = statistics.median(bucketed.rates) / statistics.median(padded.rates)
    per_core = statistics.median(bucketed.rates_per_core) / statistics.median(padded.rates_per_core)
    print(f"ratio of the medians: {ratio:.2f}; per core s: {per_core:.2f}")


if __name__ == "__main__":
    app.run(main)
