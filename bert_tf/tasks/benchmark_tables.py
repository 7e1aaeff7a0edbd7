"""Reads the tables of benchmarks, whose columns are found by name or else by their usual place.

Distributions of one data set differ: columns move or change their names, some files have no header,
and some rows have a column too many. `tables.py` reads users' own files, more strictly.
"""

import itertools
import logging
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bert_tf.tasks.tables import Row, TableLayout, read_rows

logger = logging.getLogger(__name__)


class Column(NamedTuple):
    """A column to read."""

    names: tuple[str, ...]  # What a header may call it, in any case.
    place: int  # Its index if the header has none of the names; -1 is the last column.


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
    short_rows: list[Row] | None = None,
) -> Iterator[tuple[Row, list[str]]]:
    """Yields the rows after the header, each with its cells in the given columns.

    Args:
        has_header: whether the first row is a header in any case. If not, it is taken for one if
            it has a name of every column.
        short_rows: receives the rows with too few cells, which are otherwise refused.

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
    if is_header:
        _check_header(first, columns, by_name)
    places = by_name if None not in by_name else [column.place for column in columns]
    # A header with none of the names tells nothing, not even how many cells a row has.
    num_cells = None if is_header and set(by_name) == {None} else len(first.cells)
    needed = max(places) + 1
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
        logger.warning(
            "%s: %d rows have more or fewer columns than the first one, which has %d; the needed "
            "columns are read all the same.",
            *(odd[0].where, len(odd), num_cells),
        )


def _place_by_name(header: Sequence[str], column: Column) -> int | None:
    words = [cell.strip().lower() for cell in header]
    place = next((words.index(n.lower()) for n in column.names if n.lower() in words), None)
    # In a row with more cells than the header, the last column is still the last cell.
    return -1 if column.place == -1 and place == len(words) - 1 else place


def _check_header(header: Row, columns: Sequence[Column], by_name: Sequence[int | None]) -> None:
    """Refuses a header that lacks a name, and has another one where it is not expected."""
    missing = [c for c, place in zip(columns, by_name, strict=True) if place is None]
    pairs = zip(columns, by_name, strict=True)
    if missing and any(place not in (None, column.place) for column, place in pairs):
        raise ValueError(
            f"{header.where}: no column is named {' or '.join(map(repr, missing[0].names))}. "
            f"There are: {', '.join(header.cells)}"
        )
