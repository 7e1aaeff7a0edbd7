"""Optimizers: BERT's Adam, LAMB, gradient clipping.

All run inside a replica's step, on gradients that are already summed over all replicas.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence

import tensorflow as tf

from bert_tf.model import processors
from bert_tf.training.checkpoint import STEP_NAME
from bert_tf.training.distribution import replicated_variable
from bert_tf.training.schedule import Schedule

# Of BERT's Adam and of LAMB, as published.
_BETA_1, _BETA_2, _EPSILON, _WEIGHT_DECAY_RATE = 0.9, 0.999, 1e-6, 0.01

_NO_WEIGHT_DECAY = re.compile("LayerNorm|layer_norm|bias")


def has_weight_decay(name: str) -> bool:
    """Returns whether weight decay applies to a weight: all but LayerNorm's and biases."""
    return _NO_WEIGHT_DECAY.search(name) is None


def clip_scale(gradients: Sequence[tf.Tensor], limit: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the factor that brings gradients to a global norm of at most `limit`; their norm."""
    norm = tf.sqrt(2.0 * tf.add_n([tf.nn.l2_loss(gradient) for gradient in gradients]))
    return limit * tf.minimum(1.0 / norm, 1.0 / limit), norm


def adam_update(
    gradient, m, v, times: tf.Tensor | None, epsilon: float = _EPSILON, beta_2: float = _BETA_2
) -> tuple:
    """Returns a weight's new moments and its update, before weight decay.

    `times` is the number of updates, including this one, for bias correction; None for none.
    """
    m = _BETA_1 * m + (1.0 - _BETA_1) * gradient
    v = beta_2 * v + (1.0 - beta_2) * tf.square(gradient)
    scale_m = scale_v = 1.0
    if times is not None:
        times = tf.cast(times, tf.float32)
        scale_m, scale_v = 1.0 / (1.0 - _BETA_1**times), 1.0 / (1.0 - beta_2**times)
    return m, v, (m * scale_m) / (tf.sqrt(v * scale_v) + epsilon)


@dataclasses.dataclass(repr=False)
class AdamWeightDecay:
    """Adam with decoupled weight decay and without bias correction, as BERT was trained; or LAMB.

    m = β1·m + (1-β1)·g;  v = β2·v + (1-β2)·g²;  w -= rate·(m / (√v + ε) + decay·w)

    Source: google-research/bert, optimization.py, `AdamWeightDecayOptimizer`.
    """

    variables: dict[str, tf.Variable]  # The weights by name.
    schedule: Schedule
    # Whether to divide m and v by 1-β1^t and 1-β2^t, as Adam's paper and LAMB do. Without it, as in
    # the original, the first updates are about three times as large.
    bias_correction: bool | None = None  # By default only LAMB does.
    lamb: bool = False  # Whether to scale updates of all but LayerNorm and biases.
    # Factors of the learning rate by name; 1 for the others.
    rate_scales: Mapping[str, float] = dataclasses.field(default_factory=dict)
    epsilon: float = _EPSILON  # ε
    beta_2: float = _BETA_2  # β2
    weight_decay_rate: float = _WEIGHT_DECAY_RATE  # decay

    def __post_init__(self) -> None:
        self.step = replicated_variable(tf.zeros([], tf.int64), STEP_NAME)
        self.m, self.v = self._moments("adam_m"), self._moments("adam_v")
        self._first_step = 0
        if self.bias_correction is None:
            self.bias_correction = self.lamb
        # One pass over memory, in place, rather than a dozen: less than half the time on a CPU.
        if processors.is_one_cpu():
            self._update = processors.compiled(self._update)

    def _moments(self, moment: str) -> dict[str, tf.Variable]:
        return {
            name: replicated_variable(tf.zeros_like(weight), f"{name}/{moment}")
            for name, weight in self.variables.items()
        }

    def restart(self, first_step: int, schedule: Schedule) -> None:
        """Counts steps from `first_step` on, as in a new training: it resets the moments there."""
        self.schedule, self._first_step = schedule, first_step
        if int(self.step.numpy()) == first_step:
            for moment in (*self.m.values(), *self.v.values()):
                moment.assign(tf.zeros(moment.shape))

    def named_variables(self) -> dict[str, tf.Variable]:
        """Returns the optimizer's state under the names of the original's checkpoints."""
        first = {f"{name}/adam_m": variable for name, variable in self.m.items()}
        second = {f"{name}/adam_v": variable for name, variable in self.v.items()}
        return {STEP_NAME: self.step, **first, **second}

    def learning_rate(self) -> tf.Tensor:
        """Returns the learning rate of the next update."""
        return self.schedule(self.step - self._first_step)

    def apply(
        self,
        gradients: Sequence[tf.Tensor],
        is_applied: tf.Tensor | None = None,
        scale: tf.Tensor | float = 1.0,
    ) -> None:
        """Updates the weights, given their gradients in the order of `variables`, times `scale`.

        If the boolean scalar `is_applied` is false, only counts the step.
        """
        rate, scale = self.learning_rate(), tf.convert_to_tensor(scale)
        times = self.step - self._first_step + 1 if self.bias_correction else None
        for (name, weight), gradient in zip(self.variables.items(), gradients, strict=True):
            states, decays = (weight, self.m[name], self.v[name]), has_weight_decay(name)
            for state in states:  # Reading gives a graph's input a name that is always the same.
                state.read_value()
            own_rate = rate * self.rate_scales[name] if name in self.rate_scales else rate
            self._update(states, gradient, scale, own_rate, times, is_applied, decays)
        self.step.assign_add(1)

    def _update(self, states, *arguments) -> None:
        """Updates a weight and its moments, given what `_new_values` takes."""
        values = tuple(map(tf.convert_to_tensor, states))
        for state, new in zip(states, self._new_values(values, *arguments), strict=True):
            state.assign(new)

    def _new_values(self, values, gradient, scale, rate, times, is_applied, decays: bool) -> tuple:
        """Returns a weight and its moments after an update."""
        weight, m, v = values
        m, v, update = adam_update(gradient * scale, m, v, times, self.epsilon, self.beta_2)
        if decays:
            update += self.weight_decay_rate * weight
            if self.lamb:
                update = scale_to_layer(weight, update)
        new_values = weight - rate * update, m, v
        if is_applied is None:
            return new_values
        return tuple(tf.where(is_applied, *each) for each in zip(new_values, values, strict=True))


def scale_to_layer(weight: tf.Tensor, update: tf.Tensor) -> tf.Tensor:
    """Scales Adam's update u of a layer to the norm of the layer's weights, as LAMB does.

        w -= rate · φ(‖w‖) / ‖u‖ · u        u = m̂ / (√v̂ + ε) + decay·w        φ(z) = z

    So a step changes a layer by the fraction `rate`. A layer of zeros takes Adam's update.

    Source: You et al. 2020, Large Batch Optimization for Deep Learning: Training BERT in 76
    Minutes, algorithm 2.
    """
    length, step = tf.norm(weight), tf.norm(update)
    has_ratio = (length > 0.0) & (step > 0.0)
    return tf.where(has_ratio, tf.math.divide_no_nan(length, step), 1.0) * update
