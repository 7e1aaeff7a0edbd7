"""Tokenizes passages, divides them into windows, and finds the tokens of an answer.

    context     The leader was John Smith (1895-1943).
    words       The  leader  was  John  Smith  (1895-1943).
    tokens      the  leader  was  john  smith  ( 1895 - 1943 ) .
    word starts 0    1       2    3     4      5                  11

Words are separated by spaces, tabs, line ends and U+202F, but not by Unicode's other white space.

Source: google-research/bert, run_squad.py, `read_squad_examples`, `convert_examples_to_features`.
"""

import functools
import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from bert_tf.text.characters import is_blank
from bert_tf.text.packing import Window, divide, num_special_tokens
from bert_tf.text.tokenizer import Tokenizer

_WORD = re.compile("[^ \t\r\n\u202f]+")
# Tokenizers without a `word_prefix` split at each ASCII punctuation mark.
_ASCII_PARTS = re.compile("[A-Za-z0-9]+|[^A-Za-z0-9]")
# In characters, each about 25 to 50 MB. All passages of SQuAD 1.1 have 14 million.
_MAX_CACHED_WORDS = 700_000
_MAX_CACHED_TEXT = 16_000_000


class PassageTokens(NamedTuple):
    """A tokenized passage."""

    ids: list[int]
    # The index of each word's first piece (or the next word's), then the number of all pieces.
    word_starts: array

    def word_of(self, token: int) -> int:
        """Returns the index of the word that a piece belongs to."""
        return bisect_right(self.word_starts, token, hi=len(self.word_starts) - 1) - 1


class PassageTokenizer:
    """Tokenizes passages word by word, with bounded caches of words and passages."""

    def __init__(self, tokenizer: Tokenizer):
        self.tokenizer = tokenizer
        self._part_ids = _Cache(tokenizer.encode, _MAX_CACHED_WORDS)
        self._normalized = _Cache(
            lambda word: " ".join(tokenizer.split_words(word)), _MAX_CACHED_WORDS
        )
        self._passages = _Cache(self._tokenize, _MAX_CACHED_TEXT)

    def tokens(self, context: str) -> PassageTokens:
        return self._passages[context]

    def encode(self, text: str) -> list[int]:
        return self._tokenize(text).ids

    def normalize(self, words: Sequence[str]) -> str:
        """Returns the words and punctuation marks before they are split into pieces."""
        return " ".join(filter(None, map(self._normalized.__getitem__, words)))

    def _tokenize(self, text: str) -> PassageTokens:
        ids: list[int] = []
        word_starts = [0]
        prefix = self.tokenizer.word_prefix
        for word in split_words(text):
            # The parts are cached: there are fewer "end" than "end", "end." and "(end)".
            known = self._part_ids.get(word)
            if prefix:
                ids += self._part_ids[prefix + word]
            elif known is not None:
                ids += known
            elif word.isascii() and word.isprintable():
                for part in _ASCII_PARTS.findall(word):
                    ids += self._part_ids[part]
            else:
                ids += self.tokenizer.encode(word)
            word_starts.append(len(ids))
        return PassageTokens(ids, array("i", word_starts))


class _Cache(dict):
    """Caches what `compute` returns for a text, faster than `functools.lru_cache`."""

    def __init__(self, compute: Callable[[str], Any], max_characters: int):
        super().__init__()
        self._compute = compute
        self._max_characters = max_characters
        self._num_characters = 0

    def __missing__(self, text: str) -> Any:
        self._num_characters += len(text)
        if self._num_characters > self._max_characters:
            self.clear()
            self._num_characters = len(text)
        value = self[text] = self._compute(text)
        return value


@functools.lru_cache(maxsize=1)
def passage_tokenizer(tokenizer: Tokenizer) -> PassageTokenizer:
    """Returns a tokenizer's `PassageTokenizer`, with the caches of earlier calls."""
    return PassageTokenizer(tokenizer)


def split_words(text: str) -> list[str]:
    return _WORD.findall(text)


def divide_passage(
    num_tokens: int, num_question_tokens: int, max_seq_length: int, doc_stride: int, sep: int = 0
) -> tuple[Window, ...]:
    """Returns the windows of a passage with a question; none for a passage without tokens.

    `sep` is the tokenizer's separator, of which there may be two between question and passage.
    """
    max_tokens = max_seq_length - num_question_tokens - num_special_tokens(sep, is_pair=True)
    if num_tokens and max_tokens < 1:
        raise ValueError(
            f"A question of {num_question_tokens} tokens leaves no room for its passage in "
            f"max_seq_length={max_seq_length}. Lower max_query_length."
        )
    return tuple(divide(num_tokens, max_tokens, doc_stride))


@functools.lru_cache(maxsize=4096)
def best_windows(windows: tuple[Window, ...]) -> np.ndarray:
    """Returns the window with the most context around each of T tokens, int64 [T].

        tokens    0 1 2 3 4 5 6 7 8 9
        window 0  0 1 2 2 1 0               the minimum of left and right context
        window 1      0 1 2 2 1 0
        window 2          0 1 2 2 1 0
        best      0 0 0 0 1 1 2 2 2 2

    A window scores 0.01 more for each of its tokens; the first one wins a tie.

    Source: google-research/bert, run_squad.py, `_check_is_max_context`.
    """
    num_tokens = sum(windows[-1])
    most = np.full(num_tokens, -1.0)
    best = np.zeros(num_tokens, np.int64)
    for number, (start, length) in enumerate(windows):
        position = np.arange(length)
        context = np.minimum(position, length - 1 - position) + 0.01 * length
        tokens = start + np.flatnonzero(context > most[start : start + length])
        most[tokens] = context[tokens - start]
        best[tokens] = number
    return best


def answer_words(context: str, answer: str, answer_start: int) -> tuple[int, int] | None:
    """Returns the indices of an answer's first and last word, or None if they do not contain it.

    Index -1 is the white space before the first word. `answer_start` is in characters. A blank
    answer is in no passage.
    """
    positions = answer_start, answer_start + len(answer) - 1
    if is_blank(answer) or answer_start < 0 or positions[1] >= len(context):
        return None
    words, word_starts = _words_and_starts(context)
    if not words:
        return None
    first, last = (bisect_right(word_starts, position) - 1 for position in positions)
    is_found = " ".join(answer.split()) in " ".join(words[first : last + 1])
    return (first, last) if is_found else None


def answer_tokens(
    passage: PassageTokens, first_word: int, last_word: int, answer_ids: list[int]
) -> tuple[int, int]:
    """Returns the first and last token of an answer, which may be a part of its words.

    For example, the answer "1895" is one token of the word "(1895-1943).".

    Source: google-research/bert, run_squad.py, `_improve_answer_span`.
    """
    # -1, the white space before the first word, is the last word in the original.
    start = passage.word_starts[first_word if first_word >= 0 else first_word - 1]
    end = passage.word_starts[last_word + 1] - 1
    size = len(answer_ids)
    if size:
        for new_start in range(start, end - size + 2):
            if passage.ids[new_start : new_start + size] == answer_ids:
                return new_start, new_start + size - 1
    return start, end


@functools.lru_cache(maxsize=16)  # Questions about one passage follow each other.
def _words_and_starts(context: str) -> tuple[list[str], list[int]]:
    return split_words(context), [word.start() for word in _WORD.finditer(context)]
