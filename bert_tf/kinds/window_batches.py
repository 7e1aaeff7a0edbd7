"""Runs a model on many windows in a graph, in batches: a long text has hundreds."""

from collections.abc import Callable
from typing import TypeVar

import tensorflow as tf

from bert_tf.kinds.length_runner import Batch

_WINDOWS_PER_BATCH = 32
_Outputs = TypeVar("_Outputs", tf.Tensor, Batch)


def in_window_batches(step: Callable[[Batch], _Outputs], batch: Batch, empty: _Outputs) -> _Outputs:
    """Returns `step`'s outputs for all windows, [S, ...].

    Args:
        step: maps features int32 [B, L] to a tensor [B, ...], or to several by name.
        empty: the outputs for no windows, [0, ...].
    """
    num_windows = tf.shape(batch["input_ids"])[0]

    def add_batch(first: tf.Tensor, outputs: _Outputs) -> tuple[tf.Tensor, _Outputs]:
        end = first + _WINDOWS_PER_BATCH
        part = step({name: rows[first:end] for name, rows in batch.items()})
        return end, tf.nest.map_structure(lambda *both: tf.concat(both, axis=0), outputs, part)

    def any_size(tensor: tf.Tensor) -> tf.TensorShape:
        return tf.TensorShape([None] * tensor.shape.rank)

    _, outputs = tf.while_loop(
        lambda first, _: first < num_windows,
        add_batch,
        (0, empty),
        shape_invariants=(tf.TensorShape([]), tf.nest.map_structure(any_size, empty)),
        parallel_iterations=1,
    )
    return outputs
