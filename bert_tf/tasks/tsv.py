"""Defines classification and regression on your own tables: `--task=tsv`.

    my_data/train.tsv:1    text            stars
    my_data/train.tsv:2    Good, but slow. 4

    --task_options=data_dir=my_data,text_a_column=text,label_column=stars

With `multi_label` a text has any number of labels, see `table_labels.py`.
Tables are TSV, CSV or JSON lines, see `tables.py`; `docs/tasks.md` explains the options.
"""

import collections
import dataclasses
import logging
import math
import re
from collections.abc import Callable, Sequence

from bert_tf.settings.setting import setting
from bert_tf.spans.long_texts import LongTextOptions
from bert_tf.tasks.classification import TextClassification
from bert_tf.tasks.multi_label import MultiLabelClassification
from bert_tf.tasks.table_labels import class_weights, marked_labels, split_labels
from bert_tf.tasks.table_options import TableOptions
from bert_tf.tasks.tables import Cell, read_records
from bert_tf.tasks.text_examples import TextExample, original_split, to_number
from bert_tf.text.characters import is_blank

logger = logging.getLogger(__name__)

VARIANTS = ()
# Options that training chooses -> the values by which it is asked to.
CHOSEN = {"thresholds": "auto", "class_weights": "balanced"}

_MAX_LABELS = 1000  # More labels are probably numbers, texts or ids.
_MAX_ROWS_OF_OWN_LABEL = 20  # In more rows than these, labels that never repeat are ids.


@dataclasses.dataclass(frozen=True)
class Options(TableOptions, LongTextOptions):
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
    multi_label: bool = setting(False, "Whether a text may have any number of labels.")
    label_columns: tuple[str, ...] = setting(
        (), "For multi_label: a column of 0 and 1 for each label, instead of label_column."
    )
    label_separator: str = setting(
        ",", "For multi_label: what separates the labels in label_column, if it is no JSON list."
    )
    thresholds: str = setting(
        "0.5",
        "For multi_label: from which probability a label counts; one number, or one for each "
        "label; auto: chosen for the best F1 of each on the evaluation examples.",
    )
    class_weights: str = setting(
        "",
        "By which the losses of the examples of each label are multiplied, in the order of the "
        "labels; balanced: classes count alike whatever the number of their examples.",
    )

    def __post_init__(self):
        super().__post_init__()
        if self.regression and self.labels != "auto":
            raise ValueError(
                f"--regression has no labels: drop one of the two flags. Received: "
                f"--labels={self.labels}"
            )
        if self.regression and (self.multi_label or self.class_weights):
            raise ValueError("--regression goes with neither --multi_label nor --class_weights.")
        if not self.multi_label and (self.label_columns or self.thresholds != "0.5"):
            raise ValueError("--label_columns and --thresholds are for --multi_label.")
        if self.label_columns and self.label_column:
            raise ValueError("Give --label_column or --label_columns, not both.")
        if not self.label_separator:
            raise ValueError("--label_separator must not be empty.")
        columns = [*filter(None, (*self.text_columns, self.label_column))]
        if len(set(columns)) < len(columns):
            raise ValueError(
                f"--text_a_column, --text_b_column and --label_column must be different columns. "
                f"Received: {', '.join(columns)}"
            )

    @property
    def text_columns(self) -> tuple[str, ...]:
        return self.text_a_column, self.text_b_column, *self.label_columns


def make(variant: None, options: Options, labels: tuple[str, ...] | None) -> TextClassification:
    """Makes the task. With a trained model's labels, the training examples are not read."""
    if not options.text_a_column:
        raise ValueError(
            "--text_a_column is needed: the name of the text's column in the header, its number "
            "from 0, or its key in JSON lines."
        )
    labels = _find_labels(options, labels)
    reader = TsvReader(options, labels)
    weights = ()
    if options.class_weights:
        needs_examples = options.class_weights == "balanced"
        examples = reader.examples("train") if needs_examples else ()
        weights = class_weights(options.class_weights, labels, examples, options.multi_label)
        # The numbers are saved with the model, as later runs may lack the training file.
        options = dataclasses.replace(options, class_weights=",".join(map(str, weights)))
    common = {
        "name": "tsv",
        "options": options,
        "labels": labels,
        "reader": reader,
        "is_pair": bool(options.text_b_column),
        "class_weights": weights,
    }
    if options.multi_label:
        return MultiLabelClassification(**common)
    metrics = {0: ("pearson", "spearman"), 2: ("accuracy", "f1", "matthews")}
    metrics = metrics.get(len(labels), ("accuracy", "matthews"))
    positive_label = labels[-1] if labels else ""
    return TextClassification(
        **common, metrics=metrics, metric=metrics[0], positive_label=positive_label
    )


def _find_labels(options: Options, saved: tuple[str, ...] | None) -> tuple[str, ...]:
    """Returns the labels in the order of the model's outputs; () for a regression."""
    if options.regression:
        given = ()
    elif options.labels == "auto":
        given = saved or options.label_columns or TsvReader(options).distinct_labels()
    else:
        given = tuple(label.strip() for label in options.labels.split(","))
    if options.label_columns and len(given) != len(options.label_columns):
        raise ValueError(
            f"--labels must name {len(options.label_columns)} labels, one for each of "
            f"--label_columns. Received: {','.join(given)}"
        )
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
        if purpose != "predict" and not self._label_columns:
            raise ValueError(f"--label_column is needed for the {original_split(purpose)} file.")
        return (purpose,)

    def sources(self, split: str) -> list[str]:
        return self.options.sources(split)

    def read(self, split: str) -> list[TextExample]:
        """Returns all examples of a split. Labels in a file to predict are ignored."""
        self.options.checked_sources(split)
        return self.examples(split, logger.info)

    @property
    def _label_columns(self) -> tuple[str, ...]:
        return self.options.label_columns or (*filter(None, [self.options.label_column]),)

    def examples(
        self, split: str, on_layout: Callable[[str], None] = lambda _: None
    ) -> list[TextExample]:
        """Returns all examples of a split; `on_layout` is that of `read_records`."""
        options, is_labelled = self.options, split != "predict"
        last = self._label_columns if is_labelled else (options.id_column,)
        columns = (options.text_a_column, options.text_b_column, *last)
        lists = self._label_columns if options.multi_label else ()
        examples: list[TextExample] = []
        for path in self.sources(split):
            for where, cells in read_records(path, options.layout, columns, on_layout, lists):
                text_a, text_b, *cells = (cell or "" for cell in cells)
                if is_blank(text_a):
                    raise ValueError(
                        f"{where}: no text in column {options.text_a_column!r}. Remove the row or "
                        f"fill it in."
                    )
                guid = "" if is_labelled else cells[0]
                if is_blank(guid):
                    guid = f"{original_split(split)}-{len(examples)}"
                label = self._label(where, cells) if is_labelled else None
                text_b = None if is_blank(text_b) else text_b
                examples.append(TextExample(guid, text_a, text_b, label, where))
        if options.may_miss_header and is_labelled and self._starts_with_header(examples):
            raise ValueError(
                f"{examples[0].where}: is this row a header? Its label is {examples[0].label!r}. "
                f"Give --header=true if it is a header, --header=false if it is an example."
            )
        return examples

    def _label(self, where: str, cells: Sequence[Cell]) -> str | tuple[str, ...] | None:
        """Returns a row's label, or all its labels, from the cells of the label columns."""
        options = self.options
        if not options.multi_label:
            (label,) = cells
            return None if is_blank(label) else label.strip()
        if options.label_columns:
            return marked_labels(where, options.label_columns, self.labels, cells)
        return split_labels(cells[0], options.label_separator)

    def _starts_with_header(self, examples: Sequence[TextExample]) -> bool:
        """Returns whether the first label is invalid, or the only one that occurs just once."""
        first = examples[0].label if examples else None
        if first is None or self.options.multi_label:
            return False
        if self.labels:
            return first not in self.labels
        if self.options.regression:
            return not math.isfinite(to_number(first))
        counts = collections.Counter(example.label for example in examples)
        return len(counts) > 2 and [x for x, count in counts.items() if count == 1] == [first]

    def distinct_labels(self) -> tuple[str, ...]:
        """Returns the training examples' labels, sorted as numbers if all are whole numbers.

        Raises a ValueError if there are fewer than two (one, if a text may have any number) or
        more than _MAX_LABELS.
        """
        self.splits("train")
        examples, is_multi = self.examples("train"), self.options.multi_label
        found = {example.label for example in examples} - {None}
        labels = {label for each in found for label in each} if is_multi else found
        where = f"{', '.join(self.sources('train'))}: column {self.options.label_column!r}"
        if len(labels) > _MAX_LABELS:
            raise ValueError(
                f"{where} has {len(labels):,} different labels, more than {_MAX_LABELS:,}. For "
                f"numbers give --regression; otherwise check --label_column."
            )
        if not is_multi and len(labels) == len(examples) > _MAX_ROWS_OF_OWN_LABEL:
            raise ValueError(
                f"{where} has another label in each of its {len(examples):,} rows, as ids and "
                f"texts do: check --label_column. For numbers give --regression; if the labels are "
                f"right, list them with --labels."
            )
        if len(labels) < 2 - is_multi:
            raise ValueError(
                f"{where}: a classifier needs at least {'one label' if is_multi else 'two labels'}."
                f" Received: "
                f"{', '.join(map(repr, labels)) or 'no row'}"
            )
        if all(re.fullmatch(r"[+-]?[0-9]+", label) for label in labels):
            return tuple(sorted(labels, key=lambda label: (int(label), label)))
        return tuple(sorted(labels))
