"""Small files of records for the tests of reading."""

import gzip
import io
import struct
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from bert_tf.data import schema

Writer = Callable[..., str]


def _crc32c(data: bytes) -> int:
    """Bit by bit, as in the definition: the library's own is a table."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def _masked_crc(data: bytes) -> bytes:
    crc = _crc32c(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def frame_record(record: bytes) -> bytes:
    """A record as it stands in a TFRecord file."""
    length = struct.pack("<Q", len(record))
    return length + _masked_crc(length) + record + _masked_crc(record)


@pytest.fixture
def write_records(tmp_path: Path) -> Writer:
    """Writes records (bytes) as a TFRecord file under a name in the test's folder."""

    def write(name: str, records: Iterable[bytes]) -> str:
        data = b"".join(map(frame_record, records))
        if name.endswith(".gz"):
            packed = io.BytesIO()
            with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as file:
                file.write(data)
            data = packed.getvalue()
        (tmp_path / name).write_bytes(data)
        return str(tmp_path / name)

    return write


@pytest.fixture
def write_numbered(write_records: Writer) -> Writer:
    """Writes records whose one feature, `number`, counts from `start`."""

    def write(name: str, start: int, count: int) -> str:
        numbers: Sequence[int] = range(start, start + count)
        return write_records(name, (schema.encode_example({"number": [n]}) for n in numbers))

    return write
