"""What a file is, told by its first bytes: real files of each kind, wanted for something else."""

import bz2
import gzip
import io
import json
import lzma
import pickle
import re
import tarfile
import zipfile

import numpy as np
import pytest

from bert_tf import files
from bert_tf.config import read_json
from bert_tf.data.record_index import build_record_index
from bert_tf.data.records import RecordWriter
from bert_tf.text.vocabulary import load_vocab

TEXT = b"the king was in the house.\nthe queen saw the dog.\n" * 20


def zipped(*names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "x" * 300)
    return file.getvalue()


def tarred():
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("vocab.txt"), io.BytesIO())
    return file.getvalue()


def records(payload=b"\n\x05hello"):
    file = io.BytesIO()
    RecordWriter(file).write(payload * 9, 1)
    return file.getvalue()


def hdf5():
    import h5py

    file = io.BytesIO()
    with h5py.File(file, "w") as content:
        content["x"] = np.zeros(3)
    return file.getvalue()


def safetensors():
    from safetensors.numpy import save

    return save({"x": np.zeros(3, np.float32)})


def array():
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


KINDS = {
    "plain text": lambda: TEXT,
    "plain text ": lambda: gzip.compress(TEXT),
    "JSON": lambda: json.dumps({"version": "1.0"}, indent=2).encode(),
    "JSON ": lambda: b'\xef\xbb\xbf\n[{"text": "a"}]',
    "an HTML page": lambda: b"\n<!DOCTYPE html>\n<html><body>Not found</body></html>",
    "XML": lambda: b'<?xml version="1.0"?><a/>',
    "text of WikiExtractor": lambda: b'<doc id="12" url="x" title="King">\nKing\n</doc>\n',
    "text that is not UTF-8": lambda: "Ein Bär\n".encode("latin-1") * 9,
    "a binary file": lambda: bytes(range(256)) * 4,
    "an empty file": lambda: b"",
    "TFRecords": records,
    "TFRecords ": lambda: gzip.compress(records()),
    "a Git LFS pointer": lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n",
    "bz2 data": lambda: bz2.compress(TEXT),
    "xz data": lambda: lzma.compress(TEXT),
    "Zstandard data": lambda: b"\x28\xb5\x2f\xfd\x04\x00",
    "a 7z archive": lambda: b"7z\xbc\xaf\x27\x1c\x00\x04",
    "a tar archive": tarred,
    "a tar archive, compressed by gzip": lambda: gzip.compress(tarred()),
    "a NumPy array, compressed by gzip": lambda: gzip.compress(array()),
    "a zip archive": lambda: zipped("a.txt"),
    "PyTorch weights (a zip archive)": lambda: zipped("model/data.pkl", "model/data/0"),
    "a Word document": lambda: zipped("[Content_Types].xml", "word/document.xml"),
    "an Excel table": lambda: zipped("xl/workbook.xml"),
    "a Keras model": lambda: zipped("metadata.json", "config.json", "model.weights.h5"),
    "NumPy arrays": lambda: zipped("x.npy"),
    "a damaged zip archive": lambda: zipped("a.txt")[:200],
    "a PDF document": lambda: b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "PyTorch weights or another Python pickle": lambda: pickle.dumps({"a": [1]}, 2),
    "an HDF5 file": hdf5,
    "safetensors weights": safetensors,
    "a NumPy array": array,
    "a Parquet table": lambda: b"PAR1\x15\x04\x15",
    "an Arrow table": lambda: b"ARROW1\x00\x00\xff\xff\xff\xff",
    "an SQLite database": lambda: b"SQLite format 3\x00\x10\x00",
    "UTF-16 text": lambda: TEXT.decode().encode("utf-16"),
    "UTF-16 text ": lambda: TEXT.decode().encode("utf-16-be"),
    "UTF-32 text": lambda: TEXT.decode().encode("utf-32"),
}
TEXTS = ("plain text", "JSON", "an HTML page", "XML", "text of")
REMEDIES = {
    "bz2 data": "Unpack it first: bunzip2 < 'my file' > NEW_FILE",
    "a NumPy array, compressed by gzip": "Unpack it first: gunzip < 'my file' > NEW_FILE",
    "a tar archive, compressed by gzip": "Unpack it first: tar -xf 'my file'",
    "a Git LFS pointer": "git lfs pull",
    "UTF-16 text": "iconv -f UTF-16 -t UTF-8 'my file'",
    "a PDF document": "Save its text as UTF-8",
    "JSON": "vocab.txt",
    "PyTorch weights (a zip archive)": "vocab.txt",
}


@pytest.fixture(params=KINDS)
def file(request, tmp_path):
    """(path, what it is) of a file whose name tells nothing."""
    path = tmp_path / "my file"
    path.write_bytes(KINDS[request.param]())
    return path, request.param.strip()


def test_a_file_is_told_by_its_first_bytes(file):
    path, kind = file
    assert files.kind_of(path).startswith(kind)


def test_what_is_no_vocabulary_is_refused_by_its_name_with_a_remedy(file):
    path, kind = file
    with pytest.raises(ValueError, match="my file") as raised:
        load_vocab(path)
    if kind in ("plain text", "text that is not UTF-8", "an empty file"):
        assert kind not in str(raised.value)  # Read, and found wanting.
    else:
        assert str(raised.value).startswith(f"{path}: {kind}")
        assert "where a vocabulary is needed" in str(raised.value)
        assert REMEDIES.get(kind, "") in str(raised.value)


def test_what_is_no_text_is_refused_and_all_text_is_read(file):
    path, kind = file
    if kind.startswith(TEXTS):
        assert list(files.open_text_lines(path))
    elif kind not in ("text that is not UTF-8", "an empty file"):
        with pytest.raises(ValueError, match=re.escape(f"{path}: {kind}")):
            list(files.open_text_lines(path))


def test_what_are_no_records_is_refused_by_its_name_with_a_remedy(file):
    path, kind = file
    if kind == "TFRecords":
        assert len(build_record_index([str(path)]).blocks) == 1
        return
    with pytest.raises(ValueError, match="my file") as raised:
        build_record_index([str(path)])
    if kind not in ("a binary file", "an empty file"):
        assert f"{path}: {kind}" in str(raised.value)
        assert "where TFRecords are needed" in str(raised.value)
    if kind == "plain text":
        assert "create_pretraining_data.py makes them" in str(raised.value)


def test_what_is_no_json_is_refused_by_its_name(file):
    path, kind = file
    if kind != "JSON":
        with pytest.raises(ValueError, match="my file") as raised:
            read_json(path)
        is_read = kind in ("plain text", "text that is not UTF-8", "an empty file")
        assert (f"{path}: {kind}" in str(raised.value)) != is_read


@pytest.mark.parametrize(
    "read", [load_vocab, read_json, lambda path: [*files.open_text_lines(path)]]
)
def test_a_folder_is_refused_with_what_it_holds(tmp_path, read):
    (tmp_path / "vocab.txt").touch()
    with pytest.raises(ValueError, match=r"a folder, where a file is needed. It holds vocab\.txt"):
        read(tmp_path)


def test_parts_of_a_checkpoint_are_told_by_their_names(tmp_path):
    path = tmp_path / "bert_model.ckpt.data-00000-of-00001"
    path.write_bytes(bytes(range(256)))
    assert files.kind_of(path) == "part of a TensorFlow checkpoint"
