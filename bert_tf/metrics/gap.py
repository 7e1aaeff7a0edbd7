"""Computes the official metrics of GAP: pronouns that may mean one of two names, or neither.

Each row has two decisions, whether A is meant and whether B is. F1 is over all decisions, those of
masculine and those of feminine pronouns; `bias` is feminine F1 over masculine F1.

Source: google-research-datasets/gap-coreference, gap_scorer.py.
"""

from collections.abc import Mapping

_GENDERS = {
    **dict.fromkeys(("he", "him", "his"), "masculine"),
    **dict.fromkeys(("she", "her", "hers"), "feminine"),
}
_COUNTS = ("tp", "fp", "tn", "fn")

Decisions = tuple[bool | None, bool | None]  # Of A and B; None for neither true nor false.


def evaluate(
    gold: Mapping[str, tuple[str, bool, bool]], answers: Mapping[str, Decisions]
) -> dict[str, float]:
    """Returns counts and metrics by name, such as `f1`, `feminine_f1` and `masculine_tp`.

    Args:
        gold: by id, the pronoun and whether it means A, and B.
        answers: by id; a missing row, or a decision that is neither true nor false, counts as a
            false negative, whatever is right.

    Metrics are in percent, except `bias`, which is a ratio, and left out if an F1 is 0.
    """
    counts = {group: dict.fromkeys(_COUNTS, 0) for group in ("", "masculine", "feminine")}
    for row, (pronoun, *right) in gold.items():
        group = _GENDERS.get(pronoun.lower())
        for answer, truth in zip(answers.get(row, (None, None)), right, strict=True):
            if answer is None:
                kind = "fn"
            else:
                kind = ("t" if answer == truth else "f") + ("p" if answer else "n")
            for each in {"", group} - {None}:
                counts[each][kind] += 1
    metrics: dict[str, float] = {}
    for group, found in counts.items():
        named = {**_rates(found), **found}
        metrics |= {f"{group}_{name}".lstrip("_"): value for name, value in named.items()}
    if metrics["masculine_f1"] and metrics["feminine_f1"]:
        metrics["bias"] = metrics["feminine_f1"] / metrics["masculine_f1"]
    return metrics


def _rates(counts: Mapping[str, int]) -> dict[str, float]:
    tp, fp, fn = (counts[name] for name in ("tp", "fp", "fn"))
    precision, recall = _ratio(tp, tp + fp), _ratio(tp, tp + fn)
    f1 = _ratio(2 * precision * recall, precision + recall)
    return {"f1": 100 * f1, "recall": 100 * recall, "precision": 100 * precision}


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
