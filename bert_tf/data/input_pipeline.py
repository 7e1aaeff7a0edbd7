"""TFRecord files -> batches, in an order that is a function of (seed, step) and nothing else.

Every epoch is a permutation of all examples; memory holds two groups of records, whatever the size
of the data; and reading starts at any step without passing over what came before:

    blocks of an epoch, permuted      7 2 9 | 0 4 1 | 8 3 6 | 5     blocks of 1,024 records
    groups, each read whole           [   ]   [   ]   [   ]  [ ]    65,536 records or some more
    records of a group, permuted      ~~~~~~~~~~~~~~~~~~~~~~~~~~    next epoch: ~~~~~~~~~~~~
    cut into batches                  |--|--|--|--|--|--|--|--|--|--|--|--|--|--|--|--|--|--|--|

Batches run over the borders of groups and epochs, so that none of an epoch's examples is lost.
Hosts take consecutive slices of each batch: their number does not change what is learned from.
"""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from bert_tf.data.block_reader import BlockTable, plan_epoch
from bert_tf.data.counter_hash import hash_counters
from bert_tf.data.dynamic_masking import MaskingSettings, mask_batch
from bert_tf.data.record_index import RecordIndex
from bert_tf.data.schema import Feature, parse_examples

# As many blocks are mixed as make up this number of examples. Two groups are in memory, and for a
# moment the copies that mixing makes: with records of 1 kB, 400 MB at the peak.
GROUP_EXAMPLES = 65536
# What the hash is used for, so that no two uses share their random numbers.
EXAMPLE_ORDER = 2
# The epoch whose dynamic masks evaluation uses, always; training counts its epochs from 0.
EVALUATION_EPOCH = -1


def build_training_dataset(
    index: RecordIndex,
    features: Mapping[str, Feature],
    batch_size: int,
    seed: int,
    start_step: int = 0,
    num_hosts: int = 1,
    host_index: int = 0,
    masking: MaskingSettings | None = None,
    group_examples: int = GROUP_EXAMPLES,
) -> tf.data.Dataset:
    """The endless stream of training batches, from the one of `start_step` on.

    Args:
        index: the records.
        features: what to read from each.
        batch_size: examples a step, on all hosts together.
        seed: any whole number; decides the order of examples and their dynamic masks.
        start_step: the step, from 0, whose batch comes first.
        num_hosts: how many hosts share a batch; must divide `batch_size`.
        host_index: which of them this is, from 0.
        masking: how to mask records made with --masking=dynamic; None for records with masks.
        group_examples: how many examples are mixed at a time (more by less than a block).

    Returns:
        A dataset of dicts by name, <int32> or <float32> [batch_size / num_hosts, ...].
    """
    check_hosts(batch_size, num_hosts, host_index)
    first_example = start_step * batch_size
    start_epoch, start_place = divmod(first_example, index.num_examples)
    blocks = BlockTable(index)

    def epoch_groups(epoch: tf.Tensor) -> tf.data.Dataset:
        place = tf.where(tf.equal(epoch, start_epoch), tf.constant(start_place, tf.int64), 0)
        return plan_epoch(blocks, seed, epoch, place, group_examples)

    def read_group(epoch: tf.Tensor, block_numbers: tf.Tensor, skip: tf.Tensor):
        records, examples = blocks.read(block_numbers)
        order = tf.argsort(hash_counters(seed, EXAMPLE_ORDER, epoch, examples), stable=True)[skip:]
        records, examples = tf.gather(records, order), tf.gather(examples, order)
        return records, examples, tf.fill(tf.shape(examples), epoch)

    dataset = (
        tf.data.Dataset.range(start_epoch, np.iinfo(np.int64).max)
        .flat_map(epoch_groups)
        .map(read_group)
        .prefetch(1)  # The next group is read while this one is used up.
        .rebatch(batch_size, drop_remainder=True)
    )
    share = batch_size // num_hosts
    mine = slice(host_index * share, (host_index + 1) * share)

    def make_batch(records: tf.Tensor, examples: tf.Tensor, epochs: tf.Tensor):
        batch = parse_examples(tf.ensure_shape(records[mine], [share]), features)
        if masking is not None:
            batch = mask_batch(batch, masking, seed, epochs[mine], examples[mine])
        return batch

    dataset = dataset.map(make_batch, num_parallel_calls=tf.data.AUTOTUNE)
    return with_options(dataset.prefetch(tf.data.AUTOTUNE))


def build_eval_dataset(
    index: RecordIndex,
    features: Mapping[str, Feature],
    batch_size: int,
    max_batches: int | None = None,
    repeat: bool = False,
    num_hosts: int = 1,
    host_index: int = 0,
    masking: MaskingSettings | None = None,
    seed: int = 0,
    num_rows: int | None = None,
) -> tf.data.Dataset:
    """Batches for evaluation: all examples once, in the order of the files.

    Batches are filled up with rows of zeros, whose `is_real_example` is 0: the last one to
    `batch_size`, and all of them to `num_rows`.

    Args:
        index: the records.
        features: what to read from each.
        batch_size: examples a step, on all hosts together.
        max_batches: stop after so many; None for all.
        repeat: go over the files again and again until `max_batches` are full, as the original
            release does.
        num_hosts: how many hosts share a batch; must divide `num_rows`.
        host_index: which of them this is, from 0.
        masking: how to mask records made with --masking=dynamic: always alike, whenever it is.
        seed: decides these masks.
        num_rows: rows of a batch, `batch_size` at least, which is also the default.

    Returns:
        A finite dataset of dicts by name, <int32> or <float32> [num_rows / num_hosts, ...], with
        `is_real_example`, <float32>[num_rows / num_hosts], beside the features.

    Source: google-research/bert, run_pretraining.py, `input_fn_builder`.
    """
    num_rows = num_rows or batch_size
    check_hosts(num_rows, num_hosts, host_index)
    if repeat and max_batches is None:
        raise ValueError("An evaluation that repeats its files needs max_batches.")
    blocks = BlockTable(index)
    dataset = tf.data.Dataset.range(index.num_blocks).map(lambda block: blocks.read(block[None]))
    if repeat:
        dataset = dataset.repeat()
    dataset = dataset.prefetch(1).rebatch(batch_size)
    if max_batches is not None:
        dataset = dataset.take(max_batches)
    share = num_rows // num_hosts
    mine = slice(host_index * share, (host_index + 1) * share)

    def make_batch(records: tf.Tensor, examples: tf.Tensor):
        records, examples = records[mine], examples[mine]
        batch = parse_examples(records, features)
        if masking is not None:
            batch = mask_batch(batch, masking, seed, EVALUATION_EPOCH, examples)
        batch["is_real_example"] = tf.ones_like(records, dtype=tf.float32)
        return {name: _fill_up(tensor, share) for name, tensor in batch.items()}

    dataset = dataset.map(make_batch, num_parallel_calls=tf.data.AUTOTUNE)
    return with_options(dataset.prefetch(tf.data.AUTOTUNE))


def check_hosts(batch_size: int, num_hosts: int, host_index: int) -> None:
    """Raises a ValueError unless hosts can share batches of this size."""
    if batch_size < 1 or num_hosts < 1 or batch_size % num_hosts:
        raise ValueError(
            f"The batch size must be a multiple of the number of hosts. "
            f"Received: batch_size={batch_size}, num_hosts={num_hosts}"
        )
    if not 0 <= host_index < num_hosts:
        raise ValueError(
            f"host_index must be at least 0 and below num_hosts. "
            f"Received: host_index={host_index}, num_hosts={num_hosts}"
        )


def _fill_up(tensor: tf.Tensor, rows: int) -> tf.Tensor:
    """Adds rows of zeros to [b, ...] until there are `rows`."""
    missing = rows - tf.shape(tensor)[0]
    filled = tf.pad(tensor, [[0, missing]] + [[0, 0]] * (tensor.shape.rank - 1))
    return tf.ensure_shape(filled, [rows, *tensor.shape[1:]])


def with_options(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """The dataset in its own order, always, and left to its host as it is."""
    options = tf.data.Options()
    options.deterministic = True
    # Each host has its share already.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return dataset.with_options(options)
