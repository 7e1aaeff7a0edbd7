"""Offers the original's Adam and schedule as a Keras optimizer, for `compile` and `fit`."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from bert_tf.training.optimizer import adam_update, clip_scale, has_weight_decay
from bert_tf.training.schedule import WarmupAndDecay


def clip_by_global_norm(
    gradients: Sequence[tf.Tensor], limit: float
) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Returns gradients scaled down to a global norm of at most `limit`, and their old norm."""
    scale, norm = clip_scale(gradients, limit)
    return [gradient * scale for gradient in gradients], norm


def create_optimizer(
    learning_rate: float,
    num_train_steps: int,
    num_warmup_steps: int = 0,
    weight_decay_rate: float = 0.01,
    clip_norm: float = 1.0,
    bias_correction: bool = False,
    learning_rate_schedule: str = "original",
) -> "BertAdam":
    """Returns the optimizer that BERT was trained with, as `run_pretraining.py` computes it.

    For the arguments see `WarmupAndDecay`, whose `shape` is `learning_rate_schedule`, and
    `BertAdam`. The original's programs warm up for a tenth of the steps.

    Example:

        optimizer = bert_tf.create_optimizer(5e-5, num_train_steps=343, num_warmup_steps=34)
        model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    Source: google-research/bert, optimization.py, `create_optimizer`.
    """
    schedule = WarmupAndDecay(
        learning_rate, num_train_steps, num_warmup_steps, learning_rate_schedule
    )
    return BertAdam(schedule, weight_decay_rate, clip_norm, bias_correction)


@keras.saving.register_keras_serializable(package="bert_tf")
class BertAdam(keras.optimizers.Optimizer):
    """Adam with decoupled weight decay and global-norm clipping: see `AdamWeightDecay`.

    Args:
        learning_rate: a number, or a schedule.
        weight_decay_rate: not applied to LayerNorm and biases.
        clip_norm: the largest global norm of the gradients, summed over devices.
        bias_correction: see `AdamWeightDecay`.
    """

    def __init__(
        self,
        learning_rate=5e-5,
        weight_decay_rate: float = 0.01,
        clip_norm: float = 1.0,
        bias_correction: bool = False,
        name: str = "bert_adam",
    ):
        super().__init__(learning_rate, name=name)
        self.weight_decay_rate = weight_decay_rate
        self.clip_norm = clip_norm
        self.bias_correction = bias_correction

    def build(self, variables: Sequence[keras.Variable]) -> None:
        if self.built:
            return
        super().build(variables)
        self.m = [self.add_variable_from_reference(v, "adam_m") for v in variables]
        self.v = [self.add_variable_from_reference(v, "adam_v") for v in variables]
        self._decays = [has_weight_decay(variable.path) for variable in variables]

    def apply(self, grads, trainable_variables=None):
        """Clips the gradients' sum over all devices; updates the weights that have a gradient."""
        context = tf.distribute.get_replica_context()
        num_replicas = context.num_replicas_in_sync if context is not None else 1
        grads = list(grads)
        present = [number for number, gradient in enumerate(grads) if gradient is not None]
        if present:
            summed = [tf.convert_to_tensor(grads[number]) for number in present]
            if num_replicas > 1:
                summed = context.all_reduce(tf.distribute.ReduceOp.SUM, summed)
            clipped, _ = clip_by_global_norm(summed, self.clip_norm)
            for number, gradient in zip(present, clipped, strict=True):
                grads[number] = gradient / num_replicas  # Keras adds up what each replica gives it.
        return super().apply(grads, trainable_variables)

    def update_step(self, gradient, variable, learning_rate) -> None:
        index = self._get_variable_index(variable)
        times = self.iterations + 1 if self.bias_correction else None
        m, v, update = adam_update(gradient, self.m[index], self.v[index], times)
        if self._decays[index]:
            update += self.weight_decay_rate * variable
        self.assign(self.m[index], m)
        self.assign(self.v[index], v)
        self.assign_sub(variable, tf.cast(learning_rate, tf.float32) * update)

    def get_config(self) -> dict:
        learning_rate = super().get_config()["learning_rate"]
        names = ("weight_decay_rate", "clip_norm", "bias_correction", "name")
        return {"learning_rate": learning_rate, **{name: getattr(self, name) for name in names}}
