"""Turns dumps, books and other text into files of one sentence per line, described by corpus.json.

    inputs ── pieces ──> parts ── selection of documents ──> files
              (all cores)         (from all their hashes)    (all cores)

After an interruption the same command resumes: complete parts and files are kept. The bytes of the
files depend on the inputs and settings only.
"""

import collections
import dataclasses
import importlib.metadata
import io
import itertools
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TextIO

import numpy as np

from bert_tf import files
from bert_tf.config import read_json
from bert_tf.corpus import parts, shards
from bert_tf.corpus.parts_folder import (
    hold_parts,
    list_differences,
    parts_folder,
    remove_parts,
    start_or_resume,
)
from bert_tf.corpus.report import CorpusReport
from bert_tf.corpus.selection import Selection, select_documents
from bert_tf.corpus.sources import Input, find_inputs, read_tasks
from bert_tf.files.workers import WorkerKilled, run_unordered
from bert_tf.progress import Progress
from bert_tf.settings import CorpusSettings

logger = logging.getLogger(__name__)

MANIFEST = "corpus.json"
_FORMAT = 3
# Settings that the text does not depend on.
_FREE_SETTINGS = ("output_dir", "num_workers", "allow_truncated")


def prepare_corpus(settings: CorpusSettings, stream: TextIO | None = None) -> CorpusReport:
    """Makes text files of one sentence per line, with a blank line after each document.

    Args:
        settings: inputs, output directory and options.
        stream: where to show progress; None for nowhere.

    Raises:
        ValueError: if an input is damaged or of another format, no document is left, or the
            output directory holds a corpus made from other inputs or with other settings.
        OSError: if a file cannot be read or written, or a worker was killed. Complete parts are
            kept, so that the same command resumes the work.
    """
    _check_folder(settings)
    inputs = find_inputs(settings)
    _check_not_inputs(settings, inputs)
    identity = _identity(settings, inputs, _find_libraries(inputs))
    finished = _read_finished(settings, identity)
    if finished is not None and not files.exists(parts_folder(settings.output_dir)):
        return finished
    with hold_parts(settings.output_dir) as folder:
        # Another run may have finished meanwhile, or was killed before it removed its parts.
        report = _read_finished(settings, identity)
        if report is None:
            _check_others(settings)
            start_or_resume(folder, identity)
            if files.exists(files.join_path(settings.output_dir, MANIFEST)):
                logger.warning(
                    "%s: files are missing or incomplete: the corpus is made again.",
                    settings.output_dir,
                )
            stream = io.StringIO() if stream is None else stream
            report = _make_corpus(settings, inputs, folder, stream)
            _write_manifest(settings, identity, report)
        remove_parts(folder)
    return report


def output_paths(settings: CorpusSettings) -> list[str]:
    """Returns the paths of the corpus files; the held-out file, if any, is the last."""
    end, number = ".txt.gz" if settings.gzip else ".txt", settings.num_shards
    names = [f"corpus-{shard:05d}-of-{number:05d}{end}" for shard in range(number)]
    names += [f"held_out{end}"] if settings.held_out_share else []
    return [files.join_path(settings.output_dir, name) for name in names]


def _check_folder(settings: CorpusSettings) -> None:
    if files.is_remote(settings.output_dir):
        raise ValueError(
            f"--output_dir must be a local folder, because the text is not read in the order in "
            f"which it is written: copy the files afterwards. Received: {settings.output_dir!r}"
        )


def _check_not_inputs(settings: CorpusSettings, inputs: list[Input]) -> None:
    """Refuses to overwrite an input, or to remove it together with the parts."""
    manifest = files.join_path(settings.output_dir, MANIFEST)
    written = {files.resolve_path(path) for path in [*output_paths(settings), manifest]}
    folder = files.resolve_path(parts_folder(settings.output_dir))
    for each in inputs:
        path = files.resolve_path(each.path)
        if each.source != "tfds" and (path in written or files.split_path(path)[0] == folder):
            raise ValueError(
                f"{each.path}: an input file, which would be overwritten. Choose "
                f"another --output_dir, or an --input_file that does not match it."
            )


def _find_libraries(inputs: list[Input]) -> dict[str, str]:
    """Returns the versions of the libraries that the text depends on.

    Raises:
        ValueError: if one is not installed.
    """
    is_dump = any(each.source == "wikipedia" for each in inputs)
    versions = {}
    for library in ("sentencex", *(["mwparserfromhell"] if is_dump else [])):
        try:
            versions[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError as error:
            raise ValueError(
                f"{library} is needed, but not installed: pip install 'bert-tf[corpus]'"
            ) from error
    return versions


def _identity(
    settings: CorpusSettings, inputs: list[Input], libraries: dict[str, str]
) -> dict[str, Any]:
    """Returns all that the bytes of the files depend on, as JSON values."""
    values = dataclasses.asdict(settings)
    for name in _FREE_SETTINGS:
        del values[name]
    described = [
        {
            "path": each.path,
            "language": each.language,
            "source": each.source,
            "bytes": each.size,
            "version": each.version,
        }
        for each in inputs
    ]
    identity = {"settings": values, "inputs": described, "libraries": libraries}
    return json.loads(json.dumps({"format": _FORMAT, **identity}))


def _read_finished(settings: CorpusSettings, identity: dict[str, Any]) -> CorpusReport | None:
    """Returns the report of an earlier, finished run.

    Returns:
        None if there is none, or a file of its corpus is missing or incomplete.

    Raises:
        ValueError: if it had other inputs or settings.
    """
    path = files.join_path(settings.output_dir, MANIFEST)
    if not files.exists(path):
        return None
    manifest = read_json(path)
    if not isinstance(manifest, dict) or "shards" not in manifest:
        raise ValueError(f"{path} is not the manifest of a corpus. Choose another --output_dir.")
    _check_same(manifest, identity, settings.output_dir)
    made = [*manifest["shards"], *([manifest["held_out"]] if manifest["held_out"] else [])]
    for entry in made:
        file = files.join_path(settings.output_dir, entry["name"])
        if not files.exists(file) or files.file_size(file) != entry["bytes"]:
            return None
    return CorpusReport(
        settings.output_dir,
        *(manifest[name] for name in ("languages", "shards", "held_out", "seconds")),
        was_there=True,
    )


def _check_same(there: dict[str, Any], identity: dict[str, Any], folder: str) -> None:
    """Raises a ValueError that names the differences between two identities, if there are any.

    Versions of libraries may differ: a finished corpus is kept when they are updated.
    """
    differences = list_differences(there, identity)
    if not differences and there["inputs"] != identity["inputs"]:
        differences = ["other input files, or the files have changed"]
    if differences:
        raise ValueError(
            f"{folder} holds a corpus that was made differently: {'; '.join(differences)}. Choose "
            f"another --output_dir, or remove the folder."
        )


def _check_others(settings: CorpusSettings) -> None:
    """Refuses a folder with files that would be taken for part of this corpus."""
    wanted = set(output_paths(settings))
    there = [
        name
        for pattern in ("corpus-*-of-*.txt*", "held_out.txt", "held_out.txt.gz")
        for name in files.glob_files(files.join_path(settings.output_dir, pattern))
    ]
    others = [name for name in there if name not in wanted]
    if others:
        raise ValueError(
            f"{settings.output_dir} holds files of another, perhaps unfinished corpus, such as "
            f"{others[0]}. Remove them, or choose another --output_dir."
        )


def _make_corpus(
    settings: CorpusSettings, inputs: list[Input], folder: str, stream: TextIO
) -> CorpusReport:
    start = time.monotonic()
    num_parts = _make_parts(settings, inputs, folder, stream)
    languages, entries = _make_files(settings, folder, num_parts, stream)
    held_out = entries.pop() if settings.held_out_share else None
    return CorpusReport(settings.output_dir, languages, entries, held_out, time.monotonic() - start)


def _make_parts(settings: CorpusSettings, inputs: list[Input], folder: str, stream: TextIO) -> int:
    """Makes the missing parts, and returns the number of all parts."""
    total = sum(each.size for each in inputs) / 1e6
    num_parts, skipped_bytes = 0, 0

    def missing() -> Iterator[parts.PartWork]:
        nonlocal num_parts, skipped_bytes
        for number, task in enumerate(read_tasks(inputs, settings)):
            num_parts = number + 1
            if parts.is_whole(folder, number, task):
                skipped_bytes += task.file_bytes
            else:
                yield parts.PartWork(settings, folder, number, task)

    with Progress(total or None, "MB", stream, f"{'reading':<10}") as progress:
        done = 0
        for file_bytes in run_in_workers(parts.make_part, missing(), settings.num_workers):
            done += file_bytes
            progress.update((done + skipped_bytes) / 1e6 - progress.done)
        progress.update((done + skipped_bytes) / 1e6 - progress.done)
    return num_parts


def _make_files(
    settings: CorpusSettings, folder: str, num_parts: int, stream: TextIO
) -> tuple[dict[str, dict[str, Any]], list[dict[str, Any]]]:
    """Writes the files of the corpus; returns counts by language, and the entries of all files."""
    counts = [parts.read_counts(folder, number) for number in range(num_parts)]
    indexes = [parts.read_index(folder, number) for number in range(num_parts)]
    part_of = np.repeat(np.arange(num_parts, dtype=np.int32), [len(each) for each in indexes])
    index = np.concatenate(indexes)
    del indexes
    names = list(dict.fromkeys(each["language"] for each in counts))
    language_of_part = np.array([names.index(each["language"]) for each in counts])
    selection = select_documents(
        index,
        language_of_part[part_of],
        names,
        drop_duplicates=settings.drop_duplicates,
        held_out_share=settings.held_out_share,
        sampling_exponent=settings.sampling_exponent,
    )
    languages = _count_languages(counts, language_of_part[part_of], selection)
    entries = {}
    works = []
    for work in _file_works(settings, folder, index, part_of, selection):
        entry = shards.read_entry(work)
        if entry is None:
            works.append(work)
        else:
            entries[entry["name"]] = entry
    with Progress(len(works), "files", stream, f"{'writing':<10}") as progress:
        workers = max(min(settings.num_workers, len(works)), 1)
        for entry in run_in_workers(shards.make_shard, works, workers):
            entries[entry["name"]] = entry
            progress.update(1)
    ordered = [entries[files.split_path(path)[1]] for path in output_paths(settings)]
    return languages, ordered


def run_in_workers(function: Callable[[Any], Any], works: Iterable, num_workers: int) -> Iterator:
    """Yields `function(work)` for each work, in any order.

    Raises:
        ChildProcessError: if a worker was killed; the message says how to resume.
    """
    try:
        yield from run_unordered(function, works, num_workers)
    except WorkerKilled as error:
        raise ChildProcessError(
            f"{error} The same command resumes the work, also with fewer workers. (With another "
            f"--part_megabytes it starts over.)"
        ) from None


def _count_languages(
    counts: list[dict[str, Any]], language_of: np.ndarray, selection: Selection
) -> dict[str, dict[str, Any]]:
    totals: dict[str, collections.Counter] = {}
    for each in counts:
        totals.setdefault(each["language"], collections.Counter()).update(each["counts"])
    found = np.bincount(language_of, minlength=len(totals))
    repeated = np.bincount(language_of[selection.duplicates], minlength=len(totals))
    described = {}
    for number, (language, total) in enumerate(totals.items()):
        if repeated[number]:
            total["dropped: duplicates"] = int(repeated[number])
        described[language] = {
            "seen": total["seen"],
            "input_bytes": total["input_bytes"],
            "documents": int(found[number] - repeated[number]),
            "factor": selection.factors[language],
            **{name: total[name] for name in sorted(total) if ":" in name or " " in name},
        }
    return described


def _file_works(
    settings: CorpusSettings,
    folder: str,
    index: np.ndarray,
    part_of: np.ndarray,
    selection: Selection,
) -> Iterator[shards.ShardWork]:
    """Yields the work for each file.

    Raises:
        ValueError: if there are fewer documents than files.
    """
    paths = output_paths(settings)
    num_documents = len(selection.corpus)
    if not num_documents:
        remove_parts(folder)  # So that the settings that the error names can be changed.
    if num_documents < settings.num_shards:
        raise ValueError(
            f"{num_documents} documents are left of the input, fewer than --num_shards="
            f"{settings.num_shards}. See --min_sentences, --min_characters and --source."
        )
    ends = np.cumsum(index["size"], dtype=np.int64)
    first_of_part = np.searchsorted(part_of, part_of, side="left")
    offset = ends - index["size"] - (ends - index["size"])[first_of_part]
    boundaries = shards.shard_boundaries(index["size"][selection.corpus], settings.num_shards)
    stretches = [selection.corpus[start:end] for start, end in itertools.pairwise(boundaries)]
    if settings.held_out_share:
        stretches.append(selection.held_out)
    for path, chosen in zip(paths, stretches, strict=True):
        yield shards.ShardWork(
            path, folder, part_of[chosen], offset[chosen], index[chosen], settings.gzip
        )


def _write_manifest(
    settings: CorpusSettings, identity: dict[str, Any], report: CorpusReport
) -> None:
    described = dataclasses.asdict(report)
    del described["output_dir"], described["was_there"]
    with files.atomic_write(files.join_path(settings.output_dir, MANIFEST), "w") as file:
        file.write(json.dumps({**identity, **described}, indent=1, ensure_ascii=False) + "\n")
