"""Writes what an evaluation found: predictions, errors, the confusion matrix, metrics per class.

eval_predictions.jsonl        a line per example: texts, gold, prediction, probabilities
eval_errors.jsonl             the wrong ones, the most confident first
eval_report.json              metrics; for classes also each one's, and the confusion matrix
eval_confusion_matrix.png     the matrix as a picture, if matplotlib is installed
"""

import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bert_tf import files
from bert_tf.metrics.classification import class_metrics, confusion_matrix
from bert_tf.metrics.multi_label import label_metrics
from bert_tf.tasks.task import Task, json_lines, write_files

logger = logging.getLogger(__name__)

_MAX_SHOWN = 20  # Classes in the log, and whose counts are written into the picture.


def write_report(
    task: Task,
    split: str,
    examples: Sequence[Any],
    answers: Sequence[Any],
    results: Mapping[str, float],
    folder: str,
    num_truncated: int = 0,
) -> None:
    """Writes the files above for an evaluation split; `eval_mismatched` has names of its own.

    A task without `record` has only its metrics in `eval_report.json`.
    """
    suffix = split.removeprefix("eval")
    record = getattr(task, "record", lambda *_: {})
    records = [record(*pair) for pair in zip(examples, answers, strict=True)]
    report = {"task": task.name, "files": task.sources(split), "examples": len(examples)}
    report["truncated_examples"] = num_truncated
    report["metrics"] = {name: float(value) for name, value in results.items()}
    contents = {}
    if records and all(records):
        contents[f"eval_predictions{suffix}.jsonl"] = json_lines(records)
        contents[f"eval_errors{suffix}.jsonl"] = json_lines(_worst_first(records))
    if task.labels and records and all("gold" in record for record in records):
        if isinstance(records[0]["gold"], list):
            report["classes"] = _label_report(task.labels, records)
            _log(report)
        else:
            report |= _class_report(task.labels, records)
            _log(report)
            _draw(report, files.join_path(folder, f"eval_confusion_matrix{suffix}.png"))
    contents[f"eval_report{suffix}.json"] = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
    write_files(folder, contents)


def _worst_first(records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    wrong = [record for record in records if record.get("error") or not record.get("correct", True)]
    return sorted(wrong, key=lambda record: -record.get("error", record.get("confidence", 0.0)))


def _class_report(labels: Sequence[str], records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    gold, predicted = ([record[name] for record in records] for name in ("gold", "label"))
    matrix = confusion_matrix(gold, predicted, labels)
    ((most_frequent, count),) = Counter(gold).most_common(1)
    return {
        "majority_baseline": {"label": most_frequent, "accuracy": count / len(gold)},
        "classes": dict(zip(labels, class_metrics(matrix), strict=True)),
        # A row per correct label, a column per predicted one.
        "labels": list(labels),
        "confusion_matrix": matrix.tolist(),
    }


def _label_report(labels: Sequence[str], records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the metrics of each label where examples have any number of them."""
    both = ([[x in each[name] for x in labels] for each in records] for name in ("gold", "label"))
    return dict(zip(labels, label_metrics(*both), strict=True))


def _log(report: Mapping[str, Any]) -> None:
    if baseline := report.get("majority_baseline"):
        logger.info("  Always %r would have an accuracy of %.4f.", *baseline.values())
    for label, each in list(report["classes"].items())[:_MAX_SHOWN]:
        logger.info(
            "  %r: precision %.3f, recall %.3f, F1 %.3f (%d examples)", label, *each.values()
        )


def _draw(report: Mapping[str, Any], path: str) -> None:
    """Draws the confusion matrix, if matplotlib is installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        logger.info("No picture of the confusion matrix: it needs `pip install matplotlib`.")
        return
    labels, matrix = report["labels"], np.array(report["confusion_matrix"])
    size = min(3 + 0.5 * len(labels), 30)
    figure = Figure(figsize=(size, size), layout="constrained")
    axes = figure.subplots()
    axes.imshow(matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1), cmap="Blues", vmax=1)
    for set_ticks in (axes.set_xticks, axes.set_yticks):
        set_ticks(range(len(labels)), [label[:20] for label in labels])
    axes.tick_params(axis="x", rotation=90)
    axes.set(xlabel="predicted", ylabel="correct")
    if len(labels) <= _MAX_SHOWN:
        for (row, column), count in np.ndenumerate(matrix):
            axes.text(column, row, count, ha="center", va="center")
    with files.atomic_write(path) as file:
        FigureCanvasAgg(figure).print_png(file)
