"""manifest.json: describes the records of a folder, and how they were made.

    {"format": 1,
     "runs": [{"settings": {...},                    every field of PretrainingDataSettings
               "vocabulary": {"file", "size", "sha256"},
               "masking": {"mask_id", "replacement_ranges": [[first, past the last], ...]},
               "files": [{"name", "examples", "tokens", "bytes", "sha256", "block_offsets"}],
               "statistics": {...}}]}

`block_offsets` are the byte offsets of records 0, 1024, 2048, ...; null for a gzip file, which has
no random access. `tokens` does not count padding.
"""

import collections
import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bert_tf import files
from bert_tf.config import read_json

FILE_NAME = "manifest.json"
FORMAT = 1
RECORDS_PER_BLOCK = 1024


def read_manifest(folder: str) -> dict[str, Any] | None:
    """Returns the manifest of a folder; None where there is none, or one of something else.

    Raises:
        ValueError: for a manifest.json that is damaged or of another format version.
    """
    if not files.exists(_path(folder)):
        return None
    manifest = read_json(_path(folder))
    if not isinstance(manifest, dict) or not isinstance(manifest.get("runs"), list):
        return None
    if manifest.get("format") != FORMAT:
        raise ValueError(
            f"{_path(folder)}: this version of bert_tf reads manifests of format {FORMAT}. "
            f"Received: {manifest.get('format')!r}"
        )
    return manifest


def check_manifest_can_be_written(folder: str) -> None:
    """Raises a ValueError if `folder` holds a manifest.json of something else, or a damaged one."""
    if read_manifest(folder) is None and files.exists(_path(folder)):
        raise ValueError(
            f"{_path(folder)} is not a manifest of pre-training records. Move it away, or write "
            f"the records to another folder."
        )


def write_manifest(folder: str, run: dict[str, Any]) -> None:
    """Adds an element of `runs` to the manifest of `folder`, replacing the entries of its files.

    Runs that end at the same time in a local folder do not lose each other's entries.

    Raises:
        ValueError: if a manifest.json of something else is there.
    """
    with _locked(folder):
        check_manifest_can_be_written(folder)
        manifest = read_manifest(folder) or {"format": FORMAT, "runs": []}
        kept = _runs_without(manifest, {file["name"] for file in run["files"]})
        _write(folder, {**manifest, "runs": [*kept, run]})


def forget_files(paths: Sequence[str]) -> None:
    """Removes the entries of files that are about to be replaced, in case the run is killed.

    A damaged or foreign manifest.json is left alone.
    """
    names = collections.defaultdict(set)
    for path in paths:
        folder, name = files.split_path(path)
        names[folder].add(name)
    for folder, replaced in names.items():
        if not files.exists(_path(folder)):
            continue
        with _locked(folder), contextlib.suppress(ValueError):
            manifest = read_manifest(folder) or {"runs": []}
            runs = _runs_without(manifest, replaced)
            if runs != manifest["runs"]:
                _write(folder, {**manifest, "runs": runs})


def find_run(manifest: dict[str, Any], file_name: str) -> dict[str, Any] | None:
    """Returns the run that made the file of this name, or None."""
    found = (run for run in manifest["runs"] for file in run["files"] if file["name"] == file_name)
    return next(found, None)


def _path(folder: str) -> str:
    return files.join_path(folder, FILE_NAME)


def _runs_without(manifest: dict[str, Any], names: set[str]) -> list[dict[str, Any]]:
    """Returns the runs without the entries of these files; runs without entries are dropped."""
    runs = [
        {**run, "files": [file for file in run["files"] if file["name"] not in names]}
        for run in manifest["runs"]
    ]
    return [run for run in runs if run["files"]]


def _write(folder: str, manifest: dict[str, Any]) -> None:
    with files.atomic_write(_path(folder), "w") as file:
        file.write(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")


@contextlib.contextmanager
def _locked(folder: str) -> Iterator[None]:
    """Locks a local folder's manifest against other processes of this machine."""
    try:
        import fcntl
    except ImportError:  # Windows
        fcntl = None
    if fcntl is None or files.is_remote(folder):
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        for path in Path(folder).glob(f".{FILE_NAME}.*.tmp"):  # Left by a process that was killed.
            path.unlink(missing_ok=True)
        yield
    finally:
        os.close(descriptor)
