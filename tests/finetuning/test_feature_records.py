import itertools

import numpy as np
import pytest
import tensorflow as tf

from bert_tf.data.order import CHUNK_BATCHES, training_order
from bert_tf.data.schema import Feature, encode_example
from bert_tf.finetuning.feature_records import FeatureRecords
from bert_tf.model import processors

L = 32
FEATURES = {
    "input_ids": Feature((L,)),
    "input_mask": Feature((L,)),
    "segment_ids": Feature((L,)),
    "label_ids": Feature(()),
    "score": Feature((), "float32"),
}


def record_of(number, length, **changes):
    values = {
        "input_ids": [number + 1] * length + [0] * (L - length),
        "input_mask": [1] * length + [0] * (L - length),
        "segment_ids": [0] * L,
        "label_ids": [number % 3],
        "score": [number / 2],
        **changes,
    }
    return encode_example({name: value for name, value in values.items() if value is not None})


def lengths_of(count, seed=0):
    return np.random.default_rng(seed).integers(1, L + 1, count).astype(np.int32)


@pytest.fixture
def make_records(write_records):
    """Writes features of these lengths; their ids tell their number."""

    def make(lengths, name="train.tf_record"):
        records = (record_of(number, length) for number, length in enumerate(lengths))
        return FeatureRecords(write_records(name, records), FEATURES, L)

    return make


def numbers_of(batch):
    """The features of a batch, by their ids."""
    return (np.asarray(batch["input_ids"])[:, 0] - 1).tolist()


def as_numpy(dataset, count=None):
    return list(itertools.islice(dataset.as_numpy_iterator(), count))


def assert_same(batches, expected):
    assert len(batches) == len(expected)
    for batch, other in zip(batches, expected, strict=True):
        assert batch.keys() == other.keys()
        for name, value in other.items():
            np.testing.assert_array_equal(batch[name], value, err_msg=name)


def order_of(lengths, batch_size, seed, bucketed, num_steps, start_step=0):
    """int64[num_steps, batch_size]: which examples are in which step."""
    order = training_order(lengths, batch_size, seed, start_step, bucketed)
    return np.stack(as_numpy(order, num_steps))


SIZES = [(1, 4), (3, 8), (10, 4), (1001, 4), (50 * 8, 8), (50 * 8 + 3, 8)]


@pytest.mark.parametrize("bucketed", [False, True])
@pytest.mark.parametrize(("num_examples", "batch_size"), SIZES)
def test_every_epoch_has_every_example_once(num_examples, batch_size, bucketed):
    # So many batches are a whole number of epochs.
    batches = order_of(lengths_of(num_examples), batch_size, 5, bucketed, num_examples)
    assert batches.shape == (num_examples, batch_size)
    assert (np.bincount(batches.ravel(), minlength=num_examples) == batch_size).all()
    for epoch in range(batch_size):
        first = -(-epoch * num_examples // batch_size)
        whole = batches[first : (epoch + 1) * num_examples // batch_size]
        assert len(set(whole.ravel())) == whole.size


def test_without_buckets_batches_are_slices_of_one_permutation_after_the_other():
    stream = order_of(lengths_of(10), 4, 1, False, 10).reshape(4, 10)
    assert (np.sort(stream) == np.arange(10)).all()
    assert len({tuple(epoch) for epoch in stream.tolist()}) == 4


@pytest.mark.parametrize("bucketed", [False, True])
@pytest.mark.parametrize(("num_examples", "batch_size"), [(3, 8), (451, 8)])
def test_a_batch_depends_on_seed_and_step_only(num_examples, batch_size, bucketed):
    lengths = lengths_of(num_examples)
    batches = order_of(lengths, batch_size, 5, bucketed, 130)
    # Within a chunk of 50 batches, at its end, and at that of an epoch, of 56.375 or 0.375 batches.
    for start in (1, 49, 56, 57):
        there = order_of(lengths, batch_size, 5, bucketed, 10, start)
        np.testing.assert_array_equal(there, batches[start : start + 10])


def test_a_distant_step_is_found_at_once():
    assert order_of(lengths_of(1000), 32, 5, True, 1, 10**12).shape == (1, 32)


def test_seeds_of_any_size_give_different_orders():
    orders = {
        tuple(order_of(lengths_of(100), 10, seed, False, 1).ravel().tolist())
        for seed in (0, 1, -1, 2**40, 12345678901234567890123)
    }
    assert len(orders) == 5


def test_the_order_is_the_same_for_ever():
    """A run that goes on after this package was updated must not see other batches."""
    lengths = np.array([5, 3, 8, 1, 9, 2, 7, 4, 6, 10])
    assert order_of(lengths, 4, 12345, False, 3).tolist() == PLAIN
    assert order_of(lengths, 4, 12345, True, 3).tolist() == BUCKETED


PLAIN = [[1, 7, 2, 3], [9, 0, 5, 8], [6, 4, 1, 9]]
BUCKETED = [[0, 8, 2, 9], [3, 5, 1, 7], [6, 4, 1, 9]]


def test_batches_of_a_chunk_are_sorted_by_length_and_then_shuffled():
    lengths = lengths_of(5000)
    num_steps = 11 * CHUNK_BATCHES
    bucketed = order_of(lengths, 8, 0, True, num_steps)
    plain = order_of(lengths, 8, 0, False, num_steps)
    for first in (0, CHUNK_BATCHES, 10 * CHUNK_BATCHES):
        batches = bucketed[first : first + CHUNK_BATCHES]
        examples = plain[first : first + CHUNK_BATCHES].ravel()
        assert sorted(batches.ravel()) == sorted(examples)
        by_length = sorted(lengths[batches].tolist())
        assert list(itertools.chain(*by_length)) == sorted(lengths[examples])
        assert by_length != lengths[batches].tolist()


def test_examples_of_one_length_come_together_by_chance():
    batches = order_of(np.full(96, 7), 8, 0, True, 36).tolist()
    epochs = [{frozenset(batch) for batch in batches[start : start + 12]} for start in (0, 12, 24)]
    assert not epochs[0] & epochs[1]
    assert not epochs[1] & epochs[2]


def test_a_batch_within_an_epoch_never_holds_an_example_twice():
    """An epoch shorter than a chunk: its copies of an example have the same length."""
    for batch in order_of(lengths_of(24), 8, 0, True, 30).tolist():
        assert len(set(batch)) == 8


def test_the_longest_come_first_when_all_are_read_by_length(make_records):
    (batch,) = make_records([3, 9, 3, 10]).ordered_batches(4)
    assert batch["feature_numbers"].numpy().tolist() == [3, 1, 0, 2]


@pytest.mark.parametrize("bucketed", [False, True])
@pytest.mark.parametrize(("num_features", "batch_size"), [(3, 8), (301, 4)])
def test_training_starts_at_any_step_as_if_it_had_come_there(
    make_records, num_features, batch_size, bucketed
):
    records = make_records(lengths_of(num_features))
    stream = as_numpy(records.training_batches(batch_size, 7, 0, 1, 0, bucketed), 80)
    for start in (1, 75):
        there = records.training_batches(batch_size, 7, start, 1, 0, bucketed)
        assert_same(as_numpy(there, 3), stream[start : start + 3])


@pytest.mark.parametrize("bucketed", [False, True])
def test_the_shares_of_hosts_make_up_the_batch_of_one(make_records, bucketed):
    records = make_records(lengths_of(45))
    whole = as_numpy(records.training_batches(6, 1, 3, 1, 0, bucketed), 20)
    shares = [as_numpy(records.training_batches(6, 1, 3, 3, h, bucketed), 20) for h in range(3)]
    joined = [
        {name: np.concatenate([share[name] for share in batch]) for name in batch[0]}
        for batch in zip(*shares, strict=True)
    ]
    assert_same(joined, whole)
    whole = as_numpy(records.ordered_batches(6, 1, 0, bucketed))
    shares = [as_numpy(records.ordered_batches(6, 3, h, bucketed)) for h in range(3)]
    joined = [
        {name: np.concatenate([share[name] for share in batch]) for name in batch[0]}
        for batch in zip(*shares, strict=True)
    ]
    assert_same(joined, whole)


def test_a_batch_holds_what_the_records_hold(make_records):
    lengths = lengths_of(40)
    records = make_records(lengths)
    assert records.num_features == 40
    assert records.lengths.dtype == np.int32
    assert records.lengths.tolist() == lengths.tolist()
    for batch in as_numpy(records.training_batches(4, 0, 0, 1, 0, False), 10):
        assert batch["input_ids"].shape == (4, L)
        for row, number in enumerate(numbers_of(batch)):
            mask = np.arange(L) < lengths[number]
            assert batch["input_ids"][row].tolist() == (mask * (number + 1)).tolist()
            assert batch["input_mask"][row].tolist() == mask.astype(int).tolist()
            assert batch["label_ids"][row] == number % 3
            assert batch["score"][row] == number / 2
            assert batch["is_real_example"][row] == 1.0


@pytest.mark.parametrize(("has_accelerator", "step"), [(False, 1), (True, 8)])
def test_a_bucketed_batch_is_as_long_as_its_longest_example_needs(
    make_records, monkeypatch, has_accelerator, step
):
    monkeypatch.setattr(processors, "has_accelerator", lambda: has_accelerator)
    lengths = lengths_of(400)
    records = make_records(lengths)
    computed = []
    for batch in as_numpy(records.training_batches(8, 0, 0, 1, 0, True), 50):
        numbers = numbers_of(batch)
        longest = lengths[numbers].max()
        assert batch["input_ids"].shape == (8, -(-longest // step) * step)
        assert batch["segment_ids"].shape == batch["input_mask"].shape == batch["input_ids"].shape
        assert (batch["input_mask"].sum(axis=1) == lengths[numbers]).all()
        assert (batch["label_ids"] == np.array(numbers) % 3).all()
        computed.append(batch["input_ids"].shape[1])
    assert np.mean(computed) < lengths.mean() + 8


def test_no_batch_is_longer_than_the_records(write_records, monkeypatch):
    monkeypatch.setattr(processors, "has_accelerator", lambda: True)  # 18 are rounded up to 24.
    features = {
        "input_ids": Feature((20,)),
        "input_mask": Feature((20,)),
        "twenty": Feature((20, 2)),
    }
    values = {"input_ids": [1] * 20, "input_mask": [1] * 18 + [0] * 2, "twenty": [1] * 40}
    path = write_records("train.tf_record", [encode_example(values)])
    (batch,) = as_numpy(FeatureRecords(path, features, 20).ordered_batches(1))
    assert {name: value.shape for name, value in batch.items()} == {
        "input_ids": (1, 20),
        "input_mask": (1, 20),
        "twenty": (1, 20, 2),
        "is_real_example": (1,),
        "feature_numbers": (1,),
    }


def test_the_shapes_are_known_beforehand_but_for_the_length_of_a_bucketed_batch(make_records):
    records = make_records([3, 4, 5])
    for bucketed, length in [(True, None), (False, L)]:
        for dataset in (
            records.training_batches(4, 0, 0, 2, 1, bucketed),
            records.ordered_batches(4, 2, 1, bucketed),
        ):
            spec = dict(dataset.element_spec)
            numbers = spec.pop("feature_numbers", tf.TensorSpec([2], tf.int32))
            assert numbers == tf.TensorSpec([2], tf.int32)
            assert spec == {
                "input_ids": tf.TensorSpec([2, length], tf.int32),
                "input_mask": tf.TensorSpec([2, length], tf.int32),
                "segment_ids": tf.TensorSpec([2, length], tf.int32),
                "label_ids": tf.TensorSpec([2], tf.int32),
                "score": tf.TensorSpec([2], tf.float32),
                "is_real_example": tf.TensorSpec([2], tf.float32),
            }


def test_ordered_batches_are_filled_up_to_a_number_of_rows_that_hosts_can_share(make_records):
    records = make_records(lengths_of(8))
    shares = [
        as_numpy(records.ordered_batches(3, 2, host, bucketed=False, num_rows=4))
        for host in range(2)
    ]
    numbers = [
        [batch["feature_numbers"].tolist() for batch in batches]
        for batches in zip(*shares, strict=True)
    ]
    assert numbers == [[[0, 1], [2, -1]], [[3, 4], [5, -1]], [[6, 7], [-1, -1]]]


@pytest.mark.parametrize("bucketed", [False, True])
@pytest.mark.parametrize(("num_features", "batch_size"), [(1, 8), (16, 8), (19, 8), (5, 1)])
def test_ordered_batches_hold_every_feature_once_and_say_which(
    make_records, num_features, batch_size, bucketed
):
    lengths = lengths_of(num_features)
    records = make_records(lengths)
    dataset = records.ordered_batches(batch_size, bucketed=bucketed)
    batches = as_numpy(dataset)
    assert len(batches) == int(dataset.cardinality()) == -(-num_features // batch_size)
    rows = {name: np.concatenate([b[name] for b in batches]) for name in ("feature_numbers",)}
    numbers = rows["feature_numbers"]
    real = np.concatenate([batch["is_real_example"] for batch in batches])
    assert (real == (numbers >= 0)).all()
    assert real.sum() == num_features
    expected = np.argsort(-lengths if bucketed else lengths * 0, kind="stable")
    assert numbers[:num_features].tolist() == expected.tolist()
    assert (numbers[num_features:] == -1).all()
    for batch in batches:
        is_real = batch["is_real_example"] > 0
        assert (np.array(numbers_of(batch)) == batch["feature_numbers"])[is_real].all()
        for name in ("input_ids", "input_mask", "label_ids", "score"):
            assert not batch[name][~is_real].any()
    lengths_computed = [batch["input_ids"].shape[1] for batch in batches]
    assert lengths_computed == sorted(lengths_computed, reverse=True)


def test_examples_that_a_file_calls_unreal_stay_so(write_records):
    features = {**FEATURES, "is_real_example": Feature(())}
    records = [record_of(n, 4, is_real_example=[n % 2]) for n in range(4)]
    path = write_records("eval.tf_record", records)
    (batch,) = as_numpy(FeatureRecords(path, features, L).ordered_batches(4, bucketed=False))
    assert batch["is_real_example"].tolist() == [0.0, 1.0, 0.0, 1.0]
    assert batch["is_real_example"].dtype == np.float32


def test_lengths_reach_to_the_last_token_that_counts(write_records):
    mask = [1, 0, 0, 1] + [0] * (L - 4)
    path = write_records("a.tf_record", [record_of(0, 3, input_mask=mask), record_of(0, 0)])
    records = FeatureRecords(path, FEATURES, L)
    assert records.lengths.tolist() == [4, 0]
    assert as_numpy(records.ordered_batches(2))[0]["input_ids"].shape == (2, 4)


def test_batches_are_read_from_other_file_systems(make_records):
    here = make_records(lengths_of(20))
    with open(here._path, "rb") as file, tf.io.gfile.GFile("ram://batches/a", "wb") as copy:
        copy.write(file.read())
    there = FeatureRecords("ram://batches/a", FEATURES, L)
    assert_same(
        as_numpy(there.training_batches(4, 1), 10), as_numpy(here.training_batches(4, 1), 10)
    )


def damage(data, place):
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data, size: damage(data, 3 * size + 40), "record 3: it does not fit its checksum"),
        (lambda data, size: damage(data, 3 * size + 1), "record 3, byte .*: the record's length"),
        (lambda data, size: damage(data, 5 * size - 1), "record 4: it does not fit its checksum"),
        (lambda data, size: data[: 5 * size - 20], "record 4, byte .* it is truncated"),
        (lambda data, size: data[: 4 * size + 5], "record 4, byte .* 5 bytes into it"),
        (lambda data, size: b"", "the file holds no record"),
        (
            lambda data, size: b"some text that is no record",
            "record 0, byte 0: the record's length",
        ),
    ],
)
def test_a_damaged_record_is_named(make_records, change, message):
    path = make_records([9] * 8)._path
    with open(path, "rb") as file:
        data = file.read()
    size = len(data) // 8
    with open(path, "wb") as file:
        file.write(change(data, size))
    with pytest.raises(ValueError, match=f"{path}: {message}"):
        FeatureRecords(path, FEATURES, L)


@pytest.mark.parametrize(
    "record",
    [
        record_of(0, 4, segment_ids=[0] * 16),
        record_of(0, 4, label_ids=None),
        record_of(0, 4, label_ids=[0.5]),
        b"\x81no example",
    ],
)
def test_a_record_of_something_else_is_named(write_records, record):
    path = write_records("a.tf_record", [*(record_of(n, 4) for n in range(1500)), record])
    with pytest.raises(ValueError, match=f"{path}: record 1,500: it does not hold input_ids, "):
        FeatureRecords(path, FEATURES, L)


def test_hosts_must_be_able_to_share_a_batch(make_records):
    records = make_records([1, 2])
    with pytest.raises(ValueError, match="multiple of the number of hosts"):
        records.training_batches(3, 0, num_hosts=2)
    with pytest.raises(ValueError, match="host_index"):
        records.ordered_batches(4, num_hosts=2, host_index=2)
