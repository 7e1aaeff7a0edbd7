"""How fast text becomes pre-training records, side by side with the original's algorithm.

    python benchmarks/pretraining_data.py --input_file=novels.txt.gz --vocab_file=vocab.txt

The peer is that algorithm written the obvious way (`straightforward_pretraining_data.py`), which
the original's own time resembles. Each runs in a process of its own, from its start to its end, on
one core, with the same flags; the best of the rounds counts, in processor time, so that other work
on the machine disturbs little. The records must be equal. Then each stage of ours is timed alone,
and last eight shards of ten times the text are made by one and by more workers.
"""

import importlib.metadata
import os
import platform
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from absl import app, flags
from machine import processor

from bert_tf.data.manifest import read_manifest
from bert_tf.data.records import RecordWriter
from bert_tf.files import expand_input_files, open_text_lines
from bert_tf.pretraining_data.documents import Documents, read_lines
from bert_tf.pretraining_data.examples import Instance, InstanceMaker
from bert_tf.pretraining_data.records import RecordEncoder
from bert_tf.pretraining_data.statistics import CorpusStatistics
from bert_tf.settings import PretrainingDataSettings
from bert_tf.text.tokenization import FullTokenizer

FLAGS = flags.FLAGS
flags.DEFINE_string("input_file", None, "Text (patterns, .gz).", required=True)
flags.DEFINE_string("vocab_file", None, "An uncased vocabulary.", required=True)
flags.DEFINE_float("megabytes", 2.6, "How much of the text to use, in 1e6 bytes.")
flags.DEFINE_integer("dupe_factor", 5, "As of create_pretraining_data.py.")
flags.DEFINE_integer("rounds", 3, "How often; the best round counts.")

HERE = Path(__file__).parent
SCRIPT = HERE.parent / "run_scripts" / "create_pretraining_data.py"
PEER = """
import sys
sys.path.insert(0, sys.argv[1])
import tensorflow  # As the original's script does.
import straightforward_pretraining_data, straightforward_tokenizer
text, vocab_file, output, dupe_factor = sys.argv[2:]
vocab = {line.strip(): n for n, line in enumerate(open(vocab_file, encoding="utf-8"))}
seconds = {}
straightforward_pretraining_data.create(
    open(text, encoding="utf-8", newline="\\n"),
    lambda line: straightforward_tokenizer.tokenize(line, vocab, True),
    vocab, [output], dupe_factor=int(dupe_factor), note_time=seconds.__setitem__)
print("; ".join(f"{stage} {took / sum(seconds.values()):.0%}" for stage, took in seconds.items()))
"""


def main(_) -> None:
    with tempfile.TemporaryDirectory() as folder:
        text = str(Path(folder, "text.txt"))
        megabytes = write_excerpt(text, FLAGS.megabytes)
        ours, theirs = str(Path(folder, "ours")), str(Path(folder, "theirs"))
        flags_of_ours = [
            *(f"--input_file={text}", f"--vocab_file={FLAGS.vocab_file}"),
            f"--dupe_factor={FLAGS.dupe_factor}",
        ]
        arguments = [str(HERE), text, FLAGS.vocab_file, theirs, str(FLAGS.dupe_factor)]
        rows = {
            "the original's algorithm": measure(["-c", PEER, *arguments]),
            "create_pretraining_data.py": measure(
                [str(SCRIPT), *flags_of_ours, f"--output_file={ours}"]
            ),
        }
        num_examples = read_manifest(folder)["runs"][0]["statistics"]["examples"]
        print_setting(megabytes, num_examples)
        print_rows(rows, megabytes, num_examples)
        equal = Path(ours).read_bytes() == Path(theirs).read_bytes()
        print(f"records equal: {'yes' if equal else 'NO'}")
        print_stages(time_stages(text), num_examples)
        print_workers(folder)


def write_excerpt(path: str, megabytes: float) -> float:
    """Writes the first `megabytes` of the text to `path`; gives its size in 1e6 bytes."""
    size = 0
    with open(path, "w", encoding="utf-8", newline="\n") as excerpt:
        for input_file in expand_input_files(FLAGS.input_file):
            for line in open_text_lines(input_file):
                size += len(line.encode()) + 1
                if size > 1e6 * megabytes:
                    return Path(path).stat().st_size / 1e6
                excerpt.write(f"{line}\n")
    return size / 1e6


def measure(arguments: list[str]) -> tuple[float, float, str]:
    """(processor seconds, peak memory in MB, what it printed first) of a process on one core."""
    best = float("inf")
    for _ in range(FLAGS.rounds):
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            preexec_fn=on_one_core,
        )
        printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise RuntimeError(f"{arguments[0]} ended with status {status}.")
        best = min(best, usage.ru_utime + usage.ru_stime)
    return best, usage.ru_maxrss / 1024, printed.split("\n")[0]


def on_one_core() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def time_stages(text: str) -> dict[str, float]:
    """Processor seconds of each of our stages.

    Pairs, masks and what is serialized of them come in one loop: what each takes is the difference
    that it makes to have it done.
    """
    settings = {
        masking: PretrainingDataSettings(
            text, FLAGS.vocab_file, "-", masking=masking, dupe_factor=FLAGS.dupe_factor
        )
        for masking in ("static", "dynamic")
    }
    tokenizer = FullTokenizer(FLAGS.vocab_file)
    encoder = RecordEncoder(settings["static"], tokenizer)
    look_up = encoder.token_of.__getitem__
    start = time.process_time()
    lines = read_lines([text], CorpusStatistics())
    documents = Documents(lines, lambda line: [*map(look_up, tokenizer.encode(line))])
    tokenize = time.process_time() - start

    def make(masking: str, keep: Callable[[Instance], bytes]) -> tuple[float, list[bytes]]:
        maker = InstanceMaker(settings[masking], tokenizer, encoder.token_of)
        start = time.process_time()
        made = [
            keep(instance) for instance in maker.make(documents, random.Random(1), lambda: None)
        ]
        return (time.process_time() - start) / len(made), made

    pairs, _ = make("dynamic", lambda instance: b"")
    masked, _ = make("static", lambda instance: b"")
    begun, instances = make("static", encoder.begin)
    start = time.process_time()
    records = [encoder.finish(instance) for instance in instances]
    finish = time.process_time() - start
    with open(os.devnull, "wb") as file:
        writer = RecordWriter(file)
        start = time.process_time()
        for record in records:
            writer.write(*record)
        write = time.process_time() - start
    return {
        "read and tokenize": tokenize,
        "make pairs": pairs * len(records),
        "mask": (masked - pairs) * len(records),
        "encode": (begun - masked) * len(records) + finish,
        "checksums and write": write,
    }


def print_setting(megabytes: float, num_examples: int) -> None:
    versions = [f"Python {platform.python_version()}"]
    versions += [f"{name} {importlib.metadata.version(name)}" for name in ("numpy", "tensorflow")]
    print(
        f"{time.strftime('%Y-%m-%d')}; {os.cpu_count()} cores of {processor()}; "
        f"{', '.join(versions)}; load {os.getloadavg()[0]:.1f}\n"
        f"{megabytes:.2f} MB of text, dupe_factor={FLAGS.dupe_factor}, {num_examples:,} examples; "
        f"processor time, best of {FLAGS.rounds}"
    )


def print_rows(rows: dict[str, tuple], megabytes: float, num_examples: int) -> None:
    first = next(iter(rows.values()))
    print(
        f"\n{'':28}{'s':>7} {'examples/s':>11} {'MB/s':>6} {'speed':>7} {'memory':>8} {'ratio':>7}"
    )
    for name, (seconds, memory, _) in rows.items():
        print(
            f"{name:28}{seconds:7.2f} {num_examples / seconds:11,.0f} "
            f"{megabytes / seconds:6.2f} {first[0] / seconds:6.1f}x {memory:5.0f} MB "
            f"{memory / first[1]:6.2f}x"
        )
    print(f"stages of the former: {first[2]}")


def print_stages(seconds: dict[str, float], num_examples: int) -> None:
    total = sum(seconds.values())
    print("\nstages of the latter         share  us/example")
    for stage, took in seconds.items():
        print(f"{stage:28} {took / total:5.0%}  {1e6 * took / num_examples:10.1f}")


def print_workers(folder: str) -> None:
    text = str(Path(folder, "more.txt"))
    megabytes = write_excerpt(text, 10 * FLAGS.megabytes)
    command = [sys.executable, str(SCRIPT), f"--input_file={text}", "--num_shards=8"]
    command += [f"--vocab_file={FLAGS.vocab_file}", f"--dupe_factor={FLAGS.dupe_factor}"]
    print(f"\n8 shards of {megabytes:.1f} MB     s  examples/s  processor s  load")
    for workers in sorted({1, 2, os.cpu_count()}):
        output = f"{folder}/by-{workers}"
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.perf_counter()
        flags_here = [f"--output_dir={output}", f"--num_workers={workers}"]
        subprocess.run([*command, *flags_here], check=True, capture_output=True)
        took = time.perf_counter() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        num_examples = read_manifest(output)["runs"][0]["statistics"]["examples"]
        print(
            f"{workers:2} workers         {took:8.2f} {num_examples / took:11,.0f} {used:12.2f} "
            f"{os.getloadavg()[0]:5.1f}"
        )


if __name__ == "__main__":
    app.run(main)
