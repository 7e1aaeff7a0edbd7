"""Blocks of records: how one is read, and in which groups an epoch reads them all."""

import tensorflow as tf

from bert_tf.data.counter_hash import hash_counters
from bert_tf.data.record_index import RecordIndex

# What the hash is used for, so that no two uses share their random numbers.
BLOCK_ORDER = 1

_BLOCKS_READ_AT_ONCE = 8
_READ_BUFFER_BYTES = 1 << 20


class BlockTable:
    """An index as tensors, and how blocks of it are read. K blocks.

    Args:
        index: the blocks.
    """

    def __init__(self, index: RecordIndex) -> None:
        self.paths = tf.constant(index.paths)
        self.compressions = tf.constant([file.compression for file in index.files])
        self.file = tf.constant(index.block_file)
        self.offset = tf.constant(index.joined("offset"))
        self.skip = tf.constant(index.joined("skip"))
        self.size = tf.constant(index.block_size)
        self.first_example = tf.constant(index.block_first_example)

    def read(self, blocks: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The records of blocks <int64>[n], one after the other: <string>[E], and their numbers.

        The number of an example, <int64>[E], is its place in the whole data set.
        """
        sizes = tf.gather(self.size, blocks)
        total = tf.reduce_sum(sizes)
        records = tf.data.Dataset.from_tensor_slices(blocks).map(
            self._read_block, num_parallel_calls=_BLOCKS_READ_AT_ONCE, deterministic=True
        )
        records = tf.data.Dataset.get_single_element(records.rebatch(total))
        to_number = tf.gather(self.first_example, blocks) - tf.cumsum(sizes, exclusive=True)
        return records, tf.range(total) + tf.repeat(to_number, sizes)

    def _read_block(self, block: tf.Tensor) -> tf.Tensor:
        return read_records(*self.place(block))

    def place(self, block: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """The arguments of `read_records` for a block <int64>[]."""
        file = self.file[block]
        return (
            self.paths[file],
            self.compressions[file],
            self.offset[block],
            self.skip[block],
            self.size[block],
        )


def read_records(
    path: tf.Tensor, compression: tf.Tensor, offset: tf.Tensor, skip: tf.Tensor, size: tf.Tensor
) -> tf.Tensor:
    """Some consecutive records of a file, inside a graph.

    Args:
        path: <string>[].
        compression: <string>[], "" or "GZIP".
        offset: <int64>[], the byte where reading starts: that of a record.
        skip: <int64>[], how many records to pass over from there. Their contents are not checked.
        size: <int64>[], how many records to read, at least 1.

    Returns:
        <string>[size].

    Raises:
        tf.errors.DataLossError: if a record is corrupt.
        tf.errors.InvalidArgumentError: if the file ends before.
    """
    # Version 2 of the op can start at a byte; no Python class of TensorFlow offers that.
    variant = tf.raw_ops.TFRecordDatasetV2(
        filenames=path[None],
        compression_type=compression,
        buffer_size=tf.constant(_READ_BUFFER_BYTES, tf.int64),
        byte_offsets=offset[None],
    )
    dataset = tf.data.experimental.from_variant(variant, tf.TensorSpec([], tf.string))
    dataset = dataset.skip(skip).take(size).batch(size)
    # TensorFlow takes a file that ends too early for one that is complete. Where it yields nothing
    # at all, there must still be an element to get.
    nothing = tf.data.Dataset.from_tensors(tf.zeros([0], tf.string))
    records = tf.data.Dataset.get_single_element(dataset.concatenate(nothing).take(1))
    message = tf.strings.join(["fewer records than its index says in ", path])
    whole = tf.debugging.Assert(tf.equal(tf.size(records, tf.int64), size), [message])
    with tf.control_dependencies([whole]):
        return tf.identity(records)


def plan_epoch(
    blocks: BlockTable, seed: int, epoch: tf.Tensor, place: tf.Tensor, group_examples: int
) -> tf.data.Dataset:
    """The groups of an epoch from the one on that holds its example at `place`.

    Args:
        blocks: those of the data set.
        seed: decides, with the epoch, the order of blocks.
        epoch: <int64>[].
        place: <int64>[], of an example in the epoch, from 0.
        group_examples: a block that starts in the n-th stretch of so many examples belongs to the
            n-th group, which thus has this many and less than a block more.

    Returns:
        A dataset of (epoch, the group's blocks <int64>[n], how many of its first examples lie in
        front of `place`).
    """
    numbers = tf.range(tf.size(blocks.size, tf.int64))
    order = tf.argsort(hash_counters(seed, BLOCK_ORDER, epoch, numbers), stable=True)
    order = tf.cast(order, tf.int64)
    first_place = tf.cumsum(tf.gather(blocks.size, order), exclusive=True)
    group = first_place // group_examples
    is_first = tf.concat([[True], group[1:] != group[:-1]], axis=0)
    starts = tf.where(is_first)[:, 0]
    ends = tf.concat([starts[1:], tf.shape(order, tf.int64)], axis=0)
    places = tf.gather(first_place, starts)
    start = tf.searchsorted(places, place[None], side="right", out_type=tf.int64)[0] - 1

    def group_at(number: tf.Tensor):
        skip = tf.maximum(place - places[number], 0)
        return epoch, order[starts[number] : ends[number]], skip

    return tf.data.Dataset.range(start, tf.size(starts, tf.int64)).map(group_at)
