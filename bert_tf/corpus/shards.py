"""Writes the files of the corpus from selected documents of the parts.

Each file gets consecutive documents of about the same total size. Files are made independently, by
any worker, and finished files are kept when a run is resumed.
"""

import dataclasses
import gzip
import hashlib
import json
from typing import Any

import numpy as np

from bert_tf import files
from bert_tf.config import read_json
from bert_tf.corpus.parts import part_path

_COUNTS = ("sentences", "words", "characters", "truncated")


@dataclasses.dataclass(frozen=True)
class ShardWork:
    """A file to make.

    Attributes:
        path: of the file.
        folder: the folder of the parts, which also gets the file's entry.
        part: <int32>[n], the number of the part that holds each document.
        offset: <int64>[n], where the document begins in the part's text, in bytes.
        index: DOCUMENT[n].
        is_gzip: whether to compress the file.
    """

    path: str
    folder: str
    part: np.ndarray
    offset: np.ndarray
    index: np.ndarray
    is_gzip: bool

    @property
    def made_of(self) -> str:
        """A digest of the documents. (Truncation is the same throughout a run.)"""
        return hashlib.blake2b(self.index.tobytes(), digest_size=16).hexdigest()


def shard_boundaries(sizes: np.ndarray, num_shards: int) -> np.ndarray:
    """Splits documents into N runs of about equal size: <int64>[N + 1], the starts and the end.

    Args:
        sizes: <int>[n], bytes of each document.
        num_shards: N, at most n.
    """
    ends = np.cumsum(sizes, dtype=np.int64)
    wanted = ends[-1] * np.arange(num_shards + 1, dtype=np.float64) / num_shards
    boundaries = np.searchsorted(ends, wanted, side="left")
    boundaries[-1] = len(sizes)
    # Every run has a document, however long single documents are.
    numbers = np.arange(num_shards + 1)
    boundaries = np.maximum.accumulate(boundaries - numbers) + numbers
    return np.minimum(boundaries, len(sizes) - num_shards + numbers)


def entry_path(work_folder: str, path: str) -> str:
    """Returns the path of a finished file's entry, which is kept until all files are finished."""
    return files.join_path(work_folder, files.split_path(path)[1] + ".json")


def read_entry(work: ShardWork) -> dict[str, Any] | None:
    """Returns the entry of a file that an earlier run made from the same documents, or None."""
    place = entry_path(work.folder, work.path)
    if not files.exists(place) or not files.exists(work.path):
        return None
    entry = read_json(place)
    if entry.pop("made_of") != work.made_of or files.file_size(work.path) != entry["bytes"]:
        return None
    return entry


def make_shard(work: ShardWork) -> dict[str, Any]:
    """Writes a file of the corpus, and returns its entry in the manifest.

    Raises:
        OSError: if it cannot be written. Then it is not left behind.
    """
    with files.atomic_write(work.path) as file:
        output = _Output(file, work.is_gzip)
        part, text = -1, None
        try:
            for number, offset, size in zip(
                work.part.tolist(), work.offset.tolist(), work.index["size"].tolist(), strict=True
            ):
                if number != part:
                    if text is not None:
                        text.close()
                    part, text = number, files.open_file(part_path(work.folder, number, "txt"))
                if text.tell() != offset:
                    text.seek(offset)
                output.write(text.read(size))
        finally:
            if text is not None:
                text.close()
        entry = {"name": files.split_path(work.path)[1], **output.finish()}
    entry["documents"] = len(work.index)
    entry.update({name: int(work.index[name].sum(dtype=np.int64)) for name in _COUNTS})
    with files.atomic_write(entry_path(work.folder, work.path), "w") as file:
        file.write(json.dumps({**entry, "made_of": work.made_of}) + "\n")
    return entry


class _Output:
    """Writes and hashes a file. If gzipped, its bytes depend on its content only."""

    def __init__(self, file, is_gzip: bool) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._size = 0
        self._gzip = gzip.GzipFile("", "wb", 6, _Tee(self), mtime=0) if is_gzip else None

    def write(self, data: bytes) -> None:
        if self._gzip is not None:
            self._gzip.write(data)
        else:
            self.write_raw(data)

    def write_raw(self, data: bytes) -> None:
        self._file.write(data)
        self._hash.update(data)
        self._size += len(data)

    def finish(self) -> dict[str, Any]:
        if self._gzip is not None:
            self._gzip.close()
        return {"bytes": self._size, "sha256": self._hash.hexdigest()}


class _Tee:
    """The file that GzipFile writes to."""

    def __init__(self, output: _Output) -> None:
        self._output = output

    def write(self, data) -> int:
        data = bytes(data)
        self._output.write_raw(data)
        return len(data)

    def flush(self) -> None:
        """Does nothing: there is no buffer."""
