"""How fast records become batches, how much memory that takes, and how long it takes to begin.

    python benchmarks/input_pipeline.py

Makes records of random tokens (128 tokens, 20 predictions), a gigabyte by default, and reads them
in batches of 256, each case in a process of its own:

- speed: with the original's pipeline (records shuffled in a buffer of 100 and parsed one by one),
  and with this project's, for masks that are stored and for masks that are drawn;
- start: seconds to the first batch of step 0, of step 1,000,000, and of step 900,000 of a data set
  of 100 million examples (every file under 96 names, with a manifest);
- checks: the walk that finds records without a manifest, and the look into every record before the
  first step.

"per core s" counts seconds of computing, of all threads together; it does not suffer from what else
the machine does. "memory" is what the case took beyond TensorFlow itself, at its peak.

The files lie in the page cache. Takes about three minutes.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
from absl import app, flags
from machine import peak_megabytes, summary

from bert_tf.data import manifest, schema
from bert_tf.data.dynamic_masking import masking_from_manifest
from bert_tf.data.record_index import RecordIndex, build_record_index
from bert_tf.data.record_set import RecordSet
from bert_tf.data.validation import check_records

FLAGS = flags.FLAGS
flags.DEFINE_integer("examples", 1_048_576, "Records to make; a multiple of 8,192.")
flags.DEFINE_float("seconds", 8.0, "How long to read in each case.")
flags.DEFINE_string("case", None, "One case only, on records in --folder; for the program itself.")
flags.DEFINE_string("folder", None, "Where records are; a temporary folder if not given.")

BATCH_SIZE = 256
LENGTH, PREDICTIONS, VOCAB_SIZE = 128, 20, 30522
NUM_FILES = 8
NUM_COPIES = 96  # Names of each file, for a hundred million examples.
DISTINCT = 1024
STATIC = schema.pretraining_features(LENGTH, PREDICTIONS)


def make_records(folder: Path) -> None:
    """Writes records with stored masks, with none, and packed, with manifests, under `folder`."""
    rng = np.random.default_rng(0)
    for kind in ("static", "dynamic", "words"):
        records = [make_record(rng, kind) for _ in range(DISTINCT)]
        write_folder(folder / kind, records, kind)
        if kind == "static":
            write_folder(folder / "gzip", records, kind, "GZIP")
    many = folder / "many"
    many.mkdir()
    entries = manifest.read_manifest(str(folder / "static"))["runs"][0]["files"]
    new_entries = []
    for copy in range(NUM_COPIES):
        for entry in entries:
            name = f"{copy}-{entry['name']}"
            (many / name).symlink_to(folder / "static" / entry["name"])
            new_entries.append({**entry, "name": name})
    write_manifest(many, new_entries, "static")


def make_record(rng: np.random.Generator, kind: str) -> bytes:
    ids = rng.integers(1000, VOCAB_SIZE, LENGTH)
    places = np.arange(LENGTH)
    is_special = (places == 0) | (places == 60) | (places == LENGTH - 1)
    starts_word = ~is_special & ((kind == "dynamic") | (rng.random(LENGTH) < 0.75) | (places == 1))
    arrays = {
        "input_ids": ids,
        "input_mask": np.ones(LENGTH, int),
        "segment_ids": (places > 60).astype(int),
        "next_sentence_labels": [1],
    }
    if kind != "static":
        return schema.encode_example(
            {**arrays, "word_ids": np.where(is_special, 0, np.cumsum(starts_word))}
        )
    positions = np.sort(rng.choice(places[1:59], PREDICTIONS, replace=False))
    masks = {
        "masked_lm_positions": positions,
        "masked_lm_ids": ids[positions],
        "masked_lm_weights": np.ones(PREDICTIONS, np.float32),
    }
    return schema.encode_example({**arrays, **masks})


def write_folder(folder: Path, records: list[bytes], kind: str, packed: str = "") -> None:
    folder.mkdir(parents=True)
    count = FLAGS.examples // NUM_FILES
    starts = np.cumsum([0] + [len(records[n % DISTINCT]) + 16 for n in range(count)])
    entries = []
    for number in range(NUM_FILES):
        path = folder / f"{number}.tfrecord{'.gz' if packed else ''}"
        with tf.io.TFRecordWriter(str(path), packed or None) as writer:
            for place in range(count):
                writer.write(records[place % DISTINCT])
        entries.append(
            {
                "name": path.name,
                "examples": count,
                "bytes": path.stat().st_size,
                "block_offsets": None if packed else starts[:-1:1024].tolist(),
            }
        )
    write_manifest(folder, entries, kind)


def write_manifest(folder: Path, entries: list[dict], kind: str) -> None:
    masking = "static" if kind == "static" else "dynamic"
    run = {
        "settings": {"masking": masking, "masked_lm_prob": 0.15},
        "masking": {"mask_id": 103, "replacement_ranges": [[0, VOCAB_SIZE]]},
        "files": entries,
    }
    manifest.write_manifest(str(folder), run)


def original_pipeline(folder: Path) -> tf.data.Dataset:
    """What run_pretraining.py of the original release builds, in today's names."""
    paths = [str(path) for path in sorted((folder / "static").glob("*.tfrecord"))]
    description = {
        name: tf.io.FixedLenFeature(feature.shape, tf.as_dtype(feature.dtype))
        for name, feature in STATIC.items()
    }

    def parse(record):
        parsed = tf.io.parse_single_example(record, description)
        return {
            name: tf.cast(tensor, tf.int32) if tensor.dtype == tf.int64 else tensor
            for name, tensor in parsed.items()
        }

    dataset = tf.data.Dataset.from_tensor_slices(paths).repeat().shuffle(len(paths))
    dataset = dataset.interleave(
        tf.data.TFRecordDataset, cycle_length=4, num_parallel_calls=4, deterministic=False
    )
    dataset = dataset.shuffle(100).map(parse, num_parallel_calls=4)
    return dataset.batch(BATCH_SIZE, drop_remainder=True).prefetch(1)


def our_index(folder: Path, kind: str) -> RecordIndex:
    return build_record_index([str(path) for path in sorted((folder / kind).glob("*.tfrecord*"))])


def our_pipeline(folder: Path, kind: str, start_step: int = 0) -> tf.data.Dataset:
    index = our_index(folder, kind)
    masking = masking_from_manifest(index, PREDICTIONS)
    features = schema.unmasked_pretraining_features(LENGTH) if masking else STATIC
    records = RecordSet(index, features, masking)
    return records.training_batches(BATCH_SIZE, seed=1, start_step=start_step)


def eval_pipeline(folder: Path) -> tf.data.Dataset:
    return RecordSet(our_index(folder, "static"), STATIC).evaluation_batches(BATCH_SIZE)


def measure_reading(make: Callable[[], tf.data.Dataset]) -> dict[str, float]:
    """Seconds to the first batch, then examples a second."""
    start_tensorflow()
    start = time.perf_counter()
    batches = iter(make())
    next(batches)
    first = time.perf_counter() - start
    start, cpu_start, count = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - start < FLAGS.seconds:
        if next(batches, None) is None:
            break
        count += BATCH_SIZE
    return {
        "first_batch_s": first,
        "examples_per_s": count / (time.perf_counter() - start),
        "examples_per_core_s": count / (time.process_time() - cpu_start),
    }


def start_tensorflow() -> None:
    """So that this is not counted."""
    next(iter(tf.data.Dataset.range(2).map(lambda number: number + 1)))


def measure_walk(folder: Path) -> dict[str, float]:
    (folder / "static" / "manifest.json").rename(folder / "hidden.json")
    figures = measure_index(lambda: our_index(folder, "static"))
    (folder / "hidden.json").rename(folder / "static" / "manifest.json")
    return figures


def measure_check(folder: Path) -> dict[str, float]:
    index = our_index(folder, "static")
    count = index.num_examples
    return measure_index(lambda: check_records(index, STATIC, VOCAB_SIZE, 2, max_examples=count))


def measure_index(make: Callable[[], RecordIndex]) -> dict[str, float]:
    """Examples and megabytes a second."""
    start_tensorflow()
    start, cpu_start = time.perf_counter(), time.process_time()
    index = make()
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    num_bytes = sum(Path(path).stat().st_size for path in index.paths)
    return {
        "examples_per_s": index.num_examples / seconds,
        "examples_per_core_s": index.num_examples / cpu_seconds,
        "mb_per_s": num_bytes / 1e6 / seconds,
    }


CASES: dict[str, Callable[[Path], dict[str, float]]] = {
    "speed, the original's pipeline": lambda f: measure_reading(lambda: original_pipeline(f)),
    "speed, stored masks": lambda f: measure_reading(lambda: our_pipeline(f, "static")),
    "speed, stored masks, gzip": lambda f: measure_reading(lambda: our_pipeline(f, "gzip")),
    "speed, drawn masks": lambda f: measure_reading(lambda: our_pipeline(f, "dynamic")),
    "speed, drawn masks, whole words": lambda f: measure_reading(lambda: our_pipeline(f, "words")),
    "speed, evaluation": lambda f: measure_reading(lambda: eval_pipeline(f)),
    "start at step 1,000,000": lambda f: measure_reading(
        lambda: our_pipeline(f, "static", 1_000_000)
    ),
    "start at step 0 of 100 million": lambda f: measure_reading(lambda: our_pipeline(f, "many")),
    "start at step 900,000 of 100 million": lambda f: measure_reading(
        lambda: our_pipeline(f, "many", 900_000)
    ),
    "check, walk without a manifest": measure_walk,
    "check, every record": measure_check,
}


def run_case(name: str) -> None:
    """Runs one case in this process; prints its figures as JSON."""
    before = peak_megabytes()
    figures = CASES[name](Path(FLAGS.folder))
    print(json.dumps({**figures, "memory_mb": peak_megabytes() - before}))


def main(_) -> None:
    if FLAGS.case:
        run_case(FLAGS.case)
        return
    with tempfile.TemporaryDirectory(dir=FLAGS.folder) as folder:
        make_records(Path(folder))
        size = sum(path.stat().st_size for path in (Path(folder) / "static").iterdir()) / 1e6
        print(f"{FLAGS.examples} records, {size:.0f} MB; {summary('tensorflow')}")
        print(
            f"{'':38} {'examples/s':>10} {'per core s':>10} {'MB/s':>6} {'first batch s':>13} "
            f"{'memory MB':>9}"
        )
        for name in CASES:
            command = [sys.executable, __file__, f"--case={name}", f"--folder={folder}"]
            command.append(f"--seconds={FLAGS.seconds}")
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            figures = json.loads(output.splitlines()[-1])
            rate, first = figures.get("mb_per_s"), figures.get("first_batch_s")
            print(
                f"{name:38} {figures['examples_per_s']:10,.0f} "
                f"{figures['examples_per_core_s']:10,.0f} {f'{rate:,.0f}' if rate else '':>6} "
                f"{f'{first:.1f}' if first else '':>13} {figures['memory_mb']:9,.0f}",
                flush=True,
            )


if __name__ == "__main__":
    app.run(main)
