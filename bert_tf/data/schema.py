"""Defines the features of records (names, shapes, types), encodes and parses tf.train.Examples.

Names are the original release's: records can be exchanged with its scripts. Only parsing imports
TensorFlow.
"""

import dataclasses
import struct
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Feature:
    """One array of an example."""

    shape: tuple[int, ...]  # Without the batch axis.
    dtype: str = "int64"  # As stored: `int64` (parsed as int32) or `float32`.


def pretraining_features(max_seq_length: int, max_predictions_per_seq: int) -> dict[str, Feature]:
    """Returns the features of a pre-training record with masks.

    Records made with --next_sentence=false lack `next_sentence_labels`.

    Source: google-research/bert, run_pretraining.py, `input_fn_builder`.
    """
    masked = (max_predictions_per_seq,)
    return {
        **_pair_features(max_seq_length),
        "masked_lm_positions": Feature(masked),  # Ascending, padded with 0.
        "masked_lm_ids": Feature(masked),  # The original tokens at these positions.
        "masked_lm_weights": Feature(masked, "float32"),  # 1.0, or 0.0 for padding.
        "next_sentence_labels": Feature((1,)),  # 0: B follows A. 1: B was drawn at random.
    }


def unmasked_pretraining_features(max_seq_length: int) -> dict[str, Feature]:
    """Returns the features of a record for dynamic masking.

    Tokens with the same word id are masked together: one token or, under whole-word masking, those
    of a word. Tokens with word id 0 are never masked.

        tokens    [CLS]  the  cat  ##s  [SEP]  sleep  [SEP]  (padding)
        word_ids    0     1    2    2     0      3      0        0
    """
    return {
        **_pair_features(max_seq_length),
        "word_ids": Feature((max_seq_length,)),
        "next_sentence_labels": Feature((1,)),
    }


def _pair_features(max_seq_length: int) -> dict[str, Feature]:
    sequence = (max_seq_length,)
    return {
        "input_ids": Feature(sequence),
        "input_mask": Feature(sequence),  # 1: a token. 0: padding.
        "segment_ids": Feature(sequence),  # 0: [CLS] A [SEP] and padding. 1: B [SEP].
    }


def encode_example(arrays: Mapping[str, Any]) -> bytes:
    """Serializes arrays as a `tf.train.Example`: the bytes of protobuf's deterministic mode.

    Each is a flat sequence or an array of integers (stored as int64), floats (float32), or bytes.
    Raises a ValueError for other or mixed types, and for integers beyond 64 bits.
    """
    return _field(1, b"".join(encode_entry(name, arrays[name]) for name in sorted(arrays)))


def encode_entry(name: str, values: Any) -> bytes:
    """Returns a serialized feature with its name, as in the example of `encode_example`."""
    return _field(1, _field(1, name.encode("utf-8")) + _field(2, _feature(name, values)))


def _feature(name: str, values: Any) -> bytes:
    dtype = getattr(values, "dtype", None)
    if str(dtype) == "float32":
        return _field(2, _packed(values.astype("<f4").tobytes()))
    if hasattr(values, "ravel"):
        flat = values.ravel().tolist()
    else:
        flat = [value.item() if hasattr(value, "item") else value for value in values]
    types = {bool if isinstance(value, bool) else type(value) for value in flat}
    is_empty_float_array = not flat and getattr(dtype, "kind", "") == "f"
    if types <= {int, bool} and not is_empty_float_array:
        return _field(3, _packed(b"".join(map(encode_varint, flat))))
    if types <= {float}:
        return _field(2, _packed(struct.pack(f"<{len(flat)}f", *flat)))
    if types <= {bytes}:
        return _field(1, b"".join(_field(1, value) for value in flat))
    raise ValueError(
        f"{name}: a feature holds whole numbers, floating-point numbers or bytes. "
        f"Received: {', '.join(sorted(kind.__name__ for kind in types))}"
    )


def encode_varint(value: int) -> bytes:
    """Encodes the 64-bit two's complement of an integer as protobuf does, 7 bits per byte."""
    if not -(2**63) <= value < 2**63:
        raise ValueError(f"A whole number in a record has at most 64 bits. Received: {value}")
    value &= 2**64 - 1
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


class ListHeaders(dict):
    """Maps the size of an integer feature's values to the bytes before them, its name included.

    The values follow, each encoded by `encode_varint`. This is faster than `encode_example`.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def __missing__(self, num_bytes: int) -> bytes:
        # A list of that many zeros has that size.
        entry = encode_entry(self._name, [0] * num_bytes)
        self[num_bytes] = entry[: len(entry) - num_bytes]
        return self[num_bytes]


def parse_examples(serialized: Any, features: Mapping[str, Feature]) -> dict[str, Any]:
    """Parses serialized examples <string>[B] as tensors [B, ...], <int32> or <float32>, by name.

    Raises tf.errors.InvalidArgumentError if a feature is missing or has another length or type.
    """
    import tensorflow as tf

    return {
        name: tf.cast(tensor, tf.int32) if tensor.dtype == tf.int64 else tensor
        for name, tensor in parse_stored(serialized, features).items()
    }


def parse_stored(serialized: Any, features: Mapping[str, Feature]) -> dict[str, Any]:
    """Like `parse_examples`, with integers as they are stored, <int64>."""
    import tensorflow as tf

    description = {
        name: tf.io.FixedLenFeature(feature.shape, tf.as_dtype(feature.dtype))
        for name, feature in features.items()
    }
    return tf.io.parse_example(serialized, description)


def _field(number: int, payload: bytes) -> bytes:
    """Returns a length-delimited field of a protobuf message."""
    return encode_varint(number << 3 | 2) + encode_varint(len(payload)) + payload


def _packed(payload: bytes) -> bytes:
    """Returns field 1 of Int64List and FloatList, which is absent if there are no values."""
    return _field(1, payload) if payload else b""
