"""What a pre-training objective consists of: a model, loss terms, metrics, and what it reads."""

import dataclasses
from collections.abc import Callable

import keras
import tensorflow as tf
from keras import ops

from bert_tf.model.encoder import TransformerEncoder
from bert_tf.model.feature_model import named_outputs
from bert_tf.training.trainer import Batch

# Metric -> (sum, weight): its value is the one divided by the other.
Totals = dict[str, tuple[tf.Tensor, tf.Tensor]]
_EXAMPLES = "num_examples"


@dataclasses.dataclass(frozen=True)
class Prediction:
    """Something that a model predicts, which gives a loss term and two metrics.

    name: of the metrics `NAME_loss` and `NAME_accuracy`, and of the output `NAME_logits` of a model
        with several outputs, float32 [..., C].
    labels: batch -> int [...].
    weights: batch -> float32 [...], 0 for labels that do not count.
    epsilon: added to the sum of the weights before the loss is divided by it.
    """

    name: str
    labels: Callable[[Batch], tf.Tensor]
    weights: Callable[[Batch], tf.Tensor]
    epsilon: float = 0.0

    @property
    def loss_name(self) -> str:
        """The loss term's name."""
        return f"{self.name}_loss"

    def logits(self, outputs) -> tf.Tensor:
        """Returns the logits among a model's outputs."""
        outputs = named_outputs(outputs)
        return outputs.get(f"{self.name}_logits", outputs.get("logits"))

    def loss(self, batch: Batch, outputs) -> tf.Tensor:
        """Returns the sum of the weighted cross-entropies, a float32 scalar."""
        losses = ops.sparse_categorical_crossentropy(
            self.labels(batch), self.logits(outputs), from_logits=True
        )
        return tf.reduce_sum(losses * self.weights(batch))

    def num_correct(self, batch: Batch, outputs) -> tf.Tensor:
        """Returns the weighted number of labels with the highest logit, a float32 scalar."""
        best = tf.argmax(self.logits(outputs), -1, tf.int32)
        is_correct = tf.cast(best == tf.cast(self.labels(batch), tf.int32), tf.float32)
        return tf.reduce_sum(is_correct * self.weights(batch))


@dataclasses.dataclass(frozen=True)
class PretrainingObjective:
    """What pre-training minimizes and reports; see `training.trainer.Objective`.

    make_model: encoder -> a model that makes the predictions.
    predictions: whose losses are added up.
    needs_next_sentence: whether records must have `next_sentence_labels`.
    masks_tokens: whether the model reads masked tokens. If not, records made for dynamic masking
        are read as they are.
    is_causal: whether a token sees only itself and the tokens before it.
    prepare: what is done to each batch of records first; None for nothing.
    """

    make_model: Callable[[TransformerEncoder], keras.Model]
    predictions: tuple[Prediction, ...]
    needs_next_sentence: bool = False
    masks_tokens: bool = True
    is_causal: bool = False
    prepare: Callable[[Batch], Batch] | None = None

    @property
    def epsilons(self) -> dict[str, float]:
        """What is added to the weight of each loss term."""
        return {p.loss_name: p.epsilon for p in self.predictions}

    def weights(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Returns the number of labels of each loss term."""
        return {p.loss_name: tf.reduce_sum(p.weights(batch)) for p in self.predictions}

    def sums(self, batch: Batch, outputs) -> dict[str, tf.Tensor]:
        """Returns each loss term, summed over its labels."""
        return {p.loss_name: p.loss(batch, outputs) for p in self.predictions}

    def counts(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Returns the number of tokens that are not padding."""
        return {"tokens": tf.cast(tf.reduce_sum(batch["input_mask"]), tf.float32)}

    def evaluation_sums(self, batch: Batch, outputs) -> Totals:
        """Returns what the metrics of a batch are computed from: sums over its rows."""
        num_examples = tf.reduce_sum(example_weights(batch))
        totals = {_EXAMPLES: (num_examples, num_examples)}
        weights, sums = self.weights(batch), self.sums(batch, outputs)
        for prediction in self.predictions:
            weight = weights[prediction.loss_name]
            num_correct = prediction.num_correct(batch, outputs)
            totals[f"{prediction.name}_accuracy"] = (num_correct, weight)
            totals[prediction.loss_name] = (sums[prediction.loss_name], weight)
        return totals

    def evaluation_metrics(self, totals: Totals) -> Totals:
        """Returns the metrics of a batch, each as (sum, weight), from its `evaluation_sums`.

        `loss` is the batch's total loss with its number of examples as weight, so that over full
        batches its mean is the plain mean of their losses, as in the original. The others are means
        over labels.
        """
        num_examples = totals[_EXAMPLES][0]
        parts = [(totals[name], epsilon) for name, epsilon in self.epsilons.items()]
        loss = sum(value / (weight + epsilon) for (value, weight), epsilon in parts)
        rest = {name: total for name, total in totals.items() if name != _EXAMPLES}
        return {"loss": (loss * num_examples, num_examples), **rest}


def example_weights(batch: Batch) -> tf.Tensor:
    """Returns float32 [B]: 0 for the rows that only fill up the last batch of an evaluation."""
    rows = tf.ones([tf.shape(batch["input_ids"])[0]], tf.float32)
    return batch.get("is_real_example", rows)
