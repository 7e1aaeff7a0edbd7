"""Manages the folder of parts, from which an interrupted run is resumed.

    text/.parts/run.json              the run's settings, inputs and libraries
                part-000012.*         see `parts`
                corpus-00003-of-00100.txt.json   see `shards`

A run locks the folder. A run with other settings can use its parts if these settings do not affect
a part's text, such as the number of files. Each part records the piece of the input that it was
made from.
"""

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bert_tf import files
from bert_tf.config import read_json

_FOLDER = ".parts"
# Settings that do not change a part's text. (A part records which input it was made from.)
_NOT_OF_PARTS = frozenset(
    (
        *("input_file", "source", "language", "split", "tfds_data_dir"),
        *("num_shards", "gzip", "drop_duplicates", "sampling_exponent", "held_out_share"),
    )
)
_OUTPUT = r"(corpus-\d+-of-\d+|held_out)\.txt(\.gz)?"
_OWN = re.compile(
    rf"(part-\d+\.(txt|index|json)|run\.json|{_OUTPUT}\.json"
    rf"|\.(part-\d+\.(txt|index|json)|run\.json|{_OUTPUT}\.json)\.[0-9a-f]+\.tmp)"
)
# Outputs under the temporary names of `bert_tf.files.paths.atomic_write`.
_HALF_WRITTEN = re.compile(rf"\.({_OUTPUT}|corpus\.json)\.[0-9a-f]+\.tmp")


def parts_folder(output_dir: str) -> str:
    """Returns the folder that holds the parts of a corpus until it is finished."""
    return files.join_path(output_dir, _FOLDER)


@contextlib.contextmanager
def hold_parts(output_dir: str) -> Iterator[str]:
    """Locks the folder of parts, and removes half-written files of an earlier, killed run.

    Raises:
        ValueError: if another run holds the lock.
    """
    folder = parts_folder(output_dir)
    refusal = (
        f"Another run is preparing a corpus in this folder: wait for it, or choose another "
        f"folder. Received: --output_dir={output_dir!r}"
    )
    with files.hold_folder(folder, refusal):
        _remove(output_dir, _HALF_WRITTEN)
        for left in Path(folder).glob(".*.tmp"):
            if _OWN.fullmatch(left.name):
                left.unlink(missing_ok=True)  # Workers of a killed run may still be removing them.
        try:
            yield folder
        finally:
            if not _has_parts(folder):
                remove_parts(folder)
            with contextlib.suppress(OSError):  # It holds parts, which are kept.
                Path(folder).rmdir()


def start_or_resume(folder: str, identity: dict[str, Any]) -> None:
    """Checks that the parts in the folder, if there are any, can be used by this run.

    Args:
        folder: the folder, locked by this run.
        identity: format, settings, inputs and libraries, as JSON values.

    Raises:
        ValueError: if parts were made with other settings or libraries, or none of the inputs is
            the same.
    """
    path = files.join_path(folder, "run.json")
    identity = _identity_of_parts(identity)
    if _has_parts(folder) and files.exists(path):
        there = read_json(path)
        differences = list_differences(there, identity)
        if not differences and there["libraries"] != identity["libraries"]:
            differences = [f"with {there['libraries']}, now with {identity['libraries']}"]
        if not differences and not any(each in there["inputs"] for each in identity["inputs"]):
            differences = [f"from other inputs, such as {there['inputs'][0]['path']}"]
        if differences:
            raise ValueError(
                f"{folder} holds parts of an unfinished corpus that was made differently: "
                f"{'; '.join(differences)}. Finish that one, choose another --output_dir, or, to "
                f"start over, remove {folder}."
            )
    else:
        remove_parts(folder)
    with files.atomic_write(path, "w") as file:
        file.write(json.dumps(identity, indent=1, ensure_ascii=False) + "\n")


def _has_parts(folder: str) -> bool:
    return bool(files.glob_files(files.join_path(folder, "part-*.json")))


def remove_parts(folder: str) -> None:
    """Removes all files of a run from the folder."""
    _remove(folder, _OWN)


def list_differences(there: dict[str, Any], identity: dict[str, Any]) -> list[str]:
    """Returns descriptions of the settings that differ between two runs; empty if none do."""
    if there.get("format") != identity["format"]:
        return ["by another version of this program"]
    old, new = there["settings"], identity["settings"]
    return [
        f"{name} was {old.get(name)!r}, now {new[name]!r}"
        for name in new
        if old.get(name) != new[name]
    ]


def _identity_of_parts(identity: dict[str, Any]) -> dict[str, Any]:
    settings = {
        name: value for name, value in identity["settings"].items() if name not in _NOT_OF_PARTS
    }
    inputs = [
        {name: each[name] for name in ("path", "language", "source")} for each in identity["inputs"]
    ]
    return {**identity, "settings": settings, "inputs": inputs}


def _remove(folder: str, names: re.Pattern) -> None:
    for path in Path(folder).iterdir():
        if names.fullmatch(path.name):
            path.unlink(missing_ok=True)
