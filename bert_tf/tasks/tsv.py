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
import re
from collections.abc import Collection, Iterator, Sequence

from bert_tf import files
from bert_tf.settings.setting import check_choices, setting
from bert_tf.tasks.classification import TextClassification
from bert_tf.tasks.tables import FORMAT_BY_ENDING, TableLayout, is_number, read_records
from bert_tf.tasks.text_examples import TextExample

VARIANTS = ()

# More distinct labels than this are probably numbers, texts or ids.
_MAX_LABELS = 1000
# The base name of the file for each purpose, as in the original release.
_FILES = {"train": "train", "eval": "dev", "predict": "test"}

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of the task.

    Raises:
        ValueError: for values that are invalid or contradict each other.
    """

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
    )

    def __post_init__(self):
        check_choices(self, {"header": ("auto", "true", "false")})
        TableLayout(self.format, self.delimiter)
        if self.regression and self.labels != "auto":
            raise ValueError(
                f"--regression has no labels: drop one of the two flags. Received: "
                f"--labels={self.labels}"
            )
        columns = [name for name in (*self.text_columns, self.label_column) if name]
        repeated = [name for name, count in collections.Counter(columns).items() if count > 1]
        if repeated:
            raise ValueError(
                f"--text_a_column, --text_b_column and --label_column must be different columns. "
                f"Received: {repeated[0]!r} more than once."
            )

    @property
    def text_columns(self) -> tuple[str, str]:
        """The columns of the first and the second text; "" for none."""
        return self.text_a_column, self.text_b_column

    @property
    def layout(self) -> TableLayout:
        """How the files are written."""
        columns = [*self.text_columns, self.label_column, self.id_column]
        is_named = any(column and not is_number(column) for column in columns)
        has_header = self.header == "true" or (self.header == "auto" and is_named)
        return TableLayout(self.format, self.delimiter, has_header)

    @property
    def may_miss_header(self) -> bool:
        """Whether it was only assumed that there is no header: one may be there all the same."""
        return self.header == "auto" and not self.layout.has_header

    def files_of(self, purpose: str) -> str:
        """The file setting for one of `task.PURPOSES`."""
        return {"train": self.train_file, "eval": self.dev_file, "predict": self.test_file}[purpose]


def make(variant: None, options: Options, labels: tuple[str, ...] | None) -> TextClassification:
    """Makes the task.

    Args:
        labels: those of a trained model, if one is used. The training examples are then not read.

    Raises:
        ValueError: if the options are incomplete or do not fit the model or the training examples.
    """
    if not options.text_a_column:
        raise ValueError(
            "--text_a_column is needed: the name of the text's column in the header, its number "
            "from 0, or its key in JSON lines."
        )
    labels = _find_labels(options, labels)
    metrics = {0: ("pearson", "spearman"), 2: ("accuracy", "f1", "matthews")}
    return TextClassification(
        name="tsv",
        options=options,
        labels=labels,
        reader=TsvReader(options, labels),
        metrics=metrics.get(len(labels), ("accuracy", "matthews")),
        metric="accuracy" if labels else "pearson",
        positive_label=labels[-1] if labels else "",
        is_pair=bool(options.text_b_column),
    )


def _find_labels(options: Options, saved: tuple[str, ...] | None) -> tuple[str, ...]:
    """The labels in the order of the model's outputs; () for a regression."""
    if options.labels == "auto" and not options.regression:
        return saved or sort_labels(TsvReader(options).distinct_labels())
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


def sort_labels(labels: Collection[str]) -> tuple[str, ...]:
    """Sorts labels as numbers if all are whole numbers, else as texts."""
    if all(re.fullmatch(r"[+-]?[0-9]+", label) for label in labels):
        return tuple(sorted(labels, key=lambda label: (int(label), label)))
    return tuple(sorted(labels))


@dataclasses.dataclass(frozen=True)
class TsvReader:
    """Reads examples from tables; see `TextReader`.

    Args:
        options: of the task.
        labels: the labels; () for a regression, and while they are not known yet.
    """

    options: Options
    labels: tuple[str, ...] = ()

    def splits(self, purpose: str) -> tuple[str, ...]:
        """The purpose itself.

        Raises:
            ValueError: if there is no file for it, or labels are needed and no column has them.
        """
        self.sources(purpose)
        if purpose != "predict" and not self.options.label_column:
            raise ValueError(f"--label_column is needed for the {_FILES[purpose]} file.")
        return (purpose,)

    def sources(self, split: str) -> list[str]:
        """The files of a split.

        Raises:
            ValueError: if there are none, or several of different formats.
        """
        name, folder = _FILES[split], self.options.data_dir
        if given := self.options.files_of(split):
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
        """All examples of a split. Labels in a file to predict are ignored.

        Raises:
            ValueError: for invalid rows and empty first texts, with file and line.
        """
        options, is_labelled = self.options, split != "predict"
        columns = (
            *options.text_columns,
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
            if not examples and label and options.may_miss_header:
                self._check_first_label(label, where)
            guid = guid or f"{_FILES[split]}-{len(examples)}"
            examples.append(TextExample(guid, text_a, text_b or None, label, where))
        self._warn_of_single_texts(examples, split)
        return examples

    def distinct_labels(self) -> list[str]:
        """The labels of the training examples, in the order of their first occurrence.

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
        first = ""
        for where, (value,) in self._records("train", (self.options.label_column,)):
            label = (value or "").strip()
            if not label:
                raise ValueError(f"{where}: no label in {column}.")
            first = first or where
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
        (label, count), *others = counts.items()
        is_alone = count == 1 and len(others) > 1 and all(other > 1 for _, other in others)
        if self.options.may_miss_header and is_alone:
            raise ValueError(
                f"{first}: is this row a header? No other row has its label, {label!r}. Give "
                f"--header=true if it is a header, --header=false if it is an example."
            )
        return list(counts)

    def _records(
        self, split: str, columns: Sequence[str]
    ) -> Iterator[tuple[str, list[str | None]]]:
        for path in self.sources(split):
            yield from read_records(path, self.options.layout, columns)

    def _check_first_label(self, label: str, where: str) -> None:
        """Refuses a first row that looks like a header."""
        if self.labels:
            is_valid, allowed = label in self.labels, f"one of {', '.join(self.labels)}"
        else:
            is_valid, allowed = _is_float(label), "a number"
        if not is_valid:
            raise ValueError(
                f"{where}: label {label!r} is not {allowed}. If this row is a header, give "
                f"--header=true."
            )

    def _warn_of_single_texts(self, examples: Sequence[TextExample], split: str) -> None:
        """Counts empty second texts: if there are many, the column may be the wrong one."""
        num_single = sum(example.text_b is None for example in examples)
        if self.options.text_b_column and num_single:
            _logger.warning(
                "%s: %d of %d examples have nothing in column %r and are used as single texts.",
                ", ".join(self.sources(split)),
                num_single,
                len(examples),
                self.options.text_b_column,
            )


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
