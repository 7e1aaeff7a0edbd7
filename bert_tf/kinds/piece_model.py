"""PieceModel: answers with places in texts, by one graph for both tokenizers.

predict     texts ──> Python's tokenizer ──> pieces and their offsets ──┐
                                                                        ├──> of_pieces
of_texts    texts ──> the graph's tokenizer ──> pieces and offsets ─────┘
"""

import abc
import functools
import re
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import numpy as np
import tensorflow as tf

from bert_tf.kinds.length_runner import Batch, in_batches, most_tokens
from bert_tf.kinds.text_model import TextModel
from bert_tf.spans.offsets import TEXT_WORD, words_with_offsets

# Among the outputs of `of_pieces`, bool [N]: whether parts of an example's texts are not read.
TRUNCATED = "is_truncated"


class Pieces(NamedTuple):
    """The word pieces of N texts, each int32 [N, (T)]."""

    ids: tf.RaggedTensor
    starts: tf.RaggedTensor  # Where each starts in its text, in characters.
    ends: tf.RaggedTensor


class Words(NamedTuple):
    """The words of N texts, K in all, each int32 [K]."""

    row: tf.Tensor  # The index of its text.
    first: tf.Tensor  # The index in its text of its first piece.
    start: tf.Tensor  # Where it starts in its text, in characters.
    end: tf.Tensor

    def dense(self, texts: tf.Tensor, values: tf.Tensor, default) -> tf.Tensor:
        """Returns values of words, [K, ...], by text: [N, W, ...]."""
        by_text = tf.RaggedTensor.from_value_rowids(
            values, self.row, tf.size(texts), validate=False
        )
        return by_text.to_tensor(default)

    def outputs(self, texts: tf.Tensor) -> Batch:
        """Returns the words as they stand in their texts and their places, [N, W]."""
        sources, lengths = tf.gather(texts, self.row), self.end - self.start
        words = tf.strings.substr(sources, self.start, lengths, "UTF8_CHAR")
        columns = {"words": (words, ""), "starts": (self.start, -1), "ends": (self.end, -1)}
        return {name: self.dense(texts, *column) for name, column in columns.items()}


class PieceModel(TextModel):
    """A `TextModel` whose answers depend on where the word pieces are in the texts."""

    word_pattern: ClassVar[re.Pattern] = TEXT_WORD  # See `words_with_offsets`.
    max_batch_tokens: ClassVar[int] = 0  # Of several examples; 0 for `most_tokens()`.

    def __init__(self, loaded, batch_size=32, compute=None):
        super().__init__(loaded, batch_size, compute)
        self.batch_size = batch_size
        tokenizer = loaded.tokenizer
        padded = [False] * (loaded.config.vocab_size - tokenizer.vocab_size)
        # Whether each piece of the vocabulary continues a word, bool [V].
        self.continues = np.array([*map(tokenizer.continues_word, tokenizer.vocab), *padded], bool)
        text, pieces = tf.TensorSpec([None], tf.string), tf.TensorSpec([3, None], tf.int32)
        specs = [(text, pieces, tf.TensorSpec([None], tf.int32))] * len(loaded.inputs)
        # A partial, see `length_runner`.
        of_columns = functools.partial(self._of_columns)
        self._run_columns = tf.function(of_columns, input_signature=[specs], autograph=False)

    @abc.abstractmethod
    def of_pieces(self, texts: Sequence[tf.Tensor], pieces: Sequence[Pieces]) -> Batch:
        """Returns the outputs, and maybe `TRUNCATED`, for the texts, string [N], of each input."""

    def prepare(self):
        self.predict([self.sample(("A text.",) * len(self.loaded.inputs))])

    def predict(self, examples):
        pieces = [[self._pieces(text) for text in example] for example in examples]

        def run(places: list[int]) -> Batch:
            texts = zip(*(examples[place] for place in places), strict=True)
            rows = zip(*(pieces[place] for place in places), strict=True)
            return self._run_columns([*map(_column, texts, rows)])

        sizes = [((), sum(each.shape[1] for each in of_texts)) for of_texts in pieces]
        most = self.max_batch_tokens or most_tokens()
        outputs = in_batches(sizes, self.batch_size, run, most)
        self.warn_of_truncated(sum(row.pop(TRUNCATED, False) for row in outputs), len(outputs))
        return [self.answer_of(*both) for both in zip(examples, outputs, strict=True)]

    def _pieces(self, text: str) -> np.ndarray:
        """Returns the ids, starts and ends of the pieces, int32 [3, T]."""
        tokenizer = self.loaded.tokenizer
        tokens, offsets = words_with_offsets(text, tokenizer, self.word_pattern)
        places = np.array(offsets, np.int32).reshape(-1, 2).T
        return np.array([tokenizer.convert_tokens_to_ids(tokens), *places], np.int32)

    def _of_columns(self, columns) -> Batch:
        pieces = []
        for _, rows, lengths in columns:
            values, *places = tf.unstack(rows)
            ids = tf.RaggedTensor.from_row_lengths(values, lengths, validate=False)
            pieces.append(Pieces(ids, *map(ids.with_flat_values, places)))
        return self.of_pieces([text for text, _, _ in columns], pieces)

    def of_texts(self, tokenizer, *texts):
        texts = [tokenizer.valid_text(text) for text in texts]
        pieces = [Pieces(*tokenizer.tokenize_with_offsets(text)) for text in texts]
        with tf.control_dependencies([self.as_many(pieces[0].ids, pieces[-1].ids)]):
            outputs = self.of_pieces(texts, pieces)
        outputs.pop(TRUNCATED, None)
        return outputs

    def words_of(self, pieces: Pieces) -> Words:
        """Returns the words that the pieces of texts form; a text's first piece starts one."""
        rows = tf.cast(pieces.ids.value_rowids(), tf.int32)
        starts_word = is_first(rows) | ~tf.gather(self.continues, pieces.ids.flat_values)
        ends_word = tf.concat([starts_word[1:], tf.ones_like(starts_word[:1])], axis=0)
        before = tf.gather(tf.cast(pieces.ids.row_starts(), tf.int32), rows)
        firsts = (rows, tf.range(tf.size(rows)) - before, pieces.starts.flat_values)
        firsts = (tf.boolean_mask(each, starts_word) for each in firsts)
        return Words(*firsts, tf.boolean_mask(pieces.ends.flat_values, ends_word))


def is_first(values: tf.Tensor) -> tf.Tensor:
    """Returns whether each value differs from the one before; True for the first."""
    return tf.concat([tf.ones_like(values[:1], tf.bool), values[1:] != values[:-1]], axis=0)


def _column(texts: Sequence[str], pieces: Sequence[np.ndarray]) -> tuple:
    """Returns texts, their pieces [3, (all)] and their numbers of pieces for the graph."""
    # Half of a surrogate pair is replaced by one character, so that places stay the same.
    encoded = tf.constant([text.encode("utf-8", "replace") for text in texts])
    lengths = np.array([each.shape[1] for each in pieces], np.int32)
    return encoded, np.concatenate(pieces, axis=1), lengths
