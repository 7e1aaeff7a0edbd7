"""Many texts at once: tensorflow-text where it agrees with the original, the exact tokenizer else.

    text ── plain ASCII, no long run? ──yes──> tensorflow-text's op for lines ──> ids
                                      └──no──> FullTokenizer ──────────────────> ids

tensorflow-text (its FastBertTokenizer, of which the op is the second half) is a few times faster
than Python, but its normalization is not the original's: it folds some 7,500 characters otherwise
("ﬁ", "ß", "²"), parts words at control characters, and takes a word of more than 100 bytes for
unknown. None of this happens in lines of plain ASCII, and nearly all lines of English text are
that.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import compress, pairwise

import tensorflow as tf

from bert_tf.text.graph_wordpiece import LONGEST_RUN, make_line_tokenizer
from bert_tf.text.tokenization import FullTokenizer

_IS_PLAIN = re.compile(r"[\t\n\r -~]*").fullmatch
_HAS_LONG_RUN = re.compile(rf"[!-~]{{{LONGEST_RUN + 1}}}").search
# Texts per call: enough to make the call's cost small, few enough to stay in the processor's cache.
_TEXTS_PER_CALL = 1024


def is_plain(text: str) -> bool:
    """Whether `text` is ASCII without control characters and without a run of 100 characters."""
    return _IS_PLAIN(text) is not None and (len(text) <= LONGEST_RUN or _HAS_LONG_RUN(text) is None)


class BatchTokenizer:
    """Encodes batches of texts; the ids are those of the reference tokenizer, its `exact`.

    Args:
      vocab_file, do_lower_case, strip_accents: see `FullTokenizer`.

    Raises:
      ValueError: for a broken vocabulary, see `bert_tf.text.vocabulary.load_vocab`.
    """

    def __init__(
        self, vocab_file: str, do_lower_case: bool = True, strip_accents: bool | None = None
    ):
        self.exact = FullTokenizer(vocab_file, do_lower_case, strip_accents)
        self._do_lower_case = do_lower_case
        self._fast = make_line_tokenizer(list(self.exact.vocab))

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of every text: `[exact.encode(text) for text in texts]`, faster."""
        plain = [self._fast is not None and is_plain(text) for text in texts]
        plain_ids = self._encode_plain(list(compress(texts, plain)))
        encode = self.exact.encode
        return [
            next(plain_ids) if fast else encode(text)
            for text, fast in zip(texts, plain, strict=True)
        ]

    def _encode_plain(self, texts: list[str]) -> Iterator[list[int]]:
        for first in range(0, len(texts), _TEXTS_PER_CALL):
            lines = texts[first : first + _TEXTS_PER_CALL]
            ragged = self._fast.tokenize(tf.strings.lower(lines) if self._do_lower_case else lines)
            ids = ragged.values.numpy().tolist()
            splits = ragged.row_splits.numpy().tolist()
            for start, end in pairwise(splits):
                yield ids[start:end]
