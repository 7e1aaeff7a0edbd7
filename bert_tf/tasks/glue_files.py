"""Reads GLUE's files in the layouts in which they are distributed, there and elsewhere.

Files may be gzipped (`train.tsv.gz`). Quotes are ordinary characters, CoLA's `train.tsv` has no
header, and MNLI's label is in the last column. If a header says so, columns may be in other places
and have the names that tensorflow-datasets and others give them.

Source: google-research/bert, run_classifier.py; https://gluebenchmark.com.
"""

import dataclasses
import logging

from bert_tf.tasks.benchmark_tables import Column, find_table, read_columns, read_table
from bert_tf.tasks.tables import Row
from bert_tf.tasks.text_examples import ORIGINAL_SPLITS, TextExample

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class _Layout:
    """One way in which a split is stored."""

    files: tuple[str, ...]  # Read one after the other; all must exist.
    places: tuple[int, ...]  # The columns of the text or both texts and, if known, of the label.
    has_header: bool = True
    # Whether the split has only the rows that _DEV_IDS lists, or all but these. None: all rows.
    is_in_dev: bool | None = None


_Layouts = dict[str, tuple[_Layout, ...]]


def _usual(places: tuple[int, ...], test_places: tuple[int, ...]) -> _Layouts:
    return {
        "train": (_Layout(("train.tsv",), places),),
        "eval": (_Layout(("dev.tsv",), places),),
        "predict": (_Layout(("test.tsv",), test_places),),
    }


_COLA_DEV = ("in_domain_dev.tsv", "out_of_domain_dev.tsv")
_MSR_TRAIN, _MSR_TEST = ("msr_paraphrase_train.txt",), ("msr_paraphrase_test.txt",)
_DEV_IDS = "dev_ids.tsv"

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
                  _Layout(_MSR_TRAIN, (3, 4, 0), is_in_dev=False)),
        "eval": (_Layout(("dev.tsv",), (3, 4, 0)),
                 _Layout(_MSR_TRAIN, (3, 4, 0), is_in_dev=True),
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


@dataclasses.dataclass(frozen=True)
class GlueReader:
    """Reads `TextExample`s of a task, a key of COLUMN_NAMES."""

    variant: str
    data_dir: str
    # The labels in the order of their numbers, for files with numbers in their place.
    numbered: tuple[str, ...]

    def splits(self, purpose: str) -> tuple[str, ...]:
        wanted = [s for s in _LAYOUTS[self.variant] if s.partition("_")[0] == purpose]
        if not wanted:
            raise ValueError(
                f"glue:{self.variant} only has examples to predict, none for {purpose!r}. "
                f"Fine-tune glue:mnli, and predict glue:{self.variant} with its checkpoint."
            )
        splits = tuple(split for split in wanted if self._find(split))
        if not splits:
            raise self._missing(wanted[0])
        return splits

    def sources(self, split: str) -> list[str]:
        layout, paths = self._found(split)
        ids = self._dev_ids(layout)
        return [*paths, ids] if ids else paths

    def read(self, split: str) -> list[TextExample]:
        layout, paths = self._found(split)
        if split == "eval" and layout.files == _MSR_TEST:
            _logger.warning(
                "%s: no dev.tsv and no dev_ids.tsv, so the labelled test set is used for "
                "evaluation.",
                self.data_dir,
            )
        names = COLUMN_NAMES[self.variant]
        columns = [Column(*pair) for pair in zip(names, layout.places, strict=False)]
        # Some of QQP's questions contain a line break, which leaves two incomplete rows.
        broken = [] if self.variant == "qqp" and split != "predict" else None
        ids_path = self._dev_ids(layout)
        dev_ids = {tuple(row.cells[:2]) for row in read_table(ids_path)} if ids_path else set()
        examples: list[TextExample] = []
        first_number = 0
        for path in paths:
            row = None
            for row, cells in read_columns(path, columns, layout.has_header, broken):
                if ids_path and (tuple(row.cells[1:3]) in dev_ids) != layout.is_in_dev:
                    continue
                texts, label = cells[: len(names) - 1], cells[len(names) - 1 :]
                label = self._label(*label) if label else None
                guid = self._guid(split, row, first_number)
                examples.append(TextExample(guid, *texts, label=label, where=row.where))
            first_number += row.number + 1 if row else 0
        if broken:
            _logger.warning(
                "%s: %d rows with too few columns are skipped; GLUE's own file has some. The first "
                "one is %s.",
                *(", ".join(paths), len(broken), broken[0].where),
            )
        return examples

    def _label(self, label: str) -> str:
        """A label, also if the file has its number in its place."""
        if label in self.numbered or not label.isdecimal() or int(label) >= len(self.numbered):
            return label
        return self.numbered[int(label)]

    def _guid(self, split: str, row: Row, first_number: int) -> str:
        """The original's name: with MNLI's first column, and else with the number of the row."""
        purpose, _, rest = split.partition("_")
        prefix = "_".join(filter(None, (ORIGINAL_SPLITS[purpose], rest)))
        if self.variant == "mnli":
            prefix = "dev_matched" if split == "eval" else prefix
            return f"{prefix}-{row.cells[0]}"
        return f"{prefix}-{first_number + row.number}"

    def _found(self, split: str) -> tuple[_Layout, list[str]]:
        found = self._find(split)
        if found is None:
            raise self._missing(split)
        return found

    def _find(self, split: str) -> tuple[_Layout, list[str]] | None:
        for layout in _LAYOUTS[self.variant][split]:
            paths = [find_table(self.data_dir, name) for name in layout.files]
            if None not in paths and (not layout.is_in_dev or self._dev_ids(layout)):
                return layout, paths
        return None

    def _missing(self, split: str) -> ValueError:
        names = [
            " and ".join((*layout.files, *([_DEV_IDS] if layout.is_in_dev else [])))
            for layout in _LAYOUTS[self.variant][split]
        ]
        return ValueError(
            f"glue:{self.variant} needs {' or '.join(names)} for {split!r} (optionally gzipped, "
            f"with .gz after the name) in the folder data_dir. Received: {self.data_dir!r}"
        )

    def _dev_ids(self, layout: _Layout) -> str | None:
        return None if layout.is_in_dev is None else find_table(self.data_dir, _DEV_IDS)
