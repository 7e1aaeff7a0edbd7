"""Reads TSV, CSV and JSON lines, gzipped or not, with the `file:line` of each row.

    format    between columns          quotes
    tsv       a tab                    ordinary characters: a line is a row
    csv       a comma                  around fields with commas, line ends or (doubled) quotes
    jsonl     an object per line       JSON's

Empty lines are skipped at the end of a file and refused elsewhere, because the lines of the file
and of its predictions would no longer match.
"""

import csv
import dataclasses
import itertools
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from bert_tf import files
from bert_tf.config import hint_of_array, unique_keys
from bert_tf.settings.setting import Settings, setting

logger = logging.getLogger(__name__)

# File name endings, without `.gz`.
FORMAT_BY_ENDING = {
    ".tsv": "tsv",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
}
_DELIMITER_BY_WORD = {"tab": "\t", "comma": ",", "semicolon": ";", "space": " ", "\\t": "\t"}
_MAX_FIELD_LENGTH = 2**31 - 1  # Instead of the csv module's default, 131,072 characters.


@dataclasses.dataclass(frozen=True)
class TableLayout(Settings):
    """How a table is written."""

    format: str = setting("auto", "auto: by the name.", choices=("auto", "tsv", "csv", "jsonl"))
    # One character, or `tab`, `comma`, `semicolon`, `space`; `auto` for the format's own.
    delimiter: str = "auto"
    has_header: bool = True  # Whether the first row names the columns. Ignored for JSON lines.

    def __post_init__(self):
        super().__post_init__()
        delimiter = _DELIMITER_BY_WORD.get(self.delimiter, self.delimiter)
        if delimiter != "auto" and (len(delimiter) != 1 or delimiter in '"\r\n'):
            raise ValueError(
                f"--delimiter must be one character, or auto, tab, comma, semicolon or space. "
                f"Received: {self.delimiter!r}"
            )

    def format_of(self, path: str) -> str:
        """Returns the format of a file, or raises a ValueError if it is unknown."""
        if self.format != "auto":
            return self.format
        ending = os.path.splitext(path.lower().removesuffix(".gz"))[1]
        if ending not in FORMAT_BY_ENDING:
            raise ValueError(
                f"{path}: cannot tell the table's format, as the name ends with none of "
                f"{', '.join(FORMAT_BY_ENDING)} (optionally followed by .gz). Rename the file, or "
                f"give --format=tsv, csv or jsonl."
            )
        return FORMAT_BY_ENDING[ending]

    def delimiter_of(self, path: str) -> str:
        """Returns the character between the fields of a TSV or CSV file."""
        if self.delimiter == "auto":
            return "," if self.format_of(path) == "csv" else "\t"
        return _DELIMITER_BY_WORD.get(self.delimiter, self.delimiter)


# A value of a row: a text, the texts of a JSON list, or None for a column that is not wanted.
Cell = str | tuple[str, ...] | None


class Row(NamedTuple):
    """One row: its number in the file, from 0, its `file:line`, and its cells."""

    number: int
    where: str
    cells: list[str]

    @property
    def is_blank(self) -> bool:
        return self.cells in ([], [""])


def read_rows(path: str, layout: TableLayout) -> Iterable[Row]:
    """Returns all rows, header and empty lines included; a row of JSON lines has one cell.

    Raises a ValueError for invalid UTF-8, gzip or CSV, with file and line.

    Source: google-research/bert, run_classifier.py, `_read_tsv`.
    """
    table_format, delimiter = layout.format_of(path), layout.delimiter_of(path)
    if table_format == "csv":
        return _csv_rows(path, delimiter)
    is_json = table_format == "jsonl"
    return (
        Row(number, f"{path}:{number + 1}", [line.strip()] if is_json else line.split(delimiter))
        for number, line in enumerate(files.open_text_lines(path, wanted="table"))
    )


def read_records(
    path: str,
    layout: TableLayout,
    columns: Sequence[str],
    on_layout: Callable[[str], None] = lambda description: None,
    lists: Sequence[str] = (),
) -> Iterator[tuple[str, list[Cell]]]:
    """Yields the `file:line` of each row and its values in the given columns.

    Args:
        columns: each by its header name, number from 0, or JSON key; "" has the value None.
        lists: the JSON keys whose values may also be lists, which become tuples of texts.
        on_layout: called with a description of the file as it is read: format, delimiter, header.

    Raises a ValueError, with file and line, for missing columns, rows with more or fewer columns
    than the first one, and invalid UTF-8, CSV, JSON or gzip.
    """
    rows = _without_empty_lines(read_rows(path, layout))
    if layout.format_of(path) == "jsonl":
        on_layout(f"{path}: JSON lines in UTF-8; columns {', '.join(filter(None, columns))}")
        yield from _json_records(rows, columns, lists)
        return
    first = next(rows, None)
    if first is None:
        return
    delimiter = layout.delimiter_of(path)
    header = f"header {', '.join(map(repr, first.cells))}" if layout.has_header else "no header"
    how = f"{layout.format_of(path)} in UTF-8, columns separated by {delimiter!r}, {header}"
    on_layout(f"{path}: {how}; columns {', '.join(filter(None, columns))}")
    places = [_place(first, column, layout.has_header, delimiter) for column in columns]
    for row in rows if layout.has_header else itertools.chain([first], rows):
        if len(row.cells) != len(first.cells):
            remedy = f"to have quotes parsed, give --format=csv --delimiter={delimiter!r}"
            if layout.format_of(path) == "csv":
                remedy = "a cell that contains one needs quotes around it"
            raise ValueError(
                f"{row.where}: each row needs as many columns as the first one, "
                f"{len(first.cells)}. Received: {len(row.cells)}. Columns are separated by "
                f"{delimiter!r}; {remedy}"
            )
        yield row.where, [None if place is None else row.cells[place] for place in places]


def is_number(column: str) -> bool:
    """Returns whether a column is given by its number, not by its name."""
    return column.isascii() and column.isdigit()


def _csv_rows(path: str, delimiter: str) -> list[Row]:
    """Reads a CSV file. A row of several lines has the number of the first one."""
    lines = (f"{line}\n" for line in files.open_text_lines(path, wanted="table"))
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    rows: list[Row] = []
    line_number = 1
    limit = csv.field_size_limit(_MAX_FIELD_LENGTH)  # Applies to the process: restored below.
    try:
        for cells in reader:
            rows.append(Row(len(rows), f"{path}:{line_number}", cells))
            line_number = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(
            f"{path}:{line_number}: invalid CSV in the row that begins here: {error}. Quotes "
            f"inside a quoted field are doubled. If quotes have no meaning in this file, give "
            f"--format=tsv --delimiter={delimiter!r}."
        ) from error
    finally:
        csv.field_size_limit(limit)
    return rows


def _without_empty_lines(rows: Iterable[Row]) -> Iterator[Row]:
    """Skips empty lines at the end and refuses others."""
    empty = None
    for row in rows:
        if row.is_blank:
            empty = empty or row
        elif empty:
            raise ValueError(
                f"{empty.where}: an empty line before the end of the file. Remove it or fill it in."
            )
        else:
            yield row


def _place(first: Row, column: str, has_header: bool, delimiter: str) -> int | None:
    """Returns the index of a column; None for the column ""."""
    if not column:
        return None
    names = [cell.strip() for cell in first.cells]
    if is_number(column):
        found = [int(column)] if int(column) < len(names) else []
    else:
        found = [i for i, name in enumerate(names) if has_header and name == column]
    if len(found) == 1:
        return found[0]
    hint = f" If {delimiter!r} is not what separates columns, give --delimiter."
    hint = "" if len(names) > 1 else hint
    listed = f"The header is {', '.join(map(repr, names))}" if has_header else "There is no header"
    raise ValueError(
        f"{first.where}: {'several columns' if found else 'no column'} {column!r}. {listed}; "
        f"columns can also be given by number, 0 to {len(names) - 1}.{hint}"
    )


def _json_records(
    rows: Iterable[Row], keys: Sequence[str], lists: Sequence[str]
) -> Iterator[tuple[str, list[Cell]]]:
    """Yields the rows' values as text, and warns of keys whose values are texts and numbers."""
    first: dict[tuple[str, bool], str] = {}
    for row in rows:
        values = _json_values(row, keys)
        for key, value in zip(keys, values, strict=True):
            if value is not None and not isinstance(value, list):
                first.setdefault((key, isinstance(value, str)), row.where)
        yield (
            row.where,
            [
                tuple(_json_text(each, key, row.where) or "" for each in value)
                if key in lists and isinstance(value, list)
                else _json_text(value, key, row.where)
                for value, key in zip(values, keys, strict=True)
            ],
        )
    for key in keys:
        if (key, True) in first and (key, False) in first:
            places = f"{first[key, True]} and a number at {first[key, False]}"
            logger.warning("%r is a text at %s: both are read as texts.", key, places)


def _json_values(row: Row, keys: Sequence[str]) -> list[Any]:
    """Returns the values of the object in a JSON line; None for "" and for NaN."""
    (line,) = row.cells
    try:
        record = json.loads(line, object_pairs_hook=unique_keys, parse_constant=lambda _: None)
    except (json.JSONDecodeError, RecursionError):
        record = None
    except ValueError as error:
        raise ValueError(f"{row.where}: {error}.") from error
    if not isinstance(record, dict):
        raise ValueError(
            f'{row.where}: each line must be a JSON object such as {{"text": "good", "label": '
            f'"1"}}.{hint_of_array(line)} Received: {line!r:.50}'
        )
    for key in filter(None, keys):
        if key not in record:
            existing = ", ".join(map(repr, record))
            raise ValueError(f"{row.where}: no key {key!r}. There are: {existing}.")
    return [record.get(key) if key else None for key in keys]


def _json_text(value: Any, key: str, where: str) -> str | None:
    if value is None or isinstance(value, str):
        return value and files.separate_words(value)
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
    raise ValueError(f"{where}: {key!r} must be a string or a number. Received: {value!r:.50}")
