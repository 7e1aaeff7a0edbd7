"""Defines classification and regression on your own tables: `--task=tsv`.

    my_data/train.tsv:1    text            stars
    my_data/train.tsv:2    Good, but slow. 4

    --task_options=data_dir=my_data,text_a_column=text,label_column=stars

Tables are TSV, CSV or JSON lines, see `tables.py`; `docs/tasks.md` explains the options.
"""

import collections
import dataclasses
import logging
import math
import re
from collections.abc import Callable, Sequence

from bert_tf.settings.setting import setting
from bert_tf.tasks.classification import TextClassification
from bert_tf.tasks.table_options import TableOptions
from bert_tf.tasks.tables import read_records
from bert_tf.tasks.text_examples import TextExample, original_split, to_number
from bert_tf.text.characters import is_blank

logger = logging.getLogger(__name__)

VARIANTS = ()

_MAX_LABELS = 1000  # More labels are probably numbers, texts or ids.
_MAX_ROWS_OF_OWN_LABEL = 20  # In more rows than these, labels that never repeat are ids.


@dataclasses.dataclass(frozen=True)
class Options(TableOptions):
    """The options of the task."""

    text_a_column: str = setting(
        "", "Column of the text: its name in the header, its number from 0, or its JSON key."
    )
    text_b_column: str = setting("", "Column of the second text, for pairs.")
    labels: str = setting(
        "auto",
        "Comma-separated labels in the order of the model's outputs; auto: the sorted labels of "
        "the training examples.",
    )
    regression: bool = setting(False, "Whether the label is a number to predict.")

    def __post_init__(self):
        super().__post_init__()
        if self.regression and self.labels != "auto":
            raise ValueError(
                f"--regression has no labels: drop one of the two flags. Received: "
                f"--labels={self.labels}"
            )
        columns = [*filter(None, (self.text_a_column, self.text_b_column, self.label_column))]
        if len(set(columns)) < len(columns):
            raise ValueError(
                f"--text_a_column, --text_b_column and --label_column must be different columns. "
                f"Received: {', '.join(columns)}"
            )

    @property
    def text_columns(self) -> tuple[str, ...]:
        return self.text_a_column, self.text_b_column


def make(variant: None, options: Options, labels: tuple[str, ...] | None) -> TextClassification:
    """Makes the task. With a trained model's labels, the training examples are not read."""
    if not options.text_a_column:
        raise ValueError(
            "--text_a_column is needed: the name of the text's column in the header, its number "
            "from 0, or its key in JSON lines."
        )
    labels = _find_labels(options, labels)
    metrics = {0: ("pearson", "spearman"), 2: ("accuracy", "f1", "matthews")}
    metrics = metrics.get(len(labels), ("accuracy", "matthews"))
    return TextClassification(
        name="tsv",
        options=options,
        labels=labels,
        reader=TsvReader(options, labels),
        metrics=metrics,
        metric=metrics[0],
        positive_label=labels[-1] if labels else "",
        is_pair=bool(options.text_b_column),
    )


def _find_labels(options: Options, saved: tuple[str, ...] | None) -> tuple[str, ...]:
    """Returns the labels in the order of the model's outputs; () for a regression."""
    if options.regression:
        given = ()
    elif options.labels == "auto":
        given = saved or TsvReader(options).distinct_labels()
    else:
        given = tuple(label.strip() for label in options.labels.split(","))
    if saved and saved != given:
        raise ValueError(
            f"The model was trained for the labels {','.join(saved)}, in this order. Received: "
            f"{','.join(given) or '--regression'}"
        )
    return given


@dataclasses.dataclass(frozen=True)
class TsvReader:
    """Reads `TextExample`s from tables."""

    options: Options
    labels: tuple[str, ...] = ()  # () for a regression, or if unknown yet.

    def splits(self, purpose: str) -> tuple[str, ...]:
        self.sources(purpose)
        if purpose != "predict" and not self.options.label_column:
            raise ValueError(f"--label_column is needed for the {original_split(purpose)} file.")
        return (purpose,)

    def sources(self, split: str) -> list[str]:
        return self.options.sources(split)

    def read(self, split: str) -> list[TextExample]:
        """Returns all examples of a split. Labels in a file to predict are ignored."""
        self.options.checked_sources(split)
        return self._read(split, logger.info)

    def _read(self, split: str, on_layout: Callable[[str], None]) -> list[TextExample]:
        options, is_labelled = self.options, split != "predict"
        label_and_id = (options.label_column, "") if is_labelled else ("", options.id_column)
        columns = (options.text_a_column, options.text_b_column, *label_and_id)
        examples: list[TextExample] = []
        for path in self.sources(split):
            for where, cells in read_records(path, options.layout, columns, on_layout):
                text_a, text_b, label, guid = (cell or "" for cell in cells)
                if is_blank(text_a):
                    raise ValueError(
                        f"{where}: no text in column {options.text_a_column!r}. Remove the row or "
                        f"fill it in."
                    )
                if is_blank(guid):
                    guid = f"{original_split(split)}-{len(examples)}"
                label = None if is_blank(label) else label.strip()
                text_b = None if is_blank(text_b) else text_b
                examples.append(TextExample(guid, text_a, text_b, label, where))
        if options.may_miss_header and is_labelled and self._starts_with_header(examples):
            raise ValueError(
                f"{examples[0].where}: is this row a header? Its label is {examples[0].label!r}. "
                f"Give --header=true if it is a header, --header=false if it is an example."
            )
        return examples

    def _starts_with_header(self, examples: Sequence[TextExample]) -> bool:
        """Returns whether the first label is invalid, or the only one that occurs just once."""
        first = examples[0].label if examples else None
        if first is None:
            return False
        if self.labels:
            return first not in self.labels
        if self.options.regression:
            return not math.isfinite(to_number(first))
        counts = collections.Counter(example.label for example in examples)
        return len(counts) > 2 and [x for x, count in counts.items() if count == 1] == [first]

    def distinct_labels(self) -> tuple[str, ...]:
        """Returns the training examples' labels, sorted as numbers if all are whole numbers.

        Raises a ValueError if there are fewer than two or more than _MAX_LABELS.
        """
        self.splits("train")
        examples = self._read("train", lambda _: None)
        labels = {example.label for example in examples} - {None}
        where = f"{', '.join(self.sources('train'))}: column {self.options.label_column!r}"
        if len(labels) > _MAX_LABELS:
            raise ValueError(
                f"{where} has {len(labels):,} different labels, more than {_MAX_LABELS:,}. For "
                f"numbers give --regression; otherwise check --label_column."
            )
        if len(labels) == len(examples) > _MAX_ROWS_OF_OWN_LABEL:
            raise ValueError(
                f"{where} has another label in each of its {len(examples):,} rows, as ids and "
                f"texts do: check --label_column. For numbers give --regression; if the labels are "
                f"right, list them with --labels."
            )
        if len(labels) < 2:
            raise ValueError(
                f"{where}: a classifier needs at least two labels. Received: "
                f"{', '.join(map(repr, labels)) or 'no row'}"
            )
        if all(re.fullmatch(r"[+-]?[0-9]+", label) for label in labels):
            return tuple(sorted(labels, key=lambda label: (int(label), label)))
        return tuple(sorted(labels))
