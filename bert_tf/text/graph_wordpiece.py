"""The word piece op of tensorflow-text, for words and for lines of plain ASCII: the exact ids only.

The op finds the pieces of a word in one pass. Given whole lines it parts them by rules of its own,
which are the original's on plain ASCII only; it takes a word of more than so many bytes for
unknown; and tokens with white space in them lead it astray ("## a" makes it take "ab" for unknown).
So it is given nothing but what it does right.
"""

from collections.abc import Sequence

import tensorflow as tf
import tensorflow_text

from bert_tf.text.characters import is_punctuation
from bert_tf.text.tokenization import BasicTokenizer

UNK = "[UNK]"
# How many characters in a row a line of plain ASCII has at most: 100 of them are too much for the
# op as tensorflow-text sets it, and hardly ever words.
LONGEST_RUN = 99
# A longer word is unknown, as in the original.
LONGEST_WORD = 200
_BYTES_PER_CHARACTER = 4


def make_line_tokenizer(vocab: Sequence[str]) -> tensorflow_text.FastWordpieceTokenizer | None:
    """Parts lines into words and pieces, for plain ASCII without a run of 100 characters.

    Returns: None for a vocabulary without words, which the op refuses.
    """
    tokens, has_words = _tokens_that_can_be_met(vocab, LONGEST_RUN)
    if not has_words:
        return None
    return _make_tokenizer(tokens, LONGEST_RUN + 1, no_pretokenization=False)


def make_word_tokenizer(vocab: Sequence[str]) -> tensorflow_text.FastWordpieceTokenizer:
    """Parts words of at most 200 characters, as `BasicTokenizer` gives them, into pieces."""
    tokens, _ = _tokens_that_can_be_met(vocab, LONGEST_WORD)
    max_bytes = LONGEST_WORD * _BYTES_PER_CHARACTER
    return _make_tokenizer(tokens, max_bytes, no_pretokenization=True)


def _make_tokenizer(
    tokens: list[str], max_bytes_per_word: int, no_pretokenization: bool
) -> tensorflow_text.FastWordpieceTokenizer:
    return tensorflow_text.FastWordpieceTokenizer(
        tokens,
        max_bytes_per_word=max_bytes_per_word,
        token_out_type=tf.int32,
        unknown_token=UNK,
        no_pretokenization=no_pretokenization,
    )


def _tokens_that_can_be_met(vocab: Sequence[str], longest: int) -> tuple[list[str], bool]:
    """The vocabulary with a placeholder for what no text gives; and whether it has words.

    Args:
        longest: how many characters a piece can have.
    """
    basic = BasicTokenizer(do_lower_case=False)
    has_words = False
    tokens = []
    for index, token in enumerate(vocab):
        word = token.removeprefix("##")
        can_be_met = len(word) <= longest and basic.tokenize(word) == [word]
        has_words |= can_be_met and not is_punctuation(word[0])
        # The placeholder holds punctuation, so it can be met as little as what it stands for.
        tokens.append(token if can_be_met or token == UNK else f"[no_word_{index}]")
    return tokens, has_words
