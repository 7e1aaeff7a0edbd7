"""Regression: predicts a number for a text or pair of texts."""

from typing import ClassVar

import tensorflow as tf

from bert_tf.kinds.text_model import TextModel
from bert_tf.model.task_heads import ClassificationModel


class Regressor(TextModel):
    outputs: ClassVar = {"value": "float32 [N]: the number"}
    api = "regress", {"outputs": "value"}

    @staticmethod
    def make_model(encoder, num_labels):
        return ClassificationModel(encoder, 1)

    def of_ids(self, batch):
        return {"value": tf.cast(self.compute(batch)["logits"][:, 0], tf.float32)}

    tflite_outputs = of_ids

    @staticmethod
    def answer_of(example, outputs):
        return float(outputs["value"])
