"""Choice: selects which of several choices fits a context.

    context, C choices --> [CLS] context [SEP] choice [SEP], C times --> BERT --> C logits

Source: pytorch-pretrained-BERT, run_swag.py, and Hugging Face's `BertForMultipleChoice`.
"""

import dataclasses
from typing import ClassVar

import numpy as np
import tensorflow as tf

from bert_tf.kinds.length_runner import length_runner
from bert_tf.kinds.text_model import TextModel, largest_difference
from bert_tf.model.task_heads import ChoiceModel


@dataclasses.dataclass(frozen=True, slots=True)
class ChoiceAnswer:
    """The best choice."""

    choice: str  # On a tie, the first.
    index: int
    probabilities: tuple[float, ...]  # Of all choices.


class Chooser(TextModel):
    """Chooses. The number of choices may vary between examples, but not in a SavedModel's call."""

    outputs: ClassVar = {
        "index": "int32 [N]: the index of the choice that fits best, from 0",
        "probabilities": "float32 [N, C]: the probabilities of all choices",
    }

    def __init__(self, loaded, batch_size=32, compute=None):
        super().__init__(loaded, batch_size, compute)
        self.run = length_runner(self._logits_of_choices, batch_size, loaded.max_seq_length)

    @staticmethod
    def make_model(encoder, num_labels):
        return ChoiceModel(encoder)

    def _logits_of_choices(self, batch):
        return self.compute({name: ids[:, tf.newaxis] for name, ids in batch.items()})  # [B, 1]

    def predict(self, examples):
        pairs = [(context, choice) for context, choices in examples for choice in choices]
        outputs = iter(self.run(self.rows(pairs)))
        answers = []
        for example in examples:
            logits = np.array([next(outputs)["logits"][0] for _ in example[1]])
            probabilities = tf.nn.softmax(logits).numpy()
            answers.append(self.answer_of(example, {"probabilities": probabilities}))
        return answers

    def of_texts(self, tokenizer, *texts):
        context, choices = texts
        shape = tf.shape(choices)  # [N, C]
        has_choices = (shape[1] > 0) | (shape[0] == 0)
        tf.debugging.Assert(has_choices, ["choices must hold at least one text. Received:", shape])
        repeated = tf.repeat(context, shape[1]), tf.reshape(choices, [-1])
        rows = self.packed(*map(tokenizer.tokenize, repeated))
        # -1 would be ambiguous for N = 0.
        shape = tf.concat([shape, tf.shape(rows["input_ids"])[1:]], axis=0)
        return self.of_ids({name: tf.reshape(ids, shape) for name, ids in rows.items()})

    def of_ids(self, batch):
        probabilities = self.probabilities(batch)
        # An empty batch may have no choices.
        padded = tf.pad(probabilities, [[0, 0], [0, 1]], constant_values=-1.0)
        index = tf.argmax(padded, axis=-1, output_type=tf.int32)
        return {"index": index, "probabilities": probabilities}

    @staticmethod
    def answer_of(example, outputs):
        index = int(np.argmax(outputs["probabilities"]))
        return ChoiceAnswer(example[1][index], index, tuple(outputs["probabilities"].tolist()))

    @staticmethod
    def difference(expected, actual):
        # A tie may go either way.
        lead = expected.probabilities[expected.index] - expected.probabilities[actual.index]
        return max(lead, largest_difference(expected.probabilities, actual.probabilities))
