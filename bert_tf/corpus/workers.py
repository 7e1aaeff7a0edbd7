"""Calls a function for one piece of work after another, in this process or in several.

    this process          one of its threads reads pieces ─> queue ─> a worker that is free
                                                                      │
    results, in whatever order they come <────────────────────────────┘

At most one piece waits for each worker, so that memory is bounded whatever the input's size.
"""

import multiprocessing
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

Work = TypeVar("Work")
Result = TypeVar("Result")

_POLL_SECONDS = 0.2
_END = object()


def do_all(
    function: Callable[[Work], Result], works: Iterable[Work], num_workers: int
) -> Iterator[Result]:
    """Yields `function(work)` for each work, in the order in which they are done.

    Args:
        function: of a module, so that other processes find it.
        works: is iterated in a thread of this process if there are several workers.
        num_workers: 1: everything is done here.

    Raises:
        ValueError, OSError: of the function, or of the iterable.
        ChildProcessError: if a worker was killed.
    """
    if num_workers == 1:
        yield from map(function, works)
        return
    # A forked process would inherit the threads of TensorFlow, where it is loaded, half alive.
    context = multiprocessing.get_context("spawn")
    workers: dict[Connection, Any] = {}
    reader = _Reader(works, num_workers)
    try:
        for _ in range(num_workers):
            ours, theirs = context.Pipe()
            workers[ours] = context.Process(target=_work, args=(function, theirs), daemon=True)
            workers[ours].start()
            theirs.close()
        yield from _deal(reader, workers)
    finally:
        reader.stop()
        for worker in workers.values():
            worker.terminate()
        for worker in workers.values():
            worker.join()


def _deal(reader: "_Reader", workers: dict[Connection, Any]) -> Iterator[Any]:
    free, busy = list(workers), set()
    work, is_over = None, False
    while busy or not is_over:
        if work is not None and free:
            connection = free.pop()
            _send(connection, work, workers)
            busy.add(connection)
            work = None
        wanted = [] if work is not None or is_over else [reader.ready]
        for connection in wait([*busy, *wanted]):
            if connection is reader.ready:
                work = reader.take()
                if work is _END:
                    work, is_over = None, True
                continue
            busy.remove(connection)
            free.append(connection)
            yield _receive(connection, workers)


def _send(connection: Connection, work: Any, workers: dict[Connection, Any]) -> None:
    try:
        connection.send(work)
    except (BrokenPipeError, ConnectionResetError):
        raise _killed(workers[connection]) from None


def _receive(connection: Connection, workers: dict[Connection, Any]) -> Any:
    try:
        result = connection.recv()
    except (EOFError, ConnectionResetError):
        raise _killed(workers[connection]) from None
    if isinstance(result, Exception):
        raise result
    return result


def _killed(worker: Any) -> ChildProcessError:
    worker.join()
    return ChildProcessError(
        f"A worker was ended by something (exit status {worker.exitcode}). Started again, the "
        f"command goes on where it was. If memory ran out, have fewer workers: it goes on with "
        f"these, too. (With smaller parts it has to begin anew.)"
    )


def _work(function: Callable[[Any], Any], connection: Connection) -> None:
    """A worker: does what it is sent until there is nobody to send any more."""
    # Ctrl-C reaches all processes of a terminal: it is the first one's to end the others. Told to
    # end, they leave nothing half-written.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    while True:
        try:
            work = connection.recv()
        except (EOFError, ConnectionResetError):
            return
        try:
            result = function(work)
        except (ValueError, OSError) as error:
            result = error
        try:
            connection.send(result)
        except (BrokenPipeError, ConnectionResetError):
            return


class _Reader:
    """Reads ahead in a thread: one piece of work for each worker, and no more.

    `ready` can be waited for, and then there is a piece to take.
    """

    def __init__(self, works: Iterable[Any], num_ahead: int) -> None:
        self.ready, self._notice = multiprocessing.Pipe(duplex=False)
        self._queue: queue.Queue = queue.Queue(num_ahead)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._read, args=(works,), daemon=True)
        self._thread.start()

    def take(self) -> Any:
        """The next piece, or `_END`; raises what reading it raised."""
        self.ready.recv_bytes()
        work = self._queue.get()
        if isinstance(work, Exception):
            raise work
        return work

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()
        self.ready.close()
        self._notice.close()

    def _read(self, works: Iterable[Any]) -> None:
        try:
            for work in works:
                if not self._put(work):
                    return
            self._put(_END)
        except Exception as error:  # It is the other thread's to raise it.
            self._put(error)

    def _put(self, work: Any) -> bool:
        while not self._stopped.is_set():
            try:
                self._queue.put(work, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            self._notice.send_bytes(b"1")
            return True
        return False
