"""Which examples make up which batch: arithmetic, so that any batch is found at once.

    epoch 0, permuted            epoch 1, permuted            epoch 2 ...
    7 3 0 8 2 . . . . . . . . 5 | 4 8 1 . . . . . . . . . . 2 | 6 ...
    |---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|     batches
    [     chunk     ]             [     chunk     ]

Training reads one endless stream of epochs, each a permutation of all examples, cut into batches.
With buckets, the batches of a chunk, which lies within an epoch, are made anew from the same
examples: sorted by length, so that those of a batch are about as long as each other, and the
batches then shuffled. Every epoch still has every example once.
"""

import numpy as np
import tensorflow as tf

from bert_tf.data.counter_hash import hash_counters

# As many batches are sorted together: many enough for batches of one length, and few enough that
# what is learned from next remains a matter of chance.
CHUNK_BATCHES = 50
# What the hash is used for, so that no two uses share their random numbers (1 to 5 are those of
# pre-training).
FEATURE_ORDER, BATCH_ORDER = 6, 7


class TrainingOrder:
    """The batches of training, each a function of (seed, step) and of nothing else.

    Args:
        lengths: int[n], the length of each example in tokens.
        batch_size: B.
        seed: any whole number.
        bucketed: whether examples of about the same length come together.
    """

    def __init__(self, lengths: np.ndarray, batch_size: int, seed: int, bucketed: bool) -> None:
        self._lengths = lengths
        self._batch_size = batch_size
        self._seed = seed
        self._bucketed = bucketed
        self._epoch: tuple[int, np.ndarray] = (-1, np.zeros(0, np.int64))
        self._chunk: tuple[int, np.ndarray] = (-1, np.zeros((0, batch_size), np.int64))

    def batch(self, step: int) -> np.ndarray:
        """int64[B]: the numbers of the examples that the batch of a step consists of."""
        first, past = self._chunk_of(step)
        if self._chunk[0] != first:
            self._chunk = (first, self._batches(first, past))
        return self._chunk[1][step - first]

    def _chunk_of(self, step: int) -> tuple[int, int]:
        """The first step of a step's chunk, and the one past its last."""
        size, num_examples = self._batch_size, len(self._lengths)
        epoch = step * size // num_examples
        first_whole = -(-epoch * num_examples // size)
        past_whole = (epoch + 1) * num_examples // size
        if step >= past_whole:  # It begins in this epoch, and ends in another.
            return step, step + 1
        first = step - (step - first_whole) % CHUNK_BATCHES
        return first, min(first + CHUNK_BATCHES, past_whole)

    def _batches(self, first: int, past: int) -> np.ndarray:
        """int64[past - first, B]: a chunk's batches."""
        examples = self._stream(first * self._batch_size, past * self._batch_size)
        if self._bucketed:
            # Stable: of examples of one length, chance decides which come together.
            examples = examples[np.argsort(self._lengths[examples], kind="stable")]
        batches = examples.reshape(-1, self._batch_size)
        if not self._bucketed:
            return batches
        return batches[_shuffled(np.arange(first, past), self._seed, BATCH_ORDER)]

    def _stream(self, start: int, end: int) -> np.ndarray:
        """int64[end - start]: the examples at these places of the endless stream."""
        num_examples = len(self._lengths)
        pieces = []
        while start < end:
            epoch, place = divmod(start, num_examples)
            if self._epoch[0] != epoch:
                numbers = np.arange(num_examples)
                self._epoch = (epoch, _shuffled(numbers, self._seed, FEATURE_ORDER, epoch))
            pieces.append(self._epoch[1][place : place + end - start])
            start += len(pieces[-1])
        return np.concatenate(pieces)


def longest_first(lengths: np.ndarray) -> np.ndarray:
    """int64[n]: all examples by length. What does not fit in memory fails with the first batch."""
    return np.argsort(-lengths, kind="stable")


def _shuffled(numbers: np.ndarray, *purpose: int) -> np.ndarray:
    """A permutation of 0 ... len(numbers) - 1 by the random bits of each of the numbers."""
    with tf.device("CPU:0"):
        return np.argsort(hash_counters(*purpose, numbers).numpy(), kind="stable")
