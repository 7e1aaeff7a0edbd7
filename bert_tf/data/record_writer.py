"""TFRecord files, written without TensorFlow: importing it takes longer than small data sets do.

    uint64 length | uint32 masked CRC-32C of length | the record | uint32 masked CRC-32C of it

The checksum is linear: that of a record is the XOR of what each byte contributes by its value and
its distance from the end. With these contributions in a table numpy computes it in microseconds.
"""

import hashlib
import struct
import zlib
from typing import IO, Any

import numpy as np

from bert_tf.data.manifest import RECORDS_PER_BLOCK

_POLYNOMIAL = 0x82F63B78  # CRC-32C (Castagnoli), bits reversed.


class Crc32c:
    """CRC-32C of bytes."""

    def __init__(self) -> None:
        byte = np.arange(256, dtype=np.uint32)
        for _ in range(8):
            byte = np.where(byte & 1, byte >> 1 ^ _POLYNOMIAL, byte >> 1).astype(np.uint32)
        self._of_byte = byte
        self._grow(1024)

    def __call__(self, data: bytes) -> int:
        """The checksum of `data`, as an unsigned 32-bit number."""
        size = len(data)
        if size >= len(self._of_zeros):
            self._grow(2 * size)
        places = self._rows[len(self._rows) - size :] + np.frombuffer(data, np.uint8)
        return int(np.bitwise_xor.reduce(self._contributions.take(places))) ^ self._of_zeros[size]

    def _grow(self, max_size: int) -> None:
        """Makes the tables for data of at most `max_size` bytes."""
        rows = [self._of_byte]  # By distance from the end, then by the byte's value.
        start = 0xFFFFFFFF  # The register's initial value, moved past 0, 1, 2, ... zero bytes.
        self._of_zeros = [0]
        for _ in range(max_size):
            start = start >> 8 ^ int(self._of_byte[start & 0xFF])
            self._of_zeros.append(start ^ 0xFFFFFFFF)
            rows.append(rows[-1] >> 8 ^ self._of_byte[rows[-1] & 0xFF])
        self._contributions = np.concatenate(rows[:max_size])
        self._rows = 256 * np.arange(max_size - 1, -1, -1, dtype=np.int64)


class RecordWriter:
    """Frames records into an open file, and keeps count for the manifest.

    Args:
        file: a binary file, open for writing; not closed here.
        compress: whether the file is gzipped. The same records give the same bytes, always.
    """

    def __init__(self, file: IO[bytes], compress: bool = False) -> None:
        self._file = file
        # gzip's format, with neither a name nor a time in its header.
        self._compressor = zlib.compressobj(wbits=31) if compress else None
        self._sha256 = hashlib.sha256()
        self._num_bytes_written = 0
        self._crc = Crc32c()
        self._headers: dict[int, bytes] = {}
        self._num_bytes = 0
        self._block_offsets: list[int] = []
        self._num_examples = 0
        self._num_tokens = 0

    def write(self, record: bytes, num_tokens: int) -> None:
        """Writes one record, which holds this many tokens (for the manifest)."""
        if self._num_examples % RECORDS_PER_BLOCK == 0:
            self._block_offsets.append(self._num_bytes)
        size = len(record)
        header = self._headers.get(size)
        if header is None:
            length = struct.pack("<Q", size)
            header = self._headers[size] = length + _masked(self._crc(length))
        framed = b"".join((header, record, _masked(self._crc(record))))
        self._write_bytes(self._compressor.compress(framed) if self._compressor else framed)
        self._num_bytes += size + 16
        self._num_examples += 1
        self._num_tokens += num_tokens

    def finish(self, name: str) -> dict[str, Any]:
        """Writes what is still held back; gives the file's entry in the manifest."""
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


def _masked(crc: int) -> bytes:
    """A checksum as TFRecord files store it: turned, so that it may be checksummed again."""
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
