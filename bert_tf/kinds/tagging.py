"""Tagging: a class for each word of a text, which is that of the word's first piece."""

import dataclasses
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import ClassVar

import numpy as np
import tensorflow as tf

from bert_tf.kinds import inference
from bert_tf.kinds.graph import Batch, ServedGraph, as_bytes
from bert_tf.kinds.inference import largest_difference, softmax
from bert_tf.kinds.length_runner import Row
from bert_tf.kinds.loaded_model import LoadedModel
from bert_tf.model.task_heads import TokenClassificationModel
from bert_tf.text.graph_packing import pack_texts
from bert_tf.text.packing import pack
from bert_tf.text.vocabulary import is_continuation


@dataclasses.dataclass(frozen=True, slots=True)
class TaggedWord:
    """A word and its class.

    word: `text[start:end]`.
    label: the likeliest class of its first piece, which stands for the word (section 5.3 of the
        paper).
    probability: of this class, a fraction.
    start, end: where it is in the text, in characters.
    """

    word: str
    label: str
    probability: float
    start: int
    end: int


def make_model(encoder, num_labels: int) -> TokenClassificationModel:
    """Returns the model."""
    return TokenClassificationModel(encoder, num_labels)


class Inference(inference.Inference):
    """Tags texts in Python."""

    def predict(self, examples: Sequence[tuple[str]]) -> list[tuple[TaggedWord, ...]]:
        """Returns the words of each text with their classes, up to the maximum length."""
        longest, special = self.loaded.max_seq_length - 2, self.tokenizer.special_ids
        pieces, rows = [], []
        for (text,) in examples:
            tokens, offsets = self.tokenizer.tokenize_with_offsets(text)
            tokens, offsets = tokens[:longest], offsets[:longest]
            ids = self.tokenizer.convert_tokens_to_ids(tokens)
            pieces.append((tokens, offsets))
            rows.append(Row(*pack(ids, [], special.cls, special.sep)))
        return [
            self._tagged(text, *of_text, output["logits"])
            for (text,), of_text, output in zip(
                examples, pieces, self.runner.run(rows), strict=True
            )
        ]

    def _tagged(
        self,
        text: str,
        tokens: Sequence[str],
        offsets: Sequence[tuple[int, int]],
        logits: np.ndarray,
    ) -> tuple[TaggedWord, ...]:
        firsts = [
            place for place, token in enumerate(tokens) if not self.tokenizer.continues_word(token)
        ]
        words = []
        for first, following in pairwise([*firsts, len(tokens)]):
            probabilities = softmax(logits[1 + first])
            best = int(np.argmax(probabilities))
            start, end = offsets[first][0], offsets[following - 1][1]
            words.append(
                TaggedWord(
                    text[start:end],
                    self.loaded.labels[best],
                    float(probabilities[best]),
                    start,
                    end,
                )
            )
        return tuple(words)


class Graph(ServedGraph):
    """Tags texts in a SavedModel, W words in the longest one."""

    outputs: ClassVar = {
        "words": "string [N, W]: the words, as they stand in the text",
        "labels": "string [N, W]: the most probable class of each",
        "probabilities": "float32 [N, W]: their probabilities",
        "starts": "int32 [N, W]: where each starts in the text, in characters",
        "ends": "int32 [N, W]: where each ends",
    }

    def __init__(self, loaded: LoadedModel, half: bool = False):
        super().__init__(loaded, half)
        self.labels = as_bytes(loaded.labels)
        vocab = loaded.tokenizer.exact.vocab
        self.is_continuation = np.array(list(map(is_continuation, vocab)), bool)

    def of_texts(self, *texts: tf.Tensor) -> Batch:
        (text,) = texts
        text = self.tokenizer.valid_text(text)
        ids, starts, ends = self.tokenizer.tokenize_with_offsets(text)
        longest = self.max_seq_length - 2
        ids, starts, ends = (ragged[:, :longest] for ragged in (ids, starts, ends))
        batch = pack_texts(ids, None, self.cls, self.sep, self.max_seq_length)
        labels, probabilities = self._of_tokens(batch)
        # A row begins with the first piece of a word, so a word's last piece is the one before the
        # next first piece, of whatever row.
        is_first = tf.logical_not(tf.gather(self.is_continuation, ids.flat_values))
        is_last = tf.concat([is_first[1:], tf.ones_like(is_first[:1])], axis=0)
        places = tf.range(tf.size(is_first)) - tf.repeat(
            tf.cast(ids.row_starts(), tf.int32), tf.cast(ids.row_lengths(), tf.int32)
        )
        rows = tf.cast(ids.value_rowids(), tf.int32)
        tokens = tf.boolean_mask(tf.stack([rows, places + 1], axis=1), is_first)  # After [CLS].
        word_starts = tf.boolean_mask(starts.flat_values, is_first)
        word_ends = tf.boolean_mask(ends.flat_values, is_last)
        of_row = tf.boolean_mask(rows, is_first)
        words = tf.strings.substr(
            tf.gather(text, of_row), word_starts, word_ends - word_starts, unit="UTF8_CHAR"
        )
        num_rows = tf.size(text)

        def dense(values: tf.Tensor, default) -> tf.Tensor:
            ragged = tf.RaggedTensor.from_value_rowids(values, of_row, num_rows, validate=False)
            return ragged.to_tensor(default)

        return {
            "words": dense(words, ""),
            "labels": dense(tf.gather_nd(labels, tokens), ""),
            "probabilities": dense(tf.gather_nd(probabilities, tokens), 0.0),
            "starts": dense(word_starts, -1),
            "ends": dense(word_ends, -1),
        }

    def of_ids(self, batch: Batch) -> Batch:
        """The class of every place [N, L]: special tokens and padding have one, too."""
        labels, probabilities = self._of_tokens(batch)
        return {"labels": labels, "probabilities": probabilities}

    def _of_tokens(self, batch: Batch) -> tuple[tf.Tensor, tf.Tensor]:
        probabilities = tf.nn.softmax(tf.cast(self.weights(batch)["logits"], tf.float32))
        labels = tf.gather(self.labels, tf.argmax(probabilities, axis=-1))
        return labels, tf.reduce_max(probabilities, axis=-1)


def answer_of(example: tuple, outputs: Mapping[str, np.ndarray]) -> tuple[TaggedWord, ...]:
    """Returns a SavedModel's outputs for one text as an answer."""
    names = ("words", "labels", "probabilities", "starts", "ends")
    return tuple(
        TaggedWord(
            word.decode("utf-8"), label.decode("utf-8"), float(probability), int(start), int(end)
        )
        for word, label, probability, start, end in zip(
            *(outputs[name] for name in names), strict=True
        )
        if start >= 0
    )


def difference(expected: Sequence[TaggedWord], actual: Sequence[TaggedWord]) -> float:
    """Returns how far two answers are apart; of equally probable classes either is right."""
    words = ([(w.word, w.start, w.end) for w in tagged] for tagged in (expected, actual))
    if next(words) != next(words):
        return float("inf")
    return largest_difference([w.probability for w in expected], [w.probability for w in actual])
