"""Chooses the masked tokens of a sentence pair and replaces them.

By default, 80 % of the chosen tokens become [MASK], 10 % a random token, and 10 % stay. Random
draws are the original's, call for call, so the same seed gives the same masks.

Source: Devlin et al. 2018, section 3.1 and appendix A.1; google-research/bert,
create_pretraining_data.py, `create_masked_lm_predictions`.
"""

import random
import re
from collections.abc import Container, Mapping, MutableSequence, Sequence
from typing import Any

_NOT_ORDINARY = re.compile(r"\[.*\]|<.+>", re.DOTALL)


def shuffle(items: MutableSequence, rng: random.Random) -> None:
    """Does `rng.shuffle(items)` faster, with the same order and final state of `rng`."""
    getrandbits = rng.getrandbits
    highest = len(items) - 1
    while highest > 0:
        # A number up to `last` is drawn with the bits of `last + 1`, again if it is too large. The
        # inner loop covers the range that has the same number of bits.
        num_bits = (highest + 1).bit_length()
        lowest = max((1 << (num_bits - 1)) - 1, 1)
        for last in range(highest, lowest - 1, -1):
            other = getrandbits(num_bits)
            while other > last:
                other = getrandbits(num_bits)
            items[last], items[other] = items[other], items[last]
        highest = lowest - 1


def draw_below(limit: int, rng: random.Random) -> int:
    """Returns `rng.randint(0, limit - 1)` faster, with the same final state of `rng`."""
    num_bits = limit.bit_length()
    number = rng.getrandbits(num_bits)
    while number >= limit:
        number = rng.getrandbits(num_bits)
    return number


def num_to_predict(num_tokens: int, masked_lm_prob: float, max_predictions_per_seq: int) -> int:
    """Returns how many of `num_tokens`, which include [CLS] and [SEP], are masked."""
    return min(max_predictions_per_seq, max(1, round(num_tokens * masked_lm_prob)))


def is_ordinary(token: str) -> bool:
    """Returns whether a token can occur in text, unlike [PAD], [unused17] and <S>."""
    return not _NOT_ORDINARY.fullmatch(token)


def replacement_ids(vocab: Mapping[str, int], mend_quirks: bool = False) -> Sequence[int]:
    """Returns the ids of random replacements: all, or only ordinary ones with `mend_quirks`."""
    ids = [index for token, index in vocab.items() if not mend_quirks or is_ordinary(token)]
    if not ids:
        raise ValueError("The vocabulary holds special tokens only: there is no word to draw.")
    return ids


def id_ranges(ids: Sequence[int]) -> list[list[int]]:
    """Returns [first, past the last] of each run of consecutive ids, ascending."""
    ranges: list[list[int]] = []
    for index in sorted(ids):
        if ranges and ranges[-1][1] == index:
            ranges[-1][1] = index + 1
        else:
            ranges.append([index, index + 1])
    return ranges


def group_words(
    tokens: Sequence[Any], num_tokens_a: int, continuations: Container[Any], mend_quirks: bool
) -> list[list[int]]:
    """Returns the token positions of each word, for whole-word masking.

    If truncation left one of `continuations` at the start of B, the original adds it to the last
    word of A; `mend_quirks` does not:

        tokens    [CLS]  the  cat  ##s  [SEP]  ##ing  [SEP]
        original         [1]  [2,  3,           5]
        mended           [1]  [2,  3]          [5]
    """
    start_b = num_tokens_a + 2
    words: list[list[int]] = []
    for place in (*range(1, start_b - 1), *range(start_b, len(tokens) - 1)):
        if tokens[place] in continuations and words and not (mend_quirks and place == start_b):
            words[-1].append(place)
        else:
            words.append([place])
    return words


def choose_tokens(places: list[int], count: int, rng: random.Random) -> list[int]:
    """Chooses `count` of the positions of tokens; shuffles `places`."""
    shuffle(places, rng)
    return places[:count]


def choose_words(words: list[list[int]], count: int, rng: random.Random) -> list[int]:
    """Chooses the positions of whole words with at most `count` tokens; shuffles `words`."""
    shuffle(words, rng)
    places: list[int] = []
    for word in words:
        if len(places) >= count:
            break
        if len(places) + len(word) <= count:
            places += word
    return places


def mask_tokens(
    tokens: MutableSequence[Any],
    places: Sequence[int],
    mask: Any,
    replacements: Sequence[Any],
    mix: tuple[float, float],
    rng: random.Random,
) -> tuple[list[int], list[Any]]:
    """Replaces the tokens at `places`, in that order, by `mask` or at random, or keeps them.

    `mix`: the fraction that `mask` replaces; of the others, the fraction that is kept.
    Returns the places, ascending, and the original tokens there.
    """
    positions = sorted(places)
    labels = [tokens[place] for place in positions]
    draw = rng.random
    masked, kept = mix
    for place in places:
        if draw() < masked:
            tokens[place] = mask
        elif draw() >= kept:
            tokens[place] = replacements[draw_below(len(replacements), rng)]
    return positions, labels
