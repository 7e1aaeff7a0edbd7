"""The word piece op of tensorflow-text, for words and for lines of plain ASCII: the exact ids only.

The op finds the pieces of a word in one pass. It splits lines into words by rules of its own, which
are the original's on plain ASCII only; words beyond a number of bytes are unknown to it; and tokens
with white space lead it astray ("## a" makes "ab" unknown). So it gets only what it does right.
"""

from collections.abc import Sequence

import tensorflow as tf
import tensorflow_text

from bert_tf.text.characters import is_punctuation
from bert_tf.text.tokenization import BasicTokenizer

UNK = "[UNK]"
# The longest run of characters in a line of plain ASCII: 100 of them are too much for the op as
# tensorflow-text sets it, and hardly ever words.
LONGEST_RUN = 99
# A longer word is unknown, as in the original.
LONGEST_WORD = 200


def make_line_tokenizer(vocab: Sequence[str]) -> tensorflow_text.FastWordpieceTokenizer | None:
    """Splits lines of plain ASCII, without a run of 100 characters, into word pieces.

    Returns: None for a vocabulary without words, which the op refuses.
    """
    tokens, has_words = _usable_tokens(vocab, LONGEST_RUN)
    return _make_tokenizer(tokens, LONGEST_RUN + 1, splits_lines=True) if has_words else None


def make_word_tokenizer(vocab: Sequence[str]) -> tensorflow_text.FastWordpieceTokenizer:
    """Splits words of at most 200 characters, as `BasicTokenizer` makes them, into pieces."""
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
    """The vocabulary with placeholders for tokens that no text has, and whether it has words."""
    basic = BasicTokenizer(do_lower_case=False)
    has_words = False
    tokens = []
    for index, token in enumerate(vocab):
        word = token.removeprefix("##")
        is_usable = len(word) <= longest and basic.tokenize(word) == [word]
        has_words |= is_usable and not is_punctuation(word[0])
        # The placeholder has punctuation inside, so that no text has it either.
        tokens.append(token if is_usable or token == UNK else f"[no_word_{index}]")
    return tokens, has_words
