"""Finds the ends of sentences among the words or word pieces of a text.

A sentence ends after . ! ? and the closing signs behind it, but not after the point of an
abbreviation such as `Mr.` or of a single letter.
"""

from collections.abc import Sequence

ENDS = frozenset(".!?。！？")
CLOSES = frozenset("\"'”’»)]")
ABBREVIATIONS = frozenset(
    [*"abcdefghijklmnopqrstuvwxyz", *("mr", "mrs", "ms", "dr", "st", "prof", "sr", "jr", "vs")]
)


def sentence_ends(words: Sequence[str]) -> list[bool]:
    """Returns whether each word or piece is the last one of a sentence."""
    ends, is_over = [], False
    for number, word in enumerate(words):
        before = words[number - 1].lower() if number else ""
        is_abbreviation = word == "." and before in ABBREVIATIONS
        is_over = (word in ENDS and not is_abbreviation) or (is_over and word in CLOSES)
        ends.append(is_over)
    closed = [
        first and second in CLOSES for first, second in zip(ends, [*words[1:], ""], strict=True)
    ]
    return [end and not more for end, more in zip(ends, closed, strict=True)]
