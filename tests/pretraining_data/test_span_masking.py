"""SpanBERT's masks and segments: replayed from the draws of the authors' code, and drawn anew."""

import itertools
import json
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from bert_tf.data.manifest import read_manifest
from bert_tf.data.records import first_records
from bert_tf.data.schema import parse_examples, pretraining_features, unmasked_pretraining_features
from bert_tf.pretraining_data.documents import Documents
from bert_tf.pretraining_data.masking import group_words
from bert_tf.pretraining_data.program import create_pretraining_data
from bert_tf.pretraining_data.span_masking import (
    SpanDraws,
    blocks_of_document,
    choose_spans,
    mask_spans,
    merge_spans,
    num_to_mask,
)
from bert_tf.settings import PretrainingDataSettings
from bert_tf.settings.pretraining_data import span_length_probabilities
from bert_tf.text.vocabulary import load_vocab

CLS, SEP, MASK = 2, 3, 4
LENGTH, ANCHOR, UNUSED, FRACTION, TOKEN = range(5)  # As masking.npz numbers its draws.
MIX = (0.8, 0.5)
PROBABILITIES = span_length_probabilities(0.2, 10)


class ReplayedDraws:
    """Returns recorded draws, and fails if another kind of draw is wanted."""

    def __init__(self, kinds, values):
        # The original draws a number before each anchor that decides nothing.
        self.left = [pair for pair in zip(kinds, values, strict=True) if pair[0] != UNUSED]

    def next(self, kind):
        found, value = self.left.pop(0)
        assert found == kind
        return value

    def num_words(self):
        return int(self.next(LENGTH))

    def anchor(self, num_tokens):
        assert self.left[0][1] < num_tokens
        return int(self.next(ANCHOR))

    def fraction(self):
        return self.next(FRACTION)

    def token(self, tokens):
        return int(self.next(TOKEN))


class CountedDraws(SpanDraws):
    """Notes what is drawn."""

    def __init__(self, rng):
        super().__init__(PROBABILITIES, rng)
        self.lengths, self.fractions = [], []

    def num_words(self):
        self.lengths.append(super().num_words())
        return self.lengths[-1]

    def fraction(self):
        self.fractions.append(super().fraction())
        return self.fractions[-1]


@pytest.fixture(scope="module")
def golden(golden_dir):
    return golden_dir / "family" / "spanbert"


@pytest.fixture(scope="module")
def continuing(golden):
    vocab = load_vocab(str(golden / "vocab.txt"))
    return {index for token, index in vocab.items() if token.startswith("##")}


def ragged(arrays, name):
    return np.split(arrays[f"{name}/values"], arrays[f"{name}/row_splits"][1:-1])


def test_masks_are_the_authors_given_their_draws(golden, continuing):
    arrays = np.load(golden / "masking.npz")
    names = ("original", "draw_kind", "draw_value", "spans", "merged_spans", "source", "lm_target")
    rows = zip(*(ragged(arrays, name) for name in names), strict=True)
    num_blocks = 0
    for original, kinds, values, spans, merged, source, target in rows:
        draws = ReplayedDraws(kinds.tolist(), values.tolist())
        tokens = [CLS, *original.tolist(), SEP]
        words = group_words(tokens, len(original), continuing, mend_quirks=False)
        found = choose_spans(words, num_to_mask(len(original), 0.15, 1000), draws)
        together = merge_spans(found)
        mask_spans(tokens, together, MASK, [], MIX, draws)
        places = [place for start, last in together for place in range(start, last + 1)]
        labels = np.zeros(len(tokens), int)
        labels[places] = original[np.array(places) - 1]

        assert (np.array(found) - 1).ravel().tolist() == spans.tolist()
        assert (np.array(together) - 1).ravel().tolist() == merged.tolist()
        assert tokens == source.tolist()
        assert labels.tolist() == target.tolist()
        assert not draws.left
        num_blocks += 1
    assert num_blocks == 60


def test_lengths_have_the_authors_probabilities(golden):
    arrays = np.load(golden / "masking.npz")
    assert arrays["length_values"].tolist() == list(range(1, 11))
    np.testing.assert_allclose(PROBABILITIES, arrays["length_probabilities"], rtol=1e-12)
    assert span_length_probabilities(1.0, 3) == [1.0, 0.0, 0.0]
    draws = SpanDraws(span_length_probabilities(0.5, 2), random.Random(1))
    drawn = Counter(draws.num_words() for _ in range(9000))
    assert drawn[1] + drawn[2] == 9000
    assert drawn[1] == pytest.approx(6000, abs=200)  # Two thirds.


def corpus_of(golden):
    """The documents of blocks.npz, and its blocks."""
    arrays = np.load(golden / "blocks.npz")
    sizes, tokens = arrays["sentence_sizes"].tolist(), iter(arrays["tokens"].tolist())
    lines = ["x" * size for size in sizes]
    documents = Documents(lines, lambda line: list(itertools.islice(tokens, len(line))))
    return documents, int(arrays["block_size"]), arrays["blocks"].tolist()


def test_segments_are_the_authors_blocks(golden):
    documents, block_size, expected = corpus_of(golden)
    pairs = [
        pair
        for number in range(len(documents))
        for pair in blocks_of_document(documents, number, block_size - 2)
    ]
    assert [[pair.start_a, pair.end_a] for pair in pairs] == expected
    assert all(pair.start_b == pair.end_b for pair in pairs)
    assert len(expected) == 350


@pytest.mark.parametrize(
    ("sizes", "blocks"),
    [
        ([3, 3, 3], [(0, 6), (6, 9)]),
        ([3, 9, 3], [(0, 3), (12, 15)]),  # The long one is left out, and ends the open block.
        ([4, 3, 9], []),  # As the long one ends the document, nothing is left.
        ([4, 4, 4, 9], [(0, 8)]),
        ([8, 8], [(0, 8), (8, 16)]),
        ([9], []),
    ],
)
def test_a_sentence_that_is_too_long_vanishes_as_in_the_original(sizes, blocks):
    documents = Documents(["x" * size for size in sizes], list)
    found = [(pair.start_a, pair.end_a) for pair in blocks_of_document(documents, 0, 8)]
    assert found == blocks


def test_statistics_of_drawn_masks_are_the_authors(golden, continuing):
    documents, _, blocks = corpus_of(golden)
    told = json.loads((golden / "masking_statistics.json").read_text())["statistics"]
    draws = CountedDraws(random.Random(3))
    found, words_of_spans, tokens_of_spans = Counter(), Counter(), Counter()
    for begin, end in blocks * 3:
        tokens = [CLS, *documents.tokens[begin:end], SEP]
        before = list(tokens)
        words = group_words(tokens, end - begin, continuing, mend_quirks=False)
        budget = num_to_mask(end - begin, 0.15, 1000)
        spans = merge_spans(choose_spans(words, budget, draws))
        first = len(draws.fractions)
        mask_spans(tokens, spans, MASK, documents.tokens, MIX, draws)
        masked = sum(last - start + 1 for start, last in spans)
        assert masked == budget
        found["masked"] += masked
        found["total"] += end - begin
        found["all_spans"] += len(spans)
        found["sbo_spans"] += sum(start > 1 and last < end - begin for start, last in spans)
        of_word = {place: number for number, word in enumerate(words) for place in word}
        ends = {word[-1] for word in words}
        for (start, last), fraction in zip(spans, draws.fractions[first:], strict=True):
            tokens_of_spans[last - start + 1] += 1
            words_of_spans[of_word[last] - of_word[start] + 1] += 1
            found["cut_inside_word"] += last not in ends
            now, size = tokens[start : last + 1], last - start + 1
            if fraction < 0.8:
                assert now == [MASK] * size
                found["replaced_mask"] += size
            elif fraction < 0.9:
                found["replaced_random"] += size
            else:
                assert now == before[start : last + 1]
                found["kept"] += size
    assert found["total"] == told["total"]
    assert found["masked"] == told["masked"]  # Which is the budget.
    for name in ("all_spans", "sbo_spans", "cut_inside_word"):
        assert found[name] == pytest.approx(told[name], rel=0.12), name
    for name in ("replaced_mask", "replaced_random", "kept"):
        assert found[name] / found["masked"] == pytest.approx(
            told[name] / told["masked"], abs=0.03
        ), name
    drawn = Counter(draws.lengths)
    for counts, theirs in (
        (drawn, told["lengths_drawn"]),
        (words_of_spans, told["span_words"]),
        (tokens_of_spans, told["span_tokens"]),
    ):
        n, m = sum(counts.values()), sum(theirs)
        assert max(counts) < len(theirs)
        for size, count in enumerate(theirs):
            share = (counts[size] + count) / (n + m)
            spread = 4 * (share * (1 - share) * (1 / n + 1 / m)) ** 0.5
            assert abs(counts[size] / n - count / m) <= spread, size


def test_merging_joins_what_touches_or_overlaps():
    assert merge_spans([(7, 7), (1, 2), (3, 4), (8, 9), (8, 8), (12, 12)]) == [
        *((1, 4), (7, 9), (12, 12))
    ]
    assert merge_spans([(1, 6), (2, 3)]) == [(1, 6)]


def test_the_budget_is_rounded_up_and_limited():
    assert [num_to_mask(n, 0.15, 8) for n in (1, 6, 7, 20, 21, 100)] == [1, 1, 2, 3, 4, 8]


def create(vocab_file, text, output, **values):
    values = {"next_sentence": False, "do_span_mask": True, **values}
    return create_pretraining_data(
        PretrainingDataSettings(
            text, vocab_file, "" if "output_dir" in values else output, **values
        )
    )


def read(path, features):
    del features["next_sentence_labels"]
    parsed = parse_examples(first_records(path, 10**6), features)
    return {name: tensor.numpy() for name, tensor in parsed.items()}


def test_records_hold_whole_segments_with_masked_spans(tmp_path, toy_vocab, write_text):
    text, path = write_text("text", 20, max_sentences=40), str(tmp_path / "records")
    report = create(toy_vocab, text, path, max_seq_length=48, max_predictions_per_seq=7)
    batch = read(path, pretraining_features(48, 7))
    names = Path(toy_vocab).read_text("utf-8").splitlines()
    replaced = Counter()
    for ids, input_mask, places, labels, weights in zip(
        *(batch[name] for name in ("input_ids", "input_mask")),
        *(batch[f"masked_lm_{name}"] for name in ("positions", "ids", "weights")),
        strict=True,
    ):
        num_tokens, count = input_mask.sum(), int(weights.sum())
        assert (names[ids[0]], names[ids[num_tokens - 1]]) == ("[CLS]", "[SEP]")
        assert count == num_to_mask(num_tokens - 2, 0.15, 7)
        assert places[:count].tolist() == sorted(set(places[:count].tolist()))
        assert 0 < places[:count].min() <= places[:count].max() < num_tokens - 1
        first = 0
        for i in range(1, count + 1):
            if i == count or places[i] != places[i - 1] + 1:  # The end of a span.
                now = [names[index] for index in ids[places[first:i]]]
                is_mask = [token == "[MASK]" for token in now]
                assert all(is_mask) or not any(is_mask)
                if i - first > 2:
                    stays = ids[places[first:i]].tolist() == labels[first:i].tolist()
                    replaced["mask" if all(is_mask) else "same" if stays else "random"] += 1
                first = i
    assert replaced["mask"] > 4 * replaced["same"] > 0 < replaced["random"]
    assert not (batch["segment_ids"] != 0).any()
    lengths = batch["input_mask"].sum(axis=1)
    assert np.mean(lengths > 30) > 0.7  # Full ones: there are no short segments.
    assert report.statistics.masked_tokens == batch["masked_lm_weights"].sum()
    entry = read_manifest(str(tmp_path))["runs"][0]["settings"]
    assert (entry["do_span_mask"], entry["short_seq_prob"]) == (True, 0.0)


def test_dynamic_records_number_words_and_shards_do_not_depend_on_workers(
    tmp_path, toy_vocab, write_text
):
    text = write_text("text", 12)
    create(toy_vocab, text, str(tmp_path / "dynamic"), masking="dynamic", max_seq_length=32)
    batch = read(str(tmp_path / "dynamic"), unmasked_pretraining_features(32))
    assert (np.diff(batch["word_ids"][:, 1:], axis=1).max()) == 1
    assert any(len(set(row)) < len(row) - 1 for row in (r[r > 0] for r in batch["word_ids"]))
    for workers in (1, 2):
        create(
            *(toy_vocab, text, ""),
            output_dir=str(tmp_path / f"by_{workers}"),
            num_shards=3,
            num_workers=workers,
        )
    for path in (tmp_path / "by_1").glob("*.tfrecord"):
        assert path.read_bytes() == (tmp_path / "by_2" / path.name).read_bytes()


def test_text_that_is_left_out_is_told_and_mend_quirks_keeps_it(tmp_path, toy_vocab, write_text):
    text, path = write_text("text", 10), str(tmp_path / "records")
    values = {"max_seq_length": 12, "max_predictions_per_seq": 3, "dupe_factor": 2}
    report = create(toy_vocab, text, path, **values)
    (problem,) = [problem for problem in report.problems if "left out" in problem]
    kept = (report.statistics.example_tokens - 2 * report.statistics.examples) // 2
    assert problem.startswith(f"{report.statistics.tokens - kept:,} of ")
    assert "--mend_quirks" in problem
    mended = create(toy_vocab, text, path, mend_quirks=True, **values)
    assert not any("left out" in problem for problem in mended.problems)
    counts = mended.statistics
    assert counts.example_tokens - 2 * counts.examples == 2 * counts.tokens
