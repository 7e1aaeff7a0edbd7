import random
import time

import numpy as np
import pytest
import tensorflow as tf

from bert_tf.data import schema
from bert_tf.data.counter_hash import bits_of_rows
from bert_tf.data.dynamic_masking import (
    MaskingSettings,
    choose_tokens,
    mask_batch,
    masking_from_manifest,
)
from bert_tf.data.record_index import BLOCK, FileIndex, RecordIndex, build_record_index
from bert_tf.data.record_set import RecordSet
from bert_tf.data.validation import check_manifests, check_records
from bert_tf.pretraining_data import masking
from bert_tf.pretraining_data.program import create_pretraining_data
from bert_tf.settings import PretrainingDataSettings
from bert_tf.settings.pretraining_data import parse_masking_mix

NAMES = ("input_ids", "input_mask", "word_ids")
MASK = 4
SETTINGS = MaskingSettings(MASK, ((10, 20), (30, 100)), max_predictions_per_seq=20)


def pairs(count, length, whole_words=False, full=True, seed=0):
    """Batches of [CLS] A [SEP] B [SEP], as the records for dynamic masking hold them."""
    rng = np.random.default_rng(seed)
    batch = {
        name: np.zeros((count, length), np.int32)
        for name in ("input_ids", "input_mask", "word_ids")
    }
    for row in range(count):
        num_tokens = length if full else int(rng.integers(5, length + 1))
        ids = rng.integers(100, 1000, num_tokens)
        middle = int(rng.integers(2, num_tokens - 2))
        ids[[0, middle, -1]] = 2, 3, 3
        batch["input_ids"][row, :num_tokens] = ids
        batch["input_mask"][row, :num_tokens] = 1
        word = 0
        for place in range(1, num_tokens - 1):
            if place != middle:
                word += not (whole_words and word and rng.random() < 0.4)
                batch["word_ids"][row, place] = word
    return {name: tf.constant(array) for name, array in batch.items()}


def mask(batch, settings=SETTINGS, seed=1, epoch=0, examples=None):
    """`mask_batch`, with numpy arrays coming out."""
    count = batch["input_ids"].shape[0]
    examples = tf.range(count, dtype=tf.int64) if examples is None else tf.constant(examples)
    bits = bits_of_rows(seed, tf.constant(epoch), examples)
    masked = tf.function(mask_batch)(batch, settings, bits)
    return {name: tensor.numpy() for name, tensor in masked.items()}


def hidden_places(masked, row):
    count = int(masked["masked_lm_weights"][row].sum())
    return masked["masked_lm_positions"][row, :count].tolist()


def greedy_choice(word_ids, count, order):
    """The original's rule: words in some order, those that do not fit passed over."""
    chosen = []
    for word in order:
        places = [place for place, number in enumerate(word_ids) if number == word]
        if len(chosen) >= count:
            break
        if len(chosen) + len(places) <= count:
            chosen += places
    return sorted(chosen)


@pytest.mark.parametrize("largest", [1, 3, 8])
def test_the_same_tokens_are_chosen_as_by_the_originals_rule_in_the_same_order(largest):
    rng = np.random.default_rng(largest)
    count, length = 200, 24
    word_ids = np.zeros((count, length), np.int32)
    for row in range(count):
        sizes = rng.integers(1, largest + 1, length)
        words = np.repeat(np.arange(1, length + 1), sizes)[: int(rng.integers(0, length))]
        word_ids[row, 1 : 1 + len(words)] = words
    # The quirk of the original: a piece after [SEP] belongs to the word before it.
    word_ids[0] = [0, 1, 2, 0, 2, 3, *[0] * 18]
    bits = rng.integers(0, 2**64, (count, length), dtype=np.uint64)
    budgets = rng.integers(1, 12, count).astype(np.int32)
    chosen = choose_tokens(tf.constant(word_ids), tf.constant(budgets), tf.constant(bits)).numpy()
    for row in range(count):
        order = np.argsort(bits[row], kind="stable") + 1
        expected = greedy_choice(word_ids[row], budgets[row], order)
        assert np.flatnonzero(chosen[row]).tolist() == expected


@pytest.mark.parametrize("probability", [0.15, 0.2, 0.45])
def test_as_many_tokens_are_hidden_as_when_masks_are_made_beforehand(probability):
    # Halves among them: 10 * 0.15, 30 * 0.15, 10 * 0.45, ... go to the even neighbour.
    lengths = list(range(5, 129))
    batch = {name: np.zeros((len(lengths), 128), np.int32) for name in NAMES}
    for row, length in enumerate(lengths):
        batch["input_mask"][row, :length] = 1
        batch["word_ids"][row, 1 : length - 1] = np.arange(1, length - 1)
    settings = MaskingSettings(MASK, ((10, 20),), 20, probability)
    masked = mask({name: tf.constant(array) for name, array in batch.items()}, settings)
    expected = [masking.num_to_predict(length, probability, 20) for length in lengths]
    assert masked["masked_lm_weights"].sum(axis=1).astype(int).tolist() == expected


@pytest.mark.parametrize("whole_words", [False, True])
def test_a_masked_batch_is_consistent(whole_words):
    batch = pairs(300, 40, whole_words, full=False)
    masked = mask(batch)
    assert sorted(masked) == sorted(
        ["input_ids", "input_mask", "masked_lm_positions", "masked_lm_ids", "masked_lm_weights"]
    )
    before, words = batch["input_ids"].numpy(), batch["word_ids"].numpy()
    for row in range(300):
        places = hidden_places(masked, row)
        assert places == sorted(set(places))
        num_hidden = len(places)
        assert masked["masked_lm_ids"][row, :num_hidden].tolist() == before[row, places].tolist()
        for name in ("masked_lm_positions", "masked_lm_ids", "masked_lm_weights"):
            assert not masked[name][row, num_hidden:].any()
        untouched = np.setdiff1d(np.arange(40), places)
        assert (masked["input_ids"][row, untouched] == before[row, untouched]).all()
        # Words are hidden whole; [CLS], [SEP] and padding never are.
        hidden_words = set(words[row, places].tolist())
        assert 0 not in hidden_words
        assert np.flatnonzero(np.isin(words[row], list(hidden_words))).tolist() == places


def test_shapes_and_types_are_those_of_stored_masks():
    masked = mask(pairs(3, 8), MaskingSettings(MASK, ((10, 20),), max_predictions_per_seq=12))
    assert masked["masked_lm_positions"].shape == (3, 12)  # More than there are tokens.
    for name, array in masked.items():
        assert array.dtype == (np.float32 if name == "masked_lm_weights" else np.int32)


def test_eighty_of_a_hundred_become_mask_ten_stay_and_ten_become_any_id():
    batch = pairs(4000, 64)
    masked = mask(batch)
    is_hidden = masked["masked_lm_weights"] == 1
    rows = np.repeat(np.arange(4000), is_hidden.sum(axis=1))
    now = masked["input_ids"][rows, masked["masked_lm_positions"][is_hidden]]
    before = masked["masked_lm_ids"][is_hidden]
    total = len(now)
    assert total == 4000 * 10  # round(64 * 0.15)
    spread = 4 * (0.16 * total) ** 0.5  # Four standard deviations.
    assert abs((now == MASK).sum() - 0.8 * total) < spread
    assert abs((now == before).sum() - 0.1 * total) < spread
    random_ids = now[(now != MASK) & (now != before)]
    # Every id of both ranges is drawn, about equally often, and no other.
    allowed = np.array([*range(10, 20), *range(30, 100)])
    counts = np.bincount(random_ids, minlength=1000)
    assert counts.sum() == counts[allowed].sum()
    expected = len(random_ids) / 80
    assert ((counts[allowed] - expected) ** 2 / expected).sum() < 124.8  # 79 degrees, 0.1 %


def test_every_token_is_hidden_as_often_as_any_other():
    count = 20_000
    one = pairs(1, 16)
    masked = mask({name: tf.repeat(tensor, count, axis=0) for name, tensor in one.items()})
    places = masked["masked_lm_positions"][masked["masked_lm_weights"] == 1]
    counts = np.bincount(places, minlength=16)[np.flatnonzero(one["word_ids"].numpy()[0])]
    assert counts.sum() == 2 * count  # round(16 * 0.15)
    expected = 2 * count / 13
    assert ((counts - expected) ** 2 / expected).sum() < 32.9  # 12 degrees of freedom, 0.1 %


def test_whole_words_are_hidden_as_often_as_when_masks_are_made_beforehand():
    count = 8000
    words = [[1], [2, 3], [4, 5, 6], [8], [9], [10, 11], [12, 13, 14, 15]]
    word_ids = np.zeros(18, np.int32)
    for number, places in enumerate(words, start=1):
        word_ids[places] = number
    batch = {
        "input_ids": tf.fill([count, 18], 50),
        "input_mask": tf.ones([count, 18], tf.int32),
        "word_ids": tf.constant(np.tile(word_ids, (count, 1))),
    }
    masked = mask(batch, MaskingSettings(MASK, ((10, 20),), 20, masked_lm_prob=0.28))  # 5 tokens
    places = masked["masked_lm_positions"][masked["masked_lm_weights"] == 1]
    rng = random.Random(3)
    drawn = [masking.choose_words([*words], 5, rng) for _ in range(count)]
    stored = np.bincount(np.concatenate(drawn).astype(int), minlength=18)
    dynamic = np.bincount(places, minlength=18)
    # Both are sums of independent draws: their difference has a variance of at most count / 2.
    assert abs(stored - dynamic).max() < 4 * (count / 2) ** 0.5
    assert (dynamic[word_ids == 0] == 0).all()


def test_masks_do_not_depend_on_the_rest_of_the_batch():
    batch = pairs(64, 32)
    whole = mask(batch, examples=np.arange(64) + 10**12)
    order = np.random.default_rng(1).permutation(64)[:7]
    part = mask({k: tf.gather(v, order) for k, v in batch.items()}, examples=order + 10**12)
    for name in whole:
        np.testing.assert_array_equal(part[name], whole[name][order])


@pytest.mark.parametrize("change", [{"seed": 2}, {"epoch": 1}, {"epoch": -1}, {"shift": 64}])
def test_masks_change_with_seed_epoch_and_example(change):
    batch = pairs(64, 32)
    first = mask(batch)
    examples = np.arange(64) + change.pop("shift", 0)
    other = mask(batch, examples=examples, **change)
    differ = [hidden_places(first, row) != hidden_places(other, row) for row in range(64)]
    assert sum(differ) > 60


def test_places_and_replacements_of_two_epochs_are_independent():
    batch = pairs(4000, 34)
    tokens = 4000 * 31
    hidden = []
    for epoch in (0, 1):
        masked = mask(batch, epoch=epoch)
        is_hidden = np.zeros((4000, 34), bool)
        for row in range(4000):
            is_hidden[row, hidden_places(masked, row)] = True
        hidden.append(is_hidden)
    rate = hidden[0].sum() / tokens
    both = (hidden[0] & hidden[1]).sum()
    assert abs(both - tokens * rate**2) < 4 * (tokens * rate**2) ** 0.5


@pytest.mark.parametrize("mix", ["100,0,0", "80,0,20", "80,20,0", "0,20,80", "0,0,100"])
def test_another_mix_gives_its_shares(mix):
    settings = MaskingSettings(MASK, ((30, 100),), mix=parse_masking_mix(mix))
    masked = mask(pairs(2000, 64), settings)  # Of ids from 100 on.
    is_hidden = masked["masked_lm_weights"] == 1
    rows = np.repeat(np.arange(2000), is_hidden.sum(axis=1))
    now = masked["input_ids"][rows, masked["masked_lm_positions"][is_hidden]]
    is_random = (now >= 30) & (now < 100)
    shares = [100 * np.mean(kind) for kind in (now == MASK, now >= 100, is_random)]
    expected = [float(share) for share in mix.split(",")]
    assert shares == pytest.approx(expected, abs=1.5)
    assert [share == 0 for share in shares] == [share == 0 for share in expected]


def file_of_run(path, masking, probability=0.15, **settings):
    run = None
    if masking:
        run = {
            "settings": {"masking": masking, "masked_lm_prob": probability, **settings},
            "masking": {"mask_id": 103, "replacement_ranges": [[0, 100], [104, 30522]]},
        }
    return FileIndex(path, "", run, np.ones(1, BLOCK))


def test_the_manifest_says_how_to_mask():
    index = RecordIndex((file_of_run("a", "dynamic"), file_of_run("b", "dynamic")))
    assert masking_from_manifest(index, 30) == MaskingSettings(
        103, ((0, 100), (104, 30522)), max_predictions_per_seq=30, masked_lm_prob=0.15
    )


def test_the_manifest_names_the_mix():
    index = RecordIndex((file_of_run("a", "dynamic", masking_mix="80,0,20"),))
    assert masking_from_manifest(index, 30).mix == (0.8, 0.0)


@pytest.mark.parametrize("masking", ["static", None])
def test_records_that_hold_masks_are_not_masked_again(masking):
    assert masking_from_manifest(RecordIndex((file_of_run("a", masking),)), 20) is None


@pytest.mark.parametrize("other", [("static",), (None,), ("dynamic", 0.2)])
def test_files_that_are_masked_by_different_rules_do_not_mix(other):
    index = RecordIndex((file_of_run("a", "dynamic"), file_of_run("b", *other)))
    with pytest.raises(ValueError, match=r"same rules.*a: .*b: "):
        masking_from_manifest(index, 20)


@pytest.fixture
def index(write_records, build_index):
    """Fifty records for dynamic masking, of 16 tokens; the second token is the record's number."""
    batch = pairs(50, 16)
    batch = {name: tensor.numpy() for name, tensor in batch.items()}
    batch["segment_ids"] = np.zeros((50, 16), np.int32)
    batch["next_sentence_labels"] = np.zeros((50, 1), np.int32)
    batch["segment_ids"][:, 0] = np.arange(50)  # Masks leave it as it is.
    records = [
        schema.encode_example({name: array[row] for name, array in batch.items()})
        for row in range(50)
    ]
    paths = [
        write_records("a.tfrecord", records[:30]),
        write_records("b.tfrecord.gz", records[30:]),
    ]
    return build_index(paths, per_block=8, per_compressed_block=8)


def rows(dataset, count):
    """Examples of a stream, each as (record number, what the model is fed)."""
    found = []
    for batch in dataset:
        arrays = {name: tensor.numpy() for name, tensor in batch.items()}
        for row in range(len(arrays["input_ids"])):
            content = {name: array[row].tolist() for name, array in arrays.items()}
            found.append((content["segment_ids"][0], content))
        if len(found) >= count:
            break
    return found[:count]


def test_masks_in_training_do_not_depend_on_batches_hosts_or_restarts(index, monkeypatch):
    monkeypatch.setattr("bert_tf.data.record_set.GROUP_EXAMPLES", 20)
    records = RecordSet(index, schema.unmasked_pretraining_features(16), SETTINGS)

    def train(count, batch_size, **settings):
        return rows(records.training_batches(batch_size, seed=5, **settings), count)

    whole = train(150, 10)
    assert train(150, 25) == whole
    assert train(40, 10, start_step=11) == whole[110:]
    second_host = train(25, 10, num_hosts=2, host_index=1)
    assert second_host == [whole[place] for place in range(50) if place % 10 >= 5]
    # Every epoch has masks of its own.
    epochs = [dict(whole[start : start + 50]) for start in (0, 50, 100)]
    assert all(sorted(epoch) == list(range(50)) for epoch in epochs)
    assert sum(epochs[0][number] == epochs[1][number] for number in range(50)) < 3


def test_evaluation_always_uses_the_same_masks(index):
    records = RecordSet(index, schema.unmasked_pretraining_features(16), SETTINGS)
    once = rows(records.evaluation_batches(8), 56)
    again = rows(records.evaluation_batches(14), 56)
    assert once == again
    assert [content["is_real_example"] for _, content in once] == [1] * 50 + [0] * 6
    for _, content in once[50:]:
        assert not any(np.any(values) for values in content.values())
    assert all(sum(content["masked_lm_weights"]) == 2 for _, content in once[:50])


@pytest.mark.parametrize("gzip", [False, True])
def test_records_of_create_pretraining_data_are_masked_as_their_manifest_says(
    golden_dir, tmp_path, gzip
):
    settings = PretrainingDataSettings(
        input_file=(str(golden_dir / "pretraining_data" / "text_b.txt"),),
        vocab_file=str(golden_dir.parents[1] / "vocab" / "english_uncased_2000.txt"),
        output_dir=str(tmp_path),
        max_seq_length=32,
        masking="dynamic",
        masked_lm_prob=0.3,
        gzip=gzip,
    )
    index = build_record_index(create_pretraining_data(settings).paths)
    check_manifests(index, max_seq_length=32, max_predictions_per_seq=7, vocab_size=2000)
    rules = masking_from_manifest(index, max_predictions_per_seq=7)
    features = schema.unmasked_pretraining_features(32)
    index = check_records(index, features, vocab_size=2000, type_vocab_size=2)
    count = index.num_examples
    (before,) = RecordSet(index, features).evaluation_batches(count)
    (after,) = RecordSet(index, features, rules).evaluation_batches(count)
    after.pop("is_real_example")
    assert set(after) == set(schema.pretraining_features(32, 7))
    lengths = before["input_mask"].numpy().sum(axis=1)
    num_hidden = after["masked_lm_weights"].numpy().sum(axis=1).astype(int)
    assert num_hidden.tolist() == [masking.num_to_predict(n, 0.3, 7) for n in lengths]
    hidden = tf.gather(after["input_ids"], after["masked_lm_positions"], batch_dims=1).numpy()
    is_mask = hidden[after["masked_lm_weights"].numpy() == 1] == rules.mask_id
    assert 0.6 < is_mask.mean() < 0.95


@pytest.mark.slow
def test_one_core_masks_more_than_five_thousand_examples_a_second():
    batch, examples = pairs(256, 128, whole_words=True), tf.range(256, dtype=tf.int64)
    step = tf.function(lambda epoch: mask_batch(batch, SETTINGS, bits_of_rows(1, epoch, examples)))
    step(tf.constant(0))
    start, cpu_start = time.monotonic(), time.process_time()
    for epoch in range(40):
        step(tf.constant(epoch))
    seconds = max(time.monotonic() - start, time.process_time() - cpu_start)
    assert 40 * 256 / seconds > 5000
