"""Scores tagged sequences as conlleval does, the official scorer of CoNLL-2000 and CoNLL-2003.

    gold         B-PER I-PER O  B-LOC
    predicted    B-PER I-PER O  I-ORG     1 of 2 entities found: precision 50, recall 50, F1 50

An entity is right if its first word, last word and type are. Sequences may be malformed: conlleval
has a rule for any two neighbouring tags. The strict scores beside it, those of seqeval's strict
mode, drop every entity that is not written as its scheme says.

Tags of BIOES go through `to_iob2` first: conlleval does not know S, and misreads E.

Source: Tjong Kim Sang, conlleval.pl, 2004; Nakayama, seqeval 1.2.2.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

OUTSIDE = "O"


class Entity(NamedTuple):
    """Words `first` to `last`, both inclusive, counted from 0 in their sentence."""

    first: int
    last: int
    type: str


def split_tag(tag: str) -> tuple[str, str]:
    """Returns a tag's letter and type, which are separated by the first hyphen."""
    letter, _, type_ = tag.partition("-")
    return letter, type_


def entities(tags: Sequence[str]) -> list[Entity]:
    """Returns the entities of a sentence by conlleval's rule."""
    found: list[Entity] = []
    first, previous = None, (OUTSIDE, "")
    for i, tag in enumerate([*tags, OUTSIDE]):
        current = split_tag(tag)
        starts = _starts(previous, current)
        if first is not None and (starts or i == len(tags) or _ends(previous, current)):
            found.append(Entity(first, i - 1, previous[1]))
            first = None
        if starts:
            first = i
        previous = current
    return found


_STARTS = {"BB", "IB", "OB", "OI", "EE", "EI", "OE"}
_ENDS = {"BB", "BO", "IB", "IO", "EE", "EI", "EO"}


def _starts(previous: tuple[str, str], current: tuple[str, str]) -> bool:
    is_new_type = current[0] != OUTSIDE and previous[1] != current[1]
    return is_new_type or previous[0] + current[0] in _STARTS


def _ends(previous: tuple[str, str], current: tuple[str, str]) -> bool:
    is_new_type = previous[0] != OUTSIDE and previous[1] != current[1]
    return is_new_type or previous[0] + current[0] in _ENDS


def strict_entities(tags: Sequence[str]) -> list[Entity]:
    """Returns the entities that are written as IOB2 says: a B, and I's of its type."""
    found: list[Entity] = []
    for i, (letter, type_) in enumerate(map(split_tag, tags)):
        if letter == "B":
            found.append(Entity(i, i, type_))
        elif letter == "I" and found and found[-1][1:] == (i - 1, type_):
            found[-1] = found[-1]._replace(last=i)
    return found


def to_iob2(tags: Sequence[str], scheme: str) -> list[str]:
    """Returns tags of a scheme, `iob1`, `iob2` or `bioes`, in IOB2: each entity begins with B.

    Malformed BIOES stays malformed: only the letters S and E change.
    """
    letters = {"S": "B", "E": "I"} if scheme == "bioes" else {}
    converted, previous = [], (OUTSIDE, "")
    for tag in tags:
        current = split_tag(tag)
        letter, type_ = letters.get(current[0], current[0]), current[1]
        if scheme == "iob1" and letter == "I" and _starts(previous, current):
            letter = "B"
        converted.append(f"{letter}-{type_}" if "-" in tag else letter)
        previous = current
    return converted


def from_iob2(tags: Sequence[str], scheme: str) -> list[str]:
    """Returns the entities of IOB2 tags, well formed or not, in `iob1`, `iob2` or `bioes`."""
    written, previous = [OUTSIDE] * len(tags), None
    for entity in entities(tags):
        first, last, type_ = entity
        written[first : last + 1] = [f"I-{type_}"] * (last + 1 - first)
        follows = previous is not None and (previous.last + 1, previous.type) == (first, type_)
        if scheme != "iob1" or follows:
            written[first] = f"B-{type_}"
        if scheme == "bioes":
            written[last] = f"{'S' if first == last else 'E'}-{type_}"
        previous = entity
    return written


def evaluate(
    gold: Iterable[Sequence[str]],
    predicted: Iterable[Sequence[str]],
    find: Callable[[Sequence[str]], list[Entity]] = entities,
) -> dict[str, Any]:
    """Returns conlleval's figures of the tags of sentences, in percent; 0 where nothing is counted.

    Args:
        find: returns the entities of a sentence: `entities`, or `strict_entities`.

    Returns: `tokens`; `accuracy`, over tags; `gold`, `found`, `correct`, numbers of entities;
        `precision`, `recall`, `f1`; `types`: the same from `gold` on, for each type by name.

    Example:

        evaluate([["B-PER", "O"]], [["B-PER", "B-LOC"]])["precision"]  # 50.0
    """
    counts = {name: Counter() for name in ("gold", "found", "correct")}
    num_tokens = num_equal = 0
    for right, answer in zip(gold, predicted, strict=True):
        if len(right) != len(answer):
            raise ValueError(
                f"A sentence has {len(right)} gold tags and {len(answer)} predicted ones: "
                f"{' '.join(right):.100}"
            )
        num_tokens += len(right)
        num_equal += sum(a == b for a, b in zip(right, answer, strict=True))
        sets = {"gold": set(find(right)), "found": set(find(answer))}
        sets["correct"] = sets["gold"] & sets["found"]
        for name, group in sets.items():
            counts[name].update(entity.type for entity in group)
    types = sorted(counts["gold"].keys() | counts["found"].keys())
    return {
        "tokens": num_tokens,
        "accuracy": _percent(num_equal, num_tokens),
        **_figures(*(each.total() for each in counts.values())),
        "types": {type_: _figures(*(each[type_] for each in counts.values())) for type_ in types},
    }


def report(figures: dict[str, Any]) -> str:
    """Returns the figures of `evaluate` as conlleval prints them."""
    lines = [
        "processed {tokens} tokens with {gold} phrases; found: {found} phrases; correct: "
        "{correct}.\naccuracy: {accuracy:6.2f}%; ".format(**figures)
        + _line(figures)
    ]
    for name, each in figures["types"].items():
        lines.append(f"{name:>17}: {_line(each)}  {each['found']}")
    return "\n".join(lines) + "\n"


def _line(figures: dict[str, Any]) -> str:
    return "precision: {precision:6.2f}%; recall: {recall:6.2f}%; FB1: {f1:6.2f}".format(**figures)


def _figures(gold: int, found: int, correct: int) -> dict[str, Any]:
    return {
        "gold": gold,
        "found": found,
        "correct": correct,
        "precision": _percent(correct, found),
        "recall": _percent(correct, gold),
        "f1": _percent(2 * correct, gold + found),
    }


def _percent(part: int, whole: int) -> float:
    return 100.0 * part / whole if whole else 0.0
