"""What plan_pretraining.py says of this machine's processor, and what training takes there.

    python benchmarks/plan_pretraining.py

Trains models on random tokens with the package's own training step (float32, dropout on), each in a
process of its own. In turns it measures the rate of large matrix products and a step, both by the
seconds of computing that the process took on all cores, which suffer less from what else the
machine does than those of the clock do. The plan is made with the rate of the same turn; printed
are medians of all turns. Memory is the most that the process had while it made the graph and
trained for the first step, less what it had after importing everything. Takes about five minutes
on two cores.
"""

import dataclasses
import datetime
import importlib.metadata
import json
import os
import resource
import statistics
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from absl import app, flags
from machine import processor

from bert_tf.config import BertConfig
from bert_tf.planning.costs import count_pretraining_parameters, count_products
from bert_tf.planning.hardware import CPU_EFFICIENCY, measure_cpu
from bert_tf.planning.memory import MemoryModel
from bert_tf.planning.plan import OPTIMIZER_BYTES, step_seconds

FLAGS = flags.FLAGS
flags.DEFINE_multi_string(
    "run",
    ["2,128,32,128", "4,256,32,128", "4,256,8,512", "12,768,8,128"],
    "Layers, width, batch size and sequence length of a model; may be given several times.",
)
flags.DEFINE_integer("rounds", 7, "How many turns each takes.")
flags.DEFINE_bool("xla", False, "Whether to compile the step.")
flags.DEFINE_bool("recompute_activations", False, "Whether blocks are computed again.")
flags.DEFINE_string("measure", None, "Used by the script itself: measure this run, print JSON.")

VOCAB_SIZE = 30522


def make_config(layers: int, width: int) -> BertConfig:
    return BertConfig(
        vocab_size=VOCAB_SIZE,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        intermediate_size=4 * width,
        type_vocab_size=2,
    )


def make_step(config: BertConfig, batch_size: int, length: int, max_predictions: int):
    """A function that trains for a step."""
    import tensorflow as tf

    from bert_tf.model.encoders import make_encoder
    from bert_tf.model.heads import PretrainingModel
    from bert_tf.pretraining.objectives.masked_lm_next_sentence import OBJECTIVE
    from bert_tf.training.checkpoint import named_variables
    from bert_tf.training.optimizer import AdamWeightDecay
    from bert_tf.training.schedule import WarmupAndDecay
    from bert_tf.training.trainer import Trainer

    model = PretrainingModel(make_encoder(config))
    model.encoder.recompute_activations = FLAGS.recompute_activations
    trainer = Trainer(
        model=model,
        objective=OBJECTIVE,
        optimizer=AdamWeightDecay(named_variables(model), WarmupAndDecay(1e-4, 1000, 100)),
        seed=1,
        jit_compile=FLAGS.xla,
    )
    rng = np.random.default_rng(0)

    def integers(high: int, *shape: int):
        return rng.integers(0, high, shape, np.int32)

    batch = {
        "input_ids": integers(VOCAB_SIZE, batch_size, length),
        "input_mask": np.ones((batch_size, length), np.int32),
        "segment_ids": integers(2, batch_size, length),
        "masked_lm_positions": integers(length, batch_size, max_predictions),
        "masked_lm_ids": integers(VOCAB_SIZE, batch_size, max_predictions),
        "masked_lm_weights": np.ones((batch_size, max_predictions), np.float32),
        "next_sentence_labels": integers(2, batch_size, 1),
    }
    batches = iter(tf.data.Dataset.from_tensors(batch).repeat())
    return lambda: trainer.run(batches, 1)


def cores() -> int:
    return len(os.sched_getaffinity(0))


def rate_of_a_core(size: int = 2048, times: int = 8) -> float:
    """FLOP/s of large matrix products, by seconds of computing of one core."""
    left = np.ones((size, size), np.float32)
    product = np.empty_like(left)
    computed = time.process_time()
    for _ in range(times):
        np.matmul(left, left, out=product)
    return times * 2.0 * size**3 / (time.process_time() - computed)


def copying_rate(num_values: int = 2**25, times: int = 8) -> float:
    """Bytes/s read and written by one core, by seconds of its computing."""
    source = np.ones(num_values, np.float32)
    target = np.zeros_like(source)
    computed = time.process_time()
    for _ in range(times):
        np.copyto(target, source)
    return times * 2.0 * source.nbytes / (time.process_time() - computed)


def measure(layers: int, width: int, batch_size: int, length: int) -> dict:
    import tensorflow  # noqa: F401

    import bert_tf.model.heads  # noqa: F401

    with open("/proc/self/statm") as file:
        imported = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    config = make_config(layers, width)
    max_predictions = -(-15 * length // 100)
    step = make_step(config, batch_size, length, max_predictions)
    step()  # Makes the graph.
    peak_memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - imported
    products = count_products(config, length, max_predictions, FLAGS.recompute_activations)
    parameters = count_pretraining_parameters(config)
    turns = []
    for _ in range(FLAGS.rounds):
        hardware = dataclasses.replace(
            measure_cpu(cores() * rate_of_a_core(), repeats=1), bandwidth=copying_rate()
        )
        rate = hardware.rate("")
        start, computed = time.perf_counter(), time.process_time()
        step()
        seconds = time.perf_counter() - start
        computing = (time.process_time() - computed) / cores()
        predicted = step_seconds(products, batch_size, parameters, hardware, rate)
        optimizing = OPTIMIZER_BYTES * parameters / hardware.bandwidth
        efficiency = (predicted - optimizing) * rate.efficiency / max(computing - optimizing, 1e-9)
        turns.append((rate.peak, seconds, computing, predicted, efficiency))
    memory = MemoryModel(
        *(config, length, max_predictions),
        recomputes=FLAGS.recompute_activations,
        is_compiled=FLAGS.xla,
    )
    return {
        "parameters": parameters,
        "peak_memory": peak_memory,
        "predicted_memory": memory.of_batch(batch_size).total,
        "turns": turns,
    }


def main(_: list[str]) -> None:
    if FLAGS.measure:
        print(json.dumps(measure(*map(int, FLAGS.measure.split(",")))))
        return
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("tensorflow", "keras")]
    print(f"{datetime.date.today()}, {cores()} cores of {processor()}, {', '.join(versions)}")
    how = ", blocks computed again" if FLAGS.recompute_activations else ""
    print(
        f"{'with' if FLAGS.xla else 'without'} XLA{how}; the plan's efficiency {CPU_EFFICIENCY}\n"
    )
    head = ("model", "batch", "examples/s by the clock", "of computing", "planned", "deviation")
    more = ("efficiency", "GFLOP/s of products", "memory, GB", "planned", "deviation")
    print(row(*head, *more))
    print(row(*(11 * ["---"])).replace(" ", ""))
    for run in FLAGS.run:
        layers, width, batch_size, length = map(int, run.split(","))
        command = [sys.executable, __file__, f"--measure={run}", f"--rounds={FLAGS.rounds}"]
        command.append(f"--xla={FLAGS.xla}")
        command.append(f"--recompute_activations={FLAGS.recompute_activations}")
        result = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        peaks, *times, efficiencies = zip(*result["turns"], strict=True)
        _, computing, predicted = times
        deviation = statistics.median(c / p - 1 for c, p in zip(computing, predicted, strict=True))
        taken, expected = result["peak_memory"], result["predicted_memory"]
        middle = statistics.median(efficiencies)
        cells = (
            f"{layers} x {width}, {result['parameters'] / 1e6:.1f} M",
            f"{batch_size} x {length}",
            *(f"{batch_size / statistics.median(of_turns):.3g}" for of_turns in times),
            f"{100 * deviation:+.0f} %",
            f"{middle:.2f} ({min(efficiencies):.2f} to {max(efficiencies):.2f})",
            f"{min(peaks) / 1e9:.0f} to {max(peaks) / 1e9:.0f}",
            *(f"{num_bytes / 1e9:.2f}" for num_bytes in (taken, expected)),
            f"{100 * (expected / taken - 1):+.0f} %",
        )
        print(row(*cells), flush=True)


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    app.run(main)
