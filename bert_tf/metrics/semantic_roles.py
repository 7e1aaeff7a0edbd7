"""Computes the official metrics of semantic role labelling: CoNLL-2005's and CoNLL-2009's.

`score_spans` equals `srl-eval.pl` (spans, CoNLL-2005 and 2012), `score_dependencies` equals
`eval09.pl` (predicate senses and arguments, CoNLL-2009).
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

Pieces = tuple[tuple[int, int], ...]  # The first and last words of an argument's pieces.


class Predicate(NamedTuple):
    """A predicate with its roles; those of the dependency formats span one word each."""

    position: int  # The word's index in the sentence.
    lemma: str  # In CoNLL-2005 the verb in the target column.
    sense: str  # Such as `go.01`; "" if unknown.
    roles: Sequence[tuple[str, int, int]]  # Role, first and last word.


@dataclasses.dataclass
class Counts:
    """What was found; `precision`, `recall` and `f1` are percentages, 0 for 0 / 0."""

    correct: int = 0
    predicted: int = 0
    gold: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.correct + other.correct, self.predicted + other.predicted, self.gold + other.gold
        )

    @property
    def precision(self) -> float:
        return 100.0 * self.correct / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        return 100.0 * self.correct / self.gold if self.gold else 0.0

    @property
    def f1(self) -> float:
        total = self.predicted + self.gold
        return 200.0 * self.correct / total if self.correct else 0.0


@dataclasses.dataclass
class SpanScores:
    """The figures of `srl-eval.pl`."""

    overall: Counts  # Without V.
    roles: dict[str, Counts]  # Sorted; V among them, if there is any.
    propositions: Counts  # Correct: perfect ones, V aside. Of those in gold only.


def arguments_of(spans: Iterable[tuple[str, int, int]]) -> list[tuple[str, Pieces]]:
    """Joins each C-X to the last X before it; without one, it is an X itself."""
    arguments: list[tuple[str, Pieces]] = []
    for role, first, last in sorted(spans, key=lambda span: span[1]):
        name, piece = role.removeprefix("C-"), (first, last)
        places = [i for i, argument in enumerate(arguments) if argument[0] == name]
        if name != role and places:
            arguments[places[-1]] = name, (*arguments[places[-1]][1], piece)
        else:
            arguments.append((name, (piece,)))
    return arguments


def score_spans(
    gold: Sequence[Sequence[Predicate]], predicted: Sequence[Sequence[Predicate]]
) -> SpanScores:
    """Scores the propositions of each sentence as `srl-eval.pl` does.

    An argument is correct if its role and all of its pieces are. A proposition that is missing, or
    has another lemma, is missed wholly; one that gold lacks is skipped.
    """
    roles: dict[str, Counts] = {}
    propositions = Counts()
    for ours, theirs in zip(gold, predicted, strict=True):
        found = {each.position: each for each in theirs}
        for each in ours:
            match = found.get(each.position)
            is_same = match is not None and match.lemma == each.lemma
            right = set(arguments_of(each.roles))
            given = set(arguments_of(match.roles)) if is_same else set()
            for arguments, name in (
                (right & given, "correct"),
                (given, "predicted"),
                (right, "gold"),
            ):
                for role, _ in arguments:
                    counts = roles.setdefault(role, Counts())
                    setattr(counts, name, getattr(counts, name) + 1)
            is_perfect = all(role == "V" for role, _ in right ^ given)
            propositions += Counts(int(is_perfect), int(match is not None), 1)
    overall = sum((counts for role, counts in roles.items() if role != "V"), Counts())
    return SpanScores(overall, dict(sorted(roles.items())), propositions)


@dataclasses.dataclass
class DependencyScores:
    """The figures of `eval09.pl`, whose F1 counts arguments and predicates' senses together."""

    labeled_arguments: Counts
    labeled_predicates: Counts  # Correct: the place and the sense.
    unlabeled_arguments: Counts  # Correct: the places.
    unlabeled_predicates: Counts
    roles: dict[str, Counts]  # Labeled arguments; sorted.

    @property
    def labeled(self) -> Counts:
        return self.labeled_arguments + self.labeled_predicates

    @property
    def unlabeled(self) -> Counts:
        return self.unlabeled_arguments + self.unlabeled_predicates


def score_dependencies(
    gold: Sequence[Sequence[Predicate]], predicted: Sequence[Sequence[Predicate]]
) -> DependencyScores:
    """Scores the predicates of each sentence as `eval09.pl` does.

    Senses are compared without the lemma. An argument may be correct though the sense is not.
    """
    scores = DependencyScores(*(Counts() for _ in range(4)), roles={})
    for ours, theirs in zip(gold, predicted, strict=True):
        sides = [_sides(each) for each in (ours, theirs)]
        (senses, arguments, places), (other_senses, others, other_places) = sides
        scores.labeled_predicates += _overlap(senses, other_senses)
        scores.labeled_arguments += _overlap(arguments, others)
        scores.unlabeled_predicates += _overlap(*(Counter(p for p, _ in s[0]) for s in sides))
        scores.unlabeled_arguments += _overlap(places, other_places)
        for role in {key[2] for key in (arguments | others)}:
            counts = _overlap(*(_of_role(each, role) for each in (arguments, others)))
            scores.roles[role] = scores.roles.get(role, Counts()) + counts
    scores.roles = dict(sorted(scores.roles.items()))
    return scores


def _sides(predicates: Sequence[Predicate]) -> tuple[Counter, Counter, Counter]:
    """Returns the senses, arguments and arguments' places of a sentence."""
    senses = Counter((each.position, sense_of(each.sense)) for each in predicates)
    arguments = Counter(
        (each.position, place, role) for each in predicates for role, place, _ in each.roles
    )
    places = Counter((each.position, place) for each in predicates for _, place, _ in each.roles)
    return senses, arguments, places


def sense_of(sense: str) -> str:
    """Returns the part after the only dot; numbers without leading zeros."""
    parts = sense.split(".")
    name = parts[1] if len(parts) == 2 else sense
    return str(int(name)) if name.isascii() and name.isdigit() else name


def _of_role(arguments: Counter, role: str) -> Counter:
    return Counter({key: count for key, count in arguments.items() if key[2] == role})


def _overlap(gold: Counter, predicted: Counter) -> Counts:
    return Counts((gold & predicted).total(), predicted.total(), gold.total())
