"""Which examples make up which batch: arithmetic, so that training starts at any step.

    epoch 0, permuted              epoch 1, permuted              epoch 2 ...
    7 3 0 8 2 . . . . . . . . . 5 | 4 8 1 . . . . . . . . . . 2 | 6 ...
    |---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|     batches
    [  chunk   ][  chunk   ]        [  chunk   ][ chunk ]

Training reads one endless stream of epochs, each a permutation of all examples, cut into batches.
With buckets, the batches of a chunk, which lies within an epoch, are made anew from the same
examples: sorted by length, so that those of a batch are about as long as each other, and the
batches then shuffled. A batch over the border of two epochs stays as it is. So every epoch has
every example once, and the examples of a step are a function of (seed, step) and of nothing else.
"""

import numpy as np
import tensorflow as tf

from bert_tf.data.counter_hash import hash_counters

# So many batches are sorted together: enough for batches of one length, and few enough that what is
# learned from next remains a matter of chance.
CHUNK_BATCHES = 50
# What the hash is used for, so that no two uses share their random numbers (1 to 5 are those of
# pre-training).
EXAMPLE_ORDER, BATCH_ORDER = 6, 7


def training_order(
    lengths: np.ndarray, batch_size: int, seed: int, start_step: int, bucketed: bool
) -> tf.data.Dataset:
    """The examples of each step from `start_step` on, without end.

    Args:
        lengths: int[n], the length of each example in tokens.
        batch_size: B.
        seed: any whole number.
        start_step: the step, from 0, whose examples come first.
        bucketed: whether examples of about the same length come together.

    Returns: a dataset of <int64>[B], numbers of examples.
    """
    order = _Order(tf.constant(lengths), batch_size, seed, bucketed)
    start_epoch = start_step * batch_size // len(lengths)
    first_chunk = order.chunk_start(start_step, start_epoch)
    epochs = tf.data.Dataset.range(start_epoch, np.iinfo(np.int64).max)
    batches = epochs.flat_map(
        lambda epoch: order.epoch_batches(
            epoch, tf.where(epoch == start_epoch, tf.constant(first_chunk, tf.int64), 0)
        )
    )
    return batches.skip(start_step - first_chunk)


def longest_first(lengths: np.ndarray) -> np.ndarray:
    """int64[n]: all examples by length. What does not fit in memory fails with the first batch."""
    return np.argsort(-lengths, kind="stable")


class _Order:
    """See `training_order`."""

    def __init__(self, lengths: tf.Tensor, batch_size: int, seed: int, bucketed: bool) -> None:
        self._lengths = lengths
        self._num_examples = int(lengths.shape[0])
        self._batch_size = batch_size
        self._seed = seed
        self._bucketed = bucketed

    def chunk_start(self, step: int, epoch: int) -> int:
        """The first step of a step's chunk; the step itself where it is in none."""
        first, past_whole, _ = self._steps(epoch)
        return step if step >= past_whole else step - (step - first) % CHUNK_BATCHES

    def _steps(self, epoch):
        """The first step that begins in an epoch, the first that does not lie whole in it, and the
        first that begins in a later one; numbers or tensors."""
        start, size = epoch * self._num_examples, self._batch_size
        end = start + self._num_examples
        return -(-start // size), end // size, -(-end // size)

    def epoch_batches(self, epoch: tf.Tensor, from_step: tf.Tensor) -> tf.data.Dataset:
        """The batches that begin in an epoch <int64>[], from that of `from_step` on, if it is one
        of them; it is the first of a chunk."""
        first, past_whole, past = self._steps(epoch)
        first = tf.maximum(first, from_step)
        start, size = epoch * self._num_examples, self._batch_size
        examples = self._stream(start, start + self._num_examples)

        def chunk(step: tf.Tensor) -> tf.data.Dataset:
            end = tf.minimum(step + CHUNK_BATCHES, past_whole)
            batches = self._batches(examples[step * size - start : end * size - start], step)
            return tf.data.Dataset.from_tensor_slices(batches)

        def over_the_border(step: tf.Tensor) -> tf.Tensor:
            return tf.ensure_shape(self._stream(step * size, (step + 1) * size), [size])

        chunks = tf.data.Dataset.range(first, past_whole, CHUNK_BATCHES).flat_map(chunk)
        border = tf.data.Dataset.range(tf.maximum(first, past_whole), past)
        return chunks.concatenate(border.map(over_the_border))

    def _batches(self, examples: tf.Tensor, first_step: tf.Tensor) -> tf.Tensor:
        """<int64>[k, B]: the batches of a chunk of examples <int64>[k * B]."""
        if not self._bucketed:
            return tf.reshape(examples, [-1, self._batch_size])
        # Stable: of examples of one length, chance decides which come together.
        by_length = tf.argsort(tf.gather(self._lengths, examples), stable=True)
        batches = tf.reshape(tf.gather(examples, by_length), [-1, self._batch_size])
        steps = first_step + tf.range(tf.shape(batches, tf.int64)[0])
        order = tf.argsort(hash_counters(self._seed, BATCH_ORDER, steps), stable=True)
        return tf.gather(batches, order)

    def _stream(self, start: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
        """<int64>[end - start]: the examples at these places of the endless stream."""
        count = self._num_examples
        first_epoch = start // count
        epochs = tf.range(first_epoch, (end - 1) // count + 1)
        numbers = tf.range(tf.constant(count, tf.int64))
        bits = hash_counters(self._seed, EXAMPLE_ORDER, epochs[:, None], numbers)
        permuted = tf.reshape(tf.argsort(bits, stable=True), [-1])
        place = start - first_epoch * count
        return tf.cast(permuted[place : place + end - start], tf.int64)
