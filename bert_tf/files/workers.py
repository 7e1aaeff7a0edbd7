"""Calls a function for many pieces of work, in this process or in several.

    works ── read only as fast as they are done ──> function, in worker processes ──> results

A thread for each worker process sends it one piece of work at a time and waits for the result.
Workers end with the call, after an error or Ctrl-C, and with this process; the function is unwound,
so nothing half-written is left. No TensorFlow.
"""

import contextlib
import multiprocessing
import os
import pickle
import queue
import signal
import sys
import threading
import traceback
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from multiprocessing.connection import Connection
from typing import Any, TypeVar

Work = TypeVar("Work")
Result = TypeVar("Result")

_POLL_SECONDS = 0.2
# Multiprocessing's "fork" would copy TensorFlow without the threads that it needs.
_CONTEXT = multiprocessing.get_context("spawn")


class WorkerKilled(ChildProcessError):
    """Raised when a worker process was killed, for example because memory ran out."""

    def __init__(self, work: Any, exit_status: int) -> None:
        super().__init__(
            f"A worker process was killed (exit status {exit_status}). If it ran out of memory, "
            "use fewer workers."
        )
        self.work = work  # The piece of work that it was doing.
        self.exit_status = exit_status  # -9 for signal 9.


def run_in_order(
    function: Callable[[Work], Result], works: Iterable[Work], num_workers: int
) -> Iterator[Result]:
    """Yields `function(work)` for each work, in the order of `works`.

    Close the iterator (`contextlib.closing`) if it may not be used up: that ends the workers.
    Raises what `function` raises, or `WorkerKilled` if a worker process was killed.

    Args:
        function: must be picklable. Each worker has one copy, which may cache data.
        works: up to `3 * num_workers` pieces are read ahead.
        num_workers: the number of processes; 1 uses this process.
    """
    if num_workers == 1:
        yield from map(function, works)
        return
    with _Pool(function, num_workers) as pool:
        pending: deque[Future] = deque()
        for work in works:
            pending.append(pool.submit(work))
            if len(pending) >= 3 * num_workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def run_unordered(
    function: Callable[[Work], Result],
    works: Iterable[Work],
    num_workers: int,
    on_progress: Callable[[float], None] = lambda done: None,
) -> Iterator[Result]:
    """Yields `function(work)` for each work, as soon as it is done; see `run_in_order`.

    `on_progress` is called at intervals with the sum of all amounts given to `report_progress`.
    """
    if num_workers == 1:
        _reported.amount, _reported.tell = 0.0, on_progress
        yield from map(function, works)
        return
    with _Pool(function, num_workers) as pool:
        pending: set[Future] = set()
        for work in works:
            pending.add(pool.submit(work))
            while len(pending) >= 2 * num_workers:
                yield from pool.take_done(pending, on_progress)
        while pending:
            yield from pool.take_done(pending, on_progress)


def report_progress(amount: float) -> None:
    """Adds `amount` to the progress; called by the function that `run_unordered` runs."""
    _reported.amount += amount
    _reported.tell(_reported.amount)


# The amount reported in this process, and the callback.
_reported = types.SimpleNamespace(amount=0.0, tell=lambda amount: None)


class _Pool:
    """Worker processes, which are ended when the block ends."""

    def __init__(self, function: Callable[[Any], Any], num_workers: int) -> None:
        self._function = function
        self._num_workers = num_workers
        self._workers: list[_Worker] = []
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(num_workers)

    def __enter__(self) -> "_Pool":
        return self

    def __exit__(self, *_: Any) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        for worker in self._workers:
            worker.process.terminate()
        self._threads.shutdown()
        for worker in self._workers:
            worker.process.join()

    def submit(self, work: Any) -> Future:
        if len(self._workers) < self._num_workers:
            is_main_needed = b"__main__" in pickle.dumps((self._function, work))
            with contextlib.nullcontext() if is_main_needed else _without_main():
                self._workers.append(_Worker(self._function))
            self._idle.put(self._workers[-1])
        return self._threads.submit(self._call, work)

    def take_done(
        self, pending: set[Future], on_progress: Callable[[float], None]
    ) -> Iterator[Any]:
        """Waits briefly, removes completed futures from `pending`, and yields their results."""
        done, _ = wait(pending, _POLL_SECONDS, FIRST_COMPLETED)
        on_progress(sum(worker.reported for worker in self._workers))
        pending -= done
        for future in done:
            yield future.result()

    def _call(self, work: Any) -> Any:
        worker = self._idle.get()
        try:
            return worker.call(work)
        finally:
            self._idle.put(worker)


class _Worker:
    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.reported = 0.0
        self._killed: WorkerKilled | None = None
        self._connection, theirs = _CONTEXT.Pipe()
        self.process = _CONTEXT.Process(target=_serve, args=(function, theirs), daemon=True)
        self.process.start()
        theirs.close()

    def call(self, work: Any) -> Any:
        if self._killed is not None:
            raise self._killed
        try:
            self._connection.send(work)
            while (reply := self._connection.recv())[0] == "progress":
                self.reported = reply[1]
        except (EOFError, OSError):
            self.process.join()
            self._killed = WorkerKilled(work, self.process.exitcode)
            raise self._killed from None
        kind, value, *where = reply
        if kind == "error":
            raise value from RuntimeError(f"in a worker process:\n{where[0]}")
        return value


def _serve(function: Callable[[Any], Any], connection: Connection) -> None:
    """Does the work of a worker process until SIGTERM."""
    # Ctrl-C reaches all processes of a terminal; the parent ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _reported.tell = lambda amount: connection.send(("progress", amount))
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):  # A dead parent.
        while True:
            work = connection.recv()
            try:
                connection.send(("result", function(work)))
            except Exception as error:
                connection.send(("error", error, traceback.format_exc()))


def _end(*_: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # A second one would interrupt the unwinding.
    sys.exit(1)


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os.kill(os.getpid(), signal.SIGTERM)


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Keeps processes started in the block from importing the running program.

    That would load TensorFlow, and rerun a program without `if __name__ == "__main__"`.
    """
    program = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = program
