"""Computes the loss of a task, for training and evaluation."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from bert_tf.tasks.task import Task
from bert_tf.training.prediction import IS_REAL
from bert_tf.training.trainer import Batch


class TaskObjective:
    """Minimizes the weighted mean of a task's losses over the whole batch, or their sum.

    The losses are per window, token or span; see `Task.loss_weights`. Adam's steps are the same for
    both, but gradients of the sum are clipped more often.
    """

    def __init__(self, task: Task, reduction: str = "mean"):
        self._is_sum = reduction == "sum"
        self.epsilons: dict[str, float] = {}
        self.measured = ("accuracy",) if getattr(task, "measures_accuracy", False) else ()
        self._task = task

    def weights(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Returns the sum of the weights, the same for the accuracy."""
        total = tf.reduce_sum(_weights(self._task, batch))
        weights = dict.fromkeys(("loss", *self.measured), total)
        if self._is_sum:  # The weights of all replicas add up to 1.
            replicas = tf.distribute.get_replica_context().num_replicas_in_sync
            weights["loss"] = tf.constant(1.0 / replicas)
        return weights

    def sums(self, batch: Batch, outputs: Any) -> dict[str, tf.Tensor]:
        """Returns the weighted sums of the losses and of what is answered correctly."""
        values = {"loss": self._task.loss(batch, outputs)}
        values |= {name: self._task.hits(batch, outputs) for name in self.measured}
        weights = _weights(self._task, batch)
        return {name: tf.reduce_sum(each * weights) for name, each in values.items()}


def window_losses(task: Task, batch: Batch, outputs: Any) -> Mapping[str, tf.Tensor]:
    """Returns each window's weighted sum of losses, `loss`, and its `loss_weight`, float32 [B]."""
    weights = _weights(task, batch)
    sums = {"loss": task.loss(batch, outputs) * weights, "loss_weight": weights}
    axes = list(range(1, weights.shape.rank))
    return {name: tf.reduce_sum(values, axis=axes) for name, values in sums.items()}


def _weights(task: Task, batch: Batch) -> tf.Tensor:
    """Returns the weights of the losses; 0 in rows that only fill the batch."""
    weights = task.loss_weights(batch)
    return weights * tf.reshape(batch[IS_REAL], [-1] + [1] * (weights.shape.rank - 1))
