"""A passage whose answers are cut out of it by the places of their characters.

    context   The leader was John Smith (1895-1943).
    tokens    the leader was john smith ( 1895 - 1943 ) .
    starts    0   4      11  15   20   26 27  31 ...
    ends      3   10     14  19   25   27 31  32 ...

    text(6, 6)    context[27:31], "1895"

The original puts an answer's word pieces together and looks for them in the words of the passage,
which may miss (then it gives whole words): `PassageText` does so, for scores that can be compared
with published ones. Here an answer is what its tokens were made from, always, and has a place in
the passage: for serving, where a graph must find the same. No TensorFlow.
"""

from bert_tf.text.tokenizer import Tokenizer


class OffsetPassage:
    """A passage as word pieces with the places of their characters.

    Its tokens are those that `PassageTokenizer` gives. That one tokenizes word by word, this one
    all at once: but its words stand between white space at which every text is divided, and what
    stands between two of these does not depend on what stands beyond them.

        passage = OffsetPassage("Smith's (1895)", tokenizer)
        search.answer(scores, passage)    # In place of a `PassageText`.

    Args:
        context: the passage.
        tokenizer: what it is tokenized with.

    Attributes:
        ids: of its word pieces, T of them.
        starts, ends: for each the place of its first character, and that behind its last one.
            Neither ever decreases.
    """

    def __init__(self, context: str, tokenizer: Tokenizer):
        pieces, offsets = tokenizer.tokenize_with_offsets(context)
        self.context = context
        self.ids = tokenizer.convert_tokens_to_ids(pieces)
        self.starts = [start for start, _ in offsets]
        self.ends = [end for _, end in offsets]

    def text(self, first: int, last: int) -> str:
        """The text that tokens `first` to `last` were made of; it is not empty."""
        start, end = self.span(first, last)
        return self.context[start:end]

    def span(self, first: int, last: int) -> tuple[int, int]:
        """Where the text of tokens `first` to `last` starts and ends, in characters.

        (-1, -1), which is no answer in `SpanAnswer.spans`, stays what it is.
        """
        if first < 0:
            return -1, -1
        return self.starts[first], self.ends[last]
