import numpy as np
import pytest
import tensorflow as tf

from bert_tf.data.counter_hash import BLOCK_ORDER, hash_counters
from bert_tf.data.order import plan_epoch


def plan(sizes, place=0, group_examples=10, seed=1, epoch=0):
    """The groups as (blocks, how many examples to leave out)."""
    groups = plan_epoch(
        tf.constant(sizes, tf.int64),
        seed,
        tf.constant(epoch, tf.int64),
        tf.constant(place, tf.int64),
        group_examples,
    )
    return [(blocks.numpy().tolist(), int(skip)) for _, blocks, skip in groups]


SIZES = [4, 3, 4, 1, 25, 2, 4, 4, 4, 3, 1, 4]


@pytest.mark.parametrize("seed", range(5))
def test_an_epoch_reads_every_block_once_in_groups_of_bounded_size(seed):
    groups = plan(SIZES, seed=seed)
    blocks = [block for group, _ in groups for block in group]
    assert sorted(blocks) == list(range(len(SIZES)))
    for group, skip in groups:
        assert group
        assert skip == 0
        assert sum(SIZES[block] for block in group[:-1]) < 10


def test_blocks_come_in_the_order_of_their_hashes():
    blocks = [block for group, _ in plan(SIZES, seed=7, epoch=3) for block in group]
    hashes = hash_counters(7, BLOCK_ORDER, 3, tf.range(len(SIZES))).numpy()
    assert blocks == np.argsort(hashes).tolist()


def test_a_start_inside_an_epoch_leaves_out_what_lies_before():
    groups = plan(SIZES)
    for place in range(sum(SIZES)):
        later = plan(SIZES, place)
        skipped = len(groups) - len(later)
        before = sum(SIZES[block] for group, _ in groups[:skipped] for block in group)
        first_blocks, skip = later[0]
        assert first_blocks == groups[skipped][0]
        assert before + skip == place
        assert skip < sum(SIZES[block] for block in first_blocks)
        assert later[1:] == groups[skipped + 1 :]


def test_a_hundred_million_examples_are_planned_without_reading_any():
    num_blocks = 97_657
    sizes = np.full(num_blocks, 1024)
    sizes[::100] = 700  # Where files end.
    groups = plan_epoch(
        tf.constant(sizes, tf.int64),
        seed=5,
        epoch=tf.constant(2, tf.int64),
        position=tf.constant(31_415_926, tf.int64),
        group_examples=65536,
    )
    _, blocks, skip = next(iter(groups))
    hashes = hash_counters(5, BLOCK_ORDER, 2, tf.range(num_blocks)).numpy()
    order = np.argsort(hashes)
    starts = np.cumsum(sizes[order]) - sizes[order]
    group = starts // 65536
    first = np.searchsorted(starts, 31_415_926, side="right") - 1
    expected = np.flatnonzero(group == group[first])
    assert blocks.numpy().tolist() == order[expected].tolist()
    assert int(skip) == 31_415_926 - starts[expected[0]]
