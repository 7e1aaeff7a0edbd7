"""A file of features -> batches that are no longer than their longest example.

    bucketed                            padded
    a b c . | a b c d e f g h           a b c . . . . .
    a b . . | a b c d e f g .           a b c d e f g h
    a b c d | a b c d e f . .           a b . . . . . .     ...

What is computed on padding is thrown away; here there is little of it. The numbers are the same up
to rounding, as long as the loss does not depend on padding (`padding_matters` of a task).

The file stays on disk, or, where it is a remote one, is read once and held: memory holds some 50
bytes a record besides.
"""

from collections.abc import Mapping
from typing import NoReturn

import numpy as np
import tensorflow as tf

from bert_tf import files
from bert_tf.data.batch_order import longest_first, training_order
from bert_tf.data.input_pipeline import check_hosts, with_options
from bert_tf.data.schema import Feature, parse_examples

# Lengths of batches are multiples of it: so there are few of them, and processors like them.
LENGTH_STEP = 8

_HEADER_BYTES, _FOOTER_BYTES = 12, 4
_SCANNED_AT_ONCE = 1024
_READS_AT_ONCE = 8
_MASK, _IS_REAL = "input_mask", "is_real_example"
# A damaged record, and one that is none, which TensorFlow quotes and Python may not decode.
_READING_ERRORS = (tf.errors.DataLossError, tf.errors.InvalidArgumentError, UnicodeDecodeError)


class FeatureRecords:
    """The records of a file of features, to be read in any order.

    Args:
        path: a TFRecord file, not compressed, as `feature_files` or the original writes it.
        features: what each record holds.
        max_seq_length: L. Features whose shape ends with it get shorter with their batch.

    Attributes:
        num_features: how many records there are.
        lengths: <int32>[num_features], how many tokens each has in front of its padding.

    Raises:
        ValueError: for a file without records, and for a record that is damaged or does not hold
            what it should, with its file and number.
    """

    def __init__(self, path: str, features: Mapping[str, Feature], max_seq_length: int) -> None:
        self._path = str(path)
        self._features = dict(features)
        self._max_seq_length = max_seq_length
        sizes, self.lengths = self._scan()
        self.num_features = len(sizes)
        ends = np.cumsum(sizes + _HEADER_BYTES + _FOOTER_BYTES)
        self._check_size(int(ends[-1]) if len(ends) else 0)
        self._starts = ends - sizes - (_HEADER_BYTES + _FOOTER_BYTES)
        self._held = self._read_all() if files.is_remote(self._path) else None

    def training_batches(
        self,
        batch_size: int,
        seed: int,
        start_step: int = 0,
        num_hosts: int = 1,
        host_index: int = 0,
        bucketed: bool = True,
    ) -> tf.data.Dataset:
        """The endless stream of training batches, from the one of `start_step` on.

        Args:
            batch_size: examples a step, on all hosts together.
            seed: any whole number; with the step it decides what is in a batch.
            start_step: the step, from 0, whose batch comes first.
            num_hosts: how many hosts share a batch; must divide `batch_size`.
            host_index: which of them this is, from 0.
            bucketed: whether batches are of examples of about the same length, and are no longer
                than these need (on all hosts together, rounded up to a multiple of 8).

        Returns:
            A dataset of dicts by name, <int32> or <float32> [batch_size / num_hosts, ...], with
            `is_real_example`, <float32>[batch_size / num_hosts]. The length of a sequence is
            `max_seq_length`, or, if bucketed, that of the batch.

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
        """All features once: the longest first if bucketed, or else in the order of the file.

        Batches are filled up with rows of zeros, whose `is_real_example` is 0: the last one to
        `batch_size`, and all of them to `num_rows`.

        Args: see `training_batches`; and
            num_rows: rows of a batch, `batch_size` at least, which is also the default; a multiple
                of `num_hosts`.

        Returns:
            A finite dataset as that of `training_batches`, with `feature_numbers`,
            <int32>[num_rows / num_hosts]: the place of each row's feature in the file, from 0;
            -1 for a row that only fills the batch.
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
        """Reads, parses and shortens one host's share of batches of record numbers."""
        mine = slice(host_index * share, (host_index + 1) * share)
        starts, lengths = tf.constant(self._starts), tf.constant(self.lengths)

        def make_batch(numbers: tf.Tensor) -> dict[str, tf.Tensor]:
            # What only fills a batch has the number -1: it is read as record 0, and made zeros.
            of_rows = tf.where(numbers < 0, 0, tf.gather(lengths, tf.maximum(numbers, 0)))
            longest = tf.reduce_max(of_rows)
            numbers = tf.ensure_shape(numbers[mine], [share])
            records = self._read(tf.maximum(numbers, 0), starts)
            batch = parse_examples(records, self._features)
            is_real = batch.get(_IS_REAL, tf.ones_like(numbers))
            batch[_IS_REAL] = tf.cast(is_real, tf.float32)
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

    def _read(self, numbers: tf.Tensor, starts: tf.Tensor) -> tf.Tensor:
        """<string>[n]: the serialized records of these numbers <int64>[n]."""
        if self._held is not None:
            return tf.gather(self._held, numbers)
        return tf.map_fn(
            lambda start: _read_record(self._path, start),
            tf.gather(starts, numbers),
            fn_output_signature=tf.TensorSpec([], tf.string),
            parallel_iterations=_READS_AT_ONCE,
        )

    def _read_all(self) -> tf.Tensor:
        """<string>[num_features]: the whole file."""
        records = tf.data.TFRecordDataset(self._path).batch(self.num_features)
        return tf.data.Dataset.get_single_element(records)

    def _scan(self) -> tuple[np.ndarray, np.ndarray]:
        """Sizes <int64>[n] in bytes and lengths <int32>[n] in tokens of all records."""
        places = tf.range(1, self._max_seq_length + 1)

        def measure(records: tf.Tensor):
            mask = parse_examples(records, self._features)[_MASK]
            last = tf.reduce_max(tf.where(mask > 0, places, 0), axis=-1)
            lengths = tf.reduce_max(tf.reshape(last, [tf.shape(records)[0], -1]), axis=-1)
            return tf.cast(tf.strings.length(records), tf.int64), lengths

        dataset = tf.data.TFRecordDataset(self._path).batch(_SCANNED_AT_ONCE)
        dataset = with_options(dataset.map(measure, num_parallel_calls=tf.data.AUTOTUNE))
        pieces = [(np.zeros(0, np.int64), np.zeros(0, np.int32))]
        try:
            pieces += [(sizes.numpy(), lengths.numpy()) for sizes, lengths in dataset]
        except _READING_ERRORS as error:
            self._name_fault(error)
        sizes, lengths = zip(*pieces, strict=True)
        return np.concatenate(sizes), np.concatenate(lengths)

    def _name_fault(self, error: Exception) -> NoReturn:
        """Looks for the record that could not be read or parsed."""
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

    def _check_size(self, num_bytes: int) -> None:
        # TensorFlow takes a file that ends inside a record's header for one that is complete.
        if num_bytes != files.file_size(self._path):
            self._fail(self.num_features, "the file ends within it")
        if not self.num_features:
            raise ValueError(f"{self._path}: the file holds no record.")

    def _fail(self, number: int, reason: str) -> NoReturn:
        raise ValueError(
            f"{self._path}: record {number:,}: {reason}. Remove the file, and it is made anew."
        ) from None


def _read_record(path: str, start: tf.Tensor) -> tf.Tensor:
    """<string>[]: the record that starts at this byte <int64>[] of a file."""
    # Version 2 of the op can start at a byte; no Python class of TensorFlow offers that.
    variant = tf.raw_ops.TFRecordDatasetV2(
        filenames=tf.constant([path]),
        compression_type="",
        buffer_size=tf.constant(0, tf.int64),  # A buffer would be filled beyond the record.
        byte_offsets=start[None],
    )
    dataset = tf.data.experimental.from_variant(variant, tf.TensorSpec([], tf.string))
    return tf.data.Dataset.get_single_element(dataset.take(1))


def _zero_where(is_empty: tf.Tensor, tensor: tf.Tensor) -> tf.Tensor:
    """[B, ...] with zeros in the rows of <bool>[B]."""
    is_empty = tf.reshape(is_empty, [-1] + [1] * (tensor.shape.rank - 1))
    return tf.where(is_empty, tf.zeros_like(tensor), tensor)
