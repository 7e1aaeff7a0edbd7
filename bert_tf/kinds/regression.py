"""Regression: predicts a number for a text or pair of texts."""

from typing import ClassVar

from bert_tf.kinds.long_texts import LongTextModel
from bert_tf.model.task_heads import ClassificationModel


class Regressor(LongTextModel):
    outputs: ClassVar = {"value": "float32 [N]: the number"}
    api = "regress", {"outputs": "value"}

    @staticmethod
    def make_model(encoder, num_labels):
        return ClassificationModel(encoder, 1)

    def of_logits(self, logits):
        return {"value": logits[:, 0]}

    def tflite_outputs(self, batch):
        return self.of_ids(batch)

    @staticmethod
    def answer_of(example, outputs):
        return float(outputs["value"])
