"""Defines a pre-training objective: a model, loss terms, metrics, and what it reads."""

import dataclasses
from collections.abc import Callable, Mapping

import keras
import tensorflow as tf

from bert_tf.data.record_set import RecordUse
from bert_tf.model import fused
from bert_tf.model.encoder import TransformerEncoder
from bert_tf.model.feature_model import named_outputs
from bert_tf.training.trainer import Batch

Totals = dict[str, tuple[tf.Tensor, tf.Tensor]]  # Metric -> (sum, weight); it is sum / weight.


@dataclasses.dataclass(frozen=True)
class Prediction:
    """Defines a loss term, with the metrics NAME_loss and NAME_accuracy.

    Its logits, float32 [..., C], are the model's only output or its output `output`.
    """

    name: str
    labels: Callable[[Batch], tf.Tensor]  # -> int [...]
    weights: Callable[[Batch], tf.Tensor]  # -> float32 [...], 0 for labels that do not count.
    epsilon: float = 0.0  # Added to the sum of the weights before the loss is divided by it.
    is_binary: bool = False  # Whether labels are 0 and 1; then NAME_positives is their mean.
    output: str = ""  # Of the model; by default NAME_logits.

    @property
    def loss_name(self) -> str:
        """The name of the loss term."""
        return f"{self.name}_loss"

    def logits(self, outputs) -> tf.Tensor:
        """Returns the logits among a model's outputs."""
        outputs = named_outputs(outputs)
        return outputs.get(self.output or f"{self.name}_logits", outputs.get("logits"))

    def loss(self, batch: Batch, outputs) -> tf.Tensor:
        """Returns the sum of the weighted cross-entropies, a float32 scalar."""
        labels, logits = self.labels(batch), self.logits(outputs)
        usual = tf.nn.sparse_softmax_cross_entropy_with_logits
        compute = fused.crossentropy if fused.is_supported(logits) else usual
        return tf.reduce_sum(compute(labels, logits) * self.weights(batch))

    def num_correct(self, batch: Batch, outputs) -> tf.Tensor:
        """Returns the weighted number of labels with the highest logit, a float32 scalar."""
        best = tf.argmax(self.logits(outputs), -1, tf.int32)
        is_correct = tf.cast(best == tf.cast(self.labels(batch), tf.int32), tf.float32)
        return tf.reduce_sum(is_correct * self.weights(batch))

    def num_positive(self, batch: Batch) -> tf.Tensor:
        """Returns the weighted number of labels that are 1, a float32 scalar."""
        return tf.reduce_sum(tf.cast(self.labels(batch), tf.float32) * self.weights(batch))


@dataclasses.dataclass(frozen=True)
class PretrainingObjective(RecordUse):
    """Defines what pre-training reads, minimizes and reports; see `training.trainer.Objective`."""

    make_model: Callable[[TransformerEncoder], keras.Model]
    predictions: tuple[Prediction, ...]  # Their losses are added up.
    is_causal: bool = False  # Whether a token sees only itself and the tokens before it.
    measured: tuple[str, ...] = ()  # See `training.trainer.Objective`.
    # Of the loss terms; 1 by default.
    factors: Mapping[str, float] = dataclasses.field(default_factory=dict, hash=False)

    @property
    def epsilons(self) -> dict[str, float]:
        """The number that is added to the weight of each loss term."""
        return {p.loss_name: p.epsilon for p in self.predictions}

    def weights(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Returns the number of labels of each loss term."""
        return {p.loss_name: tf.reduce_sum(p.weights(batch)) for p in self.predictions}

    def plain_sums(self, batch: Batch, outputs) -> dict[str, tf.Tensor]:
        """Returns each loss term, summed over its labels, without its factor."""
        return {p.loss_name: p.loss(batch, outputs) for p in self.predictions}

    def sums(self, batch: Batch, outputs) -> dict[str, tf.Tensor]:
        """Returns each loss term, times its factor, summed over its labels."""
        return {n: self.factors.get(n, 1.0) * x for n, x in self.plain_sums(batch, outputs).items()}

    def metrics(self, batch: Batch, outputs, all_reduce: Callable) -> Totals:
        """Returns the metrics of an evaluation batch, each as (sum, weight) over all replicas.

        The weight of `loss` is the number of examples, so that its mean over full batches is the
        mean of their losses, as in the original. The other weights are numbers of labels.
        """
        counts = {}
        for each in self.predictions:
            num_labels = tf.reduce_sum(each.weights(batch))
            counts[f"{each.name}_accuracy"] = each.num_correct(batch, outputs), num_labels
            if each.is_binary:
                counts[f"{each.name}_positives"] = each.num_positive(batch), num_labels
        num_examples = tf.reduce_sum(example_weights(batch))
        sums, weights, counts, num_examples = all_reduce(
            (self.plain_sums(batch, outputs), self.weights(batch), counts, num_examples)
        )
        means = {n: sums[n] / (weights[n] + epsilon) for n, epsilon in self.epsilons.items()}
        loss = sum(self.factors.get(name, 1.0) * mean for name, mean in means.items())
        terms = {name: (sums[name], weights[name]) for name in sums}
        return {"loss": (loss * num_examples, num_examples), **counts, **terms}


def example_weights(batch: Batch) -> tf.Tensor:
    """Returns float32 [B]: 0 for rows that pad the last batch of an evaluation, else 1."""
    rows = tf.ones([tf.shape(batch["input_ids"])[0]], tf.float32)
    return batch.get("is_real_example", rows)
