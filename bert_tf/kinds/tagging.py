"""Tagging: predicts the class of each word, from its first piece (section 5.3 of the paper)."""

import dataclasses
from itertools import pairwise
from typing import ClassVar

import numpy as np
import tensorflow as tf

from bert_tf.kinds.text_model import TextModel, largest_difference
from bert_tf.model.task_heads import TokenClassificationModel
from bert_tf.text.packing import pack
from bert_tf.text.vocabulary import is_continuation


@dataclasses.dataclass(frozen=True, slots=True)
class TaggedWord:
    """A word, `text[start:end]` in characters, and its class with its probability, a fraction."""

    word: str
    label: str
    probability: float
    start: int
    end: int


class Tagger(TextModel):
    """Tags the words of texts, truncated to the maximum length; W is the most words of a text."""

    outputs: ClassVar = {
        "words": "string [N, W]: the words, as they stand in the text",
        "labels": "string [N, W]: the most probable class of each",
        "probabilities": "float32 [N, W]: their probabilities",
        "starts": "int32 [N, W]: where each starts in the text, in characters",
        "ends": "int32 [N, W]: where each ends",
    }

    make_model = TokenClassificationModel

    def of_ids(self, batch):
        """Returns the class of each token, [N, L], special tokens and padding included."""
        probabilities = self.probabilities(batch)
        labels = tf.gather(self.loaded.labels, tf.argmax(probabilities, axis=-1))
        return {"labels": labels, "probabilities": tf.reduce_max(probabilities, axis=-1)}

    def predict(self, examples):
        tokenizer, longest = self.loaded.tokenizer, self.loaded.max_seq_length - 2
        texts, rows = [text for (text,) in examples], []
        places = []  # First token, start and end of each text's words.
        for text in texts:
            tokens, offsets = (part[:longest] for part in tokenizer.tokenize_with_offsets(text))
            ids = tokenizer.convert_tokens_to_ids(tokens)
            rows.append(pack(ids, [], self.special.cls, self.special.sep))
            firsts = [i for i, token in enumerate(tokens) if not tokenizer.continues_word(token)]
            words = pairwise([*firsts, len(tokens)])
            places.append([(1 + i, offsets[i][0], offsets[end - 1][1]) for i, end in words])
        outputs = self.run(rows)
        return [
            tuple(
                _tagged(
                    text[start:end], output["labels"][i], output["probabilities"][i], start, end
                )
                for i, start, end in words
            )
            for text, words, output in zip(texts, places, outputs, strict=True)
        ]

    def of_texts(self, tokenizer, *texts):
        text = tokenizer.valid_text(texts[0])
        pieces = tokenizer.tokenize_with_offsets(text)
        ids, starts, ends = (ragged[:, : self.loaded.max_seq_length - 2] for ragged in pieces)
        of_tokens = self.of_ids(self.packed(ids))
        # Each row begins with a first piece, so a word's last piece precedes the next first piece.
        continues = np.array([*map(is_continuation, self.loaded.tokenizer.vocab)], bool)
        is_first = tf.logical_not(tf.gather(continues, ids.flat_values))
        is_last = tf.concat([is_first[1:], tf.ones_like(is_first[:1])], axis=0)
        rows = tf.cast(ids.value_rowids(), tf.int32)
        places = tf.range(tf.size(rows)) - tf.gather(tf.cast(ids.row_starts(), tf.int32), rows)
        tokens = tf.boolean_mask(tf.stack([rows, places + 1], axis=1), is_first)  # After [CLS].
        word_starts = tf.boolean_mask(starts.flat_values, is_first)
        word_ends = tf.boolean_mask(ends.flat_values, is_last)
        of_words = tf.gather(text, tokens[:, 0])
        lengths = word_ends - word_starts

        def dense(values: tf.Tensor, default) -> tf.Tensor:
            return tf.RaggedTensor.from_value_rowids(
                values, tokens[:, 0], tf.size(text), validate=False
            ).to_tensor(default)

        return {
            "words": dense(tf.strings.substr(of_words, word_starts, lengths, "UTF8_CHAR"), ""),
            "labels": dense(tf.gather_nd(of_tokens["labels"], tokens), ""),
            "probabilities": dense(tf.gather_nd(of_tokens["probabilities"], tokens), 0.0),
            "starts": dense(word_starts, -1),
            "ends": dense(word_ends, -1),
        }

    @staticmethod
    def answer_of(example, outputs):
        names = ("words", "labels", "probabilities", "starts", "ends")
        columns = zip(*(outputs[name] for name in names), strict=True)
        return tuple(
            _tagged(word.decode("utf-8"), label, probability, start, end)
            for word, label, probability, start, end in columns
            if start >= 0
        )

    @staticmethod
    def difference(expected, actual):
        # A tie may go either way.
        words = ([(w.word, w.start, w.end) for w in tagged] for tagged in (expected, actual))
        if next(words) != next(words):
            return float("inf")
        values = ([w.probability for w in tagged] for tagged in (expected, actual))
        return largest_difference(*values)


def _tagged(word: str, label: bytes, probability, start, end) -> TaggedWord:
    return TaggedWord(word, label.decode("utf-8"), float(probability), int(start), int(end))
