"""Regression: a number for each text, or pair of texts."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import tensorflow as tf

from bert_tf.kinds import inference
from bert_tf.kinds.graph import Batch, ServedGraph, function
from bert_tf.kinds.inference import largest_difference
from bert_tf.kinds.loaded_model import LoadedModel
from bert_tf.model.task_heads import ClassificationModel


def make_model(encoder, num_labels: int) -> ClassificationModel:
    """Returns the model."""
    return ClassificationModel(encoder, 1)


class Inference(inference.Inference):
    """Rates texts in Python."""

    def predict(self, examples: Sequence[tuple[str, ...]]) -> list[float]:
        return self.logits(examples)[:, 0].tolist()


class Graph(ServedGraph):
    """Rates texts in a SavedModel."""

    outputs: ClassVar = {"value": "float32 [N]: the number"}

    def of_ids(self, batch: Batch) -> Batch:
        return {"value": tf.cast(self.weights(batch)["logits"][:, 0], tf.float32)}

    def signatures(self):
        """Adds `regress`, with the names that TensorFlow Serving's API wants."""

        def regress(examples: tf.Tensor) -> Batch:
            return {"outputs": self.of_text_examples(examples)["value"]}

        spec = tf.TensorSpec([None], tf.string, "inputs")
        return {**super().signatures(), "regress": function(regress, [spec])}


def answer_of(example: tuple, outputs: Mapping[str, np.ndarray]) -> float:
    """Returns a SavedModel's outputs for one example as an answer."""
    return float(outputs["value"])


def difference(expected: float, actual: float) -> float:
    """Returns how far two answers are apart, relative to large ones."""
    return largest_difference(expected, actual, max(1.0, abs(expected)))


def tflite_outputs(loaded: LoadedModel, batch: Batch) -> Batch:
    """Returns the outputs of a TFLite model: `value` [1]."""
    return {"value": loaded.model(batch, training=False)[:, 0]}
