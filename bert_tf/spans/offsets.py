"""Extracts answers from a passage by character offsets, for serving.

    context   The leader was John Smith (1895-1943).
    tokens    the leader was john smith ( 1895 - 1943 ) .
    starts    0   4      11  15   20   26 27  31 ...
    ends      3   10     14  19   25   27 31  32 ...

Unlike the original's search for the word pieces in the text (`PassageText`), this cannot fail.
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


class OffsetPassage:
    """Holds a passage's T word pieces: their `ids`, and their `starts` and `ends` in characters.

    The ids are the same as `PassageTokenizer`'s. Offsets never decrease.
    """

    def __init__(self, context: str, tokenizer: Tokenizer):
        pieces, offsets = words_with_offsets(context, tokenizer, PASSAGE_WORD)
        self.context = context
        self.ids = tokenizer.convert_tokens_to_ids(pieces)
        self.starts = [start for start, _ in offsets]
        self.ends = [end for _, end in offsets]

    def text(self, first: int, last: int) -> str:
        """Returns the original text of tokens `first` to `last`; never empty."""
        return self.context[self.starts[first] : self.ends[last]]

    def span(self, first: int, last: int) -> tuple[int, int]:
        """Returns the character offsets of `text(first, last)`; (-1, -1) for no answer."""
        return (-1, -1) if first < 0 else (self.starts[first], self.ends[last])
