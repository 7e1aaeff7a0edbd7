"""Wraps the word piece op of tensorflow-text for the inputs on which it equals the original.

The op splits lines into words as the original does on plain ASCII only, limits words in bytes, and
fails with tokens that contain white space ("## a" makes "ab" unknown).
"""

from collections.abc import Sequence

import tensorflow as tf
import tensorflow_text

from bert_tf.text.characters import is_punctuation
from bert_tf.text.tokenization import BasicTokenizer

UNK = "[UNK]"
LONGEST_RUN = 99  # Characters in a line of plain ASCII: the op's default limit is 100 bytes.
LONGEST_WORD = 200  # Longer ones are unknown, as in the original.


def make_line_tokenizer(vocab: Sequence[str]) -> tensorflow_text.FastWordpieceTokenizer | None:
    """Returns a tokenizer of plain ASCII lines without runs of 100 characters.

    It is None for a vocabulary without words, which the op refuses.
    """
    tokens, has_words = _usable_tokens(vocab, LONGEST_RUN)
    return _make_tokenizer(tokens, LONGEST_RUN + 1, splits_lines=True) if has_words else None


def make_word_tokenizer(vocab: Sequence[str]) -> tensorflow_text.FastWordpieceTokenizer:
    """Returns a tokenizer of `BasicTokenizer`'s words of at most 200 characters."""
    tokens, _ = _usable_tokens(vocab, LONGEST_WORD)
    return _make_tokenizer(tokens, LONGEST_WORD * 4, splits_lines=False)  # UTF-8: at most 4 bytes.


def _make_tokenizer(
    tokens: list[str], max_bytes_per_word: int, splits_lines: bool
) -> tensorflow_text.FastWordpieceTokenizer:
    return tensorflow_text.FastWordpieceTokenizer(
        tokens,
        max_bytes_per_word=max_bytes_per_word,
        token_out_type=tf.int32,
        unknown_token=UNK,
        no_pretokenization=not splits_lines,
    )


def _usable_tokens(vocab: Sequence[str], longest: int) -> tuple[list[str], bool]:
    """Replaces tokens that no text has by placeholders; also returns whether words are left."""
    basic = BasicTokenizer(do_lower_case=False)
    has_words = False
    tokens = []
    for index, token in enumerate(vocab):
        word = token.removeprefix("##")
        is_usable = len(word) <= longest and basic.tokenize(word) == [word]
        has_words |= is_usable and not is_punctuation(word[0])
        # No word of a text contains the placeholder's punctuation.
        tokens.append(token if is_usable or token == UNK else f"[no_word_{index}]")
    return tokens, has_words
