import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from bert_tf.data.record_index import BLOCK, FileIndex, RecordIndex, build_record_index
from bert_tf.data.records import Fault, _header, compression_of, first_records, scan_file

SIZE = 16 + 8  # A record of 8 bytes in the file.


@pytest.fixture
def eights(write_records):
    """Writes `count` records of 8 bytes."""
    return lambda name, count: write_records(name, [b"%08d" % n for n in range(count)])


def damage(path, offset, flip=1):
    data = bytearray(Path(path).read_bytes())
    data[offset] ^= flip
    Path(path).write_bytes(data)


def cut(path, length):
    Path(path).write_bytes(Path(path).read_bytes()[:length])


def write_manifest(folder, files, settings=None):
    run = {"settings": settings or {}, "files": files}
    (folder / "manifest.json").write_text(json.dumps({"format": 1, "runs": [run]}))
    return run


def test_a_walk_finds_where_blocks_start(eights):
    scanned = scan_file(eights("a.tfrecord", 10), "", records_per_block=4)
    assert scanned.num_records == 10
    assert scanned.block_offsets.tolist() == [0, 4 * SIZE, 8 * SIZE]
    assert scanned.fault is None


def test_a_walk_agrees_with_files_that_tensorflow_writes(tmp_path, monkeypatch):
    lengths = np.random.default_rng(0).integers(0, 300, 500)
    path = str(tmp_path / "a.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        for length in lengths:
            writer.write(b"x" * length)
    # Pieces shorter than a record, and one for all.
    for piece in (64, 1000, 8 << 20):
        monkeypatch.setattr("bert_tf.data.records._PIECE_BYTES", piece)
        scanned = scan_file(path, "", records_per_block=1)
        assert scanned.fault is None
        starts = np.cumsum(lengths + 16) - (lengths + 16)
        assert scanned.block_offsets.tolist() == starts.tolist()


@pytest.mark.parametrize(
    ("length", "reason"),
    [
        (7 * SIZE + 5, "5 bytes into it: it is truncated"),
        (7 * SIZE + 12, "12 bytes into it: it is truncated"),
        (8 * SIZE - 1, "23 bytes into it: it is truncated"),
    ],
)
def test_a_truncated_file_is_named_with_its_last_record(eights, length, reason):
    path = eights("a.tfrecord", 10)
    cut(path, length)
    with pytest.raises(ValueError, match=rf"a\.tfrecord: record 7, byte 168: .*{reason}"):
        build_record_index([path])


def test_what_is_left_of_a_truncated_file_is_read_with_skip(eights, caplog):
    path, whole = eights("a.tfrecord", 10), eights("b.tfrecord", 2)
    cut(path, 7 * SIZE + 5)
    index = build_record_index([path, whole], skips_corrupt=True)
    assert index.num_examples == 9
    assert [(fault.record, fault.byte_offset) for fault in index.faults] == [(7, 7 * SIZE)]
    (line,) = caplog.messages
    assert "a.tfrecord: record 7, byte 168" in line
    assert "the rest of the file is left out, 5 bytes" in line


@pytest.mark.parametrize("byte", [0, 5, 7, 8, 11])
def test_a_flipped_bit_in_a_records_header_is_found(eights, build_index, byte):
    path = eights("a.tfrecord", 10)
    damage(path, 6 * SIZE + byte)
    with pytest.raises(ValueError, match=r"a\.tfrecord: record 6, byte 144: .*checksum"):
        build_record_index([path])
    index = build_index([path], per_block=4, skips_corrupt=True)
    assert index.blocks["size"].tolist() == [4, 2]


def test_a_file_that_holds_no_records_at_all_is_refused(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("A text file where records are expected.\n" * 3)
    with pytest.raises(ValueError, match=r"a\.txt: plain text, where TFRecords are needed"):
        build_record_index([str(path)])


@pytest.mark.parametrize("compress", [False, True])
def test_a_length_that_no_record_has_is_not_believed(eights, compress):
    path = eights("a.tfrecord", 3)
    data = Path(path).read_bytes() + _header(1 << 60) + bytes(100)
    Path(path).write_bytes(gzip.compress(data) if compress else data)
    with pytest.raises(
        ValueError, match=r"a\.tfrecord: record 3, byte 72: a record of this length"
    ):
        build_record_index([path])
    assert len(first_records(path, 9)) == 3


def test_an_empty_file_is_allowed_beside_others_but_not_alone(eights):
    empty = eights("empty.tfrecord", 0)
    assert build_record_index([empty, eights("a.tfrecord", 3)]).num_examples == 3
    with pytest.raises(ValueError, match=r"no record in any of the files: .*empty\.tfrecord"):
        build_record_index([empty])
    with pytest.raises(ValueError, match="no file"):
        build_record_index([])


def test_nothing_left_after_skipping_is_an_error(eights):
    path = eights("a.tfrecord", 10)
    damage(path, 0)
    with pytest.raises(ValueError, match="no record"):
        build_record_index([path], skips_corrupt=True)


def test_a_gzip_file_is_known_by_its_contents_and_not_its_name(eights, tmp_path):
    path = eights("a.tfrecord.gz", 10)
    assert compression_of(path) == "GZIP"
    renamed = tmp_path / "b.tfrecord"
    renamed.write_bytes(Path(path).read_bytes())
    assert compression_of(str(renamed)) == "GZIP"
    assert compression_of(eights("c.gz.tfrecord", 1)) == ""


def test_a_plain_record_whose_length_looks_like_gzip_is_plain(write_records):
    length = struct.unpack("<I", b"\x1f\x8b\x08\x00")[0]
    assert compression_of(write_records("a.tfrecord", [b"x" * length])) == ""


def test_blocks_of_a_gzip_file_are_reached_by_passing_over_records(eights, build_index):
    index = build_index([eights("a.tfrecord.gz", 10)], per_compressed_block=4)
    # The offset, the records to skip, the number of the first record, and the size of each.
    assert index.blocks.tolist() == [(0, 0, 0, 4), (0, 4, 4, 4), (0, 8, 8, 2)]


def test_a_gzip_file_of_several_members_is_read_whole(eights, tmp_path):
    data = Path(eights("plain.tfrecord", 10)).read_bytes()
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(data[: 4 * SIZE]) + gzip.compress(data[4 * SIZE :]))
    assert build_record_index([str(path)]).num_examples == 10


@pytest.mark.parametrize("missing", [1, 8, 20])
def test_a_truncated_gzip_file_is_refused_and_skipped_whole(eights, missing):
    # TensorFlow reads such a file up to its end without an error.
    path, whole = eights("a.tfrecord.gz", 1000), eights("b.tfrecord", 2)
    cut(path, len(Path(path).read_bytes()) - missing)
    with pytest.raises(ValueError, match=r"a\.tfrecord\.gz: .*gzip data"):
        build_record_index([path, whole])
    index = build_record_index([path, whole], skips_corrupt=True)
    assert index.num_examples == 2
    assert "left out whole" in str(index.faults[0])


def test_a_flipped_bit_in_a_gzip_file_is_found(eights):
    path = eights("a.tfrecord.gz", 1000)
    damage(path, 500)
    with pytest.raises(ValueError, match=r"a\.tfrecord\.gz: "):
        build_record_index([path])


def test_the_manifest_saves_the_walk(eights, tmp_path, monkeypatch):
    path, other = eights("a.tfrecord", 1030), eights("b.tfrecord.gz", 5)
    scanned = build_record_index([path, other])
    entries = [
        {"name": "a.tfrecord", "examples": 1030, "bytes": 1030 * SIZE,
         "block_offsets": [0, 1024 * SIZE]},
        {"name": "b.tfrecord.gz", "examples": 5, "bytes": Path(other).stat().st_size,
         "block_offsets": None},
    ]  # fmt: skip
    run = write_manifest(tmp_path, entries)
    monkeypatch.setattr("bert_tf.data.record_index.scan_file", None)
    index = build_record_index([path, other])
    assert index.blocks.tolist() == scanned.blocks.tolist()
    assert [file.run for file in index.files] == [run, run]
    assert [file.run for file in scanned.files] == [None, None]


@pytest.mark.parametrize(
    "entry",
    [
        {"name": "a.tfrecord", "examples": 9, "bytes": 9 * SIZE, "block_offsets": [0]},
        {"name": "a.tfrecord", "examples": 10, "bytes": 10 * SIZE, "block_offsets": None},
        {"name": "other.tfrecord", "examples": 9, "bytes": 10 * SIZE, "block_offsets": [0]},
    ],
)
def test_a_manifest_that_does_not_fit_the_file_is_not_believed(eights, tmp_path, entry):
    path = eights("a.tfrecord", 10)
    write_manifest(tmp_path, [entry])
    assert build_record_index([path]).num_examples == 10


def test_a_walk_is_remembered_until_the_file_changes(eights, tmp_path, monkeypatch):
    paths = [eights("a.tfrecord", 1030), eights("b.tfrecord.gz", 5)]
    cache_file = str(tmp_path / "cache.json")
    scanned = build_record_index(paths, cache_file=cache_file)
    walks = []

    def count(path, *args):
        walks.append(Path(path).name)
        return scan_file(path, *args)

    monkeypatch.setattr("bert_tf.data.record_index.scan_file", count)
    index = build_record_index(paths, cache_file=cache_file)
    assert walks == []
    assert index.blocks.tolist() == scanned.blocks.tolist()
    eights("a.tfrecord", 1029)
    assert build_record_index(paths, cache_file=cache_file).num_examples == 1034
    assert walks == ["a.tfrecord"]
    assert build_record_index(paths, cache_file=cache_file).num_examples == 1034
    assert walks == ["a.tfrecord"]


def test_a_corrupt_file_is_not_remembered_as_whole(eights, tmp_path):
    path = eights("a.tfrecord", 10)
    damage(path, 6 * SIZE)
    cache_file = str(tmp_path / "cache.json")
    assert build_record_index([path], True, cache_file).num_examples == 6
    with pytest.raises(ValueError, match="record 6"):
        build_record_index([path], cache_file=cache_file)


def test_blocks_of_all_files_are_in_their_order(eights, build_index):
    paths = [eights("a.tfrecord", 5), eights("b.tfrecord.gz", 3), eights("c.tfrecord", 4)]
    index = build_index(paths, per_block=2, per_compressed_block=2)
    assert index.block_file.tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert index.blocks["size"].tolist() == [2, 2, 1, 2, 1, 2, 2]
    assert index.num_examples == 12


def test_blocks_are_split_where_records_are_left_out():
    file = FileIndex("a", "", None, np.array([(0, 0, 0, 8), (80, 0, 8, 4)], BLOCK))
    left = file.without([Fault("a", n, 0, "bad", "one") for n in (0, 3, 4, 10, 11)])
    assert left.blocks.tolist() == [(0, 1, 1, 2), (0, 5, 5, 3), (80, 0, 8, 2)]
    assert [fault.record for fault in left.faults] == [0, 3, 4, 10, 11]
    assert RecordIndex((left,)).num_examples == 7


def test_a_remote_file_is_indexed_through_tensorflow(eights):
    data = Path(eights("a.tfrecord", 10)).read_bytes()
    for name, content in (("a.tfrecord", data), ("b.tfrecord.gz", gzip.compress(data))):
        with tf.io.gfile.GFile(f"ram://index/{name}", "wb") as file:
            file.write(content)
    index = build_record_index(["ram://index/a.tfrecord", "ram://index/b.tfrecord.gz"])
    assert index.num_examples == 20
