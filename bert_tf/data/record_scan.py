"""Walks over the headers of a TFRecord file, to find where its records lie and whether it is whole.

    uint64 length | uint32 masked CRC-32C of the length
    the record
    uint32 masked CRC-32C of the record

TensorFlow's own reader takes a file that ends inside a header, or a compressed file that is cut
short, for one that is complete. This walk does not. It reads the file once, in large pieces, and
checks every length against its checksum; the records' contents have checksums of their own, which
TensorFlow checks whenever it reads a record.
"""

import contextlib
import dataclasses
import gzip
import struct
import zlib
from typing import BinaryIO, NoReturn

import numpy as np

from bert_tf import files

_HEADER_BYTES = 12  # uint64 length, uint32 masked CRC-32C of the length.
_FOOTER_BYTES = 4  # uint32 masked CRC-32C of the record.
_PIECE_BYTES = 8 << 20
_GZIP_START = b"\x1f\x8b\x08"
_read_length = struct.Struct("<Q").unpack_from


@dataclasses.dataclass(frozen=True)
class Fault:
    """A corrupt place in a file of records.

    Attributes:
        path: the file.
        record: the number of the first corrupt record in the file, from 0.
        byte_offset: where in the (unpacked) file this record starts; None where not known.
        reason: what is wrong there.
        left_out: what cannot be used because of it.
    """

    path: str
    record: int
    byte_offset: int | None
    reason: str
    left_out: str

    def __str__(self) -> str:
        return f"{self._place}: {self.reason}; {self.left_out}"

    @property
    def _place(self) -> str:
        byte = "" if self.byte_offset is None else f", byte {self.byte_offset:,}"
        return f"{self.path}: record {self.record:,}{byte}"

    def fail(self) -> NoReturn:
        """Raises it as a ValueError."""
        raise ValueError(
            f"{self._place}: {self.reason}. Copy the file again from its source, or leave out what "
            f"is damaged with --on_corrupt=skip."
        )


@dataclasses.dataclass(frozen=True, eq=False)
class ScannedFile:
    """What a walk over a file found.

    Attributes:
        num_records: how many whole records there are before the end or the fault.
        block_offsets: <int64>[K], where in the (unpacked) file every n-th record starts.
        fault: what stopped the walk before the end of the file, or None.
    """

    num_records: int
    block_offsets: np.ndarray
    fault: Fault | None


def compression_of(path: str) -> str:
    """ "GZIP" for a gzip file, whatever it is called, else "": as TensorFlow names them."""
    with files.open_file(path, "rb") as file:
        start = file.read(_HEADER_BYTES)
    is_record = len(start) == _HEADER_BYTES and _headers_are_valid(start, np.zeros(1, np.int64))[0]
    return "GZIP" if start.startswith(_GZIP_START) and not is_record else ""


def scan_file(path: str, compression: str, records_per_block: int) -> ScannedFile:
    """Finds the records of a TFRecord file, without reading their contents.

    Args:
        path: the file.
        compression: "" or "GZIP".
        records_per_block: of which records to note the offset: 0, this, twice this, ...
    """
    with files.open_file(path, "rb") as raw:
        stream = gzip.GzipFile(fileobj=raw) if compression else raw
        walk = _Walk(records_per_block)
        try:
            reason = walk.run(stream)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            reason = f"damaged or truncated gzip data: {error}"
    fault = None
    if reason:
        left_out = (
            "a compressed file is left out whole"
            if compression
            else f"the rest of the file is left out, {files.file_size(path) - walk.end:,} bytes"
        )
        fault = Fault(path, walk.num_records, walk.end, reason, left_out)
    return ScannedFile(walk.num_records, np.array(walk.block_offsets, np.int64), fault)


def first_records(path: str, compression: str, count: int) -> list[bytes]:
    """The first few records of a file, damaged or not; fewer where the file has no more."""
    records = []
    with files.open_file(path, "rb") as raw:
        stream = gzip.GzipFile(fileobj=raw) if compression else raw
        with contextlib.suppress(EOFError, gzip.BadGzipFile, zlib.error):
            while len(records) < count:
                header = stream.read(_HEADER_BYTES)
                if (
                    len(header) < _HEADER_BYTES
                    or not _headers_are_valid(header, np.array([0])).all()
                ):
                    break
                records.append(stream.read(_read_length(header, 0)[0]))
                stream.read(_FOOTER_BYTES)
    return records


class _Walk:
    """Steps from header to header; `end` is where the last whole record ends."""

    def __init__(self, records_per_block: int) -> None:
        self.records_per_block = records_per_block
        self.block_offsets: list[int] = []
        self.num_records = 0
        self.end = 0

    def run(self, stream: BinaryIO) -> str:
        """Walks to the end of the stream; returns what stopped it before, or ""."""
        start = 0  # Where in the file `piece` starts.
        piece = b""
        while True:
            more = stream.read(_PIECE_BYTES)
            piece += more
            reason = self._take_records(piece, start)
            if reason or not more:
                size = start + len(piece)
                return reason or ("" if self.end == size else self._truncated(piece, start))
            used = min(self.end - start, len(piece))
            piece, start = piece[used:], start + used

    def _take_records(self, piece: bytes, start: int) -> str:
        """Steps over the records that lie whole in `piece`."""
        headers = []
        position = self.end - start
        last_header = len(piece) - _HEADER_BYTES
        while position <= last_header:
            headers.append(position)
            position += _read_length(piece, position)[0] + _HEADER_BYTES + _FOOTER_BYTES
        if not headers:
            return ""
        positions = np.array(headers, dtype=np.int64)
        valid = _headers_are_valid(piece, positions)
        first_invalid = len(headers) if valid.all() else int(np.argmin(valid))
        whole = first_invalid
        if first_invalid == len(headers) and position > len(piece):
            whole -= 1  # Its header is here, its end is not.
        first_noted = -self.num_records % self.records_per_block
        noted = positions[first_noted : whole : self.records_per_block]
        self.block_offsets.extend((noted + start).tolist())
        self.num_records += whole
        if whole < len(headers):
            self.end = start + headers[whole]
        else:
            self.end = start + position
        if first_invalid < len(headers):
            return "the record's length does not fit its checksum"
        return ""

    def _truncated(self, piece: bytes, start: int) -> str:
        rest = piece[self.end - start :]
        if len(rest) < _HEADER_BYTES:
            needed = f"a record's header of {_HEADER_BYTES} bytes"
        else:
            length = _read_length(rest)[0] + _HEADER_BYTES + _FOOTER_BYTES
            needed = f"a record of {length:,} bytes"
        return f"the file ends {len(rest):,} bytes into {needed}: it is truncated"


def _headers_are_valid(data: bytes, positions: np.ndarray) -> np.ndarray:
    """<bool>[n]: whether the length at each position of `data` fits the checksum behind it."""
    view = np.frombuffer(data, np.uint8)
    headers = view[positions[:, None] + np.arange(_HEADER_BYTES)]
    stored = np.ascontiguousarray(headers[:, 8:]).view("<u4")[:, 0]
    return _masked_crc(headers[:, :8]) == stored


def _masked_crc(data: np.ndarray) -> np.ndarray:
    """The checksum of TFRecord files, of every row of <uint8>[n, bytes], as <uint32>[n]."""
    crc = np.full(len(data), 0xFFFFFFFF, np.uint32)
    for column in data.T:
        crc = _CRC_TABLE[(crc ^ column) & 0xFF] ^ (crc >> np.uint32(8))
    crc = ~crc
    rotated = (crc >> np.uint32(15)) | (crc << np.uint32(17))
    return rotated + np.uint32(0xA282EAD8)


def _crc_table() -> np.ndarray:
    """CRC-32C (Castagnoli) of every byte, for reflected bits."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(0x82F63B78), table >> 1)
    return table.astype(np.uint32)


_CRC_TABLE = _crc_table()
