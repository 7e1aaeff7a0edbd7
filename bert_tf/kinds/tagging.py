"""Tagging: predicts the class of each word, from its first piece (section 5.3 of the paper).

Tagger        a text, whose words and punctuation marks are found    truncated
WordTagger    words, as data sets have them                          windows, if there are many
"""

import dataclasses
import functools
from typing import ClassVar

import numpy as np
import tensorflow as tf

from bert_tf.kinds.length_runner import Batch, in_batches, most_tokens
from bert_tf.kinds.piece_model import TRUNCATED, PieceModel, Pieces
from bert_tf.kinds.text_model import largest_difference, with_a_column
from bert_tf.kinds.window_batches import in_window_batches
from bert_tf.model.crf import best_tags
from bert_tf.model.tagging_model import tagging_head
from bert_tf.model.task_heads import TokenClassificationModel
from bert_tf.spans.words import TaggingOptions, window_stride, word_pieces
from bert_tf.text.graph_packing import pack_windows


@dataclasses.dataclass(frozen=True, slots=True)
class TaggedWord:
    """A word, `text[start:end]` in characters, and its class with its probability, a fraction.

    If words were given, the text is these with a space between.
    """

    word: str
    label: str
    probability: float
    start: int
    end: int


class Tagger(PieceModel):
    """Tags the words of texts, truncated to the maximum length; W is the most words of a text."""

    outputs: ClassVar = {
        "words": "string [N, W]: the words, as they stand in the text",
        "labels": "string [N, W]: the most probable class of each",
        "probabilities": "float32 [N, W]: their probabilities",
        "starts": "int32 [N, W]: where each starts in the text, in characters",
        "ends": "int32 [N, W]: where each ends",
    }

    Options = TaggingOptions

    make_model = TokenClassificationModel

    @classmethod
    def model_for(cls, encoder, num_labels, options):
        layers = options.feature_based
        return tagging_head(encoder, num_labels, layers, options.crf, options.lstm_units)

    def of_ids(self, batch):
        """Returns the class of each token, [N, L], special tokens and padding included.

        With a CRF only the first pieces of words have a class.
        """
        ids = batch["input_ids"]
        places = tf.range(tf.shape(ids)[1])[tf.newaxis]
        last = tf.reduce_sum(batch["input_mask"], axis=1, keepdims=True) - 1  # [SEP]
        is_word = (places > 0) & (places < last) & ~tf.gather(self.continues, ids)
        return self._best(self.compute(batch), is_word)

    def _best(self, outputs, is_word):
        """Returns the best classes of tokens or words, from a model's outputs [N, W, ...]."""
        logits = tf.cast(outputs["logits"], tf.float32)
        if "transitions" in outputs:
            best, probabilities = best_tags(logits, is_word, outputs["transitions"])
        else:
            best = tf.argmax(logits, axis=-1)
            probabilities = tf.reduce_max(tf.nn.softmax(logits), axis=-1)
        return {"labels": tf.gather(self.loaded.labels, best), "probabilities": probabilities}

    def of_pieces(self, texts, pieces):
        (text,), (pieces,) = texts, pieces
        longest = self.loaded.max_seq_length - 2
        kept = Pieces(*(ragged[:, :longest] for ragged in pieces))
        of_tokens = self.of_ids(self.packed(kept.ids))
        words = self.words_of(kept)
        tokens = tf.stack([words.row, words.first + 1], axis=1)  # After [CLS].
        found = {name: tf.gather_nd(of_tokens[name], tokens) for name in of_tokens}
        return {
            **words.outputs(text),
            "labels": words.dense(text, found["labels"], ""),
            "probabilities": words.dense(text, found["probabilities"], 0.0),
            TRUNCATED: pieces.ids.row_lengths() > longest,
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


class WordTagger(Tagger):
    """Tags words that are given one by one; "" is no word, and has the class ""."""

    outputs: ClassVar = {
        "labels": "string [N, W]: the most probable class of each word",
        "probabilities": "float32 [N, W]: their probabilities",
    }

    def __init__(self, loaded, batch_size=32, compute=None):
        super().__init__(loaded, batch_size, compute)
        numbers = tf.TensorSpec([None], tf.int32)
        self._run_words = tf.function(
            functools.partial(self._of_flat_pieces),
            input_signature=[tf.TensorSpec([None, None], tf.bool), numbers, numbers],
            autograph=False,
        )

    def prepare(self):
        self.predict([(["A"],)])

    def predict(self, examples):
        pieces = [
            word_pieces(self.loaded.tokenizer, [*filter(None, words)]) for (words,) in examples
        ]

        def run(places: list[int]) -> Batch:
            words = [examples[place][0] for place in places]
            longest = max(map(len, words))
            is_word = [[*map(bool, some), *[False] * (longest - len(some))] for some in words]
            there = [pieces[place] for place in places]
            lengths = [np.diff([*each.first, len(each.ids)]) for each in there]
            ids = [each.ids for each in there]
            return self._run_words(np.array(is_word), *map(_joined, (ids, lengths)))

        sizes = [((), len(each.ids)) for each in pieces]
        outputs = in_batches(sizes, self.batch_size, run, most_tokens())
        return [self.answer_of(*both) for both in zip(examples, outputs, strict=True)]

    def _of_flat_pieces(self, is_word, ids, lengths):
        pieces = tf.RaggedTensor.from_row_lengths(ids, lengths, validate=False)
        return self._of_word_pieces(is_word, pieces)

    def of_texts(self, tokenizer, *texts):
        num_words = tf.shape(texts[0])[1]
        # There is a column, if only of no words.
        words = tf.pad(texts[0], [[0, 0], [0, tf.cast(num_words == 0, tf.int32)]])
        words = tf.reshape(tokenizer.valid_text(tf.reshape(words, [-1])), tf.shape(words))
        is_word = words != ""
        pieces = tokenizer.tokenize(tf.boolean_mask(words, is_word))  # [K, (P)]
        has_none = tf.cast(pieces.row_lengths() == 0, tf.int64)
        unknown = tf.fill([tf.reduce_sum(has_none)], self.special.unk)
        pieces = tf.concat([pieces, tf.RaggedTensor.from_row_lengths(unknown, has_none)], axis=1)
        found = self._of_word_pieces(is_word, pieces)
        return {name: values[:, :num_words] for name, values in found.items()}

    def _of_word_pieces(self, is_word, pieces):
        """Returns the outputs [N, W], where `is_word`, of K words with pieces int32 [K, (P)]."""
        num_texts, width = tf.unstack(tf.shape(is_word))
        places = tf.where(is_word)  # [K, 2]: text and word.
        owners = tf.cast(places[:, 0], tf.int32)
        lengths = tf.cast(pieces.row_lengths(), tf.int32)
        ids = tf.RaggedTensor.from_value_rowids(
            pieces.flat_values,
            tf.repeat(owners, lengths),
            tf.cast(num_texts, tf.int32),
            validate=False,
        )
        first = tf.cumsum(lengths, exclusive=True) - tf.gather(
            tf.cast(ids.row_starts(), tf.int32), owners
        )
        max_seq_length = self.loaded.max_seq_length
        stride = window_stride(max_seq_length - 2)
        windows = pack_windows(
            None, ids, self.special.cls, self.special.sep, max_seq_length, stride
        )
        features = with_a_column(windows.features)
        outputs = in_window_batches(self._outputs, features, self._no_outputs(features))
        window, token = _best_windows(first, owners, windows, num_texts, stride)
        logits = tf.gather_nd(outputs["logits"], tf.stack([window, token], axis=1))  # [K, C]
        shape = tf.stack([num_texts, width, len(self.loaded.labels)])
        scattered = {"logits": tf.scatter_nd(tf.cast(places, tf.int32), logits, shape)}
        if "transitions" in outputs:  # The same for every window; there may be none.
            one = tf.pad(outputs["transitions"], [[0, 1], [0, 0], [0, 0]])[:1]
            scattered["transitions"] = tf.tile(one, [num_texts, 1, 1])
        best = self._best(scattered, is_word)
        return {
            "labels": tf.where(is_word, best["labels"], ""),
            "probabilities": tf.where(is_word, best["probabilities"], 0.0),
        }

    def _outputs(self, batch: Batch) -> Batch:
        return {name: tf.cast(value, tf.float32) for name, value in self.compute(batch).items()}

    def _no_outputs(self, features: Batch) -> Batch:
        """Returns `_outputs` for no windows of the length of `features`."""
        length, num_tags = tf.shape(features["input_ids"])[1], len(self.loaded.labels)
        outputs = {"logits": tf.zeros([0, length, num_tags])}
        if self.loaded.options.crf:
            outputs["transitions"] = tf.zeros([0, num_tags + 2, num_tags])
        return outputs

    @staticmethod
    def answer_of(example, outputs):
        tagged, start = [], 0
        columns = zip(example[0], outputs["labels"], outputs["probabilities"], strict=False)
        for word, label, probability in columns:
            tagged.append(_tagged(word, label, probability, start, start + len(word)))
            start += len(word) + 1
        return tuple(tagged)


def _best_windows(first, owners, windows, num_texts, stride):
    """Returns the window of each word and the token in it, as `word_windows` chooses them."""
    counts = tf.math.bincount(windows.owner, minlength=num_texts, maxlength=num_texts)
    first_window = tf.gather(tf.cumsum(counts, exclusive=True), owners)  # [K]
    last = tf.gather(counts, owners) - 1
    numbers = first // stride + tf.constant([[-2], [-1], [0]])
    numbers = tf.maximum(tf.minimum(numbers, last), 0) + first_window  # [3, K]
    starts = tf.gather(windows.window_start, numbers)
    ends = starts + tf.gather(windows.window_length, numbers)
    context = tf.minimum(first - starts, ends - 1 - first)
    best = tf.argmax(context, axis=0, output_type=tf.int32)[:, tf.newaxis]
    window, start = (
        tf.gather(tf.transpose(values), best, batch_dims=1)[:, 0] for values in (numbers, starts)
    )
    return window, 1 + first - start


def _joined(rows) -> np.ndarray:
    return np.concatenate(rows).astype(np.int32)


def _tagged(word: str, label: bytes, probability, start, end) -> TaggedWord:
    return TaggedWord(word, label.decode("utf-8"), float(probability), int(start), int(end))
