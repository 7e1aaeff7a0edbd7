"""Learning-rate schedules, and the length of a run: TrainingPlan."""

import dataclasses
from collections.abc import Callable, Sequence

import tensorflow as tf

from bert_tf.settings import TrainingSettings

# From a step, an integer tensor, to its learning rate, a float32 scalar.
Schedule = Callable[[tf.Tensor], tf.Tensor]


def original_schedule(
    peak: float, num_warmup_steps: int, num_train_steps: int, power: float = 1.0
) -> Schedule:
    """Returns the original's schedule: linear decay from step 0, overridden by a linear warm-up.

    The decay is counted from step 0, so the rate jumps from `peak` down to
    `peak * (1 - num_warmup_steps / num_train_steps)` where the warm-up ends; step 0 has rate 0.
    The decay is the fraction of steps that is left, to a power; 1 is linear.

    Source: google-research/bert, optimization.py, `create_optimizer`.
    """

    def rate(step: tf.Tensor) -> tf.Tensor:
        decay_steps = tf.constant(num_train_steps, tf.float32)
        left = 1.0 - tf.minimum(_float(step), decay_steps) / decay_steps
        decayed = peak * _to_power(left, power)
        return _warm_up(step, peak, num_warmup_steps, decayed)

    return rate


def continuous_schedule(
    peak: float, num_warmup_steps: int, num_train_steps: int, power: float = 1.0
) -> Schedule:
    """Returns a schedule without the original's jump: the decay starts where the warm-up ends."""

    def rate(step: tf.Tensor) -> tf.Tensor:
        left = tf.maximum(float(num_train_steps) - _float(step), 0.0)
        steps = max(float(num_train_steps - num_warmup_steps), 1.0)
        decayed = peak * left / steps if power == 1.0 else peak * _to_power(left / steps, power)
        return _warm_up(step, peak, num_warmup_steps, decayed)

    return rate


SCHEDULES: dict[str, Callable[[float, int, int, float], Schedule]] = {
    "original": original_schedule,
    "continuous": continuous_schedule,
}


def schedules_in_turn(starts: Sequence[int], schedules: Sequence[Schedule]) -> Schedule:
    """Returns one schedule made of several, each counting its steps from its own start.

    Args:
        starts: the first step of each, ascending, beginning with 0.
        schedules: as many.
    """

    def rate(step: tf.Tensor) -> tf.Tensor:
        value = schedules[0](step)
        for start, schedule in zip(starts[1:], schedules[1:], strict=True):
            value = tf.where(step >= start, schedule(tf.maximum(step - start, 0)), value)
        return value

    return rate


def _to_power(fraction: tf.Tensor, power: float) -> tf.Tensor:
    return fraction if power == 1.0 else tf.pow(fraction, power)


def _warm_up(step: tf.Tensor, peak: float, num_warmup_steps: int, decayed: tf.Tensor) -> tf.Tensor:
    if not num_warmup_steps:
        return decayed
    warm = peak * (_float(step) / float(num_warmup_steps))
    return tf.where(step < num_warmup_steps, warm, decayed)


def _float(step: tf.Tensor) -> tf.Tensor:
    return tf.cast(step, tf.float32)


@dataclasses.dataclass(frozen=True)
class TrainingPlan:
    """How long a run is, and its learning rate.

    num_steps: the step at which training ends.
    num_warmup_steps: over how many steps the learning rate rises first.
    schedule: step -> learning rate.
    restarts: steps at which the optimizer's moments are reset.
    """

    num_steps: int
    num_warmup_steps: int
    schedule: Schedule
    restarts: tuple[int, ...] = ()


def make_plan(settings: TrainingSettings, num_warmup_steps: int, num_steps: int) -> TrainingPlan:
    """Returns the plan of a run with one schedule, as the settings say."""
    schedule = SCHEDULES[settings.learning_rate_schedule](
        settings.learning_rate, num_warmup_steps, num_steps, settings.learning_rate_power
    )
    return TrainingPlan(num_steps, num_warmup_steps, schedule)
