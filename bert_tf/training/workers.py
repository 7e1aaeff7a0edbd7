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

# EX_TEMPFAIL of sysexits.h: a failure that starting again may mend.
LOST_WORKER_STATUS = 75
# A graph call lasts a second or a step, and between two a checkpoint is written. If nothing ends
# for so many times the timeout, some worker's work stands still although its process answers, as on
# a file system that hangs.
_STALL_TIMEOUTS = 10
# What collectives raise when another process is gone.
_LOSSES = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.UnavailableError,
)
# What the same errors say when nobody is gone, but the processes compute different things.
_MISMATCH = re.compile("mismatch|but got", re.IGNORECASE)
# What each process may have its own of: itself, and how it reaches the files that all have.
_OWN_OF_WORKER = re.compile(
    r"task_index|worker_timeout|num_workers|num_gpus|\w+_(file|dir|checkpoint)|phases|task_options"
)
# So many bits of a digest are whole numbers in the float32 that is exchanged.
_DIGEST_BYTES = 3


class WorkersDisagree(ValueError):
    """The processes of a run were told other things, or do not see the same files."""


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

    def check_same_settings(self, settings: Any) -> None:
        """Raises WorkersDisagree unless all were told the same, by a dataclass of settings.

        Where files lie may differ, as hosts may see them in other places; what is in them, see
        `check_same`.
        """
        self.check_same(
            {
                field.name: getattr(settings, field.name)
                for field in dataclasses.fields(settings)
                if not _OWN_OF_WORKER.fullmatch(field.name)
            }
        )

    def check_same(self, values: Mapping[str, Any]) -> None:
        """Raises WorkersDisagree unless all have the same values, which JSON can hold, by name."""
        if self.count == 1:
            return
        names = sorted(values)
        if self._differing([names, [values[name] for name in names]]):
            differing = [] if self._differing([names]) else self._differing(map(values.get, names))
            what = ", ".join(f"{names[i]} (here: {values[names[i]]})" for i in differing)
            raise WorkersDisagree(
                f"The workers were not all told the same, and would not train one model: "
                f"{what or 'their settings'}. Start all with the same command but for --task_index."
            )

    def _differing(self, values: Iterable[Any]) -> list[int]:
        """The places of the values that are not the same in all workers; all give as many."""
        digests = []
        for value in values:
            text = json.dumps(value, sort_keys=True, default=str)
            digest = hashlib.sha256(text.encode()).digest()
            digests.append(int.from_bytes(digest[:_DIGEST_BYTES], "big"))
        table = self.exchange(*digests)
        return np.flatnonzero((table != table[0]).any(axis=0)).tolist()

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
def together(strategy: tf.distribute.Strategy, settings: Any) -> Iterator[None]:
    """Within it, this process works with its others, and ends if one of them is lost.

    They begin it with the same settings, a dataclass, or not at all: see `check_same_settings`.
    They leave it together: who is done waits for the others. Whoever loses one of them says so, and
    exits with LOST_WORKER_STATUS, at once and past all that still waits.
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
    # All is done and written: that another one is gone already harms nobody.
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
    """Ends the process if training stands still though all workers answer.

    That is one of them that waits for a file, in a step or between two, and the others that wait
    for it.

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
    """A text stream that keeps nothing."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        pass
