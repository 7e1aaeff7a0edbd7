"""The span of the original text that each character of a normalized word comes from.

    text  "Ame\\u0301lie"      A  m  e  ́   l  i  e
    index                      0  1  2  3  4  5  6
    word  "amelie"             a  m  e     l  i  e
    span                      0-1 1-2 2-4 4-5 5-6 6-7

Normalizing changes lengths: lower-casing "İ" gives two characters, decomposing "한" three, accents
and control characters are dropped. The words here are those of `BasicTokenizer`, made character by
character so that each keeps its span; `FullTokenizer.tokenize_with_offsets` states the rules.
"""

import re
import unicodedata
from itertools import groupby
from typing import NamedTuple

from bert_tf.text.characters import CLEAN, is_accent, is_punctuation

# A chunk is the text between white space. Of what Python's str.split takes for white space, the
# control characters are missing here: they are dropped, which joins the text around them.
CHUNK = re.compile("[^ \t\n\r\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")


class AlignedCharacter(NamedTuple):
    """A character of the normalized text and the span of the original that it comes from."""

    char: str
    start: int
    end: int


def align_words(
    chunk: str, do_lower_case: bool, strip_accents: bool
) -> list[list[AlignedCharacter]]:
    """Returns the words of a text without white space; starts and ends never decrease."""
    if chunk.isascii() and chunk.isprintable():  # The usual case: every character stays one.
        lowered = chunk.lower() if do_lower_case else chunk
        chars = [AlignedCharacter(char, i, i + 1) for i, char in enumerate(lowered)]
    else:
        chars = [
            AlignedCharacter(char, index, index + 1)
            for index, original in enumerate(chunk)
            for char in CLEAN[ord(original)] or ""
        ]
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


def _lower_cased(chars: list[AlignedCharacter]) -> list[AlignedCharacter]:
    """Lower-cases all at once, as a capital sigma depends on its neighbours, but no length does."""
    lowered = iter("".join(char.char for char in chars).lower())
    return [char._replace(char=next(lowered)) for char in chars for _ in char.char.lower()]


def _without_accents(chars: list[AlignedCharacter]) -> list[AlignedCharacter]:
    """Decomposes (NFD) and drops the marks, whose span goes to the character that they are on."""
    decomposed: list[AlignedCharacter] = []
    base = None  # The index in `decomposed` of the character that the next marks are on.
    for char in chars:
        for part in unicodedata.normalize("NFD", char.char):
            if is_accent(part):
                if base is not None:
                    decomposed[base] = decomposed[base]._replace(end=char.end)
            elif part != " ":
                base = len(decomposed)
            decomposed.append(char._replace(char=part))
    runs = groupby(decomposed, lambda char: unicodedata.combining(char.char) > 0)
    return [char for _, run in runs for char in _in_canonical_order(list(run))]


def _in_canonical_order(run: list[AlignedCharacter]) -> list[AlignedCharacter]:
    """Sorts a run of combining characters as NFD does, and drops the marks.

    If that moves characters past each other that stay, they share one span, that of them all:
    spans that cross would be of no use.
    """
    ordered = sorted(run, key=lambda char: unicodedata.combining(char.char))  # 0s stay in place
    kept = [char for char in ordered if not is_accent(char.char)]
    starts = [char.start for char in kept]
    if starts == sorted(starts):
        return kept
    end = max(char.end for char in kept)
    return [char._replace(start=min(starts), end=end) for char in kept]
