"""Multi-label classification: predicts which labels, of any number, a text or pair has."""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import tensorflow as tf

from bert_tf.kinds.length_runner import Batch
from bert_tf.kinds.long_texts import LongTextModel
from bert_tf.kinds.text_model import largest_difference
from bert_tf.metrics.multi_label import parse_thresholds
from bert_tf.model.task_heads import MultiLabelModel
from bert_tf.spans.long_texts import LongTextOptions


@dataclasses.dataclass(frozen=True)
class MultiLabelOptions(LongTextOptions):
    thresholds: str = "0.5"  # See `metrics.multi_label.parse_thresholds`.


@dataclasses.dataclass(frozen=True, slots=True)
class LabelsAnswer:
    """The labels whose probability reaches their threshold; probabilities are fractions."""

    labels: tuple[str, ...]
    probabilities: Mapping[str, float]  # Of all labels.


class MultiLabelClassifier(LongTextModel):
    outputs: ClassVar = {
        "labels": "string [N, C]: all labels, in the order of the model's outputs",
        "probabilities": "float32 [N, C]: their probabilities, each by itself",
        "is_chosen": "bool [N, C]: whether they reach the thresholds of the labels",
    }

    api = "classify", {"classes": "labels", "scores": "probabilities"}
    make_model = MultiLabelModel
    Options = MultiLabelOptions

    def __init__(self, loaded, batch_size=32, compute=None):
        super().__init__(loaded, batch_size, compute)
        options = loaded.options or MultiLabelOptions()
        self.thresholds = parse_thresholds(options.thresholds, len(loaded.labels))

    def probabilities(self, batch):
        return tf.sigmoid(self.logits(batch))

    def of_logits(self, logits):
        probabilities = tf.sigmoid(logits)
        labels = tf.repeat([tf.constant(self.loaded.labels)], tf.shape(probabilities)[0], axis=0)
        is_chosen = probabilities >= tf.constant(self.thresholds)
        return {"labels": labels, "probabilities": probabilities, "is_chosen": is_chosen}

    def tflite_outputs(self, batch: Batch) -> Batch:
        return {"probabilities": self.probabilities(batch)}

    @staticmethod
    def answer_of(example, outputs):
        labels = [label.decode("utf-8") for label in outputs["labels"]]
        chosen = (x for x, is_chosen in zip(labels, outputs["is_chosen"], strict=True) if is_chosen)
        probabilities = zip(labels, outputs["probabilities"].tolist(), strict=True)
        return LabelsAnswer(tuple(chosen), dict(probabilities))

    def difference(self, expected, actual):
        values = (list(answer.probabilities.values()) for answer in (expected, actual))
        # A probability at its threshold may go either way.
        by_label = dict(zip(self.loaded.labels, self.thresholds, strict=True))
        differing = set(expected.labels) ^ set(actual.labels)
        leads = [abs(expected.probabilities[x] - by_label[x]) for x in differing]
        return max([*leads, largest_difference(*values)])
