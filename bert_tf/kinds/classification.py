"""Classification: predicts the class of a text or pair of texts."""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import tensorflow as tf

from bert_tf.kinds.length_runner import Batch
from bert_tf.kinds.long_texts import LongTextModel
from bert_tf.kinds.text_model import largest_difference
from bert_tf.model.task_heads import ClassificationModel


@dataclasses.dataclass(frozen=True, slots=True)
class ClassAnswer:
    """The most probable class; probabilities are fractions."""

    label: str
    probability: float
    probabilities: Mapping[str, float]  # Of all classes, by label.


class Classifier(LongTextModel):
    outputs: ClassVar = {
        "label": "string [N]: the most probable class",
        "probability": "float32 [N]: its probability",
        "labels": "string [N, C]: all classes, in the order of the model's outputs",
        "probabilities": "float32 [N, C]: their probabilities",
    }

    api = "classify", {"classes": "labels", "scores": "probabilities"}
    make_model = ClassificationModel

    def of_logits(self, logits):
        labels = tf.constant(self.loaded.labels)
        probabilities = tf.nn.softmax(logits)
        return {
            "label": tf.gather(labels, tf.argmax(probabilities, axis=-1)),
            "probability": tf.reduce_max(probabilities, axis=-1),
            "labels": tf.repeat([labels], tf.shape(probabilities)[0], axis=0),
            "probabilities": probabilities,
        }

    def tflite_outputs(self, batch: Batch) -> Batch:
        return {"probabilities": self.probabilities(batch)}

    @staticmethod
    def answer_of(example, outputs):
        labels = [label.decode("utf-8") for label in outputs["labels"]]
        probabilities = dict(zip(labels, outputs["probabilities"].tolist(), strict=True))
        label = outputs["label"].decode("utf-8")
        return ClassAnswer(label, float(outputs["probability"]), probabilities)

    @staticmethod
    def difference(expected, actual):
        # A tie may go either way.
        lead = expected.probability - expected.probabilities[actual.label]
        values = (list(answer.probabilities.values()) for answer in (expected, actual))
        return max(lead, largest_difference(*values))
