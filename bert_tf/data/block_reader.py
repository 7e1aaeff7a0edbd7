"""Reads blocks of records inside a TensorFlow graph."""

import numpy as np
import tensorflow as tf

from bert_tf.data.record_index import RecordIndex

# A wrong checksum; a shortened file; another kind of record, which TensorFlow quotes and Python may
# fail to decode.
READING_ERRORS = (tf.errors.DataLossError, tf.errors.InvalidArgumentError, UnicodeDecodeError)

_BLOCKS_READ_AT_ONCE = 8
_READ_BUFFER_BYTES = 1 << 20


class BlockTable:
    """Holds the K blocks of an index as tensors, so that a graph can read any of them."""

    def __init__(self, index: RecordIndex) -> None:
        sizes = index.blocks["size"]
        self._paths = tf.constant(index.paths)
        self._compressions = tf.constant([file.compression for file in index.files])
        self._file = tf.constant(index.block_file)
        self._offset = tf.constant(index.blocks["offset"])
        self._skip = tf.constant(index.blocks["skip"])
        self.size = tf.constant(sizes)
        self._first_example = tf.constant(np.cumsum(sizes) - sizes)

    def read(self, blocks: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the records of blocks <int64>[n], <string>[E], and their numbers, <int64>[E].

        A number is the record's position in the whole data set.
        """
        sizes = tf.gather(self.size, blocks)
        total = tf.reduce_sum(sizes)
        records = tf.data.Dataset.from_tensor_slices(blocks).map(
            self.read_one, num_parallel_calls=_BLOCKS_READ_AT_ONCE, deterministic=True
        )
        records = tf.data.Dataset.get_single_element(records.rebatch(total))
        to_number = tf.gather(self._first_example, blocks) - tf.cumsum(sizes, exclusive=True)
        return records, tf.range(total) + tf.repeat(to_number, sizes)

    def read_one(self, block: tf.Tensor) -> tf.Tensor:
        """Returns the records of a block <int64>[], <string>[E]; see `record_index.BLOCK`.

        Raises a tf.errors.DataLossError for a corrupt record, InvalidArgumentError for a missing
        one.
        """
        file, size = self._file[block], self.size[block]
        # Version 2 of the op can start at a byte; no Python class of TensorFlow offers that.
        variant = tf.raw_ops.TFRecordDatasetV2(
            filenames=self._paths[file][None],
            compression_type=self._compressions[file],
            buffer_size=tf.constant(_READ_BUFFER_BYTES, tf.int64),
            byte_offsets=self._offset[block][None],
        )
        dataset = tf.data.experimental.from_variant(variant, tf.TensorSpec([], tf.string))
        dataset = dataset.skip(self._skip[block]).take(size).batch(size)
        # A file that ends too early has no batch at all, but `get_single_element` needs an element.
        nothing = tf.data.Dataset.from_tensors(tf.zeros([0], tf.string))
        records = tf.data.Dataset.get_single_element(dataset.concatenate(nothing).take(1))
        message = tf.strings.join(["fewer records than its index says in ", self._paths[file]])
        whole = tf.debugging.Assert(tf.equal(tf.size(records, tf.int64), size), [message])
        with tf.control_dependencies([whole]):
            return tf.identity(records)
