"""Attention of all layers of an encoder: its scores, and the probabilities that they become."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from bert_tf.model.encoder import TransformerEncoder


def attention_scores(encoder: TransformerEncoder, outputs: Mapping[str, Any]) -> list[tf.Tensor]:
    """Returns each layer's scores before the softmax and its bias, float32 [B, N, L, L].

    They are computed from the inputs of the layers, as what a layer keeps to itself can be in a
    graph of its own.

    Args:
        outputs: what a call of the encoder returned.

    Raises a ValueError if a layer's attention has no scores.
    """
    layer_inputs = [
        encoder.project(outputs["embedding_output"]),
        *outputs["all_encoder_layers"][:-1],
    ]
    return [
        _scores_of(block)(hidden)
        for block, hidden in zip(encoder.blocks, layer_inputs, strict=True)
    ]


def attention_probabilities(
    encoder: TransformerEncoder, inputs: Mapping[str, tf.Tensor]
) -> list[tf.Tensor]:
    """Returns each layer's attention probabilities without dropout, float32 [B, N, L, L].

    Element [b, n, i, j] is the fraction of its attention that position i pays to position j in
    head n; the last axis sums to 1, with about 0 for padding.

    Args:
        inputs: of the encoder, int [B, L] by name.

    Raises a ValueError if the encoder's layers have no such probabilities.
    """
    for block in encoder.blocks:
        _scores_of(block)
    bias = encoder.attention_context(inputs["input_ids"], inputs.get("input_mask"))
    scores = attention_scores(encoder, encoder(inputs, training=False))
    return [tf.nn.softmax(of_layer if bias is None else of_layer + bias) for of_layer in scores]


def has_attention_scores(encoder: TransformerEncoder) -> bool:
    """Returns whether the scores of all layers can be had."""
    return all(hasattr(block, "attention_scores") for block in encoder.blocks)


def _scores_of(block):
    if not hasattr(block, "attention_scores"):
        raise ValueError(
            f"{type(block).__name__} has no attention_scores, so its attention cannot be shown."
        )
    return block.attention_scores
