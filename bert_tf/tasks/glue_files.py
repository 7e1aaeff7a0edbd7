"""Reads GLUE's files in the layouts in which they are distributed, there and elsewhere.

Files may be gzipped (`train.tsv.gz`). Quotes are ordinary characters, CoLA's `train.tsv` has no
header, and MNLI's label is in the last column. If a header says so, columns may be in other places
and have the names that tensorflow-datasets and others give them.

Source: google-research/bert, run_classifier.py; https://gluebenchmark.com.
"""

import dataclasses
import logging
from collections.abc import Callable

from bert_tf.tasks.benchmark_tables import Column, find_table, read_columns, read_table
from bert_tf.tasks.tables import Row
from bert_tf.tasks.text_examples import TextExample

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class _Layout:
    """One way in which a split is stored.

    Args:
        files: the files, read one after the other; all must exist.
        places: the columns of the text or both texts and, if there is one, of the label.
        has_header: whether the first row is a header.
        only: a file of ids that must exist: the split has only these rows.
        without: a file of ids: if it exists, the split has all but these rows.
    """

    files: tuple[str, ...]
    places: tuple[int, ...]
    has_header: bool = True
    only: str = ""
    without: str = ""


_Layouts = dict[str, tuple[_Layout, ...]]


def _usual(places: tuple[int, ...], test_places: tuple[int, ...]) -> _Layouts:
    """train.tsv, dev.tsv and test.tsv."""
    return {
        "train": (_Layout(("train.tsv",), places),),
        "eval": (_Layout(("dev.tsv",), places),),
        "predict": (_Layout(("test.tsv",), test_places),),
    }


_COLA_DEV = ("in_domain_dev.tsv", "out_of_domain_dev.tsv")
_MSR_TRAIN, _MSR_TEST = ("msr_paraphrase_train.txt",), ("msr_paraphrase_test.txt",)

# fmt: off
# By variant and split, its possible layouts: the first one whose files exist is read.
_LAYOUTS: dict[str, _Layouts] = {
    "cola": {
        "train": (_Layout(("train.tsv",), (3, 1), has_header=False),
                  _Layout(("in_domain_train.tsv",), (3, 1), has_header=False)),
        "eval": (_Layout(("dev.tsv",), (3, 1), has_header=False),
                 _Layout(_COLA_DEV, (3, 1), has_header=False)),
        "predict": (_Layout(("test.tsv",), (1,)),),
    },
    "mnli": {
        "train": (_Layout(("train.tsv",), (8, 9, -1)),),
        "eval": (_Layout(("dev_matched.tsv",), (8, 9, -1)),),
        "eval_mismatched": (_Layout(("dev_mismatched.tsv",), (8, 9, -1)),),
        "predict": (_Layout(("test_matched.tsv",), (8, 9)),),
        "predict_mismatched": (_Layout(("test_mismatched.tsv",), (8, 9)),),
    },
    "mrpc": {
        "train": (_Layout(("train.tsv",), (3, 4, 0)),
                  _Layout(_MSR_TRAIN, (3, 4, 0), without="dev_ids.tsv")),
        "eval": (_Layout(("dev.tsv",), (3, 4, 0)),
                 _Layout(_MSR_TRAIN, (3, 4, 0), only="dev_ids.tsv"),
                 _Layout(_MSR_TEST, (3, 4, 0))),
        "predict": (_Layout(("test.tsv",), (3, 4)), _Layout(_MSR_TEST, (3, 4))),
    },
    "sst-2": _usual((0, 1), (1,)),
    "sts-b": {
        "train": (_Layout(("train.tsv",), (7, 8, 9)),
                  _Layout(("stsb-en-train.csv",), (0, 1, 2), has_header=False)),
        "eval": (_Layout(("dev.tsv",), (7, 8, 9)),
                 _Layout(("stsb-en-dev.csv",), (0, 1, 2), has_header=False)),
        "predict": (_Layout(("test.tsv",), (7, 8)),
                    _Layout(("stsb-en-test.csv",), (0, 1), has_header=False)),
    },
    "qqp": _usual((3, 4, 5), (1, 2)),
    "qnli": _usual((1, 2, 3), (1, 2)),
    "rte": _usual((1, 2, 3), (1, 2)),
    "wnli": _usual((1, 2, 3), (1, 2)),
    "ax": {"predict": (_Layout(("diagnostic.tsv",), (1, 2)), _Layout(("AX.tsv",), (1, 2)))},
}

_PREMISES = (("sentence1", "premise"), ("sentence2", "hypothesis"))
_SENTENCES = (("sentence1",), ("sentence2",))
# The names that a header may give to the text or both texts, and to the label.
COLUMN_NAMES: dict[str, tuple[tuple[str, ...], ...]] = {
    "cola": (("sentence",), ("label",)),
    "mnli": (*_PREMISES, ("gold_label", "label")),
    "mrpc": (("#1 String", "sentence1"), ("#2 String", "sentence2"), ("Quality", "label")),
    "sst-2": (("sentence",), ("label",)),
    "sts-b": (*_SENTENCES, ("score", "label")),
    "qqp": (("question1",), ("question2",), ("is_duplicate", "label")),
    "qnli": (("question",), ("sentence",), ("label",)),
    "rte": (*_SENTENCES, ("label",)),
    "wnli": (*_SENTENCES, ("label",)),
    "ax": (*_PREMISES, ("label",)),
}
# fmt: on

# The prefix of the examples' names, as in the original.
_PREFIXES = {
    "train": "train",
    "eval": "dev",
    "predict": "test",
    "eval_mismatched": "dev_mismatched",
    "predict_mismatched": "test_mismatched",
}
# Some of QQP's questions contain a line break, which leaves two incomplete rows.
_HAS_BROKEN_ROWS = "qqp"


@dataclasses.dataclass(frozen=True)
class GlueReader:
    """A reader for `TextClassification`.

    Args:
        variant: `mrpc`.
        data_dir: the folder of the task's files.
        numbered: the labels in the order of their numbers, for files with numbers in their place.
    """

    variant: str
    data_dir: str
    numbered: tuple[str, ...] = ()

    def splits(self, purpose: str) -> tuple[str, ...]:
        layouts = _LAYOUTS[self.variant]
        wanted = [split for split in layouts if split.partition("_")[0] == purpose]
        splits = tuple(split for split in wanted if self._find(split))
        if not splits:
            names = " or ".join(
                " and ".join((*layout.files, *([layout.only] if layout.only else [])))
                for layout in layouts[wanted[0]]
            )
            raise ValueError(
                f"glue:{self.variant} needs {names} for {purpose!r} (optionally gzipped, with .gz "
                f"after the name) in the folder data_dir. Received: {self.data_dir!r}"
            )
        return splits

    def sources(self, split: str) -> list[str]:
        layout, paths = self._found(split)
        ids = self._path(layout.only or layout.without)
        return [*paths, *([ids] if ids else [])]

    def read(self, split: str) -> list[TextExample]:
        layout, paths = self._found(split)
        names = COLUMN_NAMES[self.variant][: len(layout.places)]
        columns = [Column(*pair) for pair in zip(names, layout.places, strict=True)]
        broken: list[Row] = []
        may_be_broken = self.variant == _HAS_BROKEN_ROWS and split != "predict"
        on_short = broken.append if may_be_broken else None
        is_in_split = self._row_filter(layout)
        examples: list[TextExample] = []
        first_number = 0
        for path in paths:
            row = None
            for row, cells in read_columns(path, columns, layout.has_header, on_short):
                if is_in_split(row):
                    guid = self._guid(split, row, first_number)
                    examples.append(self._example(guid, cells, row.where))
            first_number += row.number + 1 if row else 0
        if broken:
            _logger.warning(
                "%s: %d rows with too few columns are skipped; GLUE's own file has some. The first "
                "one is %s.",
                *(", ".join(paths), len(broken), broken[0].where),
            )
        return examples

    def _example(self, guid: str, cells: list[str], where: str) -> TextExample:
        num_texts = len(COLUMN_NAMES[self.variant]) - 1
        texts, labels = cells[:num_texts], cells[num_texts:]
        return TextExample(
            guid, *texts, label=self._label(labels[0]) if labels else None, where=where
        )

    def _label(self, label: str) -> str:
        """A label, also if the file has its number in its place."""
        if label in self.numbered or not label.isdecimal() or int(label) >= len(self.numbered):
            return label
        return self.numbered[int(label)]

    def _guid(self, split: str, row: Row, first_number: int) -> str:
        """The original's name: with MNLI's first column, and else with the number of the row."""
        if self.variant == "mnli":
            prefix = "dev_matched" if split == "eval" else _PREFIXES[split]
            return f"{prefix}-{row.cells[0]}"
        return f"{_PREFIXES[split]}-{first_number + row.number}"

    def _row_filter(self, layout: _Layout) -> Callable[[Row], bool]:
        """Whether a row belongs to the split, by the ids in its second and third column."""
        path = self._path(layout.only or layout.without)
        if self.variant == "mrpc" and layout.files == _MSR_TEST and len(layout.places) == 3:
            _logger.warning(
                "%s: no dev.tsv and no dev_ids.tsv, so the labelled test set is used for "
                "evaluation.",
                self.data_dir,
            )
        if path is None:
            return lambda row: True
        ids = {tuple(row.cells[:2]) for row in read_table(path)}
        _logger.info("%s: lists the %d rows of train that belong to dev.", path, len(ids))
        return lambda row: (tuple(row.cells[1:3]) in ids) == bool(layout.only)

    def _found(self, split: str) -> tuple[_Layout, list[str]]:
        found = self._find(split)
        if found is None:
            self.splits(split.partition("_")[0])  # Its error names the files.
            raise ValueError(f"glue:{self.variant}: no file for {split!r} in {self.data_dir!r}.")
        return found

    def _find(self, split: str) -> tuple[_Layout, list[str]] | None:
        for layout in _LAYOUTS[self.variant][split]:
            paths = [self._path(name) for name in layout.files]
            if None not in paths and (not layout.only or self._path(layout.only)):
                return layout, paths
        return None

    def _path(self, name: str) -> str | None:
        return find_table(self.data_dir, name) if name and self.data_dir else None
