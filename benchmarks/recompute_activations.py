"""Peak memory and time of a training step with and without --recompute_activations.

    python benchmarks/recompute_activations.py
    python benchmarks/recompute_activations.py --size=large --batch_size=32 --max_seq_length=512

A pre-training step of BERT (random weights and tokens, dropout on), each case in a process of its
own: activations kept or recomputed, as TensorFlow's own graph or compiled with XLA. On a GPU the
peak is what TensorFlow took of its memory; on a CPU it is the process's peak beyond what it held
before the first step: weights, Adam's averages and TensorFlow itself, which are given apart.

On two cores BERT-Base with 8 x 128 tokens takes about five minutes and up to 7 GB.
"""

import itertools
import json
import os
import resource
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags
from machine import processor

import bert_tf
from bert_tf.model.dropout import dropout_seeds
from bert_tf.pretraining.objectives.masked_lm_next_sentence import OBJECTIVE
from bert_tf.training.checkpoint import named_variables
from bert_tf.training.optimizer import AdamWeightDecay
from bert_tf.training.schedule import WarmupAndDecay
from bert_tf.training.trainer import Trainer

FLAGS = flags.FLAGS
SIZES = {
    "small": {"num_hidden_layers": 4, "hidden_size": 256, "num_attention_heads": 4},
    "base": {"num_hidden_layers": 12, "hidden_size": 768, "num_attention_heads": 12},
    "large": {"num_hidden_layers": 24, "hidden_size": 1024, "num_attention_heads": 16},
}
flags.DEFINE_enum("size", "base", list(SIZES), "The model.")
flags.DEFINE_integer("batch_size", 8, "Sequences a step.")
flags.DEFINE_integer("max_seq_length", 128, "Tokens of a sequence.")
flags.DEFINE_enum(
    "mixed_precision", "", ["", "bfloat16", "float16"], "As run_pretraining.py has it."
)
flags.DEFINE_integer("num_steps", 2, "Steps that are timed.")
flags.DEFINE_string("case", None, "One case only, as JSON; for the program itself.")


def make_batch() -> dict[str, tf.Tensor]:
    """Random tokens, 15 % of them hidden, without padding."""
    rng = np.random.default_rng(0)
    rows, length = FLAGS.batch_size, FLAGS.max_seq_length
    hidden = round(0.15 * length)
    integers = {
        "input_ids": rng.integers(1000, 30522, (rows, length)),
        "input_mask": np.ones((rows, length)),
        "segment_ids": np.zeros((rows, length)),
        "masked_lm_positions": rng.integers(1, length, (rows, hidden)),
        "masked_lm_ids": rng.integers(1000, 30522, (rows, hidden)),
        "next_sentence_labels": np.zeros((rows, 1)),
    }
    batch = {name: tf.constant(value, tf.int32) for name, value in integers.items()}
    return {**batch, "masked_lm_weights": tf.ones([rows, hidden])}


def make_trainer(recompute: bool, xla: bool) -> Trainer:
    size = SIZES[FLAGS.size]
    config = bert_tf.BertConfig(
        vocab_size=30522, type_vocab_size=2, intermediate_size=4 * size["hidden_size"], **size
    )
    if FLAGS.mixed_precision:
        keras.config.set_dtype_policy(f"mixed_{FLAGS.mixed_precision}")
    keras.utils.set_random_seed(1)
    model = bert_tf.PretrainingModel(bert_tf.BertEncoder(config))
    model.encoder.recompute_activations = recompute
    optimizer = AdamWeightDecay(named_variables(model), WarmupAndDecay(1e-4, 1000, 10))
    return Trainer(model, OBJECTIVE, optimizer, 1, dropout_seeds, jit_compile=xla)


def run_case(recompute: bool, xla: bool) -> None:
    """Runs one case in this process; prints its figures as JSON."""
    trainer = make_trainer(recompute, xla)
    batches = iter(tf.data.Dataset.from_tensors(make_batch()).repeat())
    held = peak_megabytes()
    loss = trainer.run(batches, 1)["loss"]
    start = time.perf_counter()
    trainer.run(batches, FLAGS.num_steps)
    seconds = (time.perf_counter() - start) / FLAGS.num_steps
    figures = {"held_mb": held, "peak_mb": peak_megabytes() - held, "seconds": seconds}
    print(json.dumps({**figures, "loss": loss}))


def has_gpu() -> bool:
    return bool(tf.config.list_physical_devices("GPU"))


def peak_megabytes() -> float:
    if has_gpu():
        return tf.config.experimental.get_memory_info("GPU:0")["peak"] / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def device_name() -> str:
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        return tf.config.experimental.get_device_details(gpus[0])["device_name"]
    return f"{len(os.sched_getaffinity(0))} cores of {processor()}"


def main(_) -> None:
    if FLAGS.case:
        run_case(**json.loads(FLAGS.case))
        return
    print(
        f"{device_name()}, TensorFlow {tf.__version__}; BERT-{FLAGS.size}, {FLAGS.batch_size} x "
        f"{FLAGS.max_seq_length} tokens, {FLAGS.mixed_precision or 'float32'}\n"
    )
    print("| | activations | held before, MB | peak beyond it, MB | s a step | first loss |")
    print("|---|---|---|---|---|---|")
    for xla, recompute in itertools.product((False, True), (False, True)):
        case = json.dumps({"recompute": recompute, "xla": xla})
        command = [sys.executable, __file__, f"--case={case}", f"--size={FLAGS.size}"]
        command += [f"--batch_size={FLAGS.batch_size}", f"--num_steps={FLAGS.num_steps}"]
        command += [f"--max_seq_length={FLAGS.max_seq_length}"]
        command += [f"--mixed_precision={FLAGS.mixed_precision}"]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        figures = json.loads(output.splitlines()[-1])
        print(
            f"| {'XLA' if xla else 'graph'} | {'recomputed' if recompute else 'kept'} | "
            f"{figures['held_mb']:,.0f} | {figures['peak_mb']:,.0f} | {figures['seconds']:.1f} | "
            f"{figures['loss']:.6f} |",
            flush=True,
        )


if __name__ == "__main__":
    app.run(main)
