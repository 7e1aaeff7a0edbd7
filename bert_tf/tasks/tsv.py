"""One's own texts: put into classes or given numbers, without a line of code. `--task=tsv`.

    my_data/train.tsv:1    text            stars
    my_data/train.tsv:2    Good, but slow. 4

    --task_options=data_dir=my_data,text_a_column=text,label_column=stars

TSV, CSV and JSON lines, as `table_files.py` reads them. Which column is what, and what the labels
are, is said by the options; `docs/tasks.md` tells it at length.

    labels             figures                         metric
    two                accuracy, F1 of the last one,   accuracy
                       Matthews
    more               accuracy, Matthews              accuracy
    none: regression   Pearson, Spearman               Pearson
"""

import collections
import dataclasses
import re
from collections.abc import Collection

from bert_tf.settings.setting import check_choices, setting
from bert_tf.tasks.classification import TextClassification
from bert_tf.tasks.table_layout import TableLayout, is_number
from bert_tf.tasks.tsv_reader import TsvReader

VARIANTS = ()

# More different labels than this are rather numbers, texts or ids.
_MAX_LABELS = 1000


@dataclasses.dataclass(frozen=True)
class Options:
    """What can be set of the task.

    Raises:
        ValueError: for values that no data can have, or that contradict each other.
    """

    data_dir: str = setting(
        "",
        "The folder with train, dev and test, each as .tsv, .csv or .jsonl, gzipped (.gz) or not.",
    )
    train_file: str = setting(
        "", "The training examples, if not in data_dir: files or patterns, with commas between."
    )
    dev_file: str = setting("", "The same for the examples to evaluate on.")
    test_file: str = setting("", "The same for the examples to predict.")
    text_a_column: str = setting(
        "", "The column of the text: its name in the header, its number from 0, or its JSON key."
    )
    text_b_column: str = setting("", "The column of the second text, for pairs.")
    label_column: str = setting("", "The column of the label; not needed to predict.")
    id_column: str = setting(
        "", "The column of what the predictions are named with; without it, test-0, test-1, ..."
    )
    labels: str = setting(
        "auto",
        "The labels in the order of the model's outputs, with commas between; auto: those of the "
        "training examples, sorted.",
    )
    regression: bool = setting(False, "Whether the label is a number that is to be predicted.")
    format: str = setting(
        "auto",
        "tsv (no quoting), csv (quoted where needed), jsonl, or auto: by the file's name.",
    )
    delimiter: str = setting(
        "auto",
        "What stands between columns: one character, or tab, comma, semicolon, space; auto: a tab "
        "in tsv, a comma in csv.",
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
                f"With --regression there are no labels: leave out one of the two. Received: "
                f"--labels={self.labels}"
            )
        columns = [name for name in (*self.text_columns, self.label_column) if name]
        repeated = [name for name, count in collections.Counter(columns).items() if count > 1]
        if repeated:
            raise ValueError(
                f"--text_a_column, --text_b_column and --label_column must be different columns. "
                f"Received: {repeated[0]!r} for more than one of them."
            )

    @property
    def text_columns(self) -> tuple[str, str]:
        """Those of the first and the second text; "" where there is none."""
        return self.text_a_column, self.text_b_column

    @property
    def layout(self) -> TableLayout:
        """How the files are written."""
        columns = [*self.text_columns, self.label_column, self.id_column]
        is_named = any(column and not is_number(column) for column in columns)
        has_header = self.header == "true" or (self.header == "auto" and is_named)
        return TableLayout(self.format, self.delimiter, has_header)


def make(variant: None, options: Options, labels: tuple[str, ...] | None) -> TextClassification:
    """The task on the files that the options name.

    Args:
        labels: of the model that is used again. They are the task's, and nothing is looked up in
            the training examples then.

    Raises:
        ValueError: if the options lack something or do not fit the model or the training examples.
    """
    if not options.text_a_column:
        raise ValueError(
            "--text_a_column is needed: the name of the text's column in the header, its number "
            "from 0, or its key in JSON lines."
        )
    reader = TsvReader(
        data_dir=options.data_dir,
        given_files=(options.train_file, options.dev_file, options.test_file),
        layout=options.layout,
        text_columns=options.text_columns,
        label_column=options.label_column,
        id_column=options.id_column,
        header_is_guessed=options.header == "auto" and not options.layout.has_header,
    )
    labels = _labels(options, reader, labels)
    return TextClassification(
        name="tsv",
        options=options,
        labels=labels,
        reader=dataclasses.replace(reader, labels=labels),
        figures=_figures(len(labels)),
        metric="accuracy" if labels else "pearson",
        positive_label=labels[-1] if labels else "",
        is_pair=bool(options.text_b_column),
    )


def _figures(num_labels: int) -> tuple[str, ...]:
    if not num_labels:
        return ("pearson", "spearman")
    return ("accuracy", "f1", "matthews") if num_labels == 2 else ("accuracy", "matthews")


def _labels(options: Options, reader: TsvReader, saved: tuple[str, ...] | None) -> tuple[str, ...]:
    """The labels in the order of the model's outputs; () for a regression."""
    if options.regression:
        asked: tuple[str, ...] | None = ()
    elif options.labels == "auto":
        asked = None
    else:
        asked = tuple(label.strip() for label in options.labels.split(","))
        if not all(asked):
            raise ValueError(f"--labels: an empty label. Received: {options.labels!r}")
    if saved and asked is not None and saved != asked:
        raise ValueError(
            f"The model was trained for the labels {','.join(saved)}, in this order. Received: "
            + (f"--labels={options.labels}" if asked else "--regression")
        )
    if asked is None:
        return saved or sort_labels(reader.distinct_labels(_MAX_LABELS))
    return asked


def sort_labels(labels: Collection[str]) -> tuple[str, ...]:
    """Sorted by their numbers if all are whole numbers, and else as texts."""
    if all(re.fullmatch(r"[+-]?[0-9]+", label) for label in labels):
        return tuple(sorted(labels, key=lambda label: (int(label), label)))
    return tuple(sorted(labels))
