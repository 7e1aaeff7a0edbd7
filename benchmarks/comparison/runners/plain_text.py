"""What runners that read plain text share: the files, and whether ids are the right ones."""

import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace

VOCAB = str(Path(__file__).parents[3] / "vocab" / "english_uncased_30522.txt")
BATCH = 1024  # Lines that are tokenized together.


def text_file(settings: SimpleNamespace) -> Path:
    """Returns the file of so many megabytes: a sentence a line, an empty one between documents."""
    return Path(settings.work_dir) / f"text-{settings.megabytes:g}.txt"


def read_lines(settings: SimpleNamespace) -> list[str]:
    """Returns the lines of the text that are not empty."""
    text = text_file(settings).read_text(encoding="utf-8")
    return [line for line in text.split("\n") if line]


def batches(lines: list[str]) -> list[list[str]]:
    """Returns the lines in lists of `BATCH`."""
    return [lines[first : first + BATCH] for first in range(0, len(lines), BATCH)]


def digests_file(settings: SimpleNamespace) -> Path:
    """Returns where the right digests of the text's lines are kept."""
    return text_file(settings).with_suffix(".digests")


def digests(rows: Iterable[Sequence[int]]) -> list[int]:
    """Returns a number for the ids of each line."""
    return [zlib.crc32(" ".join(map(str, row)).encode()) for row in rows]


def different_lines(settings: SimpleNamespace, rows: Iterable[Sequence[int]]) -> int:
    """Returns how many lines have other ids than the original's."""
    right = list(map(int, digests_file(settings).read_text().split()))
    return sum(a != b for a, b in zip(digests(rows), right, strict=True))
