"""Reads a benchmark's files in the layouts in which they are distributed, there and elsewhere."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence

from bert_tf.tasks.benchmark_tables import Column, read_columns, read_table
from bert_tf.tasks.task import find_file
from bert_tf.tasks.text_examples import ORIGINAL_SPLITS, TextExample

_logger = logging.getLogger(__name__)

_DEV_IDS = "dev_ids.tsv"


@dataclasses.dataclass(frozen=True)
class Layout:
    """One way in which a split is stored."""

    files: tuple[str, ...]  # Read one after the other; all must exist.
    # The columns of the text or both texts, of the label, if known, and of `BenchmarkReader.only`.
    places: tuple[int, ...]
    has_header: bool = True
    # Whether the split has only the rows that _DEV_IDS lists, or all but these. None: all rows.
    is_in_dev: bool | None = None
    guid_prefix: str = ""  # Of the examples' names, if it is not the split's original name.
    warning: str = ""


@dataclasses.dataclass(frozen=True)
class BenchmarkReader:
    """Reads `TextExample`s. Files may be gzipped (`train.tsv.gz`)."""

    name: str  # Of the task.
    data_dir: str
    # By split, its possible layouts: the first one whose files exist is read.
    layouts: Mapping[str, Sequence[Layout]]
    # The names that a header may give to the text or both texts, to the label, and to `only`.
    columns: Sequence[tuple[str, ...]]
    num_texts: int
    # What files may have in place of a label, such as its number.
    spellings: Mapping[str, str] = dataclasses.field(default_factory=dict)
    only: str = ""  # Only rows with this value in the last column are read, if there is one.
    has_guids: bool = False  # Whether the first column identifies an example, or else its row.
    may_have_short_rows: bool = False  # Whether labelled rows with too few columns are skipped.

    def splits(self, purpose: str) -> tuple[str, ...]:
        wanted = [split for split in self.layouts if split.partition("_")[0] == purpose]
        splits = tuple(split for split in wanted if self._find(split))
        if not splits:
            raise self._missing(wanted[0] if wanted else purpose)
        return splits

    def sources(self, split: str) -> list[str]:
        layout, paths = self._found(split)
        ids = self._dev_ids(layout)
        return [*paths, ids] if ids else paths

    def read(self, split: str) -> list[TextExample]:
        layout, paths = self._found(split)
        if layout.warning:
            _logger.warning("%s: %s", ", ".join(paths), layout.warning)
        columns = [Column(*pair) for pair in zip(self.columns, layout.places, strict=False)]
        short_rows = [] if self.may_have_short_rows and split != "predict" else None
        ids_path = self._dev_ids(layout)
        dev_ids = {tuple(row.cells[:2]) for row in read_table(ids_path)} if ids_path else set()
        examples: list[TextExample] = []
        first_number = 0
        for path in paths:
            row = None
            for row, cells in read_columns(path, columns, layout.has_header, short_rows):
                texts, rest = cells[: self.num_texts], cells[self.num_texts :]
                if rest[1:] not in ([], [self.only]):
                    continue
                if ids_path and (tuple(row.cells[1:3]) in dev_ids) != layout.is_in_dev:
                    continue
                label = self.spellings.get(rest[0], rest[0]) if rest else None
                number = row.cells[0] if self.has_guids else first_number + row.number
                guid = f"{layout.guid_prefix or _prefix(split)}-{number}"
                examples.append(TextExample(guid, *texts, label=label, where=row.where))
            first_number += row.number + 1 if row else 0
        if short_rows:
            _logger.warning(
                "%s: %d rows with too few columns are skipped; GLUE's own file has some. The first "
                "one is %s.",
                *(", ".join(paths), len(short_rows), short_rows[0].where),
            )
        if self.only and not examples:
            raise ValueError(
                f"{', '.join(paths)}: no examples whose {self.columns[-1][0]} is {self.only!r}."
            )
        return examples

    def _found(self, split: str) -> tuple[Layout, list[str]]:
        found = self._find(split)
        if found is None:
            raise self._missing(split)
        return found

    def _find(self, split: str) -> tuple[Layout, list[str]] | None:
        for layout in self.layouts[split]:
            paths = [find_file(self.data_dir, name) for name in layout.files]
            if None not in paths and (not layout.is_in_dev or self._dev_ids(layout)):
                return layout, paths
        return None

    def _dev_ids(self, layout: Layout) -> str | None:
        return None if layout.is_in_dev is None else find_file(self.data_dir, _DEV_IDS)

    def _missing(self, split: str) -> ValueError:
        if split not in self.layouts:
            return ValueError(
                f"{self.name} only has examples to predict, none for {split!r}. Fine-tune the task "
                f"that it belongs to (for glue:ax, glue:mnli), and predict with its checkpoint."
            )
        names = [
            " and ".join((*layout.files, *([_DEV_IDS] if layout.is_in_dev else [])))
            for layout in self.layouts[split]
        ]
        return ValueError(
            f"{self.name} needs {' or '.join(names)} for {split!r} (optionally gzipped, with .gz "
            f"after the name) in the folder data_dir. Received: {self.data_dir!r}"
        )


def _prefix(split: str) -> str:
    """The original's name of a split: `dev_mismatched` for `eval_mismatched`."""
    purpose, underscore, rest = split.partition("_")
    return ORIGINAL_SPLITS[purpose] + underscore + rest
