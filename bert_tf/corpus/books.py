"""Splits files into books, and books into paragraphs, which have one of three formats.

blank lines              one per line             wrapped, without blank lines

It was late. The         It was late. The cat        It was late. The cat that had
cat slept.               slept.                   come home slept.
                         The dog did not.            The dog did not sleep, as it
The dog did not.                                  had to watch.
"""

import itertools
import re
from collections.abc import Iterable, Iterator

from bert_tf.corpus.sentences import WITHOUT_SPACES, is_heading, is_small

# Project Gutenberg's markers, current ones and those from before 2003.
_START = re.compile(r"(?i)\*\*\* ?START OF\b.*\bPROJECT GUTENBERG|\*END\*\s?THE SMALL PRINT")
_STOP = re.compile(
    r"(?i)\*\*\* ?END OF\b.*\bPROJECT GUTENBERG|End of (?:(?:the|this) )?Project Gutenberg\b"
)
_HEADER_LINES = 1000  # The first marker of a book's start is within these.
_BLANK_LINE = re.compile(r"\n\s*\n")

_END = 20  # Characters of a line to check for the end of a sentence.
# A text counts as wrapped if this quantile of its line lengths is in this range,
_WIDTHS = range(30, 121)
_NOT_TOO_LONG = 0.95
# at least this fraction and number of lines end within a sentence,
_END_WITHIN_SENTENCE, _LEAST_WITHIN_SENTENCE = 0.25, 3
# and this fraction of them are full:
_ARE_FULL = 0.6
# together with the next word they would reach this fraction of the width. (Some wrap by hand.)
_FULL = 0.75


def lines_of_books(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str | None]]:
    """Yields the numbered lines of books, without Project Gutenberg's text around them.

    A line where a book begins or ends becomes None.
    """
    lines = iter(lines)
    header = list(itertools.islice(lines, _HEADER_LINES))
    first = next((line for _, line in header if _START.match(line) or _STOP.match(line)), "")
    in_book = not _START.match(first)
    for number, line in itertools.chain(header, lines):
        is_start, is_stop = _START.match(line), _STOP.match(line)
        if is_start or is_stop:
            in_book = bool(is_start)
            yield number, None
        elif in_book:
            yield number, line


def book_paragraphs(text: str, language: str) -> Iterator[str]:
    """Yields the paragraphs of a book, one line each."""
    text = text.strip()
    joint = "" if language in WITHOUT_SPACES else " "
    if _BLANK_LINE.search(text):
        paragraphs = (paragraph.split("\n") for paragraph in _BLANK_LINE.split(text))
    else:
        lines = [line.rstrip() for line in text.split("\n")]
        width = _wrapped_width(lines, joint)
        paragraphs = _unwrap(lines, joint, width) if width else ([line] for line in lines)
    for paragraph in paragraphs:
        yield joint.join(line.strip() for line in paragraph)


def _wrapped_width(lines: list[str], joint: str) -> int:
    """Returns the width, in characters, to which lines were wrapped; 0 if they were not."""
    lengths = sorted(map(len, lines))
    width = lengths[int(_NOT_TOO_LONG * (len(lines) - 1))]
    within = [number for number, line in enumerate(lines[:-1]) if not _ends_sentence(line)]
    full = sum(_is_full(lines, number, joint, width) for number in within)
    least_within = max(_END_WITHIN_SENTENCE * len(lines), _LEAST_WITHIN_SENTENCE)
    if width not in _WIDTHS or len(within) < least_within or full < _ARE_FULL * len(within):
        return 0
    return width


def _unwrap(lines: list[str], joint: str, width: int) -> Iterator[list[str]]:
    """Yields the lines of each paragraph.

    A paragraph begins with an indented line, or after a short line that ends a sentence; a short
    line between paragraphs is a heading. If unclear, lines are joined: a heading within a paragraph
    does little harm, but half a sentence would be mistaken for a heading.
    """
    paragraph = lines[:1]
    for number, (line, after) in enumerate(itertools.pairwise(lines)):
        is_full = _is_full(lines, number, joint, width)
        if _ends_sentence(line):
            is_last = not is_full or _indentation(after) > _indentation(line)
        else:
            is_last = len(paragraph) == 1 and not is_full and not is_small(after.lstrip()[:1])
        if is_last:
            yield paragraph
            paragraph = []
        paragraph.append(after)
    yield paragraph


def _ends_sentence(line: str) -> bool:
    return not is_heading(line[-_END:])


def _is_full(lines: list[str], number: int, joint: str, width: int) -> bool:
    """Returns whether a line has no room for the first word of the next one."""
    words = lines[number + 1].split(maxsplit=1) if joint else []
    return len(lines[number]) + len(joint) + len(words[0] if words else "") >= _FULL * width


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())
