"""Draws attention between tokens, and similarity between vectors."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bert_tf.notebook.figures import new_figure

_CELL = 0.32  # Inches per token.
_COLUMNS = 3


def plot_attention(
    tokens: Sequence[str], maps: np.ndarray, heads: Sequence[tuple[int, int]]
) -> Any:
    """Draws the attention of some heads: a row is a token that attends, a column one attended to.

    Args:
        tokens: L tokens, special ones included.
        maps: float [layers, N, L, L], see `bert_tf.Predictor.attention`.
        heads: pairs of layer and head, counted from 0.

    Raises a ValueError if there is no such head, or the tokens do not fit the maps.
    """
    maps = np.asarray(maps)
    if maps.ndim != 4 or maps.shape[2:] != (len(tokens), len(tokens)):
        raise ValueError(
            f"Maps of {len(tokens)} tokens are [layers, N, {len(tokens)}, {len(tokens)}]. "
            f"Received: {list(maps.shape)}"
        )
    for layer, head in heads:
        if not (0 <= layer < maps.shape[0] and 0 <= head < maps.shape[1]):
            raise ValueError(
                f"There are {maps.shape[0]} layers of {maps.shape[1]} heads, counted from 0. "
                f"Received: {(layer, head)}"
            )
    num_columns = min(_COLUMNS, len(heads))
    num_rows = -(-len(heads) // num_columns)
    side = _CELL * len(tokens) + 1.0
    figure, axes = new_figure(num_rows, num_columns, side * num_columns, side * num_rows)
    for axis in axes[len(heads) :]:
        axis.axis("off")
    for axis, (layer, head) in zip(axes, heads, strict=False):
        axis.imshow(maps[layer, head], cmap="Blues", vmin=0, vmax=1)
        axis.set_title(f"layer {layer}, head {head}", fontsize="medium")
        axis.set_xticks(range(len(tokens)), tokens, rotation=90, fontsize="small")
        axis.set_yticks(range(len(tokens)), tokens, fontsize="small")
        axis.tick_params(length=0)
    return figure


def plot_similarity(texts: Sequence[str], vectors: np.ndarray, title: str = "") -> Any:
    """Draws the cosine between all pairs of N vectors, [N, H], with its value."""
    vectors = np.asarray(vectors, np.float64)
    if vectors.ndim != 2 or len(vectors) != len(texts):
        raise ValueError(f"{len(texts)} texts have as many vectors. Received: {vectors.shape}")
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    cosines = unit @ unit.T
    side = 0.7 * len(texts)
    figure, (axis,) = new_figure(1, 1, side + 3.5, side + 0.8)
    # The colours span the values that occur: many models' cosines all lie near 1.
    lowest = float(cosines.min())
    image = axis.imshow(cosines, cmap="Blues", vmin=lowest, vmax=1)
    middle = (lowest + 1) / 2
    for row, values in enumerate(cosines):
        for column, value in enumerate(values):
            colour = "white" if value > middle else "black"
            axis.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour)
    axis.set_xticks(range(len(texts)), [f"({number + 1})" for number in range(len(texts))])
    axis.set_yticks(
        range(len(texts)), [f"({number + 1}) {text}" for number, text in enumerate(texts)]
    )
    axis.tick_params(length=0)
    axis.set_title(title)
    figure.colorbar(image, label="cosine")
    return figure
