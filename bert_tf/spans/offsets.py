"""A passage whose answers are cut out by character offsets, for serving. No TensorFlow.

    context   The leader was John Smith (1895-1943).
    tokens    the leader was john smith ( 1895 - 1943 ) .
    starts    0   4      11  15   20   26 27  31 ...
    ends      3   10     14  19   25   27 31  32 ...

`PassageText` looks for an answer's word pieces in the words of the passage, as the original does,
which may fail. Here the answer is always exactly what its tokens were made from.
"""

from bert_tf.text.tokenizer import Tokenizer


class OffsetPassage:
    """A passage's T word pieces: `ids`, and the offsets where each `starts` and `ends`.

    The pieces are those of `PassageTokenizer`. Offsets never decrease.
    """

    def __init__(self, context: str, tokenizer: Tokenizer):
        pieces, offsets = tokenizer.tokenize_with_offsets(context)
        self.context = context
        self.ids = tokenizer.convert_tokens_to_ids(pieces)
        self.starts = [start for start, _ in offsets]
        self.ends = [end for _, end in offsets]

    def text(self, first: int, last: int) -> str:
        """The text that tokens `first` to `last` were made of; never empty."""
        return self.context[self.starts[first] : self.ends[last]]

    def span(self, first: int, last: int) -> tuple[int, int]:
        """The character offsets of `text(first, last)`; (-1, -1), for no answer, stays so."""
        return (-1, -1) if first < 0 else (self.starts[first], self.ends[last])
