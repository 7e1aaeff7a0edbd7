"""Encoder: vectors of width H, one for a text or one for each of its tokens."""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import numpy as np
import tensorflow as tf

from bert_tf.kinds import inference
from bert_tf.kinds.graph import Batch, ServedGraph, function
from bert_tf.kinds.inference import largest_difference
from bert_tf.kinds.length_runner import LengthRunner
from bert_tf.kinds.loaded_model import LoadedModel
from bert_tf.text.graph_packing import pack_texts


def make_model(encoder, num_labels: int):
    """Returns the model: the encoder itself."""
    return encoder


class Inference(inference.Inference):
    """Gives vectors of texts in Python; of a model of any kind.

    Args:
        loaded, batch_size: see `bert_tf.kinds.inference.Inference`.
        pooling: how `predict` makes a vector of a text, one of POOLS.
    """

    def __init__(self, loaded: LoadedModel, batch_size: int = 32, pooling: str = "mean"):
        super().__init__(loaded, batch_size)
        self.pooling = pooling
        self._runners = {
            pool: LengthRunner(self._pool_step(pool), batch_size, loaded.max_seq_length)
            for pool in POOLS
        }

    def _pool_step(self, pool: str) -> Callable[[Batch], Batch]:
        def step(batch: Batch) -> Batch:
            outputs = self.loaded.encoder(batch, training=False)
            return {"vectors": pooled(pool, outputs, batch["input_mask"])}

        return step

    def predict(self, examples: Sequence[tuple[str]]) -> list[np.ndarray]:
        return self.embed([text for (text,) in examples], self.pooling)

    def embed(self, texts: Sequence[str], pool: str) -> list[np.ndarray]:
        """Returns the vectors of each text: float32 [H], or [tokens, H] with `tokens`."""
        rows = self.rows([(text,) for text in texts])
        outputs = [output["vectors"] for output in self._runners[pool].run(rows)]
        if pool != "tokens":
            return outputs
        return [vectors[: len(row.token_ids)] for vectors, row in zip(outputs, rows, strict=True)]


class Graph(ServedGraph):
    """Gives vectors of texts in a SavedModel; [CLS] and [SEP] are among the T tokens."""

    outputs: ClassVar = {
        "embedding": "float32 [N, H]: the text's vector, or [N, T, H]: its tokens'",
        "num_tokens": "int32 [N]: how many tokens the text has",
    }

    def __init__(self, loaded: LoadedModel, half: bool = False, pooling: str = "mean"):
        super().__init__(loaded, half)
        self.pooling = pooling
        self.pools = [name for name in POOLS if name != "pooled" or loaded.has_pooler]

    def of_ids(self, batch: Batch) -> Batch:
        return self._embedding(self.pooling, batch)

    def _embedding(self, pool: str, batch: Batch) -> Batch:
        vectors = pooled(pool, self.weights(batch), batch["input_mask"])
        return {"embedding": vectors, "num_tokens": tf.reduce_sum(batch["input_mask"], axis=1)}

    def signatures(self):
        """The usual ones, and one for each way to make vectors of a text."""

        def of_texts(pool: str):
            def call(text):
                ids = self.ids_of(text)
                batch = pack_texts(ids, None, self.cls, self.sep, self.max_seq_length)
                return self._embedding(pool, batch)

            return call

        text = [tf.TensorSpec([None], tf.string, name) for name in self.inputs]
        by_pool = {pool: function(of_texts(pool), text) for pool in self.pools}
        return {**super().signatures(), **by_pool}


def pooled(pool: str, outputs: Mapping[str, tf.Tensor], input_mask: tf.Tensor) -> tf.Tensor:
    """float32 [B, H], or [B, L, H] for `tokens`.

    Args:
        pool: `mean`, over the tokens with [CLS] and [SEP]; `pooled`, what a classifier sees of
            them; `tokens`, a vector each.
        outputs: the encoder's.
        input_mask: [B, L].
    """
    return _POOLS[pool](outputs, input_mask)


def _mean(outputs: Mapping[str, tf.Tensor], input_mask: tf.Tensor) -> tf.Tensor:
    weights = tf.cast(input_mask, tf.float32)[:, :, tf.newaxis]  # [B, L, 1]
    summed = tf.reduce_sum(_tokens(outputs, input_mask) * weights, axis=1)
    return summed / tf.maximum(tf.reduce_sum(weights, axis=1), 1.0)


def _tokens(outputs: Mapping[str, tf.Tensor], input_mask: tf.Tensor) -> tf.Tensor:
    return tf.cast(outputs["sequence_output"], tf.float32)


_POOLS: dict[str, Callable[[Mapping[str, tf.Tensor], tf.Tensor], tf.Tensor]] = {
    "mean": _mean,
    "pooled": lambda outputs, input_mask: outputs["pooled_output"],
    "tokens": _tokens,
}
POOLS = tuple(_POOLS)


def answer_of(example: tuple, outputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """Returns a SavedModel's outputs for one text: float32 [H], or [tokens, H]."""
    vectors = outputs["embedding"]
    return vectors if vectors.ndim == 1 else vectors[: outputs["num_tokens"]]


def difference(expected: np.ndarray, actual: np.ndarray) -> float:
    """Returns how far two answers are apart, relative to large numbers."""
    if expected.shape != actual.shape:
        return float("inf")
    return largest_difference(expected, actual, max(1.0, float(np.abs(expected).max())))


def tflite_outputs(loaded: LoadedModel, batch: Batch) -> Batch:
    """Returns the outputs of a TFLite model: `sequence_output`, and `pooled_output` if any."""
    outputs = loaded.encoder(batch, training=False)
    names = ["sequence_output"] + (["pooled_output"] if loaded.has_pooler else [])
    return {name: outputs[name] for name in names}
