"""Examples -> features -> records: encoded by a task, padded and serialized. No TensorFlow.

What a record lacks at the end is its number in the file, which whoever encodes does not know.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bert_tf.data.schema import (
    Feature,
    ListHeaders,
    encode_entry,
    encode_values,
    encode_varint,
)
from bert_tf.text.tokenization import FullTokenizer

# The number of a feature in its file; known only when all features before it are.
UNIQUE_IDS = "unique_ids"

# Numbers below 128, each of which is one byte in a record.
_ONE_BYTE_EACH = ("input_mask", "segment_ids")


class EncodedFeature(NamedTuple):
    """A record but for its number: its entries before that one and behind it, serialized."""

    num_tokens: int
    before: bytes
    after: bytes


@dataclasses.dataclass(frozen=True)
class Encoding:
    """All that one needs to know to encode a split's examples.

    task: encodes examples; see `bert_tf/tasks/task.py`.
    split: which of the task's.
    vocab_file, do_lower_case: of the tokenizer.
    max_seq_length: tokens of a feature, padding included.
    """

    task: Any
    split: str
    vocab_file: str
    do_lower_case: bool
    max_seq_length: int

    def features(self) -> dict[str, Feature]:
        """What a record holds."""
        return self.task.features(self.split, self.max_seq_length)


class FeatureSerializer:
    """Pads and serializes the features of one split.

    The bytes are those of `schema.encode_example`, made several times as fast: a number's bytes are
    looked up, and what stands before a list is made once for lists of a size.

    Args:
        features: what a record holds.
    """

    def __init__(self, features: Mapping[str, Feature]) -> None:
        names = sorted(features)
        place = names.index(UNIQUE_IDS) if UNIQUE_IDS in names else len(names)
        self._features = dict(features)
        self._before, self._after = names[:place], names[place + 1 :]
        self._is_numbered = UNIQUE_IDS in features
        self._varints = _Varints()
        self._headers = {name: ListHeaders(name) for name in names}

    def serialize(self, row: Mapping[str, Sequence[int] | Sequence[float]]) -> EncodedFeature:
        """A feature as a task encodes it -> all of its record but the number.

        Args:
            row: by name, values without padding. What is left out may be `input_mask`: 1 for each
                of the ids; and `is_real_example`: 1.

        Raises:
            ValueError: if another feature is missing, or one is there that is not described, or
                holds too many or too few values.
        """
        num_tokens = len(row["input_ids"])
        row = {"input_mask": b"\1" * num_tokens, "is_real_example": [1], **row}
        unknown = set(row) - set(self._features) - {"input_mask", "is_real_example"}
        if unknown:
            raise ValueError(f"The task encodes features that it does not describe: {unknown}.")
        before = b"".join([self._entry(name, row) for name in self._before])
        after = b"".join([self._entry(name, row) for name in self._after])
        return EncodedFeature(num_tokens, before, after)

    def record(self, feature: EncodedFeature, unique_id: int) -> bytes:
        """The serialized `tf.train.Example`."""
        number = b""
        if self._is_numbered:
            number = encode_entry(UNIQUE_IDS, encode_values(UNIQUE_IDS, [unique_id]))
        size = len(feature.before) + len(number) + len(feature.after)
        return b"".join((b"\x0a", encode_varint(size), feature.before, number, feature.after))

    def _entry(self, name: str, row: Mapping[str, Sequence]) -> bytes:
        feature = self._features[name]
        if name not in row:
            raise ValueError(f"The task describes the feature {name}, but does not encode it.")
        values, size = row[name], math.prod(feature.shape)
        missing = size - len(values)
        if missing < 0 or (missing and size == 1):
            raise ValueError(f"{name}: {len(values)} values, where a feature has room for {size}.")
        if feature.dtype != "int64":
            floats = [*map(float, values), *([0.0] * missing)]
            return encode_entry(name, encode_values(name, floats))
        if name in _ONE_BYTE_EACH:
            packed = bytes(values)
        else:
            packed = b"".join(map(self._varints.__getitem__, values))
        return b"".join((self._headers[name][len(packed) + missing], packed, bytes(missing)))


class _Varints(dict):
    """A number -> its bytes in a record."""

    def __missing__(self, value: int) -> bytes:
        self[value] = encode_varint(value)
        return self[value]


class Encoder:
    """Encodes examples, with a tokenizer that remembers words from one call to the next.

    Args:
        encoding: how.
    """

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        self._serializer = FeatureSerializer(encoding.features())
        self._tokenizer = FullTokenizer(encoding.vocab_file, encoding.do_lower_case)

    def encode(self, examples: Sequence[Any]) -> list[EncodedFeature]:
        """The features of examples, in their order.

        Raises:
            ValueError: what the task says of one of them; see `FeatureSerializer.serialize`, too.
        """
        encoding = self._encoding
        rows = encoding.task.encode(
            examples, encoding.split, self._tokenizer, encoding.max_seq_length
        )
        return [self._serializer.serialize(row) for row in rows]
