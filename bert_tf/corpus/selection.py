"""All documents' indexes -> which are written, how often, and in which order.

Of equal documents the first stays. A document is held out, or repeated once more than others of
its language, by its own hash: the same on every machine, in any order, and in the next dump.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from bert_tf.corpus.parts import DOCUMENT

_HASH_VALUES = 2.0**64


@dataclasses.dataclass(frozen=True)
class Selection:
    """Documents by their place in the index of all.

    Attributes:
        corpus: <int64>[n], of the documents in the order in which they are written; one that is
            repeated is there several times, with all others between.
        held_out: <int64>[h].
        duplicates: bool[D], which of all documents are equal to an earlier one.
        factors: how often a language's documents are written on average.
    """

    corpus: np.ndarray
    held_out: np.ndarray
    duplicates: np.ndarray
    factors: dict[str, float]


def select_documents(
    index: np.ndarray,
    language_of: np.ndarray,
    languages: Sequence[str],
    *,
    drop_duplicates: bool,
    held_out_share: float,
    sampling_exponent: float,
) -> Selection:
    """Decides what becomes of each document.

    Args:
        index: DOCUMENT[D], in the order of the input.
        language_of: <int>[D], places in `languages`.
        languages: all of them.
        drop_duplicates, held_out_share, sampling_exponent: see `CorpusSettings`.
    """
    assert index.dtype == DOCUMENT
    if drop_duplicates:
        duplicates = find_duplicates(index["high"], index["low"])
    else:
        duplicates = np.zeros(len(index), bool)
    is_held_out = ~duplicates & (index["high"] < held_out_share * _HASH_VALUES)
    copies = (~duplicates & ~is_held_out).astype(np.int32)
    sizes = np.bincount(language_of, index["characters"] * copies, minlength=len(languages))
    factors = sampling_factors(dict(zip(languages, sizes.tolist(), strict=True)), sampling_exponent)
    if any(factor != 1 for factor in factors.values()):
        wanted = np.array([factors[language] for language in languages])[language_of]
        chance = index["low"] / _HASH_VALUES
        copies *= (np.floor(wanted) + (chance < wanted % 1)).astype(np.int32)
    rounds = [np.flatnonzero(copies > number) for number in range(copies.max(initial=0))]
    return Selection(
        corpus=np.concatenate(rounds) if rounds else np.zeros(0, np.int64),
        held_out=np.flatnonzero(is_held_out),
        duplicates=duplicates,
        factors=factors,
    )


def find_duplicates(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Which hashes <uint64>[D] (in two halves) are equal to an earlier one: bool[D]."""
    order = np.lexsort((low, high))  # Stable: equal ones stay in their order.
    same = (high[order[1:]] == high[order[:-1]]) & (low[order[1:]] == low[order[:-1]])
    duplicates = np.zeros(len(high), bool)
    duplicates[order[1:][same]] = True
    return duplicates


def sampling_factors(sizes: Mapping[str, float], exponent: float) -> dict[str, float]:
    """How often each language's text is written, so that its share becomes smoother.

    A language with the share p of all text gets p^S / (sum of all languages' p^S) of it; the sum
    stays what it is. With S = 0.7, and where that sum is 2.5, a language with a fifth of all text
    gives a third of it away, and one with a thousandth is written three times.

    Args:
        sizes: by language, in characters.
        exponent: S.

    Source: google-research/bert, multilingual.md, "Data Source and Sampling".
    """
    total = sum(sizes.values())
    smoothed = {name: (size / total) ** exponent for name, size in sizes.items() if size}
    whole = sum(smoothed.values())
    factors = dict.fromkeys(sizes, 1.0)
    if exponent != 1 and len(smoothed) > 1:
        for name, share in smoothed.items():
            factors[name] = share / whole * total / sizes[name]
    return factors
