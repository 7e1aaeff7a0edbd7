"""Names the inputs of models, and refuses those that no model has."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

# Other libraries' names of the same inputs, which are accepted too.
_OTHER_NAMES = {
    "attention_mask": "input_mask",
    "padding_mask": "input_mask",
    "input_word_ids": "input_ids",
    "token_ids": "input_ids",
    "token_type_ids": "segment_ids",
    "input_type_ids": "segment_ids",
}
_OPTIONAL = ("input_mask", "segment_ids")


def named_features(inputs: Any, names: Sequence[str], model: str) -> dict[str, Any]:
    """Returns inputs by name; a list has the order of `names`, a tensor is the first.

    Raises a ValueError for an unknown name, or if a necessary one is missing.
    """
    known = ", ".join(names)
    if isinstance(inputs, (list, tuple)) and all(hasattr(part, "shape") for part in inputs):
        if len(inputs) > len(names):
            raise ValueError(f"{model} takes {known}. Received: {len(inputs)} inputs")
        inputs = dict(zip(names, inputs, strict=False))
    elif not isinstance(inputs, Mapping):
        inputs = {names[0]: inputs}
    given = {name: value for name, value in inputs.items() if value is not None}
    features = {
        _OTHER_NAMES.get(name, name): value if hasattr(value, "shape") else np.asarray(value)
        for name, value in given.items()
    }
    received = ", ".join(map(str, given)) or "nothing"
    if not set(features) <= set(names) or len(features) < len(given):
        raise ValueError(f"{model} takes the inputs {known}, once each. Received: {received}")
    for name in names:
        if name not in features and name not in _OPTIONAL:
            raise ValueError(f"{model} needs {name}. Received: {received}")
    return features


def check_features(
    features: Mapping[str, Any], limits: Mapping[str, int], ids_rank: int, longest: int
) -> None:
    """Raises a ValueError for other shapes, or values that are known and not in the range.

    Args:
        limits: by name, the number of values of the inputs with the shape of `input_ids`.
        ids_rank: the axes of `input_ids`.
        longest: tokens of a sequence.
    """
    ids = tf.TensorShape(features["input_ids"].shape)
    length = ids[-1] if ids.rank else None
    if length is not None and length > longest:
        raise ValueError(
            f"Sequences of {length} tokens are longer than the position table, whose "
            f"max_position_embeddings is {longest}."
        )
    for name, value in features.items():
        axes = ("B, L" if ids_rank == 2 else "B, C, L") if name in limits else "B, M"
        shape = tf.TensorShape(value.shape)
        fits = shape.is_compatible_with(ids if name in limits else [*ids[:1], None])
        fits = fits and shape.rank in (None, len(axes.split())) and 0 not in shape[1:]
        if not fits or isinstance(value, tf.RaggedTensor):
            raise ValueError(
                f"{name} must hold integers [{axes}], padded with zeros to one length, and of the "
                f"shape of input_ids {ids} where the axes are the same. "
                f"Received: {type(value).__name__} {shape}"
            )
        limit = limits.get(name, length)
        # In a graph the values are not known.
        if limit and (isinstance(value, np.ndarray) or hasattr(value, "numpy")):
            _check_values(name, np.asarray(value), limit)


def _check_values(name: str, values: np.ndarray, limit: int) -> None:
    is_number = values.dtype.kind in "biuf"
    if not is_number or not np.all((values >= 0) & (values < limit) & (values % 1 == 0)):
        received = f"{values.min()} to {values.max()}" if is_number else values.dtype
        raise ValueError(f"{name} must be integers from 0 to {limit - 1}. Received: {received}")
