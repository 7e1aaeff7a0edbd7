"""Encodes examples into serialized records: encoded by their task, then padded. No TensorFlow.

A record misses its `unique_ids` at first, the number of the window in the file: a process that
encodes some of the examples does not know how many windows come before them.
"""

import dataclasses
import functools
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from bert_tf.data.schema import (
    Feature,
    ListHeaders,
    encode_entry,
    encode_values,
    encode_varint,
)
from bert_tf.files.workers import run_in_order
from bert_tf.tasks.task import Row
from bert_tf.text.tokenizer import Tokenizer, load_tokenizer

UNIQUE_IDS = "unique_ids"

_CHUNK_EXAMPLES = 128
# Fewer are encoded before other processes have started and read the vocabulary.
_FEW_EXAMPLES = 2000

# Their values are below 128, so that each is one byte in a record.
_ONE_BYTE_EACH = ("input_mask", "segment_ids")


class EncodedWindow(NamedTuple):
    """A record without its number: the serialized entries before and after it."""

    num_tokens: int
    before: bytes
    after: bytes


@dataclasses.dataclass(frozen=True)
class Encoding:
    """How a split's examples are encoded.

    task: see `bert_tf/tasks/task.py`.
    split: one of the task's.
    vocab_file, do_lower_case: of the tokenizer.
    max_seq_length: tokens of a window, padding included.
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
    """Pads and serializes the features of a split.

    The bytes are those of `schema.encode_example`, made several times as fast: the bytes of a
    number are looked up, and what precedes a list is made once for each size.

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

    def serialize(self, row: Row) -> EncodedWindow:
        """Serializes a window as a task encodes it, but for its number.

        Args:
            row: by name, values without padding. `input_mask` (by default 1 for each token) and
                `is_real_example` (by default 1) may be left out.

        Raises:
            ValueError: for missing or undescribed features, and too many or too few values.
        """
        num_tokens = len(row["input_ids"])
        row = {"input_mask": b"\1" * num_tokens, "is_real_example": [1], **row}
        unknown = set(row) - set(self._features) - {"input_mask", "is_real_example"}
        if unknown:
            raise ValueError(f"The task encodes features that it does not describe: {unknown}.")
        before = b"".join([self._entry(name, row) for name in self._before])
        after = b"".join([self._entry(name, row) for name in self._after])
        return EncodedWindow(num_tokens, before, after)

    def record(self, window: EncodedWindow, unique_id: int) -> bytes:
        """The serialized `tf.train.Example`."""
        number = b""
        if self._is_numbered:
            number = encode_entry(UNIQUE_IDS, encode_values(UNIQUE_IDS, [unique_id]))
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
            return encode_entry(name, encode_values(name, floats))
        if name in _ONE_BYTE_EACH:
            packed = bytes(values)
        else:
            packed = b"".join(map(self._varints.__getitem__, values))
        return b"".join((self._headers[name][len(packed) + missing], packed, bytes(missing)))


class _Varints(dict):
    """The bytes of a number in a record."""

    def __missing__(self, value: int) -> bytes:
        self[value] = encode_varint(value)
        return self[value]


class Encoder:
    """Encodes examples, with a tokenizer that caches words from one call to the next.

    It can be sent to another process, which then loads the tokenizer when it is first called.

    Args:
        encoding: how.
    """

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding

    def __call__(self, examples: Sequence[Any]) -> list[list[EncodedWindow]]:
        """Returns the windows of each example.

        Raises:
            ValueError: what the task says of an example; and see `FeatureSerializer.serialize`.
        """
        return [list(map(self._serializer.serialize, self._rows(each))) for each in examples]

    @functools.cached_property
    def _serializer(self) -> FeatureSerializer:
        return FeatureSerializer(self._encoding.features())

    @functools.cached_property
    def _tokenizer(self) -> Tokenizer:
        return load_tokenizer(self._encoding.vocab_file, self._encoding.do_lower_case)

    def _rows(self, example: Any) -> Iterable[Row]:
        encoding = self._encoding
        return encoding.task.encode(
            example, encoding.split, self._tokenizer, encoding.max_seq_length
        )


def encode_examples(
    encoding: Encoding, examples: Sequence[Any], num_workers: int = 0
) -> Iterator[list[list[EncodedWindow]]]:
    """Encodes examples, in their order. Close the iterator if it may not be used up.

    Args:
        encoding: how.
        examples: of one split.
        num_workers: the number of processes; 0 for one per core. Few examples are always encoded
            in this one.

    Yields: for some successive examples, the windows of each.

    Raises:
        ValueError, OSError: what the task says of an example, wherever it was encoded.
        ChildProcessError: if a worker process was killed.
    """
    starts = range(0, len(examples), _CHUNK_EXAMPLES)
    chunks = (examples[start : start + _CHUNK_EXAMPLES] for start in starts)
    num_workers = min(num_workers or _num_cores(), len(starts))
    if len(examples) < _FEW_EXAMPLES:
        num_workers = 1
    return run_in_order(Encoder(encoding), chunks, max(1, num_workers))


def _num_cores() -> int:
    """The number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
