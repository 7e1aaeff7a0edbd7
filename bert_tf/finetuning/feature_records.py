"""Holds a file of features in memory, and makes batches no longer than their longest example.

    bucketed                            padded
    a b c . | a b c d e f g h           a b c . . . . .
    a b . . | a b c d e f g .           a b c d e f g h
    a b c d | a b c d e f . .           a b . . . . . .     ...

Bucketed batches save most work on padding. The results are equal up to rounding unless the loss
depends on padding (a task's `padding_matters`). Records stay serialized: 600 bytes for 128 tokens.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from bert_tf.data.block_reader import READING_ERRORS
from bert_tf.data.order import host_slice, map_batches, training_order
from bert_tf.data.records import scan_file
from bert_tf.data.schema import Feature, parse_examples
from bert_tf.model import processors

EXAMPLE_INDEX = "example_index"  # In a batch: the example that each row is a window of.

_PARSED_AT_ONCE = 1024
_MASK, _IS_REAL = "input_mask", "is_real_example"
_ADVICE = "Remove the file and run again."


class FeatureRecords:
    """Holds the records of a file of features in memory, and batches them in any order.

    Args:
        path: an uncompressed TFRecord file, as `feature_files` or the original writes it.
        max_seq_length: L. Features whose last dimension is L are cut to the length of their batch.
        windows_per_example: the number of successive records of each example; adds EXAMPLE_INDEX,
            <int32>[B], to the batches.

    Raises a ValueError for an empty or damaged file, and for a record with other features.
    """

    def __init__(
        self,
        path: str,
        features: Mapping[str, Feature],
        max_seq_length: int,
        windows_per_example: Sequence[int] | None = None,
    ) -> None:
        self._path = str(path)
        self._features = features
        self._max_seq_length = max_seq_length
        # TensorFlow takes a file that ends within a record's header for a complete one.
        scan = scan_file(self._path, "", _PARSED_AT_ONCE)
        if scan.fault:
            raise scan.fault.error(_ADVICE)
        if not scan.num_records:
            raise ValueError(f"{self._path}: the file holds no record. {_ADVICE}")
        self._records, self.lengths = self._read()  # <string>[n], <int32>[n] without padding.
        self.num_features = scan.num_records
        self._columns: dict[str, tf.Tensor] = {}
        if windows_per_example is not None:
            examples = np.arange(len(windows_per_example), dtype=np.int32)
            self.add_columns({EXAMPLE_INDEX: np.repeat(examples, windows_per_example)})

    def add_columns(self, columns: Mapping[str, np.ndarray]) -> None:
        """Adds an array [num_features, ...] to all batches under each name; they are not cut."""
        with tf.device("CPU:0"):
            self._columns |= {name: tf.constant(values) for name, values in columns.items()}

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns all records, parsed: by name, <int32> or <float32> [num_features, ...]."""
        parsed = parse_examples(self._records, self._features)
        return {name: tensor.numpy() for name, tensor in parsed.items()}

    def training_batches(
        self,
        batch_size: int,
        seed: int,
        start_step: int = 0,
        num_hosts: int = 1,
        host_index: int = 0,
        bucketed: bool = True,
    ) -> tf.data.Dataset:
        """Returns the endless dataset of one host's rows of all batches from step `start_step` on.

        The elements are dicts by name, <int32> or <float32> [batch_size / num_hosts, ...], with
        `is_real_example`, <float32>[batch_size / num_hosts]. `batch_size`, a multiple of
        `num_hosts`, counts the examples of a step on all hosts, which depend on the seed and the
        step only. If `bucketed`, they have similar lengths, and the batch is only as long as the
        longest (of all hosts; with an accelerator, rounded up to a multiple of 8).

        Source: google-research/bert, run_classifier.py, `file_based_input_fn_builder`.
        """
        mine = host_slice(batch_size, num_hosts, host_index)
        order = training_order(self.lengths, batch_size, seed, start_step, bucketed)
        return self._dataset(order, mine, bucketed)

    def ordered_batches(
        self,
        batch_size: int,
        num_hosts: int = 1,
        host_index: int = 0,
        bucketed: bool = True,
        num_rows: int | None = None,
    ) -> tf.data.Dataset:
        """Returns all records once: the longest first if bucketed, else in the order of the file.

        Batches are like those of `training_batches`, with `feature_numbers` too, <int32>[num_rows /
        num_hosts]: the number of each row's record. They are padded to `num_rows` (a multiple of
        `num_hosts`, `batch_size` or more) with rows of zeros; their `feature_numbers` are -1.
        """
        num_rows = num_rows or batch_size
        mine = host_slice(num_rows, num_hosts, host_index)
        order = np.arange(self.num_features)
        if bucketed:  # A batch too large for memory fails at once.
            order = np.argsort(-self.lengths, kind="stable")
        order = np.append(order, np.full(-len(order) % batch_size, -1)).reshape(-1, batch_size)
        numbers = np.pad(order, [(0, 0), (0, num_rows - batch_size)], constant_values=-1)
        dataset = tf.data.Dataset.from_tensor_slices(numbers)
        return self._dataset(dataset, mine, bucketed, numbered=True)

    def _dataset(
        self, order: tf.data.Dataset, mine: slice, bucketed: bool, numbered: bool = False
    ) -> tf.data.Dataset:
        """Makes one host's batches from batches of record numbers."""
        lengths, columns = tf.constant(self.lengths), self._columns

        def make_batch(numbers: tf.Tensor) -> dict[str, tf.Tensor]:
            # Padding rows have the number -1; they are read as record 0 and zeroed.
            all_lengths = tf.where(numbers < 0, 0, tf.gather(lengths, tf.maximum(numbers, 0)))
            numbers = tf.ensure_shape(numbers[mine], [mine.stop - mine.start])
            rows = tf.maximum(numbers, 0)
            batch = parse_examples(tf.gather(self._records, rows), self._features)
            batch |= {name: tf.gather(column, rows) for name, column in columns.items()}
            batch[_IS_REAL] = tf.cast(batch.get(_IS_REAL, tf.ones_like(numbers)), tf.float32)
            if bucketed:
                batch = self._shortened(batch, tf.reduce_max(all_lengths))
            if numbered:
                batch = {name: _zero_where(numbers < 0, x) for name, x in batch.items()}
                batch["feature_numbers"] = tf.cast(numbers, tf.int32)
            return batch

        return map_batches(order, make_batch)

    def _shortened(self, batch: dict[str, tf.Tensor], longest: tf.Tensor) -> dict[str, tf.Tensor]:
        step = processors.length_multiple()
        length = tf.maximum(1, -(-longest // step)) * step
        length = tf.minimum(length, self._max_seq_length)
        sequences = {
            name: batch[name][..., :length]
            for name, feature in self._features.items()
            if feature.shape[-1:] == (self._max_seq_length,)
        }
        return batch | sequences

    def _read(self) -> tuple[tf.Tensor, np.ndarray]:
        positions = tf.range(1, self._max_seq_length + 1)

        def measure(records: tf.Tensor):
            mask = parse_examples(records, self._features)[_MASK]
            last = tf.reduce_max(tf.where(mask > 0, positions, 0), axis=-1)
            return records, tf.reduce_max(tf.reshape(last, [tf.shape(records)[0], -1]), axis=-1)

        dataset = tf.data.TFRecordDataset(self._path).batch(_PARSED_AT_ONCE)
        try:
            records, lengths = zip(*map_batches(dataset, measure), strict=True)
        except READING_ERRORS:
            self._explain()
            raise
        return tf.concat(records, axis=0), tf.concat(lengths, axis=0).numpy()

    def _explain(self) -> None:
        """Raises a ValueError for the first record that cannot be read or parsed."""
        number = 0
        try:
            for record in tf.data.TFRecordDataset(self._path):
                parse_examples(record[None], self._features)
                number += 1
            return
        except tf.errors.DataLossError:
            reason = "it does not fit its checksum"
        except READING_ERRORS as error:
            reason = f"it does not hold {', '.join(self._features)} as it should: {error}"
        raise ValueError(f"{self._path}: record {number:,}: {reason}. {_ADVICE}")


def _zero_where(is_empty: tf.Tensor, tensor: tf.Tensor) -> tf.Tensor:
    """Returns [B, ...] with zeros in the rows of <bool>[B]."""
    is_empty = tf.reshape(is_empty, [-1] + [1] * (tensor.shape.rank - 1))
    return tf.where(is_empty, tf.zeros_like(tensor), tensor)
