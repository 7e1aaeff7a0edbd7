"""Reads texts and their places, for error messages, from books, web pages, JSON lines, data sets.

books.txt       -> ("books.txt:1", "CHAPTER I\\n\\nIt was late. ..."), ...
news.jsonl      -> ("news.jsonl:1", '{"text": "A cat.\\\\nIt sleeps."}'), ...
wikipedia/20230601.en (tensorflow-datasets) -> ("wikipedia/20230601.en/train:0", "A cat. ..."), ...
"""

import itertools
import json
from collections.abc import Callable, Iterator

from bert_tf import files
from bert_tf.config import hint_of_array
from bert_tf.corpus.books import lines_of_books
from bert_tf.files.tfds import find_builder
from bert_tf.settings import CorpusSettings

_LONGEST_SHOWN = 100  # characters of a line in an error
_OnRead = Callable[[int], None]  # Is called with the number of bytes just read.
_Texts = Iterator[tuple[str, str]]  # Places, and the texts there.


def read_lines(path: str, on_read: _OnRead) -> _Texts:
    """Yields the non-blank lines of a file."""
    for number, line in enumerate(files.open_text_lines(path, on_read), start=1):
        if line.strip():
            yield f"{path}:{number}", line


def read_books(path: str, on_read: _OnRead, section_bytes: int) -> _Texts:
    """Yields books, long ones in sections that end at a blank line (or any line if none comes)."""
    lines: list[str] = []
    size = first = 0
    numbered = enumerate(files.open_text_lines(path, on_read), start=1)
    for number, line in itertools.chain(lines_of_books(numbered), [(0, None)]):
        first = first or number
        if line is not None:
            lines.append(line)
            size += len(line) + 1
        is_full = size >= section_bytes and (not (line or "").strip() or size >= 2 * section_bytes)
        if line is None or is_full:
            if lines:
                yield f"{path}:{first}", "\n".join(lines)
            lines, size, first = [], 0, 0


def read_marked_up(path: str, on_read: _OnRead, end_tag: str) -> _Texts:
    """Yields the documents of a file, each of which ends with the line that has `end_tag`."""
    lines: list[str] = []
    number = 0
    for number, line in enumerate(files.open_text_lines(path, on_read), start=1):
        lines.append(line)
        if end_tag in line.lower():
            yield f"{path}:{number + 1 - len(lines)}", "\n".join(lines)
            lines = []
    if any(map(str.strip, lines)):
        yield f"{path}:{number + 1 - len(lines)}", "\n".join(lines)


def text_of_line(place: str, line: str, field: str) -> str:
    """Returns the text in a field of a line of JSON; raises a ValueError if there is none."""
    received = line.strip()
    if len(received) > _LONGEST_SHOWN:
        received = f"{received[:_LONGEST_SHOWN]}..."
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{place}: not JSON: {getattr(error, 'msg', error)}. Each line must be a complete "
            f'object, such as {{"text": "..."}}.{hint_of_array(line)} Received: {received}'
        ) from error
    text = row.get(field) if isinstance(row, dict) else None
    if not isinstance(text, str):
        raise ValueError(
            f"{place}: no text in the field {field!r} of an object. Remove the line, or name the "
            f"field that has the text with --text_field.{hint_of_array(line)} Received: {received}"
        )
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{place}: character {error.start} of the text, \\u{ord(text[error.start]):04x}, is "
            f"half of a character, which UTF-8 cannot encode. Remove it. Received: {received}"
        ) from error
    return text


def read_data_set(name: str, settings: CorpusSettings) -> _Texts:
    """Yields the text of each example of a data set, in the order of its files."""
    import tensorflow_datasets as tfds

    builder = find_builder(name, settings.tfds_data_dir)
    split, field = settings.split, settings.text_field
    splits, features = builder.info.splits, builder.info.features
    try:
        problem = "" if splits[split].num_examples else "It has no examples."
    except ValueError as error:
        problem = str(error).partition("\n")[0]
    if problem:
        raise ValueError(
            f"{name} has no split {split!r}, but {', '.join(splits)}. Give --split one of them, "
            f"several (train+test) or a slice (train[:10%]). {problem}"
        )
    texts = [key for key, each in features.items() if (each.shape, each.tf_dtype) == ((), "string")]
    if field not in texts:
        problem = f"is {features[field]!r}" if field in features else "does not exist"
        raise ValueError(
            f"{name} has no text in {field!r}, which {problem}, but {', '.join(texts) or 'nowhere'}"
            f". Name the field that has the text with --text_field."
        )
    rows = tfds.as_numpy(builder.as_dataset(split=split, shuffle_files=False))
    for number, row in enumerate(rows):
        place = f"{name}/{split}:{number}"
        try:
            yield place, row[field].decode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"{place}: {field!r} is not UTF-8: {error}.") from error


def read_version(name: str, data_dir: str) -> str:
    """Returns a data set's version and split sizes: "1.0.0, train: 5 examples, 310 bytes"."""
    info = find_builder(name, data_dir).info
    sizes = [
        f"{split}: {size.num_examples} examples, {int(size.num_bytes)} bytes"
        for split, size in sorted(info.splits.items())
    ]
    return ", ".join([str(info.version), *sizes])
