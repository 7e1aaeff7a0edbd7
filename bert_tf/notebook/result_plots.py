"""Draws results: which classes are confused, which threshold is best, how fast a model is."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bert_tf.metrics.classification import confusion_matrix
from bert_tf.notebook.figures import BLUE, GREY, RED, new_figure
from bert_tf.notebook.speed import Speed
from bert_tf.notebook.thresholds import ThresholdCurve


def plot_confusion(expected: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> Any:
    """Draws how many texts of each class (rows) were given each class (columns).

    Raises a ValueError for a class that is not among `labels`, or lists of different lengths.
    """
    unknown = {*expected, *predicted} - set(labels)
    if unknown:
        raise ValueError(f"The classes are {', '.join(labels)}. Received: {sorted(unknown)}")
    counts = confusion_matrix(expected, predicted, labels)
    side = 0.9 * len(labels) + 1.6
    figure, (axis,) = new_figure(1, 1, side + 0.6, side)
    axis.imshow(counts, cmap="Blues", vmin=0)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if count > counts.max() / 2 else "black"
        axis.text(column, row, str(count), ha="center", va="center", color=colour)
    axis.set_xticks(range(len(labels)), labels, rotation=30)
    axis.set_yticks(range(len(labels)), labels)
    axis.tick_params(length=0)
    axis.set(xlabel="predicted", ylabel="correct")
    return figure


def plot_thresholds(curve: ThresholdCurve) -> Any:
    """Draws the scores of SQuAD 2.0 against the threshold of "no answer", and marks the best."""
    figure, (axis,) = new_figure(1, 1, 7.5, 3.8)
    axis.plot(curve.thresholds, curve.f1, color=BLUE, linewidth=2, label="all questions")
    axis.plot(curve.thresholds, curve.f1_answerable, "--", color=GREY, label="with an answer")
    axis.plot(curve.thresholds, curve.f1_unanswerable, ":", color=GREY, label="without an answer")
    axis.axvline(curve.best_threshold, color=RED, linewidth=1)
    axis.plot([curve.best_threshold], [curve.best_f1], "o", color=RED, label="best threshold")
    axis.set(
        xlabel="threshold: score of no answer minus score of the best answer",
        ylabel="F1 (%)",
        ylim=(-3, 103),
    )
    axis.grid(alpha=0.3)
    axis.legend(fontsize="small")
    return figure


def plot_speed(speeds: Sequence[Speed]) -> Any:
    """Draws latency and throughput against batch size; the band holds nine tenths of the calls."""
    figure, (latency, throughput) = new_figure(1, 2, 10, 3.6)
    sizes = [speed.batch_size for speed in speeds]
    latency.fill_between(
        sizes,
        [1000 * speed.fastest for speed in speeds],
        [1000 * speed.slowest for speed in speeds],
        color=BLUE,
        alpha=0.2,
    )
    latency.plot(sizes, [1000 * speed.median for speed in speeds], "o-", color=BLUE)
    latency.set(title="latency of a call (ms)", ylim=(0, None))
    throughput.plot(sizes, [speed.texts_per_second for speed in speeds], "o-", color=RED)
    throughput.set(title="throughput (texts per second)", ylim=(0, None))
    for axis in (latency, throughput):
        axis.set_xscale("log", base=2)
        axis.set_xticks(sizes, [str(size) for size in sizes])
        axis.set(xlabel="texts per call")
        axis.grid(alpha=0.3)
    return figure
