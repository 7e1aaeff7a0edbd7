"""Holds a file of features in memory and makes batches no longer than their longest example.

    bucketed                            padded
    a b c . | a b c d e f g h           a b c . . . . .
    a b . . | a b c d e f g .           a b c d e f g h
    a b c d | a b c d e f . .           a b . . . . . .     ...

Work on padding is wasted, and bucketed batches have little of it. The results are the same up to
rounding, provided that the loss does not depend on padding (a task's `padding_matters`).

The serialized records are held, which take about 600 bytes for 128 tokens and 1.6 kB for 384.
"""

from collections.abc import Mapping, Sequence
from typing import NoReturn

import numpy as np
import tensorflow as tf

from bert_tf import files
from bert_tf.data.batch_order import longest_first, training_order
from bert_tf.data.input_pipeline import check_hosts, with_options
from bert_tf.data.schema import Feature, parse_examples

# Batch lengths are multiples of this: there are then few of them, and they suit processors.
LENGTH_STEP = 8
# The name in a batch for the index of the example that each row is a window of.
EXAMPLE_INDEX = "example_index"

_HEADER_BYTES, _FOOTER_BYTES = 12, 4  # Around each record of the file.
_PARSED_AT_ONCE = 1024
_MASK, _IS_REAL = "input_mask", "is_real_example"
# UnicodeDecodeError: TensorFlow's message quotes the damaged record, which may not be UTF-8.
_READING_ERRORS = (tf.errors.DataLossError, tf.errors.InvalidArgumentError, UnicodeDecodeError)


class FeatureRecords:
    """The records of a file of features, in memory, to be batched in any order.

    Args:
        path: an uncompressed TFRecord file, as `feature_files` or the original writes it.
        features: what each record holds.
        max_seq_length: L. Features whose last dimension is L are cut to the length of their batch.
        windows_per_example: how many successive records each example has; if given, batches have
            EXAMPLE_INDEX, <int32>[B], too.

    Attributes:
        num_features: the number of records.
        lengths: <int32>[num_features], the number of tokens of each before its padding.

    Raises:
        ValueError: for a file without records, and for a damaged record or one with other features,
            with file and record number.
    """

    def __init__(
        self,
        path: str,
        features: Mapping[str, Feature],
        max_seq_length: int,
        windows_per_example: Sequence[int] | None = None,
    ) -> None:
        self._path = str(path)
        self._features = dict(features)
        self._max_seq_length = max_seq_length
        self._records, self.lengths = self._read()
        self.num_features = len(self.lengths)
        self._example_indices = None
        if windows_per_example is not None:
            examples = np.arange(len(windows_per_example), dtype=np.int32)
            self._example_indices = np.repeat(examples, windows_per_example)

    def arrays(self) -> dict[str, np.ndarray]:
        """All records parsed: by name, <int32> or <float32> [num_features, ...]."""
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
        """The endless stream of training batches, beginning with the one of `start_step`.

        Args:
            batch_size: examples per step, on all hosts together.
            seed: any whole number; the examples of a batch depend on it and on the step only.
            start_step: the step, from 0, of the first batch.
            num_hosts: the number of hosts that share a batch; must divide `batch_size`.
            host_index: the index of this host.
            bucketed: whether a batch has examples of similar length and is only as long as the
                longest (of all hosts, rounded up to a multiple of 8).

        Returns:
            A dataset of dicts by name, <int32> or <float32> [batch_size / num_hosts, ...], with
            `is_real_example`, <float32>[batch_size / num_hosts]. Sequences have the length
            `max_seq_length` or, if bucketed, that of the batch.

        Source: google-research/bert, run_classifier.py, `file_based_input_fn_builder`.
        """
        check_hosts(batch_size, num_hosts, host_index)
        order = training_order(self.lengths, batch_size, seed, start_step, bucketed)
        return self._dataset(order, batch_size // num_hosts, host_index, bucketed)

    def ordered_batches(
        self,
        batch_size: int,
        num_hosts: int = 1,
        host_index: int = 0,
        bucketed: bool = True,
        num_rows: int | None = None,
    ) -> tf.data.Dataset:
        """All records once: the longest first if bucketed, else in the order of the file.

        Batches are padded with rows of zeros, whose `is_real_example` is 0: the last one to
        `batch_size`, and all of them to `num_rows`.

        Args: see `training_batches`; and
            num_rows: rows per batch, a multiple of `num_hosts`; at least and by default
                `batch_size`.

        Returns:
            A finite dataset like that of `training_batches`, with `feature_numbers`,
            <int32>[num_rows / num_hosts]: the number of each row's record, or -1 for padding.
        """
        num_rows = num_rows or batch_size
        check_hosts(num_rows, num_hosts, host_index)
        order = longest_first(self.lengths) if bucketed else np.arange(self.num_features)
        num_batches = -(-self.num_features // batch_size)
        missing = num_batches * batch_size - self.num_features
        numbers = np.append(order, np.full(missing, -1)).reshape(num_batches, batch_size)
        numbers = np.pad(numbers, [(0, 0), (0, num_rows - batch_size)], constant_values=-1)
        return self._dataset(
            tf.data.Dataset.from_tensor_slices(numbers),
            num_rows // num_hosts,
            host_index,
            bucketed,
            numbered=True,
        )

    def _dataset(
        self,
        order: tf.data.Dataset,
        share: int,
        host_index: int,
        bucketed: bool,
        numbered: bool = False,
    ) -> tf.data.Dataset:
        """Parses and shortens one host's share of batches of record numbers."""
        mine = slice(host_index * share, (host_index + 1) * share)
        records, lengths = self._records, tf.constant(self.lengths)
        indices = None if self._example_indices is None else tf.constant(self._example_indices)

        def make_batch(numbers: tf.Tensor) -> dict[str, tf.Tensor]:
            # Padding rows have the number -1: they are read as record 0, and made zeros.
            all_lengths = tf.where(numbers < 0, 0, tf.gather(lengths, tf.maximum(numbers, 0)))
            longest = tf.reduce_max(all_lengths)
            numbers = tf.ensure_shape(numbers[mine], [share])
            places = tf.maximum(numbers, 0)
            batch = parse_examples(tf.gather(records, places), self._features)
            batch[_IS_REAL] = tf.cast(batch.get(_IS_REAL, tf.ones_like(numbers)), tf.float32)
            if indices is not None:
                batch[EXAMPLE_INDEX] = tf.gather(indices, places)
            if bucketed:
                length = self._rounded(longest)
                batch = {name: self._shorten(name, x, length) for name, x in batch.items()}
            if not numbered:
                return batch
            batch = {name: _zero_where(numbers < 0, x) for name, x in batch.items()}
            return {**batch, "feature_numbers": tf.cast(numbers, tf.int32)}

        dataset = order.map(make_batch, num_parallel_calls=tf.data.AUTOTUNE)
        return with_options(dataset.prefetch(tf.data.AUTOTUNE))

    def _shorten(self, name: str, tensor: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        shape = self._features[name].shape if name in self._features else ()
        return tensor[..., :length] if shape[-1:] == (self._max_seq_length,) else tensor

    def _rounded(self, length: tf.Tensor) -> tf.Tensor:
        multiple = tf.maximum(1, -(-length // LENGTH_STEP)) * LENGTH_STEP
        return tf.minimum(multiple, self._max_seq_length)

    def _read(self) -> tuple[tf.Tensor, np.ndarray]:
        """The serialized records <string>[n], and their lengths <int32>[n] in tokens."""
        places = tf.range(1, self._max_seq_length + 1)

        def measure(records: tf.Tensor):
            mask = parse_examples(records, self._features)[_MASK]
            last = tf.reduce_max(tf.where(mask > 0, places, 0), axis=-1)
            return records, tf.reduce_max(tf.reshape(last, [tf.shape(records)[0], -1]), axis=-1)

        dataset = tf.data.TFRecordDataset(self._path).batch(_PARSED_AT_ONCE)
        dataset = with_options(dataset.map(measure, num_parallel_calls=tf.data.AUTOTUNE))
        try:
            pieces = list(dataset)
        except _READING_ERRORS as error:
            self._name_fault(error)
        records = tf.concat([tf.zeros([0], tf.string), *(piece for piece, _ in pieces)], axis=0)
        self._check_size(records)
        return records, np.concatenate([lengths.numpy() for _, lengths in pieces])

    def _name_fault(self, error: Exception) -> NoReturn:
        """Finds the record that could not be read or parsed."""
        number = 0
        try:
            for record in tf.data.TFRecordDataset(self._path):
                parse_examples(record[None], self._features)
                number += 1
        except tf.errors.DataLossError:
            self._fail(number, "it is damaged")
        except _READING_ERRORS as found:
            self._fail(
                number, f"it does not hold {', '.join(self._features)} as it should: {found}"
            )
        raise error

    def _check_size(self, records: tf.Tensor) -> None:
        num_records = int(records.shape[0])
        num_bytes = int(tf.reduce_sum(tf.cast(tf.strings.length(records), tf.int64)))
        # TensorFlow takes a file that ends inside a record's header for a complete one.
        if num_bytes + num_records * (_HEADER_BYTES + _FOOTER_BYTES) != files.file_size(self._path):
            self._fail(num_records, "the file ends within it")
        if not num_records:
            raise ValueError(f"{self._path}: the file holds no record.")

    def _fail(self, number: int, reason: str) -> NoReturn:
        raise ValueError(
            f"{self._path}: record {number:,}: {reason}. Remove the file and run again."
        ) from None


def _zero_where(is_empty: tf.Tensor, tensor: tf.Tensor) -> tf.Tensor:
    """[B, ...] with zeros in the rows of <bool>[B]."""
    is_empty = tf.reshape(is_empty, [-1] + [1] * (tensor.shape.rank - 1))
    return tf.where(is_empty, tf.zeros_like(tensor), tensor)
