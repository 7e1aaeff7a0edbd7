"""Reads pre-training records in batches whose order depends on (seed, step) only.

Memory holds two groups of 65,536 records. Reading starts at any step without reading what precedes
it; see `order`. The batches are the same for any number of hosts.
"""

import collections
import contextlib
import dataclasses
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf

from bert_tf import files
from bert_tf.data import schema, validation
from bert_tf.data.block_reader import READING_ERRORS, BlockTable
from bert_tf.data.counter_hash import RECORD_ORDER, RandomBits, bits_of_rows, hash_counters
from bert_tf.data.dynamic_masking import MaskingSettings, mask_batch, masking_from_manifest
from bert_tf.data.order import host_slice, map_batches, plan_epoch, without_autograph
from bert_tf.data.record_index import RecordIndex, build_record_index
from bert_tf.data.records import first_records
from bert_tf.data.token_frequencies import count_tokens, token_weights

logger = logging.getLogger(__name__)

# Examples that are permuted together. The peak memory of two groups of 1 kB records is 400 MB.
GROUP_EXAMPLES = 65536

# Evaluation always uses the dynamic masks of this epoch; training counts epochs from 0.
_EVALUATION_EPOCH, _EVALUATION_SEED = -1, 0
_Batch = dict[str, tf.Tensor]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordUse:
    """What pre-training needs of records, and what it does to their batches."""

    needs_next_sentence: bool = False  # Whether records must have `next_sentence_labels`.
    # What create_pretraining_data.py must have been set to, by its name there.
    record_settings: Mapping[str, bool] = dataclasses.field(default_factory=dict, hash=False)
    masks_tokens: bool = True  # Whether tokens of records for dynamic masking are masked.
    prepare: Callable[[_Batch], _Batch] | None = None  # The last step for each batch.
    # Changes a batch by chance. Then the records need not have masked tokens.
    randomize: Callable[[_Batch, RandomBits], _Batch] | None = None


@dataclasses.dataclass(frozen=True)
class RecordSet:
    """Makes batches of records that have been checked against the model."""

    index: RecordIndex
    features: Mapping[str, schema.Feature]
    masking: MaskingSettings | None = None  # For records without masks.
    use: RecordUse = RecordUse()

    @property
    def num_examples(self) -> int:
        return self.index.num_examples

    def training_batches(
        self,
        batch_size: int,
        seed: int,
        start_step: int = 0,
        num_hosts: int = 1,
        host_index: int = 0,
    ) -> tf.data.Dataset:
        """Returns the endless dataset of one host's rows of all batches from step `start_step` on.

        The elements are dicts by name, <int32> or <float32> [batch_size / num_hosts, ...].
        `batch_size`, a multiple of `num_hosts`, counts the examples of a step on all hosts. `seed`
        determines the order of examples and their dynamic masks.
        """
        mine = host_slice(batch_size, num_hosts, host_index)
        start_epoch, start_position = divmod(start_step * batch_size, self.num_examples)
        blocks = BlockTable(self.index)

        @without_autograph
        def epoch_groups(epoch: tf.Tensor) -> tf.data.Dataset:
            start = tf.constant(start_position, tf.int64)
            position = tf.where(tf.equal(epoch, start_epoch), start, 0)
            return plan_epoch(blocks.size, seed, epoch, position, GROUP_EXAMPLES)

        @without_autograph
        def read_group(epoch: tf.Tensor, block_numbers: tf.Tensor, skip: tf.Tensor):
            records, examples = blocks.read(block_numbers)
            bits = hash_counters(seed, RECORD_ORDER, epoch, examples)
            order = tf.argsort(bits, stable=True)[skip:]
            examples = tf.gather(examples, order)
            return tf.gather(records, order), examples, tf.fill(tf.shape(examples), epoch)

        def make_batch(records: tf.Tensor, examples: tf.Tensor, epochs: tf.Tensor) -> _Batch:
            records = tf.ensure_shape(records[mine], [batch_size // num_hosts])
            batch = self._parse(records, seed, epochs[mine], examples[mine])
            return self.use.prepare(batch) if self.use.prepare else batch

        groups = tf.data.Dataset.range(start_epoch, np.iinfo(np.int64).max).flat_map(epoch_groups)
        # The next group is read while this one is consumed.
        rows = groups.map(read_group).prefetch(1).rebatch(batch_size, drop_remainder=True)
        return map_batches(rows, make_batch)

    def evaluation_batches(
        self,
        batch_size: int,
        max_batches: int | None = None,
        repeat: bool = False,
        num_hosts: int = 1,
        host_index: int = 0,
        num_rows: int | None = None,
    ) -> tf.data.Dataset:
        """Returns one host's rows of batches of all examples, in the order of the files.

        Batches are padded with rows of zeros to `num_rows` (a multiple of `num_hosts`, `batch_size`
        or more). They have `is_real_example` too, <float32>[num_rows / num_hosts], 0 for padding.
        With `repeat`, the files are repeated up to `max_batches`, as in the original.

        Source: google-research/bert, run_pretraining.py, `input_fn_builder`.
        """
        num_rows = num_rows or batch_size
        mine = host_slice(num_rows, num_hosts, host_index)
        blocks = BlockTable(self.index)

        def make_batch(records: tf.Tensor, examples: tf.Tensor) -> _Batch:
            records, examples = records[mine], examples[mine]
            batch = self._parse(records, _EVALUATION_SEED, _EVALUATION_EPOCH, examples)
            batch["is_real_example"] = tf.ones_like(records, dtype=tf.float32)
            batch = {name: _padded(x, num_rows // num_hosts) for name, x in batch.items()}
            return self.use.prepare(batch) if self.use.prepare else batch

        dataset = tf.data.Dataset.range(len(self.index.blocks))
        dataset = dataset.map(lambda block: blocks.read(block[None]))
        dataset = dataset.repeat(None if repeat else 1).prefetch(1).rebatch(batch_size)
        return map_batches(dataset.take(max_batches or -1), make_batch)

    def _parse(
        self, records: tf.Tensor, seed: int, epochs: tf.Tensor | int, examples: tf.Tensor
    ) -> _Batch:
        batch = schema.parse_examples(records, self.features)
        random_bits = bits_of_rows(seed, epochs, examples)
        if self.masking:
            batch = mask_batch(batch, self.masking, random_bits)
        return self.use.randomize(batch, random_bits) if self.use.randomize else batch

    @contextlib.contextmanager
    def named_corruption(self) -> Iterator[None]:
        """Turns TensorFlow's error about a corrupt record into a ValueError that names the file."""
        try:
            yield
        except READING_ERRORS as error:
            validation.find_corrupt_record(self.index)
            raise ValueError(f"A record cannot be read: {error}") from error


def open_record_set(
    patterns: Sequence[str],
    max_seq_length: int,
    max_predictions_per_seq: int,
    vocab_size: int,
    type_vocab_size: int,
    use: RecordUse,
    on_corrupt: str = "fail",
    cache_file: str | None = None,
) -> RecordSet:
    """Opens record files; raises a ValueError if they do not fit the model and the settings.

    `on_corrupt` is `fail`, or `skip` to leave corrupt records out; for `cache_file` see
    `build_record_index`.
    """
    paths, skips_corrupt = files.expand_input_files(patterns), on_corrupt == "skip"
    index = build_record_index(paths, skips_corrupt, cache_file)
    validation.check_manifests(index, max_seq_length, max_predictions_per_seq, vocab_size)
    validation.check_settings(index, use.record_settings)
    masking = masking_from_manifest(index, max_predictions_per_seq)
    features = schema.pretraining_features(max_seq_length, max_predictions_per_seq)
    if masking is not None:
        features = schema.unmasked_pretraining_features(max_seq_length)
    if not use.needs_next_sentence:
        del features["next_sentence_labels"]
    if masking is not None and not use.masks_tokens:
        del features["word_ids"]
        masking = None
    elif use.randomize and find_max_predictions(patterns) is None:
        features = {name: each for name, each in features.items() if "masked_lm" not in name}
    index = validation.check_records(index, features, vocab_size, type_vocab_size, skips_corrupt)
    counts = index.num_examples, len(paths), len(index.faults)
    logger.info("%d examples in %d files; %d damaged places left out", *counts)
    records = RecordSet(index, features, masking, use)
    return _weigh_tokens(records, max_seq_length, vocab_size) if masking else records


def _weigh_tokens(records: RecordSet, max_seq_length: int, vocab_size: int) -> RecordSet:
    """Returns the records with the weights of their tokens, if they are masked by these."""
    masking = records.masking
    if not masking.smoothing:
        return records
    logger.info("Counting the tokens of %d examples", records.num_examples)
    with records.named_corruption():
        counts = count_tokens(records.index, max_seq_length, vocab_size)
    weights = token_weights(counts, masking.smoothing).tolist()
    masking = dataclasses.replace(masking, token_weights=tuple(weights))
    return dataclasses.replace(records, masking=masking)


def find_max_predictions(patterns: Sequence[str]) -> int | None:
    """Returns the `max_predictions_per_seq` of the first file; None if unmasked or corrupt."""
    path = files.expand_input_files(patterns)[0]
    numbers: collections.Counter[int | None] = collections.Counter()
    for record in first_records(path, 9):  # Some may be corrupt.
        with contextlib.suppress(Exception):  # protobuf's DecodeError differs between versions.
            features = tf.train.Example.FromString(record).features.feature
            numbers[len(features["masked_lm_positions"].int64_list.value) or None] += 1
    return max(numbers, key=numbers.get, default=None)


def _padded(tensor: tf.Tensor, num_rows: int) -> tf.Tensor:
    """Pads [b, ...] with rows of zeros to `num_rows`."""
    missing = num_rows - tf.shape(tensor)[0]
    padded = tf.pad(tensor, [[0, missing]] + [[0, 0]] * (tensor.shape.rank - 1))
    return tf.ensure_shape(padded, [num_rows, *tensor.shape[1:]])
