"""Reads a benchmark's tables in the different layouts in which they are distributed.

Columns may move or have other names, headers may be missing, and rows may have extra columns.
`tables.py` reads users' own files, more strictly.
"""

import dataclasses
import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence

from bert_tf import files
from bert_tf.tasks.tables import Row, TableLayout, read_rows
from bert_tf.tasks.task import find_file
from bert_tf.tasks.text_examples import TextExample, original_split

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Layout:
    """One way in which a split is stored."""

    files: tuple[str, ...]  # Read in this order; all must exist.
    # The columns of the texts, of the label, if known, and of `BenchmarkReader.only`.
    places: tuple[int, ...]
    has_header: bool = True


@dataclasses.dataclass(frozen=True)
class BenchmarkReader:
    """Reads `TextExample`s. Files may be gzipped (`train.tsv.gz`)."""

    name: str  # The task's name.
    data_dir: str
    # The possible layouts of each split: the first one whose files exist is read.
    layouts: Mapping[str, Sequence[Layout]]
    columns: Sequence[tuple[str, ...]]  # Header names of the texts, the label, and `only`.
    num_texts: int
    # Labels by their other spellings, such as numbers. In examples to predict, any other value is
    # ignored.
    spellings: Mapping[str, str]
    only: str = ""  # Rows with another value in the last column are skipped.
    is_mnli: bool = False  # Whether examples are identified by the first column, not by the row.
    may_have_short_rows: bool = False  # Whether labelled rows with too few columns are skipped.
    test_file: str = ""  # Files to predict, in the layout of `predict`, instead of data_dir's.

    def splits(self, purpose: str) -> tuple[str, ...]:
        wanted = [split for split in self.layouts if split.partition("_")[0] == purpose]
        if self.test_file and purpose == "predict":
            return (wanted[0],)
        if not wanted:
            raise ValueError(
                f"{self.name} only has examples to predict, none for {purpose!r}. Fine-tune the "
                f"task it belongs to (for glue:ax, glue:mnli), and predict with its checkpoint."
            )
        return tuple(filter(self._find, wanted)) or self._found(wanted[0])

    def sources(self, split: str) -> list[str]:
        return self._found(split)[1]

    def read(self, split: str) -> list[TextExample]:
        layout, paths = self._found(split)
        where = ", ".join(paths)
        prefix = "dev_matched" if self.is_mnli and split == "eval" else original_split(split)
        short_rows = [] if self.may_have_short_rows and split != "predict" else None
        examples: list[TextExample] = []
        first_number = 0
        for path in paths:
            row = None
            for row, cells in read_columns(path, self.columns, layout, short_rows):
                texts, rest = cells[: self.num_texts], cells[self.num_texts :]
                if rest[1:] not in ([], [self.only]):
                    continue
                unknown = rest[0] if rest and not split.startswith("predict") else None
                label = self.spellings.get(rest[0], unknown) if rest else None
                number = row.cells[0] if self.is_mnli else first_number + row.number
                guid = f"{prefix}-{number}"
                examples.append(TextExample(guid, *texts, label=label, where=row.where))
            first_number += row.number + 1 if row else 0
        if short_rows:
            _logger.warning(
                "%s: %d rows with too few columns are skipped; GLUE's own file has some. The first "
                "one is %s.",
                *(where, len(short_rows), short_rows[0].where),
            )
        if self.only and not examples:
            raise ValueError(f"{where}: no examples whose {self.columns[-1][0]} is {self.only!r}.")
        return examples

    def _find(self, split: str) -> tuple[Layout, list[str]] | None:
        if self.test_file and split == "predict":
            return self.layouts[split][0], files.expand_input_files(self.test_file)
        for layout in self.layouts[split]:
            paths = [find_file(self.data_dir, name) for name in layout.files]
            if None not in paths:
                return layout, paths
        return None

    def _found(self, split: str) -> tuple[Layout, list[str]]:
        found = self._find(split)
        if found is None:
            names = [" and ".join(layout.files) for layout in self.layouts[split]]
            raise ValueError(
                f"{self.name} needs {' or '.join(names)} for {split!r} (optionally gzipped, with "
                f".gz after the name) in the folder data_dir. Received: {self.data_dir!r}"
            )
        return found


def read_columns(
    path: str,
    columns: Sequence[tuple[str, ...]],
    layout: Layout,
    short_rows: list[Row] | None = None,
) -> Iterator[tuple[Row, list[str]]]:
    """Yields the rows after the header, each with the cells of the layout's columns.

    A path that ends with `.csv` or `.csv.gz` is CSV, any other is tab-separated. Empty rows are
    skipped. Without `has_header`, a first row that names every column is still read as a header.

    Args:
        columns: the possible header names of each column, in any case.
        short_rows: receives the rows with too few cells, which are otherwise refused.

    Raises a ValueError, with file and line, for invalid UTF-8, gzip or CSV, a row that lacks one of
    the columns, and a header that moves one column but lacks another.
    """
    is_csv = path.lower().removesuffix(".gz").endswith(".csv")
    rows = read_rows(path, TableLayout("csv" if is_csv else "tsv"))
    rows = (row for row in rows if not row.is_blank)
    first = next(rows, None)
    if first is None:
        return
    pairs = list(zip(columns, layout.places, strict=False))
    by_name = [_place_by_name(first, *pair) for pair in pairs]
    is_header = layout.has_header or None not in by_name
    if is_header and None in by_name:
        _check_places(first, pairs, by_name)
    places = layout.places if None in by_name else by_name
    # A header with none of the names does not even show how many cells a row has.
    num_cells = None if is_header and set(by_name) == {None} else len(first.cells)
    needed = max(places) + 1
    kind = "header" if is_header else "no header"
    _logger.info("%s: %s, columns %s (from 0)", path, kind, ", ".join(map(str, places)))
    odd: list[Row] = []
    for row in rows if is_header else itertools.chain([first], rows):
        if short_rows is not None and len(row.cells) < (num_cells or needed):
            short_rows.append(row)
            continue
        if len(row.cells) < needed:
            raise ValueError(
                f"{row.where}: at least {needed} columns are needed, separated by tabs (in a .csv "
                f"file, by commas). Received: {len(row.cells)}"
            )
        if num_cells not in (None, len(row.cells)):
            odd.append(row)
        yield row, [row.cells[place] for place in places]
    if odd:
        _logger.warning(
            "%s: %d rows have more or fewer columns than the first one, which has %d; the needed "
            "columns are read all the same.",
            *(odd[0].where, len(odd), num_cells),
        )


def _place_by_name(header: Row, names: Sequence[str], usual_place: int) -> int | None:
    words = [cell.strip().lower() for cell in header.cells]
    name = next((name.lower() for name in names if name.lower() in words), None)
    if words.count(name) > 1:
        raise ValueError(
            f"{header.where}: several columns are named {name!r}. There are: "
            f"{', '.join(header.cells)}"
        )
    place = None if name is None else words.index(name)
    # In a row with more cells than the header, the last column is still the last cell.
    return -1 if usual_place == -1 and place == len(words) - 1 else place


def _check_places(
    header: Row, pairs: Sequence[tuple[tuple[str, ...], int]], by_name: Sequence[int | None]
) -> None:
    """Refuses a header that lacks a column but has another one in an unusual place."""
    usual_places = [usual_place for _, usual_place in pairs]
    if any(place not in (None, usual) for place, usual in zip(by_name, usual_places, strict=True)):
        missing, _ = pairs[by_name.index(None)]
        raise ValueError(
            f"{header.where}: no column is named {' or '.join(map(repr, missing))}. There are: "
            f"{', '.join(header.cells)}"
        )
