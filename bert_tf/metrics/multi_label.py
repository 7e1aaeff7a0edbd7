"""Metrics and thresholds of multi-label classification, where a text has any number of labels.

Labels are boolean arrays [N, C]: whether example n has label c. The metrics are those of
scikit-learn, with 0 for a ratio without cases.
"""

import numpy as np
from numpy.typing import ArrayLike

from bert_tf.metrics.classification import metrics_of_counts


def scores(labels: ArrayLike, predictions: ArrayLike) -> dict[str, float]:
    """Returns metrics as fractions.

    `micro_f1` is the F1 of all decisions together, `macro_f1` the mean of the labels' F1 and
    `accuracy` the fraction of examples whose labels are all right.
    """
    labels, predictions = _checked(labels, predictions)
    hits, sizes = np.sum(labels & predictions), np.sum(labels) + np.sum(predictions)
    each = label_metrics(labels, predictions)
    return {
        "micro_f1": float(2 * hits / max(sizes, 1)),
        "macro_f1": float(np.mean([metrics["f1"] for metrics in each])),
        "accuracy": float(np.mean(np.all(labels == predictions, axis=1))),
    }


def label_metrics(labels: ArrayLike, predictions: ArrayLike) -> list[dict[str, float]]:
    """Returns each label's precision, recall, F1 and number of examples that have it."""
    labels, predictions = _checked(labels, predictions)
    counts = (np.sum(which, axis=0) for which in (labels & predictions, predictions, labels))
    return metrics_of_counts(*counts)


def best_thresholds(labels: ArrayLike, probabilities: ArrayLike) -> list[float]:
    """Returns for each label the threshold with the highest F1, 0.5 for a label without examples.

    It lies halfway between two probabilities. Of equally good ones it is the highest.
    """
    labels, probabilities = _checked(labels, probabilities, np.float64)
    thresholds = []
    for is_right, values in zip(labels.T, probabilities.T, strict=True):
        order = np.argsort(-values, kind="stable")
        values = values[order]
        f1 = 2 * np.cumsum(is_right[order]) / (np.arange(1, len(values) + 1) + np.sum(is_right))
        below = np.append(values[1:], 0.0)
        f1[values == below] = 0.0  # Equal probabilities are on the same side.
        best = int(np.argmax(f1))
        middle = (values[best] + below[best]) / 2
        thresholds.append(float(f"{middle:.6g}") if np.any(is_right) else 0.5)
    return thresholds


def parse_thresholds(text: str, num_labels: int) -> tuple[float, ...]:
    """Returns a threshold for each label: of "0.5" all the same, of "auto", not yet chosen, 0.5.

    Raises a ValueError for other numbers of thresholds, and for those outside 0 to 1.
    """
    parts = ["0.5"] if text == "auto" else text.split(",")
    try:
        values = tuple(map(float, parts * (num_labels if len(parts) == 1 else 1)))
    except ValueError:
        values = ()
    if len(values) != num_labels or not all(0.0 <= value <= 1.0 for value in values):
        raise ValueError(
            f"thresholds must be auto, a number from 0 to 1, or one for each of the {num_labels} "
            f"labels with commas between them. Received: {text!r}"
        )
    return values


def _checked(labels: ArrayLike, predictions: ArrayLike, dtype=bool) -> tuple:
    labels, predictions = np.asarray(labels, bool), np.asarray(predictions, dtype)
    if labels.ndim != 2 or labels.shape != predictions.shape or not labels.size:
        raise ValueError(
            f"Labels and predictions must be arrays [N, C] of the same shape. Received: "
            f"{labels.shape} and {predictions.shape}"
        )
    return labels, predictions
