"""Remembers what walks over files found, so that a run that goes on need not walk again.

Only records that have no `manifest.json` need this: those of the original script. At the size of
Wikipedia their walk takes minutes, on a bucket an hour.
"""

import json
from pathlib import Path
from typing import Any

from bert_tf import files
from bert_tf.config import read_json

_FORMAT = 1


class ScanCache:
    """Entries as in a manifest's `files`, by path, for files that have not changed since.

    Args:
        path: a JSON file, made when there is something to remember; None: nothing is remembered.
    """

    def __init__(self, path: str | None) -> None:
        self.path = path
        self._entries: dict[str, dict[str, Any]] = {}
        self._has_news = False
        if path is not None and files.exists(path):
            content = read_json(path)
            if isinstance(content, dict) and content.get("format") == _FORMAT:
                self._entries = content["files"]

    def find(self, path: str) -> dict[str, Any] | None:
        """What is known of a file; None if nothing, or if it was written to since."""
        entry = self._entries.get(path)
        return entry if entry and entry["state"] == _state(path) else None

    def remember(self, path: str, num_records: int, block_offsets: list[int] | None) -> None:
        """Notes what was found in a file; None for the offsets of a compressed one."""
        self._entries[path] = {
            "state": _state(path),
            "bytes": files.file_size(path),
            "examples": num_records,
            "block_offsets": block_offsets,
        }
        self._has_news = True

    def save(self) -> None:
        """Writes the file, if anything is new."""
        if self.path is not None and self._has_news:
            with files.atomic_write(self.path, "w") as file:
                json.dump({"format": _FORMAT, "files": self._entries}, file)
            self._has_news = False


def _state(path: str) -> list[int]:
    """Size and time of the last change, which together tell whether a file is still the same."""
    if files.is_remote(path):
        import tensorflow as tf

        status = tf.io.gfile.stat(path)
        return [status.length, status.mtime_nsec]
    status = Path(path).stat()
    return [status.st_size, status.st_mtime_ns]
