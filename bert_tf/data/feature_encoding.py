"""Examples -> serialized features, in this process or in several; always the same, in order.

    examples, in chunks --> worker 1: task.encode, pad, serialize --┐
                        --> worker 2                              --┼--> in the chunks' order
                        --> ...                                   --┘

A chunk is sent when a worker is free for it, and only so many chunks ahead of the one that is
waited for: memory holds a few hundred features a worker, however many there are in all. No
TensorFlow.
"""

import contextlib
import dataclasses
import math
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple, NoReturn

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

_CHUNK_EXAMPLES = 128
# Fewer are encoded before other processes have started and read the vocabulary.
_FEW_EXAMPLES = 2000
# Chunks sent ahead of the one that is written next, for each worker.
_CHUNKS_AHEAD = 3


class EncodedFeature(NamedTuple):
    """A record but for its number: its entries before that one and behind it, serialized."""

    num_tokens: int
    before: bytes
    after: bytes


@dataclasses.dataclass(frozen=True)
class Encoding:
    """All that a worker needs to know.

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
        row = {"input_mask": [1] * num_tokens, "is_real_example": [1], **row}
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
        packed = b"".join(map(self._varints.__getitem__, values))
        return b"".join((self._headers[name][len(packed) + missing], packed, bytes(missing)))


class _Varints(dict):
    """A number -> its bytes in a record."""

    def __missing__(self, value: int) -> bytes:
        self[value] = encode_varint(value)
        return self[value]


def encode_examples(
    encoding: Encoding, examples: Sequence[Any], num_workers: int = 0
) -> Iterator[tuple[int, list[EncodedFeature]]]:
    """Encodes examples, in their order. Close the iterator, so that no worker outlives it.

    Args:
        encoding: what is to be done.
        examples: of one split.
        num_workers: how many processes; 0 for one on each core. A few examples are always encoded
            in this one.

    Yields: how many examples were encoded, and the features made of them.

    Raises:
        ValueError, OSError: what the task says of an example, wherever it was encoded.
        ChildProcessError: if a worker came to an end by itself.
    """
    chunks = [
        range(start, min(start + _CHUNK_EXAMPLES, len(examples)))
        for start in range(0, len(examples), _CHUNK_EXAMPLES)
    ]
    num_workers = min(num_workers or _num_cores(), len(chunks))
    if num_workers < 2 or len(examples) < _FEW_EXAMPLES:
        encoder = _Encoder(encoding)
        for chunk in chunks:
            yield len(chunk), encoder.encode(_taken(examples, chunk))
        return
    with contextlib.closing(_Workers(encoding, num_workers)) as workers:
        for number, chunk in enumerate(chunks):
            while True:
                workers.send(examples, chunks[: number + _CHUNKS_AHEAD * num_workers])
                if number in workers.made:
                    break
                workers.receive()
            yield len(chunk), workers.made.pop(number)


class _Encoder:
    """Encodes chunks of examples, with a tokenizer that remembers words from one to the next."""

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        self._serializer = FeatureSerializer(encoding.features())
        self._tokenizer = FullTokenizer(encoding.vocab_file, encoding.do_lower_case)

    def encode(self, examples: Sequence[Any]) -> list[EncodedFeature]:
        encoding = self._encoding
        rows = encoding.task.encode(
            examples, encoding.split, self._tokenizer, encoding.max_seq_length
        )
        return [self._serializer.serialize(row) for row in rows]


class _Workers:
    """Processes that encode, each one chunk at a time.

    Attributes:
        made: by the number of the chunk, the features that were received.
    """

    def __init__(self, encoding: Encoding, num_workers: int) -> None:
        # A forked process would inherit the threads of TensorFlow, where it is loaded, half alive.
        context = multiprocessing.get_context("spawn")
        self.made: dict[int, list[EncodedFeature]] = {}
        self._num_sent = 0
        self._idle: list[Connection] = []
        self._processes: dict[Connection, Any] = {}
        try:
            for _ in range(num_workers):
                ours, theirs = context.Pipe()
                process = context.Process(target=_work, args=(encoding, theirs), daemon=True)
                process.start()
                self._processes[ours] = process
                self._idle.append(ours)
                theirs.close()
        except BaseException:
            self.close()
            raise

    def send(self, examples: Sequence[Any], chunks: Sequence[range]) -> None:
        """Gives the first chunks that nobody has to those who have none."""
        while self._idle and self._num_sent < len(chunks):
            connection = self._idle.pop()
            try:
                connection.send((self._num_sent, _taken(examples, chunks[self._num_sent])))
            except (BrokenPipeError, ConnectionResetError):
                self._report_end(connection)
            self._num_sent += 1

    def receive(self) -> None:
        """Waits until a worker has encoded its chunk, and takes it."""
        busy = [connection for connection in self._processes if connection not in self._idle]
        for connection in wait(busy):
            try:
                number, result = connection.recv()
            except (EOFError, ConnectionResetError):
                self._report_end(connection)
            if isinstance(result, Exception):
                raise result
            self.made[number] = result
            self._idle.append(connection)

    def close(self) -> None:
        """Ends the processes, whatever they are doing."""
        for process in self._processes.values():
            process.terminate()
        for connection, process in self._processes.items():
            process.join()
            connection.close()

    def _report_end(self, connection: Connection) -> NoReturn:
        process = self._processes[connection]
        process.join()
        raise ChildProcessError(
            f"A process that encodes examples came to an end (exit status {process.exitcode}). "
            f"If it says nothing above, it probably ran out of memory: have fewer workers."
        ) from None


def _work(encoding: Encoding, connection: Connection) -> None:
    """A worker: encodes what it is sent, until there is nobody who sends."""
    # Ctrl-C reaches all processes of a terminal: it is the first one's to end the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    encoder = None
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            number, examples = connection.recv()
            try:
                encoder = encoder or _Encoder(encoding)
                result = encoder.encode(examples)
            except (ValueError, OSError) as error:
                result = error
            connection.send((number, result))


def _taken(examples: Sequence[Any], chunk: range) -> list[Any]:
    return [examples[place] for place in chunk]


def _num_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
