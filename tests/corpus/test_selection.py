"""Which documents are written how often: arithmetic that can be done by hand."""

import itertools
import types

import numpy as np
import pytest

from bert_tf.corpus.parts import DOCUMENT
from bert_tf.corpus.selection import find_duplicates, sampling_factors, select_documents
from bert_tf.corpus.shards import shard_boundaries


def make_index(hashes, characters=None):
    index = np.zeros(len(hashes), DOCUMENT)
    index["high"], index["low"] = np.array(hashes, np.uint64).T
    index["characters"] = characters if characters is not None else 100
    return index


def random_hashes(count, seed=0):
    return np.random.default_rng(seed).integers(0, 2**64, (count, 2), np.uint64)


def select(index, language_of=None, languages=("en",), **settings):
    language_of = np.zeros(len(index), int) if language_of is None else language_of
    settings = {
        "drop_duplicates": True,
        "held_out_share": 0.0,
        "sampling_exponent": 0.7,
        **settings,
    }
    return select_documents(index, language_of, languages, types.SimpleNamespace(**settings))


def test_of_equal_documents_the_first_stays():
    hashes = [(5, 1), (3, 2), (5, 1), (5, 2), (3, 2), (5, 1), (0, 0)]
    duplicates = find_duplicates(*np.array(hashes, np.uint64).T)
    assert duplicates.tolist() == [False, False, True, False, True, True, False]
    assert select(make_index(hashes)).corpus.tolist() == [0, 1, 3, 6]
    assert select(make_index(hashes), drop_duplicates=False).corpus.tolist() == [*range(7)]


def test_smoothing_by_hand():
    # Shares 0.8 and 0.2; to the power of 0.5: 0.894 and 0.447, which is 2/3 and 1/3 of 1,000.
    factors = sampling_factors({"en": 800, "is": 200}, 0.5)
    assert factors == pytest.approx({"en": 2000 / 3 / 800, "is": 1000 / 3 / 200})
    assert sampling_factors({"en": 800, "is": 200}, 1.0) == {"en": 1, "is": 1}
    assert sampling_factors({"en": 800}, 0.7) == {"en": 1}
    assert sampling_factors({"en": 800, "is": 0, "de": 800}, 0.7)["is"] == 1
    assert sampling_factors({"en": 900, "is": 100}, 0.0) == pytest.approx({"en": 5 / 9, "is": 5})


def test_smoothing_keeps_the_whole_and_the_ratio_of_the_power():
    sizes = {"en": 21_000_000, "de": 7_000_000, "is": 30_000}
    factors = sampling_factors(sizes, 0.7)
    written = {name: size * factors[name] for name, size in sizes.items()}
    assert sum(written.values()) == pytest.approx(sum(sizes.values()))
    assert written["en"] / written["is"] == pytest.approx((21_000_000 / 30_000) ** 0.7)


def test_documents_are_repeated_as_often_as_their_language_asks():
    index = make_index(random_hashes(10_000))
    language_of = (np.arange(10_000) >= 9000).astype(int)
    selection = select(index, language_of, ("en", "is"))
    counts = np.bincount(selection.corpus, minlength=10_000)
    for language, name in enumerate(("en", "is")):
        factor = selection.factors[name]
        mean = counts[language_of == language].mean()
        assert mean == pytest.approx(factor, abs=0.02)
        assert set(counts[language_of == language]) <= {int(factor), int(factor) + 1}
    # A copy does not follow its own original.
    assert (np.diff(selection.corpus) != 0).all()


def test_what_is_held_out_is_never_in_the_corpus_whatever_else_is_there():
    hashes = random_hashes(5000)
    selection = select(make_index(hashes), held_out_share=0.1)
    assert len(selection.held_out) == pytest.approx(500, abs=80)
    assert not set(selection.held_out) & set(selection.corpus)
    assert len(selection.held_out) + len(selection.corpus) == 5000
    backwards = select(make_index(hashes[2500:][::-1]), held_out_share=0.1)
    assert set(4999 - backwards.held_out) == {n for n in selection.held_out if n >= 2500}


def test_stretches_are_of_about_equal_size_and_none_is_empty():
    sizes = np.random.default_rng(1).integers(1, 100, 1000)
    boundaries = shard_boundaries(sizes, 7)
    parts = [sizes[a:b].sum() for a, b in itertools.pairwise(boundaries)]
    assert max(parts) - min(parts) <= 200
    assert sum(parts) == sizes.sum()
    assert shard_boundaries(np.array([1, 1, 1000, 1]), 4).tolist() == [0, 1, 2, 3, 4]
    assert shard_boundaries(np.array([1000, 1, 1]), 3).tolist() == [0, 1, 2, 3]
    assert shard_boundaries(np.array([1, 1, 1000]), 2).tolist() == [0, 2, 3]
