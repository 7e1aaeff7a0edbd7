"""Converts roles of a sentence between BIO tags, spans and CoNLL's brackets, and decodes tags.

    words      He    ate   the    apple
    tags       B-A0  B-V   B-A1   I-A1
    brackets   (A0*) (V*)  (A1*   *)
    spans      ("A0", 0, 0), ("V", 1, 1), ("A1", 2, 3)

Source: the rules of AllenNLP's `convert_bio_tags_to_conll_format` and `viterbi_decode`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bert_tf.metrics.conlleval import OUTSIDE, entities

PREDICATE_ROLE = "V"  # The role of the predicate itself, where it has one.


class RoleSpan(NamedTuple):
    """A role and its first and last word, both inclusive."""

    role: str
    first: int
    last: int


def spans_of_tags(tags: Sequence[str]) -> list[RoleSpan]:
    """Returns the spans of BIO tags, well-formed or not: those of conlleval."""
    return [RoleSpan(role, first, last) for first, last, role in entities(tags)]


def role_spans(tags: Sequence[str]) -> list[RoleSpan]:
    """Returns the spans of BIO tags; of other tags each is a role by itself."""
    if any(tag.startswith(("B-", "I-")) for tag in tags):
        return spans_of_tags(tags)
    return [RoleSpan(tag, i, i) for i, tag in enumerate(tags) if tag != OUTSIDE]


def tags_of_spans(spans: Sequence[RoleSpan], num_words: int) -> list[str]:
    """Returns the BIO tags of spans that do not overlap."""
    tags = [OUTSIDE] * num_words
    for role, first, last in spans:
        tags[first : last + 1] = [f"B-{role}", *[f"I-{role}"] * (last - first)]
    return tags


def brackets_of_spans(spans: Sequence[RoleSpan], num_words: int) -> list[str]:
    """Returns a column of brackets, such as `(A1*`, `*`, `*)`."""
    cells = ["*"] * num_words
    for role, first, last in spans:
        cells[first] = f"({role}{cells[first]}"
        cells[last] += ")"
    return cells


def spans_of_brackets(cells: Sequence[str]) -> list[RoleSpan]:
    """Reads a column of brackets. Raises a ValueError for nested, open or empty ones."""
    spans: list[RoleSpan] = []
    role = None
    for place, cell in enumerate(cells):
        opening, star, closing = cell.partition("*")
        if not star or closing not in ("", ")") or (opening and not opening.startswith("(")):
            raise ValueError(f"word {place}: brackets are (ROLE*, * or *). Received: {cell!r}")
        if opening:
            if role is not None or "(" in opening[1:] or not opening[1:]:
                raise ValueError(f"word {place}: one role at a time. Received: {cell!r}")
            role = opening[1:]
            spans.append(RoleSpan(role, place, place))
        if closing:
            if role is None:
                raise ValueError(f"word {place}: nothing is open here. Received: {cell!r}")
            spans[-1] = spans[-1]._replace(last=place)
            role = None
    if role is not None:
        raise ValueError(f"the role {role} is never closed")
    return spans


def tags_of_pieces(tags: Sequence[str], pieces_per_word: Sequence[int]) -> list[str]:
    """Returns the tags of word pieces: the word's at its first one, I or O at the others."""
    spread = []
    for tag, count in zip(tags, pieces_per_word, strict=True):
        inside = tag if tag == OUTSIDE else f"I-{tag[2:]}"
        spread += [tag, *[inside] * (count - 1)][:count]
    return spread


def transition_scores(labels: Sequence[str]) -> np.ndarray:
    """Returns what BIO allows: 0, or -inf for I-X at the start or not after B-X or I-X.

    Returns: float32 [C + 2, C], as `bert_tf.model.crf` has it: from a tag, or at last from the
        start and from the end (row), to the next tag (column). All may end.
    """
    is_inside = np.array([label.startswith("I-") for label in labels])
    same_role = np.array([[a != OUTSIDE and a[2:] == b[2:] for b in labels] for a in labels])
    is_invalid = [*(is_inside & ~same_role), is_inside, np.zeros_like(is_inside)]
    return np.where(is_invalid, -np.inf, 0.0).astype(np.float32)


def viterbi(scores: np.ndarray, labels: Sequence[str]) -> tuple[list[int], float]:
    """Returns the valid BIO path with the highest sum of scores, as label ids, and the sum.

    Args:
        scores: of each word's labels, [T, C]. The decoders of this package pass log-probabilities,
            whose best path is that of the logits. (AllenNLP adds up probabilities.)
    """
    transitions = transition_scores(labels).astype(np.float64)
    best, back = transitions[-2], []
    for place, row in enumerate(np.asarray(scores, np.float64)):
        if place:
            sums = best[:, None] + transitions[:-2]
            back.append(sums.argmax(axis=0))
            best = sums.max(axis=0)
        best = best + row
    if not len(scores):
        return [], 0.0
    path = [int(best.argmax())]
    for pointers in reversed(back):
        path.append(int(pointers[path[-1]]))
    return path[::-1], float(best.max())
