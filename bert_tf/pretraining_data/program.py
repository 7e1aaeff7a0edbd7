"""Text files -> record files and the manifest beside them.

With `output_file` the whole corpus is one stream of chance, as in the original; with `output_dir`
its documents are dealt to shards, which processes of this machine make, or Apache Beam. Whatever
goes wrong, no file has its name before it is whole; started again, shards that are whole are kept.
"""

import dataclasses
import hashlib
import io
import logging
import time
from collections.abc import Sequence
from typing import Any, TextIO

from bert_tf import files
from bert_tf.data import manifest
from bert_tf.pretraining_data import masking
from bert_tf.pretraining_data.document_dealing import deal_documents, text_folder
from bert_tf.pretraining_data.documents import TextLines
from bert_tf.pretraining_data.finished_shards import (
    find_finished,
    origins_of_shards,
    remove_notes,
    statistics_of,
)
from bert_tf.pretraining_data.report import CorpusStatistics, find_problems
from bert_tf.pretraining_data.shard_workers import make_shards
from bert_tf.pretraining_data.shards import (
    MadeShard,
    Shard,
    ShardedCorpus,
    StartProgress,
    make_records,
    name_text,
    shard_seed,
)
from bert_tf.progress import Progress
from bert_tf.settings import PretrainingDataSettings
from bert_tf.text.tokenizer import Tokenizer, load_tokenizer

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class PretrainingDataReport:
    """What was made.

    Attributes:
        paths: the record files.
        statistics: counts over the text and the records.
        problems: warnings for what would ruin the training; mostly none.
        seconds: how long it took.
        next_sentence: whether the records have next-sentence labels.
        num_kept: how many of the files were whole already.
        examples_kept: the examples in these.
    """

    paths: list[str]
    statistics: CorpusStatistics
    problems: list[str]
    seconds: float
    next_sentence: bool = True
    num_kept: int = 0
    examples_kept: int = 0

    def lines(self) -> list[str]:
        """The report for people, but for the warnings."""
        seconds = max(self.seconds, 1e-9)
        last = f" ... {self.paths[-1]}" if len(self.paths) > 1 else ""
        speed = f"{(self.statistics.examples - self.examples_kept) / seconds:,.0f} examples/s"
        if self.num_kept:
            kept = f"; {self.num_kept} of them were whole already"
        else:
            speed += f", {self.statistics.characters / 1e6 / seconds:.2f} million characters/s"
            kept = ""
        return [
            *self.statistics.lines_of_report(self.next_sentence),
            f"{'time':<12} {self.seconds:.1f} s, {speed}",
            f"{'files':<12} {len(self.paths)}: {self.paths[0]}{last}{kept}",
        ]


def create_pretraining_data(
    settings: PretrainingDataSettings,
    stream: TextIO | None = None,
    beam_flags: Sequence[str] | None = None,
) -> PretrainingDataReport:
    """Makes pre-training records of text files.

    With `output_file`, and no setting that the original lacks, the records are the original's, byte
    for byte. With `output_dir` every shard is made as if it were a corpus of its own.

    Args:
        settings: what to make.
        stream: where progress is shown; None: nowhere.
        beam_flags: flags of Apache Beam, which makes the shards then; None: this machine does.

    Raises:
        ValueError: if the vocabulary or the text is such that nothing can be made of it.
        OSError: if a file cannot be read or written. Of the files of `output_file` none is there
            then; of `output_dir`, those shards that were whole before.
    """
    start = time.monotonic()
    input_files = files.expand_input_files(settings.input_file)
    tokenizer = load_tokenizer(settings.vocab_file, settings.do_lower_case)
    description = describe_run(settings, tokenizer)
    paths = output_paths(settings)
    _check_outputs(settings, paths, input_files)
    described = _folders_to_describe(settings, paths)
    start_progress = _progress_on(stream)
    kept: dict[int, dict[str, Any]] = {}
    if settings.output_dir is None:
        made = _make_files(settings, tokenizer, input_files, paths, start_progress)
        _write_manifests(described, paths, made, description)
    else:
        origins = origins_of_shards(settings, description["vocabulary"]["sha256"], input_files)
        corpus = ShardedCorpus(settings, input_files, paths, origins)
        with text_folder(settings.output_dir) as folder:
            kept = find_finished(paths, origins)
            made = _make_folder(corpus, kept, folder, start_progress, beam_flags)
            _write_manifests(described, paths, made, description)
            remove_notes(paths)
    return PretrainingDataReport(
        paths=paths,
        statistics=made.statistics,
        problems=find_problems(made.statistics, settings, tokenizer.vocab),
        seconds=time.monotonic() - start,
        next_sentence=settings.next_sentence,
        num_kept=len(kept),
        examples_kept=sum(entry["examples"] for entry in kept.values()),
    )


def output_paths(settings: PretrainingDataSettings) -> list[str]:
    """The record files of a run: those of `output_file`, or one for each shard."""
    if settings.output_dir is None:
        return list(settings.output_file)
    number, end = settings.num_shards, ".gz" if settings.gzip else ""
    names = [f"pretraining-{shard:05d}-of-{number:05d}.tfrecord{end}" for shard in range(number)]
    return [files.join_path(settings.output_dir, name) for name in names]


def describe_run(settings: PretrainingDataSettings, tokenizer: Tokenizer) -> dict[str, Any]:
    """A run's entry in the manifest, but for its files and statistics."""
    with files.open_file(settings.vocab_file) as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    replacements = masking.replacement_ids(tokenizer.vocab, settings.mend_quirks)
    return {
        "settings": dataclasses.asdict(settings),
        "vocabulary": {
            "file": files.split_path(settings.vocab_file)[1],
            "size": tokenizer.vocab_size,
            "sha256": digest,
        },
        "masking": {
            "mask_id": tokenizer.special_ids.mask,
            "replacement_ranges": masking.id_ranges(replacements),
        },
    }


def _check_outputs(
    settings: PretrainingDataSettings, paths: list[str], input_files: list[str]
) -> None:
    """Refuses, before the work, outputs that would destroy or be mixed up with something."""
    inputs = {files.resolve_path(path) for path in [*input_files, settings.vocab_file]}
    for path in paths:
        if files.resolve_path(path) in inputs:
            raise ValueError(f"{path}: an input file; its records need a file of their own.")
    if settings.output_dir is None:
        return
    there = files.glob_files(files.join_path(settings.output_dir, "pretraining-*-of-*.tfrecord*"))
    others = [path for path in there if path not in paths]
    if others:
        raise ValueError(
            f"output_dir holds shards of another run, which a pattern for these would match too. "
            f"Remove them, or choose another folder. Received: output_dir="
            f"{settings.output_dir!r}, num_shards={settings.num_shards}, with {others[0]} there"
        )


def _folders_to_describe(settings: PretrainingDataSettings, paths: list[str]) -> set[str]:
    """Makes the folders of the outputs; gives those that get a manifest.

    Where somebody else's manifest.json lies, records that the original makes too go without: its
    command lines work in any folder. Shards and unmasked records need theirs, and are refused.
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


def _make_files(
    settings: PretrainingDataSettings,
    tokenizer: Tokenizer,
    input_files: list[str],
    paths: list[str],
    start_progress: StartProgress,
) -> MadeShard:
    """The original's way: one stream of chance, and record after record to the files in turns."""
    seed = shard_seed(settings.random_seed, 0)
    shard = Shard(input_files, paths, seed, name_text(input_files))
    return make_records(settings, tokenizer, shard, start_progress)


def _make_folder(
    corpus: ShardedCorpus,
    kept: dict[int, dict[str, Any]],
    text_dir: str,
    start_progress: StartProgress,
    beam_flags: Sequence[str] | None,
) -> MadeShard:
    """Makes the shards of a folder that are not there yet; gives what came of all of them."""
    missing = [number for number in range(len(corpus.paths)) if number not in kept]
    if kept:
        logger.info("%d of %d shards are whole already.", len(kept), len(corpus.paths))
    if not missing:
        entries = kept
    elif beam_flags is not None:
        from bert_tf.pretraining_data import beam_runner

        entries = kept | beam_runner.make_shards(corpus, missing, beam_flags)
    else:
        entries = kept | _make_here(corpus, missing, text_dir, start_progress)
    statistics = CorpusStatistics()
    for entry in entries.values():
        statistics.add(statistics_of(entry))
    return MadeShard([entries[number] for number in range(len(entries))], statistics)


def _make_here(
    corpus: ShardedCorpus,
    numbers: Sequence[int],
    text_dir: str,
    start_progress: StartProgress,
) -> dict[int, dict[str, Any]]:
    """Deals the documents to shards, and makes those of these numbers on this machine."""
    megabytes = sum(map(files.file_size, corpus.input_files)) / 1e6
    with start_progress("dealing documents", megabytes, "MB") as progress:
        lines = TextLines(corpus.input_files, lambda num_bytes: progress.update(num_bytes / 1e6))
        texts = deal_documents(lines, len(corpus.paths), text_dir, set(numbers))
    line_counts = CorpusStatistics()
    line_counts.count_lines(lines)
    shards = {number: corpus.shard(number, texts[number], line_counts) for number in numbers}
    with start_progress("making records", len(shards), "shards") as progress:
        return make_shards(corpus, shards, progress)


def _write_manifests(
    described: set[str], paths: list[str], made: MadeShard, description: dict[str, Any]
) -> None:
    """Adds the run to the manifests of these of the folders that it wrote to."""
    by_folder: dict[str, list[dict[str, Any]]] = {}
    for path, entry in zip(paths, made.entries, strict=True):
        by_folder.setdefault(files.split_path(path)[0], []).append(entry)
    for folder in sorted(described):
        entries = by_folder[folder]
        statistics = dataclasses.asdict(made.statistics)
        run = {**description, "files": entries, "statistics": statistics}
        manifest.write_manifest(folder, run)


def _progress_on(stream: TextIO | None) -> StartProgress:
    """Opens displays on a stream, or, for None, displays that nobody sees."""
    shown_on = io.StringIO() if stream is None else stream
    return lambda label, total, unit: Progress(total, unit, shown_on, f"{label:<17}")
