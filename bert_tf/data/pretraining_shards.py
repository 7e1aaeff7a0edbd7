"""A corpus, or a shard of it -> record files; shards in one process or in many.

    text --read--> documents --make--> instances --write--> records

Every shard is made by `make_records`, whoever calls it: chance comes from the shard's own seed, so
the records do not depend on how many processes there are, nor on which of them makes what.
"""

import concurrent.futures
import contextlib
import hashlib
import multiprocessing
import random
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from bert_tf import files
from bert_tf.config import PretrainingDataSettings
from bert_tf.data.corpus_report import CorpusStatistics
from bert_tf.data.documents import Documents, TextLines
from bert_tf.data.pretraining_examples import InstanceMaker
from bert_tf.data.pretraining_records import RecordEncoder
from bert_tf.data.record_writer import RecordWriter
from bert_tf.progress import Progress
from bert_tf.text.tokenization import FullTokenizer

_UPDATE_EVERY = 256  # records
_POLL_SECONDS = 0.2
# Of the time a shard takes, what is over when its pairs begin, and when they are made.
_MAKING_STARTS, _MAKING_ENDS = 0.2, 0.65

# Opens a display of a stage's progress, given its name, how much there is to do, and its unit.
StartProgress = Callable[[str, float, str], Progress]


class Shard(NamedTuple):
    """What a shard is made of: its text, where its records go in turns, and where chance starts."""

    input_files: Sequence[str]
    output_files: Sequence[str]
    seed: int


class MadeShard(NamedTuple):
    """What came of a shard: its files' entries in the manifest, and its counts."""

    entries: list[dict[str, Any]]
    statistics: CorpusStatistics


def shard_seed(random_seed: int, shard: int) -> int:
    """The seed that a shard's chance comes from; no two shards share theirs.

    That of shard 0 is `random_seed` itself: a corpus in one shard has the original's records.
    """
    if shard == 0:
        return random_seed
    digest = hashlib.sha256(f"{random_seed} {shard}".encode()).digest()
    return int.from_bytes(digest[:8], "big")


def make_records(
    settings: PretrainingDataSettings,
    tokenizer: FullTokenizer,
    shard: Shard,
    start_progress: StartProgress,
) -> MadeShard:
    """Makes the records of a corpus or of a shard of it.

    Raises:
        ValueError: if a text file cannot be read, with the line.
        OSError: if a record file cannot be written; then none of the shard's files is there.
    """
    statistics = CorpusStatistics()
    # The files are opened first: if that is not allowed, one wants to know it now.
    with files.atomic_writes(shard.output_files) as outputs:
        documents = _read_documents(settings, tokenizer, shard, statistics, start_progress)
        maker = InstanceMaker(settings, tokenizer.vocab)
        passes = len(documents) * settings.dupe_factor
        with start_progress("making pairs", passes, "documents") as progress:
            instances = maker.make(
                documents,
                random.Random(shard.seed),
                lambda num_instances: progress.update(1, examples=num_instances),
            )
        del documents
        if not instances:
            raise ValueError(
                f"{', '.join(shard.input_files)}: there is no text to make examples of. Each line "
                f"should hold a sentence, and blank lines should part documents. Received: "
                f"{statistics.lines} lines, {statistics.blank_lines} of them blank"
            )
        writers = [RecordWriter(output, settings.gzip) for output in outputs]
        encode = RecordEncoder(settings, tokenizer.vocab).encode
        with start_progress("writing records", len(instances), "examples") as progress:
            for number, packed in enumerate(instances):
                instance = maker.unpack(packed)
                writers[number % len(writers)].write(encode(instance), len(instance.ids))
                statistics.count_instance(instance, settings.max_seq_length)
                if (number + 1) % _UPDATE_EVERY == 0:
                    progress.update(_UPDATE_EVERY)
            progress.update(len(instances) % _UPDATE_EVERY)
        names = [files.split_path(path)[1] for path in shard.output_files]
        entries = [writer.finish(name) for writer, name in zip(writers, names, strict=True)]
    return MadeShard(entries, statistics)


def _read_documents(
    settings: PretrainingDataSettings,
    tokenizer: FullTokenizer,
    shard: Shard,
    statistics: CorpusStatistics,
    start_progress: StartProgress,
) -> Documents:
    documents = Documents(len(tokenizer.vocab))
    megabytes = sum(map(files.file_size, shard.input_files)) / 1e6
    with start_progress("reading text", megabytes, "MB") as progress:
        lines = TextLines(shard.input_files, lambda num_bytes: progress.update(num_bytes / 1e6))
        documents.read(lines, tokenizer.encode)
    statistics.count_lines(lines)
    statistics.count_documents(documents, tokenizer.vocab["[UNK]"], settings.max_seq_length)
    return documents


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
        ValueError, OSError: see `make_records`; of the shards that were not begun then, none is.
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
    done = context.Value("d", 0.0)
    others = set(multiprocessing.active_children())
    pool = concurrent.futures.ProcessPoolExecutor(
        min(settings.num_workers, len(shards)), context, _Worker.start, (settings, done)
    )
    try:
        futures = [pool.submit(_Worker.make, shard) for shard in shards]
        waiting: Iterable = futures
        while waiting:
            finished, waiting = concurrent.futures.wait(
                waiting, _POLL_SECONDS, concurrent.futures.FIRST_EXCEPTION
            )
            progress.update(done.value - progress.done)
            for future in finished:
                future.result()  # Raises what the worker raised.
        return [future.result() for future in futures]
    except BaseException:  # A worker's error, or somebody's impatience with this process.
        for worker in set(multiprocessing.active_children()) - others:
            worker.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


class _Worker:
    """A process that makes shards: what its tasks share, as only a global can."""

    settings: PretrainingDataSettings
    tokenizer: FullTokenizer
    done: Any

    @classmethod
    def start(cls, settings: PretrainingDataSettings, done: Any) -> None:
        cls.settings, cls.done = settings, done
        # Ctrl-C reaches all processes of a terminal; it is the first one's to end the others. They
        # leave nothing half-written when they are told to.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        cls.tokenizer = FullTokenizer(settings.vocab_file, settings.do_lower_case)

    @classmethod
    def make(cls, shard: Shard) -> MadeShard:
        return make_records(cls.settings, cls.tokenizer, shard, _Fractions(cls.add).start)

    @classmethod
    def add(cls, fraction: float) -> None:
        with cls.done.get_lock():
            cls.done.value += fraction


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
