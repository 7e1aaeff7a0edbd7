"""Which tokens of a sentence pair are hidden, and what stands there instead.

Of the tokens chosen, 80 % become [MASK], 10 % a random token, and 10 % stay as they are, so that
the model must give every token's meaning, not only that of [MASK].

Everything here draws from a `random.Random` exactly as the original does, call for call: the same
seed gives the same masks.

Source: Devlin et al. 2018, section 3.1 and appendix A.1; google-research/bert,
create_pretraining_data.py, `create_masked_lm_predictions`.
"""

import random
import re
from collections.abc import Container, Mapping, MutableSequence, Sequence
from typing import Any

_NOT_ORDINARY = re.compile(r"\[.*\]|<.+>", re.DOTALL)


def shuffle(items: MutableSequence, rng: random.Random) -> None:
    """`rng.shuffle(items)`: the same order, and the same state of `rng` after it, but faster."""
    getrandbits = rng.getrandbits
    highest = len(items) - 1
    while highest > 0:
        # Of all numbers up to `last` one is drawn by as many bits as `last + 1` has, and again if
        # it is too large. The range goes down as long as that is the same number of bits.
        num_bits = (highest + 1).bit_length()
        lowest = max((1 << (num_bits - 1)) - 1, 1)
        for last in range(highest, lowest - 1, -1):
            other = getrandbits(num_bits)
            while other > last:
                other = getrandbits(num_bits)
            items[last], items[other] = items[other], items[last]
        highest = lowest - 1


def draw_below(limit: int, rng: random.Random) -> int:
    """`rng.randint(0, limit - 1)`, and the same state of `rng` after it, but faster."""
    num_bits = limit.bit_length()
    number = rng.getrandbits(num_bits)
    while number >= limit:
        number = rng.getrandbits(num_bits)
    return number


def num_to_predict(num_tokens: int, masked_lm_prob: float, max_predictions_per_seq: int) -> int:
    """How many tokens are hidden in a pair of `num_tokens`, [CLS] and both [SEP] included."""
    return min(max_predictions_per_seq, max(1, round(num_tokens * masked_lm_prob)))


def is_ordinary(token: str) -> bool:
    """Whether a token stands for text. [PAD], [unused17] and <S> do not: no text becomes them."""
    return not _NOT_ORDINARY.fullmatch(token)


def replacement_ids(vocab: Mapping[str, int], mend_quirks: bool = False) -> Sequence[int]:
    """The ids that random replacements are drawn from, each as likely as the other.

    Args:
        vocab: the id of every token.
        mend_quirks: whether to leave out [PAD], [unused0] and whatever else no text becomes. The
            original draws them as well.

    Raises:
        ValueError: if nothing is left.
    """
    ids = list(vocab.values())
    if mend_quirks:
        ids = [index for token, index in vocab.items() if is_ordinary(token)]
        if not ids:
            raise ValueError("The vocabulary holds special tokens only: there is no word to draw.")
    return ids


def id_ranges(ids: Sequence[int]) -> list[list[int]]:
    """Ids as [first, past the last] of each run of consecutive ones, ascending."""
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
    """The places of a pair's tokens, those of a word together: what is hidden as a whole.

    A piece that begins with `##` belongs to the word before it. Where truncation left one at the
    start of B, the original counts it to the last word of A:

        tokens   [CLS]  the  cat  ##s  [SEP]  ##ing  [SEP]
        as ever         [1]  [2,  3,           5]
        mended          [1]  [2,  3]          [5]

    Args:
        tokens: [CLS] A [SEP] B [SEP].
        num_tokens_a: length of A.
        continuations: the tokens that begin with `##`.
        mend_quirks: whether a word ends at [SEP].
    """
    start_b = num_tokens_a + 2
    words: list[list[int]] = []
    for place in (*range(1, start_b - 1), *range(start_b, len(tokens) - 1)):
        joins = tokens[place] in continuations and words and not (mend_quirks and place == start_b)
        if joins:
            words[-1].append(place)
        else:
            words.append([place])
    return words


def choose_tokens(num_tokens_a: int, num_tokens: int, count: int, rng: random.Random) -> list[int]:
    """Chooses `count` places of [CLS] A [SEP] B [SEP] at random, special tokens left out."""
    start_b = num_tokens_a + 2
    places = [*range(1, start_b - 1), *range(start_b, num_tokens - 1)]
    shuffle(places, rng)
    return places[:count]


def choose_words(words: list[list[int]], count: int, rng: random.Random) -> list[int]:
    """Chooses whole words at random, as long as they hold `count` tokens together at most.

    Args:
        words: the places of each word's tokens; shuffled in place.

    Returns:
        The places of the tokens of the chosen words; none if every word is too long.
    """
    shuffle(words, rng)
    places: list[int] = []
    for word in words:
        if len(places) >= count:
            break
        if len(places) + len(word) <= count:
            places += word
    return places


def hide_tokens(
    tokens: MutableSequence[Any],
    places: Sequence[int],
    mask: Any,
    replacements: Sequence[Any],
    rng: random.Random,
) -> None:
    """Puts [MASK], a random token or what stood there before at `places`, in place.

    Args:
        tokens: those of a pair.
        places: what to hide, in the order of choice.
        mask: what stands for [MASK].
        replacements: what random tokens are drawn from.
    """
    draw = rng.random
    for place in places:
        if draw() < 0.8:
            tokens[place] = mask
        elif draw() >= 0.5:
            tokens[place] = replacements[draw_below(len(replacements), rng)]
