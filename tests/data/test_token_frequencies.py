"""Masks by the frequency of tokens: counts, weights, and which tokens are drawn how often."""

import collections
import itertools

import numpy as np
import pytest
import tensorflow as tf
from family_golden import family_file

from bert_tf.data.counter_hash import bits_of_rows
from bert_tf.data.dynamic_masking import MaskingSettings, mask_batch
from bert_tf.data.record_set import RecordUse, open_record_set
from bert_tf.data.token_frequencies import token_weights
from bert_tf.pretraining_data import masking
from bert_tf.pretraining_data.program import create_pretraining_data
from bert_tf.settings import PretrainingDataSettings
from bert_tf.text.tokenizer import load_tokenizer

VOCAB_SIZE = 331  # Of the toy vocabulary.


def settings_with(weights, **values):
    return MaskingSettings(
        *(4, ((10, 20),)), smoothing=0.7, token_weights=tuple(weights.tolist()), **values
    )


def mask(ids, word_ids, settings, examples=None):
    examples = np.arange(len(ids)) if examples is None else examples
    batch = {"input_ids": ids, "input_mask": np.ones_like(ids), "word_ids": word_ids}
    batch = {name: tf.constant(array, tf.int32) for name, array in batch.items()}
    bits = bits_of_rows(1, 0, tf.constant(examples, tf.int64))
    masked = tf.function(mask_batch)(batch, settings, bits)
    return {name: tensor.numpy() for name, tensor in masked.items()}


def test_the_weights_are_those_of_the_authors_code():
    golden = np.load(family_file("distillation/losses.npz"))
    weights = token_weights(
        golden["mask_sampling/counts"], float(golden["mask_sampling/smoothing"])
    )
    # The authors' special tokens have no weight; here the records say that they are not masked.
    drawn = np.setdiff1d(np.arange(len(weights)), golden["mask_sampling/special_ids"])
    np.testing.assert_allclose(weights[drawn], golden["mask_sampling/weights"][drawn], rtol=1e-15)


def test_tokens_are_drawn_without_replacement_in_proportion_to_their_weights():
    rows, ids = 40_000, np.array([2, 10, 11, 12, 10, 3])  # [CLS] ... [SEP]; 10 is there twice.
    weights = token_weights(np.bincount([10] * 50 + [11] * 9 + [12]), 0.7)
    settings = settings_with(weights, masked_lm_prob=0.4)  # 2 of 6 tokens.
    masked = mask(np.tile(ids, (rows, 1)), np.tile([0, 1, 2, 3, 4, 0], (rows, 1)), settings)
    pairs = collections.Counter(map(tuple, masked["masked_lm_positions"][:, :2].tolist()))
    total = weights[ids[1:5]].sum()
    for a, b in itertools.combinations(range(1, 5), 2):
        of_a, of_b = weights[ids[[a, b]]] / total
        expected = of_a * of_b / (1 - of_a) + of_b * of_a / (1 - of_b)
        spread = 4 * (expected * (1 - expected) / rows) ** 0.5
        assert pairs[a, b] / rows == pytest.approx(expected, abs=spread)
    assert pairs[1, 4] < pairs[1, 2] < pairs[2, 3]


def test_long_rows_are_masked_as_often_as_numpys_own_draws_without_replacement():
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 1000, 200)
    ids, word_ids = np.arange(60, 124), np.array([0, *range(1, 31), 0, *range(31, 62), 0])
    weights = token_weights(counts, 0.7)
    rows = 8000
    masked = mask(np.tile(ids, (rows, 1)), np.tile(word_ids, (rows, 1)), settings_with(weights))
    assert (masked["masked_lm_weights"].sum(axis=1) == 10).all()  # round(64 * 0.15)
    places = masked["masked_lm_positions"][:, :10]
    assert not np.isin(places, np.flatnonzero(word_ids == 0)).any()
    share = weights[ids] * (word_ids > 0)
    drawn = [rng.choice(64, 10, replace=False, p=share / share.sum()) for _ in range(rows)]
    of_numpy = np.bincount(np.concatenate(drawn), minlength=64) / rows
    ours = np.bincount(places.ravel(), minlength=64) / rows
    spread = 4.5 * (2 * of_numpy * (1 - of_numpy) / rows) ** 0.5
    assert (abs(ours - of_numpy) <= spread + 1e-9).all()


def test_masks_do_not_depend_on_the_rest_of_the_batch():
    rng = np.random.default_rng(1)
    ids, word_ids = rng.integers(0, 200, (40, 32)), np.tile([0, *range(1, 31), 0], (40, 1))
    settings = settings_with(token_weights(np.bincount(ids.ravel()), 0.7))
    whole = mask(ids, word_ids, settings)
    part = mask(ids[[7, 3]], word_ids[[7, 3]], settings, np.array([7, 3]))
    for name in whole:
        np.testing.assert_array_equal(part[name], whole[name][[7, 3]])


def test_fewer_tokens_than_are_to_be_masked_are_all_masked():
    settings = settings_with(np.ones(200), masked_lm_prob=0.9)
    masked = mask(np.array([[2, 50, 3, 3]]), np.array([[0, 1, 0, 0]]), settings)
    assert masked["masked_lm_weights"][0].sum() == 1
    assert masked["masked_lm_positions"][0, 0] == 1


@pytest.mark.parametrize("output", [{"output_file": "DIR/records"}, {"gzip": True}])
def test_records_are_masked_by_the_frequencies_of_their_text(
    output, tmp_path, toy_vocab, write_text
):
    text = write_text("text", 60)
    with open(text, "a", encoding="utf-8") as file:  # "z" is in no word of the vocabulary.
        file.write("\nword7 zzz word8 .\nword7 abc z .\n")
    made = {"output_dir": str(tmp_path / "out"), "num_shards": 3, **output}
    if "output_file" in output:
        made = {"output_file": str(tmp_path / "records")}
    settings = PretrainingDataSettings(
        text,
        toy_vocab,
        masking="dynamic",
        mask_smoothing=0.5,
        next_sentence=False,
        max_seq_length=32,
        max_predictions_per_seq=6,
        **made,
    )
    paths = create_pretraining_data(settings).paths
    records = open_record_set([*paths], 32, 6, VOCAB_SIZE, 2, RecordUse())

    tokenizer = load_tokenizer(toy_vocab, True)
    with open(text, encoding="utf-8") as file:
        counts = collections.Counter(i for line in file for i in tokenizer.encode(line.strip()))
    unknown = tokenizer.special_ids.unk
    assert counts.pop(unknown) == 2
    expected = [max(counts[token], 1) ** -0.5 for token in range(VOCAB_SIZE)]
    np.testing.assert_allclose(records.masking.token_weights, expected, rtol=1e-12)

    masked = collections.Counter()
    for batch in itertools.islice(records.training_batches(16, seed=1), 100):
        lengths = batch["input_mask"].numpy().sum(axis=1)
        wanted = [masking.num_to_predict(int(n), 0.15, 6) for n in lengths]
        assert batch["masked_lm_weights"].numpy().sum(axis=1).tolist() == wanted
        is_label = batch["masked_lm_weights"].numpy() > 0
        masked.update(batch["masked_lm_ids"].numpy()[is_label].tolist())
    assert not set(tokenizer.special_ids) & set(masked)
    shares = {token: masked[token] / counts[token] for token in counts}
    common, rare = counts.most_common()[0][0], tokenizer.vocab["word7"]
    assert shares[rare] > 2 * shares[common]
