"""Spans chosen in the input pipeline are those of the rule in Python with the same draws."""

import bisect
import itertools

import numpy as np
import pytest
import tensorflow as tf

from bert_tf.data import counter_hash
from bert_tf.data.dynamic_masking import MaskingSettings, mask_batch, masking_from_manifest
from bert_tf.data.dynamic_spans import number_spans
from bert_tf.data.record_index import build_record_index
from bert_tf.data.record_set import RecordUse, open_record_set
from bert_tf.pretraining_data import span_masking
from bert_tf.pretraining_data.program import create_pretraining_data
from bert_tf.settings import PretrainingDataSettings
from bert_tf.settings.pretraining_data import span_length_probabilities

MASK = 4
PROBABILITIES = tuple(span_length_probabilities(0.2, 10))
SETTINGS = MaskingSettings(MASK, ((10, 100),), 20, span_probabilities=PROBABILITIES)


class HashedDraws:
    """Draws the numbers of the pipeline for one example."""

    def __init__(self, seed, epoch, example):
        self.counters, self.rounds = (seed, epoch, example), itertools.count()

    def fraction_of(self, use):
        seed, epoch, example = self.counters
        bits = counter_hash.hash_counters(seed, use, epoch, example, self.round)
        return float(counter_hash.uniform_fraction(bits))

    def num_words(self):
        self.round = next(self.rounds)
        up_to = [*itertools.accumulate(PROBABILITIES[:-1])]
        return 1 + bisect.bisect_right(up_to, self.fraction_of(counter_hash.SPAN_LENGTH))

    def anchor(self, num_tokens):
        return int(self.fraction_of(counter_hash.SPAN_ANCHOR) * num_tokens)


def segments(count, length, seed=0, shortest=3):
    rng = np.random.default_rng(seed)
    names = ("input_ids", "input_mask", "word_ids")
    batch = {name: np.zeros((count, length), np.int32) for name in names}
    for row, size in enumerate(rng.integers(shortest, length + 1, count)):
        batch["input_ids"][row, :size] = [2, *rng.integers(100, 1000, size - 2), 3]
        batch["input_mask"][row, :size] = 1
        starts = rng.random(size - 2) < 0.6
        starts[0] = True
        batch["word_ids"][row, 1 : size - 1] = np.cumsum(starts)
    return batch


def mask(batch, settings=SETTINGS, seed=1, epoch=0):
    examples = tf.range(len(batch["input_ids"]), dtype=tf.int64)
    tensors = {name: tf.constant(array) for name, array in batch.items()}
    bits = counter_hash.bits_of_rows(seed, tf.constant(epoch), examples)
    masked = tf.function(mask_batch)(tensors, settings, bits)
    return {name: tensor.numpy() for name, tensor in masked.items()}


@pytest.mark.parametrize("limit", [20, 3])
def test_the_masked_tokens_are_those_of_the_rule_in_python(limit):
    batch = segments(40, 90)
    settings = MaskingSettings(MASK, ((10, 100),), limit, span_probabilities=PROBABILITIES)
    masked = mask(batch, settings, seed=7, epoch=3)
    for row in range(40):
        word_ids = batch["word_ids"][row]
        num_tokens = int((word_ids > 0).sum())
        words = [np.flatnonzero(word_ids == n).tolist() for n in range(1, word_ids.max() + 1)]
        budget = span_masking.num_to_mask(num_tokens, 0.15, limit)
        spans = span_masking.choose_spans(words, budget, HashedDraws(7, 3, row))
        expected = [
            place
            for start, last in span_masking.merge_spans(spans)
            for place in range(start, last + 1)
        ]
        count = int(masked["masked_lm_weights"][row].sum())
        assert masked["masked_lm_positions"][row, :count].tolist() == expected
        before = batch["input_ids"][row, expected].tolist()
        assert masked["masked_lm_ids"][row, :count].tolist() == before


def test_one_draw_replaces_a_span():
    batch = segments(2000, 60, seed=3)
    masked = mask(batch)
    kinds = {"mask": 0, "same": 0, "random": 0}
    for row in range(2000):
        count = int(masked["masked_lm_weights"][row].sum())
        places = masked["masked_lm_positions"][row, :count]
        for span in np.split(places, np.flatnonzero(np.diff(places) > 1) + 1):
            now, before = masked["input_ids"][row, span], batch["input_ids"][row, span]
            is_mask = now == MASK
            assert is_mask.all() or not is_mask.any()
            kind = "mask" if is_mask.all() else "same" if (now == before).all() else "random"
            if kind == "random":  # Ids from 10 to 99 are in no text here.
                assert (now < 100).all()
            kinds[kind] += 1
    total = sum(kinds.values())
    for kind, share in (("mask", 0.8), ("same", 0.1), ("random", 0.1)):
        spread = 4 * (share * (1 - share) / total) ** 0.5
        assert kinds[kind] / total == pytest.approx(share, abs=spread)


def test_masks_differ_between_epochs_and_rows_without_words_have_none():
    batch = segments(200, 60, shortest=40)
    batch["word_ids"][3] = 0
    first, second = mask(batch, epoch=0), mask(batch, epoch=1)
    assert (first["masked_lm_positions"] != second["masked_lm_positions"]).any(axis=1).mean() > 0.95
    assert first["masked_lm_weights"][3].sum() == 0
    again = mask(batch, epoch=0)
    assert all((first[name] == again[name]).all() for name in first)


def test_spans_are_numbered():
    is_masked = tf.constant([[False, True, True, False, True], [True, False, False, True, True]])
    numbers = tf.where(is_masked, number_spans(is_masked), 0).numpy()
    assert numbers.tolist() == [[0, 1, 1, 0, 2], [1, 0, 0, 2, 2]]


def test_records_say_how_their_spans_are_drawn(tmp_path, toy_vocab, write_text):
    path = str(tmp_path / "records")
    settings = PretrainingDataSettings(
        *(write_text("text", 8), toy_vocab, path),
        masking="dynamic",
        next_sentence=False,
        do_span_mask=True,
        span_geometric_p=0.5,
        max_span_words=3,
        max_seq_length=32,
    )
    create_pretraining_data(settings)
    masking = masking_from_manifest(build_record_index([path], False), 5)
    assert masking.span_probabilities == pytest.approx([4 / 7, 2 / 7, 1 / 7])
    records = open_record_set([path], 32, 5, 331, 2, RecordUse())
    batch = next(iter(records.evaluation_batches(4)))
    lengths = batch["input_mask"].numpy().sum(axis=1) - 2
    wanted = [span_masking.num_to_mask(int(n), 0.15, 5) for n in lengths]
    assert batch["masked_lm_weights"].numpy().sum(axis=1).tolist() == wanted
