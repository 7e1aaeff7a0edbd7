"""The folder of the parts, and what an earlier start of the same command has left in it.

    text/.parts/run.json              settings, inputs and libraries that the parts are made with
                part-000012.*         see `parts`
                corpus-00003-of-00100.txt.json   see `shards`

One run at a time has it. Only settings that change a part's text matter here: with others (how many
files, how much is held out) a run goes on with the parts that are there. Whether a part still fits
its piece of the input is seen from the part itself.
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
# These change which documents are taken and where they go; what an input's text is, it says itself.
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
    """Where the parts of a corpus are until it is finished."""
    return files.join_path(output_dir, _FOLDER)


@contextlib.contextmanager
def hold_parts(output_dir: str) -> Iterator[str]:
    """The folder, held for this run, without what was being written when an earlier one was killed.

    Raises:
        ValueError: if another run holds it.
    """
    folder = parts_folder(output_dir)
    refusal = (
        f"Another run is preparing a corpus in this folder: wait for its end, or choose another "
        f"folder. Received: --output_dir={output_dir!r}"
    )
    with files.hold_folder(folder, refusal):
        _remove(output_dir, _HALF_WRITTEN)
        for left in Path(folder).glob(".*.tmp"):
            if _OWN.fullmatch(left.name):
                left.unlink(missing_ok=True)  # Workers of a killed run may be ending yet.
        try:
            yield folder
        finally:
            if not _has_parts(folder):
                remove_parts(folder)
            with contextlib.suppress(OSError):  # There are parts in it, to go on with.
                Path(folder).rmdir()


def start_or_go_on(folder: str, identity: dict[str, Any]) -> None:
    """Makes sure that the parts in the folder, if there are any, are of this run.

    Args:
        folder: held by this run.
        identity: format, settings, inputs and libraries, as JSON has them.

    Raises:
        ValueError: if there are parts that were made otherwise, or of other inputs only.
    """
    path = files.join_path(folder, "run.json")
    identity = _identity_of_parts(identity)
    if _has_parts(folder) and files.exists(path):
        there = read_json(path)
        differences = list_differences(there, identity)
        if not differences and there["libraries"] != identity["libraries"]:
            differences = [f"with {there['libraries']}, now with {identity['libraries']}"]
        if not differences and not any(each in there["inputs"] for each in identity["inputs"]):
            differences = [f"of other inputs, as {there['inputs'][0]['path']}"]
        if differences:
            raise ValueError(
                f"{folder} holds parts of a corpus that was not finished, and was made otherwise: "
                f"{'; '.join(differences)}. Finish that one, choose another --output_dir, or, to "
                f"begin anew, remove {folder}."
            )
    else:
        remove_parts(folder)
    with files.atomic_write(path, "w") as file:
        file.write(json.dumps(identity, indent=1, ensure_ascii=False) + "\n")


def _has_parts(folder: str) -> bool:
    return bool(files.glob_files(files.join_path(folder, "part-*.json")))


def remove_parts(folder: str) -> None:
    """Empties the folder of all that is of a run."""
    _remove(folder, _OWN)


def list_differences(there: dict[str, Any], identity: dict[str, Any]) -> list[str]:
    """What differs between the settings of two runs, in words; nothing if nothing does."""
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
