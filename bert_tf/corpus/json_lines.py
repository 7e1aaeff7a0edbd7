"""A line of JSON -> the text in one of its fields.

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
    """The text of a line.

    Args:
        place: the file and the line, for errors.
        line: a JSON object.
        field: where in it the text is.

    Raises:
        ValueError: if the line is no JSON object, has no text in the field, or one that no UTF-8
            file can hold.
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
            f"{place}: the field {field!r} is {_KINDS[type(text)]}, no text. Take the line out, or "
            f"name the field that has the text with --text_field. Received: {_shown(text)}"
        )
    _check_characters(place, text)
    return text


def _parse(place: str, line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{place}: not JSON: {error.msg} (column {error.colno}). Each line must be a whole "
            f'object, as {{"text": "..."}}: write an array, or objects over several lines, so '
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
            f"{place}: \\u{ord(text[error.start]):04x}, character {error.start} of the text, is "
            f"half of one: its other half is missing, as after a cut by length, and no UTF-8 file "
            f"can hold it. Remove such halves first, with Python's "
            f'text.encode("utf-8", "ignore").decode() or the like.'
        ) from error


def _shown(value: Any) -> str:
    return _cut(json.dumps(value))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
