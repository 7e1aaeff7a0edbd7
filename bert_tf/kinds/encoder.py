"""Encoder: computes embeddings of texts or of their tokens."""

import dataclasses
import functools
from typing import ClassVar

import tensorflow as tf

from bert_tf.kinds.length_runner import Batch
from bert_tf.kinds.pooling import Pooling, pool
from bert_tf.kinds.text_model import TextModel

# The mean over all tokens, [CLS] and [SEP] included; the pooler's output; one vector per token.
# "" is the model's own way: the mean, unless it is a sentence-transformers model.
POOLS = ("mean", "pooled", "tokens")


class Embedder(TextModel):
    """Computes embeddings with any kind of model's encoder; `pooling` is one of `POOLS`, or ""."""

    outputs: ClassVar = {
        "embedding": "float32 [N, H]: the text's vector, or [N, T, H]: its tokens'",
        "num_tokens": "int32 [N]: how many tokens the text has",
    }
    arguments = ("pooling",)
    Options = Pooling

    def __init__(self, loaded, batch_size=32, compute=None, pooling=""):
        super().__init__(dataclasses.replace(loaded, model=loaded.encoder), batch_size, compute)
        self.own = loaded.options if isinstance(loaded.options, Pooling) else Pooling()
        self.pooling = pooling or ("mean" if self.own == Pooling() else "")

    @staticmethod
    def make_model(encoder, num_labels):
        return encoder

    def of_ids(self, batch):
        mask = batch["input_mask"]
        embedding = self._pooled(self.compute(batch), mask)
        return {"embedding": embedding, "num_tokens": tf.reduce_sum(mask, axis=1)}

    def _pooled(self, outputs: Batch, input_mask: tf.Tensor) -> tf.Tensor:
        if self.pooling == "pooled":
            return outputs["pooled_output"]
        tokens = tf.cast(outputs["sequence_output"], tf.float32)  # [B, L, H]
        if self.pooling == "tokens":
            return tokens
        pooling = Pooling() if self.pooling else self.own
        return pool(pooling, self.loaded.pooling_weights, tokens, input_mask)

    def signatures(self, tokenizer):
        """Adds one signature for each of `POOLS`."""
        signatures = super().signatures(tokenizer)
        specs = signatures["serving_default"][1]
        for name in POOLS:
            if name != "pooled" or self.loaded.has_pooler:
                embedder = Embedder(self.loaded, compute=self.compute, pooling=name)
                signatures[name] = (functools.partial(embedder.of_texts, tokenizer), specs)
        return signatures

    def tflite_outputs(self, batch: Batch) -> Batch:
        outputs = self.compute(batch)
        names = ["sequence_output"] + ["pooled_output"] * self.loaded.has_pooler
        return {name: outputs[name] for name in names}

    @staticmethod
    def answer_of(example, outputs):
        vectors = outputs["embedding"]
        return vectors if vectors.ndim == 1 else vectors[: outputs["num_tokens"]]
