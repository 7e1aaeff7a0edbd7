"""Makes shards on this machine, in this process or in several.

A worker that is killed leaves nothing under a shard's name; its parent ends the others and says
which shard it was. A worker whose parent is killed ends too.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection, wait
from typing import Any

from bert_tf.pretraining_data.shards import Shard, ShardedCorpus, make_shard
from bert_tf.progress import Progress
from bert_tf.text.tokenizer import Tokenizer, load_tokenizer

_POLL_SECONDS = 0.2
# Of the time a shard takes, what is over when its pairs begin, and when they are made.
_MAKING_STARTS, _MAKING_ENDS = 0.2, 0.65


def make_shards(
    corpus: ShardedCorpus,
    tokenizer: Tokenizer,
    shards: Mapping[int, Shard],
    progress: Progress,
) -> dict[int, dict[str, Any]]:
    """Makes shards in `num_workers` processes, or in this one if that is 1.

    Args:
        corpus: see `ShardedCorpus`.
        tokenizer: for this process; others load their own.
        shards: those to make, by number.
        progress: counts shards; parts of them too.

    Returns:
        By number, the shards' entries in the manifest.

    Raises:
        ValueError, OSError: see `make_records`. The shards that were whole before stay.
        ChildProcessError: if a worker was killed.
    """
    if min(corpus.settings.num_workers, len(shards)) > 1:
        return _make_in_processes(corpus, shards, progress)
    made = {}
    for number, shard in shards.items():
        start_progress = Fractions(lambda fraction: progress.update(fraction)).start
        made[number] = make_shard(corpus, tokenizer, number, shard, start_progress)
    return made


class _Worker:
    """A process that makes shards, as its parent sees it."""

    def __init__(self, process: multiprocessing.Process) -> None:
        self.process = process
        self.shard: int | None = None  # The one it is making.

    def raise_if_killed(self, corpus: ShardedCorpus) -> None:
        """Waits for a process that has nothing more to say."""
        self.process.join()
        if not self.process.exitcode:
            return
        what = ""
        if self.shard is not None:
            what = f" while it made shard {self.shard} ({corpus.paths[self.shard]})"
        raise ChildProcessError(
            f"A worker was ended by something (exit status {self.process.exitcode}){what}. If it "
            f"ran out of memory, make more shards, or have fewer workers. The same command started "
            f"again keeps the shards that are whole."
        )


def _make_in_processes(
    corpus: ShardedCorpus, shards: Mapping[int, Shard], progress: Progress
) -> dict[int, dict[str, Any]]:
    # A forked process would inherit the threads of TensorFlow, where it is loaded, half alive.
    context = multiprocessing.get_context("spawn")
    place, done = context.Value("q", 0), context.Value("d", 0.0)
    workers: dict[Connection, _Worker] = {}
    made: dict[int, dict[str, Any]] = {}
    try:
        for _ in range(min(corpus.settings.num_workers, len(shards))):
            receiver, sender = context.Pipe(duplex=False)
            arguments = (corpus, shards, place, done, sender)
            process = context.Process(target=_work, args=arguments, daemon=True)
            workers[receiver] = _Worker(process)
            process.start()
            sender.close()
        while workers:
            for receiver in wait(list(workers), _POLL_SECONDS):
                try:
                    _receive(receiver, workers[receiver], made)
                except EOFError:
                    workers.pop(receiver).raise_if_killed(corpus)
            # Without its lock, which a worker that was killed may be holding.
            progress.update(done.get_obj().value - progress.done)
    finally:  # Some are left only after a worker's error, or an interrupt of this process.
        for worker in workers.values():
            worker.process.terminate()
        for worker in workers.values():
            worker.process.join()
    return made


def _receive(receiver: Connection, worker: _Worker, made: dict[int, dict[str, Any]]) -> None:
    """Takes note of a shard that a worker has begun, or has made, or its error."""
    worker.shard, result = receiver.recv()
    if isinstance(result, Exception):
        raise result
    if result is not None:
        made[worker.shard] = result
        worker.shard = None


def _work(
    corpus: ShardedCorpus,
    shards: Mapping[int, Shard],
    place: Any,
    done: Any,
    sender: Connection,
) -> None:
    """A worker: makes one shard after another that nobody has begun, and sends what came of it."""
    # Ctrl-C reaches all processes of a terminal: it is the first one's to end the others. Told to
    # end, they leave nothing half-written.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    tokenizer = load_tokenizer(corpus.settings.vocab_file, corpus.settings.do_lower_case)
    numbers = list(shards)

    def add(fraction: float) -> None:
        with done.get_lock():
            done.value += fraction

    while True:
        with place.get_lock():
            mine = place.value
            place.value += 1
        if mine >= len(numbers):
            return
        number = numbers[mine]
        sender.send((number, None))
        try:
            result = make_shard(corpus, tokenizer, number, shards[number], Fractions(add).start)
        except (ValueError, OSError) as error:
            result = error
        sender.send((number, result))


def _end_with_parent() -> None:
    """Ends this process when its parent is gone: killed, that could not tell it to."""
    wait([multiprocessing.parent_process().sentinel])
    os.kill(os.getpid(), signal.SIGTERM)


class Fractions:
    """Adds up the stages of a shard to one, for a display that counts shards.

    Args:
        add: told what fraction of the shard has been done since it was last told.
    """

    def __init__(self, add: Callable[[float], None]) -> None:
        self._add = add
        self._ends = iter((_MAKING_STARTS, _MAKING_ENDS, 1.0))
        self._told = 0.0

    @contextlib.contextmanager
    def start(self, label: str, total: float, unit: str):
        """A stage: as `StartProgress` wants it."""
        self._start, self._end = self._told, next(self._ends)
        self._done, self._total = 0.0, max(total, 1e-9)
        yield self
        self._tell(self._end)

    def update(self, n: float = 1, **figures) -> None:
        self._done += n
        fraction = min(self._done / self._total, 1.0)
        place = self._start + fraction * (self._end - self._start)
        if place - self._told > 0.01:
            self._tell(place)

    def _tell(self, place: float) -> None:
        self._add(place - self._told)
        self._told = place
