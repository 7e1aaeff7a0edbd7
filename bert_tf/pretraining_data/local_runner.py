"""Makes shards on this machine, in this process or in several."""

import contextlib
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bert_tf.files.workers import WorkerKilled, report_progress, run_unordered
from bert_tf.pretraining_data.documents import (
    StartProgress,
    deal_documents,
    read_lines,
    without_display,
)
from bert_tf.pretraining_data.record_files import make_records
from bert_tf.pretraining_data.shards import Shard, with_text
from bert_tf.pretraining_data.statistics import CorpusStatistics
from bert_tf.progress import Progress
from bert_tf.settings import PretrainingDataSettings
from bert_tf.text.tokenizer import Tokenizer

# The fraction of a shard's time that its stages take.
_FRACTIONS = {"reading text": 0.2, "making pairs": 0.45, "writing records": 0.35}


def make_shards(
    settings: PretrainingDataSettings,
    tokenizer: Tokenizer,
    input_files: Sequence[str],
    shards: Mapping[int, Shard],
    text_dir: str,
    start_progress: StartProgress,
) -> dict[int, dict[str, Any]]:
    """Makes shards in `num_workers` processes, and returns their entries in the manifest.

    The text is read once, and written to a file in `text_dir` for each shard. (If each process read
    the whole text, a thousand shards of a large corpus would take days.)

    Raises:
        ValueError, OSError: see `make_records`. Complete shards remain.
        ChildProcessError: if a worker was killed.
    """
    counts = CorpusStatistics()
    texts = {number: str(Path(text_dir, f"shard-{number:05d}.txt")) for number in shards}
    lines = read_lines(input_files, counts, "dealing documents", start_progress)
    deal_documents(lines, settings.num_shards, texts)
    shards = {number: with_text(shards, number, text, counts) for number, text in texts.items()}
    make = functools.partial(_make_shard, settings, tokenizer, shards)
    num_workers = min(settings.num_workers, len(shards))
    try:
        with (
            start_progress("making records", len(shards), "shards") as progress,
            contextlib.closing(
                run_unordered(
                    make, shards, num_workers, lambda done: progress.update(done - progress.done)
                )
            ) as made,
        ):
            return dict(made)
    except WorkerKilled as error:
        shard = ""
        if error.work is not None:
            shard = f" while it made shard {error.work} ({shards[error.work].output_files[0]})"
        raise ChildProcessError(
            f"A worker process was killed (exit status {error.exit_status}){shard}. If it ran out "
            f"of memory, make more shards or use fewer workers. The same command started again "
            f"keeps the shards that are whole."
        ) from error


def _make_shard(
    settings: PretrainingDataSettings,
    tokenizer: Tokenizer,
    shards: Mapping[int, Shard],
    number: int,
) -> tuple[int, dict[str, Any]]:
    (entry,), _ = make_records(settings, tokenizer, shards[number], _report_stage)
    return number, entry


@contextlib.contextmanager
def _report_stage(stage: str, total: float, unit: str) -> Iterator[Progress]:
    with without_display(stage, total, unit) as progress:
        yield progress
    report_progress(_FRACTIONS[stage])
