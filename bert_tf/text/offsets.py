"""Where in the original text each character of a normalized word comes from.

    text  "Ame\\u0301lie"      A  m  e  ́   l  i  e
    place                      0  1  2  3  4  5  6
    word  "amelie"             a  m  e     l  i  e
    span                      0-1 1-2 2-4 4-5 5-6 6-7

Normalizing changes lengths: lower-casing "İ" gives two characters, decomposing "한" three, accents
and control characters go. The words here are those of `BasicTokenizer`, made character by
character so that each keeps its span; `FullTokenizer.tokenize_with_offsets` states the rules.
"""

import re
import unicodedata
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from bert_tf.text.characters import CLEAN, is_accent, is_punctuation

# A chunk is what stands between white space. Of what Python's str.split takes for white space, the
# control characters are missing here: they vanish, and what they stood between becomes one word.
CHUNK = re.compile("[^ \t\n\r\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")


class AlignedCharacter(NamedTuple):
    """A character of the normalized text and the span of the original that it comes from."""

    char: str
    start: int
    end: int


def align_words(
    chunk: str, do_lower_case: bool, strip_accents: bool
) -> list[list[AlignedCharacter]]:
    """The words of a text without white space; starts and ends never decrease along them."""
    if chunk.isascii() and chunk.isprintable():  # The usual case: every character stays one.
        lowered = chunk.lower() if do_lower_case else chunk
        chars = [AlignedCharacter(char, i, i + 1) for i, char in enumerate(lowered)]
    else:
        chars = _cleaned(chunk)
        if do_lower_case:
            chars = _lower_cased(chars)
        if strip_accents:
            chars = _without_accents(chars)
    words: list[list[AlignedCharacter]] = [[]]
    for char in chars:
        if char.char == " ":
            words.append([])
        elif is_punctuation(char.char):
            words += [[char], []]
        else:
            words[-1].append(char)
    return [word for word in words if word]


def _cleaned(chunk: str) -> list[AlignedCharacter]:
    return [
        AlignedCharacter(char, place, place + 1)
        for place, original in enumerate(chunk)
        for char in CLEAN[ord(original)] or ""
    ]


def _lower_cased(chars: list[AlignedCharacter]) -> list[AlignedCharacter]:
    """Lower-cases all at once, as a capital sigma looks at its neighbours; none changes length."""
    lowered = iter("".join(char.char for char in chars).lower())
    return [char._replace(char=next(lowered)) for char in chars for _ in char.char.lower()]


def _without_accents(chars: list[AlignedCharacter]) -> list[AlignedCharacter]:
    """Decomposes (NFD) and drops the marks; a mark's place goes to the character that it is on."""
    decomposed: list[AlignedCharacter] = []
    base = None  # Where in `decomposed` the character is that the next marks are on.
    for char in chars:
        for part in unicodedata.normalize("NFD", char.char):
            if is_accent(part):
                if base is not None:
                    decomposed[base] = decomposed[base]._replace(end=char.end)
            elif part != " ":
                base = len(decomposed)
            decomposed.append(char._replace(char=part))
    return [
        char
        for group in _runs_of_marks(decomposed)
        for char in _in_canonical_order(group)
        if not is_accent(char.char)
    ]


def _runs_of_marks(chars: list[AlignedCharacter]) -> list[list[AlignedCharacter]]:
    """`chars` in groups: runs of combining characters, and what stands between them."""
    return [
        list(group)
        for _, group in groupby(chars, lambda char: unicodedata.combining(char.char) > 0)
    ]


def _in_canonical_order(group: list[AlignedCharacter]) -> list[AlignedCharacter]:
    """Sorts a run of combining characters as NFD does.

    Where that moves marks past each other that stay in the text, they share one span, that of
    them all: spans that cross would be of no use.
    """
    ordered = sorted(group, key=lambda char: unicodedata.combining(char.char))  # 0s stay in place
    kept = [char for char in ordered if not is_accent(char.char)]
    if kept == sorted(kept, key=attrgetter("start")):
        return kept
    start, end = min(char.start for char in kept), max(char.end for char in kept)
    return [char._replace(start=start, end=end) for char in kept]
