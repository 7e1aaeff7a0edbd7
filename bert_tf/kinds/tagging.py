"""Tagging: predicts the class of each word, from its first piece (section 5.3 of the paper).

Tagger        a text, whose words and punctuation marks are found    truncated
WordTagger    words, as data sets have them                          windows, if there are many
"""

import dataclasses
from itertools import pairwise
from typing import ClassVar

import numpy as np
import tensorflow as tf

from bert_tf.kinds.length_runner import in_batches, length_runner
from bert_tf.kinds.text_model import TextModel, largest_difference, with_a_column
from bert_tf.model.crf import best_tags
from bert_tf.model.tagging_model import tagging_head
from bert_tf.model.task_heads import TokenClassificationModel
from bert_tf.spans.offsets import TEXT_WORD, words_with_offsets
from bert_tf.spans.words import TaggingOptions, window_stride, word_pieces, word_windows
from bert_tf.text.graph_packing import pack_windows
from bert_tf.text.packing import pack


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


class Tagger(TextModel):
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
        is_word = (places > 0) & (places < last) & ~tf.gather(self._continues(), ids)
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

    def _continues(self):
        """Returns whether a piece continues a word, for all of the vocabulary: bool [V]."""
        padded = [False] * (self.loaded.config.vocab_size - self.loaded.tokenizer.vocab_size)
        tokenizer = self.loaded.tokenizer
        return np.array([*map(tokenizer.continues_word, tokenizer.vocab), *padded], bool)

    def predict(self, examples):
        tokenizer, longest = self.loaded.tokenizer, self.loaded.max_seq_length - 2
        texts, rows = [text for (text,) in examples], []
        places = []  # First token, start and end of each text's words.
        num_truncated = 0
        for text in texts:
            tokens, offsets = words_with_offsets(text, tokenizer, TEXT_WORD)
            num_truncated += len(tokens) > longest
            tokens, offsets = tokens[:longest], offsets[:longest]
            ids = tokenizer.convert_tokens_to_ids(tokens)
            rows.append(pack(ids, [], self.special.cls, self.special.sep))
            firsts = [i for i, token in enumerate(tokens) if not tokenizer.continues_word(token)]
            words = pairwise([*firsts, len(tokens)])
            places.append([(1 + i, offsets[i][0], offsets[end - 1][1]) for i, end in words])
        self.warn_of_truncated(num_truncated, len(texts))
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
        is_first = tf.logical_not(tf.gather(self._continues(), ids.flat_values))
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


class WordTagger(Tagger):
    """Tags words that are given one by one; "" is no word, and has the class ""."""

    outputs: ClassVar = {
        "labels": "string [N, W]: the most probable class of each word",
        "probabilities": "float32 [N, W]: their probabilities",
    }

    def __init__(self, loaded, batch_size=32, compute=None):
        super().__init__(loaded, batch_size, compute)
        self._batch_size = batch_size
        self._run_windows = length_runner(self.compute, batch_size, loaded.max_seq_length)

    def predict(self, examples):
        rows, places = [], []  # Windows; and for each of their words: example, word, window, token.
        for number, (words,) in enumerate(examples):
            there = [i for i, word in enumerate(words) if word]
            pieces = word_pieces(self.loaded.tokenizer, [words[i] for i in there])
            remaining = iter(there)
            for window, firsts in word_windows(pieces, self.loaded.max_seq_length - 2):
                ids = pieces.ids[window.start : window.start + window.length]
                places += [(number, next(remaining), len(rows), 1 + first) for first in firsts]
                rows.append(pack(ids, [], self.special.cls, self.special.sep))
        outputs = self._run_windows(rows)
        of_words = [{} for _ in examples]  # The outputs of each example's words.
        for number, word, window, token in places:
            of_words[number][word] = outputs[window]["logits"][token]
        transitions = {n: v for n, v in (outputs[0] if outputs else {}).items() if n != "logits"}

        def decode(numbers):
            longest = max(max(len(examples[number][0]) for number in numbers), 1)
            logits = np.zeros((len(numbers), longest, len(self.loaded.labels)), np.float32)
            is_word = np.zeros((len(numbers), longest), bool)
            for row, number in enumerate(numbers):
                for word, values in of_words[number].items():
                    logits[row, word], is_word[row, word] = values, True
            tiled = {n: np.tile(value, (len(numbers), 1, 1)) for n, value in transitions.items()}
            return self._of_words({"logits": logits, **tiled}, is_word)

        sizes = [((), len(words)) for (words,) in examples]
        decoded = in_batches(sizes, self._batch_size, decode)
        return [self.answer_of(*both) for both in zip(examples, decoded, strict=True)]

    def _of_words(self, outputs, is_word):
        best = self._best(outputs, is_word)
        labels = tf.where(is_word, best["labels"], "")
        return {"labels": labels, "probabilities": tf.where(is_word, best["probabilities"], 0.0)}

    def of_texts(self, tokenizer, *texts):
        num_texts, num_words = tf.unstack(tf.shape(texts[0]))
        # There is a column, if only of no words.
        words = tf.pad(texts[0], [[0, 0], [0, tf.cast(num_words == 0, tf.int32)]])
        width = tf.shape(words)[1]
        words = tf.reshape(tokenizer.valid_text(tf.reshape(words, [-1])), [num_texts, width])
        is_word = words != ""
        places = tf.where(is_word)  # [K, 2]: text and word.
        owners = tf.cast(places[:, 0], tf.int32)
        pieces = tokenizer.tokenize(tf.boolean_mask(words, is_word))  # [K, (P)]
        has_none = tf.cast(pieces.row_lengths() == 0, tf.int64)
        unknown = tf.fill([tf.reduce_sum(has_none)], self.special.unk)
        pieces = tf.concat([pieces, tf.RaggedTensor.from_row_lengths(unknown, has_none)], axis=1)
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
        outputs = self.compute(with_a_column(windows.features))
        window, token = _best_windows(first, owners, windows, num_texts, stride)
        logits = tf.gather_nd(outputs["logits"], tf.stack([window, token], axis=1))  # [K, C]
        shape = tf.stack([num_texts, width, len(self.loaded.labels)])
        scattered = {"logits": tf.scatter_nd(tf.cast(places, tf.int32), logits, shape)}
        if "transitions" in outputs:  # The same for every window; there may be none.
            one = tf.pad(outputs["transitions"], [[0, 1], [0, 0], [0, 0]])[:1]
            scattered["transitions"] = tf.tile(one, [num_texts, 1, 1])
        found = self._of_words(scattered, is_word)
        return {name: values[:, :num_words] for name, values in found.items()}

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


def _tagged(word: str, label: bytes, probability, start, end) -> TaggedWord:
    return TaggedWord(word, label.decode("utf-8"), float(probability), int(start), int(end))
