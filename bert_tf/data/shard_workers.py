"""Makes shards, in this process or in several.

Every shard is made by `make_records`, whoever calls it: chance comes from the shard's own seed, so
the records do not depend on how many processes there are, nor on which of them makes what.
"""

import contextlib
import multiprocessing
import signal
import sys
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from bert_tf.data.pretraining_shards import MadeShard, Shard, make_records
from bert_tf.progress import Progress
from bert_tf.settings import PretrainingDataSettings
from bert_tf.text.tokenization import FullTokenizer

_POLL_SECONDS = 0.2
# Of the time a shard takes, what is over when its pairs begin, and when they are made.
_MAKING_STARTS, _MAKING_ENDS = 0.2, 0.65


def make_shards(
    settings: PretrainingDataSettings,
    tokenizer: FullTokenizer,
    shards: Sequence[Shard],
    progress: Progress,
) -> list[MadeShard]:
    """Makes shards in `num_workers` processes, or in this one if that is 1.

    Args:
        settings: see `PretrainingDataSettings`.
        tokenizer: for this process; others load their own.
        shards: what to make.
        progress: counts shards; parts of them too.

    Raises:
        ValueError, OSError: see `make_records`. The shards that were whole before stay.
    """
    if min(settings.num_workers, len(shards)) > 1:
        return _make_in_processes(settings, shards, progress)
    made = []
    for shard in shards:
        start_progress = _Fractions(lambda fraction: progress.update(fraction)).start
        made.append(make_records(settings, tokenizer, shard, start_progress))
    return made


def _make_in_processes(
    settings: PretrainingDataSettings, shards: Sequence[Shard], progress: Progress
) -> list[MadeShard]:
    # A forked process would inherit the threads of TensorFlow, where it is loaded, half alive.
    context = multiprocessing.get_context("spawn")
    next_shard, done = context.Value("q", 0), context.Value("d", 0.0)
    workers: dict[Connection, Any] = {}
    made: dict[int, MadeShard] = {}
    try:
        for _ in range(min(settings.num_workers, len(shards))):
            receiver, sender = context.Pipe(duplex=False)
            arguments = (settings, shards, next_shard, done, sender)
            workers[receiver] = context.Process(target=_work, args=arguments, daemon=True)
            workers[receiver].start()
            sender.close()
        while workers:
            for receiver in wait(list(workers), _POLL_SECONDS):
                _receive(receiver, workers, made)
            progress.update(done.value - progress.done)
    finally:  # Some are left only after a worker's error, or an interrupt of this process.
        for worker in workers.values():
            worker.terminate()
        for worker in workers.values():
            worker.join()
    return [made[number] for number in range(len(shards))]


def _receive(
    receiver: Connection, workers: dict[Connection, Any], made: dict[int, MadeShard]
) -> None:
    """Takes a shard that a worker made, its error, or notes that it has ended."""
    try:
        number, result = receiver.recv()
    except EOFError:
        worker = workers.pop(receiver)
        worker.join()
        if worker.exitcode:
            raise ChildProcessError(
                f"A worker was ended by something (exit status {worker.exitcode}). If it ran out "
                f"of memory, make more shards, or have fewer workers."
            ) from None
        return
    if isinstance(result, Exception):
        raise result
    made[number] = result


def _work(
    settings: PretrainingDataSettings,
    shards: Sequence[Shard],
    next_shard: Any,
    done: Any,
    sender: Connection,
) -> None:
    """A worker: makes one shard after another that nobody has begun, and sends what came of it."""
    # Ctrl-C reaches all processes of a terminal: it is the first one's to end the others. Told to
    # end, they leave nothing half-written.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    tokenizer = FullTokenizer(settings.vocab_file, settings.do_lower_case)

    def add(fraction: float) -> None:
        with done.get_lock():
            done.value += fraction

    while True:
        with next_shard.get_lock():
            number = next_shard.value
            next_shard.value += 1
        if number >= len(shards):
            return
        try:
            result = make_records(settings, tokenizer, shards[number], _Fractions(add).start)
        except (ValueError, OSError) as error:
            result = error
        sender.send((number, result))


class _Fractions:
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
