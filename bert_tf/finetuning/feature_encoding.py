"""Encodes examples into serialized, padded records, in several processes without TensorFlow.

A process does not know how many windows precede its own, so `unique_ids`, the number of the window
in the file, is added later.
"""

import dataclasses
import functools
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from bert_tf.data.schema import Feature, ListHeaders, encode_entry, encode_varint
from bert_tf.files.workers import run_in_order
from bert_tf.tasks.task import Row, TruncatedRow
from bert_tf.text.tokenizer import Tokenizer, load_tokenizer

_UNIQUE_IDS = "unique_ids"
_ONE_BYTE_EACH = ("input_mask", "segment_ids")  # Values below 128 take one byte in a record.

_CHUNK_EXAMPLES = 128
_FEW_EXAMPLES = 2000  # With fewer, starting other processes takes longer than encoding.


class EncodedWindow(NamedTuple):
    """A record's serialized entries before and after its `unique_ids`."""

    num_tokens: int
    before: bytes
    after: bytes
    is_truncated: bool = False


class FeatureSerializer:
    """Pads and serializes the features of a split.

    Returns the same bytes as `schema.encode_example`, several times as fast: it caches the bytes of
    numbers and of list headers.
    """

    def __init__(self, features: Mapping[str, Feature]) -> None:
        self._features = dict(features)
        self._names = sorted(features.keys() - {_UNIQUE_IDS})
        self._place = sum(name < _UNIQUE_IDS for name in self._names)
        self._varints = _Varints()
        self._headers = {name: ListHeaders(name) for name in features}

    def serialize(self, row: Row) -> EncodedWindow:
        """Serializes a window, except for its number.

        `input_mask` and `is_real_example` may be omitted; they are 1. Raises a ValueError for
        missing or undescribed features, and too many or too few values.
        """
        num_tokens, is_truncated = len(row["input_ids"]), isinstance(row, TruncatedRow)
        row = {"input_mask": b"\1" * num_tokens, "is_real_example": [1], **row}
        unknown = set(row) - set(self._features) - {"input_mask", "is_real_example"}
        if unknown:
            raise ValueError(f"The task encodes features that it does not describe: {unknown}.")
        entries = [self._entry(name, row) for name in self._names]
        before, after = entries[: self._place], entries[self._place :]
        return EncodedWindow(num_tokens, b"".join(before), b"".join(after), is_truncated)

    def record(self, window: EncodedWindow, unique_id: int) -> bytes:
        """Returns the serialized `tf.train.Example`."""
        number = b""
        if _UNIQUE_IDS in self._features:
            number = encode_entry(_UNIQUE_IDS, [unique_id])
        size = len(window.before) + len(number) + len(window.after)
        return b"".join((b"\x0a", encode_varint(size), window.before, number, window.after))

    def _entry(self, name: str, row: Row) -> bytes:
        feature = self._features[name]
        if name not in row:
            raise ValueError(f"The task describes the feature {name}, but does not encode it.")
        values, size = row[name], math.prod(feature.shape)
        missing = size - len(values)
        if missing < 0 or (missing and size == 1):
            raise ValueError(f"{name}: {len(values)} values, but the feature holds {size}.")
        if feature.dtype != "int64":
            floats = [*map(float, values), *([0.0] * missing)]
            return encode_entry(name, floats)
        if name in _ONE_BYTE_EACH:
            packed = bytes(values)
        else:
            packed = b"".join(map(self._varints.__getitem__, values))
        return b"".join((self._headers[name][len(packed) + missing], packed, bytes(missing)))


class _Varints(dict):
    def __missing__(self, value: int) -> bytes:
        self[value] = encode_varint(value)
        return self[value]


@dataclasses.dataclass(frozen=True)
class Encoding:
    """Encodes a split's examples, in this process or another."""

    task: Any  # See `bert_tf/tasks/task.py`.
    split: str
    vocab_file: str
    do_lower_case: bool
    max_seq_length: int  # Tokens of a window, padding included.
    model_type: str = "bert"  # Whose tokenizer it is.

    @functools.cached_property
    def features(self) -> dict[str, Feature]:
        return self.task.features(self.split, self.max_seq_length)

    @functools.cached_property
    def serializer(self) -> FeatureSerializer:
        return FeatureSerializer(self.features)

    @functools.cached_property
    def _tokenizer(self) -> Tokenizer:
        return load_tokenizer(self.vocab_file, self.do_lower_case, model_type=self.model_type)

    def encode(self, examples: Sequence[Any]) -> list[list[EncodedWindow]]:
        """Returns the windows of each example."""
        how = (self.split, self._tokenizer, self.max_seq_length)
        serialize = self.serializer.serialize
        return [list(map(serialize, self.task.encode(example, *how))) for example in examples]


def encode_examples(
    encoding: Encoding, examples: Sequence[Any], num_workers: int = 0
) -> Iterator[list[list[EncodedWindow]]]:
    """Yields the windows of the examples, in chunks of examples; see `ensure_features`.

    Close the iterator if it may not be used up. Few examples are encoded in this process.
    """
    starts = range(0, len(examples), _CHUNK_EXAMPLES)
    chunks = (examples[start : start + _CHUNK_EXAMPLES] for start in starts)
    num_workers = min(num_workers or _num_cores(), len(starts))
    if len(examples) < _FEW_EXAMPLES:
        num_workers = 1
    return run_in_order(encoding.encode, chunks, max(1, num_workers))


def _num_cores() -> int:
    """Returns the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
