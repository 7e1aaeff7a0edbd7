"""Selects the documents of the corpus, how many times each is written, and their order.

Of equal documents the first is kept. A document's hash decides whether it is held out, and whether
it gets the extra copy that a fractional factor calls for, so results are reproducible.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from bert_tf.settings import CorpusSettings

_HASH_VALUES = 2.0**64


@dataclasses.dataclass(frozen=True)
class Selection:
    """Holds the selected documents, as positions in the index of all documents."""

    # <int64>[n], in output order: all documents are written once before any is repeated.
    corpus: np.ndarray
    held_out: np.ndarray  # <int64>[h]
    duplicates: np.ndarray  # bool[D], whether each document equals an earlier one.
    factors: dict[str, float]  # By language, how often its documents are written on average.


def select_documents(
    index: np.ndarray, language_of: np.ndarray, languages: Sequence[str], settings: CorpusSettings
) -> Selection:
    """Selects documents from `index`, DOCUMENT[D].

    `language_of`, <int>[D], is the language of each, as a position in `languages`.
    """
    duplicates = np.zeros(len(index), bool)
    if settings.drop_duplicates:
        duplicates = find_duplicates(index["high"], index["low"])
    is_held_out = ~duplicates & (index["high"] < settings.held_out_share * _HASH_VALUES)
    is_wanted = ~duplicates & ~is_held_out
    sizes = np.bincount(language_of, index["characters"] * is_wanted, minlength=len(languages))
    sizes_by_language = dict(zip(languages, sizes.tolist(), strict=True))
    factors = sampling_factors(sizes_by_language, settings.sampling_exponent)
    times = np.array([factors[language] for language in languages])[language_of]
    copies = is_wanted * (np.floor(times) + (index["low"] / _HASH_VALUES < times % 1))
    rounds = [np.flatnonzero(copies > number) for number in range(int(copies.max(initial=0)))]
    corpus = np.concatenate([np.zeros(0, np.int64), *rounds])
    return Selection(corpus, np.flatnonzero(is_held_out), duplicates, factors)


def find_duplicates(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Returns which hashes (two halves, each <uint64>[D]) equal an earlier one: bool[D]."""
    order = np.lexsort((low, high))  # Stable: equal hashes keep their order.
    same = (high[order[1:]] == high[order[:-1]]) & (low[order[1:]] == low[order[:-1]])
    duplicates = np.zeros(len(high), bool)
    duplicates[order[1:][same]] = True
    return duplicates


def sampling_factors(sizes: Mapping[str, float], exponent: float) -> dict[str, float]:
    """Computes how many times to write each language's text, to give small languages more weight.

    A language with the share p of all characters gets the share p^S / (sum of p^S over all
    languages), where S is the exponent; the total size stays the same.

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
