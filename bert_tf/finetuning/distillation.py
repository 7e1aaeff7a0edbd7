"""Computes the loss of a student in fine-tuning: from its teacher's answers and from the labels.

    loss = (1 - s) * loss of the labels + s * soft loss + h * hidden loss + a * attention loss

    s    soft_loss_weight; 1 for unlabelled examples
    h    hidden_loss_weight
    a    attention_loss_weight

The soft loss has the weights of the task's own loss: per example, word or span. It depends on the
kind of the task:

    classification, choice, tagging, span    T² * cross entropy with the teacher's probabilities
    multi_label                              T² * mean binary cross entropy of the labels
    regression                               squared difference of the numbers; T has no effect

The hidden loss is the mean squared difference of the outputs of the layers that
`bert_tf.distillation.layers` pairs, over all tokens that are not padding. The attention loss is
that of the same layers' attention scores, before the softmax, over all heads and pairs of such
tokens.

Source: Hinton et al. 2015; for unlabelled examples at T = 1, Turc et al. 2019, section 3; for the
hidden and attention losses, Jiao et al. 2020 (TinyBERT), without its projection: the widths, or the
numbers of heads, must be the same.
"""

from typing import Any

import tensorflow as tf

from bert_tf.distillation.layers import ObservedLayers, layers_to_learn_from
from bert_tf.distillation.losses import (
    mean_squared_difference,
    soft_binary_cross_entropy,
    soft_cross_entropy,
)
from bert_tf.finetuning.objective import TaskObjective
from bert_tf.finetuning.teacher import PREFIX, TaskTeacher
from bert_tf.model.feature_model import named_outputs
from bert_tf.model.heads import HeadModel
from bert_tf.settings import FinetuningSettings
from bert_tf.tasks.task import Task
from bert_tf.training.prediction import IS_REAL
from bert_tf.training.trainer import Batch

KINDS = ("classification", "regression", "multi_label", "choice", "tagging", "span")
_LAYER_LOSSES = ("hidden_loss", "attention_loss")
# What the losses of layers compare, and the size that must be equal.
_COMPARED = {
    "hidden_loss_weight": ("hidden states", "hidden_size"),
    "attention_loss_weight": ("attention scores", "num_attention_heads"),
}
_MASKED_LOGIT = -1e9  # Of the padding of a span's window; its probability is 0.


class DistillationObjective:
    """Minimizes the losses of a student; see `training.trainer.Objective`.

    In each step the teacher runs, or its outputs are in the batch, see `TaskTeacher.add_outputs`.
    """

    def __init__(self, task: Task, teacher: TaskTeacher, settings: FinetuningSettings):
        self.epsilons: dict[str, float] = {}
        self._task = task
        self._teacher = teacher
        self._temperature = settings.temperature
        has_labels = not settings.unlabelled_file
        share = settings.soft_loss_weight if has_labels else 1.0
        self._factors = {
            "label_loss": 1.0 - share,
            "soft_loss": share,
            "hidden_loss": settings.hidden_loss_weight,
            "attention_loss": settings.attention_loss_weight,
        }
        self._labelled = TaskObjective(task) if has_labels else None
        self.measured = self._labelled.measured if has_labels else ()

    @property
    def needs_layers(self) -> bool:
        """Whether the model's outputs must be those of a `LayerwiseModel`."""
        return self._factors["hidden_loss"] > 0 or self._factors["attention_loss"] > 0

    def weights(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Returns the sum of the weights of each term."""
        weights = {
            "soft_loss": tf.reduce_sum(_soft_weights(self._task, batch)),
            **dict.fromkeys(_LAYER_LOSSES, tf.reduce_sum(_real_tokens(batch))),
        }
        if self._labelled:
            own = self._labelled.weights(batch)
            weights |= {"label_loss": own.pop("loss"), **own}
        return self._kept(weights)

    def sums(self, batch: Batch, outputs: Any) -> dict[str, tf.Tensor]:
        """Returns the weighted sum of each term, times its factor, and the correct answers."""
        outputs, layers = outputs if self.needs_layers else (outputs, None)
        theirs, their_layers = self._of_teacher(batch)
        losses = self._soft_losses(batch, theirs, named_outputs(outputs))
        sums = {"soft_loss": tf.reduce_sum(losses * _soft_weights(self._task, batch))}
        if self.needs_layers:
            needed = (name for name in _LAYER_LOSSES if self._factors[name])
            sums |= {name: _layer_sum(name, batch, their_layers, layers) for name in needed}
        if self._labelled:
            own = self._labelled.sums(batch, outputs)
            sums |= {"label_loss": own.pop("loss"), **own}
        return {n: self._factors.get(n, 1.0) * each for n, each in self._kept(sums).items()}

    def _kept(self, terms: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {name: each for name, each in terms.items() if self._factors.get(name, 1.0)}

    def _of_teacher(self, batch: Batch) -> tuple[dict[str, tf.Tensor], ObservedLayers | None]:
        if self.needs_layers:
            return self._teacher.outputs_and_layers(batch)
        there = {n.removeprefix(PREFIX): x for n, x in batch.items() if n.startswith(PREFIX)}
        return there or self._teacher.outputs(batch), None

    def _soft_losses(self, batch: Batch, theirs: dict, ours: dict) -> tf.Tensor:
        """Returns the soft losses, float32 [B] or [B, L]: the mean over the outputs."""
        kind, losses = self._task.kind, []
        for name, student in ours.items():
            teacher, student = theirs[name], tf.cast(student, tf.float32)
            if kind in ("tagging", "span"):
                teacher = teacher[:, : tf.shape(student)[1]]  # Batches differ in length.
            if kind == "span" and not self._task.padding_matters:
                is_token = batch["input_mask"] > 0
                teacher = tf.where(is_token, teacher, _MASKED_LOGIT)
                student = tf.where(is_token, student, _MASKED_LOGIT)
            losses.append(self._soft_loss(kind, teacher, student))
        return tf.add_n(losses) / len(losses)

    def _soft_loss(self, kind: str, teacher: tf.Tensor, student: tf.Tensor) -> tf.Tensor:
        if kind == "regression":
            return mean_squared_difference(teacher, student)
        if kind == "multi_label":
            return soft_binary_cross_entropy(teacher, student, self._temperature)
        return soft_cross_entropy(teacher, student, self._temperature)


def check_student(
    task: Task, student: HeadModel, teacher: HeadModel, settings: FinetuningSettings
) -> None:
    """Raises a ValueError for a task or model that cannot be distilled so."""
    if task.kind not in KINDS or getattr(task.options, "crf", False):
        raise ValueError(
            f"--teacher is for tasks of the kinds {', '.join(KINDS)}, without a CRF. Received: "
            f"{task.name}, {task.kind}{' with a CRF' if task.kind in KINDS else ''}"
        )
    for name, (what, field) in _COMPARED.items():
        if not getattr(settings, name):
            continue
        layers_to_learn_from(student.encoder.num_layers, teacher.encoder.num_layers)
        sizes = [getattr(model.encoder.config, field) for model in (student, teacher)]
        if sizes[0] != sizes[1]:
            raise ValueError(
                f"--{name} compares the {what} of student and teacher, whose {field} is "
                f"{sizes[0]} and {sizes[1]}: there is no projection between them. Use a student "
                f"with the teacher's {field}, or --{name}=0."
            )


def _soft_weights(task: Task, batch: Batch) -> tf.Tensor:
    """Returns the weights of the soft losses, float32 [B] or [B, L]; they need no labels."""
    if "word_starts" in batch:
        weights = tf.cast(batch["word_starts"] > 0, tf.float32)
    else:
        weights = task.loss_weights(batch)
    return weights * tf.reshape(batch[IS_REAL], [-1] + [1] * (weights.shape.rank - 1))


def _real_tokens(batch: Batch) -> tf.Tensor:
    """Returns 1 for tokens that are not padding, float32, of the shape of `input_mask`."""
    mask = tf.cast(batch["input_mask"], tf.float32)
    return mask * tf.reshape(batch[IS_REAL], [-1] + [1] * (mask.shape.rank - 1))


def _layer_sum(name: str, batch: Batch, theirs: ObservedLayers, ours: ObservedLayers) -> tf.Tensor:
    """Returns the sum over tokens of the mean over pairs of layers."""
    pairs = layers_to_learn_from(len(ours.hidden), len(theirs.hidden))
    real = tf.reshape(_real_tokens(batch), tf.shape(ours.hidden[0])[:2])  # Choices as rows.
    if name == "hidden_loss":
        losses = [_distance(theirs.hidden[n], x) for x, n in zip(ours.hidden, pairs, strict=True)]
    else:
        num_keys = tf.maximum(tf.reduce_sum(real, axis=-1), 1.0)[:, tf.newaxis]
        losses = []
        for own, number in zip(ours.scores, pairs, strict=True):
            heads = tf.math.squared_difference(tf.stop_gradient(theirs.scores[number]), own)
            of_pairs = tf.reduce_mean(heads, axis=1) * real[:, tf.newaxis]  # [B, L, L]
            losses.append(tf.reduce_sum(of_pairs, axis=-1) / num_keys)
    return tf.reduce_sum(tf.add_n(losses) / len(losses) * real)


def _distance(theirs: tf.Tensor, own: tf.Tensor) -> tf.Tensor:
    return mean_squared_difference(tf.cast(theirs, tf.float32), tf.cast(own, tf.float32))
