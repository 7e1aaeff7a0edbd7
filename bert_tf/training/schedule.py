"""Computes the learning rate of each step."""

import dataclasses
from collections.abc import Callable

import keras
import tensorflow as tf

from bert_tf.settings import TrainingSettings

Schedule = Callable[[tf.Tensor], tf.Tensor]  # Step, int -> learning rate, float32 scalar.
_SHAPES = ("original", "continuous", "product")


@keras.saving.register_keras_serializable(package="bert_tf")
@dataclasses.dataclass(frozen=True)
class WarmupAndDecay(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises linearly over the first steps, then falls to 0.

    Source: google-research/bert, optimization.py, `create_optimizer`.
    """

    learning_rate: float  # The peak.
    num_train_steps: int  # Steps until the rate is 0.
    num_warmup_steps: float = 0  # Steps over which the rate rises from 0; whole but in `product`.
    # original: the decay is counted from step 0, so that after the warm-up the rate jumps from the
    # peak down to `peak * (1 - num_warmup_steps / num_train_steps)`.
    # continuous: the decay starts where the warm-up ends.
    # product: the decay is counted from step 0 and multiplied by the warm-up, as in ELECTRA.
    shape: str = "original"
    power: float = 1.0  # The rate decays with this power of the fraction of steps left.

    def __post_init__(self) -> None:
        if self.shape not in _SHAPES:
            raise ValueError(
                f"A learning-rate schedule is one of {', '.join(_SHAPES)}. Received: {self.shape!r}"
            )
        if not 0 <= self.num_warmup_steps <= self.num_train_steps or self.num_train_steps < 1:
            raise ValueError(
                "num_train_steps must be at least 1, and num_warmup_steps from 0 to that. "
                f"Received: {self.num_train_steps} and {self.num_warmup_steps}"
            )

    def __call__(self, step) -> tf.Tensor:
        peak, num_train_steps, num_warmup_steps, shape, power = dataclasses.astuple(self)
        whole, step = step, tf.cast(step, tf.float32)
        if shape != "continuous":
            decay_steps = tf.constant(num_train_steps, tf.float32)
            left = 1.0 - tf.minimum(step, decay_steps) / decay_steps
            decayed = peak * (left if power == 1.0 else tf.pow(left, power))
        else:
            left = tf.maximum(float(num_train_steps) - step, 0.0)
            steps = max(float(num_train_steps - num_warmup_steps), 1.0)
            decayed = peak * left / steps if power == 1.0 else peak * tf.pow(left / steps, power)
        if not num_warmup_steps:
            return decayed
        if shape == "product":
            return decayed * tf.minimum(1.0, step / float(num_warmup_steps))
        return tf.where(whole < num_warmup_steps, peak * (step / float(num_warmup_steps)), decayed)

    def get_config(self) -> dict:
        return dataclasses.asdict(self)


def make_schedule(settings: TrainingSettings, num_steps: int, num_warmup_steps: float) -> Schedule:
    """Returns the schedule that the settings name; only `product` has parts of warm-up steps."""
    is_product = settings.learning_rate_schedule == "product"
    return WarmupAndDecay(
        settings.learning_rate,
        num_steps,
        num_warmup_steps if is_product else int(num_warmup_steps),
        settings.learning_rate_schedule,
        settings.learning_rate_power,
    )
