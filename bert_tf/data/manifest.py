"""Reads and writes manifest.json, which describes a folder's records and how they were made.

    {"format": 1,
     "runs": [{"settings": {...},                    every field of PretrainingDataSettings
               "vocabulary": {"file", "size", "sha256"},
               "masking": {"mask_id", "replacement_ranges": [[first, past the last], ...]},
               "files": [{"name", "examples", "tokens", "bytes", "sha256", "block_offsets"}],
               "statistics": {...}}]}

`block_offsets` are the byte offsets of records 0, 1024, 2048, ...; null for a gzip file. `tokens`
excludes padding.
"""

import collections
import contextlib
from collections.abc import Sequence
from typing import Any

from bert_tf import files
from bert_tf.config import check_form, read_json, write_json

FILE_NAME = "manifest.json"
FORMAT = 1
RECORDS_PER_BLOCK = 1024


def read_manifest(folder: str) -> dict[str, Any] | None:
    """Returns the manifest of a folder; None if there is none, or another kind of file.

    Raises a ValueError for a manifest.json that is damaged or of another format version.
    """
    path = _path(folder)
    manifest = read_json(path) if files.exists(path) else None
    if not isinstance(manifest, dict) or not isinstance(manifest.get("runs"), list):
        return None
    if manifest.get("format") != FORMAT:
        raise ValueError(
            f"{path}: this version of bert_tf reads manifests of format {FORMAT}. "
            f"Received: {manifest.get('format')!r}"
        )
    check_form(path, manifest, {"runs": [{"files": [{"name": str}]}]})
    return manifest


def check_manifest_can_be_written(folder: str) -> None:
    """Raises a ValueError if `folder` has a manifest.json that is damaged or of another kind."""
    if read_manifest(folder) is None and files.exists(_path(folder)):
        raise ValueError(
            f"{_path(folder)} is not a manifest of pre-training records. Move it away, or write "
            f"the records to another folder."
        )


def write_manifest(folder: str, run: dict[str, Any]) -> None:
    """Adds a run to the manifest of `folder`, and removes older entries of its files.

    In a local folder, several processes may do so at the same time. Raises a ValueError as
    `check_manifest_can_be_written` does.
    """
    with files.hold_file(_path(folder), waits=True):
        check_manifest_can_be_written(folder)
        manifest = read_manifest(folder) or {"format": FORMAT, "runs": []}
        kept = _runs_without(manifest, {file["name"] for file in run["files"]})
        write_json(_path(folder), {**manifest, "runs": [*kept, run]}, indent=1)


def forget_files(paths: Sequence[str]) -> None:
    """Removes the entries of files that are about to be replaced, in case the run is killed.

    A manifest.json that is damaged or of another kind stays as it is.
    """
    names = collections.defaultdict(set)
    for path in paths:
        folder, name = files.split_path(path)
        names[folder].add(name)
    for folder, replaced in names.items():
        if not files.exists(_path(folder)):
            continue
        with files.hold_file(_path(folder), waits=True), contextlib.suppress(ValueError):
            manifest = read_manifest(folder) or {"runs": []}
            runs = _runs_without(manifest, replaced)
            if runs != manifest["runs"]:
                write_json(_path(folder), {**manifest, "runs": runs}, indent=1)


def described_files(folder: str) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Returns the run and the entry of each file in a folder's manifest, by name."""
    manifest = read_manifest(folder) or {"runs": []}
    return {file["name"]: (run, file) for run in manifest["runs"] for file in run["files"]}


def _path(folder: str) -> str:
    return files.join_path(folder, FILE_NAME)


def _runs_without(manifest: dict[str, Any], names: set[str]) -> list[dict[str, Any]]:
    """Drops the entries of files, and runs that are then empty."""
    runs = [
        {**run, "files": [file for file in run["files"] if file["name"] not in names]}
        for run in manifest["runs"]
    ]
    return [run for run in runs if run["files"]]
