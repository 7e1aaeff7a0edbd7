"""Encoder: vectors of width H, one for a text or one for each of its tokens."""

import dataclasses
import functools
from typing import ClassVar

import tensorflow as tf

from bert_tf.kinds.length_runner import Batch
from bert_tf.kinds.text_model import LoadedModel, TextModel

# The vector of a text is the mean of its tokens' vectors, [CLS] and [SEP] included; the vector that
# a classifier sees; or one for each token.
POOLS = ("mean", "pooled", "tokens")


class Embedder(TextModel):
    """Returns vectors of texts, with a model of any kind; `pooling` is one of `POOLS`."""

    outputs: ClassVar = {
        "embedding": "float32 [N, H]: the text's vector, or [N, T, H]: its tokens'",
        "num_tokens": "int32 [N]: how many tokens the text has",
    }
    arguments = ("pooling",)

    def __init__(
        self, loaded: LoadedModel, batch_size: int = 32, compute=None, pooling: str = "mean"
    ):
        super().__init__(dataclasses.replace(loaded, model=loaded.encoder), batch_size, compute)
        self.pooling = pooling

    @staticmethod
    def make_model(encoder, num_labels):
        return encoder

    def of_ids(self, batch):
        vectors = self._pooled(self.compute(batch), batch["input_mask"])
        return {"embedding": vectors, "num_tokens": tf.reduce_sum(batch["input_mask"], axis=1)}

    def _pooled(self, outputs: Batch, input_mask: tf.Tensor) -> tf.Tensor:
        if self.pooling == "pooled":
            return outputs["pooled_output"]
        tokens = tf.cast(outputs["sequence_output"], tf.float32)  # [B, L, H]
        if self.pooling == "tokens":
            return tokens
        weights = tf.cast(input_mask, tf.float32)[:, :, tf.newaxis]
        summed = tf.reduce_sum(tokens * weights, axis=1)
        return summed / tf.maximum(tf.reduce_sum(weights, axis=1), 1.0)

    def signatures(self, tokenizer):
        """Adds one for each way to make vectors of a text."""
        signatures = super().signatures(tokenizer)
        specs = signatures["serving_default"][1]
        for pool in POOLS:
            if pool != "pooled" or self.loaded.has_pooler:
                embedder = Embedder(self.loaded, compute=self.compute, pooling=pool)
                signatures[pool] = (functools.partial(embedder.of_texts, tokenizer), specs)
        return signatures

    def tflite_outputs(self, batch: Batch) -> Batch:
        """Returns the outputs of a TFLite model: `sequence_output`, and `pooled_output` if any."""
        outputs = self.compute(batch)
        names = ["sequence_output"] + ["pooled_output"] * self.loaded.has_pooler
        return {name: outputs[name] for name in names}

    @staticmethod
    def answer_of(example, outputs):
        vectors = outputs["embedding"]
        return vectors if vectors.ndim == 1 else vectors[: outputs["num_tokens"]]
