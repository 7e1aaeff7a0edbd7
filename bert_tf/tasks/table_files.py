"""Rows of anybody's tables: TSV, CSV and JSON lines, gzipped or not, each with `file:line`.

    my/train.csv:1    text,stars
    my/train.csv:2    "Good, but          read_records("my/train.csv", layout, ["stars", "text"])
    my/train.csv:3    slow.",4            -> "my/train.csv:2", ["4", "Good, but\\nslow."]

    format    between columns          quotes
    tsv       a tab                    letters like any others: a line is a row
    csv       a comma                  round what has commas, line ends or quotes (written twice)
    jsonl     an object in each line   JSON's

Empty lines at a file's end are passed over. Elsewhere they are refused: who counts the lines of the
file, and those of what is predicted for it, would get out of step.
"""

import itertools
import json
from collections.abc import Iterator, Sequence
from typing import Any

from bert_tf.tasks.delimited import Row, csv_rows, read_lines, tsv_rows
from bert_tf.tasks.table_layout import TableLayout, delimiter_word, is_number

_REMOVE = "Remove it, or fill it in."


def read_records(
    path: str, layout: TableLayout, columns: Sequence[str]
) -> Iterator[tuple[str, list[str | None]]]:
    """Yields of each row its `file:line` and its values in some columns.

    Args:
        path: the file.
        columns: which values: each column by its name in the header, or by its number from 0; in
            JSON lines by its key. For "" the value is None.

    Raises:
        ValueError: for missing columns, rows with more or fewer columns than the first one, what
            is no UTF-8, CSV, JSON or whole gzip file: with file and line.
    """
    if layout.format_of(path) == "jsonl":
        yield from _json_records(path, columns)
        return
    rows = _rows(path, layout)
    first = next(rows, None)
    if first is None:
        return
    places = [_place(first, column, layout.has_header) for column in columns]
    for row in rows if layout.has_header else itertools.chain([first], rows):
        if len(row.cells) != len(first.cells):
            raise ValueError(
                f"{row.where}: as many columns as in the first row are needed, "
                f"{len(first.cells)}. Received: {len(row.cells)}. {_advice(path, layout)}"
            )
        yield row.where, [None if place is None else row.cells[place] for place in places]


def _place(first: Row, column: str, has_header: bool) -> int | None:
    """Where a column stands, given the first row; None for the column ""."""
    if not column:
        return None
    names = [cell.strip() for cell in first.cells]
    if is_number(column):
        found = [int(column)] if int(column) < len(names) else []
    else:
        found = [i for i, name in enumerate(names) if has_header and name == column]
    if len(found) == 1:
        return found[0]
    listed = f"The header is {', '.join(map(repr, names))}" if has_header else "There is no header"
    raise ValueError(
        f"{first.where}: {'several columns' if found else 'no column'} {column!r}. {listed}; by "
        f"number there are the columns 0 to {len(names) - 1}."
    )


def _advice(path: str, layout: TableLayout) -> str:
    name = delimiter_word(layout.delimiter_of(path))
    if layout.format_of(path) == "csv":
        return f"The delimiter is {name}; a field that has one inside needs quotes around it."
    return (
        f"The delimiter is {name}, and quotes mean nothing; with --format=csv --delimiter={name} "
        f"they do."
    )


def _rows(path: str, layout: TableLayout) -> Iterator[Row]:
    """All rows of a TSV or CSV file.

    Raises:
        ValueError: for an empty line that is followed by another row.
    """
    delimiter = layout.delimiter_of(path)
    if layout.format_of(path) == "csv":
        word = delimiter_word(delimiter)
        advice = f"If quotes mean nothing in this file, say --format=tsv --delimiter={word}."
        rows = csv_rows(path, delimiter, advice)
    else:
        rows = tsv_rows(path, delimiter)
    empty = None
    for row in rows:
        if row.is_blank:
            empty = empty or row
        elif empty:
            raise ValueError(f"{empty.where}: an empty line, before the end of the file. {_REMOVE}")
        else:
            yield row


def _json_records(path: str, keys: Sequence[str]) -> Iterator[tuple[str, list[str | None]]]:
    empty = None
    for number, line in enumerate(read_lines(path), start=1):
        where = f"{path}:{number}"
        if not line.strip():
            empty = empty or where
            continue
        if empty:
            raise ValueError(f"{empty}: an empty line, before the end of the file. {_REMOVE}")
        record = _json_object(line, where)
        missing = [key for key in keys if key and key not in record]
        if missing:
            raise ValueError(
                f"{where}: no key {missing[0]!r}. There are: {', '.join(map(repr, record))}."
            )
        yield where, [_json_text(record.get(key), key, where) for key in keys]


def _json_object(line: str, where: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{where}: not JSON: {error.msg} at character {error.pos}. Each line must be an object "
            f'by itself, as in {{"text": "good", "label": "1"}}.'
        ) from error
    if not isinstance(record, dict):
        raise ValueError(
            f'{where}: each line must be a JSON object, as in {{"text": "good", "label": "1"}}. '
            f"Received: {line[:50]!r}"
        )
    return record


def _json_text(value: Any, key: str, where: str) -> str | None:
    """A value as the text that it would be in a TSV file."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
    raise ValueError(
        f"{where}: the value of {key!r} must be a text or a number. Received: {value!r:.50}"
    )
