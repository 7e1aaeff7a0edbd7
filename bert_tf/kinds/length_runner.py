"""Runs a model on rows of ids of different lengths, in batches of similar length."""

import functools
import itertools
import sys
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from bert_tf.model import processors

Batch = dict[str, tf.Tensor]
# `[CLS] a [SEP]` or `[CLS] a [SEP] b [SEP]`: token ids and segment ids.
Row = tuple[Sequence[int], Sequence[int]]
IDS = ("input_ids", "input_mask", "segment_ids")


def length_runner(
    step: Callable[[Batch], Batch], batch_size: int, longest: int
) -> Callable[[Sequence[Row]], list[dict[str, np.ndarray]]]:
    """Returns a thread-safe function from rows to the outputs of each.

    Outputs per token include the padding of the row's batch.

    Args:
        step: maps `IDS`, int32 [B, L], to outputs by name, each [B, ...].
        longest: maximum tokens of a row.
    """

    # A partial, because TensorFlow counts the traces of a function's code, and would warn of
    # retracing where several models are made.
    compute = tf.function(
        functools.partial(_unstacked, step),
        input_signature=[tf.TensorSpec([len(IDS), None, None], tf.int32)],
        autograph=False,
    )

    def run(rows: Sequence[Row]) -> list[dict[str, np.ndarray]]:
        def outputs_of(places: list[int]) -> Batch:
            return compute(_padded([rows[place] for place in places], longest))

        sizes = [((), len(ids)) for ids, _ in rows]
        return in_batches(sizes, batch_size, outputs_of, most_tokens())

    return run


def _unstacked(step: Callable[[Batch], Batch], batch: tf.Tensor) -> Batch:
    return step(dict(zip(IDS, tf.unstack(batch), strict=True)))


def in_batches(
    sizes: Sequence[tuple[tuple[int, ...], int]],
    batch_size: int,
    run: Callable[[list[int]], Mapping[str, tf.Tensor]],
    most: int = sys.maxsize,
) -> list[dict[str, np.ndarray]]:
    """Returns the outputs of each example, in order.

    Args:
        sizes: each example's shape, which all examples of a batch share, and its length.
        run: maps the indices of the examples of a batch to their outputs.
        most: the length of a batch at most, padding included, if it has several examples.
    """
    # The longest come first, so that too little memory shows at once.
    order = sorted(range(len(sizes)), key=sizes.__getitem__, reverse=True)
    results: list[dict[str, np.ndarray]] = [{}] * len(sizes)
    for _, alike in itertools.groupby(order, key=lambda place: sizes[place][0]):
        places, start = list(alike), 0
        while start < len(places):
            longest = max(sizes[places[start]][1], 1)
            batch = places[start : start + max(min(batch_size, most // longest), 1)]
            start += len(batch)
            for place, outputs in zip(batch, by_row(run(batch)), strict=True):
                results[place] = outputs
    return results


def by_row(outputs: Mapping[str, tf.Tensor | np.ndarray]) -> list[dict[str, np.ndarray]]:
    """Splits the outputs of a batch into those of each row."""
    columns = zip(*map(np.asarray, outputs.values()), strict=True)
    return [dict(zip(outputs, values, strict=True)) for values in columns]


@functools.cache
def most_tokens() -> int:
    """Returns how many tokens a batch of several rows has at most.

    On a CPU, more are no faster, and more texts differ more in length. Accelerators need much work
    at a time.
    """
    return sys.maxsize if processors.has_accelerator() else 512


def _padded(rows: Sequence[Row], longest: int) -> np.ndarray:
    """Returns ids, mask and segments, int32 [3, B, L], padded with zeros."""
    length = max(len(token_ids) for token_ids, _ in rows)
    step = processors.length_multiple()
    length = min(-(-length // step) * step, max(length, longest))
    batch = np.zeros((len(IDS), len(rows), length), np.int32)
    for number, (token_ids, segment_ids) in enumerate(rows):
        batch[:, number, : len(token_ids)] = token_ids, [1] * len(token_ids), segment_ids
    return batch
