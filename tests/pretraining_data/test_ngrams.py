"""ALBERT's records: the bytes of google-research/albert; n-grams and swapped pairs."""

import collections
import json
import os
import random
from pathlib import Path

import pytest
import tensorflow as tf
from family_golden import family_file

from bert_tf.pretraining_data.documents import Documents
from bert_tf.pretraining_data.ngrams import (
    NgramLengths,
    choose_ngrams,
    continues_english_word,
    ordered_pairs,
)
from bert_tf.pretraining_data.program import create_pretraining_data
from bert_tf.settings import PretrainingDataSettings

MODEL = str(family_file("albert/spm.model"))


def settings_of_run(name, output_file):
    """Our settings for those that the original ran with."""
    path = family_file(f"albert/pretraining_data/{name}.json")
    run = json.loads(path.read_text())
    vocab = MODEL
    if not run["spm"]:
        data = Path(os.environ.get("BERT_TF_DATA") or path.parents[4] / "data")
        vocab = str(data / "vocab" / run["vocab"])
        if not Path(vocab).exists():
            pytest.skip(f"no vocabulary {vocab}; set BERT_TF_DATA to where the data sets are")
    names = (
        *("do_lower_case", "do_whole_word_mask", "dupe_factor", "favor_shorter_ngram", "ngram"),
        *("masked_lm_prob", "max_predictions_per_seq", "max_seq_length", "random_seed"),
        "short_seq_prob",
    )
    texts = [str(path.parent / text) for text in run["input_file"].split(",")]
    return PretrainingDataSettings(
        input_file=tuple(texts),
        vocab_file=vocab,
        output_file=(str(output_file),),
        sentence_order=not run["random_next_sentence"],
        ngram_seed=run["numpy_seed"],
        **{name: run[name] for name in names},
    )


@pytest.mark.parametrize("name", ["default", "random_next", "wordpiece"])
def test_the_records_are_the_originals(name, tmp_path):
    report = create_pretraining_data(settings_of_run(name, tmp_path / "records"))
    expected = family_file(f"albert/pretraining_data/{name}.tfrecord")
    assert report.statistics.examples > 60
    assert (tmp_path / "records").read_bytes() == expected.read_bytes()


def make(tmp_path, **values):
    text = family_file("albert/pretraining_data/text_b.txt")
    values = {"vocab_file": MODEL, "ngram": 3, "sentence_order": True, "dupe_factor": 2} | values
    return PretrainingDataSettings(input_file=(str(text),), **values)


def test_shards_have_lengths_of_their_own_and_repeat(tmp_path):
    contents = []
    for folder, seed in (("a", None), ("b", None), ("c", 5)):
        settings = make(tmp_path, output_dir=str(tmp_path / folder), num_shards=2, ngram_seed=seed)
        report = create_pretraining_data(settings)
        contents.append([Path(path).read_bytes() for path in report.paths])
    assert contents[0] == contents[1]
    assert contents[0][0] != contents[2][0]
    example = tf.train.Example.FromString(
        next(iter(tf.data.TFRecordDataset(report.paths))).numpy()
    ).features.feature
    assert len(example["token_boundary"].int64_list.value) == settings.max_seq_length


def test_lengths_are_drawn_with_shares_of_one_over_n():
    for favors_shorter, shares in ((True, (6, 3, 2)), (False, (2, 3, 6))):
        lengths = NgramLengths(3, favors_shorter, seed=1)
        counts = collections.Counter(lengths.draw() for _ in range(11_000))
        for length, share in enumerate(shares, start=1):
            assert counts[length] == pytest.approx(1000 * share, rel=0.1)


class Fixed:
    def __init__(self, *lengths):
        self.lengths = list(lengths)

    def draw(self):
        return self.lengths.pop(0)


def test_ngrams_are_shortened_to_fit_and_do_not_overlap():
    words = [[1], [2, 3], [4], [5], [6, 7, 8]]
    assert choose_ngrams(words, [1, 0, 3], 6, Fixed(2, 2, 1)) == [2, 3, 4, 5]
    assert choose_ngrams(words, [1, 4, 0], 4, Fixed(3, 1, 1)) == [2, 3, 4, 5]
    assert choose_ngrams(words, [4, 3, 0], 2, Fixed(1, 3, 2)) == [5, 1]


@pytest.mark.parametrize(
    ("piece", "continues"),
    [
        *(("ing", True), ("Ing", True), ("s-", True), ("\u2581the", False), ("<unk>", False)),
        *(("(", False), ("caf\u00e9", False), ("7", False), ("o'", False), ("\u00a3", False)),
    ],
)
def test_only_pieces_of_english_letters_continue_a_word(piece, continues):
    assert continues_english_word(piece) is continues


@pytest.fixture
def documents():
    lines = ["a b c", "d e", "f g h i", "", "j", "", "k l m n o p"]
    return Documents(lines, str.split)


@pytest.mark.parametrize("mend_quirks", [False, True])
def test_the_parts_of_a_pair_follow_each_other_in_one_order_or_the_other(documents, mend_quirks):
    rng = random.Random(3)
    labels = collections.Counter()
    for _ in range(500):
        for number in range(3):
            for pair in ordered_pairs(documents, number, 9, mend_quirks, rng):
                labels[number, pair.is_random_next] += 1
                start, end = pair[:2] if not pair.is_random_next else pair[2:4]
                following = pair[2] if not pair.is_random_next else pair[0]
                assert end > start
                if number == 0 or mend_quirks:
                    assert following == end
    assert labels[0, True] == pytest.approx(labels[0, False], rel=0.2)
    if mend_quirks:
        assert labels[1, True] + labels[1, False] == 0
        assert labels[2, True] == pytest.approx(labels[2, False], rel=0.2)
    else:
        assert labels[1, False] + labels[2, False] == 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"ngram": 0}, "--sentence_order needs --ngram"),
        ({"masking": "dynamic"}, "cannot be combined with --masking=dynamic"),
        ({"next_sentence": False}, "--sentence_order makes labelled pairs"),
    ],
)
def test_settings_that_do_not_fit_are_refused(values, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        make(tmp_path, output_file="x", **values)
