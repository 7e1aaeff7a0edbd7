"""Tokenizes texts with the place of each token, for answers that are cut out of them.

context   The leader was John Smith (1895-1943).
tokens    the leader was john smith ( 1895 - 1943 ) .
starts    0   4      11  15   20   26 27  31 ...
ends      3   10     14  19   25   27 31  32 ...
"""

import re

from bert_tf.text.tokenizer import Tokenizer

# Words as the passages of `windows` have them, and as BERT's tokenizer does.
PASSAGE_WORD = re.compile("[^ \t\r\n\u202f]+")
TEXT_WORD = re.compile(r"\w+|[^\w\s]")


def words_with_offsets(
    text: str, tokenizer: Tokenizer, word: re.Pattern
) -> tuple[list[str], list[tuple[int, int]]]:
    """Returns the tokens of a text and their (start, end) in it, in characters.

    A tokenizer with a `word_prefix` gets each match of `word` alone, with this before it, as in
    the training on words; others divide the text themselves.
    """
    prefix = tokenizer.word_prefix
    if not prefix:
        return tokenizer.tokenize_with_offsets(text)
    tokens: list[str] = []
    offsets: list[tuple[int, int]] = []
    for match in word.finditer(text):
        found, places = tokenizer.tokenize_with_offsets(prefix + match[0])
        moved = match.start() - len(prefix)
        tokens += found
        offsets += [(start + moved, end + moved) for start, end in places]
    return tokens, offsets
