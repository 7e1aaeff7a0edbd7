"""LossScale: the factor of the loss in float16, in a replica's step."""

import tensorflow as tf

from bert_tf.training.distribution import replicated_variable


class LossScale:
    """The factor that keeps float16 gradients from vanishing.

    It is halved when they overflow, and doubled after `growth_steps` steps without overflow.

    Source: Micikevicius et al. 2018, Mixed Precision Training.
    """

    def __init__(self, initial: float = 2.0**15, growth_steps: int = 2000):
        self.growth_steps = growth_steps
        self.scale = replicated_variable(tf.constant(initial), "loss_scale")
        self.good_steps = replicated_variable(tf.zeros([], tf.int64), "loss_scale_good_steps")

    def named_variables(self) -> dict[str, tf.Variable]:
        """Returns the state by name, for a checkpoint."""
        return {"loss_scale": self.scale, "loss_scale_good_steps": self.good_steps}

    def update(self, is_finite: tf.Tensor) -> None:
        """Adapts the factor; `is_finite` says whether this step's gradients were."""
        good = tf.where(is_finite, self.good_steps + 1, tf.zeros_like(self.good_steps))
        grows = good >= self.growth_steps
        shrunk = tf.maximum(self.scale / 2.0, 1.0)
        grown = tf.where(grows, self.scale * 2.0, self.scale + 0.0)
        self.scale.assign(tf.where(is_finite, grown, shrunk))
        self.good_steps.assign(tf.where(grows, tf.zeros_like(good), good))
