"""Choice: which of several choices fits a context.

    context, C choices --> [CLS] context [SEP] choice [SEP], C times --> BERT --> a score for each

Source: pytorch-pretrained-BERT, run_swag.py, and Hugging Face's `BertForMultipleChoice`.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import tensorflow as tf
from keras import ops

from bert_tf.kinds import inference
from bert_tf.kinds.graph import IDS, Batch, ServedGraph, function
from bert_tf.kinds.inference import largest_difference, softmax
from bert_tf.model.part import register
from bert_tf.model.task_heads import ClassificationModel
from bert_tf.text.graph_packing import pack_texts


@register
class ChoiceModel(ClassificationModel):
    """BERT with one logit for each of C choices.

    Args:
        encoder: see `bert_tf.BertEncoder`.
        dtype, name: see `bert_tf.model.heads.HeadModel`.

    Call it with the encoder's inputs, each int [B, C, L]: a row for each choice. It returns logits,
    float32 [B, C], of which a softmax cross entropy with the number of the right choice is the
    loss. The weights are `output_weights` [1, H] and `output_bias` [1], as a regression's.

    Example:

        model = bert_tf.ChoiceModel(bert_tf.BertEncoder(config))
        logits = model({"input_ids": np.ones((2, 4, 16), "int32")})  # [2, 4]
    """

    kind = "choice"

    def __init__(self, encoder, dtype=None, name: str = "choice_model"):
        super().__init__(encoder, 1, dtype, name)

    def call(self, inputs, training: bool = False):
        features = self.named_features(inputs)
        shape = ops.shape(features["input_ids"])  # [B, C, L]
        rows = {name: ops.reshape(ids, (-1, shape[2])) for name, ids in features.items()}
        return ops.reshape(super().call(rows, training=training), (-1, shape[1]))


@dataclasses.dataclass(frozen=True, slots=True)
class ChoiceAnswer:
    """The choice that fits best; the first of equally probable ones.

    choice: its text.
    index: its number, from 0.
    probabilities: those of all choices, fractions.
    """

    choice: str
    index: int
    probabilities: tuple[float, ...]


def make_model(encoder, num_labels: int) -> ChoiceModel:
    """Returns the model."""
    return ChoiceModel(encoder)


class Inference(inference.Inference):
    """Chooses in Python; examples may have different numbers of choices."""

    def step(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        rows = {name: value[:, tf.newaxis] for name, value in batch.items()}  # [B, 1, L]
        return super().step(rows)

    def predict(self, examples: Sequence[tuple[str, Sequence[str]]]) -> list[ChoiceAnswer]:
        pairs = [(context, choice) for context, choices in examples for choice in choices]
        logits = iter(self.logits(pairs)[:, 0])
        return [
            _answer(choices, softmax(np.array([next(logits) for _ in choices])))
            for _, choices in examples
        ]


class Graph(ServedGraph):
    """Chooses in a SavedModel; all contexts of a call have the same number of choices."""

    outputs: ClassVar = {
        "index": "int32 [N]: the number of the choice that fits best, from 0",
        "probabilities": "float32 [N, C]: the probabilities of all choices",
    }

    def of_texts(self, *texts: tf.Tensor) -> Batch:
        context, choices = texts
        shape = tf.shape(choices)  # [N, C]
        ids_a = self.ids_of(tf.repeat(context, shape[1]))
        ids_b = self.ids_of(tf.reshape(choices, [-1]))
        batch = pack_texts(ids_a, ids_b, self.cls, self.sep, self.max_seq_length)
        return self.of_ids(
            {
                name: tf.reshape(rows, [shape[0], shape[1], tf.shape(rows)[1]])
                for name, rows in batch.items()
            }
        )

    def of_ids(self, batch: Batch) -> Batch:
        probabilities = tf.nn.softmax(tf.cast(self.weights(batch)["logits"], tf.float32))
        index = tf.argmax(probabilities, axis=-1, output_type=tf.int32)
        return {"index": index, "probabilities": probabilities}

    def signatures(self):
        """From texts, tf.Examples with texts, and ids [N, C, L]."""
        examples = tf.TensorSpec([None], tf.string, "examples")
        ids = [tf.TensorSpec([None, None, None], tf.int32, name) for name in IDS]
        return {
            "serving_default": function(self.of_texts, self.text_specs()),
            "text_examples": function(self.of_text_examples, [examples]),
            "ids": function(lambda *rows: self.of_ids(dict(zip(IDS, rows, strict=True))), ids),
        }


def answer_of(example: tuple, outputs: Mapping[str, np.ndarray]) -> ChoiceAnswer:
    """Returns a SavedModel's outputs for one example as an answer."""
    _, choices = example
    return _answer(choices, outputs["probabilities"])


def difference(expected: ChoiceAnswer, actual: ChoiceAnswer) -> float:
    """Returns how far two answers are apart; of equally probable choices either is right."""
    lead = expected.probabilities[expected.index] - expected.probabilities[actual.index]
    return max(lead, largest_difference(expected.probabilities, actual.probabilities))


def _answer(choices: Sequence[str], probabilities: np.ndarray) -> ChoiceAnswer:
    index = int(np.argmax(probabilities))
    return ChoiceAnswer(choices[index], index, tuple(probabilities.tolist()))
