"""Scores of SQuAD 2.0 for many thresholds of "no answer"."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bert_tf.metrics import squad


@dataclasses.dataclass(frozen=True)
class ThresholdCurve:
    """F1 in percent by threshold; a question whose null odds exceed it gets no answer."""

    thresholds: tuple[float, ...]
    f1: tuple[float, ...]
    f1_answerable: tuple[float, ...]
    f1_unanswerable: tuple[float, ...]
    best_threshold: float
    best_f1: float


def threshold_curve(
    articles: Sequence[Mapping[str, Any]], answers: Mapping[str, Any], num_thresholds: int = 40
) -> ThresholdCurve:
    """Returns the official F1 of SQuAD 2.0 as a function of the threshold.

    Args:
        articles: the list `data` of a SQuAD 2.0 file.
        answers: by question id, what `Predictor.answer` returned.
        num_thresholds: points of the curve, the best one among them, over all null odds.

    Raises a ValueError if an answer has no null odds, or all questions are of the same kind.
    """
    lacking = [name for name, answer in answers.items() if answer.null_odds is None]
    if lacking:
        raise ValueError(
            f"The answer to {lacking[0]} has no null odds: the model must be trained, and loaded, "
            "with version_2_with_negative."
        )
    # The best answer that is one: the threshold decides whether it is given.
    texts = {
        name: next((entry.text for entry in answer.nbest if entry.text), "")
        for name, answer in answers.items()
    }
    odds = {name: answer.null_odds for name, answer in answers.items()}
    margin = 0.02 * (max(odds.values()) - min(odds.values())) + 1e-6
    best = squad.evaluate(articles, texts, odds)["best_f1_thresh"]
    evenly = np.linspace(
        min(odds.values()) - margin, max(odds.values()) + margin, num_thresholds - 1
    )
    thresholds = sorted([*evenly.tolist(), best])
    scores = [squad.evaluate(articles, texts, odds, threshold) for threshold in thresholds]
    absent = {"HasAns_f1", "NoAns_f1"} - set(scores[0])
    if absent:
        raise ValueError("A curve needs questions with and without an answer.")
    return ThresholdCurve(
        tuple(thresholds),
        tuple(score["f1"] for score in scores),
        tuple(score["HasAns_f1"] for score in scores),
        tuple(score["NoAns_f1"] for score in scores),
        best,
        scores[0]["best_f1"],
    )
