"""Makes shards on this machine, in this process or in several.

A worker that is killed leaves nothing under a shard's name; the error says which shard it was.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

from bert_tf.files.workers import WorkerKilled, report_progress, run_unordered
from bert_tf.pretraining_data.shards import Shard, ShardedCorpus, make_shard
from bert_tf.progress import Progress
from bert_tf.text.tokenizer import Tokenizer, load_tokenizer

# The fraction of a shard's time that has passed when its pairs begin, and when they are made.
_MAKING_STARTS, _MAKING_ENDS = 0.2, 0.65


def make_shards(
    corpus: ShardedCorpus, shards: Mapping[int, Shard], progress: Progress
) -> dict[int, dict[str, Any]]:
    """Makes shards in `num_workers` processes, or in this one if that is 1.

    Args:
        corpus: see `ShardedCorpus`.
        shards: those to make, by number.
        progress: counts shards, and fractions of them.

    Returns:
        The shards' entries in the manifest, by number.

    Raises:
        ValueError, OSError: see `make_records`. Shards that are whole stay.
        ChildProcessError: if a worker was killed.
    """
    num_workers = min(corpus.settings.num_workers, len(shards))
    made = run_unordered(
        _ShardMaker(corpus, shards),
        shards,
        num_workers,
        lambda done: progress.update(done - progress.done),
    )
    try:
        with contextlib.closing(made):
            return dict(made)
    except WorkerKilled as error:
        shard = ""
        if error.work is not None:
            shard = f" while it made shard {error.work} ({corpus.paths[error.work]})"
        raise ChildProcessError(
            f"A worker process was killed (exit status {error.exit_status}){shard}. If it ran out "
            f"of memory, make more shards or use fewer workers. The same command started again "
            f"keeps the shards that are whole."
        ) from error


@dataclasses.dataclass
class _ShardMaker:
    """Makes one shard after another; each process has a copy with a tokenizer of its own."""

    corpus: ShardedCorpus
    shards: Mapping[int, Shard]

    @functools.cached_property
    def tokenizer(self) -> Tokenizer:
        settings = self.corpus.settings
        return load_tokenizer(settings.vocab_file, settings.do_lower_case)

    def __call__(self, number: int) -> tuple[int, dict[str, Any]]:
        start_progress = Fractions(report_progress).start
        shard = self.shards[number]
        return number, make_shard(self.corpus, self.tokenizer, number, shard, start_progress)


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
