"""Optimizers: Adam as BERT was trained with, LAMB, gradient clipping, float16's loss scale.

Everything is plain TensorFlow on variables made under the current strategy, and runs inside a
replica's step with gradients that are already summed over all replicas.
"""

import re
from collections.abc import Callable, Sequence

import tensorflow as tf

from bert_tf.training.checkpoint import STEP_NAME
from bert_tf.training.schedule import Schedule

_NO_WEIGHT_DECAY = re.compile("LayerNorm|layer_norm|bias")


def has_weight_decay(name: str) -> bool:
    """Returns whether weight decay applies to a weight: not if it is LayerNorm's, or a bias."""
    return _NO_WEIGHT_DECAY.search(name) is None


def clip_by_global_norm(
    gradients: Sequence[tf.Tensor], limit: float
) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Scales gradients down together so that their global norm is at most `limit`.

    Returns: the gradients, and the norm that they had.
    """
    norm = tf.sqrt(tf.add_n([tf.reduce_sum(tf.square(gradient)) for gradient in gradients]))
    scale = limit * tf.minimum(1.0 / norm, 1.0 / limit)
    return [gradient * scale for gradient in gradients], norm


class AdamWeightDecay:
    """Adam without bias correction and with decoupled weight decay, as BERT was trained.

    m = β1·m + (1-β1)·g;  v = β2·v + (1-β2)·g²;  w -= rate·(m / (√v + ε) + decay·w)

    Args:
        variables: the weights by name.
        schedule: step -> learning rate.
        bias_correction: whether to divide m and v by 1-β1^t and 1-β2^t, as Adam's paper does. The
            original does not, which makes the first updates about three times as large.
        adapt: (name, weight, update) -> the update to apply; None applies it as it is.
        restarts: steps at which m, v and t are reset, as at the beginning of a run.

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
        """Returns the optimizer's state under the names of the original's checkpoints."""
        state: dict[str, tf.Variable] = {STEP_NAME: self.step}
        for name in self.variables:
            state[f"{name}/adam_m"] = self.m[name]
            state[f"{name}/adam_v"] = self.v[name]
        return state

    def learning_rate(self) -> tf.Tensor:
        """Returns the learning rate of the next update."""
        return self.schedule(self.step)

    def apply(self, gradients: Sequence[tf.Tensor], is_applied: tf.Tensor | None = None) -> None:
        """Updates the weights once, and counts the step.

        Args:
            gradients: one for each weight, in the order of `variables`.
            is_applied: a boolean scalar; if False, only the step is counted.
        """
        rate = self.learning_rate()
        scale_m, scale_v = self._corrections()
        for (name, weight), gradient in zip(self.variables.items(), gradients, strict=True):
            old_m, old_v = self._moments(name)
            m = self.beta_1 * old_m + (1.0 - self.beta_1) * gradient
            v = self.beta_2 * old_v + (1.0 - self.beta_2) * tf.square(gradient)
            update = (m * scale_m) / (tf.sqrt(v * scale_v) + self.epsilon)
            if self.weight_decay_rate and has_weight_decay(name):
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

    def _moments(self, name: str) -> tuple[tf.Tensor, tf.Tensor]:
        m, v = self.m[name], self.v[name]
        if not self.restarts:
            return m, v
        is_reset = tf.reduce_any(tf.equal(self.step, tf.constant(self.restarts, tf.int64)))
        return tuple(tf.where(is_reset, tf.zeros_like(moment), moment) for moment in (m, v))

    def _corrections(self) -> tuple[tf.Tensor | float, tf.Tensor | float]:
        if not self.bias_correction:
            return 1.0, 1.0
        first = tf.constant(0, tf.int64)
        for restart in sorted(self.restarts):
            first = tf.where(self.step >= restart, tf.constant(restart, tf.int64), first)
        times = tf.cast(self.step - first + 1, tf.float32)
        return 1.0 / (1.0 - self.beta_1**times), 1.0 / (1.0 - self.beta_2**times)


def make_optimizer(
    kind: str,
    variables: dict[str, tf.Variable],
    schedule: Schedule,
    bias_correction: bool = False,
    restarts: Sequence[int] = (),
) -> AdamWeightDecay:
    """Returns the optimizer that `--optimizer` names.

    Args:
        kind: `adam`, the original's; or `lamb`, with the published β 0.9 and 0.999, ε 1e-6 and
            decay 0.01.
        variables: the weights by name.
        schedule: step -> learning rate.
        bias_correction: whether Adam corrects the bias of its moments; LAMB always does.
        restarts: steps at which the moments are reset.
    """
    return AdamWeightDecay(
        variables,
        schedule,
        bias_correction=bias_correction or kind == "lamb",
        adapt=adapt_to_layer if kind == "lamb" else None,
        restarts=restarts,
    )


def adapt_to_layer(name: str, weight: tf.Tensor, update: tf.Tensor) -> tf.Tensor:
    """Gives Adam's update u of a layer the length of the layer's weights: what LAMB adds to Adam.

        w -= rate · φ(‖w‖) / ‖u‖ · u        u = m̂ / (√v̂ + ε) + decay·w        φ(z) = z

    So the rate says by what fraction of itself a layer changes in a step, and one rate suits all
    layers, for batches of many thousands. Biases and LayerNorm's weights, which start at 0 and 1
    and have no such scale, take Adam's step. The moments are saved under Adam's names.

    Args:
        name: the weight's name, which tells what it is.
        weight: float [...].
        update: float [...], with weight decay in it.

    Returns: float [...]. If the weights or the update are all zeros, the update unchanged.

    Source: You et al. 2020, Large Batch Optimization for Deep Learning: Training BERT in 76
    Minutes, algorithm 2; google-research/albert, lamb_optimizer.py, for what is excluded and named.
    """
    if not has_weight_decay(name):
        return update
    length, step = tf.norm(weight), tf.norm(update)
    has_ratio = (length > 0.0) & (step > 0.0)
    return tf.where(has_ratio, tf.math.divide_no_nan(length, step), 1.0) * update


class LossScale:
    """The factor that keeps float16 gradients from vanishing: halved when they overflow.

    Args:
        initial: its first value.
        growth_steps: it is doubled after so many steps without overflow.

    Source: Micikevicius et al. 2018, Mixed Precision Training.
    """

    def __init__(self, initial: float = 2.0**15, growth_steps: int = 2000):
        self.growth_steps = growth_steps
        self.scale = _state(tf.constant(initial), "loss_scale")
        self.good_steps = _state(tf.zeros([], tf.int64), "loss_scale_good_steps")

    def named_variables(self) -> dict[str, tf.Variable]:
        """Returns the state by name, for a checkpoint."""
        return {"loss_scale": self.scale, "loss_scale_good_steps": self.good_steps}

    def update(self, is_finite: tf.Tensor) -> None:
        """Lowers or raises the factor, given whether this step's gradients were finite."""
        good = tf.where(is_finite, self.good_steps + 1, tf.zeros_like(self.good_steps))
        grows = good >= self.growth_steps
        shrunk = tf.maximum(self.scale / 2.0, 1.0)
        grown = tf.where(grows, self.scale * 2.0, self.scale + 0.0)
        self.scale.assign(tf.where(is_finite, grown, shrunk))
        self.good_steps.assign(tf.where(grows, tf.zeros_like(good), good))


def _state(initial_value: tf.Tensor, name: str) -> tf.Variable:
    # Every replica computes the same new value, so the first one's is taken.
    return tf.Variable(
        initial_value,
        trainable=False,
        name=name,
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    )
