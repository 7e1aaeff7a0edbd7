"""Where the records of TFRecord files lie: the map that lets reading start anywhere.

A file's records are cut into blocks of 1,024, and of each block the index knows where it starts.
That is all the input pipeline needs to permute a data set of any size and to begin in its middle:

    file 0   |--- block 0 ---|--- block 1 ---|- block 2 -|
    file 1   |--- block 3 ---|-- block 4 --|

The offsets come from the `manifest.json` beside the records. Where there is none (files of the
original script), or it does not fit the file's size, a walk over the file finds them, once.
"""

import dataclasses
import functools
import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bert_tf import files
from bert_tf.data import manifest as manifests
from bert_tf.data.record_scan import Fault, compression_of, scan_file
from bert_tf.data.scan_cache import ScanCache

logger = logging.getLogger(__name__)

# A compressed file can only be read from its start. Every block costs a pass over what precedes
# it, so its blocks are large: as large as the groups that the input pipeline holds in memory.
RECORDS_PER_COMPRESSED_BLOCK = 65536


@dataclasses.dataclass(frozen=True, eq=False)
class FileIndex:
    """The blocks of one file.

    Attributes:
        path: the file.
        compression: "" or "GZIP".
        num_bytes: its size.
        run: the entry of the manifest's `runs` that made it, or None.
        offset: <int64>[K], the byte (unpacked) where reading a block starts.
        skip: <int64>[K], how many records to pass over from there.
        record: <int64>[K], the number in the file, from 0, of a block's first record.
        size: <int64>[K], records in a block, at least 1.
        faults: what was found corrupt and left out.
    """

    path: str
    compression: str
    num_bytes: int
    run: dict[str, Any] | None
    offset: np.ndarray
    skip: np.ndarray
    record: np.ndarray
    size: np.ndarray
    faults: tuple[Fault, ...] = ()

    def without(self, bad: dict[int, Fault]) -> "FileIndex":
        """The same without some records, given by their number in the file: blocks are split."""
        parts = []
        for offset, skip, record, size in zip(
            self.offset, self.skip, self.record, self.size, strict=True
        ):
            inside = [number - record for number in sorted(bad) if 0 <= number - record < size]
            for first, past in zip([0, *(n + 1 for n in inside)], [*inside, size], strict=True):
                if first < past:
                    parts.append((offset, skip + first, record + first, past - first))
        table = np.array(parts, np.int64).reshape(-1, 4)
        faults = (*self.faults, *(bad[number] for number in sorted(bad)))
        return dataclasses.replace(
            self,
            offset=table[:, 0],
            skip=table[:, 1],
            record=table[:, 2],
            size=table[:, 3],
            faults=faults,
        )


@dataclasses.dataclass(frozen=True, eq=False)
class RecordIndex:
    """The blocks of a data set, in the order of its files. K blocks in all.

    Attributes:
        files: the index of each file. One that is named twice counts twice.
    """

    files: tuple[FileIndex, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(file.path for file in self.files)

    @property
    def runs(self) -> tuple[dict[str, Any] | None, ...]:
        """Per file the run that made it, as its manifest tells, or None."""
        return tuple(file.run for file in self.files)

    @property
    def num_bytes(self) -> int:
        return sum(file.num_bytes for file in self.files)

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What was found corrupt and left out."""
        return tuple(fault for file in self.files for fault in file.faults)

    @property
    def num_blocks(self) -> int:
        return len(self.block_size)

    @property
    def num_examples(self) -> int:
        return int(self.block_size.sum())

    @functools.cached_property
    def block_file(self) -> np.ndarray:
        """<int64>[K]: the place of each block's file in `files`."""
        return np.repeat(np.arange(len(self.files)), [len(file.size) for file in self.files])

    @functools.cached_property
    def block_size(self) -> np.ndarray:
        """<int64>[K]: how many records each block has."""
        return self.joined("size")

    @property
    def block_first_example(self) -> np.ndarray:
        """<int64>[K]: the number of each block's first example, counted through all files."""
        return np.cumsum(self.block_size) - self.block_size

    def joined(self, name: str) -> np.ndarray:
        """<int64>[K]: an array of FileIndex, of all files one after the other."""
        return np.concatenate([getattr(file, name) for file in self.files])


def build_record_index(
    paths: Sequence[str],
    on_corrupt: str = "fail",
    report: Callable[[str], None] | None = None,
    cache_file: str | None = None,
    records_per_block: int = manifests.RECORDS_PER_BLOCK,
    records_per_compressed_block: int = RECORDS_PER_COMPRESSED_BLOCK,
) -> RecordIndex:
    """Finds the blocks of records in TFRecord files, plain or gzip.

    Args:
        paths: the files, in the order that evaluation reads them.
        on_corrupt: what to do with a file that is cut short or whose record headers are corrupt:
            "fail", or "skip": leave out the rest of a plain file from the fault on, or the whole of
            a compressed one.
        report: is handed a line about everything left out; without it the lines are logged.
        cache_file: a JSON file where what walks over files find is remembered for the next time;
            None: it is not. Files with a manifest do not need it.
        records_per_block: block size in plain files that are not in a manifest.
        records_per_compressed_block: block size in compressed files.

    Raises:
        ValueError: for a corrupt file (its name, byte and record), or where no record is left.
    """
    check_on_corrupt(on_corrupt)
    if not paths:
        raise ValueError("There is no file to read records from.")
    entries = _manifest_entries(paths)
    cache = ScanCache(cache_file)
    parts = []
    for path in paths:
        run, entry = entries[path]
        compression = compression_of(path)
        per_block = records_per_compressed_block if compression else records_per_block
        part = _index_by_entry(path, compression, run, entry, per_block) or _index_by_entry(
            path, compression, run, cache.find(path), per_block
        )
        if part is None:
            part = index_by_scan(path, compression, run, on_corrupt, per_block)
            if not part.faults and records_per_block == manifests.RECORDS_PER_BLOCK:
                offsets = None if compression else part.offset.tolist()
                cache.remember(path, int(part.size.sum()), offsets)
        parts.append(part)
    cache.save()
    index = RecordIndex(tuple(parts))
    for fault in index.faults:
        (report or logger.warning)(f"Left out: {fault}")
    if not index.num_blocks:
        raise ValueError(f"There is no record in any of the files: {', '.join(paths)}")
    return index


def check_on_corrupt(on_corrupt: str) -> None:
    """Raises a ValueError unless `on_corrupt` is "fail" or "skip"."""
    if on_corrupt not in ("fail", "skip"):
        raise ValueError(f"on_corrupt must be 'fail' or 'skip'. Received: {on_corrupt!r}")


def index_by_scan(
    path: str, compression: str, run: dict | None, on_corrupt: str, records_per_block: int
) -> FileIndex:
    """The blocks of a file, found by a walk over it; arguments as in `build_record_index`."""
    scanned = scan_file(path, compression, records_per_block)
    if scanned.fault and on_corrupt == "fail":
        scanned.fault.fail()
    num_records = 0 if scanned.fault and compression else scanned.num_records
    faults = (scanned.fault,) if scanned.fault else ()
    num_bytes = files.file_size(path)
    offsets = np.zeros(0, np.int64) if compression else scanned.block_offsets
    return _even_blocks(
        path, compression, num_bytes, run, num_records, records_per_block, offsets, faults
    )


def _index_by_entry(
    path: str,
    compression: str,
    run: dict[str, Any] | None,
    entry: dict[str, Any] | None,
    records_per_block: int,
) -> FileIndex | None:
    """The blocks of a file by its entry in a manifest; None where that does not fit the file."""
    num_bytes = files.file_size(path)
    if entry is None or entry["bytes"] != num_bytes:
        return None
    num_records = entry["examples"]
    if not compression:
        records_per_block = manifests.RECORDS_PER_BLOCK
    offsets = np.array(entry["block_offsets"] or [], np.int64)
    if not compression and len(offsets) != -(-num_records // records_per_block):
        return None
    return _even_blocks(
        path, compression, num_bytes, run, num_records, records_per_block, offsets, ()
    )


def _even_blocks(
    path: str,
    compression: str,
    num_bytes: int,
    run: dict[str, Any] | None,
    num_records: int,
    records_per_block: int,
    offsets: np.ndarray,
    faults: tuple[Fault, ...],
) -> FileIndex:
    record = np.arange(0, num_records, records_per_block, dtype=np.int64)
    nothing = np.zeros_like(record)
    return FileIndex(
        path=path,
        compression=compression,
        num_bytes=num_bytes,
        run=run,
        # A manifest knows no offsets inside a compressed file: records are passed over instead.
        offset=nothing if compression else offsets,
        skip=record if compression else nothing,
        record=record,
        size=np.minimum(records_per_block, num_records - record),
        faults=faults,
    )


def _manifest_entries(
    paths: Sequence[str],
) -> dict[str, tuple[dict[str, Any] | None, dict[str, Any] | None]]:
    """Per file the run that made it and its entry there; a folder's manifest is read once."""
    by_folder: dict[str, dict[str, tuple[dict, dict]]] = {}
    entries = {}
    for path in paths:
        folder, name = files.split_path(path)
        if folder not in by_folder:
            manifest = manifests.read_manifest(folder) or {"runs": []}
            by_folder[folder] = {
                file["name"]: (run, file) for run in manifest["runs"] for file in run["files"]
            }
        entries[path] = by_folder[folder].get(name, (None, None))
    return entries
