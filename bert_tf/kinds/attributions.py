"""Attributions: how much each token of a text contributes to the score of a class, or to a number.

They are integrated gradients of the score by the tokens' word vectors, on the straight line from a
baseline b to the text x. The baseline is the same text with every token but [CLS] and [SEP] masked:

    text       [CLS]   a      good   film    [SEP]        score   2.9
    baseline   [CLS] [MASK]  [MASK] [MASK]   [SEP]        score  -0.1
    values       0    -0.1    2.7    0.4       0           sum    3.0

    value of token i  =  (x_i - b_i) * integral of d score(b + a (x - b)) / d x_i  for a from 0 to 1

The values sum to the difference of the two scores. A class's score is its log-odds,
log(p / (1 - p)); a regression's is the number.

Source: Sundararajan et al. 2017, Axiomatic Attribution for Deep Networks.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from bert_tf.kinds.length_runner import IDS, Batch
from bert_tf.kinds.text_model import LoadedModel
from bert_tf.model.feature_model import named_outputs
from bert_tf.model.shifted_words import shifted_words
from bert_tf.text.packing import is_truncated, pack_truncated

KINDS_WITH_ATTRIBUTIONS = ("classification", "regression", "multi_label")

# Points of the quadrature. If the values' sum is off by more than the tolerance, the next number is
# tried; what is left is in `Attributions.error`.
_NUM_POINTS = (32, 128)
_TOLERANCE = 0.01  # Of the difference of the scores, or of 1 if that is larger.
_TOKENS_PER_BATCH = 1024


@dataclasses.dataclass(frozen=True, slots=True)
class WordAttribution:
    """A word, the characters `start` to `end` of a text, and the sum of its tokens' values."""

    text: int  # 0 for the first text of a pair, 1 for the second.
    start: int
    end: int
    value: float


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Attributions:
    """What each of a text's or pair's L tokens contributes to a score."""

    tokens: tuple[str, ...]  # Word pieces, [CLS] and [SEP] included.
    # For each token (text, start, end): characters of text 0 or 1; None for [CLS] and [SEP].
    spans: tuple[tuple[int, int, int] | None, ...]
    values: np.ndarray  # float32 [L]; they sum to `score - baseline_score`, but for `error`.
    words: tuple[WordAttribution, ...]  # The values by word.
    label: str  # The class that is explained; "" for a regression.
    score: float  # The log-odds of the class, or the number.
    baseline_score: float  # The same of the text whose tokens are all masked.

    @property
    def error(self) -> float:
        """How far the values' sum is from the difference of the scores."""
        return float(np.sum(self.values, dtype=np.float64)) - (self.score - self.baseline_score)


class Attributor:
    """Computes the `Attributions` of texts or pairs. It is thread-safe.

    Raises a ValueError if the model is none of `KINDS_WITH_ATTRIBUTIONS`.
    """

    def __init__(self, loaded: LoadedModel, batch_size: int = 32):
        if loaded.kind not in KINDS_WITH_ATTRIBUTIONS:
            raise ValueError(
                f"Attributions are of models for {', '.join(KINDS_WITH_ATTRIBUTIONS)}. Received: a "
                f"model for {loaded.kind}"
            )
        self.loaded = loaded
        self.special = loaded.tokenizer.special_ids
        self._batch_size = batch_size
        row, number = tf.TensorSpec([3, None], tf.int32), tf.TensorSpec([], tf.int32)
        points = tf.TensorSpec([None], tf.float32)
        is_word = tf.TensorSpec([None], tf.bool)
        self._summed_in_graph = tf.function(
            self._summed, input_signature=[row, is_word, number, points, points], autograph=False
        )

    def attribute(self, texts: tuple[str, ...], label: str | None = None) -> Attributions:
        """Returns the attributions of one text, or of a pair.

        Args:
            label: the class to explain; by default the most probable one.

        Raises a ValueError if there is no such class, or the text is too long and the model reads
        such texts in windows.
        """
        row, is_word, spans = self._row(texts)
        number = self._number(label, row, is_word)
        for num_points in _NUM_POINTS:
            values, scores = self._integrated(row, is_word, number, num_points)
            difference = float(scores[1] - scores[0])
            error = abs(float(values.sum(dtype=np.float64)) - difference)
            if error <= _TOLERANCE * max(abs(difference), 1.0):
                break
        tokens = self.loaded.tokenizer.convert_ids_to_tokens(row[0].tolist())
        explained = self.loaded.labels[number] if self.loaded.labels else ""
        words = self._words(tokens, spans, values.tolist())
        of_scores = float(scores[1]), float(scores[0])
        return Attributions(tuple(tokens), spans, values, words, explained, *of_scores)

    def _words(self, tokens, spans, values) -> tuple[WordAttribution, ...]:
        """Joins the tokens of each word."""
        words: list[WordAttribution] = []
        for token, span, value in zip(tokens, spans, values, strict=True):
            if span is None:
                continue
            number, start, end = span
            continues = start == end or self.loaded.tokenizer.continues_word(token)
            last = words[-1] if words else None
            if last and continues and last.text == number and start <= last.end:
                end, value = max(end, last.end), last.value + value
                words[-1] = dataclasses.replace(last, end=end, value=value)
            else:
                words.append(WordAttribution(number, start, end, value))
        return tuple(words)

    def _row(self, texts: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray, tuple]:
        """Returns `IDS` int32 [3, L], which of the tokens are of a text, and the spans of all."""
        tokenizer, longest = self.loaded.tokenizer, self.loaded.max_seq_length
        ids, spans, of_text = [], [], []
        for number, text in enumerate(texts):
            pieces, offsets = tokenizer.tokenize_with_offsets(text)
            of_text.append(range(len(ids), len(ids) + len(pieces)))
            ids += tokenizer.convert_tokens_to_ids(pieces)
            spans += [(number, start, end) for start, end in offsets]
        first, second = (*of_text, range(0))[:2]
        sep = self.special.sep
        if is_truncated(first, second, longest, sep) and self._has_windows:
            raise ValueError(
                f"The text has more than {longest} tokens (max_seq_length), so the model reads it "
                "in windows; attributions are of one window. Give a shorter text."
            )
        # Packed as places in `ids`; -1 and -2 stand for [CLS] and [SEP].
        places, segments = pack_truncated(first, second, -1, type(sep)(-2), longest)
        special = {-1: self.special.cls, -2: sep}
        input_ids = [special[place] if place < 0 else ids[place] for place in places]
        row = np.array([input_ids, [1] * len(places), segments], np.int32)
        is_word = np.array([place >= 0 for place in places])
        return row, is_word, tuple(spans[place] if place >= 0 else None for place in places)

    @property
    def _has_windows(self) -> bool:
        return getattr(self.loaded.options, "has_windows", False)

    def _number(self, label: str | None, row: np.ndarray, is_word: np.ndarray) -> int:
        labels = self.loaded.labels
        if label is not None and label not in labels:
            known = f"one of {', '.join(labels)}" if labels else "left out, as there are no classes"
            raise ValueError(f"label must be {known}. Received: {label!r}")
        if label is not None:
            return labels.index(label)
        return int(np.argmax(self._logits(dict(zip(IDS, row[:, np.newaxis], strict=True)))))

    def _integrated(
        self, row: np.ndarray, is_word: np.ndarray, number: int, num_points: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the values [L], and the scores of the baseline and of the text."""
        nodes, weights = np.polynomial.legendre.leggauss(num_points)
        # The baseline and the text themselves only for their scores.
        fractions = np.array([0.0, 1.0, *(nodes + 1) / 2], np.float32)
        weights = np.array([0.0, 0.0, *weights / 2], np.float32)
        values, scores = np.zeros(len(is_word), np.float32), []
        step = max(min(_TOKENS_PER_BATCH // len(is_word), self._batch_size), 1)
        for start in range(0, len(fractions), step):
            points = (part[start : start + step] for part in (fractions, weights))
            summed, some = self._summed_in_graph(row, is_word, number, *points)
            values += summed.numpy()
            scores.append(some.numpy())
        return values, np.concatenate(scores)[:2]

    def _summed(self, row, is_word, number, fractions, weights):
        """Returns the weighted sum of the values [L], and the scores, at K points of the line."""
        encoder, ids = self.loaded.encoder, row[0]
        table = tf.convert_to_tensor(encoder.word_embeddings)
        masked = tf.where(is_word, self.special.mask, ids)
        difference = tf.gather(table, ids) - tf.gather(table, masked)  # [L, E]
        shift = (fractions - 1)[:, tf.newaxis, tf.newaxis] * difference  # [K, L, E]
        tiled = tf.tile(row[:, tf.newaxis], [1, tf.size(fractions), 1])
        batch = dict(zip(IDS, tf.unstack(tiled, num=3), strict=True))
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(shift)
            with shifted_words(shift):
                scores = self._scores(self._logits(batch), number)
        gradients = tape.gradient(scores, shift)
        if gradients is None:
            raise ValueError(f"{encoder.embeddings!r} cannot shift its words, see `Embeddings`.")
        return tf.einsum("k,kle,le->l", weights, gradients, difference), scores

    def _logits(self, batch: Batch) -> tf.Tensor:
        model = self.loaded.model
        outputs = named_outputs(model(model.select_features(batch), training=False))
        return tf.cast(outputs["logits"], tf.float32)

    def _scores(self, logits: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
        """Returns the log-odds of a class, or the numbers: [B, C] -> [B]."""
        chosen = logits[:, number]
        if self.loaded.kind != "classification":
            return chosen
        is_chosen = tf.range(tf.shape(logits)[1]) == number
        others = tf.where(is_chosen, -np.inf, logits)
        return chosen - tf.reduce_logsumexp(others, axis=1)
