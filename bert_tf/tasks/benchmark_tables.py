"""Reads the tables of benchmarks, whose columns are found by name or else by their usual place.

Distributions of one data set differ: columns move or change their names, some files have no header,
and some rows have a column too many. `tables.py` reads users' own files, more strictly.
"""

import dataclasses
import itertools
import logging
from collections.abc import Callable, Iterator, Sequence

from bert_tf import files
from bert_tf.tasks.tables import Row, TableLayout, read_rows

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Column:
    """A column to read.

    Args:
        names: what a header may call it, in any case.
        place: its index if the header has none of the names; -1 is the last column.
    """

    names: tuple[str, ...]
    place: int


def find_table(folder: str, name: str) -> str | None:
    """The path of a file in a folder, or else of its gzipped form (`name.gz`), or None."""
    path = files.join_path(folder, name)
    return next((each for each in (path, path + ".gz") if files.exists(each)), None)


def read_table(path: str) -> Iterator[Row]:
    """All rows but empty ones: CSV if the path ends with `.csv` or `.csv.gz`, else tab-separated.

    Raises:
        ValueError: for invalid UTF-8, gzip or CSV, with file and line.
    """
    is_csv = path.lower().removesuffix(".gz").endswith(".csv")
    rows = read_rows(path, TableLayout("csv" if is_csv else "tsv"))
    return (row for row in rows if not row.is_blank)


def read_columns(
    path: str,
    columns: Sequence[Column],
    has_header: bool = True,
    on_short: Callable[[Row], None] | None = None,
) -> Iterator[tuple[Row, list[str]]]:
    """Yields the rows after the header, each with its cells in the given columns.

    Args:
        path: see `read_table`.
        columns: the columns to read.
        has_header: whether the first row is a header in any case. If not, it is taken for one if
            it has a name of every column.
        on_short: is given each row with too few cells, which is then skipped instead of refused.

    Raises:
        ValueError: for a row that lacks one of the columns, with file and line, and for a header
            that has one column in another place than usual, and another one not at all.
    """
    rows = read_table(path)
    first = next(rows, None)
    if first is None:
        return
    by_name = [_place_by_name(first.cells, column) for column in columns]
    is_header = has_header or None not in by_name
    places = _places(first, columns, by_name) if is_header else [each.place for each in columns]
    # A header with none of the names tells nothing, not even how many cells a row has.
    num_cells = None if is_header and set(by_name) == {None} else len(first.cells)
    needed = max(places) + 1
    odd: list[Row] = []
    for row in rows if is_header else itertools.chain([first], rows):
        if on_short and len(row.cells) < (num_cells or needed):
            on_short(row)
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
        logger.warning(
            "%s: %d rows have more or fewer columns than the first one, which has %d; the needed "
            "columns are read all the same. This row has %d.",
            *(odd[0].where, len(odd), num_cells, len(odd[0].cells)),
        )


def _place_by_name(header: Sequence[str], column: Column) -> int | None:
    words = [cell.strip().lower() for cell in header]
    found = [words.index(name.lower()) for name in column.names if name.lower() in words]
    return found[0] if found else None


def _places(header: Row, columns: Sequence[Column], by_name: Sequence[int | None]) -> list[int]:
    """The places by name if the header has all names; the usual ones if it contradicts none."""
    size = len(header.cells)
    # In a row with more cells than the header, the last column is still the last cell.
    by_name = [
        -1 if column.place == -1 and place == size - 1 else place
        for column, place in zip(columns, by_name, strict=True)
    ]
    if None not in by_name:
        return list(by_name)
    for column, place in zip(columns, by_name, strict=True):
        usual = column.place % size if column.place < 0 else column.place
        if place not in (None, usual, column.place):
            missing = columns[by_name.index(None)]
            raise ValueError(
                f"{header.where}: no column is named {' or '.join(map(repr, missing.names))}. "
                f"There are: {', '.join(header.cells)}"
            )
    return [column.place for column in columns]
