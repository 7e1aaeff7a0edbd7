"""A passage whose answers are cut out by character offsets.

    context   The leader was John Smith (1895-1943).
    tokens    the leader was john smith ( 1895 - 1943 ) .
    starts    0   4      11  15   20   26 27  31 ...
    ends      3   10     14  19   25   27 31  32 ...

    text(6, 6)    context[27:31], "1895"

The original joins the word pieces of an answer and looks for them in the words of the passage,
which may fail (then it returns whole words). `PassageText` does the same, for scores comparable to
published ones. Here the answer is always exactly what its tokens were made from, with its position
in the passage: for serving, where a graph must find the same. No TensorFlow.
"""

from bert_tf.text.tokenizer import Tokenizer


class OffsetPassage:
    """A passage as word pieces with character offsets.

    The tokens are those of `PassageTokenizer`, which tokenizes word by word: words are separated by
    white space, where every text is split anyway.

        passage = OffsetPassage("Smith's (1895)", tokenizer)
        search.answer(scores, passage)    # In place of a `PassageText`.

    Args:
        context: the passage.
        tokenizer: the tokenizer.

    Attributes:
        ids: of its T word pieces.
        starts, ends: the offsets of each one's first character, and behind its last one. Neither
            ever decreases.
    """

    def __init__(self, context: str, tokenizer: Tokenizer):
        pieces, offsets = tokenizer.tokenize_with_offsets(context)
        self.context = context
        self.ids = tokenizer.convert_tokens_to_ids(pieces)
        self.starts = [start for start, _ in offsets]
        self.ends = [end for _, end in offsets]

    def text(self, first: int, last: int) -> str:
        """The text that tokens `first` to `last` were made of; never empty."""
        start, end = self.span(first, last)
        return self.context[start:end]

    def span(self, first: int, last: int) -> tuple[int, int]:
        """The character offsets of the text of tokens `first` to `last`.

        (-1, -1), which is no answer in `SpanAnswer.spans`, stays (-1, -1).
        """
        if first < 0:
            return -1, -1
        return self.starts[first], self.ends[last]
