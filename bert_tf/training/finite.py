"""Stops training whose loss, gradients or weights are no longer finite numbers."""

import tensorflow as tf

from bert_tf.training.optimizer import AdamWeightDecay


class NonFiniteLoss(ValueError):
    """The loss, a gradient or a weight became NaN or infinite."""

    def __init__(self, what: str):
        super().__init__(
            f"{what} is not a finite number; training stopped there, and nothing of it was saved. "
            "A lower learning rate or a longer warm-up helps most often; with float16, bfloat16 "
            "does. Started again, the run resumes from its last checkpoint."
        )


def check_weights(optimizer: AdamWeightDecay) -> None:
    """Raises NonFiniteLoss if a weight is NaN or infinite."""
    for name, weight in optimizer.variables.items():
        if not bool(tf.reduce_all(tf.math.is_finite(weight))):
            step = int(optimizer.step.numpy()) - 1
            raise NonFiniteLoss(f"After step {step} a value of {name}")
