"""Adam as BERT was trained with, its learning rate over time, clipping, and float16's loss scale.

What LAMB does differently stands in lamb.py.

Everything is plain TensorFlow on variables made under the current strategy, and runs inside a
replica's step with gradients that are already summed over all replicas.
"""

import re
from collections.abc import Callable, Sequence

import tensorflow as tf

from bert_tf.training.checkpoint import STEP_NAME

Schedule = Callable[[tf.Tensor], tf.Tensor]

# LayerNorm's weights and all biases are not drawn towards zero.
NO_WEIGHT_DECAY = ("LayerNorm", "layer_norm", "bias")


def is_spared(name: str) -> bool:
    """Whether a weight of this name is LayerNorm's or a bias, which no decay draws to zero."""
    return any(re.search(pattern, name) for pattern in NO_WEIGHT_DECAY)


def original_schedule(
    peak: float, num_warmup_steps: int, num_train_steps: int, power: float = 1.0
) -> Schedule:
    """The original's learning rate: linear decay from step 0, overridden by a linear warm-up.

    The decay has already gone on while the warm-up hid it, so the rate jumps from `peak` down to
    `peak * (1 - num_warmup_steps / num_train_steps)` where the warm-up ends; step 0 has rate 0.
    The decay is of the fraction of steps that is left, to a power; 1 is linear.

    Returns: a function from a step (integer tensor) to its rate, a float32 scalar.

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
    """Linear warm-up to `peak`, then a decay, linear with power 1, that begins there: no jump.

    Returns: a function from a step (integer tensor) to its rate, a float32 scalar.
    """

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
    """One schedule after the other, each counting its steps from its own start.

    Args:
        starts: the step from which each holds, ascending, the first 0.
        schedules: as many.

    Returns: a function from a step (integer tensor) to its rate, a float32 scalar.
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


def clip_by_global_norm(
    gradients: Sequence[tf.Tensor], limit: float
) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Scales gradients down together so that their joint norm is at most `limit`.

    Returns: the gradients, and the norm they had.
    """
    norm = tf.sqrt(tf.add_n([tf.reduce_sum(tf.square(gradient)) for gradient in gradients]))
    scale = limit * tf.minimum(1.0 / norm, 1.0 / limit)
    return [gradient * scale for gradient in gradients], norm


class AdamWeightDecay:
    """Adam without bias correction and with decoupled weight decay.

    m = β1·m + (1-β1)·g;  v = β2·v + (1-β2)·g²;  w -= rate·(m / (√v + ε) + decay·w)

    Args:
        variables: the weights by name.
        schedule: a function from the step to the learning rate.
        bias_correction: divide m and v by 1-β1^t and 1-β2^t, as Adam's paper does. The original
            leaves it out, which makes the first updates about three times as large.
        adapt: (name, weight, update) -> the update as it is to be taken; None takes it as it is.
        restarts: steps at which m, v and t begin anew, as at the beginning of a run.

    Source: google-research/bert, optimization.py, `AdamWeightDecayOptimizer`.
    """

    def __init__(
        self,
        variables: dict[str, tf.Variable],
        schedule: Schedule,
        weight_decay_rate: float = 0.01,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-6,
        bias_correction: bool = False,
        adapt: Callable[[str, tf.Tensor, tf.Tensor], tf.Tensor] | None = None,
        restarts: Sequence[int] = (),
    ):
        self.variables = variables
        self.schedule = schedule
        self.weight_decay_rate = weight_decay_rate
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon
        self.bias_correction = bias_correction
        self.adapt = adapt
        self.restarts = tuple(restarts)
        self.step = _state(tf.zeros([], tf.int64), STEP_NAME)
        self.m = {n: _state(tf.zeros_like(v), f"{n}/adam_m") for n, v in variables.items()}
        self.v = {n: _state(tf.zeros_like(v), f"{n}/adam_v") for n, v in variables.items()}

    def named_variables(self) -> dict[str, tf.Variable]:
        """The optimizer's state under the names of the original's checkpoints."""
        state: dict[str, tf.Variable] = {STEP_NAME: self.step}
        for name in self.variables:
            state[f"{name}/adam_m"] = self.m[name]
            state[f"{name}/adam_v"] = self.v[name]
        return state

    def learning_rate(self) -> tf.Tensor:
        """The rate that the next update takes."""
        return self.schedule(self.step)

    def apply(self, gradients: Sequence[tf.Tensor], is_applied: tf.Tensor | None = None) -> None:
        """Updates the weights once, and counts the step.

        Args:
            gradients: one for each weight, in the order of `variables`.
            is_applied: a boolean scalar; where False the step is counted and nothing else is done.
        """
        rate = self.learning_rate()
        scale_m, scale_v = self._corrections()
        for (name, weight), gradient in zip(self.variables.items(), gradients, strict=True):
            old_m, old_v = self._averages(name)
            m = self.beta_1 * old_m + (1.0 - self.beta_1) * gradient
            v = self.beta_2 * old_v + (1.0 - self.beta_2) * tf.square(gradient)
            update = (m * scale_m) / (tf.sqrt(v * scale_v) + self.epsilon)
            if self._decays(name):
                update += self.weight_decay_rate * weight
            if self.adapt is not None:
                update = self.adapt(name, tf.convert_to_tensor(weight), update)
            for state, old, new in (
                (self.m[name], old_m, m),
                (self.v[name], old_v, v),
                (weight, weight, weight - rate * update),
            ):
                state.assign(new if is_applied is None else tf.where(is_applied, new, old))
        self.step.assign_add(1)

    def _averages(self, name: str) -> tuple[tf.Tensor, tf.Tensor]:
        m, v = self.m[name], self.v[name]
        if not self.restarts:
            return m, v
        begins = tf.reduce_any(tf.equal(self.step, tf.constant(self.restarts, tf.int64)))
        return tuple(tf.where(begins, tf.zeros_like(average), average) for average in (m, v))

    def _corrections(self) -> tuple[tf.Tensor | float, tf.Tensor | float]:
        if not self.bias_correction:
            return 1.0, 1.0
        first = tf.constant(0, tf.int64)
        for restart in sorted(self.restarts):
            first = tf.where(self.step >= restart, tf.constant(restart, tf.int64), first)
        times = _float(self.step - first + 1)
        return 1.0 / (1.0 - self.beta_1**times), 1.0 / (1.0 - self.beta_2**times)

    def _decays(self, name: str) -> bool:
        return bool(self.weight_decay_rate) and not is_spared(name)


class LossScale:
    """The factor that keeps float16 gradients from vanishing: halved when they overflow.

    Args:
        initial: its first value; 1.0 and `is_fixed` for precisions that need none.
        growth_steps: after so many steps without overflow it is doubled.

    Source: Micikevicius et al. 2018, Mixed Precision Training.
    """

    def __init__(self, initial: float = 2.0**15, growth_steps: int = 2000):
        self.growth_steps = growth_steps
        self.scale = _state(tf.constant(initial), "loss_scale")
        self.good_steps = _state(tf.zeros([], tf.int64), "loss_scale_good_steps")

    def named_variables(self) -> dict[str, tf.Variable]:
        """The state, by name, for a checkpoint."""
        return {"loss_scale": self.scale, "loss_scale_good_steps": self.good_steps}

    def update(self, is_finite: tf.Tensor) -> None:
        """Takes note of whether this step's gradients were finite."""
        good = tf.where(is_finite, self.good_steps + 1, tf.zeros_like(self.good_steps))
        grows = good >= self.growth_steps
        shrunk = tf.maximum(self.scale / 2.0, 1.0)
        grown = tf.where(grows, self.scale * 2.0, self.scale + 0.0)
        self.scale.assign(tf.where(is_finite, grown, shrunk))
        self.good_steps.assign(tf.where(grows, tf.zeros_like(good), good))


def _state(initial_value: tf.Tensor, name: str) -> tf.Variable:
    # Every replica computes the same new value, so that of the first one will do.
    return tf.Variable(
        initial_value,
        trainable=False,
        name=name,
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    )
