"""Classification or regression on your own tables, without writing code. `--task=tsv`.

    my_data/train.tsv:1    text            stars
    my_data/train.tsv:2    Good, but slow. 4

    --task_options=data_dir=my_data,text_a_column=text,label_column=stars

Reads TSV, CSV and JSON lines, see `tables.py`. The options say which column holds what and what the
labels are; `docs/tasks.md` explains them.

    labels             metrics                         the one that selects a model
    two                accuracy, F1 of the last one,   accuracy
                       Matthews
    more               accuracy, Matthews              accuracy
    none: regression   Pearson, Spearman               Pearson
"""

import collections
import dataclasses
import logging
import math
import re
from collections.abc import Iterator, Sequence

from bert_tf import files
from bert_tf.settings.setting import Settings, setting
from bert_tf.tasks.classification import TextClassification, to_number
from bert_tf.tasks.tables import FORMAT_BY_ENDING, TableLayout, is_number, read_records
from bert_tf.tasks.text_examples import ORIGINAL_SPLITS, TextExample

VARIANTS = ()

# More distinct labels than this are probably numbers, texts or ids.
_MAX_LABELS = 1000

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Options(Settings):
    """The options of the task."""

    data_dir: str = setting(
        "", "Folder with train, dev and test, each as .tsv, .csv or .jsonl, optionally gzipped."
    )
    train_file: str = setting(
        "", "Training examples, if not in data_dir: comma-separated files or glob patterns."
    )
    dev_file: str = setting("", "The same for the evaluation examples.")
    test_file: str = setting("", "The same for the examples to predict.")
    text_a_column: str = setting(
        "", "Column of the text: its name in the header, its number from 0, or its JSON key."
    )
    text_b_column: str = setting("", "Column of the second text, for pairs.")
    label_column: str = setting("", "Column of the label; not needed for prediction.")
    id_column: str = setting(
        "", "Column of the ids in the predictions file; default: test-0, test-1, ..."
    )
    labels: str = setting(
        "auto",
        "Comma-separated labels in the order of the model's outputs; auto: the sorted labels of "
        "the training examples.",
    )
    regression: bool = setting(False, "Whether the label is a number to predict.")
    format: str = setting(
        "auto", "tsv (no quoting), csv (with quoting), jsonl, or auto: by the file's name."
    )
    delimiter: str = setting(
        "auto",
        "Column delimiter: one character, or tab, comma, semicolon, space; auto: a tab in tsv, a "
        "comma in csv.",
    )
    header: str = setting(
        "auto",
        "true: the first row names the columns. false: it is an example. auto: true if any column "
        "is given by its name.",
        choices=("auto", "true", "false"),
    )

    def __post_init__(self):
        super().__post_init__()
        TableLayout(self.format, self.delimiter)
        if self.regression and self.labels != "auto":
            raise ValueError(
                f"--regression has no labels: drop one of the two flags. Received: "
                f"--labels={self.labels}"
            )
        columns = [self.text_a_column, self.text_b_column, self.label_column]
        counts = collections.Counter(filter(None, columns))
        repeated = [name for name, count in counts.items() if count > 1]
        if repeated:
            raise ValueError(
                f"--text_a_column, --text_b_column and --label_column must be different columns. "
                f"Received: {repeated[0]!r} more than once."
            )

    @property
    def layout(self) -> TableLayout:
        """How the files are written."""
        columns = [self.text_a_column, self.text_b_column, self.label_column, self.id_column]
        is_named = any(column and not is_number(column) for column in columns)
        has_header = self.header == "true" or (self.header == "auto" and is_named)
        return TableLayout(self.format, self.delimiter, has_header)

    @property
    def may_miss_header(self) -> bool:
        """Whether it was only assumed that there is no header: one may be there all the same."""
        return self.header == "auto" and not self.layout.has_header


def make(variant: None, options: Options, labels: tuple[str, ...] | None) -> TextClassification:
    """Makes the task. With the labels of a trained model the training examples are not read."""
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
    """The labels in the order of the model's outputs; () for a regression."""
    if options.labels == "auto" and not options.regression:
        return saved or TsvReader(options).distinct_labels()
    given: tuple[str, ...] = ()
    if not options.regression:
        given = tuple(label.strip() for label in options.labels.split(","))
        if not all(given):
            raise ValueError(f"--labels: an empty label. Received: {options.labels!r}")
    if saved and saved != given:
        raise ValueError(
            f"The model was trained for the labels {','.join(saved)}, in this order. Received: "
            + (f"--labels={options.labels}" if given else "--regression")
        )
    return given


@dataclasses.dataclass(frozen=True)
class TsvReader:
    """Reads `TextExample`s from tables."""

    options: Options
    labels: tuple[str, ...] = ()  # () for a regression, and while they are not known yet.

    def splits(self, purpose: str) -> tuple[str, ...]:
        self.sources(purpose)
        if purpose != "predict" and not self.options.label_column:
            name = ORIGINAL_SPLITS[purpose]
            raise ValueError(f"--label_column is needed for the {name} file.")
        return (purpose,)

    def sources(self, split: str) -> list[str]:
        name, folder = ORIGINAL_SPLITS[split], self.options.data_dir
        if given := getattr(self.options, f"{name}_file"):
            return files.expand_input_files(given)
        candidates = [name + ending + gz for ending in FORMAT_BY_ENDING for gz in ("", ".gz")]
        paths = [files.join_path(folder, candidate) for candidate in candidates]
        found = [path for path in paths if folder and files.exists(path)]
        if len(found) > 1:
            raise ValueError(f"Give --{name}_file, as there are {' and '.join(found)}.")
        if not found:
            raise ValueError(
                f"There is no {name} file. Give --{name}_file, or a --data_dir with one of "
                f"{', '.join(candidates)}. Received: --data_dir={folder}"
            )
        return found

    def read(self, split: str) -> list[TextExample]:
        """All examples of a split. Labels in a file to predict are ignored."""
        options, is_labelled = self.options, split != "predict"
        columns = (
            options.text_a_column,
            options.text_b_column,
            options.label_column if is_labelled else "",
            "" if is_labelled else options.id_column,
        )
        examples: list[TextExample] = []
        for where, (text_a, text_b, label, guid) in self._records(split, columns):
            if not (text_a or "").strip():
                raise ValueError(
                    f"{where}: no text in column {options.text_a_column!r}. Remove the row or fill "
                    f"it in."
                )
            label = (label or "").strip() or None
            if not examples and label and options.may_miss_header and not self._is_valid(label):
                raise _forgotten_header(where, label)
            guid = guid or f"{ORIGINAL_SPLITS[split]}-{len(examples)}"
            examples.append(TextExample(guid, text_a, text_b or None, label, where))
        num_single = sum(example.text_b is None for example in examples)
        if options.text_b_column and num_single:
            _logger.warning(
                "%s: %d of %d examples have nothing in column %r and are used as single texts.",
                *(", ".join(self.sources(split)), num_single),
                *(len(examples), options.text_b_column),
            )
        return examples

    def distinct_labels(self) -> tuple[str, ...]:
        """The labels of the training examples, sorted as numbers if all are whole numbers.

        Raises:
            ValueError: if one is missing, or if there are fewer than two or more than _MAX_LABELS.
        """
        try:
            self.splits("train")
        except ValueError as error:
            raise ValueError(
                f"{error} The labels are read from it, unless --labels is given."
            ) from error
        column = f"column {self.options.label_column!r}"
        counts: collections.Counter[str] = collections.Counter()
        first = None
        for where, (value,) in self._records("train", (self.options.label_column,)):
            label = (value or "").strip()
            if not label:
                raise ValueError(f"{where}: no label in {column}.")
            first = first or (where, label)
            counts[label] += 1
            if len(counts) > _MAX_LABELS:
                raise ValueError(
                    f"{where}: with {label!r} there are more than {_MAX_LABELS:,} different labels "
                    f"in {column}. For numbers give --regression; otherwise check --label_column."
                )
        if len(counts) < 2:
            raise ValueError(
                f"{', '.join(self.sources('train'))}: a classifier needs at least two labels. "
                f"Received in {column}: {', '.join(map(repr, counts)) or 'no row'}"
            )
        once = [label for label, count in counts.items() if count == 1]
        if self.options.may_miss_header and once == [first[1]] and len(counts) > 2:
            raise _forgotten_header(*first)
        if all(re.fullmatch(r"[+-]?[0-9]+", label) for label in counts):
            return tuple(sorted(counts, key=lambda label: (int(label), label)))
        return tuple(sorted(counts))

    def _records(
        self, split: str, columns: Sequence[str]
    ) -> Iterator[tuple[str, list[str | None]]]:
        for path in self.sources(split):
            yield from read_records(path, self.options.layout, columns)

    def _is_valid(self, label: str) -> bool:
        return label in self.labels if self.labels else math.isfinite(to_number(label))


def _forgotten_header(where: str, label: str) -> ValueError:
    """The error for a first row whose label no other row has, or which is not a valid one."""
    return ValueError(
        f"{where}: is this row a header? Its label is {label!r}. Give --header=true if it is a "
        f"header, --header=false if it is an example."
    )
