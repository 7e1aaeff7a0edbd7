"""Answers texts in Python: tokenizes them, runs the model on rows of like length, makes answers.

texts ──> ids ──> rows of like length ──> model ──> scores ──> answers, in the order of the texts
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from bert_tf.kinds.length_runner import LengthRunner, Row
from bert_tf.kinds.loaded_model import LoadedModel
from bert_tf.model.feature_model import named_outputs
from bert_tf.text.packing import pack_truncated


class Inference:
    """Answers texts with a loaded model; a kind of model is a subclass.

    Args:
        loaded: the model.
        batch_size: rows of ids that go through it together.

    It may be used from several threads at once.
    """

    def __init__(self, loaded: LoadedModel, batch_size: int = 32):
        self.loaded = loaded
        self.tokenizer = loaded.tokenizer.exact
        self.runner = LengthRunner(self.step, batch_size, loaded.max_seq_length)

    def step(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the model's outputs by name, each [B, ...], for rows of ids int32 [B, L]."""
        model = self.loaded.model
        return named_outputs(model(model.select_features(batch), training=False))

    def predict(self, examples: Sequence[tuple]) -> list[Any]:
        """Returns an answer to each example, a tuple with a text for each of `loaded.inputs`."""
        raise NotImplementedError

    def is_answerable(self, example: tuple) -> bool:
        """Returns whether `predict` takes this example; if not, it raises."""
        return True

    def rows(self, examples: Sequence[tuple[str, ...]]) -> list[Row]:
        """Tokenizes texts and pairs: `[CLS] a [SEP]` or `[CLS] a [SEP] b [SEP]`, truncated."""
        texts_a = [texts[0] for texts in examples]
        texts_b = [texts[1] if len(texts) > 1 else "" for texts in examples]
        ids_a, ids_b = map(self.loaded.tokenizer.encode_batch, (texts_a, texts_b))
        special, longest = self.tokenizer.special_ids, self.loaded.max_seq_length
        return [
            Row(*pack_truncated(a, b, special.cls, special.sep, longest))
            for a, b in zip(ids_a, ids_b, strict=True)
        ]

    def logits(self, examples: Sequence[tuple[str, ...]]) -> np.ndarray:
        """Returns the logits of texts or pairs, float32 [N, C]."""
        return np.stack([output["logits"] for output in self.runner.run(self.rows(examples))])


def softmax(logits: np.ndarray) -> np.ndarray:
    """The softmax over the last axis, float32."""
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def largest_difference(expected, actual, scale: float = 1.0) -> float:
    """Returns the largest absolute difference of two arrays, divided by `scale`."""
    return float(np.max(np.abs(np.subtract(actual, expected)), initial=0.0)) / scale
