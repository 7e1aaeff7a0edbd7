"""Rows of delimited text: TSV, where a line is a row, and CSV, where quotes mean something.

    where                 cells
    glue/RTE/dev.tsv:2    ["0", "Dana Reeve ...", "Christopher Reeve had an accident.", "1"]

Files may be gzipped; of a byte order mark nothing is left.
"""

import csv
from collections.abc import Iterator
from typing import NamedTuple

from bert_tf import files

_BYTE_ORDER_MARK = "\ufeff"
# The csv module's own limit is 131,072 characters; this one is the largest on every system.
_MAX_FIELD_LENGTH = 2**31 - 1


class Row(NamedTuple):
    """One row: its number among the file's rows, from 0, `file:line`, and its cells."""

    number: int
    where: str
    cells: list[str]

    @property
    def is_blank(self) -> bool:
        """Whether nothing stands there."""
        return self.cells in ([], [""])


def read_lines(path: str) -> Iterator[str]:
    """The lines of a file without a byte order mark."""
    for number, line in enumerate(files.open_text_lines(path)):
        yield line if number else line.removeprefix(_BYTE_ORDER_MARK)


def tsv_rows(path: str, delimiter: str = "\t") -> Iterator[Row]:
    """A row a line; a quote is a letter like any other.

    Source: google-research/bert, run_classifier.py, `_read_tsv`.
    """
    for number, line in enumerate(read_lines(path)):
        yield Row(number, f"{path}:{number + 1}", line.split(delimiter))


def csv_rows(path: str, delimiter: str = ",", advice: str = "") -> Iterator[Row]:
    """A row may go over several lines: it is named by the first one's.

    Args:
        advice: what else would do, for the error.

    Raises:
        ValueError: for what is no CSV, with the line where the row begins.
    """
    lines = (f"{line}\n" for line in read_lines(path))
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    number, line_number = 0, 1
    try:
        while (cells := _next_row(reader)) is not None:
            yield Row(number, f"{path}:{line_number}", cells)
            number, line_number = number + 1, reader.line_num + 1
    except csv.Error as error:
        raise ValueError(
            f"{path}:{line_number}: not CSV, in the row that begins here: {error}. A quote inside "
            f"of quotes is written twice. {advice}".rstrip()
        ) from error


def _next_row(reader: Iterator[list[str]]) -> list[str] | None:
    # The limit is the whole process's: others shall find it as it was.
    limit = csv.field_size_limit(_MAX_FIELD_LENGTH)
    try:
        return next(reader, None)
    finally:
        csv.field_size_limit(limit)
