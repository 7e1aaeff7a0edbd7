"""How long a run takes to begin in the middle of a large data set, and how much memory that takes.

    python benchmarks/start_position.py

The data set is simulated: a manifest says that there are 100 million examples (128 tokens, 20
predictions), in 1,000 files, and names for every block of 1,024 records the same place, where such
a block really lies. So whatever is read is read, parsed and mixed as it would be, and the disk
holds a megabyte. Measured, each in a process of its own, in batches of 256:

- all of a run's way to its first batch: manifest, checks before the first step, index, groups; at
  steps 0, 900,000 and 999,999 of the paper's run and at step 1,000,000,000; and of data sets of
  1, 10 and 100 million examples, to see what grows;
- the epoch's plan: whether every block is in it once, and the largest group;
- what replaying would take: examples a second read one after the other, and from that the time to
  pass over the examples before step 900,000.

"memory" is the peak beyond TensorFlow itself. What is read lies in the page cache: a disk adds the
time to fetch 128 blocks of a megabyte. Takes three minutes.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from absl import app, flags
from machine import peak_megabytes, summary

from bert_tf.data import manifest, schema
from bert_tf.data.order import plan_epoch
from bert_tf.data.record_set import GROUP_EXAMPLES, RecordSet, RecordUse, open_record_set

FLAGS = flags.FLAGS
flags.DEFINE_string("case", None, "One case only, in --folder; for the program itself.")
flags.DEFINE_string("folder", None, "Where records are; a temporary folder if not given.")
flags.DEFINE_integer("step", 0, "Of a case: the step to begin at.")

BATCH_SIZE, LENGTH, PREDICTIONS, VOCAB_SIZE = 256, 128, 20, 30522
BLOCK = manifest.RECORDS_PER_BLOCK
EXAMPLES_PER_FILE = 100_000
PAPERS_STEP = 900_000
REPLAYED_SECONDS = 10.0


def make_folder(folder: Path, num_examples: int) -> None:
    """Writes one block of records, and a manifest of `num_examples` that all lie there."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    with tf.io.TFRecordWriter(str(folder / "block")) as writer:
        for _ in range(BLOCK):
            ids = rng.integers(1000, VOCAB_SIZE, LENGTH)
            positions = np.sort(rng.choice(np.arange(1, LENGTH), PREDICTIONS, replace=False))
            arrays = {
                "input_ids": ids,
                "input_mask": np.ones(LENGTH, int),
                "segment_ids": (np.arange(LENGTH) > 60).astype(int),
                "masked_lm_positions": positions,
                "masked_lm_ids": ids[positions],
                "masked_lm_weights": np.ones(PREDICTIONS, np.float32),
                "next_sentence_labels": [1],
            }
            writer.write(schema.encode_example(arrays))
    num_bytes = (folder / "block").stat().st_size
    entries = []
    for number in range(num_examples // EXAMPLES_PER_FILE):
        name = f"{number:04d}.tfrecord"
        os.link(folder / "block", folder / name)
        entries.append(
            {
                "name": name,
                "examples": EXAMPLES_PER_FILE,
                "bytes": num_bytes,
                "block_offsets": [0] * -(-EXAMPLES_PER_FILE // BLOCK),
            }
        )
    settings = {"max_seq_length": LENGTH, "max_predictions_per_seq": PREDICTIONS}
    vocabulary = {"size": VOCAB_SIZE, "file": "vocab.txt"}
    run = {"settings": settings, "vocabulary": vocabulary, "files": entries}
    manifest.write_manifest(str(folder), run)


def open_records(folder: Path) -> RecordSet:
    use = RecordUse(needs_next_sentence=True)
    return open_record_set([f"{folder}/*.tfrecord"], LENGTH, PREDICTIONS, VOCAB_SIZE, 2, use)


def batches_from(records: RecordSet, step: int):
    return iter(records.training_batches(BATCH_SIZE, 1, step, 1, 0))


def measure_start(folder: Path) -> dict[str, float]:
    start = time.perf_counter()
    records = open_records(folder)
    opened = time.perf_counter()
    batches = batches_from(records, FLAGS.step)
    next(batches)
    first = time.perf_counter()
    for _ in range(2 * GROUP_EXAMPLES // BATCH_SIZE):  # Two groups: memory reaches its peak.
        next(batches)
    return {"open_s": opened - start, "first_batch_s": first - opened}


def measure_plan(folder: Path) -> dict[str, float]:
    sizes = open_records(folder).index.blocks["size"]
    start = time.perf_counter()
    none = tf.constant(0, tf.int64)
    groups = plan_epoch(tf.constant(sizes), 1, none + 2, none, GROUP_EXAMPLES)
    blocks = [numbers.numpy() for _, numbers, _ in groups]
    times = np.bincount(np.concatenate(blocks), minlength=len(sizes))
    return {
        "plan_s": time.perf_counter() - start,
        "blocks": len(sizes),
        "once": int((times == 1).sum()),
        "groups": len(blocks),
        "largest": int(max(sizes[numbers].sum() for numbers in blocks)),
    }


def measure_replay(folder: Path) -> dict[str, float]:
    batches = batches_from(open_records(folder), 0)
    next(batches)
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < REPLAYED_SECONDS:
        next(batches)
        count += BATCH_SIZE
    rate = count / (time.perf_counter() - start)
    return {"examples_per_s": rate, "hours": PAPERS_STEP * BATCH_SIZE / rate / 3600}


CASES = {"start": measure_start, "plan": measure_plan, "replay": measure_replay}


def run_case(folder: Path) -> None:
    """Runs one case in this process; prints its figures as JSON."""
    next(iter(tf.data.Dataset.range(2).map(lambda number: number + 1)))  # TensorFlow itself.
    before = peak_megabytes()
    figures = CASES[FLAGS.case](folder)
    print(json.dumps({**figures, "memory_mb": peak_megabytes() - before}))


def in_a_process(case: str, folder: Path, step: int = 0) -> dict[str, float]:
    command = [sys.executable, __file__, f"--case={case}", f"--folder={folder}", f"--step={step}"]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output.splitlines()[-1])


def main(_) -> None:
    if FLAGS.case:
        run_case(Path(FLAGS.folder))
        return
    print(f"{summary('tensorflow')}\n")
    print("| examples | step | checked and opened, s | then the first batch, s | memory, MB |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(dir=FLAGS.folder) as parent:
        folders = {}
        for millions in (1, 10, 100):
            folders[millions] = Path(parent) / str(millions)
            make_folder(folders[millions], millions * 1_000_000)
        starts = [(1, PAPERS_STEP), (10, PAPERS_STEP)]
        starts += [(100, step) for step in (0, PAPERS_STEP, 999_999, 10**9)]
        for millions, step in starts:
            figures = in_a_process("start", folders[millions], step)
            print(
                f"| {millions} million | {step:,} | {figures['open_s']:.1f} | "
                f"{figures['first_batch_s']:.1f} | {figures['memory_mb']:,.0f} |",
                flush=True,
            )
        plan = in_a_process("plan", folders[100])
        print(
            f"\nAn epoch of 100 million: {plan['once']:,} of {plan['blocks']:,} blocks once, in "
            f"{plan['groups']:,} groups of at most {plan['largest']:,} examples; planned in "
            f"{plan['plan_s']:.1f} s."
        )
        replay = in_a_process("replay", folders[100])
        print(
            f"Replayed instead, at {replay['examples_per_s']:,.0f} examples/s, the "
            f"{PAPERS_STEP * BATCH_SIZE / 1e6:.1f} million examples before step {PAPERS_STEP:,} "
            f"take {replay['hours'] * 60:.0f} minutes."
        )


if __name__ == "__main__":
    app.run(main)
