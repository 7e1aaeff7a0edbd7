"""A checked set of pre-training records, from patterns of file names to batches."""

import collections
import contextlib
import dataclasses
import logging
from collections.abc import Callable, Iterator, Sequence

import tensorflow as tf

from bert_tf import files
from bert_tf.data import schema
from bert_tf.data.dynamic_masking import MaskingSettings, masking_from_manifest
from bert_tf.data.input_pipeline import build_eval_dataset, build_training_dataset
from bert_tf.data.record_index import RecordIndex, build_record_index
from bert_tf.data.record_scan import compression_of, first_records
from bert_tf.data.validation import check_manifests, check_records, find_corrupt_record

logger = logging.getLogger(__name__)

# A wrong checksum; a file that has become shorter; a record that is none, which TensorFlow quotes
# and Python may not be able to decode.
_READING_ERRORS = (tf.errors.DataLossError, tf.errors.InvalidArgumentError, UnicodeDecodeError)
# Some of them may be damaged.
_FIRST_RECORDS = 9


@dataclasses.dataclass(frozen=True)
class RecordSet:
    """Records that fit the model, and how a batch is made of them.

    index: where they lie.
    features: what is read from each.
    masking: for records made with --masking=dynamic; None for records with masks.
    prepare: what is done to each batch last; None for nothing.
    """

    index: RecordIndex
    features: dict[str, schema.Feature]
    masking: MaskingSettings | None
    prepare: Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]] | None = None

    @property
    def num_examples(self) -> int:
        return self.index.num_examples

    def training_batches(
        self, batch_size: int, seed: int, start_step: int, num_hosts: int, host_index: int
    ) -> tf.data.Dataset:
        """See `input_pipeline.build_training_dataset`."""
        dataset = build_training_dataset(
            self.index,
            self.features,
            batch_size,
            seed,
            start_step=start_step,
            num_hosts=num_hosts,
            host_index=host_index,
            masking=self.masking,
        )
        return self._prepared(dataset)

    def evaluation_batches(
        self,
        batch_size: int,
        max_batches: int | None,
        repeat: bool,
        num_hosts: int,
        host_index: int,
        num_rows: int | None = None,
    ) -> tf.data.Dataset:
        """See `input_pipeline.build_eval_dataset`."""
        dataset = build_eval_dataset(
            self.index,
            self.features,
            batch_size,
            max_batches=max_batches,
            repeat=repeat,
            num_hosts=num_hosts,
            host_index=host_index,
            masking=self.masking,
            num_rows=num_rows,
        )
        return self._prepared(dataset)

    def _prepared(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        return dataset if self.prepare is None else dataset.map(self.prepare)

    @contextlib.contextmanager
    def named_corruption(self) -> Iterator[None]:
        """Turns TensorFlow's report of a damaged record into a ValueError that names the file."""
        try:
            yield
        except _READING_ERRORS as error:
            find_corrupt_record(self.index)
            raise ValueError(f"A record cannot be read: {error}") from error


def open_record_set(
    patterns: Sequence[str],
    max_seq_length: int,
    max_predictions_per_seq: int,
    vocab_size: int,
    type_vocab_size: int,
    on_corrupt: str = "fail",
    cache_file: str | None = None,
    next_sentence: bool = True,
    masks_tokens: bool = True,
    prepare: Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]] | None = None,
) -> RecordSet:
    """Finds the files, and checks them against the model and against what is expected of them.

    Args:
        patterns: paths or patterns of TFRecord files.
        max_seq_length: tokens of a record.
        max_predictions_per_seq: hidden tokens of a record.
        vocab_size: ids are below it.
        type_vocab_size: segment ids are below it.
        on_corrupt: `fail`, or `skip` to leave damaged records out.
        cache_file: remembers where the records lie, for files that have no manifest.
        next_sentence: whether each record must have `next_sentence_labels`; else they are not read.
        masks_tokens: whether tokens are masked; else records made for dynamic masking are read as
            they are.
        prepare: what is done to each batch last; None for nothing.

    Raises:
        ValueError: for what does not fit, with the file.
    """
    paths = files.expand_input_files(patterns)
    index = build_record_index(paths, on_corrupt, cache_file=cache_file)
    check_manifests(index, max_seq_length, max_predictions_per_seq, vocab_size)
    masking = masking_from_manifest(index, max_predictions_per_seq)
    if masking is None:
        features = schema.pretraining_features(max_seq_length, max_predictions_per_seq)
    else:
        features = schema.unmasked_pretraining_features(max_seq_length)
    if not next_sentence:
        del features["next_sentence_labels"]
    if masking is not None and not masks_tokens:
        del features["word_ids"]
        masking = None
    index = check_records(index, features, vocab_size, type_vocab_size, on_corrupt)
    left_out = f"; {len(index.faults)} damaged places left out" if index.faults else ""
    logger.info("%d examples in %d files%s", index.num_examples, len(paths), left_out)
    return RecordSet(index, features, masking, prepare)


def find_max_predictions(patterns: Sequence[str]) -> int | None:
    """How many hidden tokens a record has room for: most of the first ones say it.

    Returns: None if masks are not made yet, or none can be read: `open_record_set` says why.
    """
    path = files.expand_input_files(patterns)[0]
    numbers: collections.Counter[int | None] = collections.Counter()
    for record in first_records(path, compression_of(path), _FIRST_RECORDS):
        with contextlib.suppress(Exception):  # Of what is damaged; protobuf's have moved around.
            features = tf.train.Example.FromString(record).features.feature
            numbers[len(features["masked_lm_positions"].int64_list.value) or None] += 1
    return max(numbers, key=numbers.get, default=None)
