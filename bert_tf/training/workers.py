"""The processes (workers) of a run: how they agree, and what they do if one dies.

With a single process, nothing here costs anything. Of several, each computes its share of every
step, and all hold the same weights. The chief, number 0, is the one that writes: checkpoints,
metrics, predictions. Decisions that depend on clocks or signals (to stop, how many steps a graph
call takes) are made together, as all must run the same steps.

If a worker dies or does not answer, the others end: TensorFlow's coordination service notices it
(`--worker_timeout`), and operations that wait for it fail. They leave with a message and the exit
status LOST_WORKER_STATUS; started again, the run resumes from its last checkpoint.
"""

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TextIO

import numpy as np
import tensorflow as tf

logger = logging.getLogger(__name__)

# EX_TEMPFAIL of sysexits.h: a failure that a restart may fix.
LOST_WORKER_STATUS = 75
# A graph call lasts a second or a step, and between two a checkpoint is written. If none ends for
# so many times the timeout, some worker hangs although its process answers, as on a file system
# that does not respond.
_STALL_TIMEOUTS = 10
# Errors of collectives when another process is gone.
_LOSSES = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.UnavailableError,
)
# Their messages when no process is gone, but they compute different things.
_MISMATCH = re.compile("mismatch|but got", re.IGNORECASE)
# Settings that may differ between processes: their own number, and where they find shared files.
_OWN_OF_WORKER = re.compile(
    r"task_index|worker_timeout|num_workers|num_gpus|\w+_(file|dir|checkpoint)|phases|task_options"
)
# So many bits of a digest are whole numbers in the float32 that is exchanged.
_DIGEST_BYTES = 3


class WorkersDisagree(ValueError):
    """The processes of a run have different settings, or do not see the same files."""


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
        """Returns whether this is the process that writes."""
        return self.index == 0

    def exchange(self, *values: float) -> np.ndarray:
        """Returns float32 [workers, values]: every worker's values. All workers must call this."""
        if self.count == 1:
            return np.array([values], np.float32)
        table = self._exchange(tf.constant(values, tf.float32)).numpy()
        return table.reshape(self.count, -1, len(values))[:, 0]

    def wait(self) -> None:
        """Waits until all workers have called this."""
        self.exchange(0.0)

    def agree(self, stop: bool, num_steps: int) -> tuple[bool, int]:
        """Returns whether any worker wants to stop, and the smallest number of steps."""
        table = self.exchange(float(stop), float(num_steps))
        return bool(table[:, 0].any()), int(table[:, 1].min())

    def check_same_settings(self, settings: Any) -> None:
        """Raises WorkersDisagree unless all have the same settings, a dataclass.

        Paths may differ, as hosts may see shared files in different places.
        """
        self.check_same(
            {
                field.name: getattr(settings, field.name)
                for field in dataclasses.fields(settings)
                if not _OWN_OF_WORKER.fullmatch(field.name)
            }
        )

    def check_same(self, values: Mapping[str, Any]) -> None:
        """Raises WorkersDisagree unless all have the same values: JSON values by name."""
        if self.count == 1:
            return
        names = sorted(values)
        if self._differing([names, [values[name] for name in names]]):
            differing = [] if self._differing([names]) else self._differing(map(values.get, names))
            what = ", ".join(f"{names[i]} (here: {values[names[i]]})" for i in differing)
            raise WorkersDisagree(
                f"The workers differ, and would not train one model: {what or 'their settings'}. "
                "Start all with the same command, except for --task_index."
            )

    def _differing(self, values: Iterable[Any]) -> list[int]:
        """Returns the indices of values that differ between workers; all give equally many."""
        digests = []
        for value in values:
            text = json.dumps(value, sort_keys=True, default=str)
            digest = hashlib.sha256(text.encode()).digest()
            digests.append(int.from_bytes(digest[:_DIGEST_BYTES], "big"))
        table = self.exchange(*digests)
        return np.flatnonzero((table != table[0]).any(axis=0)).tolist()

    def check_same_step(self, step: int, folder: str) -> None:
        """Raises WorkersDisagree unless all have restored the weights of the same step."""
        steps = self.exchange(float(step))[:, 0].astype(int)
        if (steps != steps[0]).any():
            found = ", ".join(f"worker {index}: {there}" for index, there in enumerate(steps))
            raise WorkersDisagree(
                f"{folder}: the workers do not find the same checkpoints there; the steps are "
                f"{found}. It must be one folder that all hosts share, such as a network file "
                "system or a bucket (gs://...)."
            )

    def stream(self, stream: TextIO | None) -> TextIO | None:
        """Returns where this process shows progress: only the chief does."""
        return stream if self.is_chief else _Nowhere()

    def _exchange_in_graph(self, values: tf.Tensor) -> tf.Tensor:
        def of_replica(values: tf.Tensor) -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            mine = tf.one_hot(context.replica_id_in_sync_group, context.num_replicas_in_sync)
            # A sum of tables with a row each, as every device can all-reduce sums.
            return context.all_reduce(tf.distribute.ReduceOp.SUM, mine[:, None] * values)

        table = self._strategy.run(of_replica, args=(values,))
        return self._strategy.experimental_local_results(table)[0]


@contextlib.contextmanager
def together(strategy: tf.distribute.Strategy, settings: Any) -> Iterator[None]:
    """Within it, this process works with the others of its run, and ends if one is lost.

    It starts with a check that all have the same settings, a dataclass: see `check_same_settings`.
    It ends for all together: a process that is done waits for the others. A process that loses
    another one says so, and exits at once with LOST_WORKER_STATUS, whatever still waits.
    """
    workers = Workers(strategy)
    if workers.count == 1:
        yield
        return
    try:
        workers.check_same_settings(settings)
        yield
    except tf.errors.OpError as error:
        if not _is_loss(error):
            raise
        _exit_for_loss(_first_line(error), workers)
    # Everything is done and written: it does no harm if another process is gone already.
    with contextlib.suppress(tf.errors.OpError):
        workers.wait()


def _is_loss(error: tf.errors.OpError) -> bool:
    if _MISMATCH.search(error.message):
        return False
    return isinstance(error, _LOSSES) or "ollective" in error.message


def _first_line(error: tf.errors.OpError) -> str:
    lines = [line.strip() for line in error.message.splitlines() if line.strip()]
    reasons = [line for line in lines if "Collective ops is aborted by" in line]
    return (reasons or lines or [type(error).__name__])[0]


def _exit_for_loss(reason: str, workers: Workers) -> None:
    logger.error(
        "Worker %d of %d lost another one, and ends: %s. Start all workers again: the run resumes "
        "from its last checkpoint.",
        *(workers.index, workers.count, reason),
    )
    _leave()


def _leave() -> None:
    """Ends the process at once, even if threads wait for other processes."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(LOST_WORKER_STATUS)


class StallWatch:
    """Ends the process if training hangs although all workers answer.

    That happens if one of them waits for a file, and the others wait for it.

    Args:
        workers: the processes; for a single one nothing is watched.
        timeout: seconds after which a silent worker counts as lost. Here ten times as long is
            waited, from the first `goes_on`: the first graph call, which compiles it, may take any
            time.
    """

    def __init__(self, workers: Workers, timeout: float):
        self._workers = workers
        self._seconds = _STALL_TIMEOUTS * timeout
        self._latest: float | None = None
        self._is_over = threading.Event()

    def __enter__(self) -> "StallWatch":
        if self._workers.count > 1:
            threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *error) -> None:
        self._is_over.set()

    def goes_on(self) -> None:
        """Notes that something was done, and starts watching if this is the first call."""
        self._latest = time.monotonic()

    def _watch(self) -> None:
        while not self._is_over.wait(min(1.0, self._seconds / 4)):
            latest = self._latest
            if latest is not None and time.monotonic() - latest > self._seconds:
                _exit_for_loss(f"nothing went on for {self._seconds:.0f} seconds", self._workers)


class _Nowhere:
    """A text stream that discards everything."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        pass
