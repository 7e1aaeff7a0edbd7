"""Which shards are whole already, so that a run that is started again goes on.

When a shard is whole it gets a note of its entry in the manifest, and then its name:

    .pretraining-00003-of-00100.tfrecord.made.json
        {"name", "examples", ..., "made_from": "9f3c...", "statistics": {...}}
    pretraining-00003-of-00100.tfrecord

When all are whole the entries go to the manifest, and the notes are removed. `made_from` is a
digest of all that the records depend on. A shard of the same name that was made from something
else, or has not the size noted, is made anew: to ask for other records under the names of older
ones has always replaced these.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bert_tf import files
from bert_tf.config import read_json
from bert_tf.data.manifest import find_run, read_manifest
from bert_tf.pretraining_data.report import CorpusStatistics
from bert_tf.settings import PretrainingDataSettings

# To be raised when the same text, vocabulary and settings give other records than before.
_RECORDS_VERSION = 1
# What does not change a shard's records, or is told more exactly by something else. (The default
# of `next_sentence` is left out as well: shards made before there was such a setting stay valid.)
_IRRELEVANT = {"input_file", "vocab_file", "output_file", "output_dir", "num_workers"}
_NOTE_ENDING = ".made.json"


def origins_of_shards(
    settings: PretrainingDataSettings, vocabulary_sha256: str, input_files: Sequence[str]
) -> list[str]:
    """By shard, a digest of what its records depend on.

    Of a text file that is its path, its size and, where it is local, when it was last changed. It
    is not read for this: that a run has nothing left to do is known at once.
    """
    values = {
        name: value
        for name, value in dataclasses.asdict(settings).items()
        if name not in _IRRELEVANT and (name, value) != ("next_sentence", True)
    }
    common = {
        "version": _RECORDS_VERSION,
        "settings": values,
        "vocabulary": vocabulary_sha256,
        "inputs": [_identify(path) for path in input_files],
    }
    start = hashlib.sha256(json.dumps(common, sort_keys=True).encode())
    origins = []
    for shard in range(settings.num_shards):
        digest = start.copy()
        digest.update(f" {shard}".encode())
        origins.append(digest.hexdigest())
    return origins


def find_finished(paths: Sequence[str], origins: Sequence[str]) -> dict[int, dict[str, Any]]:
    """The shards that need not be made: their entries in the manifest, by shard.

    Args:
        paths: the shards, all in one folder.
        origins: of `origins_of_shards`.
    """
    folder = files.split_path(paths[0])[0]
    notes = set(files.glob_files(files.join_path(folder, f".*{_NOTE_ENDING}")))
    manifest = read_manifest(folder)
    finished = {}
    for shard, (path, origin) in enumerate(zip(paths, origins, strict=True)):
        candidates = []
        if note_path(path) in notes:
            with contextlib.suppress(ValueError):  # Damaged, it says nothing: the shard is made.
                candidates.append(read_json(note_path(path)))
        if manifest is not None:
            candidates.append(_entry_in_manifest(manifest, files.split_path(path)[1]))
        for entry in candidates:
            if _is_whole(entry, path, origin):
                finished[shard] = entry
                break
    return finished


def statistics_of(entry: Mapping[str, Any]) -> CorpusStatistics:
    """The counts of a finished shard."""
    return CorpusStatistics(**entry["statistics"])


def note_path(path: str) -> str:
    """Where the note of the shard at `path` lies: a pattern for shards does not match it."""
    folder, name = files.split_path(path)
    return files.join_path(folder, f".{name}{_NOTE_ENDING}")


def note_text(entry: Mapping[str, Any]) -> str:
    """What a shard's note holds."""
    return json.dumps(entry, ensure_ascii=False) + "\n"


def remove_notes(paths: Iterable[str]) -> None:
    """Removes the notes of shards that are about to be replaced, or are in the manifest now."""
    for path in paths:
        files.remove_file(note_path(path))


def _identify(path: str) -> list[Any]:
    changed = None if files.is_remote(path) else os.stat(path).st_mtime_ns
    return [files.resolve_path(path), files.file_size(path), changed]


def _entry_in_manifest(manifest: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    run = find_run(manifest, name)
    return run and next(file for file in run["files"] if file["name"] == name)


def _is_whole(entry: Any, path: str, origin: str) -> bool:
    """Whether the file at `path` is the one that `entry` is about, made from this origin."""
    return (
        isinstance(entry, dict)
        and entry.get("made_from") == origin
        and files.exists(path)
        and files.file_size(path) == entry["bytes"]
    )
