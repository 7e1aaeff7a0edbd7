"""Classifies characters for the tokenizer: keep, drop, or surround with spaces.

Two passes of `str.translate` do all of the original's per-character work. Tables are filled when
a code point first occurs, so importing costs nothing.

    "naïve\\u00ad 日本" --CLEAN--> "naïve  日  本 " --lower, NFD, DROP_MARKS--> "naive  日  本 "

Source: google-research/bert, tokenization.py, `BasicTokenizer` and the functions at its end.
"""

import itertools
import unicodedata
from collections.abc import Callable

# First and last code points of ideographs, each a word of its own; without Kana and Hangul.
CJK_BLOCKS = (
    *((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F)),
    *((0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)),
)
_PIECE_LENGTH = 256
_ASCII_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


def is_whitespace(char: str) -> bool:
    """Returns whether `char` becomes a space."""
    return char in " \t\n\r" or unicodedata.category(char) == "Zs"


def is_dropped(char: str) -> bool:
    """Returns whether `char` is dropped: control and format characters, NUL, U+FFFD."""
    if char in "\t\n\r":
        return False
    return char == "\ufffd" or unicodedata.category(char) in ("Cc", "Cf")


def is_dropped_by_electra(char: str) -> bool:
    """Returns whether ELECTRA drops `char`: unassigned and private characters, too (all of C*)."""
    is_control = char not in "\t\n\r" and unicodedata.category(char).startswith("C")
    return is_control or char == "\ufffd"


def is_cjk(char: str) -> bool:
    """Returns whether `char` is an ideograph that becomes a word of its own."""
    return any(first <= ord(char) <= last for first, last in CJK_BLOCKS)


def is_punctuation(char: str) -> bool:
    """Returns whether `char` becomes a word of its own: punctuation and all ASCII symbols."""
    return char in _ASCII_PUNCTUATION or unicodedata.category(char).startswith("P")


def is_accent(char: str) -> bool:
    """Returns whether `char` is a mark that is stripped as an accent (Unicode's class Mn)."""
    return unicodedata.category(char) == "Mn"


def is_blank(text: str) -> bool:
    """Returns whether a text has only white space and characters that are dropped."""
    return all(char.isspace() or is_whitespace(char) or is_dropped(char) for char in text)


def decompose(text: str) -> str:
    """Returns Unicode's NFD form of `text`, in time that grows with its length.

    `unicodedata` puts marks in order by insertion, so a run of n marks may take n * n steps.
    """
    if text.isascii():
        return text
    pieces = []
    start = 0
    while start < len(text):
        end = start + _PIECE_LENGTH
        while end < len(text) and _begins_with_mark(text[end]):
            end += 1
        piece = text[start:end]
        if end - start > 2 * _PIECE_LENGTH:
            parts = "".join(unicodedata.normalize("NFD", char) for char in piece)
            runs = itertools.groupby(parts, lambda char: unicodedata.combining(char) > 0)
            pieces += ["".join(sorted(run, key=unicodedata.combining)) for _, run in runs]
        else:
            pieces.append(unicodedata.normalize("NFD", piece))
        start = end
    return "".join(pieces)


def _begins_with_mark(char: str) -> bool:
    return unicodedata.combining(unicodedata.normalize("NFD", char)[0]) > 0


class CharacterTable(dict):
    """Maps code points to replacements, None to drop them, for `str.translate`."""

    def __init__(self, replace: Callable[[str], str | None]):
        super().__init__()
        self._replace = replace

    def __missing__(self, code_point: int) -> str | None:
        self[code_point] = replacement = self._replace(chr(code_point))
        return replacement


def _clean(char: str) -> str | None:
    if is_dropped(char):
        return None
    if is_whitespace(char):
        return " "
    return f" {char} " if is_cjk(char) else char


def _clean_as_electra(char: str) -> str | None:
    return None if is_dropped_by_electra(char) else _clean(char)


def _split_punctuation(char: str) -> str:
    return f" {char} " if is_punctuation(char) else char


def _drop_marks(char: str) -> str | None:
    return None if is_accent(char) else _split_punctuation(char)


# First pass: drops control characters, normalizes white space, separates ideographs.
CLEAN = CharacterTable(_clean)
CLEAN_OF_ELECTRA = CharacterTable(_clean_as_electra)
# Second pass, after lower-casing: separates punctuation and, after NFD, drops marks.
SPLIT_PUNCTUATION = CharacterTable(_split_punctuation)
DROP_MARKS = CharacterTable(_drop_marks)
