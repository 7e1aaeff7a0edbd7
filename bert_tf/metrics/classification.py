"""Computes GLUE's metrics of predicted classes and numbers, between -1 and 1, not in percent.

All raise a ValueError unless there are as many predictions as labels, and at least one.

Source: GLUE (Wang et al., 2018), section 3, and the references below.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def accuracy(labels: ArrayLike, predictions: ArrayLike) -> float:
    """Returns the fraction of predictions that equal their label."""
    labels, predictions = _checked(labels, predictions)
    return float(np.mean(labels == predictions))


def f1(labels: ArrayLike, predictions: ArrayLike, positive: Any = 1) -> float:
    """Returns the F1 of the class `positive`; 0 if it never occurs."""
    labels, predictions = _checked(labels, predictions)
    is_positive, found = labels == positive, predictions == positive
    size = np.sum(is_positive) + np.sum(found)
    return float(2 * np.sum(is_positive & found) / size) if size else 0.0


def matthews(labels: ArrayLike, predictions: ArrayLike) -> float:
    """Returns Matthews' correlation of two classes, or its generalization to more.

    It is 0 if all labels are the same, or all predictions.

    Source: Gorodkin (2004), "Comparing two K-category assignments by a K-category correlation
    coefficient", equation 8. With two classes it is Matthews' (1975).
    """
    labels, predictions = _checked(labels, predictions)
    classes = np.unique(np.concatenate([labels, predictions]))
    label_counts = np.array([np.sum(labels == each) for each in classes], dtype=np.float64)
    found_counts = np.array([np.sum(predictions == each) for each in classes], dtype=np.float64)
    total = float(len(labels))
    covariance = np.sum(labels == predictions) * total - label_counts @ found_counts
    label_variance = total**2 - label_counts @ label_counts
    found_variance = total**2 - found_counts @ found_counts
    if label_variance == 0 or found_variance == 0:
        return 0.0
    return float(covariance / np.sqrt(label_variance) / np.sqrt(found_variance))


def confusion_matrix(
    labels: ArrayLike, predictions: ArrayLike, classes: Sequence[Any]
) -> np.ndarray:
    """Returns int64 [C, C]: how often a label (row) was predicted as a class (column)."""
    labels, predictions = _checked(labels, predictions)
    index = {name: number for number, name in enumerate(classes)}
    matrix = np.zeros((len(classes), len(classes)), np.int64)
    for label, prediction in zip(labels.tolist(), predictions.tolist(), strict=True):
        matrix[index[label], index[prediction]] += 1
    return matrix


def class_metrics(matrix: np.ndarray) -> list[dict[str, float]]:
    """Returns the `metrics_of_counts` of each class from a confusion matrix."""
    return metrics_of_counts(np.diagonal(matrix), matrix.sum(axis=0), matrix.sum(axis=1))


def metrics_of_counts(
    correct: ArrayLike, found: ArrayLike, support: ArrayLike
) -> list[dict[str, float]]:
    """Returns each class's precision, recall, F1 and number of labels; a ratio without cases is 0.

    Args, of each class: how often it was predicted correctly, how often at all, and how often it is
        the label.
    """
    return [
        {
            "precision": float(hits / max(predicted, 1)),
            "recall": float(hits / max(actual, 1)),
            "f1": float(2 * hits / max(predicted + actual, 1)),
            "support": int(actual),
        }
        for hits, predicted, actual in zip(correct, found, support, strict=True)
    ]


def pearson(labels: ArrayLike, predictions: ArrayLike) -> float:
    """Returns Pearson's correlation; 0 if all labels are the same, or all predictions."""
    labels, predictions = _checked(labels, predictions)
    if np.all(labels == labels[0]) or np.all(predictions == predictions[0]):
        return 0.0
    labels, predictions = _standardized(labels), _standardized(predictions)
    return float(np.clip(np.mean(labels * predictions), -1.0, 1.0))


def spearman(labels: ArrayLike, predictions: ArrayLike) -> float:
    """Returns Spearman's correlation, which is Pearson's correlation of the ranks."""
    labels, predictions = _checked(labels, predictions)
    return pearson(ranks(labels), ranks(predictions))


def ranks(values: ArrayLike) -> np.ndarray:
    """Returns the ranks of the values, from 1, float64 [N]; ties share their mean rank.

    ranks([10, 30, 20, 20])    # [1, 4, 2.5, 2.5]
    """
    _, indices, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[indices]


def _standardized(values: np.ndarray) -> np.ndarray:
    """Scales values to mean 0 and variance 1, without overflow or underflow of their squares."""
    values = np.asarray(values, np.float64)
    values = values - values.mean()
    values = values / np.max(np.abs(values))
    return values / np.sqrt(np.mean(values**2))


def _checked(labels: ArrayLike, predictions: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.ndim != 1 or labels.shape != predictions.shape or not len(labels):
        raise ValueError(
            f"There must be as many predictions as labels, and at least one. Received: labels of "
            f"shape {labels.shape}, predictions of shape {predictions.shape}"
        )
    return labels, predictions
