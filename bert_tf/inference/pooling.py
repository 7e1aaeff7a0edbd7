"""How the vectors of a sequence's tokens become what is given for it."""

from collections.abc import Callable, Mapping

import tensorflow as tf


def pooled(pool: str, outputs: Mapping[str, tf.Tensor], input_mask: tf.Tensor) -> tf.Tensor:
    """float32 [B, H], or [B, L, H] for `tokens`.

    Args:
        pool: `mean`, over the tokens with [CLS] and [SEP]; `pooled`, what a classifier sees of
            them; `tokens`, a vector each.
        outputs: the encoder's.
        input_mask: [B, L].
    """
    return _POOLS[pool](outputs, input_mask)


def _mean(outputs: Mapping[str, tf.Tensor], input_mask: tf.Tensor) -> tf.Tensor:
    weights = tf.cast(input_mask, tf.float32)[:, :, tf.newaxis]  # [B, L, 1]
    summed = tf.reduce_sum(_tokens(outputs, input_mask) * weights, axis=1)
    return summed / tf.maximum(tf.reduce_sum(weights, axis=1), 1.0)


def _tokens(outputs: Mapping[str, tf.Tensor], input_mask: tf.Tensor) -> tf.Tensor:
    return tf.cast(outputs["sequence_output"], tf.float32)


_POOLS: dict[str, Callable[[Mapping[str, tf.Tensor], tf.Tensor], tf.Tensor]] = {
    "mean": _mean,
    "pooled": lambda outputs, input_mask: outputs["pooled_output"],
    "tokens": _tokens,
}
POOLS = tuple(_POOLS)
