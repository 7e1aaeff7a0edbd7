"""Normalizes text as ALBERT does before SentencePiece, with the source of each character.

    text   "\\tCafe\\u0301  ﬁn\\n"
    words  Cafe\\u0301, ﬁn                       split at white space, joined by one space
    NFKD   C a f e \\u0301 ␣ f i n
    kept   C a f e ␣ f i n                      no character with a combining class
    lower  c a f e ␣ f i n

Source: google-research/albert, tokenization.py, `preprocess_text`.
"""

import unicodedata
from collections.abc import Iterator
from itertools import pairwise

from bert_tf.text.characters import CharacterTable
from bert_tf.text.offsets import AlignedCharacter, lower_cased


def decomposed(char: str) -> str:
    """Returns the NFKD form of a character without combining ones; "" for half a surrogate pair."""
    if unicodedata.category(char) == "Cs":
        return ""
    parts = unicodedata.normalize("NFKD", char)
    return "".join(part for part in parts if not unicodedata.combining(part))


# Decomposing the whole text would give the same: only combining characters change their order.
_DECOMPOSED = CharacterTable(decomposed)


def normalize(text: str, do_lower_case: bool) -> str:
    """Returns the normalized text."""
    text = " ".join(text.split())
    if not text.isascii():
        text = text.translate(_DECOMPOSED)
    return text.lower() if do_lower_case else text


def align(text: str, do_lower_case: bool) -> list[AlignedCharacter]:
    """Returns the characters of the normalized text, and the span of each in `text`.

    Characters that are dropped belong to the one before them; at the start of a word, to none.
    """
    characters = list(_aligned(text))
    return lower_cased(characters) if do_lower_case else characters


def _aligned(text: str) -> Iterator[AlignedCharacter]:
    spans = list(_words(text))
    for index, (start, end) in enumerate(spans):
        if index:
            yield AlignedCharacter(" ", start - 1, start)
        kept = [i for i in range(start, end) if decomposed(text[i])]
        for place, past in pairwise([*kept, end]):
            for part in decomposed(text[place]):
                yield AlignedCharacter(part, place, past)


def _words(text: str) -> Iterator[tuple[int, int]]:
    """Yields the spans of the words of `str.split`."""
    start = 0
    for word in text.split():
        start = text.index(word, start)
        yield start, start + len(word)
        start += len(word)
