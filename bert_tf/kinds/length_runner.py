"""Runs a model on rows of ids of different lengths, in batches of similar length."""

import itertools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

Batch = dict[str, tf.Tensor]
# `[CLS] a [SEP]` or `[CLS] a [SEP] b [SEP]`: token ids and segment ids.
Row = tuple[Sequence[int], Sequence[int]]
IDS = ("input_ids", "input_mask", "segment_ids")
# Batches are padded to a multiple of this, so that there are few shapes.
_LENGTH_STEP = 8


def length_runner(
    step: Callable[[Batch], Batch], batch_size: int, longest: int
) -> Callable[[Sequence[Row]], list[dict[str, np.ndarray]]]:
    """Returns a thread-safe function from rows to the outputs of each.

    Outputs per token include the padding of the row's batch.

    Args:
        step: maps `IDS`, int32 [B, L], to outputs by name, each [B, ...].
        longest: maximum tokens of a row.
    """

    @tf.function(input_signature=[tf.TensorSpec([3, None, None], tf.int32)], autograph=False)
    def compute(batch: tf.Tensor) -> Batch:
        return step(dict(zip(IDS, tf.unstack(batch), strict=True)))

    def run(rows: Sequence[Row]) -> list[dict[str, np.ndarray]]:
        def outputs_of(places: list[int]) -> Batch:
            return compute(_padded([rows[place] for place in places], longest))

        return in_batches([((), len(ids)) for ids, _ in rows], batch_size, outputs_of)

    return run


def in_batches(
    sizes: Sequence[tuple[tuple[int, ...], int]],
    batch_size: int,
    run: Callable[[list[int]], Mapping[str, tf.Tensor]],
) -> list[dict[str, np.ndarray]]:
    """Returns the outputs of each example, in order.

    Args:
        sizes: each example's shape, which all examples of a batch share, and its length.
        run: maps the indices of the examples of a batch to their outputs.
    """
    # The longest come first, so that too little memory shows at once.
    order = sorted(range(len(sizes)), key=sizes.__getitem__, reverse=True)
    results: list[dict[str, np.ndarray]] = [{}] * len(sizes)
    for _, alike in itertools.groupby(order, key=lambda place: sizes[place][0]):
        places = list(alike)
        for start in range(0, len(places), batch_size):
            batch = places[start : start + batch_size]
            for place, outputs in zip(batch, by_row(run(batch)), strict=True):
                results[place] = outputs
    return results


def by_row(outputs: Mapping[str, tf.Tensor | np.ndarray]) -> list[dict[str, np.ndarray]]:
    """Splits the outputs of a batch into those of each row."""
    columns = zip(*map(np.asarray, outputs.values()), strict=True)
    return [dict(zip(outputs, values, strict=True)) for values in columns]


def _padded(rows: Sequence[Row], longest: int) -> np.ndarray:
    """Returns ids, mask and segments, int32 [3, B, L], padded with zeros."""
    length = max(len(token_ids) for token_ids, _ in rows)
    length = min(-(-length // _LENGTH_STEP) * _LENGTH_STEP, max(length, longest))
    batch = np.zeros((3, len(rows), length), np.int32)
    for number, (token_ids, segment_ids) in enumerate(rows):
        batch[:, number, : len(token_ids)] = token_ids, [1] * len(token_ids), segment_ids
    return batch
