"""Where the records of TFRecord files lie: the map that lets reading start anywhere.

A file's records are cut into blocks of 1,024, and of each block the index knows where it starts.
That is all the input pipeline needs to permute a data set of any size and to begin in its middle:

    file 0   |--- block 0 ---|--- block 1 ---|- block 2 -|
    file 1   |--- block 3 ---|-- block 4 --|

The offsets come from the `manifest.json` beside the records; where there is none (files of the
original script), or it no longer fits the file, from a walk over the file's record headers:

    uint64 length | uint32 masked CRC-32C of length | length bytes | uint32 masked CRC-32C of them
"""

import dataclasses
import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bert_tf import files
from bert_tf.data import manifest as manifests
from bert_tf.data.record_scan import CORRUPT_ADVICE, Fault, compression_of, scan_file

logger = logging.getLogger(__name__)

RECORDS_PER_BLOCK = 1024
# A compressed file can only be read from its start. Every block costs a pass over what precedes
# it, so its blocks are large: as large as the groups that the input pipeline holds in memory.
RECORDS_PER_COMPRESSED_BLOCK = 65536

Report = Callable[[str], None]


@dataclasses.dataclass(frozen=True, eq=False)
class RecordIndex:
    """The blocks of a data set, in the order of its files. K blocks.

    Attributes:
        paths: the files. One that is named twice counts twice.
        compressions: per file "" or "GZIP".
        runs: per file the entry of the manifest's `runs` that made it, or None.
        block_file: <int32>[K], the place of the block's file in `paths`.
        block_offset: <int64>[K], the byte in that file where reading starts.
        block_skip: <int64>[K], how many records to pass over from there.
        block_record: <int64>[K], the number in its file, from 0, of the block's first record.
        block_size: <int64>[K], records in the block, at least 1.
        num_bytes: the size of all files together, in bytes.
        faults: what was found corrupt and left out.
    """

    paths: tuple[str, ...]
    compressions: tuple[str, ...]
    runs: tuple[dict[str, Any] | None, ...]
    block_file: np.ndarray
    block_offset: np.ndarray
    block_skip: np.ndarray
    block_record: np.ndarray
    block_size: np.ndarray
    num_bytes: int
    faults: tuple[Fault, ...] = ()

    @property
    def num_blocks(self) -> int:
        return len(self.block_size)

    @property
    def num_examples(self) -> int:
        return int(self.block_size.sum())

    @property
    def block_first_example(self) -> np.ndarray:
        """<int64>[K]: the number of each block's first example, counted through all files."""
        return np.cumsum(self.block_size) - self.block_size


def build_record_index(
    paths: Sequence[str],
    on_corrupt: str = "fail",
    report: Report | None = None,
    records_per_block: int = RECORDS_PER_BLOCK,
    records_per_compressed_block: int = RECORDS_PER_COMPRESSED_BLOCK,
) -> RecordIndex:
    """Finds the blocks of records in TFRecord files, plain or gzip.

    Args:
        paths: the files, in the order that evaluation reads them.
        on_corrupt: what to do with a file that is cut short or whose record headers are corrupt:
            "fail", or "skip": leave out the rest of a plain file from the fault on, or the whole of
            a compressed one.
        report: is handed a line about everything left out; without it the lines are logged.
        records_per_block: block size in plain files.
        records_per_compressed_block: block size in compressed files.

    Raises:
        ValueError: for a corrupt file (its name, byte and record), or where no record is left.
    """
    check_on_corrupt(on_corrupt)
    if not paths:
        raise ValueError("There is no file to read examples from.")
    entries = _manifest_entries(paths)
    parts = []
    for path in paths:
        run, entry = entries[path]
        compression = compression_of(path)
        per_block = records_per_compressed_block if compression else records_per_block
        blocks = _blocks_of_manifest(entry, path, compression, per_block)
        if blocks is None:
            blocks = _blocks_of_scan(path, compression, per_block, on_corrupt)
        parts.append(_index_of_file(path, compression, run, *blocks))
    index = concatenate_indexes(parts)
    for fault in index.faults:
        (report or logger.warning)(f"Left out: {fault}")
    if not index.num_blocks:
        raise ValueError(f"There is no record in any of: {', '.join(paths)}")
    return index


def check_on_corrupt(on_corrupt: str) -> None:
    """Raises a ValueError unless `on_corrupt` is "fail" or "skip"."""
    if on_corrupt not in ("fail", "skip"):
        raise ValueError(f"on_corrupt must be 'fail' or 'skip'. Received: {on_corrupt!r}")


def concatenate_indexes(parts: Sequence[RecordIndex]) -> RecordIndex:
    """One index of several, each of which has one file."""
    file_of_part = [np.full(part.num_blocks, n, np.int32) for n, part in enumerate(parts)]
    return RecordIndex(
        paths=tuple(path for part in parts for path in part.paths),
        compressions=tuple(name for part in parts for name in part.compressions),
        runs=tuple(run for part in parts for run in part.runs),
        block_file=np.concatenate(file_of_part),
        block_offset=np.concatenate([part.block_offset for part in parts]),
        block_skip=np.concatenate([part.block_skip for part in parts]),
        block_record=np.concatenate([part.block_record for part in parts]),
        block_size=np.concatenate([part.block_size for part in parts]),
        num_bytes=sum(part.num_bytes for part in parts),
        faults=tuple(fault for part in parts for fault in part.faults),
    )


def scan_to_index(path: str, compression: str, run: Any, on_corrupt: str) -> RecordIndex:
    """The index of one file from a walk over it, whatever its manifest says."""
    per_block = RECORDS_PER_COMPRESSED_BLOCK if compression else RECORDS_PER_BLOCK
    blocks = _blocks_of_scan(path, compression, per_block, on_corrupt)
    return _index_of_file(path, compression, run, *blocks)


def _index_of_file(
    path: str,
    compression: str,
    run: dict[str, Any] | None,
    num_records: int,
    block_offsets: np.ndarray,
    records_per_block: int,
    fault: Fault | None,
) -> RecordIndex:
    first_records = np.arange(0, num_records, records_per_block, dtype=np.int64)
    nothing = np.zeros_like(first_records)
    return RecordIndex(
        paths=(path,),
        compressions=(compression,),
        runs=(run,),
        block_file=np.zeros(len(first_records), np.int32),
        # A manifest knows no offsets inside a compressed file: records are passed over instead.
        block_offset=nothing if compression else block_offsets,
        block_skip=first_records if compression else nothing,
        block_record=first_records,
        block_size=np.minimum(records_per_block, num_records - first_records),
        num_bytes=files.file_size(path),
        faults=(fault,) if fault else (),
    )


def _blocks_of_scan(
    path: str, compression: str, records_per_block: int, on_corrupt: str
) -> tuple[int, np.ndarray, int, Fault | None]:
    """(records, block offsets, records per block, fault), found by a walk over the file."""
    scanned = scan_file(path, compression, records_per_block)
    if scanned.fault and on_corrupt == "fail":
        raise ValueError(f"{scanned.fault}. {CORRUPT_ADVICE}")
    num_records = 0 if scanned.fault and compression else scanned.num_records
    return num_records, scanned.block_offsets, records_per_block, scanned.fault


def _blocks_of_manifest(
    entry: dict[str, Any] | None, path: str, compression: str, records_per_block: int
) -> tuple[int, np.ndarray, int, None] | None:
    """The same from the file's entry in the manifest; None where it does not fit the file."""
    if entry is None or entry.get("bytes") != files.file_size(path):
        return None
    num_records = entry["examples"]
    if compression:
        return num_records, np.zeros(0, np.int64), records_per_block, None
    offsets = entry.get("block_offsets")
    per_block = manifests.RECORDS_PER_BLOCK
    if offsets is None or len(offsets) != -(-num_records // per_block):
        return None
    return num_records, np.array(offsets, np.int64), per_block, None


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
