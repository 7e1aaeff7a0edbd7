"""The tokenizer's rules for each character, as tables for a TensorFlow graph.

    page = table.pages[code_point >> 8]          # pages of 256 code points, equal ones stored once
    entry = table.values[page + (code_point & 255)]

The lowest 21 bits of an entry, XORed with the code point, are the normalized character (so pages of
unchanged characters are equal); the other 10 are flags:

    "É"  KEPT STARTER          "e"          one character; its accent belongs to it
    "!"  KEPT STARTER ALONE    "!"          a word of its own
    "한"  KEPT STARTER MANY     record 7      several characters, those of the record
    " "  BLANK STARTER                      separates words
    "\\u0301"  EXTENDS                       a stripped mark, part of the character before it
    "\\u00ad"  0                             dropped

The tables are computed from the Python tokenizer's functions and Python's version of Unicode.
"""

import functools
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from bert_tf.text.characters import (
    CJK_BLOCKS,
    is_accent,
    is_cjk,
    is_dropped,
    is_dropped_by_electra,
    is_punctuation,
    is_whitespace,
)

NUM_CODE_POINTS = 0x110000
PAGE_BITS = 8
PAGE_SIZE = 1 << PAGE_BITS

CODE_POINT = (1 << 21) - 1  # The bits of a character, or of a record's number.
KEPT = 1 << 21  # At least a part of it is kept.
MANY = 1 << 22  # Several characters are kept, those of a record.
ALONE = 1 << 23  # It is a word of its own.
BLANK = 1 << 24  # White space.
EXTENDS = 1 << 25  # It begins with a stripped mark, which belongs to the character before it.
STARTER = 1 << 26  # It has a part of combining class 0, past which no mark is moved.
ORDER_SHIFT = 27  # The bits above number the combining classes of marks that are kept, from 1.
MAX_ORDER = 15

# Properties that decide whether a capital sigma ends a word.
CASED, IGNORED = 1, 2
CAPITAL_SIGMA, FINAL_SIGMA = 0x3A3, 0x3C2


class PagedTable(NamedTuple):
    """Maps code points to numbers; `pages`, int32 [4352], holds the starts of pages in `values`."""

    pages: np.ndarray
    values: np.ndarray


class CharacterTables(NamedTuple):
    """Holds the tables for one way of normalizing."""

    entries: PagedTable
    record_starts: np.ndarray  # int32 [R + 1]: where each record starts in `record_values`.
    record_values: np.ndarray  # int32: code points with ALONE and the order.
    cases: PagedTable  # 0, CASED or IGNORED; dropped characters are IGNORED.

    @property
    def has_marks_to_strip(self) -> bool:
        return bool((self.entries.values & EXTENDS).any())


@functools.lru_cache(maxsize=4)
def character_tables(
    do_lower_case: bool, strip_accents: bool, drops_unassigned: bool = False
) -> CharacterTables:
    """Returns the tables for one way of normalizing. Takes about a second."""
    entries = np.full(NUM_CODE_POINTS, 0 if drops_unassigned else KEPT | STARTER, np.int32)
    drops = is_dropped_by_electra if drops_unassigned else is_dropped
    orders = _orders_of_kept_marks() if strip_accents else {}
    rules = do_lower_case, strip_accents, orders, drops
    return make_tables(entries, lambda char: _entry(char, *rules), find_cases(drops))


def make_tables(
    entries: np.ndarray, entry_of: Callable[[str], tuple[int, list[int]]], cases: np.ndarray
) -> CharacterTables:
    """Returns tables of the entries of all characters.

    Args:
        entries: int32 [1114112], those of code points without properties; the others are filled in.
        entry_of: returns the flags of a character and its normalized characters, as in a record.
        cases: see `find_cases`.
    """
    record_starts, record_values = [0], []
    for code_point in code_points_with_properties():
        flags, characters = entry_of(chr(code_point))
        if len(characters) > 1:
            flags |= MANY | (len(record_starts) - 1)
            record_values += characters
            record_starts.append(len(record_values))
        else:
            flags |= characters[0] if characters else code_point
        entries[code_point] = flags ^ code_point
    starts = np.array(record_starts, np.int32)
    values = np.array(record_values or [0], np.int32)
    return CharacterTables(paged(entries), starts, values, paged(cases))


def _entry(
    char: str,
    do_lower_case: bool,
    strip_accents: bool,
    orders: dict[int, int],
    drops: Callable[[str], bool],
) -> tuple[int, list[int]]:
    """Returns the flags of a character and its normalized characters, as in a record."""
    if drops(char):
        return 0, []
    # Python's str.split also splits at line and paragraph separators.
    if is_whitespace(char) or char.isspace():
        return BLANK | STARTER, []
    text = char.lower() if do_lower_case else char
    flags = KEPT | STARTER
    if strip_accents:
        text = unicodedata.normalize("NFD", text)
        flags = 0 if all(map(is_accent, text)) else KEPT
        flags |= EXTENDS if is_accent(text[0]) else 0
        flags |= 0 if all(map(unicodedata.combining, text)) else STARTER
        text = [part for part in text if not is_accent(part)]
    characters = [
        ord(part)
        | (ALONE if is_cjk(char) or is_punctuation(part) else 0)
        | orders.get(unicodedata.combining(part), 0) << ORDER_SHIFT
        for part in text
    ]
    return flags, characters


@functools.cache
def code_points_with_properties() -> list[int]:
    """Returns all but unassigned, private and surrogate ones, which are kept unchanged."""
    ideographs = {x for first, last in CJK_BLOCKS for x in range(first, last + 1)}
    return [
        x
        for x in range(NUM_CODE_POINTS)
        if x in ideographs or unicodedata.category(chr(x)) not in ("Cn", "Co", "Cs")
    ]


def _orders_of_kept_marks() -> dict[int, int]:
    """Numbers the combining classes of characters that are not non-spacing marks."""
    kept = (x for x in map(chr, code_points_with_properties()) if not is_accent(x))
    classes = sorted(set(map(unicodedata.combining, kept)))
    assert len(classes) <= MAX_ORDER + 1
    return {combining: order for order, combining in enumerate(classes)}


@functools.cache
def find_cases(is_dropped: Callable[[str], bool]) -> np.ndarray:
    """Returns uint8 [1114112]: 0, CASED or IGNORED; characters that are dropped are IGNORED.

    They are found by lower-casing, as Python does not expose these properties.
    """
    cases = np.zeros(NUM_CODE_POINTS, np.uint8)
    if is_dropped("\ue000"):  # All that have no properties are.
        cases[:] = IGNORED
        cases[code_points_with_properties()] = 0
    for x in code_points_with_properties():
        char = chr(x)
        if is_dropped(char):
            cases[x] = IGNORED
        elif (char + "Σ").lower()[-1] == "ς":
            cases[x] = CASED
        elif ("A" + char + "Σ").lower()[-1] == "ς":
            cases[x] = IGNORED
    return cases


def paged(values: np.ndarray) -> PagedTable:
    """Returns a table of the numbers of all code points."""
    pages, indices = np.unique(values.reshape(-1, PAGE_SIZE), axis=0, return_inverse=True)
    return PagedTable((indices.reshape(-1) * PAGE_SIZE).astype(np.int32), pages.reshape(-1))
