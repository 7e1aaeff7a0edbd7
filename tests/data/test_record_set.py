import itertools

import numpy as np
import pytest
import tensorflow as tf

from bert_tf.data import schema
from bert_tf.data.record_index import build_record_index
from bert_tf.data.record_set import RecordSet
from bert_tf.data.schema import Feature

FEATURES = {"number": Feature((1,))}


@pytest.fixture
def index(write_numbered, build_index):
    """103 examples in five files of blocks of 4, ragged at their ends, one empty, two gzipped."""
    paths = [
        write_numbered("a.tfrecord", 0, 33),
        write_numbered("b.tfrecord.gz", 33, 18),
        write_numbered("c.tfrecord", 51, 0),
        write_numbered("d.tfrecord", 51, 4),
        write_numbered("e.tfrecord.gz", 55, 48),
    ]
    return build_index(paths, per_block=4, per_compressed_block=10)


def read(dataset, num_batches=None):
    """Batches as tuples of the examples' numbers."""
    batches = itertools.islice(dataset, num_batches)
    return [tuple(batch["number"].numpy()[:, 0].tolist()) for batch in batches]


@pytest.fixture(autouse=True)
def set_group(monkeypatch):
    """Sets how many examples are permuted together; 20 at first."""

    def set_group_examples(number):
        monkeypatch.setattr("bert_tf.data.record_set.GROUP_EXAMPLES", number)

    set_group_examples(20)
    return set_group_examples


def train(index, num_batches, **settings):
    settings = {"batch_size": 8, "seed": 1, **settings}
    return read(RecordSet(index, FEATURES).training_batches(**settings), num_batches)


def evaluate(index, *arguments, **settings):
    return RecordSet(index, FEATURES).evaluation_batches(*arguments, **settings)


def flat(batches):
    return list(itertools.chain.from_iterable(batches))


def test_every_epoch_is_a_permutation_of_all_examples(index):
    stream = flat(train(index, 52))  # Four epochs of 103 and a bit.
    epochs = [stream[start : start + 103] for start in range(0, 412, 103)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(103))
    assert len({tuple(epoch) for epoch in epochs}) == 4
    assert epochs[0] != sorted(epochs[0])


def test_the_stream_is_the_same_from_whatever_step_it_starts(index):
    whole = train(index, 60)
    for start in (1, 2, 3, 7, 12, 13, 25, 26, 38, 51):
        assert train(index, 3, start_step=start) == whole[start : start + 3]


def test_a_far_step_is_reached_by_arithmetic(index):
    far = 10**9  # Some 78 million epochs away.
    assert train(index, 4, start_step=far)[2:] == train(index, 2, start_step=far + 2)


@pytest.mark.parametrize("num_hosts", [2, 4])
def test_hosts_share_each_batch_whatever_their_number(index, num_hosts):
    whole = train(index, 20, start_step=5)
    shares = [
        train(index, 20, start_step=5, num_hosts=num_hosts, host_index=host)
        for host in range(num_hosts)
    ]
    assert [flat(parts) for parts in zip(*shares, strict=True)] == [list(batch) for batch in whole]


def test_the_order_does_not_depend_on_the_batch_size(index):
    assert flat(train(index, 30, batch_size=7)) == flat(train(index, 15, batch_size=14))


def test_another_seed_gives_another_order(index):
    assert train(index, 5, seed=2) != train(index, 5)
    assert train(index, 5, seed=-1) != train(index, 5)


def test_a_batch_may_hold_several_epochs(index):
    stream = flat(train(index, 2, batch_size=250))
    assert sorted(stream[103:206]) == sorted(stream[:103]) == list(range(103))


def test_examples_of_all_files_are_mixed_in_one_group(index, set_group):
    set_group(1000)
    first = flat(train(index, 2))
    assert sum(number < 51 for number in first) not in (0, 16)
    assert len({number // 4 for number in first}) > 5


def test_with_small_groups_neighbours_in_a_file_stay_near_but_epochs_do_not_repeat(
    index, set_group
):
    set_group(1)  # One block a group.
    stream = flat(train(index, 26))
    assert sorted(stream[:103]) == sorted(stream[103:206])
    assert stream[:103] != stream[103:206]


def test_every_example_is_as_likely_as_any_other_to_come_first_in_an_epoch(
    write_numbered, build_index
):
    index = build_index([write_numbered("a.tfrecord", 0, 12)], per_block=3)
    first = [epoch[0] for epoch in train(index, 300, batch_size=12)]
    counts = np.bincount(first, minlength=12)
    assert ((counts - 25) ** 2 / 25).sum() < 31.3  # 11 degrees of freedom, 0.1 %


def test_shapes_are_static_and_whole_numbers_are_int32(index):
    dataset = RecordSet(index, FEATURES).training_batches(8, seed=1, num_hosts=2)
    assert dataset.element_spec == {"number": tf.TensorSpec([4, 1], tf.int32)}


def test_a_file_named_twice_counts_twice(write_numbered):
    path = write_numbered("a.tfrecord", 0, 5)
    stream = flat(train(build_record_index([path, path]), 1, batch_size=10))
    assert sorted(stream) == sorted([*range(5), *range(5)])


def test_a_file_that_shrinks_after_it_was_indexed_is_an_error(write_numbered):
    index = build_record_index([write_numbered("a.tfrecord", 0, 9)])
    write_numbered("a.tfrecord", 0, 8)
    with pytest.raises(tf.errors.InvalidArgumentError, match="fewer records than"):
        train(index, 1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_hosts": 3}, "batch_size=8, num_hosts=3"),
        ({"num_hosts": 2, "host_index": 2}, "num_hosts=2, host_index=2"),
        ({"batch_size": 0}, "batch_size=0"),
    ],
)
def test_hosts_that_cannot_share_a_batch_are_refused(index, settings, message):
    with pytest.raises(ValueError, match=message):
        train(index, 1, **settings)


def test_evaluation_reads_all_examples_once_in_order_and_fills_up_the_last_batch(index):
    dataset = evaluate(index, batch_size=10)
    assert dataset.element_spec == {
        "number": tf.TensorSpec([10, 1], tf.int32),
        "is_real_example": tf.TensorSpec([10], tf.float32),
    }
    batches = list(dataset)
    numbers = np.concatenate([batch["number"][:, 0] for batch in batches])
    is_real = np.concatenate([batch["is_real_example"] for batch in batches])
    assert len(batches) == 11
    assert numbers[is_real == 1].tolist() == list(range(103))
    assert is_real.tolist() == [1] * 103 + [0] * 7
    assert numbers[103:].tolist() == [0] * 7


def test_evaluation_batches_are_filled_up_to_a_number_of_rows_that_hosts_can_share(index):
    shares = [
        list(evaluate(index, 7, num_rows=9, num_hosts=3, host_index=host)) for host in range(3)
    ]
    batches = [
        np.concatenate([b["number"][:, 0] for b in batch]) for batch in zip(*shares, strict=True)
    ]
    is_real = [
        np.concatenate([b["is_real_example"] for b in batch]) for batch in zip(*shares, strict=True)
    ]
    assert len(batches) == 15
    assert is_real[0].tolist() == [1] * 7 + [0] * 2
    real = [numbers[rows == 1].tolist() for numbers, rows in zip(batches, is_real, strict=True)]
    assert real == [list(range(start, min(start + 7, 103))) for start in range(0, 103, 7)]


def test_evaluation_stops_after_max_batches(index):
    batches = read(evaluate(index, batch_size=10, max_batches=2))
    assert flat(batches) == list(range(20))


def test_evaluation_can_repeat_the_files_as_the_original_does(index):
    batches = read(evaluate(index, 10, max_batches=12, repeat=True))
    assert flat(batches) == [*range(103), *range(17)]


@pytest.mark.parametrize("training", [True, False])
def test_the_original_releases_records_come_out_as_tensorflow_parses_them(golden_dir, training):
    path = str(golden_dir / "pretraining_data" / "wwm.tfrecord")
    index = build_record_index([path])
    features = schema.pretraining_features(max_seq_length=64, max_predictions_per_seq=10)
    records, count = RecordSet(index, features), index.num_examples
    dataset = records.training_batches(count, 1) if training else records.evaluation_batches(count)
    (batch,) = dataset.take(1)
    batch.pop("is_real_example", None)
    assert set(batch) == set(features)
    expected = []
    for record in tf.data.TFRecordDataset(path):
        feature = tf.train.Example.FromString(record.numpy()).features.feature
        lists = [getattr(feature[name], feature[name].WhichOneof("kind")) for name in features]
        expected.append([list(values.value) for values in lists])
    rows = [[batch[name][n].numpy().tolist() for name in features] for n in range(len(expected))]
    if training:
        assert rows != expected
        assert sorted(rows) == sorted(expected)
    else:
        assert rows == expected


def test_hosts_share_evaluation_and_one_may_get_padding_only(index):
    shares = [list(evaluate(index, 20, num_hosts=4, host_index=host)) for host in range(4)]
    numbers, is_real = [], []
    for parts in zip(*shares, strict=True):
        numbers += flat(part["number"].numpy()[:, 0] for part in parts)
        is_real += flat(part["is_real_example"].numpy() for part in parts)
    assert [n for n, real in zip(numbers, is_real, strict=True) if real] == list(range(103))
    assert is_real == [1] * 103 + [0] * 17
