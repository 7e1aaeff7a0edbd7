"""Masked LM: the word pieces at each [MASK] of a text, and whether a text follows another."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from bert_tf.kinds import inference
from bert_tf.kinds.graph import Batch, ServedGraph, as_bytes, function
from bert_tf.kinds.inference import largest_difference, softmax
from bert_tf.kinds.loaded_model import LoadedModel
from bert_tf.kinds.mask_filler import (
    MASK,
    Candidate,
    FilledSentence,
    MaskFiller,
    check_has_mask,
    never_filled,
)
from bert_tf.kinds.table import MASKED_LM, NEXT_SENTENCE, PAIR
from bert_tf.model.heads import PretrainingModel
from bert_tf.text.graph_packing import pack_texts


def make_model(encoder, num_labels: int) -> PretrainingModel:
    """Returns the model."""
    return PretrainingModel(encoder)


class Inference(inference.Inference):
    """Fills [MASK] in Python, and tells whether a text follows another.

    Args:
        loaded, batch_size: see `bert_tf.kinds.inference.Inference`.
        top_k: word pieces for each [MASK].
    """

    def __init__(self, loaded: LoadedModel, batch_size: int = 32, top_k: int = 5):
        super().__init__(loaded, batch_size)
        self.top_k = top_k
        self._filler = MaskFiller(loaded.model, self.tokenizer)

    def step(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        # The masked-LM head needs a position.
        positions = tf.zeros_like(batch["input_ids"][:, :1])
        outputs = super().step({**batch, "masked_lm_positions": positions})
        return {"next_sentence_logits": outputs["next_sentence_logits"]}

    def predict(self, examples: Sequence[tuple[str, ...]]) -> list[Any]:
        """Returns `FilledSentence`s; without a masked-LM head, next-sentence probabilities."""
        if self.loaded.inputs == PAIR:
            return self.next_sentence(examples)
        return self.fill([text for (text,) in examples], self.top_k)

    def is_answerable(self, example: tuple[str, ...]) -> bool:
        return len(example) == 2 or MASK in example[0]

    def fill(self, sentences: Sequence[str], top_k: int) -> list[FilledSentence]:
        """Returns the most probable word pieces for every [MASK] of every sentence."""
        return self._filler.fill(sentences, top_k)

    def next_sentence(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Returns the probability that the second text follows the first, for each pair."""
        outputs = self.runner.run(self.rows(pairs))
        return [float(softmax(output["next_sentence_logits"])[0]) for output in outputs]


class Graph(ServedGraph):
    """Fills [MASK] in a SavedModel, M of them in a text; tells whether a text follows another."""

    outputs: ClassVar = {
        "tokens": "string [N, T]: the text's word pieces",
        "positions": "int32 [N, M]: which of them are [MASK]",
        "candidates": "string [N, M, k]: the most probable pieces for each, the best one first",
        "probabilities": "float32 [N, M, k]: their probabilities",
    }

    def __init__(self, loaded: LoadedModel, half: bool = False, top_k: int = 5):
        super().__init__(loaded, half)
        vocab = loaded.tokenizer.exact.vocab
        self.top_k = top_k
        self.pieces = as_bytes(list(vocab))
        never = np.zeros(loaded.config.vocab_size, np.float32)
        never[[*never_filled(vocab), *range(len(vocab), loaded.config.vocab_size)]] = -np.inf
        self.never = never
        self.has_masked_lm = loaded.has_head(MASKED_LM)
        self.has_next_sentence = loaded.has_head(NEXT_SENTENCE) and loaded.has_pooler

    def of_texts(self, *texts: tf.Tensor) -> Batch:
        return self.of_ids(
            pack_texts(self._ids(*texts), None, self.cls, self.sep, self.max_seq_length)
        )

    def _ids(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Word pieces, where [MASK] stays whole: to the tokenizer it is three tokens."""
        # A text that is "" has no part in tf.strings.split; with a space before it, it has one.
        parts = tf.strings.split(tf.strings.join([" ", texts]), MASK)  # [N, (parts)]
        ids = self.ids_of(parts.flat_values).with_row_splits_dtype(tf.int32)  # [P, (T)]
        starts = tf.cast(parts.row_starts(), tf.int32)
        is_first = tf.scatter_nd(
            starts[:, tf.newaxis], tf.ones_like(starts), [tf.size(parts.flat_values)]
        )
        mask = tf.RaggedTensor.from_row_lengths(
            tf.fill([tf.reduce_sum(1 - is_first)], self.mask), 1 - is_first, validate=False
        )
        together = tf.concat([mask, ids], axis=1)
        return tf.RaggedTensor.from_row_splits(
            together, tf.cast(parts.row_splits, together.row_splits.dtype), validate=False
        ).merge_dims(1, 2)

    def of_ids(self, batch: Batch) -> Batch:
        input_ids = batch["input_ids"]
        places = tf.where(input_ids == self.mask)
        positions = tf.RaggedTensor.from_value_rowids(
            tf.cast(places[:, 1], tf.int32), places[:, 0], tf.shape(input_ids, tf.int64)[0]
        )
        num_masks = tf.cast(positions.bounding_shape()[1], tf.int32)
        is_mask = tf.sequence_mask(positions.row_lengths(), num_masks)[:, :, tf.newaxis]
        # The model always looks at one place at least.
        looked_at = positions.to_tensor(shape=tf.stack([-1, tf.maximum(num_masks, 1)]))
        outputs = self.weights({**batch, "masked_lm_positions": looked_at})
        log_probs = tf.nn.log_softmax(outputs["masked_lm_logits"][:, :num_masks])
        log_probs += self.never  # [N, M, V]
        best, numbers = tf.math.top_k(log_probs, self.top_k)
        # Between [CLS] and the [SEP] at the end.
        lengths = tf.reduce_sum(batch["input_mask"], axis=1) - 2
        tokens = input_ids[:, 1:-1]
        is_token = tf.sequence_mask(lengths, tf.shape(tokens)[1])
        return {
            "tokens": tf.where(is_token, self._pieces(tokens), ""),
            "positions": positions.to_tensor(0) - 1,  # [CLS] does not count.
            "candidates": tf.where(is_mask, self._pieces(numbers), ""),
            "probabilities": tf.where(is_mask, tf.exp(best), 0.0),
        }

    def _pieces(self, ids: tf.Tensor) -> tf.Tensor:
        # A row of the embeddings that no token has is never among the best.
        return tf.gather(self.pieces, tf.minimum(ids, len(self.pieces) - 1))

    def _next_sentence(self, text_a: tf.Tensor, text_b: tf.Tensor) -> Batch:
        ids = map(self.ids_of, (text_a, text_b))
        batch = pack_texts(*ids, self.cls, self.sep, self.max_seq_length)
        batch["masked_lm_positions"] = tf.zeros_like(batch["input_ids"][:, :1])
        return {"probability": tf.nn.softmax(self.weights(batch)["next_sentence_logits"])[:, 0]}

    def signatures(self):
        """The usual ones if it fills masks, and `next_sentence`."""
        signatures = super().signatures() if self.has_masked_lm else {}
        if self.has_next_sentence:
            texts = [tf.TensorSpec([None], tf.string, name) for name in PAIR]
            signatures["next_sentence"] = function(self._next_sentence, texts)
            signatures.setdefault("serving_default", signatures["next_sentence"])
        return signatures


def answer_of(example: tuple, outputs: Mapping[str, np.ndarray]) -> FilledSentence | float:
    """Returns a SavedModel's outputs for one text, or pair, as an answer.

    Raises:
        ValueError: if the text has no [MASK], or one that is cut off.
    """
    if "candidates" not in outputs:
        return float(outputs["probability"])
    (text,) = example
    check_has_mask(text)
    is_mask = outputs["positions"] >= 0
    if np.sum(is_mask) < text.count(MASK):
        raise ValueError(
            f"A {MASK} is beyond the maximum length of the SavedModel. Received: {text!r:.200}"
        )
    candidates = tuple(
        tuple(
            Candidate(token.decode("utf-8"), float(probability))
            for token, probability in zip(tokens, probabilities, strict=True)
        )
        for tokens, probabilities in zip(
            outputs["candidates"][is_mask], outputs["probabilities"][is_mask], strict=True
        )
    )
    tokens = tuple(token.decode("utf-8") for token in outputs["tokens"] if token)
    return FilledSentence(text, tokens, candidates)


def difference(expected: Any, actual: Any) -> float:
    """Returns how far two answers are apart; of equally probable pieces either is right."""
    if isinstance(expected, float):
        return largest_difference(expected, actual)
    if expected.tokens != actual.tokens:
        return float("inf")
    values = (
        [[candidate.probability for candidate in mask] for mask in filled.candidates]
        for filled in (expected, actual)
    )
    return largest_difference(*values)
