"""Runs a model on many windows in a graph, in batches: a long text has hundreds."""

from collections.abc import Callable

import tensorflow as tf

from bert_tf.kinds.length_runner import Batch

_WINDOWS_PER_BATCH = 32


def in_window_batches(
    step: Callable[[Batch], tf.Tensor], batch: Batch, empty: tf.Tensor
) -> tf.Tensor:
    """Returns `step`'s outputs for all windows, [S, ...].

    Args:
        step: maps features int32 [B, L] to a tensor [B, ...].
        empty: an output for no windows, [0, ...].
    """
    num_windows = tf.shape(batch["input_ids"])[0]

    def add_batch(first: tf.Tensor, outputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        end = first + _WINDOWS_PER_BATCH
        part = step({name: rows[first:end] for name, rows in batch.items()})
        return end, tf.concat([outputs, part], axis=0)

    _, outputs = tf.while_loop(
        lambda first, _: first < num_windows,
        add_batch,
        (0, empty),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None] * empty.shape.rank)),
        parallel_iterations=1,
    )
    return outputs
