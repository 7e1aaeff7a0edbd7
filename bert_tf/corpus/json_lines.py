"""Reads the text from a field of a line of JSON.

{"id": 7, "text": "A cat.\\nIt sleeps."}, field "text"  ->  "A cat.\\nIt sleeps."
"""

import json
from typing import Any

_KINDS = {
    str: "a text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
    type(None): "null",
}
_LONGEST_SHOWN = 40  # characters of a value in an error


def text_of_line(place: str, line: str, field: str) -> str:
    """Returns the text of a line.

    Args:
        place: the file and line number, for errors.
        line: a JSON object.
        field: the field with the text.

    Raises:
        ValueError: if the line is not a JSON object, the field is missing or not a text, or the
            text cannot be encoded as UTF-8.
    """
    row = _parse(place, line)
    if not isinstance(row, dict):
        raise ValueError(
            f"{place}: {_KINDS[type(row)]}, where an object with the field {field!r} is needed. "
            f"Received: {_shown(row)}"
        )
    if field not in row:
        raise ValueError(
            f"{place}: no text in the field {field!r}. Name the one that has it with "
            f"--text_field. Received: {', '.join(map(repr, row)) or 'an object without fields'}"
        )
    text = row[field]
    if not isinstance(text, str):
        raise ValueError(
            f"{place}: the field {field!r} is {_KINDS[type(text)]}, not a text. Remove the line or "
            f"name the field that has the text with --text_field. Received: {_shown(text)}"
        )
    _check_characters(place, text)
    return text


def _parse(place: str, line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{place}: not JSON: {error.msg} (column {error.colno}). Each line must be a complete "
            f'object, such as {{"text": "..."}}: convert an array, or objects over several lines, '
            f"first. Received: {_cut(line.strip())}"
        ) from error
    except ValueError as error:  # A number of more digits than Python takes.
        raise ValueError(f"{place}: a value that cannot be read: {error}.") from error
    except RecursionError as error:
        raise ValueError(f"{place}: lists or objects are nested too deeply to be read.") from error


def _check_characters(place: str, text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{place}: \\u{ord(text[error.start]):04x}, character {error.start} of the text, is a "
            f"lone surrogate: half of a character, which UTF-8 cannot encode. Remove such halves "
            f'first, for example with Python\'s text.encode("utf-8", "ignore").decode().'
        ) from error


def _shown(value: Any) -> str:
    return _cut(json.dumps(value))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
