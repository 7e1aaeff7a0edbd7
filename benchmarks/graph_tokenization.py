"""How fast text becomes ids inside a TensorFlow graph, on one core, beside the Python tokenizers.

    python benchmarks/graph_tokenization.py --input_file=novels.txt.gz --vocab_file=vocab.txt

Every tokenizer is given the same batches of 1,024 lines, the Python ones starting new (no cache
filled) in each round; the best round counts, in processor time. In a graph the ids stay tensors:
whoever wants Python lists pays for them. "lines as in 1" compares with `FullTokenizer`: ids, and
where there are any, offsets.

"exact" sends every line by the way for lines that are not plain ASCII. "rare" puts a line into each
batch that needs all that is done only when it is there: a capital sigma, a character that becomes
several, an accent, marks that Unicode reorders.
"""

import functools
import os
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any, NamedTuple

if hasattr(os, "sched_setaffinity"):  # Before anything starts a thread: one core for all of them.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import tensorflow as tf
from absl import app, flags
from machine import processor

from bert_tf.files import expand_input_files, open_text_lines
from bert_tf.text.graph_tokenization import GraphTokenizer
from bert_tf.text.tokenization import FullTokenizer

FLAGS = flags.FLAGS
flags.DEFINE_string("input_file", None, "Text to encode (patterns, .gz).", required=True)
flags.DEFINE_string("vocab_file", None, "The vocabulary.", required=True)
flags.DEFINE_bool("do_lower_case", True, "Whether the vocabulary is an uncased one.")
flags.DEFINE_float("megabytes", 8.0, "How much of the text to encode, in 1e6 bytes.")
flags.DEFINE_integer("rounds", 3, "How often; the best round counts.")

BATCH = 1024
RARE = "ΟΔΟΣ 한국어 cafe\u0301 a\U0001d16d\U0001d165"
CALLS_OF_ONE = 300
Rows = list[list]


class Way(NamedTuple):
    """A way to tokenize.

    prepare: what it is given, made of a batch of lines.
    run: what is measured.
    rows: for each line its ids, or its (id, start, end), made of what `run` gave.
    """

    prepare: Callable[[list[str]], Any]
    run: Callable[[Any], Any]
    rows: Callable[[Any], Rows]


def full_tokenizer_ids() -> Way:
    tokenizer = FullTokenizer(FLAGS.vocab_file, FLAGS.do_lower_case)
    return Way(list, lambda lines: [*map(tokenizer.encode, lines)], list)


def full_tokenizer_spans() -> Way:
    tokenizer = FullTokenizer(FLAGS.vocab_file, FLAGS.do_lower_case)

    def spans(lines: list[str]) -> Rows:
        rows = []
        for tokens, offsets in map(tokenizer.tokenize_with_offsets, lines):
            ids = tokenizer.convert_tokens_to_ids(tokens)
            rows.append([(x, *offset) for x, offset in zip(ids, offsets, strict=True)])
        return rows

    return Way(list, spans, list)


@functools.cache
def graph_tokenizer() -> GraphTokenizer:
    return GraphTokenizer(FLAGS.vocab_file, FLAGS.do_lower_case)


@functools.cache
def exact(name: str) -> Callable[[tf.Tensor], tf.RaggedTensor]:
    """A function of the way that texts go which are not plain ASCII."""
    texts = tf.TensorSpec([None], tf.string)
    return tf.function(getattr(graph_tokenizer(), name), input_signature=[texts])


def rows_of_three(spans: tuple[tf.RaggedTensor, ...]) -> Rows:
    rows = zip(*(x.to_list() for x in spans), strict=True)
    return [list(zip(*row, strict=True)) for row in rows]


def rows_of_triples(triples: tf.RaggedTensor) -> Rows:
    return [list(map(tuple, row)) for row in triples.to_list()]


def with_rare(lines: list[str]) -> tf.Tensor:
    return tf.constant([*lines, RARE])


to_list = tf.RaggedTensor.to_list
WAYS = {
    "FullTokenizer.encode": full_tokenizer_ids,
    "FullTokenizer, with offsets": full_tokenizer_spans,
    "GraphTokenizer.tokenize": lambda: Way(tf.constant, graph_tokenizer().tokenize, to_list),
    "GraphTokenizer, with offsets": lambda: Way(
        tf.constant, graph_tokenizer().tokenize_with_offsets, rows_of_three
    ),
    "  exact": lambda: Way(tf.constant, exact("exact_ids"), to_list),
    "  exact, with offsets": lambda: Way(tf.constant, exact("exact_spans"), rows_of_triples),
    "  exact, rare": lambda: Way(with_rare, exact("exact_ids"), lambda x: to_list(x)[:-1]),
    "  exact, rare, with offsets": lambda: Way(
        with_rare, exact("exact_spans"), lambda x: rows_of_triples(x)[:-1]
    ),
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


def batches(lines: list[str]) -> Iterator[list[str]]:
    for first in range(0, len(lines), BATCH):
        yield lines[first : first + BATCH]


def measure(make: Callable[[], Way], lines: list[str]) -> tuple[float, Rows]:
    """Processor seconds of the best round, and what became of each line."""
    best, rows = float("inf"), []
    for _ in range(FLAGS.rounds):
        way = make()
        given = [way.prepare(batch) for batch in batches(lines)]
        way.run(way.prepare(["warm", "up", "ü"]))
        start = time.process_time()
        results = [way.run(batch) for batch in given]
        best = min(best, time.process_time() - start)
        rows = [row for result in results for row in way.rows(result)]
    return best, rows


def microseconds_of_one(way: Way, lines: list[str]) -> float:
    """Processor time of a call with one line, the median of many."""
    times = []
    for line in lines[:CALLS_OF_ONE]:
        given = way.prepare([line])
        start = time.process_time()
        way.run(given)
        times.append(time.process_time() - start)
    return sorted(times)[len(times) // 2] * 1e6


def main(_) -> None:
    lines = [line for line in read_lines() if line.strip()]
    megabytes = sum(len(line.encode()) + 1 for line in lines) / 1e6
    versions = (f"{name} {version(name)}" for name in ("tensorflow", "tensorflow-text"))
    setting = f"one core of {processor()}, {', '.join(versions)}"
    print(f"{megabytes:.1f} MB, {len(lines)} lines of {FLAGS.input_file}; {setting}")
    print(f"{'':34} {'MB/s':>7} {'us for one line':>16}  lines as in 1")
    reference: dict[bool, Rows] = {}
    for name, make in WAYS.items():
        seconds, rows = measure(make, lines)
        expected = reference.setdefault("offsets" in name, rows)
        same = sum(a == b for a, b in zip(rows, expected, strict=True))
        print(
            f"{name:34} {megabytes / seconds:7.2f} {microseconds_of_one(make(), lines):16.0f}"
            f"  {same} of {len(lines)}",
            flush=True,
        )


if __name__ == "__main__":
    app.run(main)
