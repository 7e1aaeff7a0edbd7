"""What the tokenizer makes of each character, as tables for a TensorFlow graph.

    tables = character_tables(do_lower_case=True, strip_accents=True)
    page = tables.entries.pages[code_point >> 8]          # pages of 256 code points
    entry = tables.entries.values[page + (code_point & 255)]

An entry is a number of 31 bits. The flags say what becomes of the character; the lowest 21 bits,
XORed with the code point, are what it turns into (so pages on which every character stays what it
is are one page).

    "É"  KEPT STARTER          "e"          one character; its accent belongs to it
    "!"  KEPT STARTER ALONE    "!"          a word of its own
    "한"  KEPT STARTER MANY     record 7      several characters, those of the record
    " "  BLANK STARTER                      parts words
    "\\u0301"  EXTENDS                       a stripped mark, part of the character before it
    "\\u00ad"  0                             as if it were not there

The tables are computed from the functions that the Python tokenizer is made of, with Python's own
knowledge of Unicode, whichever version TensorFlow has. No TensorFlow here.
"""

import functools
import unicodedata
from typing import NamedTuple

import numpy as np

from bert_tf.text.characters import (
    CJK_BLOCKS,
    is_accent,
    is_cjk,
    is_dropped,
    is_punctuation,
    is_whitespace,
)

NUM_CODE_POINTS = 0x110000
PAGE_BITS = 8
PAGE_SIZE = 1 << PAGE_BITS

CODE_POINT = (1 << 21) - 1  # The bits of a character, or of a record's number.
KEPT = 1 << 21  # Something of it stays.
MANY = 1 << 22  # What stays is several characters; their record's number stands for them.
ALONE = 1 << 23  # It is a word of its own.
BLANK = 1 << 24  # White space.
EXTENDS = 1 << 25  # It begins with a stripped mark, which belongs to what is before it.
STARTER = 1 << 26  # It has a part of combining class 0, past which no mark is moved.
ORDER_SHIFT = 27  # The bits above are the place of its combining class among the classes of ...
MAX_ORDER = 15  # ... marks that stay; 0 for class 0.

# What a capital sigma sees when it asks whether it ends a word.
CASED, IGNORED = 1, 2
CAPITAL_SIGMA, FINAL_SIGMA = 0x3A3, 0x3C2


class PagedTable(NamedTuple):
    """A number for each code point, with equal pages stored once.

    pages: int32 [4352], for each 256 code points the place of their page in `values`.
    values: [P * 256], the pages.
    """

    pages: np.ndarray
    values: np.ndarray


class CharacterTables(NamedTuple):
    """All that there is to know of characters.

    entries: see above.
    record_starts: int32 [R + 1], where in `record_values` each record starts.
    record_values: characters that one character turns into: code point, ALONE, and the order.
    cases: 0, CASED or IGNORED; what is both, or is dropped, is IGNORED.
    """

    entries: PagedTable
    record_starts: np.ndarray
    record_values: np.ndarray
    cases: PagedTable

    @property
    def has_marks_to_strip(self) -> bool:
        return bool((self.entries.values & EXTENDS).any())


@functools.lru_cache(maxsize=4)
def character_tables(do_lower_case: bool, strip_accents: bool) -> CharacterTables:
    """The tables for one way of normalizing. Takes about a second."""
    entries = np.full(NUM_CODE_POINTS, KEPT | STARTER, np.int32)
    orders = _orders_of_kept_marks() if strip_accents else {}
    record_starts, record_values = [0], []
    for code_point in _code_points_with_properties():
        entry = _entry(chr(code_point), do_lower_case, strip_accents, orders)
        if len(entry.characters) == 1:
            packed = entry.flags | entry.characters[0]
        elif entry.characters:
            packed = entry.flags | MANY | (len(record_starts) - 1)
            record_values += entry.characters
            record_starts.append(len(record_values))
        else:
            packed = entry.flags | code_point
        entries[code_point] = packed ^ code_point
    return CharacterTables(
        _paged(entries),
        np.array(record_starts, np.int32),
        np.array(record_values or [0], np.int32),
        _paged(_cases()),
    )


class _Entry(NamedTuple):
    flags: int
    characters: list[int]


def _entry(char: str, do_lower_case: bool, strip_accents: bool, orders: dict[int, int]) -> _Entry:
    """What becomes of a character; `characters` are those that stay, as in a record."""
    if is_dropped(char):
        return _Entry(0, [])
    if _is_blank(char):
        return _Entry(BLANK | STARTER, [])
    text = char.lower() if do_lower_case else char
    if not strip_accents:
        return _Entry(KEPT | STARTER, [ord(part) | _alone(char, part) for part in text])
    text = unicodedata.normalize("NFD", text)
    kept = [part for part in text if not is_accent(part)]
    flags = KEPT if kept else 0
    if is_accent(text[0]):
        flags |= EXTENDS
    if not all(map(unicodedata.combining, text)):
        flags |= STARTER
    characters = [
        ord(part) | _alone(char, part) | orders[unicodedata.combining(part)] << ORDER_SHIFT
        for part in kept
    ]
    return _Entry(flags, characters)


def _alone(char: str, part: str) -> int:
    return ALONE if is_cjk(char) or is_punctuation(part) else 0


def _is_blank(char: str) -> bool:
    """Python's str.split takes line and paragraph separators for white space, too."""
    return is_whitespace(char) or (char.isspace() and not is_dropped(char))


@functools.cache
def _code_points_with_properties() -> list[int]:
    """Those to look at: all but the unassigned, private and surrogate ones, which stay as they are;
    in the blocks of ideographs those as well."""
    ideographs = {x for first, last in CJK_BLOCKS for x in range(first, last + 1)}
    category = unicodedata.category
    return [
        x
        for x in range(NUM_CODE_POINTS)
        if x in ideographs or category(chr(x)) not in ("Cn", "Co", "Cs")
    ]


def _orders_of_kept_marks() -> dict[int, int]:
    """The combining classes of what is no non-spacing mark, numbered from 1."""
    classes = {
        unicodedata.combining(chr(x))
        for x in _code_points_with_properties()
        if not is_accent(chr(x))
    }
    orders = {combining: order for order, combining in enumerate(sorted(classes))}
    assert len(orders) <= MAX_ORDER + 1
    return orders


@functools.cache
def _cases() -> np.ndarray:
    """uint8 [1114112]: found by asking Python, which does not tell these properties otherwise."""
    cases = np.zeros(NUM_CODE_POINTS, np.uint8)
    for x in _code_points_with_properties():
        char = chr(x)
        if is_dropped(char):
            cases[x] = IGNORED
        elif (char + "Σ").lower()[-1] == "ς":
            cases[x] = CASED
        elif ("A" + char + "Σ").lower()[-1] == "ς":
            cases[x] = IGNORED
    return cases


def _paged(values: np.ndarray) -> PagedTable:
    pages, places = np.unique(values.reshape(-1, PAGE_SIZE), axis=0, return_inverse=True)
    return PagedTable((places.reshape(-1) * PAGE_SIZE).astype(np.int32), pages.reshape(-1))
