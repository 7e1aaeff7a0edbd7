"""The original's Adam and learning-rate schedule as a Keras optimizer, for `compile` and `fit`."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from bert_tf.training.optimizer import clip_by_global_norm, has_weight_decay
from bert_tf.training.schedule import SCHEDULES

_register = keras.saving.register_keras_serializable(package="bert_tf")


def create_optimizer(
    learning_rate: float,
    num_train_steps: int,
    num_warmup_steps: int = 0,
    weight_decay_rate: float = 0.01,
    clip_norm: float = 1.0,
    bias_correction: bool = False,
    learning_rate_schedule: str = "original",
) -> "BertAdam":
    """Returns the optimizer that BERT was trained with.

    It computes what `run_pretraining.py` and `run_classifier.py` compute, on any number of devices.

    Args:
        learning_rate: the peak.
        num_train_steps: steps until the rate is 0.
        num_warmup_steps: steps over which the rate rises; the original's programs use a tenth.
        weight_decay_rate: decoupled, and not applied to LayerNorm and biases.
        clip_norm: the largest global norm of the gradients, after they are summed over devices.
        bias_correction: see `BertAdam`.
        learning_rate_schedule: `original`, whose rate jumps down at the end of the warm-up, or
            `continuous`.

    Example:

        optimizer = bert_tf.create_optimizer(5e-5, num_train_steps=343, num_warmup_steps=34)
        model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    Source: google-research/bert, optimization.py, `create_optimizer`.
    """
    schedule = WarmupAndDecay(
        learning_rate, num_train_steps, num_warmup_steps, learning_rate_schedule
    )
    return BertAdam(schedule, weight_decay_rate, clip_norm, bias_correction)


@_register
class WarmupAndDecay(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises over the first steps, then falls linearly to 0.

    Args:
        learning_rate: the peak.
        num_train_steps, num_warmup_steps: see `create_optimizer`.
        shape: `original` or `continuous`, see `training/schedule.py`.
    """

    def __init__(
        self,
        learning_rate: float,
        num_train_steps: int,
        num_warmup_steps: int = 0,
        shape: str = "original",
    ):
        if shape not in SCHEDULES:
            raise ValueError(
                f"A learning-rate schedule is one of {', '.join(SCHEDULES)}. Received: {shape!r}"
            )
        if not 0 <= num_warmup_steps <= num_train_steps or num_train_steps < 1:
            raise ValueError(
                "num_train_steps must be at least 1, and num_warmup_steps from 0 to that. "
                f"Received: {num_train_steps} and {num_warmup_steps}"
            )
        self.values = {
            "learning_rate": learning_rate,
            "num_train_steps": num_train_steps,
            "num_warmup_steps": num_warmup_steps,
            "shape": shape,
        }
        self._rate = SCHEDULES[shape](learning_rate, num_warmup_steps, num_train_steps, 1.0)

    def __call__(self, step) -> tf.Tensor:
        return self._rate(tf.convert_to_tensor(step))

    def get_config(self) -> dict:
        return dict(self.values)


@_register
class BertAdam(keras.optimizers.Optimizer):
    """Adam with decoupled weight decay and global-norm clipping, as BERT was trained.

    m = β1·m + (1-β1)·g;  v = β2·v + (1-β2)·g²;  w -= rate·(m / (√v + ε) + decay·w)

    Args:
        learning_rate: a number, or a schedule.
        weight_decay_rate: not applied to LayerNorm and biases.
        clip_norm: the largest global norm of the gradients; they are summed over all devices first.
        bias_correction: whether to divide m and v by 1-β1^t and 1-β2^t, as Adam's paper does. The
            original does not, which makes the first updates about three times as large.
        beta_1, beta_2, epsilon: of Adam.

    Source: google-research/bert, optimization.py, `AdamWeightDecayOptimizer`.
    """

    def __init__(
        self,
        learning_rate=5e-5,
        weight_decay_rate: float = 0.01,
        clip_norm: float = 1.0,
        bias_correction: bool = False,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-6,
        name: str = "bert_adam",
    ):
        super().__init__(learning_rate, name=name)
        self.weight_decay_rate = weight_decay_rate
        self.clip_norm = clip_norm
        self.bias_correction = bias_correction
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Makes the moments of these weights."""
        if self.built:
            return
        super().build(variables)
        self.m = [self.add_variable_from_reference(v, "adam_m") for v in variables]
        self.v = [self.add_variable_from_reference(v, "adam_v") for v in variables]
        self._decays = [has_weight_decay(variable.path) for variable in variables]

    def apply(self, grads, trainable_variables=None):
        """Clips the gradients' sum over all devices, and updates the weights.

        A gradient is None if the loss does not depend on the weight, which then stays as it is.
        """
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
        """Updates one weight and its moments."""
        index = self._get_variable_index(variable)
        m = self.beta_1 * self.m[index] + (1.0 - self.beta_1) * gradient
        v = self.beta_2 * self.v[index] + (1.0 - self.beta_2) * tf.square(gradient)
        scale_m = scale_v = 1.0
        if self.bias_correction:
            times = tf.cast(self.iterations + 1, tf.float32)
            scale_m = 1.0 / (1.0 - self.beta_1**times)
            scale_v = 1.0 / (1.0 - self.beta_2**times)
        update = (m * scale_m) / (tf.sqrt(v * scale_v) + self.epsilon)
        if self._decays[index]:
            update += self.weight_decay_rate * variable
        self.assign(self.m[index], m)
        self.assign(self.v[index], v)
        self.assign_sub(variable, tf.cast(learning_rate, tf.float32) * update)

    def get_config(self) -> dict:
        rate = self._learning_rate
        if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
            rate = keras.optimizers.schedules.serialize(rate)
        else:
            rate = float(rate)
        return {
            "name": self.name,
            "learning_rate": rate,
            "weight_decay_rate": self.weight_decay_rate,
            "clip_norm": self.clip_norm,
            "bias_correction": self.bias_correction,
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }

    @classmethod
    def from_config(cls, config: dict, custom_objects=None) -> "BertAdam":
        config = dict(config)
        if isinstance(config["learning_rate"], dict):
            config["learning_rate"] = keras.saving.deserialize_keras_object(config["learning_rate"])
        return cls(**config)
