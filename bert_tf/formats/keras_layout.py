"""Keras' shapes of BERT's weights, and google-research's: the same numbers, laid out otherwise.

    name                                  Keras        google-research
    .../attention/self/query/kernel       [H, N, D]    [H, N * D]        key and value, too
    .../attention/self/query/bias         [N, D]       [N * D]
    .../attention/output/dense/kernel     [N, D, H]    [N * D, H]
    output_weights                        [H, C]       [C, H]            there a dense kernel

keras-hub and tensorflow/models both have Keras' MultiHeadAttention. All other weights are alike.
"""

import re

import numpy as np

_QUERY_KEY_VALUE = re.compile(r".*/attention/self/(query|key|value)/(kernel|bias)")
_ATTENTION_OUTPUT = re.compile(r".*/attention/output/dense/kernel")
_SCORES = re.compile(r"(.*/)?output_weights")


def keras_shape(name: str, shape: tuple[int, ...], num_heads: int) -> tuple[int, ...]:
    """What Keras' shape is of the weight that google-research names `name`.

    Args:
        name: google-research's.
        shape: google-research's.
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
    """The weight in google-research's layout, as float32.

    Args:
        where: file and variable, for the message.
        value: as it is in the file.
        name, shape, num_heads: see `keras_shape`.

    Raises:
        ValueError: if it has another shape, or is of whole numbers (quantized).
    """
    if value.dtype.kind not in "fV":  # V: bfloat16, which is not NumPy's own.
        raise ValueError(
            f"{where}: the weight is of {value.dtype}; quantized models cannot be read. Save it in "
            "float32."
        )
    expected = keras_shape(name, shape, num_heads)
    if value.shape != expected:
        raise ValueError(
            f"{where}: its shape is {list(value.shape)}, the config's is {list(expected)}. Does "
            "the config belong to these weights?"
        )
    value = value.astype(np.float32)
    return value.T.copy() if _SCORES.fullmatch(name) else value.reshape(shape)
