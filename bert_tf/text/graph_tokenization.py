"""Runs the reference tokenizer in a TensorFlow graph, for serving from text and for tf.data.

    tokenizer = GraphTokenizer("vocab.txt", do_lower_case=True)
    ids = tokenizer.tokenize(["Unaffable, café!", ""])             # RaggedTensor int32 [2, (T)]
    ids, starts, ends = tokenizer.tokenize_with_offsets(texts)     # spans, in characters

    text ── plain ASCII, no long run? ──yes──> tensorflow-text's op for lines ──> ids
                                      └──no──> words ──> its op for words ──────> ids

Ids and offsets equal those of `FullTokenizer` for any text. It works eagerly, in a `tf.function`,
in `tf.data`, and in a SavedModel without this package.
"""

import functools
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from bert_tf.text.graph_characters import character_tables
from bert_tf.text.graph_wordpiece import LONGEST_RUN, LONGEST_WORD, UNK, make_tokenizer
from bert_tf.text.graph_words import GraphWords, split_words
from bert_tf.text.vocabulary import load_vocab

# Runs of at most 99 characters with white space between them; matches in linear time.
_PLAIN_TEXT = rf"(?:[!-~]{{0,{LONGEST_RUN}}}[\t\n\r ])*[!-~]{{0,{LONGEST_RUN}}}"
# Replaces a word that is too long; no word or piece has this character.
_UNKNOWN_WORD = "\x00"
_WHERE_STRINGS_ARE = "CPU:0"  # On an accelerator, numbers would be copied back and forth.
_TEXTS = tf.TensorSpec([None], tf.string)
_Tokenize = Callable[[tf.Tensor], tf.RaggedTensor]


class GraphTokenizer(tf.Module):
    """Tokenizes batches of texts, string [N], as `FullTokenizer` tokenizes each of them.

    `vocab` is the path of a vocabulary, or its tokens in the order of their ids; an invalid one
    raises a ValueError. For the other arguments see `FullTokenizer`.
    """

    def __init__(
        self,
        vocab: str | Sequence[str],
        do_lower_case: bool = True,
        strip_accents: bool | None = None,
        drops_unassigned: bool = False,
    ):
        super().__init__(name="graph_tokenizer")
        tokens = list(load_vocab(vocab)) if isinstance(vocab, str) else _checked(vocab)
        strip_accents = do_lower_case if strip_accents is None else strip_accents
        self._do_lower_case = do_lower_case
        self._split_words = functools.partial(
            split_words,
            tables=character_tables(do_lower_case, strip_accents, drops_unassigned),
            do_lower_case=do_lower_case,
        )
        self._unk_id = tokens.index(UNK)
        self._piece_lengths = np.array([len(x.removeprefix("##")) for x in tokens], np.int32)
        with tf.init_scope():
            self._word_tokenizer = make_tokenizer(tokens, LONGEST_WORD, splits_lines=False)
            self._line_tokenizer = make_tokenizer(tokens, LONGEST_RUN, splits_lines=True)

    @tf.function(input_signature=[_TEXTS])
    def tokenize(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Returns the ids of the word pieces of each text: int32 [N, (T)]."""
        with tf.device(_WHERE_STRINGS_ARE):
            return self._divided(texts, self._ids_of_lines, self.exact_ids)

    @tf.function(input_signature=[_TEXTS])
    def tokenize_with_offsets(
        self, texts: tf.Tensor
    ) -> tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]:
        """Returns ids, and for each piece the start and the end of its source: int32 [N, (T)].

        Offsets count characters of `valid_text(texts)`; see `FullTokenizer.tokenize_with_offsets`.
        """
        with tf.device(_WHERE_STRINGS_ARE):
            pieces = self._divided(texts, self._spans_of_lines, self.exact_spans)
            columns = tf.unstack(pieces.flat_values, num=3, axis=1)
            return tuple(map(pieces.with_flat_values, columns))

    @tf.function(input_signature=[_TEXTS])
    def valid_text(self, texts: tf.Tensor) -> tf.Tensor:
        """Returns the texts without the bytes that are not UTF-8: string [N]."""
        return tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="ignore")

    def exact_ids(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Does `tokenize` for any text without the fast path. For use in a graph."""
        words = self._split_words(texts)
        return _by_text(self._pieces(words), words)

    def exact_spans(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Returns id, start and end of each piece, without the fast path: int32 [N, (T), 3]."""
        words = self._split_words(texts)
        pieces = self._pieces(words)
        # The pieces of a word divide its characters; [UNK] spans them all.
        lengths = tf.where(
            pieces.values == self._unk_id,
            tf.gather(words.lengths, pieces.value_rowids()),
            tf.gather(self._piece_lengths, pieces.values),
        )
        ends = tf.cumsum(lengths)
        by_text = _by_text(pieces, words)
        text_start = tf.gather(words.text_starts, by_text.value_rowids())
        starts = tf.gather(words.starts, ends - lengths) - text_start
        ends = tf.gather(words.ends, ends - 1) - text_start
        return by_text.with_values(tf.stack([pieces.values, starts, ends], axis=1))

    def _pieces(self, words: GraphWords) -> tf.RaggedTensor:
        """Returns the ids of the pieces of each word: int32 [W, (P)]."""
        is_too_long = words.lengths > LONGEST_WORD
        return self._word_tokenizer.tokenize(tf.where(is_too_long, _UNKNOWN_WORD, words.words))

    def _ids_of_lines(self, lines: tf.Tensor) -> tf.RaggedTensor:
        return self._line_tokenizer.tokenize(self._lower_cased(lines))

    def _spans_of_lines(self, lines: tf.Tensor) -> tf.RaggedTensor:
        """Does `exact_spans` for plain ASCII, where a byte is a character."""
        ids, *spans = self._line_tokenizer.tokenize_with_offsets(self._lower_cased(lines))
        spans = [tf.cast(span.values, tf.int32) for span in spans]
        return ids.with_values(tf.stack([ids.values, *spans], axis=1))

    def _lower_cased(self, lines: tf.Tensor) -> tf.Tensor:
        return tf.strings.lower(lines) if self._do_lower_case else lines

    def _divided(self, texts: tf.Tensor, of_lines: _Tokenize, exact: _Tokenize) -> tf.RaggedTensor:
        """Applies `of_lines` to texts of plain ASCII and `exact` to others; keeps the order."""
        if self._line_tokenizer is None:
            return exact(texts)
        is_plain = tf.strings.regex_full_match(texts, _PLAIN_TEXT)

        def both() -> tf.RaggedTensor:
            lines, others = tf.where(is_plain)[:, 0], tf.where(~is_plain)[:, 0]
            rows = [of_lines(tf.gather(texts, lines)), exact(tf.gather(texts, others))]
            order = tf.math.invert_permutation(tf.concat([lines, others], 0))
            return tf.gather(tf.concat(rows, 0), order)

        return tf.cond(tf.reduce_all(is_plain), lambda: of_lines(texts), both)


def _by_text(pieces: tf.RaggedTensor, words: GraphWords) -> tf.RaggedTensor:
    """Regroups pieces of words by text: [W, (P)] to [N, (T)]."""
    splits = tf.gather(pieces.row_splits, words.text_splits)
    return tf.RaggedTensor.from_row_splits(pieces.values, splits, validate=False)


def _checked(tokens: Sequence[str]) -> list[str]:
    tokens = list(tokens)
    if UNK not in tokens or len(set(tokens)) < len(tokens):
        repeated = sorted({token for token in tokens if tokens.count(token) > 1})[:3]
        raise ValueError(
            f"A vocabulary must have {UNK}, and each token once. Received: {len(tokens)} tokens, "
            f"{'with' if UNK in tokens else 'without'} {UNK}, repeated: {repeated or 'none'}."
        )
    return tokens
