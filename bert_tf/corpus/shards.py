"""Writes the files of the corpus, each with consecutive documents of about the same total size.

Workers make files independently, and a resumed run keeps finished files.
"""

import dataclasses
import gzip
import hashlib
import itertools
import os
from typing import IO, Any

import numpy as np

from bert_tf import files
from bert_tf.config import read_json, write_json
from bert_tf.corpus.parts import part_path

_COUNTS = ("sentences", "words", "characters", "truncated")


@dataclasses.dataclass(frozen=True)
class Shard:
    """Describes a file of the corpus and its documents."""

    path: str  # Compressed if it ends in .gz.
    part: np.ndarray  # <int32>[n], the number of the part that holds each document
    offset: np.ndarray  # <int64>[n], where the document begins in the part's text, in bytes
    index: np.ndarray  # DOCUMENT[n]


def shard_boundaries(sizes: np.ndarray, num_shards: int) -> np.ndarray:
    """Splits n documents of `sizes` bytes into N <= n runs of similar size: <int64>[N + 1]."""
    ends = np.cumsum(sizes, dtype=np.int64)
    numbers = np.arange(num_shards + 1)
    boundaries = np.searchsorted(ends, ends[-1] * numbers.astype(np.float64) / num_shards)
    boundaries[-1] = len(sizes)
    # Every run gets at least one document.
    boundaries = np.maximum.accumulate(boundaries - numbers) + numbers
    return np.minimum(boundaries, len(sizes) - num_shards + numbers)


def make_shard(folder: str, shard: Shard) -> dict[str, Any]:
    """Writes a file, unless it exists with the same documents, and returns its manifest entry.

    The entry is kept in `folder`, the folder of parts, until the corpus is finished.
    """
    name = files.split_path(shard.path)[1]
    entry_path, written_path = (files.join_path(folder, each) for each in (f"{name}.json", name))
    made_of = hashlib.blake2b(shard.index.tobytes(), digest_size=16).hexdigest()
    if files.exists(entry_path) and files.exists(shard.path):
        entry = read_json(entry_path, {"made_of": str, "bytes": int})
        if entry.pop("made_of") == made_of and files.file_size(shard.path) == entry["bytes"]:
            return entry
    with files.atomic_write(written_path) as file:
        if name.endswith(".gz"):  # Without name and time: the bytes depend on the content only.
            with gzip.GzipFile("", "wb", 6, file, mtime=0) as compressed:
                _copy_documents(folder, shard, compressed)
        else:
            _copy_documents(folder, shard, file)
    entry = {
        "name": name,
        "bytes": files.file_size(written_path),
        "sha256": files.file_digest(written_path),
        "documents": len(shard.index),
        **{count: int(shard.index[count].sum(dtype=np.int64)) for count in _COUNTS},
    }
    os.replace(written_path, shard.path)
    write_json(entry_path, {**entry, "made_of": made_of}, indent=None)
    return entry


def _copy_documents(folder: str, shard: Shard, output: IO[bytes]) -> None:
    sizes = shard.index["size"].tolist()
    documents = zip(shard.part.tolist(), shard.offset.tolist(), sizes, strict=True)
    for part, places in itertools.groupby(documents, key=lambda document: document[0]):
        with files.open_file(part_path(folder, part, "txt")) as text:
            for _, offset, size in places:
                if text.tell() != offset:
                    text.seek(offset)
                output.write(text.read(size))
