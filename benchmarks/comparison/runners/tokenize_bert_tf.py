"""Tokenizes by this package: in Python, in a process per core or in one, or by a variant.

`graph` is what tf.data pipelines and
served models use, and its ids stay tensors.
"""

from collections.abc import Callable
from itertools import chain

import numpy as np
from plain_text import VOCAB
from reporting import num_threads, read_settings, report_versions
from tokenizing import Rows, measure, one_by_one

from bert_tf.files.workers import run_in_order
from bert_tf.text.tokenization import FullTokenizer

SETTINGS = read_settings()


class EncodeToArrays:
    """Encodes lines to arrays, which are small to send from a process to another."""

    def __init__(self):
        self.tokenizer = FullTokenizer(VOCAB)

    def __call__(self, lines: list[str]) -> tuple[np.ndarray, np.ndarray]:
        rows = [self.tokenizer.encode(line) for line in lines]
        return np.fromiter(chain.from_iterable(rows), np.int32), np.array([*map(len, rows)])


def encode_in_processes(batches: list[list[str]]) -> list[Rows]:
    """Encodes batches in a process per core."""
    results = run_in_order(EncodeToArrays(), batches, num_threads())
    return [split_later(*result) for result in results]


def split_later(ids: np.ndarray, sizes: np.ndarray) -> Rows:
    """Yields the ids of each line."""
    yield from np.split(ids, np.cumsum(sizes)[:-1])


def encode_in_graph() -> Callable[[list[list[str]]], list[Rows]]:
    """Returns a function that encodes batches in a tf.data pipeline, with a call per core."""
    import tensorflow as tf

    from bert_tf.text.graph_tokenization import GraphTokenizer

    tokenizer, texts = GraphTokenizer(VOCAB), tf.TensorSpec([None], tf.string)

    def encode(batches: list[list[str]]) -> list[Rows]:
        dataset = tf.data.Dataset.from_generator(lambda: batches, output_signature=texts)
        encoded = list(dataset.map(tokenizer.tokenize, num_parallel_calls=num_threads()))
        return [to_list_later(rows) for rows in encoded]

    return encode


def to_list_later(rows) -> Rows:
    """Yields the ids of each line of a ragged tensor."""
    yield from rows.to_list()


def make() -> Callable[[list[list[str]]], list[Rows]]:
    if SETTINGS.variant == "graph":
        report_versions("tensorflow", "tensorflow-text")
        return encode_in_graph()
    if num_threads() > 1 and SETTINGS.variant != "one_process":
        return encode_in_processes
    encode = FullTokenizer(VOCAB).encode
    return one_by_one(lambda lines: [encode(line) for line in lines])


if __name__ == "__main__":
    measure(SETTINGS, make())
