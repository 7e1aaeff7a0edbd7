"""Calls a function for many pieces of work, in this process or in several.

    works ── read only as fast as they are done ──> function, in worker processes ──> results

The processes are those of `concurrent.futures`. In addition, memory is bounded whatever the number
of pieces, and workers never outlive the call: not an error, Ctrl-C, nor the death of this process.
Ending a worker unwinds the function that it runs, so that nothing half-written is left. No
TensorFlow.
"""

import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from typing import Any, TypeVar

Work = TypeVar("Work")
Result = TypeVar("Result")

_POLL_SECONDS = 0.2
# How long a worker that is told to end may take to send the result that it is sending.
_SEND_SECONDS = 1.0


class WorkerKilled(ChildProcessError):
    """Raised when a worker process was killed, for example because memory ran out.

    Attributes:
        work: the piece of work that it was doing; None if it was doing nothing.
        exit_status: of the process: -9 for signal 9.
    """

    def __init__(self, work: Any, exit_status: int | None) -> None:
        super().__init__(
            f"A worker process was killed (exit status {exit_status}). If it ran out of memory, "
            f"use fewer workers."
        )
        self.work = work
        self.exit_status = exit_status


def run_in_order(
    function: Callable[[Work], Result], works: Iterable[Work], num_workers: int
) -> Iterator[Result]:
    """Yields `function(work)` for each work, in the order of `works`.

    Close the iterator (`contextlib.closing`) if it may not be used up: that ends the workers.

    Args:
        function: a function of a module, or an object that can be pickled and called. Each worker
            gets one copy, which may cache what is needed for every piece.
        works: what to do. A worker that is busy has at most two more pieces waiting for it.
        num_workers: the number of processes; with 1 everything is done in this process.

    Raises:
        WorkerKilled: if a worker process was killed.
        Exception: whatever `function` or the iteration of `works` raises.
    """
    if num_workers == 1:
        yield from map(function, works)
        return
    with _open_pool(function, num_workers) as pool:
        pending: deque[Future] = deque()
        for work in works:
            pending.append(pool.submit(work))
            if len(pending) >= 3 * num_workers:
                yield pool.result(pending.popleft())
        while pending:
            yield pool.result(pending.popleft())


def run_unordered(
    function: Callable[[Work], Result],
    works: Iterable[Work],
    num_workers: int,
    on_progress: Callable[[float], None] = lambda done: None,
) -> Iterator[Result]:
    """Yields `function(work)` for each work, as soon as it is done; see `run_in_order`.

    Args:
        on_progress: called now and then with the sum of what `report_progress` has been told.
    """
    if num_workers == 1:
        _this_process.start(on_progress)
        yield from map(function, works)
        return
    with _open_pool(function, num_workers) as pool:
        pending: set[Future] = set()
        for work in works:
            pending.add(pool.submit(work))
            while len(pending) >= 2 * num_workers:
                done, pending = pool.wait(pending, on_progress)
                yield from map(pool.result, done)
        while pending:
            done, pending = pool.wait(pending, on_progress)
            yield from map(pool.result, done)


def report_progress(amount: float) -> None:
    """Reports, from within a function that `run_unordered` calls, that `amount` more is done."""
    _this_process.report(amount)


class _Pool:
    """A `ProcessPoolExecutor` that knows what each of its workers is doing."""

    def __init__(self, function: Callable[[Any], Any], num_workers: int) -> None:
        # A forked process would inherit the threads of TensorFlow, where it is loaded, half alive.
        context = multiprocessing.get_context("spawn")
        self._board = _Board(context, num_workers)
        self._alive, self._ours = context.Pipe(duplex=False)
        self._function = function
        self._executor = ProcessPoolExecutor(
            num_workers, context, _begin, (function, self._board, self._alive)
        )
        self._works: dict[Future, tuple[int, Any]] = {}
        self._others = set(multiprocessing.active_children())
        self._processes: dict[int | None, multiprocessing.Process] = {}
        self._num_submitted = 0
        self._num_workers = num_workers
        self._is_main_needed: bool | None = None

    def submit(self, work: Any) -> Future:
        if self._is_main_needed is None:
            self._is_main_needed = b"__main__" in pickle.dumps((self._function, work))
        self._num_submitted += 1
        guard = contextlib.nullcontext() if self._is_main_needed else _without_main()
        try:
            with guard:  # The executor starts its processes here, as they are needed.
                future = self._executor.submit(_run, self._num_submitted, work)
        except BrokenProcessPool:
            raise self._killed() from None
        self._works[future] = (self._num_submitted, work)
        if len(self._processes) < self._num_workers:
            children = set(multiprocessing.active_children()) - self._others
            self._processes.update({process.pid: process for process in children})
        return future

    def wait(
        self,
        pending: set[Future],
        on_progress: Callable[[float], None] = lambda done: None,
    ) -> tuple[set[Future], set[Future]]:
        """Waits for some to be done; returns those, and the others."""
        while True:
            done, rest = wait(pending, _POLL_SECONDS, FIRST_COMPLETED)
            on_progress(sum(self._board.done))
            if done:
                return done, rest
            # The executor may overlook the death of a process that it has only just started.
            if not all(process.is_alive() for process in self._processes.values()):
                raise self._killed()

    def result(self, future: Future) -> Any:
        self.wait({future})
        try:
            result = future.result()
        except BrokenProcessPool:
            raise self._killed() from None
        del self._works[future]
        return result

    def close(self, is_finished: bool) -> None:
        """Ends the workers: when they have nothing left to do, or at once."""
        if not is_finished:
            self._ours.close()
        self._executor.shutdown(cancel_futures=True)
        self._ours.close()
        self._alive.close()

    def _killed(self) -> WorkerKilled:
        """The error for a pool that is broken, when all its processes have ended."""
        self._executor.shutdown()
        works = dict(self._works.values())
        # Workers that the executor has ended have cleared what they were doing, see `_run`.
        for number, pid in zip(self._board.works, self._board.pids, strict=True):
            if number:
                return WorkerKilled(works.get(number), self._processes[pid].exitcode)
        statuses = [process.exitcode for process in self._processes.values()]
        return WorkerKilled(None, min((status for status in statuses if status), default=None))


class _Board:
    """Memory that all processes share: for each worker, what it is doing."""

    def __init__(self, context: Any, num_workers: int) -> None:
        self.num_started = context.Value("q", 0)
        self.pids = context.RawArray("q", num_workers)
        self.works = context.RawArray("q", num_workers)  # Numbered from 1; 0 for none.
        self.done = context.RawArray("d", num_workers)  # The sum of what it has reported.


@contextlib.contextmanager
def _open_pool(function: Callable[[Any], Any], num_workers: int) -> Iterator[_Pool]:
    pool = _Pool(function, num_workers)
    is_finished = False
    try:
        yield pool
        is_finished = True
    finally:
        pool.close(is_finished)


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
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


class _Process:
    """What a process that calls the function knows: in a worker, its place on the board."""

    def __init__(self) -> None:
        self.function: Callable[[Any], Any] | None = None
        self.board: _Board | None = None
        self.place = 0
        self.is_calling = False
        self.is_ending = False
        self._on_progress: Callable[[float], None] = lambda done: None
        self._done = 0.0

    def start(self, on_progress: Callable[[float], None]) -> None:
        self._on_progress, self._done = on_progress, 0.0

    def report(self, amount: float) -> None:
        self._done += amount
        if self.board is None:
            self._on_progress(self._done)
        else:
            self.board.done[self.place] = self._done


_this_process = _Process()


def _begin(function: Callable[[Any], Any], board: _Board, alive: Connection) -> None:
    """Prepares a worker process."""
    # Ctrl-C reaches all processes of a terminal; the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    me = _this_process
    me.function, me.board = function, board
    with board.num_started.get_lock():
        me.place = board.num_started.value
        board.num_started.value += 1
    board.pids[me.place] = os.getpid()
    threading.Thread(target=_end_with_parent, args=(alive,), daemon=True).start()


def _end_with_parent(alive: Connection) -> None:
    """Ends this process when its parent has closed the other end of the pipe, or is dead."""
    multiprocessing.connection.wait([alive])
    os.kill(os.getpid(), signal.SIGTERM)


def _end(*_: Any) -> None:
    """Ends a worker; a function that is running is unwound, a result being sent is sent whole."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # A second one would interrupt the unwinding.
    _this_process.is_ending = True
    if _this_process.is_calling:
        sys.exit(1)
    threading.Timer(_SEND_SECONDS, os._exit, [1]).start()


def _run(number: int, work: Any) -> Any:
    """Does a piece of work in a worker process."""
    me = _this_process
    try:
        me.is_calling = True
        if me.is_ending:
            sys.exit(1)
        me.board.works[me.place] = number
        try:
            return me.function(work)
        finally:
            me.board.works[me.place] = 0
            me.is_calling = False
    except SystemExit:
        os._exit(1)  # The executor would go on to the next piece.
