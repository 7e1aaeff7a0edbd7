"""How a table is written: its format, what stands between its columns, whether it has a header."""

import dataclasses
import os

from bert_tf.settings.setting import check_choices

FORMATS = ("tsv", "csv", "jsonl")

# How the files' names end, but for `.gz`.
FORMAT_BY_ENDING = {
    ".tsv": "tsv",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
}
_DELIMITER_BY_WORD = {"tab": "\t", "comma": ",", "semicolon": ";", "space": " ", "\\t": "\t"}


@dataclasses.dataclass(frozen=True)
class TableLayout:
    """How a table is written.

    Args:
        format: one of FORMATS, or `auto`: what the file's name says.
        delimiter: what stands between fields: one character, or `tab`, `comma`, `semicolon`,
            `space`; `auto` for that of the format.
        has_header: whether the first row names the columns. It means nothing for JSON lines.

    Raises:
        ValueError: for other values.
    """

    format: str = "auto"
    delimiter: str = "auto"
    has_header: bool = True

    def __post_init__(self):
        check_choices(self, {"format": ("auto", *FORMATS)})
        if self.delimiter != "auto" and (len(self._delimiter) != 1 or self._delimiter in '"\r\n'):
            raise ValueError(
                f"--delimiter must be one character, or auto, tab, comma, semicolon or space. "
                f"Received: {self.delimiter!r}"
            )

    @property
    def _delimiter(self) -> str:
        return _DELIMITER_BY_WORD.get(self.delimiter, self.delimiter)

    def format_of(self, path: str) -> str:
        """The format of a file.

        Raises:
            ValueError: if neither the layout nor the file's name tells.
        """
        if self.format != "auto":
            return self.format
        ending = os.path.splitext(path.lower().removesuffix(".gz"))[1]
        if ending in FORMAT_BY_ENDING:
            return FORMAT_BY_ENDING[ending]
        raise ValueError(
            f"{path}: what kind of table is it? Its name ends with none of "
            f"{', '.join(FORMAT_BY_ENDING)} (or that and .gz). Rename it, or say --format=tsv, "
            f"csv or jsonl."
        )

    def delimiter_of(self, path: str) -> str:
        """The character between the fields of a file that is not JSON lines."""
        if self.delimiter != "auto":
            return self._delimiter
        return "," if self.format_of(path) == "csv" else "\t"


def delimiter_word(delimiter: str) -> str:
    """How a delimiter is written as a setting: a tab as `tab`."""
    words = {character: word for word, character in reversed(_DELIMITER_BY_WORD.items())}
    return words.get(delimiter, delimiter)


def is_number(column: str) -> bool:
    """Whether a column is told by its number, from 0, and not by its name."""
    return column.isascii() and column.isdigit()
