"""Lets the processes (workers) of a run agree, and exit if one is lost.

Each computes its share of every step, and all hold the same weights. The chief, number 0, writes
all files. Decisions that depend on clocks or signals are made together, as all must run the same
steps. If a worker is lost, operations that wait for it fail, and the others exit with the status
LOST_WORKER_STATUS.
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
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn, TextIO

import numpy as np
import tensorflow as tf

from bert_tf import files

logger = logging.getLogger(__name__)

LOST_WORKER_STATUS = 75  # EX_TEMPFAIL of sysexits.h: a failure that a restart may fix.
# A graph call lasts a second or a step. If none ends for this many timeouts, a worker hangs though
# its process answers, such as on a file system that does not respond.
_STALL_TIMEOUTS = 10
# Errors of collectives when another process is gone, and of remote files that cannot be used ...
_LOSSES = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.UnavailableError,
)
# ... and their messages when no process is gone, but they compute different things.
_MISMATCH = re.compile("mismatch|but got", re.IGNORECASE)
# Settings that may differ between workers.
_OWN_OF_WORKER = re.compile(
    r"task_index|worker_timeout|num_workers|num_gpus|\w+_(file|dir|checkpoint)|phases|task_options"
)
_DIGEST_BYTES = 3  # As many as a float32, which is exchanged, holds exactly.


class Workers:
    """The processes of a strategy: `count` of them, of which this is number `index`."""

    def __init__(self, strategy: tf.distribute.Strategy):
        self.count, self.index = 1, 0
        if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            resolver = strategy.cluster_resolver
            self.count = resolver.cluster_spec().num_tasks("worker")
            self.index = resolver.task_id
        self._strategy = strategy
        self._exchange = tf.function(self._exchange_in_graph)

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the files."""
        return self.index == 0

    def exchange(self, *values: float) -> np.ndarray:
        """Returns every worker's values, float32 [workers, values]. All workers must call this."""
        if self.count == 1:
            return np.array([values], np.float32)
        table = self._exchange(tf.constant(values, tf.float32)).numpy()
        return table.reshape(self.count, -1, len(values))[:, 0]

    def wait(self) -> None:
        """Waits until all workers have called this."""
        self.exchange(0.0)

    def agree(self, stop: bool, num_steps: int) -> int:
        """Returns the smallest number of steps; 0 if any worker wants to stop."""
        return int(self.exchange(0.0 if stop else float(num_steps)).min())

    def check_same_settings(self, settings: Any) -> None:
        """Raises a ValueError unless all have the same settings (a dataclass), except for paths."""
        names = (field.name for field in dataclasses.fields(settings))
        self.check_same({n: getattr(settings, n) for n in names if not _OWN_OF_WORKER.fullmatch(n)})

    def check_same(self, values: Mapping[str, Any]) -> None:
        """Raises a ValueError unless all have the same values, JSON by name."""
        if self.count == 1:
            return
        names = sorted(values)
        texts = [json.dumps(values[name], sort_keys=True, default=str) for name in names]
        digests = [hashlib.sha256(text.encode()).digest()[:_DIGEST_BYTES] for text in texts]
        table = self.exchange(*(int.from_bytes(digest, "big") for digest in digests))
        differing = [names[i] for i in np.flatnonzero((table != table[0]).any(axis=0))]
        if differing:
            what = ", ".join(f"{name} (here: {values[name]})" for name in differing)
            raise ValueError(
                f"The workers differ: {what}. Start all with the same files and command, except "
                "for --task_index; --output_dir must be a folder that all hosts share."
            )

    def stream(self, stream: TextIO | None) -> TextIO | None:
        """Returns `stream` for the chief; others show no progress."""
        return stream if self.is_chief else open(os.devnull, "w")

    def _exchange_in_graph(self, values: tf.Tensor) -> tf.Tensor:
        def of_replica(values: tf.Tensor) -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            mine = tf.one_hot(context.replica_id_in_sync_group, context.num_replicas_in_sync)
            # Each adds its row, as every device can all-reduce sums.
            return context.all_reduce(tf.distribute.ReduceOp.SUM, mine[:, None] * values)

        table = self._strategy.run(of_replica, args=(values,))
        return self._strategy.experimental_local_results(table)[0]


@contextlib.contextmanager
def together(strategy: tf.distribute.Strategy, settings: Any) -> Iterator[None]:
    """Makes this process exit if another one of its run is lost; waits for the others at the end.

    First checks that all have the same settings, a dataclass. The chief locks the output.
    """
    workers = Workers(strategy)
    try:
        workers.check_same_settings(settings)
        with _output_lock(settings) if workers.is_chief else contextlib.nullcontext():
            yield
    except tf.errors.OpError as error:
        is_of_collective = "ollective" in error.message
        is_loss = is_of_collective or isinstance(error, _LOSSES)
        if workers.count == 1 or not is_loss or _MISMATCH.search(error.message):
            raise
        lines = [line.strip() for line in error.message.splitlines() if line.strip()]
        reasons = [line for line in lines if "Collective ops is aborted by" in line]
        reason = (reasons or lines or [type(error).__name__])[0]
        if not is_of_collective:
            reason += " (if no other one is gone, a file or service that it names has failed)"
        _exit_for_loss(reason, workers)
    # Everything is written: another process may be gone already.
    with contextlib.suppress(tf.errors.OpError):
        workers.wait()


def _output_lock(settings: Any) -> contextlib.AbstractContextManager:
    folder, file = (getattr(settings, name, None) for name in ("output_dir", "output_file"))
    if folder:
        return files.hold_folder(folder)
    return files.hold_file(file) if file else contextlib.nullcontext()


def _exit_for_loss(reason: str, workers: Workers) -> NoReturn:
    """Ends the process at once, even if threads wait for other processes."""
    logger.error(
        "Worker %d of %d lost another one, and ends: %s. Start all workers again: the run resumes "
        "from its last checkpoint.",
        *(workers.index, workers.count, reason),
    )
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(LOST_WORKER_STATUS)


class StallWatch:
    """Ends the process if training hangs for ten times `timeout` although all workers answer.

    The first call of `progressed` starts the watch, as compiling the graph may take any time.
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

    def progressed(self) -> None:
        """Resets the watch."""
        self._latest = time.monotonic()

    def _watch(self) -> None:
        while not self._is_over.wait(min(1.0, self._seconds / 4)):
            if self._latest is not None and time.monotonic() - self._latest > self._seconds:
                _exit_for_loss(f"no progress for {self._seconds:.0f} seconds", self._workers)
