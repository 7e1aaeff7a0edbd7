"""Tokenizes passages, divides them into windows, and finds the tokens of an answer.

    context     The leader was John Smith (1895-1943).
    words       The  leader  was  John  Smith  (1895-1943).
    tokens      the  leader  was  john  smith  ( 1895 - 1943 ) .
    word starts 0    1       2    3     4      5                  11

    [CLS] question [SEP] tokens  0 ... 9 [SEP]      the windows of a long passage, `doc_stride`
    [CLS] question [SEP] tokens  5 ... 14 [SEP]     tokens apart: 5

Words are separated by spaces, tabs, line ends and U+202F, but not by Unicode's other white space.
No TensorFlow.

Source: google-research/bert, run_squad.py, `read_squad_examples`, `convert_examples_to_features`.
"""

import functools
import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from bert_tf.text.packing import Window, divide
from bert_tf.text.tokenizer import Tokenizer

WORD = re.compile("[^ \t\r\n\u202f]+")

# Every tokenizer splits at each ASCII punctuation mark.
_ASCII_PARTS = re.compile("[A-Za-z0-9]+|[^A-Za-z0-9]")

# [CLS] question [SEP] passage [SEP]
NUM_SPECIAL_TOKENS = 3

# Longer words, such as sentences of languages without spaces, rarely occur again.
_MAX_CACHED_CHARACTERS = 64
_MAX_CACHED_WORDS = 100_000  # About 25 MB.
# In characters, about 50 MB when full. All passages of SQuAD 1.1 have 14 million.
_MAX_CACHED_TEXT = 16_000_000


def split_words(text: str) -> list[str]:
    """The words of a passage."""
    return WORD.findall(text)


class PassageTokens(NamedTuple):
    """A tokenized passage.

    ids: of all word pieces.
    word_starts: the index of each word's first piece; for a word without pieces that of the next
        word. At the end the number of all pieces.
    """

    ids: list[int]
    word_starts: array

    def word_of(self, token: int) -> int:
        """The index of the word that a piece belongs to."""
        return bisect_right(self.word_starts, token, hi=len(self.word_starts) - 1) - 1


class PassageTokenizer:
    """Tokenizes passages word by word, and caches words and passages within limits.

    Args:
        tokenizer: tokenizes each word.
    """

    def __init__(self, tokenizer: Tokenizer):
        self.tokenizer = tokenizer
        self._part_ids = _Cache(tokenizer.encode)
        self._normalized = _Cache(lambda word: " ".join(tokenizer.split_words(word)))
        self._passages: dict[str, PassageTokens] = {}
        self._num_characters = 0

    def tokens(self, context: str) -> PassageTokens:
        """The word pieces of a passage."""
        if context not in self._passages:
            self._num_characters += len(context)
            if self._num_characters > _MAX_CACHED_TEXT:
                self._passages.clear()
                self._num_characters = len(context)
            self._passages[context] = self._tokenize(context)
        return self._passages[context]

    def encode(self, text: str) -> list[int]:
        """The word pieces of a text."""
        return self._tokenize(text).ids

    def normalize(self, words: Sequence[str]) -> str:
        """The words and punctuation marks as they are before they are split into pieces."""
        return " ".join(filter(None, map(self._normalized.__getitem__, words)))

    def _tokenize(self, text: str) -> PassageTokens:
        ids: list[int] = []
        word_starts = [0]
        for word in split_words(text):
            # The parts are cached: there are fewer "end" than "end", "end." and "(end)".
            known = self._part_ids.get(word)
            if known is not None:
                ids += known
            elif word.isascii() and word.isprintable():
                for part in _ASCII_PARTS.findall(word):
                    ids += self._part_ids[part]
            else:
                ids += self.tokenizer.encode(word)
            word_starts.append(len(ids))
        return PassageTokens(ids, array("i", word_starts))


class _Cache(dict):
    """The value that `compute` gives for each word. Faster than `functools.lru_cache`."""

    def __init__(self, compute: Callable[[str], Any]):
        super().__init__()
        self._compute = compute

    def __missing__(self, word: str) -> Any:
        value = self._compute(word)
        if len(word) <= _MAX_CACHED_CHARACTERS:
            if len(self) >= _MAX_CACHED_WORDS:
                self.clear()
            self[word] = value
        return value


@functools.lru_cache(maxsize=1)
def passage_tokenizer(tokenizer: Tokenizer) -> PassageTokenizer:
    """The `PassageTokenizer` of a tokenizer, with the caches of earlier calls."""
    return PassageTokenizer(tokenizer)


def divide_passage(
    num_tokens: int, num_question_tokens: int, max_seq_length: int, doc_stride: int
) -> tuple[Window, ...]:
    """The windows of a passage with a question; none for a passage without tokens."""
    max_tokens = max_seq_length - num_question_tokens - NUM_SPECIAL_TOKENS
    return tuple(divide(num_tokens, max_tokens, doc_stride))


@functools.lru_cache(maxsize=4096)
def best_windows(windows: tuple[Window, ...], num_tokens: int) -> np.ndarray:
    """The window with the most context around each token.

        tokens    0 1 2 3 4 5 6 7 8 9
        window 0  0 1 2 2 1 0               the minimum of left and right context
        window 1      0 1 2 2 1 0
        window 2          0 1 2 2 1 0
        best      0 0 0 0 1 1 2 2 2 2

    A window scores 0.01 more for each of its tokens; the first of equal ones wins.

    Args:
        windows: of a passage, in order.
        num_tokens: T, the tokens of the passage.

    Returns: int64 [T], indices of windows.

    Source: google-research/bert, run_squad.py, `_check_is_max_context`.
    """
    most = np.full(num_tokens, -1.0)
    best = np.zeros(num_tokens, np.int64)
    for number, (start, length) in enumerate(windows):
        place = np.arange(length)
        context = np.minimum(place, length - 1 - place) + 0.01 * length
        tokens = start + np.flatnonzero(context > most[start : start + length])
        most[tokens] = context[tokens - start]
        best[tokens] = number
    return best


def answer_words(context: str, answer: str, answer_start: int) -> tuple[int, int] | None:
    """The first and last word of an answer, or None if these words do not contain it.

    Args:
        context: the passage.
        answer: a part of it, apart from white space.
        answer_start: the position of its first character. (Negative positions count from the end
            of the passage, by accident as in the original.)

    Returns: the indices of the words. -1 is the white space before the first word.
    """
    positions = answer_start, answer_start + len(answer) - 1
    if not all(-len(context) <= position < len(context) for position in positions):
        return None
    words, word_starts = _words_and_starts(context)
    if not words:
        return None
    first, last = (bisect_right(word_starts, position % len(context)) - 1 for position in positions)
    is_found = " ".join(answer.split()) in " ".join(words[first : last + 1])
    return (first, last) if is_found else None


def answer_tokens(
    passage: PassageTokens, first_word: int, last_word: int, answer_ids: list[int]
) -> tuple[int, int]:
    """The first and last token of an answer: those of its words, or fewer that are the answer.

    The answer "1895" in "(1895-1943)." is a part of a word, and a token by itself.

    Args:
        passage: the tokens.
        first_word, last_word: from `answer_words`.
        answer_ids: the answer's own tokens.

    Source: google-research/bert, run_squad.py, `_improve_answer_span`.
    """
    word_starts = passage.word_starts
    # -1, the white space before the first word, is the last word in the original.
    start = word_starts[first_word if first_word >= 0 else first_word - 1]
    end = word_starts[last_word + 1] - 1
    size = len(answer_ids)
    if size:
        for new_start in range(start, end - size + 2):
            if passage.ids[new_start : new_start + size] == answer_ids:
                return new_start, new_start + size - 1
    return start, end


@functools.lru_cache(maxsize=16)  # Questions about one passage follow each other.
def _words_and_starts(context: str) -> tuple[list[str], list[int]]:
    return split_words(context), [word.start() for word in WORD.finditer(context)]
