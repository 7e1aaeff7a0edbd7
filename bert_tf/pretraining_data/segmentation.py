"""Joins the characters of Chinese words, so that whole-word masking masks them together.

    text          使用语言模型来预测。
    words         使用 语言 模型 来 预测 。       by jieba, a list of words, or spaces in the text
    tokens        使 用 语 言 模 型 来 预 测 。
    continuing       x     x     x     x          masked with the token before, like ##pieces

The ids stay the same. The tokenizer parts all CJK characters, which for the original are words of
their own. Only characters that are next to each other in the text are joined.

Source: Cui et al. (2019), "Pre-Training with Whole Word Masking for Chinese BERT".
"""

import logging
import warnings
from collections.abc import Callable, Container, Iterator, Sequence
from typing import Any

from bert_tf import files
from bert_tf.settings.pretraining_data import NAMED_SEGMENTERS
from bert_tf.text.characters import is_cjk
from bert_tf.text.tokenizer import Tokenizer

# Returns where in a text words begin, besides after what is no CJK character.
FindStarts = Callable[[str], Container[int]]


class Continuing(bytes):
    """Serialized bytes of a token that continues a word."""


class Continuations:
    """Contains the tokens of pieces that continue a word, and all marked as `Continuing`."""

    def __init__(self, pieces: Container[Any]) -> None:
        self._pieces = pieces

    def __contains__(self, token: Any) -> bool:
        return type(token) is Continuing or token in self._pieces


def make_encoder(
    name: str, tokenizer: Tokenizer, token_of: Sequence[bytes]
) -> Callable[[str], list[bytes]]:
    """Returns the function that tokenizes a line, with `Continuing` tokens.

    Args:
        name: a segmenter: see `PretrainingDataSettings.word_segmenter`.
        token_of: serialized bytes by id.

    Raises a ValueError if jieba is not installed, or the list of words holds none.
    """
    find_starts = find_segmenter(name)
    continuing_of = [*map(Continuing, token_of)]

    def encode(line: str) -> list[bytes]:
        pieces, spans = tokenizer.tokenize_with_offsets(line)
        ids = tokenizer.convert_tokens_to_ids(pieces)
        flags = continues_word(line, spans, find_starts(line))
        return [
            (continuing_of if flag else token_of)[index]
            for index, flag in zip(ids, flags, strict=True)
        ]

    return encode


def continues_word(
    text: str, spans: Sequence[tuple[int, int]], starts: Container[int]
) -> Iterator[bool]:
    """Yields for each token whether it and the one before are CJK characters of one word."""
    last_end, follows_cjk = -1, False
    for start, end in spans:
        is_character = end == start + 1 and is_cjk(text[start])
        yield is_character and follows_cjk and start == last_end and start not in starts
        last_end, follows_cjk = end, is_character


def find_segmenter(name: str) -> FindStarts:
    """Returns the function that finds the words of a text."""
    if name == "spaces":
        return lambda text: ()
    return _jieba() if name in NAMED_SEGMENTERS else _longest_words(name)


def _jieba() -> FindStarts:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of its regular expressions and of setuptools.
        jieba = files.optional_module("jieba", "--word_segmenter=jieba")
    jieba.setLogLevel(logging.WARNING)
    return lambda text: {start for _, start, _ in jieba.tokenize(text)}


def _longest_words(path: str) -> FindStarts:
    """Returns a segmenter that takes the longest word of a list at each place, from the left."""
    lines = (line.split() for line in files.open_text_lines(path, wanted="text"))
    words = frozenset(line[0] for line in lines if line)  # jieba's lists have further columns.
    if not words:
        raise ValueError(f"{path}: no words. A list of words has one on each line.")
    longest = max(map(len, words))

    def find_starts(text: str) -> Container[int]:
        starts, start = set(), 0
        while start < len(text):
            starts.add(start)
            ends = range(min(start + longest, len(text)), start + 1, -1)
            start = next((end for end in ends if text[start:end] in words), start + 1)
        return starts

    return find_starts
