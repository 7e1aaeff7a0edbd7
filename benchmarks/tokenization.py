"""How fast text becomes ids, side by side on one core, and in how many lines the ids agree.

    python benchmarks/tokenization.py --input_file=novels.txt.gz --vocab_file=vocab.txt

Each tokenizer encodes the same lines, starting new (no cache filled) in each round; the best round
counts, in processor time, so that other work on the machine disturbs little. What is not installed
is left out. "lines as in 1" compares with the first row, which is the original's algorithm written
the obvious way (`straightforward_tokenizer.py`).
"""

import importlib.metadata
import os
import platform
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
if hasattr(os, "sched_setaffinity"):  # Before anything starts a thread: one core for all of them.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import straightforward_tokenizer
from absl import app, flags

from bert_tf.files import expand_input_files, open_text_lines
from bert_tf.text.tokenization import FullTokenizer, load_vocab

FLAGS = flags.FLAGS
flags.DEFINE_string("input_file", None, "Text to encode (patterns, .gz).", required=True)
flags.DEFINE_string("vocab_file", None, "The vocabulary.", required=True)
flags.DEFINE_bool("do_lower_case", True, "Whether the vocabulary is an uncased one.")
flags.DEFINE_float("megabytes", 8.0, "How much of the text to encode, in 1e6 bytes.")
flags.DEFINE_integer("rounds", 3, "How often; the best round counts.")

BATCH = 1024
Encode = Callable[[list[str]], list[list[int]]]


def make_straightforward() -> Encode:
    vocab, lower = load_vocab(FLAGS.vocab_file), FLAGS.do_lower_case
    tokenize = straightforward_tokenizer.tokenize
    return lambda lines: [[vocab[x] for x in tokenize(line, vocab, lower)] for line in lines]


def make_huggingface() -> Encode:
    from tokenizers import BertWordPieceTokenizer

    tokenizer = BertWordPieceTokenizer(FLAGS.vocab_file, lowercase=FLAGS.do_lower_case)
    return lambda lines: [x.ids for x in tokenizer.encode_batch(lines, add_special_tokens=False)]


def make_tensorflow_text() -> Encode:
    import tensorflow as tf
    import tensorflow_text

    tokenizer = tensorflow_text.FastBertTokenizer(
        list(load_vocab(FLAGS.vocab_file)),
        token_out_type=tf.int32,
        lower_case_nfd_strip_accents=FLAGS.do_lower_case,
    )
    return lambda lines: tokenizer.tokenize(lines).to_list()


def make_ours_python() -> Encode:
    tokenizer = FullTokenizer(FLAGS.vocab_file, FLAGS.do_lower_case)
    return lambda lines: [tokenizer.encode(line) for line in lines]


def make_ours_with_offsets() -> Encode:
    tokenizer = FullTokenizer(FLAGS.vocab_file, FLAGS.do_lower_case)
    to_ids = tokenizer.convert_tokens_to_ids
    return lambda lines: [to_ids(tokenizer.tokenize_with_offsets(line)[0]) for line in lines]


def make_ours_in_batches() -> Encode:
    from bert_tf.text.batch_tokenization import BatchTokenizer

    return BatchTokenizer(FLAGS.vocab_file, FLAGS.do_lower_case).encode_batch


TOKENIZERS = {
    "the original's algorithm": make_straightforward,
    "Hugging Face tokenizers": make_huggingface,
    "tensorflow-text FastBertTokenizer": make_tensorflow_text,
    "bert_tf, Python": make_ours_python,
    "bert_tf, Python, with offsets": make_ours_with_offsets,
    "bert_tf, batches": make_ours_in_batches,
}


def read_lines() -> list[str]:
    """The first `--megabytes` of the text, as lines."""
    lines, left = [], FLAGS.megabytes * 1e6
    for path in expand_input_files(FLAGS.input_file):
        for line in open_text_lines(path):
            lines.append(line)
            left -= len(line.encode()) + 1
            if left <= 0:
                return lines
    return lines


def measure(make: Callable[[], Encode], lines: list[str]) -> tuple[float, list[list[int]]]:
    """Processor seconds of the best round, and the ids of every line."""
    best = float("inf")
    for _ in range(FLAGS.rounds):
        encode, ids = make(), []
        encode(["warm", "up"])
        start = time.process_time()
        for batch in batches(lines):
            ids += encode(batch)
        best = min(best, time.process_time() - start)
    return best, ids


def batches(lines: list[str]) -> Iterator[list[str]]:
    for first in range(0, len(lines), BATCH):
        yield lines[first : first + BATCH]


def describe_machine() -> str:
    processor = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        names = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
        processor = names[0] if names else processor
    versions = []
    for name in ("tensorflow", "tensorflow-text", "tokenizers"):
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"{name} not installed")
    return f"one core of {processor}, Python {platform.python_version()}, {', '.join(versions)}"


def main(_) -> None:
    lines = read_lines()
    megabytes = sum(len(line.encode()) + 1 for line in lines) / 1e6
    print(f"{megabytes:.1f} MB, {len(lines)} lines of {FLAGS.input_file}; {describe_machine()}")
    print(f"{'':34} {'MB/s':>7} {'ratio':>7}  lines as in 1")
    reference = None
    for name, make in TOKENIZERS.items():
        try:
            seconds, ids = measure(make, lines)
        except ModuleNotFoundError as error:
            print(f"{name:34} left out: {error}")
            continue
        if reference is None:
            reference = (seconds, ids)
        same = sum(a == b for a, b in zip(ids, reference[1], strict=True))
        print(
            f"{name:34} {megabytes / seconds:7.2f} {reference[0] / seconds:7.1f}"
            f"  {same} of {len(lines)} ({same / len(lines):.2%})",
            flush=True,
        )


if __name__ == "__main__":
    app.run(main)
