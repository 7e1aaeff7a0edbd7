"""Writes, scans and checks TFRecord files without TensorFlow.

    uint64 length | uint32 masked CRC-32C of the length | record | uint32 masked CRC-32C of it

TensorFlow's reader accepts files that end inside a header and truncated compressed files;
`scan_file` does not. Also, importing TensorFlow takes longer than writing a small data set.
"""

import contextlib
import functools
import gzip
import hashlib
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import IO, Any, NamedTuple

import numpy as np

from bert_tf import files
from bert_tf.data.manifest import RECORDS_PER_BLOCK

_HEADER_BYTES, _FOOTER_BYTES = 12, 4
_PIECE_BYTES = 8 << 20
_MAX_RECORD_BYTES = 1 << 30
_GZIP_START = b"\x1f\x8b\x08"
_GZIP_ERRORS = (EOFError, gzip.BadGzipFile, zlib.error)
_read_length = struct.Struct("<Q").unpack_from


class Fault(NamedTuple):
    """A corrupt record, or the first corrupt place in a file."""

    path: str
    record: int  # Counted from 0.
    byte_offset: int  # Where it starts, in the uncompressed file.
    reason: str
    left_out: str  # What has to be left out because of it.

    def __str__(self) -> str:
        return f"{self._place}; {self.left_out}"

    @property
    def _place(self) -> str:
        return f"{self.path}: record {self.record:,}, byte {self.byte_offset:,}: {self.reason}"

    def error(self, advice: str) -> ValueError:
        """Returns the exception to raise if nothing may be left out."""
        return ValueError(f"{self._place}. {advice}")


class Scan(NamedTuple):
    """The result of reading the headers of a file."""

    num_records: int  # Whole records before the end or the fault.
    block_offsets: np.ndarray  # <int64>[K]: where records 0, n, 2n, ... start, uncompressed.
    fault: Fault | None


def scan_file(path: str, compression: str, records_per_block: int) -> Scan:
    """Finds where records 0, n, 2n, ... of a TFRecord file start, n being `records_per_block`.

    Only headers are read. `compression` is "" or "GZIP".
    """
    offsets, num_records, end = [np.zeros(0, np.int64)], 0, 0
    piece, reason = b"", ""
    try:
        with files.open_file(path, "rb") as file:
            stream = gzip.GzipFile(fileobj=file) if compression else file
            while not reason and (more := stream.read(_PIECE_BYTES)):
                piece += more
                starts, used, reason = _whole_records(piece)
                first = -num_records % records_per_block
                offsets.append(end + starts[first::records_per_block])
                num_records += len(starts)
                end += used
                piece = piece[used:]
                if len(piece) >= _HEADER_BYTES and _read_length(piece)[0] > _MAX_RECORD_BYTES:
                    reason = reason or "a record of this length cannot be read"
        if piece and not reason:
            reason = f"the file ends {len(piece):,} bytes into it: it is truncated"
    except _GZIP_ERRORS as error:
        reason = f"damaged or truncated gzip data: {error}"
    left_out = "a compressed file is left out whole"
    if not compression:
        left_out = f"the rest of the file is left out, {files.file_size(path) - end:,} bytes"
    fault = Fault(path, num_records, end, reason, left_out) if reason else None
    return Scan(num_records, np.concatenate(offsets), fault)


def compression_of(path: str) -> str:
    """Returns "GZIP" for a gzip file of any name, else ""; these are TensorFlow's terms."""
    with files.open_file(path, "rb") as file:
        start = file.read(_HEADER_BYTES)
    return "GZIP" if start.startswith(_GZIP_START) and not _is_header(start) else ""


def first_records(path: str, count: int) -> list[bytes]:
    """Returns up to `count` of a file's first records, without checking them."""
    records, compression = [], compression_of(path)
    with contextlib.suppress(*_GZIP_ERRORS), files.open_file(path, "rb") as file:
        stream = gzip.GzipFile(fileobj=file) if compression else file
        while len(records) < count and _is_header(header := stream.read(_HEADER_BYTES)):
            if (size := _read_length(header)[0]) > _MAX_RECORD_BYTES:
                break
            records.append(stream.read(size))
            stream.read(_FOOTER_BYTES)
    return records


def read_records_at(
    path: str, compression: str, offsets: Iterable[int]
) -> Iterator[tuple[bytes, bool]]:
    """Yields the records at ascending offsets, and whether each fits its checksum."""
    with files.open_file(path, "rb") as file:
        stream = gzip.GzipFile(fileobj=file) if compression else file
        for offset in offsets:
            stream.seek(offset)
            record = stream.read(_read_length(stream.read(_HEADER_BYTES))[0])
            yield record, stream.read(_FOOTER_BYTES) == _checksum(record)


class RecordWriter:
    """Writes records to an open binary file, and collects its entry in the manifest."""

    def __init__(self, file: IO[bytes], compress: bool = False) -> None:
        self._file = file
        # 31: the gzip format without a name and a time, so that the bytes are reproducible.
        self._compressor = zlib.compressobj(wbits=31) if compress else None
        self._sha256 = hashlib.sha256()
        self._num_bytes_written = 0
        self._num_bytes = 0  # Uncompressed.
        self._block_offsets: list[int] = []
        self._num_examples = 0
        self._num_tokens = 0

    def write(self, record: bytes, num_tokens: int) -> None:
        """Writes one record; `num_tokens` is for the manifest."""
        if self._num_examples % RECORDS_PER_BLOCK == 0:
            self._block_offsets.append(self._num_bytes)
        framed = b"".join((_header(len(record)), record, _checksum(record)))
        self._write_bytes(self._compressor.compress(framed) if self._compressor else framed)
        self._num_bytes += len(framed)
        self._num_examples += 1
        self._num_tokens += num_tokens

    def finish(self, name: str) -> dict[str, Any]:
        """Writes what is still buffered and returns the file's manifest entry."""
        if self._compressor:
            self._write_bytes(self._compressor.flush())
        return {
            "name": name,
            "examples": self._num_examples,
            "tokens": self._num_tokens,
            "bytes": self._num_bytes_written,
            "sha256": self._sha256.hexdigest(),
            "block_offsets": None if self._compressor else self._block_offsets,
        }

    def _write_bytes(self, data: bytes) -> None:
        self._num_bytes_written += len(data)
        self._sha256.update(data)
        self._file.write(data)


def crc32c(data: np.ndarray) -> np.ndarray:
    """Returns the CRC-32C of each row of <uint8>[..., n], as <uint32>[...].

    The checksum is linear: the XOR of what each byte contributes, given its value and its distance
    from the end. A table holds these contributions.
    """
    size = data.shape[-1]
    contributions, rows, of_zeros = _crc_tables(max(1024, 1 << size.bit_length()))
    entries = contributions.take(rows[len(rows) - size :] + data)
    return np.bitwise_xor.reduce(entries, axis=-1) ^ of_zeros[size]


@functools.cache
def _crc_tables(max_size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns contributions by row and value, each byte's row, and checksums of n zero bytes."""
    byte = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        byte = np.where(byte & 1, byte >> 1 ^ 0x82F63B78, byte >> 1).astype(np.uint32)
    rows = [byte]
    registers = [0xFFFFFFFF]
    for _ in range(max_size):
        registers.append(registers[-1] >> 8 ^ int(byte[registers[-1] & 0xFF]))
        rows.append(rows[-1] >> 8 ^ byte[rows[-1] & 0xFF])
    row_starts = 256 * np.arange(max_size - 1, -1, -1)
    return np.concatenate(rows[:max_size]), row_starts, ~np.array(registers, np.uint32)


def _masked(crc: Any) -> Any:
    """Returns checksums as TFRecord files store them: rotated, plus a constant."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _checksum(data: bytes) -> bytes:
    return struct.pack("<I", _masked(int(crc32c(np.frombuffer(data, np.uint8)))))


@functools.lru_cache(maxsize=4096)
def _header(size: int) -> bytes:
    length = struct.pack("<Q", size)
    return length + _checksum(length)


def _is_header(data: bytes) -> bool:
    return len(data) == _HEADER_BYTES and data == _header(_read_length(data)[0])


def _whole_records(piece: bytes) -> tuple[np.ndarray, int, str]:
    """Returns the offsets of the whole records in `piece`, their end, and what is corrupt or ""."""
    bounds, position = [0], 0
    last_header = len(piece) - _HEADER_BYTES
    while position <= last_header:
        position += _read_length(piece, position)[0] + _HEADER_BYTES + _FOOTER_BYTES
        bounds.append(position)
    starts = np.array(bounds[:-1], np.int64)
    headers = np.frombuffer(piece, np.uint8)[starts[:, None] + np.arange(_HEADER_BYTES)]
    stored = np.ascontiguousarray(headers[:, 8:]).view("<u4")[:, 0]
    valid = _masked(crc32c(headers[:, :8]).astype(np.int64)) == stored
    num_whole = len(starts) - (position > len(piece))  # The last one may be continued.
    reason = ""
    if not valid.all():
        num_whole = int(np.argmin(valid))
        reason = "the record's length does not fit its checksum"
    return starts[:num_whole], bounds[num_whole], reason
