"""Masked LM: predicts the word pieces at each [MASK], and whether one text follows another.

    filler = MaskFiller(load_model("bert_base_uncased"), top_k=2)
    (filled,) = filler.predict([("The man went to the [MASK] to buy milk.",)])
    filled.candidates    # ((Candidate("store", 0.58), Candidate("market", 0.11)),)
    filled.best          # "the man went to the store to buy milk ."

Each [MASK] is one word piece, so a word of two pieces needs two of them.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import tensorflow as tf

from bert_tf.kinds.table import NEXT_SENTENCE, PAIR
from bert_tf.kinds.text_model import TextModel, largest_difference
from bert_tf.model.heads import PretrainingModel
from bert_tf.text.byte_bpe import join_bytes
from bert_tf.text.tokenizer import Tokenizer

MASK, BYTE_BPE_MASK = "[MASK]", "<mask>"


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A word piece and its probability, a fraction."""

    token: str
    probability: float


@dataclasses.dataclass(frozen=True)
class FilledSentence:
    """A sentence with predictions for its [MASK]s."""

    text: str
    tokens: tuple[str, ...]
    candidates: tuple[tuple[Candidate, ...], ...]  # For each [MASK], best first.

    @property
    def best(self) -> str:
        """The tokens with every [MASK] filled, joined to words."""
        best = iter(candidates[0].token for candidates in self.candidates)
        mask = _mask_in(self.tokens)
        tokens = [next(best) if token == mask else token for token in self.tokens]
        if mask == BYTE_BPE_MASK:
            return join_bytes(tokens).strip()
        if any(token.startswith("\u2581") for token in tokens):  # SentencePiece's.
            return "".join(tokens).replace("\u2581", " ").strip()
        return " ".join(tokens).replace(" ##", "")


class MaskFiller(TextModel):
    """Predicts the `top_k` most probable word pieces at each [MASK], special tokens excluded."""

    outputs: ClassVar = {
        "tokens": "string [N, T]: the text's word pieces",
        "positions": "int32 [N, M]: which of them are [MASK]",
        "candidates": "string [N, M, k]: the most probable pieces for each, the best one first",
        "probabilities": "float32 [N, M, k]: their probabilities",
    }
    arguments = ("top_k",)

    def __init__(self, loaded, batch_size=32, compute=None, top_k=5):
        super().__init__(loaded, batch_size, compute)
        vocab = loaded.tokenizer.vocab
        num_candidates = len(vocab) - len(loaded.tokenizer.special_ids)
        if not 1 <= top_k <= num_candidates:
            raise ValueError(f"top_k must be from 1 to {num_candidates}. Received: {top_k}")
        self.top_k = top_k
        self._tokens = list(vocab)
        self._mask = mask_token(loaded.tokenizer)
        # Excludes special tokens, and rows of the embedding table without a token.
        self._bias = np.full(loaded.config.vocab_size, -np.inf, np.float32)
        self._bias[: len(vocab)] = 0.0
        self._bias[list(self.special)] = -np.inf

    @staticmethod
    def make_model(encoder, num_labels):
        return PretrainingModel(encoder)

    def is_answerable(self, example):
        try:
            return bool(self.rows([example]))
        except ValueError:
            return False

    def rows(self, examples):
        """Returns `[CLS] text [SEP]`."""
        longest = self.loaded.config.longest_sequence
        rows = []
        for (text,) in examples:
            _check_has_mask(text, self._mask)
            ids = encode_with_masks(self.loaded.tokenizer, text)
            ids = [self.special.cls, *ids, self.special.sep]
            if len(ids) > longest:
                raise ValueError(
                    f"A sentence has {len(ids)} tokens with [CLS] and [SEP]; the model reads "
                    f"{longest} at most (max_position_embeddings). Received: {text!r:.200}"
                )
            rows.append((ids, [0] * len(ids)))
        return rows

    def of_texts(self, tokenizer, *texts):
        # tf.strings.split returns no part of an empty text, but one of a space.
        parts = tf.strings.split(tf.strings.join([" ", texts[0]]), MASK)  # [N, (parts)]
        ids = tokenizer.tokenize(parts.flat_values)  # [P, (T)]
        # Each part but a text's first follows a [MASK].
        masks = tf.fill([tf.size(parts.flat_values), 1], self.special.mask)
        together = tf.concat([masks, ids], axis=1)
        splits = tf.cast(parts.row_splits, together.row_splits.dtype)
        by_text = tf.RaggedTensor.from_row_splits(together, splits, validate=False)
        return self.of_ids(self.packed(by_text.merge_dims(1, 2)[:, 1:]))

    def of_ids(self, batch):
        input_ids = batch["input_ids"]
        places = tf.where(input_ids == self.special.mask)
        positions = tf.RaggedTensor.from_value_rowids(
            tf.cast(places[:, 1], tf.int32), places[:, 0], tf.shape(input_ids, tf.int64)[0]
        )
        num_masks = tf.cast(positions.bounding_shape()[1], tf.int32)
        is_mask = tf.sequence_mask(positions.row_lengths(), num_masks)[:, :, tf.newaxis]
        # The model needs at least one position.
        padded = positions.to_tensor(shape=tf.stack([-1, tf.maximum(num_masks, 1)]))
        logits = self.compute({**batch, "masked_lm_positions": padded})["masked_lm_logits"]
        log_probs = tf.nn.log_softmax(logits[:, :num_masks]) + self._bias  # [N, M, V]
        best, ids = tf.math.top_k(log_probs, self.top_k)
        lengths = tf.reduce_sum(batch["input_mask"], axis=1) - 2
        tokens = input_ids[:, 1:-1]  # Without [CLS] and [SEP].
        is_token = tf.sequence_mask(lengths, tf.shape(tokens)[1])
        return {
            "tokens": tf.where(is_token, self._tokens_of(tokens), ""),
            "positions": positions.to_tensor(0) - 1,  # [CLS] does not count.
            "candidates": tf.where(is_mask, self._tokens_of(ids), ""),
            "probabilities": tf.where(is_mask, tf.exp(best), 0.0),
        }

    def _tokens_of(self, ids: tf.Tensor) -> tf.Tensor:
        # Ids without a token are never candidates.
        return tf.gather(self._tokens, tf.minimum(ids, len(self._tokens) - 1))

    def signatures(self, tokenizer):
        signatures = super().signatures(tokenizer)
        if NEXT_SENTENCE in self.loaded.heads and self.loaded.has_pooler:
            loaded = dataclasses.replace(self.loaded, inputs=PAIR)
            pairs = NextSentencePredictor(loaded, compute=self.compute)
            signatures["next_sentence"] = pairs.signatures(tokenizer)["next_sentence"]
        return signatures

    @staticmethod
    def answer_of(example, outputs):
        (text,) = example
        mask = _mask_in([token.decode("utf-8") for token in outputs["tokens"]])
        _check_has_mask(text, mask)
        is_mask = outputs["positions"] >= 0
        if np.sum(is_mask) < text.count(mask):
            raise ValueError(f"A {mask} is beyond max_seq_length. Received: {text!r:.200}")
        found = (outputs[name][is_mask].tolist() for name in ("candidates", "probabilities"))
        candidates = tuple(
            tuple(
                Candidate(token.decode("utf-8"), value) for token, value in zip(*best, strict=True)
            )
            for best in zip(*found, strict=True)
        )
        tokens = tuple(token.decode("utf-8") for token in outputs["tokens"] if token)
        return FilledSentence(text, tokens, candidates)

    @staticmethod
    def difference(expected, actual):
        # A tie may go either way.
        if expected.tokens != actual.tokens:
            return float("inf")
        values = (
            [[candidate.probability for candidate in mask] for mask in filled.candidates]
            for filled in (expected, actual)
        )
        return largest_difference(*values)


class NextSentencePredictor(TextModel):
    """Predicts the probability that the second text of a pair follows the first."""

    outputs: ClassVar = {"probability": "float32 [N]: that the second text follows the first"}
    signature = "next_sentence"
    make_model = MaskFiller.make_model

    def of_ids(self, batch):
        # The masked-LM head needs a position.
        positions = tf.zeros_like(batch["input_ids"][:, :1])
        outputs = self.compute({**batch, "masked_lm_positions": positions})
        return {"probability": tf.nn.softmax(outputs["next_sentence_logits"])[:, 0]}

    def signatures(self, tokenizer):
        of_texts = functools.partial(self.of_texts, tokenizer)
        signature = of_texts, [tf.TensorSpec([None], tf.string, name) for name in PAIR]
        return {"serving_default": signature, "next_sentence": signature}

    @staticmethod
    def answer_of(example, outputs):
        return float(outputs["probability"])


def mask_token(tokenizer: Tokenizer) -> str:
    """Returns what a text has where a token is to be predicted: [MASK], or RoBERTa's <mask>."""
    return tokenizer.convert_ids_to_tokens([tokenizer.special_ids.mask])[0]


def encode_with_masks(tokenizer: Tokenizer, text: str) -> list[int]:
    """Returns the ids of a text in which each [MASK] is one token; `encode` would split it."""
    mask = mask_token(tokenizer)
    *before, last = text.split(mask)
    ids = []
    for part in before:
        # RoBERTa's mask stands for a word and the space before it.
        ids += tokenizer.encode(part.rstrip() if mask == BYTE_BPE_MASK else part)
        ids.append(tokenizer.special_ids.mask)
    return ids + tokenizer.encode(last)


def _mask_in(tokens: Sequence[str]) -> str:
    """Returns which of both masks is among the tokens; if none is, BERT's."""
    return BYTE_BPE_MASK if BYTE_BPE_MASK in tokens else MASK


def _check_has_mask(text: str, mask: str) -> None:
    if mask not in text:
        raise ValueError(f"There is no {mask} to fill. Received: {text!r}")
