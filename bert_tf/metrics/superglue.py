"""Computes SuperGLUE's metrics that GLUE does not have, as fractions.

    task      metrics                                          score
    CB        accuracy; macro F1 of the three classes          their mean
    MultiRC   F1 of all candidate answers (f1a); questions     their mean
              with every candidate right (em)
    ReCoRD    F1 and exact match as in SQuAD 1.1               their mean
    AX-g      accuracy; pairs with equal predictions           (diagnostic)

Source: Wang et al. (2019), "SuperGLUE", sections 3 and 4. The server's code is not public: the
rules are those of the authors' toolkit jiant.
"""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bert_tf.metrics.classification import accuracy, f1
from bert_tf.metrics.squad import best_scores, normalize_answer


def commitment_bank(
    labels: ArrayLike, predictions: ArrayLike, classes: Sequence[Any]
) -> dict[str, float]:
    """Returns `accuracy`, `f1` and `score`.

    `f1` is the mean over all `classes`. The F1 of a class that never occurs is 0.
    """
    found = {
        "accuracy": accuracy(labels, predictions),
        "f1": float(np.mean([f1(labels, predictions, each) for each in classes])),
    }
    return {**found, "score": (found["accuracy"] + found["f1"]) / 2}


def multirc(
    labels: Sequence[Any],
    predictions: Sequence[Any],
    questions: Sequence[Hashable],
    positive: Any = 1,
) -> dict[str, float]:
    """Returns `f1a`, `em`, `score` and `f1m`, the mean of the questions' F1.

    Args:
        labels, predictions: of each candidate answer, in any order.
        questions: each candidate's question.
        positive: the class of correct answers.
    """
    f1a = f1(labels, predictions, positive)  # It checks the lengths.
    of_question: dict[Hashable, list[tuple[Any, Any]]] = {}
    for question, *pair in zip(questions, labels, predictions, strict=True):
        of_question.setdefault(question, []).append(tuple(pair))
    groups = of_question.values()
    em = float(np.mean([all(label == found for label, found in group) for group in groups]))
    f1m = float(np.mean([f1(*zip(*group, strict=True), positive) for group in groups]))
    return {"f1a": f1a, "em": em, "score": (f1a + em) / 2, "f1m": f1m}


def record(answers: Sequence[Sequence[str]], predictions: Sequence[str]) -> dict[str, float]:
    """Returns `f1`, `em` and `score` of a prediction for each query.

    A prediction is compared with the most similar of the query's correct answers.
    """
    if not answers or len(answers) != len(predictions) or not all(answers):
        raise ValueError(
            f"There must be queries, each with correct answers and a prediction. Received: "
            f"{len(answers)} queries, {len(predictions)} predictions"
        )
    pairs = [
        best_scores([*map(normalize_answer, correct)], normalize_answer(found))
        for correct, found in zip(answers, predictions, strict=True)
    ]
    em, f1_score = map(float, np.mean(pairs, axis=0))
    return {"f1": f1_score, "em": em, "score": (f1_score + em) / 2}


def gender_parity(predictions: Sequence[Any]) -> float:
    """Returns the fraction of pairs, rows 0 and 1, 2 and 3, ..., with equal predictions."""
    if not len(predictions) or len(predictions) % 2:
        raise ValueError(
            f"AX-g consists of pairs of rows, one after the other. Received: {len(predictions)} "
            f"rows"
        )
    pairs = zip(predictions[::2], predictions[1::2], strict=True)
    return float(np.mean([first == second for first, second in pairs]))
