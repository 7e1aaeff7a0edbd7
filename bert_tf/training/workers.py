"""The processes of a run, seen from one of them: what they agree on, and what they do if one dies.

Whoever trains alone is its own only worker, and nothing here costs anything then. Of several, each
computes its share of every step, and all hold the same weights. The chief, number 0, is the one
that writes: checkpoints, figures, predictions. What is decided by clocks or signals (to stop, how
many steps a call of the graph takes) is decided together, as all must run the same steps.

A worker that dies or does not answer ends the others: TensorFlow's coordination service notices it
(`--worker_timeout`), and what waits for it fails. They leave with a message and the status
LOST_WORKER_STATUS; started again, the run goes on from its last checkpoint.
"""

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from typing import TextIO

import numpy as np
import tensorflow as tf

logger = logging.getLogger(__name__)

# EX_TEMPFAIL of sysexits.h: a failure that starting again may mend.
LOST_WORKER_STATUS = 75
# A graph call lasts a second or a step. If one lasts so many times the timeout, some worker's work
# stands still although its process answers, as on a file system that hangs.
_STALL_TIMEOUTS = 10
# What collectives raise when another process is gone.
_LOSSES = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.UnavailableError,
)


class WorkersDisagree(ValueError):
    """The processes of a run do not see the same files."""


class Workers:
    """The processes of a strategy.

    Args:
        strategy: the devices.

    Attributes:
        count: how many processes there are.
        index: which of them this is.
    """

    def __init__(self, strategy: tf.distribute.Strategy):
        self.count, self.index = 1, 0
        if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            resolver = strategy.cluster_resolver
            jobs = resolver.cluster_spec().as_dict()
            before = len(jobs.get("chief", ())) if resolver.task_type == "worker" else 0
            self.count = max(sum(len(hosts) for hosts in jobs.values()), 1)
            self.index = before + (resolver.task_id or 0)
        self._strategy = strategy
        self._exchange = tf.function(self._exchange_in_graph)

    @property
    def is_chief(self) -> bool:
        """Whether this is the process that writes."""
        return self.index == 0

    def exchange(self, *values: float) -> np.ndarray:
        """float32 [workers, values]: what every worker gave; all of them must call this."""
        if self.count == 1:
            return np.array([values], np.float32)
        table = self._exchange(tf.constant(values, tf.float32)).numpy()
        return table.reshape(self.count, -1, len(values))[:, 0]

    def wait(self) -> None:
        """Returns when all workers have come here."""
        self.exchange(0.0)

    def agree(self, stop: bool, num_steps: int) -> tuple[bool, int]:
        """Whether one of them wants to stop; and the least number of steps."""
        table = self.exchange(float(stop), float(num_steps))
        return bool(table[:, 0].any()), int(table[:, 1].min())

    def check_same_step(self, step: int, folder: str) -> None:
        """Raises WorkersDisagree unless all have restored the weights of one step."""
        steps = self.exchange(float(step))[:, 0].astype(int)
        if (steps != steps[0]).any():
            found = ", ".join(f"worker {index}: {there}" for index, there in enumerate(steps))
            raise WorkersDisagree(
                f"{folder}: the workers do not find the same checkpoints there; the steps are "
                f"{found}. It must be one folder that all hosts share, such as a network file "
                "system or a bucket (gs://...)."
            )

    def stream(self, stream: TextIO | None) -> TextIO | None:
        """Where this process shows progress: only the chief does."""
        return stream if self.is_chief else _Nowhere()

    def _exchange_in_graph(self, values: tf.Tensor) -> tf.Tensor:
        def of_replica(values: tf.Tensor) -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            mine = tf.one_hot(context.replica_id_in_sync_group, context.num_replicas_in_sync)
            # A sum of tables with a row each, as sums are what every device can exchange.
            return context.all_reduce(tf.distribute.ReduceOp.SUM, mine[:, None] * values)

        table = self._strategy.run(of_replica, args=(values,))
        return self._strategy.experimental_local_results(table)[0]


@contextlib.contextmanager
def together(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Within it, this process works with its others, and ends if one of them is lost.

    They leave it together: who is done waits for the others. Whoever loses one of them says so, and
    exits with LOST_WORKER_STATUS, at once and past all that still waits.
    """
    workers = Workers(strategy)
    if workers.count == 1:
        yield
        return
    try:
        yield
    except tf.errors.OpError as error:
        if not _is_loss(error):
            raise
        _exit_for_loss(_first_line(error), workers)
    # All is done and written: that another one is gone already harms nobody.
    with contextlib.suppress(tf.errors.OpError):
        workers.wait()


def _is_loss(error: tf.errors.OpError) -> bool:
    return isinstance(error, _LOSSES) or "ollective" in error.message


def _first_line(error: tf.errors.OpError) -> str:
    lines = [line.strip() for line in error.message.splitlines() if line.strip()]
    reasons = [line for line in lines if "Collective ops is aborted by" in line]
    return (reasons or lines or [type(error).__name__])[0]


def _exit_for_loss(reason: str, workers: Workers) -> None:
    logger.error(
        "Worker %d of %d lost another one, and ends: %s. Start all workers again: the run goes on "
        "from its last checkpoint.",
        *(workers.index, workers.count, reason),
    )
    _leave()


def _leave() -> None:
    """Ends the process: nothing that waits for other processes, in whatever thread, holds it."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(LOST_WORKER_STATUS)


class StallWatch:
    """Ends the process if a call of the graph does not come back though all workers answer.

    Args:
        workers: the processes; for a single one nothing is watched.
        timeout: seconds after which a silent worker counts as lost. Here ten times as long is
            waited, and the first call, which compiles the graph, may take any time.
    """

    def __init__(self, workers: Workers, timeout: float):
        self._workers = workers
        self._seconds = _STALL_TIMEOUTS * timeout
        self._began: float | None = None
        self._num_calls = 0
        self._is_over = threading.Event()

    def __enter__(self) -> "StallWatch":
        if self._workers.count > 1:
            threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *error) -> None:
        self._is_over.set()

    @contextlib.contextmanager
    def call(self) -> Iterator[None]:
        """A call that takes a second or a step."""
        self._num_calls += 1
        self._began = time.monotonic() if self._num_calls > 1 else None
        try:
            yield
        finally:
            self._began = None

    def _watch(self) -> None:
        while not self._is_over.wait(min(1.0, self._seconds / 4)):
            began = self._began
            if began is not None and time.monotonic() - began > self._seconds:
                _exit_for_loss(f"no step has ended for {self._seconds:.0f} seconds", self._workers)


class _Nowhere:
    """A text stream that keeps nothing."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        pass
