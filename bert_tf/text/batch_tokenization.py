"""Many texts at once: tensorflow-text where it agrees with the original, the exact tokenizer else.

    text ── plain ASCII, no long run? ──yes──> FastBertTokenizer ──> ids
                                      └──no──> FullTokenizer ─────> ids

tensorflow-text's FastBertTokenizer is a few times faster than Python, but its normalization is not
the original's: it folds some 7,500 characters otherwise ("ﬁ", "ß", "²"), parts words at control
characters, and takes a word of more than 100 bytes for unknown. None of this happens in lines of
plain ASCII, and nearly all lines of English text are that.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import compress, pairwise

import tensorflow as tf
import tensorflow_text

from bert_tf.text.characters import is_punctuation
from bert_tf.text.tokenization import BasicTokenizer, FullTokenizer

_UNK = "[UNK]"
# How many characters in a row (and how many bytes in a piece) FastBertTokenizer is given at most.
_LONGEST_RUN = 99
_IS_PLAIN = re.compile(r"[\t\n\r -~]*").fullmatch
_HAS_LONG_RUN = re.compile(rf"[!-~]{{{_LONGEST_RUN + 1}}}").search
# Texts per call: enough to make the call's cost small, few enough to stay in the processor's cache.
_TEXTS_PER_CALL = 1024


def is_plain(text: str) -> bool:
    """Whether `text` is ASCII without control characters and without a run of 100 characters."""
    return _IS_PLAIN(text) is not None and (
        len(text) <= _LONGEST_RUN or _HAS_LONG_RUN(text) is None
    )


class BatchTokenizer:
    """Encodes batches of texts; the ids are those of `FullTokenizer`, which it holds as `exact`.

    Args:
      vocab_file, do_lower_case, strip_accents: see `FullTokenizer`.

    Raises:
      ValueError: for a broken vocabulary, see `bert_tf.text.vocabulary.load_vocab`.
    """

    def __init__(
        self, vocab_file: str, do_lower_case: bool = True, strip_accents: bool | None = None
    ):
        self.exact = FullTokenizer(vocab_file, do_lower_case, strip_accents)
        self._fast = _make_fast_tokenizer(list(self.exact.vocab), do_lower_case)

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
            ragged = self._fast.tokenize(texts[first : first + _TEXTS_PER_CALL])
            ids = ragged.values.numpy().tolist()
            splits = ragged.row_splits.numpy().tolist()
            for start, end in pairwise(splits):
                yield ids[start:end]


def _make_fast_tokenizer(
    vocab: list[str], do_lower_case: bool
) -> tensorflow_text.FastBertTokenizer | None:
    """A FastBertTokenizer; None for a vocabulary without words, which it refuses.

    What cannot be met in plain text is kept from it: tokens with white space in them lead it
    astray ("## a" makes it take "ab" for unknown).
    """
    basic = BasicTokenizer(do_lower_case=False)
    has_words = False
    tokens = []
    for index, token in enumerate(vocab):
        word = token.removeprefix("##")
        can_be_met = len(word) <= _LONGEST_RUN and basic.tokenize(word) == [word]
        has_words |= can_be_met and not is_punctuation(word[0])
        # The placeholder holds punctuation, so it can be met as little as what it stands for.
        tokens.append(token if can_be_met or token == _UNK else f"[no_word_{index}]")
    if not has_words:
        return None
    return tensorflow_text.FastBertTokenizer(
        tokens,
        token_out_type=tf.int32,
        unknown_token=_UNK,
        lower_case_nfd_strip_accents=do_lower_case,
    )
