"""Reads the labels of a table's rows: one, several in a cell, or a column of 0 and 1 for each.

label               labels               toxic   insult
toxic               toxic, insult        1       1
"""

from collections import Counter
from collections.abc import Sequence

from bert_tf.tasks.tables import Cell
from bert_tf.tasks.text_examples import TextExample
from bert_tf.text.characters import is_blank

_YES, _NO = ("1", "1.0", "true"), ("0", "0.0", "false")


def split_labels(cell: Cell, separator: str) -> tuple[str, ...]:
    """Returns the labels in a cell, or of a JSON list, each once and without white space."""
    parts = cell if isinstance(cell, tuple) else (cell or "").split(separator)
    return tuple(dict.fromkeys(part.strip() for part in parts if not is_blank(part)))


def marked_labels(
    where: str, columns: Sequence[str], labels: Sequence[str], cells: Sequence[Cell]
) -> tuple[str, ...]:
    """Returns the labels with 1 in their columns; raises a ValueError unless the others have 0."""
    marked = []
    for column, label, cell in zip(columns, labels, cells, strict=True):
        value = (cell or "").strip().lower()
        if value not in (*_YES, *_NO):
            raise ValueError(
                f"{where}: the column {column!r} of a label must hold 1 or 0. Received: {cell!r}"
            )
        if value in _YES:
            marked.append(label)
    return tuple(marked)


def class_weights(
    text: str, labels: Sequence[str], examples: Sequence[TextExample], is_multi_label: bool
) -> tuple[float, ...]:
    """Returns the weights that `text`, numbers with commas or "balanced", gives the labels.

    "balanced" makes the classes count alike: with N of all examples n have a class, one of C, its
    weight is N / (C * n). A label of several has N - n counterexamples: its weight is (N - n) / n.
    """
    if text != "balanced":
        try:
            weights = tuple(map(float, text.split(",")))
        except ValueError:
            weights = ()
        is_valid = len(weights) == len(labels) and all(0 <= w < float("inf") for w in weights)
        if not is_valid or not any(weights):
            raise ValueError(
                f"--class_weights must be balanced, or numbers for {', '.join(labels)}, in this "
                f"order, with commas between them, from 0 on and not all 0. Received: {text!r}"
            )
        return weights
    total, counts = len(examples), Counter[str]()
    for example in examples:
        counts.update(example.label if is_multi_label else [example.label])
    ratios = {
        label: (total - counts[label], counts[label])
        if is_multi_label
        else (total, len(labels) * counts[label])
        for label in labels
    }
    return tuple(above / below if above and below else 1.0 for above, below in ratios.values())
