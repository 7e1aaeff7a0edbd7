"""Maps each character of a normalized word to its span in the original text.

    text  "Ame\\u0301lie"      A  m  e  ́   l  i  e
    index                      0  1  2  3  4  5  6
    word  "amelie"             a  m  e     l  i  e
    span                      0-1 1-2 2-4 4-5 5-6 6-7

Normalization changes lengths: "İ" becomes two characters in lower case, "한" three when decomposed;
accents and control characters are dropped. See `FullTokenizer.tokenize_with_offsets` for the rules.
"""

import re
import unicodedata
from collections.abc import Callable
from itertools import groupby
from typing import NamedTuple

from bert_tf.text.characters import is_accent, is_punctuation

# Text between white space. Unlike in str.split, control characters do not separate: they are
# dropped.
CHUNK = re.compile("[^ \t\n\r\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")


class AlignedCharacter(NamedTuple):
    """Holds a normalized character and its span in the original text."""

    char: str
    start: int
    end: int


def align_words(
    chunk: str, do_lower_case: bool, strip_accents: bool, clean: Callable[[str], str]
) -> list[list[AlignedCharacter]]:
    """Returns the words of a text without white space; starts and ends never decrease.

    `clean` returns what a tokenizer keeps of a character.
    """
    if chunk.isascii() and chunk.isprintable():  # Lengths do not change.
        lowered = chunk.lower() if do_lower_case else chunk
        chars = [AlignedCharacter(char, i, i + 1) for i, char in enumerate(lowered)]
    else:
        chars = [
            AlignedCharacter(char, index, index + 1)
            for index, original in enumerate(chunk)
            for char in clean(original)
        ]
        if do_lower_case:
            chars = lower_cased(chars)
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


def lower_cased(chars: list[AlignedCharacter]) -> list[AlignedCharacter]:
    """Lower-cases the whole text, because a capital sigma depends on its neighbours."""
    lowered = iter("".join(char.char for char in chars).lower())
    return [char._replace(char=next(lowered)) for char in chars for _ in char.char.lower()]


def _without_accents(chars: list[AlignedCharacter]) -> list[AlignedCharacter]:
    """Decomposes (NFD) and drops marks, whose spans are added to their base characters."""
    decomposed: list[AlignedCharacter] = []
    base = None  # The index in `decomposed` of the base of the next marks.
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

    If that reorders kept characters, all of them get their common span, so that spans do not cross.
    """
    ordered = sorted(run, key=lambda char: unicodedata.combining(char.char))  # 0s stay in place
    kept = [char for char in ordered if not is_accent(char.char)]
    starts = [char.start for char in kept]
    if starts == sorted(starts):
        return kept
    start, end = min(starts), max(char.end for char in kept)
    return [char._replace(start=start, end=end) for char in kept]
