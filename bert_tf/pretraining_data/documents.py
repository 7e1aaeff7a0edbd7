"""Reads the documents of text files into memory as tokens, or distributes their text to shards.

    tokens            the cat sat . | it slept . | dogs bark .
    sentence_starts   0               4            7             10
    documents         [(0, 2), (2, 3)]      sentences 0 and 1; sentence 2

A line is a sentence and a blank line ends a document. As in the original, the end of a file does
not end a document, and lines and documents without tokens are skipped.
"""

import array
import io
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from bert_tf import files
from bert_tf.pretraining_data.statistics import CorpusStatistics
from bert_tf.progress import Progress
from bert_tf.text.markup import find_markup

# Written in bursts, because there may be more shards than files that a process may have open.
_BUFFERED_CHARACTERS = 16 * 2**20

# Starts a progress display, given the stage's name, the amount of work and its unit.
StartProgress = Callable[[str, float, str], AbstractContextManager[Progress]]


def without_display(stage: str, total: float, unit: str) -> Progress:
    """Starts progress that is not shown."""
    return Progress(total, unit, io.StringIO(), stage)


def read_lines(
    paths: Sequence[str],
    counts: CorpusStatistics,
    stage: str = "",
    start_progress: StartProgress = without_display,
) -> Iterator[str]:
    """Yields the stripped lines of text files, as if they were one file, and updates `counts`."""
    is_in_document = False
    with start_progress(stage, sum(map(files.file_size, paths)) / 1e6, "MB") as progress:
        for path in paths:
            was_in_document, is_empty = is_in_document, True
            lines = files.open_text_lines(
                path, lambda size: progress.update(size / 1e6), as_original=True
            )
            for line in lines:
                line = _clean(line, path, counts)
                counts.lines += 1
                counts.characters += len(line)
                if not line:
                    counts.blank_lines += 1
                elif is_empty:
                    is_empty = False
                    counts.unclosed_files += was_in_document and is_in_document
                is_in_document = bool(line)
                yield line
            counts.empty_files += is_empty


def _clean(line: str, path: str, counts: CorpusStatistics) -> str:
    """Returns a line as the original sees it; counts carriage returns and markup."""
    if "\r" in line:
        counts.carriage_returns += line.count("\r")
        line = line.replace("\r", "")
    line = line.strip()
    if markup := find_markup(line):
        counts.markup_lines += 1
        counts.markup_example = counts.markup_example or f"{markup} in {path}: {line[:70]!r}"
    return line


def split_documents(lines: Iterable[str]) -> Iterator[Iterator[str]]:
    """Yields the lines of each document; blank lines separate documents."""
    return (document for has_text, document in itertools.groupby(lines, bool) if has_text)


class Documents:
    """Holds the documents of a corpus in flat lists, so that a token takes one pointer.

    `encode` returns the tokens of a line: ids, or objects that represent them.
    """

    def __init__(self, lines: Iterable[str], encode: Callable[[str], list[Any]]) -> None:
        self.tokens: list[Any] = []
        self.sentence_starts = array.array("q", [0])  # Indices in `tokens`, then its length.
        self.documents: list[tuple[int, int]] = []  # (first sentence, past the last)
        for document in split_documents(lines):
            first_sentence = len(self.sentence_starts) - 1
            for line in document:
                tokens = encode(line)
                if tokens:
                    self.tokens.extend(tokens)
                    self.sentence_starts.append(len(self.tokens))
            past_last = len(self.sentence_starts) - 1
            if past_last > first_sentence:
                self.documents.append((first_sentence, past_last))

    def __len__(self) -> int:
        return len(self.documents)


def deal_documents(lines: Iterable[str], num_shards: int, paths: Mapping[int, str]) -> None:
    """Appends document n to the text file of shard n modulo `num_shards`, if it is in `paths`.

    Raises a ValueError if there are fewer documents than shards.
    """
    buffers: dict[int, list[str]] = {shard: [] for shard in paths}
    num_documents = num_buffered = 0
    for document in split_documents(lines):
        buffer = buffers.get(num_documents % num_shards)
        num_documents += 1
        if buffer is None:
            continue
        buffer.append("\n")
        for sentence in document:
            buffer.append(f"{sentence}\n")
            num_buffered += len(sentence)
        if num_buffered > _BUFFERED_CHARACTERS:
            _write_out(buffers, paths)
            num_buffered = 0
    check_number_of_documents(num_documents, num_shards)
    for path in paths.values():
        Path(path).touch()  # Text without documents is reported when it is read.
    _write_out(buffers, paths)


def check_number_of_documents(num_documents: int, num_shards: int) -> None:
    """Raises a ValueError if there are fewer documents than shards."""
    if num_documents < num_shards and num_shards > 1:
        raise ValueError(
            f"Every shard needs a document, and is better off with thousands. Make fewer shards, "
            f"or put blank lines between documents. Received: num_shards={num_shards}, and text "
            f"with {num_documents} documents"
        )


def _write_out(buffers: Mapping[int, list[str]], paths: Mapping[int, str]) -> None:
    for shard, buffer in buffers.items():
        if buffer:
            with open(paths[shard], "a", encoding="utf-8", newline="\n") as file:
                file.writelines(buffer)
            buffer.clear()
