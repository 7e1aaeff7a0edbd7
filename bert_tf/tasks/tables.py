"""Columns of the tables that benchmarks come as, found by name or, without one, by place."""

import dataclasses
import itertools
import logging
from collections.abc import Callable, Iterator, Sequence

from bert_tf import files
from bert_tf.tasks.delimited import Row, csv_rows, tsv_rows

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Column:
    """A column that is wanted.

    Args:
        names: what a header may call it; upper case does not matter.
        place: where it stands if no header says so; -1 is the last one.
    """

    names: tuple[str, ...]
    place: int


def find_table(folder: str, name: str) -> str | None:
    """The path of a file or, if only that is there, of the same file gzipped (`name.gz`)."""
    path = files.join_path(folder, name)
    return next((each for each in (path, path + ".gz") if files.exists(each)), None)


def read_rows(path: str) -> Iterator[Row]:
    """All rows but blank ones, which have numbers too.

    Args:
        path: CSV where it ends with `.csv` (or `.csv.gz`), and tab-separated else.

    Raises:
        ValueError: for what is no UTF-8, no whole gzip file or no CSV, with file and line.
    """
    is_csv = path.lower().removesuffix(".gz").endswith(".csv")
    return (row for row in (csv_rows(path) if is_csv else tsv_rows(path)) if not row.is_blank)


def read_columns(
    path: str,
    columns: Sequence[Column],
    has_header: bool = True,
    on_short: Callable[[Row], None] | None = None,
) -> Iterator[tuple[Row, list[str]]]:
    """The rows after the header, each with the cells of some columns.

    A column is found by its name and, where the header has none of its names, by its place.

    Args:
        columns: those that are wanted, in the order in which their cells are.
        has_header: whether the first row is a header whatever stands there. Else it is one if it
            has a name of every column.
        on_short: called with each row with too few cells, which is left out then, not refused.

    Raises:
        ValueError: for a row that lacks one of the columns, with file and line, and for a header
            that has one column in another place, and another one not at all.
    """
    rows = read_rows(path)
    first = next(rows, None)
    if first is None:
        return
    by_name = [_place_by_name(first.cells, column) for column in columns]
    is_header = has_header or None not in by_name
    places = _places(first, columns, by_name) if is_header else [each.place for each in columns]
    # Nothing is known of a header that has none of the names: not even that it has a row's cells.
    num_cells = None if is_header and set(by_name) == {None} else len(first.cells)
    needed = max(places) + 1
    odd: list[Row] = []
    for row in rows if is_header else itertools.chain([first], rows):
        if on_short and len(row.cells) < (num_cells or needed):
            on_short(row)
            continue
        if len(row.cells) < needed:
            raise ValueError(
                f"{row.where}: at least {needed} columns are needed, with tabs (or, in a .csv "
                f"file, commas) between them. Received: {len(row.cells)}"
            )
        if num_cells not in (None, len(row.cells)):
            odd.append(row)
        yield row, [row.cells[place] for place in places]
    if odd:
        logger.warning(
            "%s: %d rows have more or fewer columns than the first one, %d; what is needed of them "
            "is read all the same. The first has %d.",
            *(odd[0].where, len(odd), num_cells, len(odd[0].cells)),
        )


def _place_by_name(header: Sequence[str], column: Column) -> int | None:
    words = [cell.strip().lower() for cell in header]
    found = [words.index(name.lower()) for name in column.names if name.lower() in words]
    return found[0] if found else None


def _places(header: Row, columns: Sequence[Column], by_name: Sequence[int | None]) -> list[int]:
    """By name if the header has all names; by place if it contradicts none of the places."""
    last = len(header.cells) - 1
    # Of a row with more cells than the header the last one is still meant.
    by_name = [
        -1 if column.place == -1 and place == last else place
        for column, place in zip(columns, by_name, strict=True)
    ]
    if None not in by_name:
        return list(by_name)
    usual = [
        column.place % len(header.cells) if column.place < 0 else column.place for column in columns
    ]
    if any(place not in (None, usual[i], columns[i].place) for i, place in enumerate(by_name)):
        missing = columns[by_name.index(None)]
        raise ValueError(
            f"{header.where}: no column is called {' or '.join(map(repr, missing.names))}. There "
            f"are: {', '.join(header.cells)}"
        )
    return [column.place for column in columns]
