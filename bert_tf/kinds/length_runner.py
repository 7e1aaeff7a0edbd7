"""Runs a model on sequences of different lengths, in batches of similar length."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

# The length of a batch is a multiple of this, so that there are few shapes.
_LENGTH_STEP = 8


class Row(NamedTuple):
    """A sequence: `[CLS] a [SEP]` or `[CLS] a [SEP] b [SEP]`."""

    token_ids: Sequence[int]
    segment_ids: Sequence[int]


class LengthRunner:
    """Runs a function of batches on rows, and returns the results in the order of the rows.

    Args:
        step: a dict of `input_ids`, `input_mask`, `segment_ids` int32 [B, L] -> name -> [B, ...].
        batch_size: rows of a batch.
        longest: tokens of a row at most.

    It may be used from several threads at once.
    """

    def __init__(
        self,
        step: Callable[[Mapping[str, tf.Tensor]], dict[str, tf.Tensor]],
        batch_size: int,
        longest: int,
    ):
        self._step = step
        self._batch_size = batch_size
        self._longest = longest
        spec = tf.TensorSpec([3, None, None], tf.int32)
        self._run = tf.function(self._of_batch, input_signature=[spec])

    def run(self, rows: Sequence[Row]) -> list[dict[str, np.ndarray]]:
        """Returns the step's outputs for each row, in their order: name -> [...].

        An output with a place for each token is as long as the row's batch was.
        """
        # The longest first: if memory is too small for them, it shows at once.
        order = sorted(range(len(rows)), key=lambda place: -len(rows[place].token_ids))
        results: list[dict[str, np.ndarray]] = [{}] * len(rows)
        for start in range(0, len(rows), self._batch_size):
            places = order[start : start + self._batch_size]
            batch = padded_batch([rows[place] for place in places], self._longest)
            outputs = {name: value.numpy() for name, value in self._run(batch).items()}
            for number, place in enumerate(places):
                results[place] = {name: value[number] for name, value in outputs.items()}
        return results

    def _of_batch(self, batch: tf.Tensor) -> dict[str, tf.Tensor]:
        input_ids, input_mask, segment_ids = tf.unstack(batch)
        return self._step(
            {"input_ids": input_ids, "input_mask": input_mask, "segment_ids": segment_ids}
        )


def padded_batch(rows: Sequence[Row], longest: int) -> np.ndarray:
    """int32 [3, B, L]: ids, mask and segments, zeros behind each row; L is a multiple of 8 if
    `longest` allows."""
    length = max(len(row.token_ids) for row in rows)
    length = min(-(-length // _LENGTH_STEP) * _LENGTH_STEP, max(length, longest))
    batch = np.zeros((3, len(rows), length), np.int32)
    for number, row in enumerate(rows):
        num_tokens = len(row.token_ids)
        batch[:, number, :num_tokens] = row.token_ids, [1] * num_tokens, row.segment_ids
    return batch
