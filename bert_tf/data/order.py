"""Orders the examples of training as a function of (seed, step), so that it can resume anywhere.

Training reads an endless stream of epochs, each a permutation of all examples; a batch may span two
epochs. Each host takes its slice of each batch.

    pre-training            epoch: blocks permuted, read in groups   7 2 9 | 0 4 1 | 8 3 6 | 5
                            each group: its records permuted         ~~~~~   ~~~~~   ~~~~~   ~

    fine-tuning, bucketed   epoch: records permuted                  7 3 0 8 2 . . . . . . . . 5
                            each chunk of batches: sorted by length, [  chunk   ][  chunk   ]
                            cut into batches, these shuffled         |--|--|--|--|--|--|--|--
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from bert_tf.data.counter_hash import BATCH_ORDER, BLOCK_ORDER, FEATURE_ORDER, hash_counters

# Enough for batches of one length, few enough for a random order of examples.
CHUNK_BATCHES = 50

# For functions whose Python statements do not depend on tensors: they are traced faster.
without_autograph = tf.autograph.experimental.do_not_convert


def plan_epoch(
    block_sizes: tf.Tensor, seed: int, epoch: tf.Tensor, position: tf.Tensor, group_examples: int
) -> tf.data.Dataset:
    """Returns the groups of a pre-training epoch, from that of the example at `position` on.

    The elements are (epoch, the group's blocks <int64>[n], how many of its examples to skip).
    `block_sizes`, <int64>[K], and the length of a group, `group_examples`, are in examples; blocks
    belong to the group where they start. `epoch` and `position` are <int64>[].
    """
    blocks = tf.range(tf.size(block_sizes, tf.int64))
    order = _random_order(seed, BLOCK_ORDER, epoch, blocks)
    first_example = tf.cumsum(tf.gather(block_sizes, order), exclusive=True)
    group = first_example // group_examples
    start = tf.searchsorted(first_example, position[None], side="right")[0] - 1

    def group_at(number: tf.Tensor):
        is_member = group == number
        skip = tf.maximum(position - tf.boolean_mask(first_example, is_member)[0], 0)
        return epoch, tf.boolean_mask(order, is_member), skip

    groups = tf.unique(group[start:]).y
    return tf.data.Dataset.from_tensor_slices(groups).map(group_at)


def training_order(
    lengths: np.ndarray, batch_size: int, seed: int, start_step: int, bucketed: bool
) -> tf.data.Dataset:
    """Returns the endless dataset of the examples <int64>[B] of each step from `start_step` on.

    `lengths` are <int>[n], in tokens. If `bucketed`, a batch within one epoch has examples of
    similar length.
    """
    start_epoch, start_position = divmod(start_step * batch_size, len(lengths))

    @without_autograph
    def epoch_order(epoch: tf.Tensor) -> tf.Tensor:
        examples = tf.range(tf.constant(len(lengths), tf.int64))
        order = _random_order(seed, FEATURE_ORDER, epoch, examples)
        if bucketed:
            order = _bucketed(order, tf.constant(lengths), batch_size, seed, epoch)
        return order[tf.where(epoch == start_epoch, start_position, 0) :]

    epochs = tf.data.Dataset.range(start_epoch, np.iinfo(np.int64).max)
    return epochs.map(epoch_order).rebatch(batch_size, drop_remainder=True)


def _bucketed(
    order: tf.Tensor, lengths: tf.Tensor, batch_size: int, seed: int, epoch: tf.Tensor
) -> tf.Tensor:
    """Reorders an epoch <int64>[n] so that batches within it have examples of similar length."""
    num_examples = tf.size(order, tf.int64)
    first_step = -(-epoch * num_examples // batch_size)  # Its first whole batch.
    before = tf.minimum(first_step * batch_size - epoch * num_examples, num_examples)
    num_batches = (num_examples - before) // batch_size
    past = before + num_batches * batch_size
    chunks = tf.range(num_batches) // CHUNK_BATCHES
    whole = order[before:past]
    # Stable: among examples of one length, the random order decides which form a batch.
    by_length = _sorted_by(tf.repeat(chunks, batch_size), tf.gather(lengths, whole))
    batches = tf.reshape(tf.gather(whole, by_length), [-1, batch_size])
    bits = hash_counters(seed, BATCH_ORDER, first_step + tf.range(num_batches))
    batches = tf.gather(batches, _sorted_by(chunks, bits))
    return tf.concat([order[:before], tf.reshape(batches, [-1]), order[past:]], axis=0)


def _sorted_by(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Returns the stable order of [n] by two keys."""
    order = tf.argsort(second, stable=True)
    return tf.gather(order, tf.argsort(tf.gather(first, order), stable=True))


def _random_order(seed: int, use: int, epoch: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
    """Returns a random permutation of numbers 0 to n - 1, <int64>[n]."""
    bits = hash_counters(seed, use, epoch, numbers)
    return tf.cast(tf.argsort(bits, stable=True), tf.int64)


def host_slice(batch_size: int, num_hosts: int, host_index: int) -> slice:
    """Returns one host's rows of a batch; raises a ValueError if the batch cannot be divided."""
    if batch_size < 1 or not 0 <= host_index < num_hosts or batch_size % num_hosts:
        raise ValueError(
            f"The batch size must be a multiple of the number of hosts, and host_index less. "
            f"Received: batch_size={batch_size}, num_hosts={num_hosts}, host_index={host_index}"
        )
    share = batch_size // num_hosts
    return slice(host_index * share, (host_index + 1) * share)


def map_batches(dataset: tf.data.Dataset, make_batch: Callable) -> tf.data.Dataset:
    """Maps a dataset in parallel and in order, and prevents tf.distribute from sharding it."""
    options = tf.data.Options()
    options.deterministic = True
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    dataset = dataset.map(without_autograph(make_batch), num_parallel_calls=tf.data.AUTOTUNE)
    return dataset.prefetch(tf.data.AUTOTUNE).with_options(options)
