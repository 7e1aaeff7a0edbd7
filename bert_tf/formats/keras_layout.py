"""Converts weights from Keras' MultiHeadAttention layout to google-research's.

    name                                  Keras        google-research
    .../attention/self/query/kernel       [H, N, D]    [H, N * D]        key and value, too
    .../attention/self/query/bias         [N, D]       [N * D]
    .../attention/output/dense/kernel     [N, D, H]    [N * D, H]
    output_weights                        [H, C]       [C, H]            there a dense kernel

Used for keras-hub and tensorflow/models. All other weights have the same layout.
"""

import re

import numpy as np

_QUERY_KEY_VALUE = re.compile(r".*/attention/self/(query|key|value)/(kernel|bias)")
_ATTENTION_OUTPUT = re.compile(r".*/attention/output/dense/kernel")
_SCORES = re.compile(r"(.*/)?output_weights")


def keras_shape(name: str, shape: tuple[int, ...], num_heads: int) -> tuple[int, ...]:
    """Returns Keras' shape of a weight.

    Args:
        name, shape: google-research's.
        num_heads: N.
    """
    if _QUERY_KEY_VALUE.fullmatch(name):
        return (*shape[:-1], num_heads, shape[-1] // num_heads)
    if _ATTENTION_OUTPUT.fullmatch(name):
        return (num_heads, shape[0] // num_heads, *shape[1:])
    return shape[::-1] if _SCORES.fullmatch(name) else shape


def from_keras(
    where: str, value: np.ndarray, name: str, shape: tuple[int, ...], num_heads: int
) -> np.ndarray:
    """Returns a weight in google-research's layout, as float32.

    Args:
        where: file and variable, for messages.
        value: the value in the file.
        name, shape, num_heads: see `keras_shape`.

    Raises:
        ValueError: if it has another shape, or is quantized to integers.
    """
    if value.dtype.kind not in "fV":  # V: bfloat16, which is not NumPy's own.
        raise ValueError(
            f"{where}: the weight has the type {value.dtype}; quantized models cannot be read. "
            "Save it as float32."
        )
    expected = keras_shape(name, shape, num_heads)
    if value.shape != expected:
        raise ValueError(
            f"{where}: its shape is {list(value.shape)}, the config's is {list(expected)}. Does "
            "the config belong to these weights?"
        )
    value = value.astype(np.float32)
    return value.T.copy() if _SCORES.fullmatch(name) else value.reshape(shape)
