"""Classification: a class for each text, or pair of texts."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import tensorflow as tf

from bert_tf.kinds import inference
from bert_tf.kinds.graph import Batch, ServedGraph, as_bytes, function
from bert_tf.kinds.inference import largest_difference, softmax
from bert_tf.kinds.loaded_model import LoadedModel
from bert_tf.model.task_heads import ClassificationModel


@dataclasses.dataclass(frozen=True, slots=True)
class ClassAnswer:
    """A class.

    label: the most probable one.
    probability: its probability, a fraction.
    probabilities: those of all classes, by label.
    """

    label: str
    probability: float
    probabilities: Mapping[str, float]


def make_model(encoder, num_labels: int) -> ClassificationModel:
    """Returns the model."""
    return ClassificationModel(encoder, num_labels)


class Inference(inference.Inference):
    """Classifies texts in Python."""

    def predict(self, examples: Sequence[tuple[str, ...]]) -> list[ClassAnswer]:
        labels = self.loaded.labels
        answers = []
        for row in softmax(self.logits(examples)):
            best = int(np.argmax(row))
            probabilities = dict(zip(labels, row.tolist(), strict=True))
            answers.append(ClassAnswer(labels[best], float(row[best]), probabilities))
        return answers


class Graph(ServedGraph):
    """Classifies texts in a SavedModel."""

    outputs: ClassVar = {
        "label": "string [N]: the most probable class",
        "probability": "float32 [N]: its probability",
        "labels": "string [N, C]: all classes, in the order of the model's outputs",
        "probabilities": "float32 [N, C]: their probabilities",
    }

    def __init__(self, loaded: LoadedModel, half: bool = False):
        super().__init__(loaded, half)
        self.labels = as_bytes(loaded.labels)

    def of_ids(self, batch: Batch) -> Batch:
        probabilities = tf.nn.softmax(tf.cast(self.weights(batch)["logits"], tf.float32))
        num_texts = tf.shape(probabilities)[0]
        return {
            "label": tf.gather(self.labels, tf.argmax(probabilities, axis=-1)),
            "probability": tf.reduce_max(probabilities, axis=-1),
            "labels": tf.repeat(tf.constant(self.labels[np.newaxis]), num_texts, axis=0),
            "probabilities": probabilities,
        }

    def signatures(self):
        """Adds `classify`, with the names that TensorFlow Serving's API wants."""

        def classify(examples: tf.Tensor) -> Batch:
            answers = self.of_text_examples(examples)
            return {"classes": answers["labels"], "scores": answers["probabilities"]}

        spec = tf.TensorSpec([None], tf.string, "inputs")
        return {**super().signatures(), "classify": function(classify, [spec])}


def answer_of(example: tuple, outputs: Mapping[str, np.ndarray]) -> ClassAnswer:
    """Returns a SavedModel's outputs for one example as an answer."""
    labels = [label.decode("utf-8") for label in outputs["labels"]]
    return ClassAnswer(
        outputs["label"].decode("utf-8"),
        float(outputs["probability"]),
        dict(zip(labels, outputs["probabilities"].tolist(), strict=True)),
    )


def difference(expected: ClassAnswer, actual: ClassAnswer) -> float:
    """Returns how far two answers are apart; of equally probable classes either is right."""
    lead = expected.probability - expected.probabilities[actual.label]
    values = (list(answer.probabilities.values()) for answer in (expected, actual))
    return max(lead, largest_difference(*values))


def tflite_outputs(loaded: LoadedModel, batch: Batch) -> Batch:
    """Returns the outputs of a TFLite model: `probabilities` [1, C]."""
    return {"probabilities": tf.nn.softmax(loaded.model(batch, training=False))}
