"""manifest.json: what lies in a folder of records, and how it was made.

    {"format": 1,
     "runs": [{"settings": {...},                    every field of PretrainingDataSettings
               "vocabulary": {"file", "size", "sha256"},
               "masking": {"mask_id", "replacement_ranges": [[first, past the last], ...]},
               "files": [{"name", "examples", "tokens", "bytes", "sha256", "block_offsets"}],
               "statistics": {...}}]}

`block_offsets` are the places in the file, in bytes, of records 0, 1024, 2048, ...; null in a
gzipped file, where one cannot jump. `tokens` leaves padding out.
"""

import contextlib
import json
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bert_tf import files
from bert_tf.config import read_json

logger = logging.getLogger(__name__)

FILE_NAME = "manifest.json"
FORMAT = 1
RECORDS_PER_BLOCK = 1024


def read_manifest(folder: str) -> dict[str, Any] | None:
    """The manifest of a folder, or None where there is none (as beside the original's records).

    A manifest.json of something else counts as none.

    Raises:
        ValueError: if a manifest.json is there that is damaged, or of another format.
    """
    path = files.join_path(folder, FILE_NAME)
    if not files.exists(path):
        return None
    manifest = _read_ours(path)
    if manifest is None:
        logger.warning("%s is not a manifest of pre-training records, and is not read.", path)
    return manifest


def _read_ours(path: str) -> dict[str, Any] | None:
    """What `path` holds, or None if it is no manifest of records."""
    manifest = read_json(path)
    if not isinstance(manifest, dict) or not isinstance(manifest.get("runs"), list):
        return None
    if manifest.get("format") != FORMAT:
        raise ValueError(
            f"{path}: this version of bert_tf reads manifests of format {FORMAT}. "
            f"Received: {manifest.get('format')!r}"
        )
    return manifest


def check_manifest_can_be_written(folder: str) -> None:
    """Raises a ValueError if `folder` holds a manifest.json of something else, or a damaged one."""
    path = files.join_path(folder, FILE_NAME)
    if files.exists(path) and _read_ours(path) is None:
        raise ValueError(
            f"{path} is not a manifest of pre-training records, and lies where theirs belongs. "
            f"Move it away, or write the records to another folder."
        )


def write_manifest(folder: str, run: dict[str, Any]) -> None:
    """Adds a run to the manifest of `folder`; its files take the place of older ones of their name.

    Runs that end at the same time in one local folder do not lose each other's entries.

    Args:
        folder: where the records lie.
        run: one element of `runs`, as above.

    Raises:
        ValueError: if a manifest.json of something else is there.
        OSError: if it cannot be written.
    """
    with _locked(folder):
        check_manifest_can_be_written(folder)
        manifest = read_manifest(folder) or {"format": FORMAT, "runs": []}
        kept = _runs_without(manifest, {file["name"] for file in run["files"]})
        _write(folder, {**manifest, "runs": [*kept, run]})


def forget_files(paths: Sequence[str]) -> None:
    """Removes the entries of files that are about to be replaced.

    Of a run that is ended before it writes its manifest, new files then lie there without an entry,
    as the original's do, instead of with one that was about others. A manifest.json of something
    else, or a damaged one, stays as it is.

    Raises:
        OSError: if a manifest cannot be written.
    """
    names: dict[str, set[str]] = {}
    for path in paths:
        folder, name = files.split_path(path)
        names.setdefault(folder, set()).add(name)
    for folder, replaced in names.items():
        path = files.join_path(folder, FILE_NAME)
        if not files.exists(path):
            continue
        with _locked(folder):
            manifest = None
            with contextlib.suppress(ValueError):
                manifest = _read_ours(path)
            if manifest is None:
                continue
            runs = _runs_without(manifest, replaced)
            if runs != manifest["runs"]:
                _write(folder, {**manifest, "runs": runs})


def find_run(manifest: dict[str, Any], file_name: str) -> dict[str, Any] | None:
    """The run that made the file of this name, or None."""
    for run in manifest["runs"]:
        if any(file["name"] == file_name for file in run["files"]):
            return run
    return None


def _runs_without(manifest: dict[str, Any], names: set[str]) -> list[dict[str, Any]]:
    """The runs without the entries of these files; a run that has no other is left out."""
    runs = []
    for run in manifest["runs"]:
        left = [file for file in run["files"] if file["name"] not in names]
        if left:
            runs.append({**run, "files": left})
    return runs


def _write(folder: str, manifest: dict[str, Any]) -> None:
    with files.atomic_write(files.join_path(folder, FILE_NAME), "w") as file:
        file.write(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")


@contextlib.contextmanager
def _locked(folder: str) -> Iterator[None]:
    """Keeps other processes of this machine from changing the folder's manifest meanwhile."""
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
