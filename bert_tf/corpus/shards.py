"""Writes the files of the corpus from selected documents of the parts.

Each file gets consecutive documents of about the same total size. Files are made independently, by
any worker, and finished files are kept when a run is resumed.
"""

import dataclasses
import gzip
import hashlib
import itertools
import json
from typing import IO, Any

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
        output = _HashedFile(file)
        if work.is_gzip:  # Without name and time, so that the bytes depend on the content only.
            with gzip.GzipFile("", "wb", 6, output, mtime=0) as compressed:
                _copy_documents(work, compressed)
        else:
            _copy_documents(work, output)
    entry = {
        "name": files.split_path(work.path)[1],
        "bytes": output.size,
        "sha256": output.hash.hexdigest(),
        "documents": len(work.index),
        **{name: int(work.index[name].sum(dtype=np.int64)) for name in _COUNTS},
    }
    with files.atomic_write(entry_path(work.folder, work.path), "w") as file:
        file.write(json.dumps({**entry, "made_of": work.made_of}) + "\n")
    return entry


def _copy_documents(work: ShardWork, output: Any) -> None:
    sizes = work.index["size"].tolist()
    documents = zip(work.part.tolist(), work.offset.tolist(), sizes, strict=True)
    for part, places in itertools.groupby(documents, key=lambda document: document[0]):
        with files.open_file(part_path(work.folder, part, "txt")) as text:
            for _, offset, size in places:
                if text.tell() != offset:
                    text.seek(offset)
                output.write(text.read(size))


class _HashedFile:
    """Counts and hashes what is written to a file."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self._file.write(data)
        self.hash.update(data)
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Does nothing: there is no buffer."""
