"""Encodes examples in several processes, or in this one; always the same features, in order.

    examples, in chunks --> worker 1: task.encode, pad, serialize --┐
                        --> worker 2                              --┼--> in the chunks' order
                        --> ...                                   --┘

A chunk is sent when a worker is free for it, and only so many chunks ahead of the one that is
waited for: memory holds a few hundred features a worker, however many there are in all. No
TensorFlow.
"""

import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import types
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, NoReturn

from bert_tf.finetuning.feature_encoding import EncodedWindow, Encoder, Encoding

_CHUNK_EXAMPLES = 128
# Fewer are encoded before other processes have started and read the vocabulary.
_FEW_EXAMPLES = 2000
# Chunks sent ahead of the one that is written next, for each worker.
_CHUNKS_AHEAD = 3


def encode_examples(
    encoding: Encoding, examples: Sequence[Any], num_workers: int = 0
) -> Iterator[list[list[EncodedWindow]]]:
    """Encodes examples, in their order. Close the iterator, so that no worker outlives it.

    Args:
        encoding: what is to be done.
        examples: of one split.
        num_workers: how many processes; 0 for one on each core. A few examples are always encoded
            in this one.

    Yields: for some successive examples, the windows of each.

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
        encoder = Encoder(encoding)
        for chunk in chunks:
            yield encoder.encode(_taken(examples, chunk))
        return
    with contextlib.closing(_Workers(encoding, num_workers, examples[0])) as workers:
        for number in range(len(chunks)):
            while True:
                workers.send(examples, chunks[: number + _CHUNKS_AHEAD * num_workers])
                if number in workers.made:
                    break
                workers.receive()
            yield workers.made.pop(number)


class _Workers:
    """Processes that encode, each one chunk at a time.

    Args:
        encoding: how.
        num_workers: how many.
        example: any of the examples.

    Attributes:
        made: by the number of the chunk, the features that were received.
    """

    def __init__(self, encoding: Encoding, num_workers: int, example: Any) -> None:
        # A forked process would inherit the threads of TensorFlow, where it is loaded, half alive.
        context = multiprocessing.get_context("spawn")
        is_elsewhere = b"__main__" not in pickle.dumps((encoding, example))
        self.made: dict[int, list[list[EncodedWindow]]] = {}
        self._num_sent = 0
        self._idle: list[Connection] = []
        self._processes: dict[Connection, Any] = {}
        try:
            for _ in range(num_workers):
                ours, theirs = context.Pipe()
                process = context.Process(target=_work, args=(encoding, theirs), daemon=True)
                with _no_program() if is_elsewhere else contextlib.nullcontext():
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
                encoder = encoder or Encoder(encoding)
                result = encoder.encode(examples)
            except (ValueError, OSError) as error:
                result = error
            connection.send((number, result))


@contextlib.contextmanager
def _no_program() -> Iterator[None]:
    """Processes that are started within it do not import the program that is running.

    They would import what it imports, TensorFlow, and a program that is not guarded by `if __name__
    == "__main__"` would run again in each of them.
    """
    program = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = program


def _taken(examples: Sequence[Any], chunk: range) -> list[Any]:
    return [examples[place] for place in chunk]


def _num_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
