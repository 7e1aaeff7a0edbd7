"""Makes one vector of a text's token vectors, as sentence-transformers models do it.

tokens [B, L, H] ──modes──> joined [B, modes * H] ──steps──> vector
"""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

# Prefix of the names of dense layers' weights in a checkpoint: sentence/dense_0/kernel, bias.
POOLING_WEIGHTS = "sentence/"
NORMALIZE, DENSE = "normalize", "dense "  # The latter is followed by the activation.
ACTIVATIONS: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "Identity": tf.identity,
    "Tanh": tf.tanh,
    "ReLU": tf.nn.relu,
    "Sigmoid": tf.sigmoid,
    "GELU": tf.nn.gelu,  # The exact form.
    "SiLU": tf.nn.silu,
}


@dataclasses.dataclass(frozen=True)
class Pooling:
    """How a vector is made; by default the mean of the token vectors."""

    modes: tuple[str, ...] = ("mean",)  # Keys of MODES; their vectors are joined.
    steps: tuple[str, ...] = ()  # In this order: `normalize`, `dense Tanh`, ...


def pool(
    pooling: Pooling, weights: Mapping[str, np.ndarray], tokens: tf.Tensor, input_mask: tf.Tensor
) -> tf.Tensor:
    """Returns the vectors of token vectors, float32 [B, L, H] with a mask int32 [B, L]."""
    mask = tf.cast(input_mask, tf.float32)[:, :, tf.newaxis]
    vector = tf.concat([MODES[mode](tokens, mask) for mode in pooling.modes], axis=-1)
    num_dense = 0
    for step in pooling.steps:
        if step == NORMALIZE:
            vector = tf.nn.l2_normalize(vector, axis=-1, epsilon=1e-24)
            continue
        prefix = f"{POOLING_WEIGHTS}dense_{num_dense}"
        vector = tf.matmul(vector, weights[f"{prefix}/kernel"]) + weights[f"{prefix}/bias"]
        vector = ACTIVATIONS[step.removeprefix(DENSE)](vector)
        num_dense += 1
    return vector


def _mean(tokens: tf.Tensor, weights: tf.Tensor, power: float = 1.0) -> tf.Tensor:
    total = tf.maximum(tf.reduce_sum(weights, axis=1), 1.0)
    return tf.reduce_sum(tokens * weights, axis=1) / total**power


def _last(tokens: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    last = tf.cast(tf.reduce_sum(mask, axis=[1, 2]), tf.int32) - 1
    return tf.gather(tokens, last, axis=1, batch_dims=1)


# Token vectors [B, L, H] and mask, float32 [B, L, 1] -> [B, H].
MODES: dict[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = {
    "cls": lambda tokens, mask: tokens[:, 0],
    "max": lambda tokens, mask: tf.reduce_max(tf.where(mask > 0, tokens, tokens.dtype.min), axis=1),
    "mean": _mean,
    "mean_sqrt_len_tokens": lambda tokens, mask: _mean(tokens, mask, power=0.5),
    "weightedmean": lambda tokens, mask: _mean(tokens, mask * tf.cumsum(mask, axis=1)),
    "lasttoken": _last,
}
