"""Wraps the word piece op of tensorflow-text for the inputs on which it equals the original.

The op splits lines into words as the original does on plain ASCII only, limits words in bytes, and
fails with tokens that contain white space ("## a" makes "ab" unknown).
"""

from collections.abc import Sequence

import tensorflow as tf

from bert_tf.text.characters import is_punctuation
from bert_tf.text.tokenization import BasicTokenizer

UNK = "[UNK]"
LONGEST_RUN = 99  # Characters without white space in a line of plain ASCII.
LONGEST_WORD = 200  # Longer ones are unknown, as in the original.


def make_tokenizer(vocab: Sequence[str], longest: int, splits_lines: bool) -> tf.Module | None:
    """Returns a `FastWordpieceTokenizer` of plain ASCII lines, or else of `BasicTokenizer`'s words.

    They have runs or words of at most `longest` characters. None for lines and a vocabulary without
    words, which the op refuses.
    """
    # Here, as models are made without it, and it takes 120 MB.
    import tensorflow_text

    basic = BasicTokenizer(do_lower_case=False)
    has_words = False
    tokens = []
    for index, token in enumerate(vocab):
        word = token.removeprefix("##")
        is_usable = len(word) <= longest and basic.tokenize(word) == [word]
        has_words |= is_usable and not is_punctuation(word[0])
        # No word of a text contains the placeholder's punctuation.
        tokens.append(token if is_usable or token == UNK else f"[no_word_{index}]")
    if splits_lines and not has_words:
        return None
    return tensorflow_text.FastWordpieceTokenizer(
        tokens,
        max_bytes_per_word=4 * longest,  # UTF-8: at most 4 bytes a character.
        token_out_type=tf.int32,
        unknown_token=UNK,
        no_pretokenization=not splits_lines,
    )
