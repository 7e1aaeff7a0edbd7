"""How fast SQuAD's questions become features, side by side with the original's algorithm.

    python benchmarks/squad_features.py --train_file=train-v1.1.json.gz --vocab_file=vocab.txt

The peer is that algorithm written the obvious way (`straightforward_squad_features.py`), which the
original's own time resembles. It gets a share of the questions, and one core; of its time only the
work counts, in processor time, so that other work on the machine disturbs it little. Ours is timed
in the wall time of whole processes, from their start to the end of the last worker, on all
questions. On the share the records of both must be equal. Prints Markdown.
"""

import gzip
import importlib.metadata
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from absl import app, flags
from machine import processor

from bert_tf.files import open_text_lines

FLAGS = flags.FLAGS
flags.DEFINE_string("train_file", None, "SQuAD 1.1 to train on; may be gzipped.", required=True)
flags.DEFINE_string("vocab_file", None, "An uncased vocabulary.", required=True)
flags.DEFINE_integer("num_articles", 8, "How many articles the peer gets.")
flags.DEFINE_integer("rounds", 3, "How often; the best round counts.")

HERE = Path(__file__).parent
PEER = """
import gzip, json, random, sys, time
sys.path.insert(0, sys.argv[1])
import tensorflow
import straightforward_squad_features as peer, straightforward_tokenizer
train_file, vocab_file, output = sys.argv[2:]
started = time.process_time()
vocab = {line.strip(): n for n, line in enumerate(open(vocab_file, encoding="utf-8"))}
with gzip.open(train_file, "rt", encoding="utf-8") as file:
    examples = peer.read(json.load(file)["data"])
random.Random(12345).shuffle(examples)
tokenize = lambda text: straightforward_tokenizer.tokenize(text, vocab, True)
features = peer.write(peer.features_of(examples, tokenize, vocab), output)
print(len(examples), features, time.process_time() - started)
"""
OURS = """
import sys
from bert_tf.finetuning.feature_encoding import Encoding
from bert_tf.finetuning.feature_files import ensure_features
from bert_tf.tasks.task import find_task
train_file, vocab_file, output, num_workers = sys.argv[1:]
if __name__ == "__main__":
    task = find_task("squad", {"train_file": train_file})
    encoding = Encoding(task, "train", vocab_file, True, 384)
    file = ensure_features(encoding, lambda: task.read("train"), output, int(num_workers))
    print(file.num_examples, file.num_features)
"""


def main(_) -> None:
    with tempfile.TemporaryDirectory() as folder:
        share = str(Path(folder, "share.json.gz"))
        write_share(share)
        theirs, ours = str(Path(folder, "theirs")), str(Path(folder, "ours"))
        peer = measure_peer(share, theirs)
        run_ours(folder, share, ours, 0)
        equal = Path(theirs).read_bytes() == Path(ours).read_bytes()
        counts = sorted({1, num_cores()})
        rows = {workers: measure_ours(folder, workers) for workers in counts}
    print_setting(peer[0], rows[counts[-1]][0], equal)
    print_rows(peer, rows)


def write_share(path: str) -> None:
    """Writes the first articles of the file."""
    content = json.loads("\n".join(open_text_lines(FLAGS.train_file)))
    content["data"] = content["data"][: FLAGS.num_articles]
    with gzip.open(path, "wt", encoding="utf-8") as file:
        json.dump(content, file)


def measure_peer(share: str, output: str) -> tuple[int, float]:
    """(questions, processor seconds) of the peer."""
    best = float("inf")
    arguments = [sys.executable, "-c", PEER, str(HERE), share, FLAGS.vocab_file, output]
    for _ in range(FLAGS.rounds):
        run = subprocess.run(
            arguments,
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        questions, _, seconds = run.stdout.split()
        best = min(best, float(seconds))
    return int(questions), best


def measure_ours(folder: str, workers: int) -> tuple[int, int, float, float, float]:
    """(questions, features, seconds, processor seconds, peak memory in MB) of all questions."""
    best = None
    for number in range(FLAGS.rounds):
        output = str(Path(folder, f"{workers}-{number}"))
        row = run_ours(folder, FLAGS.train_file, output, workers)
        best = row if best is None or row[2] < best[2] else best
        Path(output).unlink()
    return best


def run_ours(
    folder: str, train_file: str, output: str, workers: int
) -> tuple[int, int, float, float, float]:
    script = Path(folder, "ours.py")  # Workers import it: it must be a file.
    script.write_text(OURS)
    arguments = [sys.executable, str(script), train_file, FLAGS.vocab_file, output, str(workers)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    process = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, memory_of(process.pid))
        time.sleep(0.2)  # Looking costs time, too.
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        raise RuntimeError(f"Making features ended with status {process.returncode}.")
    questions, features = map(int, process.stdout.read().split())
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return questions, features, seconds, used, peak


def memory_of(pid: int) -> float:
    """MB of a process and its children together, what they share counted once; 0 if unknown."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # It has ended, or this is no Linux.
        return 0.0
    own = sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return own / 1024 + sum(memory_of(int(child)) for child in children)


def num_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def print_setting(peer_questions: int, questions: int, equal: bool) -> None:
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("numpy", "tensorflow")]
    print(
        f"{time.strftime('%Y-%m-%d')}; {num_cores()} cores of {processor()}, load "
        f"{os.getloadavg()[0]:.1f}; Python {platform.python_version()}, {', '.join(versions)}.\n"
        f"{questions:,} questions of {Path(FLAGS.train_file).name}, 384 tokens, stride 128; the "
        f"peer has {peer_questions:,} of them, for which both write "
        f"{'the same bytes' if equal else 'DIFFERENT RECORDS'}. Best of {FLAGS.rounds}.\n"
    )


def print_rows(peer: tuple[int, float], rows: dict[int, tuple]) -> None:
    print("| | seconds | questions/s | ratio | processor s | ratio in these | peak memory |")
    print("|---|---|---|---|---|---|---|")
    rate = peer[0] / peer[1]
    print(f"| the original's algorithm | {peer[1]:.1f} | {rate:,.0f} | 1 | {peer[1]:.1f} | 1 | |")
    for workers, (questions, _, seconds, used, memory) in rows.items():
        print(
            f"| bert_tf, {workers} worker{'s' if workers > 1 else ''} | {seconds:.1f} "
            f"| {questions / seconds:,.0f} | {questions / seconds / rate:.1f} "
            f"| {used:.1f} | {questions / used / rate:.1f} | {memory:,.0f} MB |"
        )


if __name__ == "__main__":
    app.run(main)
