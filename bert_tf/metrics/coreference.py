"""Computes the official metrics of coreference, from the clusters of mentions of documents.

    muc      the links that are needed to join the mentions of each entity
    bcub     the mentions, each by the overlap of its two entities
    ceafm    the best one-to-one matching of entities, by the mentions that they share
    ceafe    the same by 2 |K ∩ R| / (|K| + |R|), as in CoNLL-2012
    blanc    all pairs of mentions, those of the same entity and those of two
    lea      the entities, each by its size and the links of it that are found
    mentions the mentions alone

CoNLL's average is the mean of the F1 of `muc`, `bcub` and `ceafe`. Numerators and denominators are
summed over the documents before they are divided. A singleton, an entity of one mention, counts
like any other entity, except that MUC does not see it; see `without_singletons`.

A mention is (first word, last word), or anything hashable. If the key has it and the response has
it twice, it stays in the entity that opens first; twice in the key, its last entity is its entity.

Source: conll/reference-coreference-scorers, version 8.01, CorScorer.pm; for LEA, ns-moosavi/coval.
"""

import dataclasses
import itertools
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence

import numpy as np

Mention = Hashable
Clusters = Sequence[Sequence[Mention]]

_MAX_REPEATED = 10


@dataclasses.dataclass(frozen=True)
class Score:
    """Numerators and denominators of recall and precision, both fractions."""

    recall_parts: tuple[float, float]
    precision_parts: tuple[float, float]

    @property
    def recall(self) -> float:
        return _ratio(*self.recall_parts)

    @property
    def precision(self) -> float:
        return _ratio(*self.precision_parts)

    @property
    def f1(self) -> float:
        return _ratio(2 * self.recall * self.precision, self.recall + self.precision)

    def __add__(self, other: "Score") -> "Score":
        mine = (*self.recall_parts, *self.precision_parts)
        theirs = (*other.recall_parts, *other.precision_parts)
        sums = tuple(a + b for a, b in zip(mine, theirs, strict=True))
        return Score(sums[:2], sums[2:])


@dataclasses.dataclass(frozen=True)
class Blanc:
    """The scores of the pairs within entities and across them, and their means as fractions.

    A kind of pair that the key lacks does not count.
    """

    coreference: Score
    non_coreference: Score

    @property
    def recall(self) -> float:
        return self._mean("recall")

    @property
    def precision(self) -> float:
        return self._mean("precision")

    @property
    def f1(self) -> float:
        return self._mean("f1")

    def _mean(self, name: str) -> float:
        both = [s for s in (self.coreference, self.non_coreference) if s.recall_parts[1]]
        return sum(getattr(score, name) for score in both) / len(both) if both else 0.0


def evaluate(documents: Iterable[tuple[Clusters, Clusters]]) -> dict[str, Score | Blanc]:
    """Returns all scores by name.

    Args:
        documents: the clusters of key and response of each document. The key's documents count: one
            that the response lacks has the clusters [], and others are left out.

    Raises:
        ValueError: if the response repeats more than 10 mentions of the key.
    """
    names = ("mentions", "muc", "bcub", "ceafm", "ceafe", "lea", "same", "other")
    nothing = Score((0, 0), (0, 0))
    sums, num_repeated = dict.fromkeys(names, nothing), 0
    for key, response in documents:
        pair, repeated = _document(key, response)
        num_repeated += repeated
        for name in names:
            sums[name] += getattr(pair, name)()
    if num_repeated > _MAX_REPEATED:
        raise ValueError(
            f"The response repeats {num_repeated} mentions that the key has, and the official "
            f"scorer refuses more than {_MAX_REPEATED}: a mention belongs to one entity."
        )
    return {**sums, "blanc": Blanc(sums.pop("same"), sums.pop("other"))}


def conll_average(scores: Mapping[str, Score | Blanc]) -> float:
    """Returns the mean of the F1 of MUC, B³ and CEAFe, a fraction."""
    return sum(scores[name].f1 for name in ("muc", "bcub", "ceafe")) / 3


def without_singletons(clusters: Clusters) -> list[Sequence[Mention]]:
    """Returns the clusters of several mentions."""
    return [cluster for cluster in clusters if len(set(cluster)) > 1]


def percentages(scores: Mapping[str, Score | Blanc]) -> dict[str, float]:
    """Returns recall, precision and F1 of each metric in percent, and `conll_f1`, the average."""
    found = {"conll_f1": 100 * conll_average(scores)}
    for name, score in scores.items():
        for part in ("f1", "recall", "precision"):
            found[f"{name}_{part}"] = 100 * getattr(score, part)
    return found


def _document(key: Clusters, response: Clusters) -> tuple["_Pair", int]:
    """Returns the clusters of a document as sets, and how many repeated mentions were dropped."""
    key = [list(dict.fromkeys(cluster)) for cluster in key]
    of_key = {mention: number for number, entity in enumerate(key) for mention in entity}
    seen: set[Mention] = set()
    kept, repeated = [], 0
    for entity in _in_reading_order(response):
        mentions = []
        for mention in dict.fromkeys(entity):
            if mention in of_key and mention in seen:
                repeated += 1
            else:
                mentions.append(mention)
            seen.add(mention)
        kept.append(mentions)
    pair = _Pair(*([set(entity) for entity in side if entity] for side in (key, kept)))
    return pair, repeated


def _in_reading_order(entities: Clusters) -> list[Sequence[Mention]]:
    """Returns entities in the order in which their brackets open in a file.

    Mentions that are not (first word, last word) leave them as they are. Of two that are opened by
    the same mention of several words, the later one closes last, and so opens first: (2|(1 1)|2).
    """
    spans = [[m for m in entity if isinstance(m, tuple) and len(m) == 2] for entity in entities]
    if any(not of_one or len(of_one) < len(e) for of_one, e in zip(spans, entities, strict=True)):
        return list(entities)
    opened = []
    for number, of_one in enumerate(spans):
        first, last = min(of_one, key=lambda span: (span[0], -span[1]))
        opened.append((first, -last, -number if first < last else number))
    return [entities[number] for *_, number in sorted((*key, abs(key[-1])) for key in opened)]


class _Pair:
    """The entities of key and response in one document, as sets, and their scores."""

    def __init__(self, key: list[set], response: list[set]):
        self.key, self.response = key, response
        of_key = {mention: number for number, entity in enumerate(key) for mention in entity}
        # Of each entity of the response: of its mentions that the key has, the key's entities.
        self.theirs = [[of_key[m] for m in entity if m in of_key] for entity in response]
        places: dict[Mention, list[int]] = {}
        for number, entity in enumerate(response):
            for mention in entity:
                places.setdefault(mention, []).append(number)
        shared = Counter(
            (k, r) for k, entity in enumerate(key) for m in entity for r in places.get(m, ())
        )
        self.shared = shared  # |K ∩ R| by the numbers of both.

    def mentions(self) -> Score:
        key, response = (set().union(*entities) for entities in (self.key, self.response))
        both = len(key & response)
        return Score((both, len(key)), (both, len(response)))

    def muc(self) -> Score:
        found = sum(len(theirs) - len(set(theirs)) for theirs in self.theirs)
        return Score(*((found, sum(len(e) - 1 for e in side)) for side in self._sides()))

    def bcub(self) -> Score:
        recall = precision = 0.0
        for number, theirs in enumerate(self.theirs):
            for k in theirs:
                both = self.shared[k, number]
                recall += both / len(self.key[k])
                precision += both / len(self.response[number])
        return Score(*zip((recall, precision), self._counts(), strict=True))

    def ceafm(self) -> Score:
        found = self._matched(lambda both, k, r: both)
        return Score(*((found, count) for count in self._counts()))

    def ceafe(self) -> Score:
        found = self._matched(lambda both, k, r: 2 * both / (len(k) + len(r)))
        return Score(*((found, len(side)) for side in self._sides()))

    def lea(self) -> Score:
        return Score(_lea(self.key, self.response), _lea(self.response, self.key))

    def same(self) -> Score:
        """Returns the score of the pairs of mentions of the same entity."""
        return _of_sets(*map(_pairs_within, self._sides()))

    def other(self) -> Score:
        """Returns the score of the pairs of mentions of two entities."""
        return _of_sets(*map(_pairs_across, self._sides()))

    def _sides(self) -> tuple[list[set], list[set]]:
        return self.key, self.response

    def _counts(self) -> list[int]:
        """Returns the number of mentions of each side, repeated ones included."""
        return [sum(map(len, side)) for side in self._sides()]

    def _matched(self, similarity) -> float:
        """Returns the total similarity of the best one-to-one matching of entities."""
        table = np.zeros((len(self.key), len(self.response)))
        for (k, r), both in self.shared.items():
            table[k, r] = similarity(both, self.key[k], self.response[r])
        rows, columns = best_matching(table)
        return float(table[rows, columns].sum())


def _lea(entities: list[set], others: list[set]) -> tuple[float, float]:
    """Returns Σ |e| · (links found / links) and Σ |e|; a singleton's link is to itself."""
    places = {mention: number for number, entity in enumerate(others) for mention in entity}
    total = 0.0
    for entity in entities:
        found = Counter(places[mention] for mention in entity if mention in places)
        links = len(entity) * (len(entity) - 1) / 2
        common = sum(count * (count - 1) / 2 for count in found.values())
        if len(entity) == 1:
            links, common = 1, sum(len(others[number]) == 1 for number in found)
        total += len(entity) * common / links
    return total, sum(map(len, entities))


def _pairs_within(entities: list[set]) -> set[frozenset]:
    return {frozenset(pair) for entity in entities for pair in itertools.combinations(entity, 2)}


def _pairs_across(entities: list[set]) -> set[frozenset]:
    return {
        frozenset(pair)
        for first, second in itertools.combinations(entities, 2)
        for pair in itertools.product(first, second)
    }


def _of_sets(key: set, response: set) -> Score:
    both = len(key & response)
    return Score((both, len(key)), (both, len(response)))


def best_matching(similarity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns rows and columns of the one-to-one matching with the highest sum.

    Source: Jonker and Volgenant 1987; each row in turn takes the cheapest alternating path.
    """
    is_turned = similarity.shape[0] > similarity.shape[1]
    costs = -(similarity.T if is_turned else similarity)
    num_rows, num_columns = costs.shape
    row_of = np.full(num_columns, -1)
    row_prices, column_prices = np.zeros(num_rows), np.zeros(num_columns)
    for free in range(num_rows):
        distances = np.full(num_columns, np.inf)
        before = np.full(num_columns, -1)  # The column before each one on its path.
        is_open, row, last = np.ones(num_columns, bool), free, -1
        done: list[int] = []
        reached = 0.0
        while row >= 0:
            through = reached + costs[row] - row_prices[row] - column_prices
            closer = is_open & (through < distances)
            distances[closer], before[closer] = through[closer], last
            last = int(np.argmin(np.where(is_open, distances, np.inf)))
            is_open[last], reached = False, distances[last]
            row = row_of[last]
            done.append(last)
        gains = reached - distances[done[:-1]]
        row_prices[free] += reached
        row_prices[row_of[done[:-1]]] += gains
        column_prices[done[:-1]] -= gains
        while last >= 0:
            row_of[last] = free if before[last] < 0 else row_of[before[last]]
            last = before[last]
    columns = np.flatnonzero(row_of >= 0)
    rows = row_of[columns]
    return (columns, rows) if is_turned else (rows, columns)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
