"""What records hold, by name, shape and type; a dict of arrays <-> a serialized tf.train.Example.

The names are the original release's, so that records made by its scripts can be read here and the
other way round. No TensorFlow until records are parsed.
"""

import dataclasses
import struct
from collections.abc import Iterable, Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Feature:
    """One array of an example: its shape without the batch, and the dtype it is stored as.

    Args:
        shape: as in `(128,)`.
        dtype: `int64` (parsed as int32, as the model wants it) or `float32`.
    """

    shape: tuple[int, ...]
    dtype: str = "int64"


def pretraining_features(max_seq_length: int, max_predictions_per_seq: int) -> dict[str, Feature]:
    """What a pre-training record of the original release holds, with L tokens and M predictions.

    Records made with --next_sentence=false lack `next_sentence_labels`.

    Source: google-research/bert, run_pretraining.py, `input_fn_builder`.
    """
    masked = (max_predictions_per_seq,)
    return {
        **_pair_features(max_seq_length),
        "masked_lm_positions": Feature(masked),  # Ascending; after the last one, 0.
        "masked_lm_ids": Feature(masked),  # The tokens that stood there.
        "masked_lm_weights": Feature(masked, "float32"),  # 1.0, or 0.0 for the padding.
        "next_sentence_labels": Feature((1,)),  # 0: B follows A. 1: B was drawn at random.
    }


def unmasked_pretraining_features(max_seq_length: int) -> dict[str, Feature]:
    """What a record for dynamic masking holds: a sentence pair nothing of which is hidden yet.

    `word_ids` numbers, from 1, what is hidden together: every token, or every word under
    whole-word masking. 0 is what may not be hidden: [CLS], [SEP] and padding.

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
    """Serializes arrays as a `tf.train.Example`, the features in the order of their names.

    The bytes equal protobuf's deterministic serialization. (Its usual one orders features by a
    hash that differs from process to process.) Where one name begins another, protobuf's libraries
    do not agree: here the shorter one comes first, as in C++.

    Args:
        arrays: by name, something flat or with an array's `tolist` and `ravel`: whole numbers
            (stored as int64), floating-point numbers (float32), or bytes.

    Raises:
        ValueError: for values of other types, or of several, and for whole numbers beyond 64 bits.
    """
    return encode_features([(name, encode_values(name, arrays[name])) for name in arrays])


def encode_features(features: Iterable[tuple[str, bytes]]) -> bytes:
    """Joins features, each serialized by `encode_values`, into a serialized `tf.train.Example`."""
    return _field(1, b"".join(encode_entry(name, value) for name, value in sorted(features)))


def encode_entry(name: str, value: bytes) -> bytes:
    """One serialized feature with its name, as it stands inside a serialized example."""
    return _field(1, _field(1, name.encode("utf-8")) + _field(2, value))


def encode_values(name: str, values: Any) -> bytes:
    """Serializes the values of one feature as a `tf.train.Feature`; see `encode_example`."""
    if str(getattr(values, "dtype", "")) == "float32":
        return _field(2, _packed(values.astype("<f4").tobytes()))  # Many at once, as they are.
    if hasattr(values, "ravel"):
        flat = values.ravel().tolist()
    else:
        flat = [value.item() if hasattr(value, "item") else value for value in values]
    kinds = {bool if isinstance(value, bool) else type(value) for value in flat}
    if kinds <= {int, bool} and not (not flat and _is_float_array(values)):
        return _field(3, _packed(b"".join(map(encode_varint, flat))))
    if kinds <= {float}:
        return _field(2, _packed(struct.pack(f"<{len(flat)}f", *flat)))
    if kinds <= {bytes}:
        return _field(1, b"".join(_field(1, value) for value in flat))
    raise ValueError(
        f"{name}: a feature holds whole numbers, floating-point numbers or bytes. "
        f"Received: {', '.join(sorted(kind.__name__ for kind in kinds))}"
    )


def encode_varint(value: int) -> bytes:
    """A whole number as protobuf writes it: seven bits a byte, the lowest first.

    Negative numbers are written as their 64-bit two's complement, which takes ten bytes.
    """
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
    """What stands before a list of whole numbers in a record, name included, by its size in bytes.

    The numbers themselves are put behind it, each as `encode_varint` gives it: a record is made of
    such parts several times as fast as by `encode_example`.

    Args:
        name: of the feature.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def __missing__(self, num_bytes: int) -> bytes:
        # A list of that many zeros has that size.
        entry = encode_entry(self._name, encode_values(self._name, [0] * num_bytes))
        self[num_bytes] = entry[: len(entry) - num_bytes]
        return self[num_bytes]


def parse_examples(serialized: Any, features: Mapping[str, Feature]) -> dict[str, Any]:
    """Parses serialized examples into a batch; works eagerly and inside a graph.

    Args:
        serialized: <string>[B], a tensor.
        features: what to read from each example.

    Returns:
        By name, tensors of shape [B, ...]: <int32> where int64 is stored, else <float32>.

    Raises:
        tf.errors.InvalidArgumentError: if a feature is missing or has another length or type.
    """
    import tensorflow as tf  # Data is prepared, and records are described, without it.

    description = {
        name: tf.io.FixedLenFeature(feature.shape, tf.as_dtype(feature.dtype))
        for name, feature in features.items()
    }
    parsed = tf.io.parse_example(serialized, description)
    return {
        name: tf.cast(tensor, tf.int32) if tensor.dtype == tf.int64 else tensor
        for name, tensor in parsed.items()
    }


def _is_float_array(values: Any) -> bool:
    return getattr(getattr(values, "dtype", None), "kind", "") == "f"


def _field(number: int, payload: bytes) -> bytes:
    """A length-delimited field of a protobuf message."""
    return encode_varint(number << 3 | 2) + encode_varint(len(payload)) + payload


def _packed(payload: bytes) -> bytes:
    """Field 1 of Int64List and FloatList; nothing at all if there are no values."""
    return _field(1, payload) if payload else b""
