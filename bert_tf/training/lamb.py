"""LAMB: Adam whose steps are as long as a layer's weights allow, for batches of many thousands.

Adam's update u of a layer (a weight matrix, or a table) is scaled to a length in proportion to the
layer's own:

    w -= rate · φ(‖w‖) / ‖u‖ · u        u = m̂ / (√v̂ + ε) + decay·w        φ(z) = z

so that the rate says by what part of itself a layer changes in a step, and one rate suits all
layers. m̂ and v̂ are Adam's averages with their bias corrected. Biases and LayerNorm's weights,
which start at 0 and 1 and have no such scale, are neither drawn towards zero nor scaled: they take
Adam's step. As with Adam, the gradients are clipped to a joint norm before.

The averages are Adam's, and are saved under the same names (`NAME/adam_m`, `NAME/adam_v`), as the
optimizer of google-research/albert does, which LAMB's authors wrote: whatever reads or leaves out
the optimizer's state in a checkpoint needs to know of one pair of names only.

Source: You et al. 2020, Large Batch Optimization for Deep Learning: Training BERT in 76 Minutes,
algorithm 2; google-research/albert, lamb_optimizer.py, for what is excluded.
"""

from collections.abc import Sequence

import tensorflow as tf

from bert_tf.training.optimizer import AdamWeightDecay, Schedule, is_spared


def adapt_to_layer(name: str, weight: tf.Tensor, update: tf.Tensor) -> tf.Tensor:
    """Gives an update the length of its weights; that of a bias or of LayerNorm stays as it is.

    Args:
        name: the weight's name, which tells what it is.
        weight: float [...].
        update: float [...], with weight decay in it.

    Returns: float [...]. Where the weights or the update are all zeros, the update as it was.
    """
    if is_spared(name):
        return update
    length, step = tf.norm(weight), tf.norm(update)
    has_ratio = (length > 0.0) & (step > 0.0)
    return tf.where(has_ratio, tf.math.divide_no_nan(length, step), 1.0) * update


def make_optimizer(
    kind: str,
    variables: dict[str, tf.Variable],
    schedule: Schedule,
    bias_correction: bool = False,
    restarts: Sequence[int] = (),
) -> AdamWeightDecay:
    """The optimizer that `--optimizer` names.

    Args:
        kind: `adam`, the original's; or `lamb`, with the published β 0.9 and 0.999, ε 1e-6 and
            decay 0.01.
        variables: the weights by name.
        schedule: a function from the step to the learning rate.
        bias_correction: whether Adam corrects the bias of its averages; LAMB always does.
        restarts: steps at which the averages begin anew.
    """
    if kind == "adam":
        return AdamWeightDecay(
            variables, schedule, bias_correction=bias_correction, restarts=restarts
        )
    return AdamWeightDecay(
        variables, schedule, bias_correction=True, adapt=adapt_to_layer, restarts=restarts
    )
