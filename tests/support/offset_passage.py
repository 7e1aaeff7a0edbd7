"""A passage whose answers are cut out by characters, beside which the search in a graph is held."""

from bert_tf.spans.offsets import PASSAGE_WORD, words_with_offsets
from bert_tf.text.tokenizer import Tokenizer


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
