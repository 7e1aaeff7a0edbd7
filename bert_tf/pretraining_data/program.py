"""Makes pre-training records: the program behind `create_pretraining_data.py`.

With `output_file` the corpus draws from one random stream, as in the original. With `output_dir`
documents are dealt to shards, made by local processes or Apache Beam. Files are written
atomically, and complete shards are kept.
"""

import contextlib
import dataclasses
import functools
import itertools
import logging
import time
from collections.abc import Sequence
from typing import Any, TextIO

from bert_tf import files
from bert_tf.data import manifest
from bert_tf.pretraining_data import beam_runner, masking
from bert_tf.pretraining_data.documents import without_display
from bert_tf.pretraining_data.record_files import make_records, make_shards
from bert_tf.pretraining_data.report import PretrainingDataReport, find_problems
from bert_tf.pretraining_data.shards import find_finished, plan_shards, remove_notes, text_folder
from bert_tf.pretraining_data.statistics import CorpusStatistics
from bert_tf.progress import Progress
from bert_tf.settings import PretrainingDataSettings
from bert_tf.text.tokenizer import Tokenizer, load_tokenizer

logger = logging.getLogger(__name__)


def create_pretraining_data(
    settings: PretrainingDataSettings,
    stream: TextIO | None = None,
    beam_flags: Sequence[str] | None = None,
) -> PretrainingDataReport:
    """Makes pre-training records of text files.

    With `output_file`, and no setting that the original lacks, the records are the original's, byte
    for byte. With `output_dir` every shard is made as if it were a corpus of its own.

    `stream` shows progress; `beam_flags` makes the shards on Apache Beam with these flags. Raises a
    ValueError if the vocabulary or the text is unusable, an OSError if a file cannot be read or
    written; then no `output_file` is written.
    """
    start = time.monotonic()
    start_progress = without_display if stream is None else functools.partial(_show, stream)
    input_files = files.expand_input_files(settings.input_file)
    tokenizer = load_tokenizer(settings.vocab_file, *settings.tokenizer_rules)
    run = _describe_run(settings, tokenizer)
    shards = plan_shards(settings, input_files, run["vocabulary"]["sha256"])
    paths = [path for shard in shards for path in shard.output_files]
    _check_outputs(settings, paths, input_files)
    described = _folders_to_describe(settings, paths)
    kept: dict[int, dict[str, Any]] = {}
    if settings.output_dir is None:
        with contextlib.ExitStack() as locks:
            for path in paths:
                locks.enter_context(files.hold_file(path))
            entries, statistics = make_records(settings, tokenizer, shards[0], start_progress)
            _write_manifests(described, run, statistics, paths, entries)
    else:
        with text_folder(settings.output_dir) as folder:
            kept = find_finished(dict(enumerate(shards)))
            missing = {i: shard for i, shard in enumerate(shards) if i not in kept}
            if kept:
                logger.info("%d of %d shards are whole already.", len(kept), len(shards))
            made = dict(kept)
            if missing and beam_flags is None:
                made |= make_shards(
                    settings, tokenizer, input_files, missing, folder, start_progress
                )
            elif missing:
                made |= beam_runner.make_shards(settings, input_files, missing, beam_flags)
            entries, statistics = [made[i] for i in range(len(shards))], CorpusStatistics()
            for entry in entries:
                statistics.add(CorpusStatistics(**entry["statistics"]))
            _write_manifests(described, run, statistics, paths, entries)
            remove_notes(paths)
    return PretrainingDataReport(
        paths=paths,
        statistics=statistics,
        problems=find_problems(statistics, settings, tokenizer.vocab),
        seconds=time.monotonic() - start,
        next_sentence=settings.next_sentence,
        num_kept=len(kept),
        examples_kept=sum(entry["examples"] for entry in kept.values()),
    )


def _describe_run(settings: PretrainingDataSettings, tokenizer: Tokenizer) -> dict[str, Any]:
    """Returns the run's manifest entry, without files and statistics."""
    replacements = masking.replacement_ids(tokenizer.vocab, settings.mend_quirks)
    return {
        "settings": dataclasses.asdict(settings),
        "vocabulary": {
            "file": files.split_path(settings.vocab_file)[1],
            "size": tokenizer.vocab_size,
            "sha256": files.file_digest(settings.vocab_file),
        },
        "masking": {
            "mask_id": tokenizer.special_ids.mask,
            "replacement_ranges": masking.id_ranges(replacements),
        },
    }


def _check_outputs(
    settings: PretrainingDataSettings, paths: Sequence[str], input_files: Sequence[str]
) -> None:
    """Refuses outputs that would overwrite an input or mix with other shards."""
    inputs = {files.resolve_path(path) for path in [*input_files, settings.vocab_file]}
    for path in paths:
        if files.resolve_path(path) in inputs:
            raise ValueError(f"{path}: an input file; its records need a file of their own.")
    if settings.output_dir is None:
        return
    pattern = files.join_path(settings.output_dir, "pretraining-*-of-*.tfrecord*")
    others = sorted({*files.glob_files(pattern)} - {*paths})
    if others:
        raise ValueError(
            f"output_dir holds shards of another run, which a pattern for these would match too. "
            f"Remove them, or choose another folder. Received: output_dir="
            f"{settings.output_dir!r}, num_shards={settings.num_shards}, with {others[0]} there"
        )


def _folders_to_describe(settings: PretrainingDataSettings, paths: Sequence[str]) -> set[str]:
    """Makes the output folders and returns those that get a manifest.

    If an unrelated manifest.json is in the way, records in the original's format do without one;
    shards and unmasked records are refused.
    """
    described = set()
    for folder in sorted({files.split_path(path)[0] for path in paths}):
        files.make_directories(folder)
        try:
            manifest.check_manifest_can_be_written(folder)
            described.add(folder)
        except ValueError as error:
            if settings.output_dir is not None or settings.masking != "static":
                raise
            logger.warning("The records get no manifest. %s", error)
    return described


def _write_manifests(
    folders: set[str],
    run: dict[str, Any],
    statistics: CorpusStatistics,
    paths: Sequence[str],
    entries: Sequence[dict[str, Any]],
) -> None:
    """Adds the run to the manifest of each folder, with the entries of its files."""
    run = {**run, "files": [], "statistics": dataclasses.asdict(statistics)}
    for folder in sorted(folders):
        there = [files.split_path(path)[0] == folder for path in paths]
        manifest.write_manifest(folder, {**run, "files": [*itertools.compress(entries, there)]})


def _show(stream: TextIO, stage: str, total: float, unit: str) -> Progress:
    return Progress(total, unit, stream, f"{stage:<17}")
