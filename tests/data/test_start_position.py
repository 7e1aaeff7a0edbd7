"""The order of examples at the scale of Wikipedia: counted, shared by hosts, begun anywhere."""

import itertools
import os
import time

import numpy as np
import pytest
import tensorflow as tf

from bert_tf.data import manifest, schema
from bert_tf.data.order import plan_epoch
from bert_tf.data.record_index import build_record_index
from bert_tf.data.record_set import GROUP_EXAMPLES, RecordSet
from bert_tf.data.schema import Feature

FEATURES = {"number": Feature((1,))}
BLOCK = manifest.RECORDS_PER_BLOCK
BATCH_SIZE = 256
STEP = 900_000


def write_block(path, count=BLOCK, first=0):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for number in range(first, first + count):
            writer.write(schema.encode_example({"number": [number]}))


@pytest.fixture(scope="module")
def hundred_million(tmp_path_factory):
    """A manifest of 100 files of a million examples; each block is the same 1,024 records."""
    folder = tmp_path_factory.mktemp("many")
    write_block(folder / "block")
    entries = []
    for number in range(100):
        path = folder / f"{number:03d}.tfrecord"
        os.link(folder / "block", path)
        offsets = [0] * -(-1_000_000 // BLOCK)
        entry = {"examples": 1_000_000, "bytes": path.stat().st_size, "block_offsets": offsets}
        entries.append({"name": path.name, **entry})
    manifest.write_manifest(str(folder), {"settings": {}, "files": entries})
    index = build_record_index(sorted(str(path) for path in folder.glob("*.tfrecord")))
    assert index.num_examples == 100_000_000
    return index


def train(index, num_batches, **settings):
    dataset = RecordSet(index, FEATURES).training_batches(BATCH_SIZE, seed=1, **settings)
    return [batch["number"].numpy()[:, 0] for batch in itertools.islice(dataset, num_batches)]


def test_the_papers_step_900000_is_there_after_seconds_of_computing(hundred_million):
    start = time.process_time()
    batches = train(hundred_million, 3, start_step=STEP)
    seconds = time.process_time() - start
    # Passing over the 230 million examples before it takes more than a quarter of an hour.
    assert seconds < 60
    np.testing.assert_array_equal(
        np.concatenate(batches[1:]), np.concatenate(train(hundred_million, 2, start_step=STEP + 1))
    )


def test_at_a_far_step_hosts_share_what_one_host_would_read(hundred_million):
    shares = [
        train(hundred_million, 1, start_step=STEP, num_hosts=2, host_index=host)[0]
        for host in range(2)
    ]
    np.testing.assert_array_equal(
        np.concatenate(shares), train(hundred_million, 1, start_step=STEP)[0]
    )


def test_an_epoch_of_100_million_has_every_block_once_and_groups_that_fit_in_memory(
    hundred_million,
):
    all_sizes = tf.constant(hundred_million.blocks["size"])
    orders = []
    for epoch in (0, 2):
        groups = plan_epoch(
            all_sizes, 1, tf.constant(epoch, tf.int64), tf.constant(0, tf.int64), GROUP_EXAMPLES
        )
        blocks = [numbers.numpy() for _, numbers, _ in groups]
        orders.append(np.concatenate(blocks))
        sizes = [hundred_million.blocks["size"][numbers].sum() for numbers in blocks]
        assert sum(sizes) == 100_000_000
        assert max(sizes) < GROUP_EXAMPLES + BLOCK
        np.testing.assert_array_equal(np.sort(orders[-1]), np.arange(len(all_sizes)))
    assert (orders[0] != orders[1]).mean() > 0.99


def test_a_start_in_the_middle_is_found_in_the_group_that_holds_it(hundred_million):
    all_sizes, place = (
        tf.constant(hundred_million.blocks["size"]),
        30_400_000,
    )  # Of step 900,000, in its epoch.
    epoch = tf.constant(2, tf.int64)
    whole = [
        numbers.numpy()
        for _, numbers, _ in plan_epoch(
            all_sizes, 1, epoch, tf.constant(0, tf.int64), GROUP_EXAMPLES
        )
    ]
    sizes = [int(hundred_million.blocks["size"][numbers].sum()) for numbers in whole]
    first = np.searchsorted(np.cumsum(sizes), place, side="right")
    plan = iter(plan_epoch(all_sizes, 1, epoch, tf.constant(place, tf.int64), GROUP_EXAMPLES))
    _, numbers, skipped = next(plan)
    np.testing.assert_array_equal(numbers, whole[first])
    assert int(skipped) == place - sum(sizes[:first])
    _, numbers, skipped = next(plan)
    np.testing.assert_array_equal(numbers, whole[first + 1])
    assert int(skipped) == 0


@pytest.mark.parametrize("num_hosts", [1, 4])
def test_every_epoch_counts_every_example_once_on_any_number_of_hosts(
    tmp_path, monkeypatch, num_hosts
):
    monkeypatch.setattr("bert_tf.data.record_set.GROUP_EXAMPLES", 4096)
    sizes = [7000, 1, 9999, 3000]
    firsts = np.cumsum([0, *sizes])
    for number, (size, first) in enumerate(zip(sizes, firsts, strict=False)):
        write_block(tmp_path / f"{number}.tfrecord", size, first)
    index = build_record_index([str(tmp_path / f"{n}.tfrecord") for n in range(len(sizes))])
    num_epochs, total = 3, sum(sizes)
    num_batches = -(-num_epochs * total // BATCH_SIZE)
    shares = [
        np.array(train(index, num_batches, num_hosts=num_hosts, host_index=host))
        for host in range(num_hosts)
    ]
    stream = np.concatenate(shares, axis=1).reshape(-1)[: num_epochs * total]
    epochs = stream.reshape(num_epochs, total)
    for epoch in epochs:
        np.testing.assert_array_equal(np.bincount(epoch, minlength=total), np.ones(total, int))
    assert (epochs[0] != epochs[1]).mean() > 0.99
    # Mixed over the files, not only inside of them.
    assert np.abs(np.mean(epochs[0][:4096]) - total / 2) < total / 4
