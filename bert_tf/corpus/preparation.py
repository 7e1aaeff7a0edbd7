"""Turns dumps, books and other text into files of one sentence per line, described by corpus.json.

    inputs ── pieces ──> parts ── selection of documents ──> files
              (all cores)         (from all their hashes)    (all cores)

The same command resumes an interrupted run: complete parts and files are kept. The bytes of the
files depend on inputs and settings only.
"""

import collections
import dataclasses
import functools
import importlib.metadata
import io
import itertools
import json
import os
import shutil
import time
from typing import Any, TextIO

import numpy as np

from bert_tf import files
from bert_tf.config import check_form, read_json, write_json
from bert_tf.corpus import parts, shards
from bert_tf.corpus.report import CorpusReport
from bert_tf.corpus.selection import Selection, select_documents
from bert_tf.corpus.sources import Input, find_inputs, read_tasks
from bert_tf.files.workers import run_in_order
from bert_tf.progress import Progress
from bert_tf.settings import CorpusSettings

_MANIFEST = "corpus.json"
_FORMAT = 3
_ENTRY = {"name": str, "bytes": int, "sentences": int}
_FORM = {"languages": {str: dict}, "shards": [_ENTRY], "seconds": int | float}
_FORM_HELD_OUT = {**_FORM, "held_out": _ENTRY}
# Settings that the text does not depend on.
_FREE_SETTINGS = ("output_dir", "num_workers", "allow_truncated")


def prepare_corpus(settings: CorpusSettings, stream: TextIO | None = None) -> CorpusReport:
    """Makes text files of one sentence per line, with a blank line after each document.

    `stream` shows progress. Raises a ValueError if an input is damaged or of another format, no
    document is left, or the output directory holds a corpus of other inputs or settings; an OSError
    if a file cannot be read or written, or a worker was killed. Complete parts remain.
    """
    folder = settings.output_dir
    if files.is_remote(folder):
        raise ValueError(f"--output_dir must be a local folder. Received: {folder!r}")
    inputs = find_inputs(settings)
    _check_not_inputs(settings, inputs)
    identity = _identity(settings, inputs)
    report = _read_finished(settings, identity)
    if report is not None and not files.exists(parts.parts_folder(folder)):
        return report
    with parts.hold_parts(folder) as parts_folder:
        # Another run may have finished meanwhile, or was killed before it removed its parts.
        report = _read_finished(settings, identity)
        if report is None:
            _check_others(settings)
            parts.start_or_resume(parts_folder, identity)
            report = _make_corpus(settings, inputs, parts_folder, stream or io.StringIO())
            described = {**identity, **dataclasses.asdict(report)}
            del described["output_dir"], described["was_there"]
            path = files.join_path(parts_folder, _MANIFEST)
            write_json(path, described, indent=1)
            os.replace(path, files.join_path(folder, _MANIFEST))
        shutil.rmtree(parts_folder)
    return report


def _output_paths(settings: CorpusSettings) -> list[str]:
    """Returns the paths of the corpus files; the held-out file, if any, is the last."""
    end, number = ".txt.gz" if settings.gzip else ".txt", settings.num_shards
    names = [f"corpus-{shard:05d}-of-{number:05d}{end}" for shard in range(number)]
    names += [f"held_out{end}"] if settings.held_out_share else []
    return [files.join_path(settings.output_dir, name) for name in names]


def _check_not_inputs(settings: CorpusSettings, inputs: list[Input]) -> None:
    """Refuses to overwrite an input, or to remove it with the parts."""
    outputs = [*_output_paths(settings), files.join_path(settings.output_dir, _MANIFEST)]
    written = {files.resolve_path(path) for path in outputs}
    folder = files.resolve_path(parts.parts_folder(settings.output_dir))
    for each in inputs:
        path = files.resolve_path(each.path)
        if each.source != "tfds" and (path in written or path.startswith(f"{folder}/")):
            raise ValueError(
                f"{each.path}: an input file, which would be overwritten. Choose "
                f"another --output_dir, or an --input_file that does not match it."
            )


def _check_others(settings: CorpusSettings) -> None:
    """Refuses a folder with files that would look like part of this corpus."""
    wanted = _output_paths(settings)
    for pattern in ("corpus-*-of-*.txt*", "held_out.txt", "held_out.txt.gz"):
        for path in files.glob_files(files.join_path(settings.output_dir, pattern)):
            if path not in wanted:
                raise ValueError(
                    f"{settings.output_dir} holds files of another, perhaps unfinished corpus, "
                    f"such as {path}. Remove them, or choose another --output_dir."
                )


def _identity(settings: CorpusSettings, inputs: list[Input]) -> dict[str, Any]:
    """Returns everything that the bytes of the files depend on, as JSON values."""
    values = dataclasses.asdict(settings)
    for name in _FREE_SETTINGS:
        del values[name]
    described = [dataclasses.asdict(each) for each in inputs]
    for each in described:
        del each["dropped_prefixes"]
    libraries = ["sentencex"]
    if any(each.source == "wikipedia" for each in inputs):
        libraries.append("mwparserfromhell")
    try:
        versions = {name: importlib.metadata.version(name) for name in libraries}
    except importlib.metadata.PackageNotFoundError as error:
        raise ValueError(
            f"{error.name} is needed, but not installed: pip install mwparserfromhell sentencex"
        ) from error
    identity = {"settings": values, "inputs": described, "libraries": versions}
    return json.loads(json.dumps({"format": _FORMAT, **identity}))


def _read_finished(settings: CorpusSettings, identity: dict[str, Any]) -> CorpusReport | None:
    """Returns the report of a finished run; None without one, or if its files are incomplete.

    Refuses other inputs and settings. The versions of libraries may differ.
    """
    folder = settings.output_dir
    path = files.join_path(folder, _MANIFEST)
    if not files.exists(path):
        return None
    manifest = read_json(path)
    if not isinstance(manifest, dict) or "shards" not in manifest:
        raise ValueError(f"{path} is not the manifest of a corpus. Choose another --output_dir.")
    with files.naming_damage(path):
        differences = parts.list_differences(manifest, identity)
        if not differences and manifest["inputs"] != identity["inputs"]:
            differences = ["other input files, or the files have changed"]
    if differences:
        raise ValueError(
            f"{folder} holds a corpus that was made differently: {'; '.join(differences)}. Choose "
            f"another --output_dir, or remove the folder."
        )
    check_form(path, manifest, _FORM if manifest.get("held_out") is None else _FORM_HELD_OUT)
    for entry in [*manifest["shards"], *filter(None, [manifest.get("held_out")])]:
        file = files.join_path(folder, entry["name"])
        if not files.exists(file) or files.file_size(file) != entry["bytes"]:
            return None
    counts = (manifest.get(name) for name in ("languages", "shards", "held_out", "seconds"))
    return CorpusReport(folder, *counts, True, manifest.get("markup_example", ""))


def _make_corpus(
    settings: CorpusSettings, inputs: list[Input], folder: str, stream: TextIO
) -> CorpusReport:
    start = time.monotonic()
    total = sum(each.bytes for each in inputs) / 1e6
    make_part = functools.partial(parts.make_part, settings, folder)
    tasks = enumerate(read_tasks(inputs, settings))
    described = []
    with Progress(total or None, "MB", stream, f"{'reading':<10}") as progress:
        for part in run_in_order(make_part, tasks, settings.num_workers):
            described.append(part)
            progress.update(part["file_bytes"] / 1e6)
    languages, wanted = _select(settings, folder, described)
    make_shard = functools.partial(shards.make_shard, folder)
    entries = []
    with Progress(len(wanted), "files", stream, f"{'writing':<10}") as progress:
        for entry in run_in_order(make_shard, wanted, min(settings.num_workers, len(wanted))):
            entries.append(entry)
            progress.update(1)
    held_out = entries.pop() if settings.held_out_share else None
    markup = next(filter(None, (part.get("markup_example") for part in described)), "")
    seconds = time.monotonic() - start
    return CorpusReport(settings.output_dir, languages, entries, held_out, seconds, False, markup)


def _select(
    settings: CorpusSettings, folder: str, described: list[dict[str, Any]]
) -> tuple[dict[str, dict[str, Any]], list[shards.Shard]]:
    """Selects documents; returns the counts by language, and the files to write."""
    numbers = np.arange(len(described), dtype=np.int32)
    paths = [parts.part_path(folder, number, "index") for number in numbers]
    indexes = [np.fromfile(path, parts.DOCUMENT) for path in paths]
    sizes = [index["size"] for index in indexes]
    offset = np.concatenate([np.cumsum(each, dtype=np.int64) - each for each in sizes])
    part_of = np.repeat(numbers, list(map(len, indexes)))
    index = np.concatenate(indexes)
    languages = list(dict.fromkeys(part["language"] for part in described))
    language_of = np.array([languages.index(part["language"]) for part in described])[part_of]
    selection = select_documents(index, language_of, languages, settings)
    num_documents = len(selection.corpus)
    if not num_documents:
        shutil.rmtree(folder)  # So that the settings that the error names can be changed.
    if num_documents < settings.num_shards:
        raise ValueError(
            f"{num_documents} documents are left of the input, fewer than --num_shards="
            f"{settings.num_shards}. See --min_sentences, --min_characters and --source."
        )
    boundaries = shards.shard_boundaries(index["size"][selection.corpus], settings.num_shards)
    chosen = [selection.corpus[start:end] for start, end in itertools.pairwise(boundaries)]
    chosen += [selection.held_out] if settings.held_out_share else []
    wanted = [
        shards.Shard(path, part_of[places], offset[places], index[places])
        for path, places in zip(_output_paths(settings), chosen, strict=True)
    ]
    counts = {
        language: _count(described, language, language_of == number, selection)
        for number, language in enumerate(languages)
    }
    return counts, wanted


def _count(
    described: list[dict[str, Any]], language: str, is_its: np.ndarray, selection: Selection
) -> dict[str, Any]:
    """Counts what was read, dropped and kept of a language; `is_its` marks its documents."""
    counts: collections.Counter = collections.Counter()
    for part in described:
        if part["language"] == language:
            counts.update(part["counts"])
    if num_duplicates := int(np.sum(is_its & selection.duplicates)):
        counts["dropped: duplicates"] = num_duplicates
    return {
        "seen": counts.pop("seen", 0),
        "input_bytes": counts.pop("input_bytes", 0),
        "documents": int(np.sum(is_its)) - num_duplicates,
        "factor": selection.factors[language],
        **dict(sorted(counts.items())),
    }
