"""Finds where blocks of 1,024 records start in a data set, so that reading can start anywhere.

    file 0   |--- block 0 ---|--- block 1 ---|- block 2 -|
    file 1   |--- block 3 ---|-- block 4 --|

The offsets come from the `manifest.json` beside the records. Files without one (the original
script's), or of another size than it says, are scanned. A scan of Wikipedia takes minutes, or an
hour on a bucket, so its result is cached in a file.
"""

import dataclasses
import functools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bert_tf import files
from bert_tf.config import check_form, read_json, write_json
from bert_tf.data.manifest import FILE_NAME, RECORDS_PER_BLOCK, described_files
from bert_tf.data.records import Fault, compression_of, scan_file

logger = logging.getLogger(__name__)

# A compressed file can only be read from its start. Its blocks are large (a group of the input
# pipeline), because each one costs a pass over what precedes it.
RECORDS_PER_COMPRESSED_BLOCK = 65536

# A block of a file: the byte (uncompressed) where reading starts, the number of records to skip
# there, its first record's number in the file, and its number of records, at least 1.
BLOCK = np.dtype([(name, np.int64) for name in ("offset", "skip", "record", "size")])
CORRUPT_ADVICE = (
    "Copy the file again from its source, or leave out what is damaged with --on_corrupt=skip."
)

_CACHE_FORMAT = 1
_ENTRY_FORM = {"bytes": int, "examples": int, "block_offsets": list | None}
_MAX_RECORDS_PER_BYTE = 65  # Of a gzip file: a byte becomes 1,032 at most, a record has 16 or more.


@dataclasses.dataclass(frozen=True, eq=False)
class FileIndex:
    """The blocks of one file."""

    path: str
    compression: str  # "" or "GZIP".
    run: dict[str, Any] | None  # The entry of the manifest's `runs` that made the file.
    blocks: np.ndarray  # <BLOCK>[K]
    faults: tuple[Fault, ...] = ()  # What is left out.

    def without(self, faults: Sequence[Fault]) -> "FileIndex":
        """Returns the index without the records of `faults`, which are in ascending order."""
        parts = []
        for offset, skip, record, size in self.blocks.tolist():
            bad = [f.record - record for f in faults if record <= f.record < record + size]
            for first, past in zip([0, *(n + 1 for n in bad)], [*bad, size], strict=True):
                if first < past:
                    parts.append((offset, skip + first, record + first, past - first))
        blocks = np.array(parts, BLOCK)
        return dataclasses.replace(self, blocks=blocks, faults=(*self.faults, *faults))


@dataclasses.dataclass(frozen=True, eq=False)
class RecordIndex:
    """The blocks of a data set, in the order of its files. A file listed twice counts twice."""

    files: tuple[FileIndex, ...]

    @functools.cached_property
    def blocks(self) -> np.ndarray:
        """<BLOCK>[K], of all files."""
        return np.concatenate([file.blocks for file in self.files])

    @functools.cached_property
    def block_file(self) -> np.ndarray:
        """<int64>[K], each block's index into `files`."""
        return np.repeat(np.arange(len(self.files)), [len(file.blocks) for file in self.files])

    @property
    def paths(self) -> list[str]:
        return [file.path for file in self.files]

    @property
    def faults(self) -> list[Fault]:
        return [fault for file in self.files for fault in file.faults]

    @property
    def num_examples(self) -> int:
        return int(self.blocks["size"].sum())


def build_record_index(
    paths: Sequence[str], skips_corrupt: bool = False, cache_file: str | None = None
) -> RecordIndex:
    """Finds the blocks of records in TFRecord files, plain or gzip, in this order.

    `skips_corrupt` leaves out what a corrupt header or a truncated end makes unreadable: the rest
    of a plain file, or all of a compressed one. `cache_file` is a JSON file for the results of
    scans. Raises a ValueError for a corrupt file, or if no record is left.
    """
    if not paths:
        raise ValueError("There is no file to read records from.")
    described_in, cache = functools.cache(_described_in), _read_cache(cache_file)
    indices, news = [], {}
    for path in paths:
        folder, name = files.split_path(path)
        run, entry = described_in(folder).get(name, (None, None))
        index = _index_by_entry(path, run, entry) or _index_by_entry(path, run, cache.get(path))
        if index is None:
            index = index_by_scan(path, run, skips_corrupt)
            if not index.faults:
                news[path] = {
                    "state": _state(path),
                    "bytes": files.file_size(path),
                    "examples": int(index.blocks["size"].sum()),
                    "block_offsets": None if index.compression else index.blocks["offset"].tolist(),
                }
        indices.append(index)
    if news and cache_file is not None:
        write_json(cache_file, {"format": _CACHE_FORMAT, "files": cache | news}, indent=None)
    index = RecordIndex(tuple(indices))
    for fault in index.faults:
        logger.warning("Left out: %s", fault)
    if not len(index.blocks):
        raise ValueError(f"There is no record in any of the files: {', '.join(paths)}")
    return index


def index_by_scan(path: str, run: dict[str, Any] | None, skips_corrupt: bool) -> FileIndex:
    """Finds the blocks of a file by scanning it; see `build_record_index`."""
    compression = compression_of(path)
    scan = scan_file(path, compression, RECORDS_PER_BLOCK)
    if scan.fault and not scan.num_records:
        files.refuse_other_kinds(path, "records")
    if scan.fault and not skips_corrupt:
        raise scan.fault.error(CORRUPT_ADVICE)
    num_records = 0 if scan.fault and compression else scan.num_records
    blocks = _even_blocks(num_records, compression, scan.block_offsets)
    return FileIndex(path, compression, run, blocks, (scan.fault,) if scan.fault else ())


def _index_by_entry(
    path: str, run: dict[str, Any] | None, entry: dict[str, Any] | None
) -> FileIndex | None:
    """Makes an index of a file's entry in the manifest or cache; None if they do not match."""
    if entry is None or entry["bytes"] != files.file_size(path):
        return None
    if not 0 <= entry["examples"] <= _MAX_RECORDS_PER_BYTE * entry["bytes"]:
        return None
    if "state" in entry and entry["state"] != _state(path):
        return None
    compression, offsets = compression_of(path), entry.get("block_offsets") or []
    if not compression and len(offsets) != -(-entry["examples"] // RECORDS_PER_BLOCK):
        return None
    if not all(type(offset) is int and 0 <= offset < entry["bytes"] for offset in offsets):
        return None
    return FileIndex(path, compression, run, _even_blocks(entry["examples"], compression, offsets))


def _even_blocks(num_records: int, compression: str, offsets: Sequence[int]) -> np.ndarray:
    """Returns <BLOCK>[K]; only a plain file's blocks have `offsets`."""
    per_block = RECORDS_PER_COMPRESSED_BLOCK if compression else RECORDS_PER_BLOCK
    record = np.arange(0, num_records, per_block)
    blocks = np.zeros(len(record), BLOCK)
    blocks["record"] = record
    blocks["size"] = np.minimum(per_block, num_records - record)
    blocks["skip" if compression else "offset"] = record if compression else offsets
    return blocks


def _described_in(folder: str) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    described = described_files(folder)
    for name, (_, entry) in described.items():
        check_form(files.join_path(folder, FILE_NAME), entry, _ENTRY_FORM, name)
    return described


def _read_cache(path: str | None) -> dict[str, dict[str, Any]]:
    """Returns entries like those of a manifest's `files`, with `state`, by path."""
    if path is None or not files.exists(path):
        return {}
    content = read_json(path)
    if not isinstance(content, dict) or content.get("format") != _CACHE_FORMAT:
        return {}
    check_form(path, content, {"files": {str: _ENTRY_FORM}})
    return content["files"]


def _state(path: str) -> list[int]:
    """Returns a file's size and time of modification."""
    if files.is_remote(path):
        import tensorflow as tf

        status = tf.io.gfile.stat(path)
        return [status.length, status.mtime_nsec]
    status = Path(path).stat()
    return [status.st_size, status.st_mtime_ns]
