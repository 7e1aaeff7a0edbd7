"""TFRecord files written without TensorFlow: TensorFlow reads them, and would write them so."""

import gzip
import hashlib
import io
import random
import struct

import numpy as np
import pytest

from bert_tf.data.records import RecordWriter, crc32c


@pytest.mark.parametrize(
    ("data", "checksum"),
    [  # RFC 3720, appendix B.4.
        (b"", 0),
        (b"\0" * 32, 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
        (b"123456789", 0xE3069283),
    ],
)
def test_checksums_are_the_published_ones(data, checksum):
    rows = np.frombuffer(data, np.uint8)
    assert crc32c(rows) == checksum
    assert crc32c(np.stack([rows, rows])).tolist() == [checksum] * 2


@pytest.fixture
def records():
    rng = random.Random(0)
    sizes = [0, 1, 7, 8, 1023, 1024, 1025, 5000, 100, 100, 40000, *[30] * 2100]
    return [rng.randbytes(size) for size in sizes]


def write(records, compress=False):
    file = io.BytesIO()
    writer = RecordWriter(file, compress)
    for number, record in enumerate(records):
        writer.write(record, number)
    return file, writer.finish("name")


def test_a_file_has_the_bytes_of_tensorflows_writer(tmp_path, records):
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        for record in records:
            writer.write(record)
    assert write(records)[0].getvalue() == (tmp_path / "theirs").read_bytes()


def test_tensorflow_reads_a_compressed_file(tmp_path, records):
    import tensorflow as tf

    (tmp_path / "ours.gz").write_bytes(write(records, compress=True)[0].getvalue())
    dataset = tf.data.TFRecordDataset(str(tmp_path / "ours.gz"), "GZIP")
    assert list(dataset.as_numpy_iterator()) == records


def test_the_entry_of_the_manifest_describes_the_file(records):
    file, entry = write(records)
    content = file.getvalue()
    assert entry["name"] == "name"
    assert entry["examples"] == len(records) == 2111
    assert entry["tokens"] == sum(range(2111))
    assert entry["bytes"] == len(content)
    assert entry["sha256"] == hashlib.sha256(content).hexdigest()
    assert len(entry["block_offsets"]) == 3
    for block, offset in enumerate(entry["block_offsets"]):
        (size,) = struct.unpack_from("<Q", content, offset)
        assert content[offset + 12 : offset + 12 + size] == records[1024 * block]


def test_a_compressed_file_is_the_same_every_time_and_has_no_offsets(records, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 1e9)
    first, entry = write(records, compress=True)
    monkeypatch.setattr("time.time", lambda: 2e9)
    assert write(records, compress=True)[0].getvalue() == first.getvalue()
    assert entry["block_offsets"] is None
    assert entry["bytes"] == len(first.getvalue())
    assert entry["sha256"] == hashlib.sha256(first.getvalue()).hexdigest()
    assert gzip.decompress(first.getvalue()) == write(records)[0].getvalue()


def test_a_file_without_records_is_empty():
    file, entry = write([])
    assert file.getvalue() == b""
    assert (entry["examples"], entry["block_offsets"]) == (0, [])
