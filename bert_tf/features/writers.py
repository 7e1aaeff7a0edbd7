"""Writes feature files: the original's JSON lines, numpy's .npz, or TFRecords.

Lines are written as they come; the file gets its name when it is complete.
"""

import contextlib
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from typing import IO

import numpy as np
import tensorflow as tf

from bert_tf import files
from bert_tf.data.schema import encode_example
from bert_tf.features.extractor import FeatureExtractor, LineFeatures
from bert_tf.features.original_json import format_line

_Write = Callable[[LineFeatures], None]


@contextlib.contextmanager
def open_writer(output_format: str, path: str, extractor: FeatureExtractor) -> Iterator[_Write]:
    """Yields a function that writes a line's features as `json`, `npz` or `tfrecord`."""
    open_format = {"json": _open_json, "npz": _open_npz, "tfrecord": _open_records}[output_format]
    with files.atomic_write(path) as file, open_format(file, extractor) as write:
        yield write


@contextlib.contextmanager
def _open_json(file: IO[bytes], extractor: FeatureExtractor) -> Iterator[_Write]:
    """Writes the original's file: a JSON object a line; pooled vectors have a single "token"."""
    tokens = extractor.tokenizer.inv_vocab
    pooled_as = {"tokens": None, "cls": ["[CLS]"], "mean": ["mean"]}[extractor.pool]

    def write(line: LineFeatures) -> None:
        names = pooled_as or [tokens[i] for i in line.token_ids]
        file.write(format_line(line.linex_index, names, extractor.layers, line.vectors))

    yield write


@contextlib.contextmanager
def _open_npz(file: IO[bytes], extractor: FeatureExtractor) -> Iterator[_Write]:
    """Writes arrays for `numpy.load`.

        layers      <int32>[layers]             as requested
        vectors     <float32>[all tokens, layers, H], pooled <float32>[lines, layers, H]
        token_ids   <int32>[all tokens]         not where vectors are pooled
        offsets     <int64>[lines + 1]          likewise: line i's are offsets[i]:offsets[i + 1]

    An array's size precedes its numbers but is known only at the end, so arrays are first written
    to temporary files, on the disk of the output if that is local.
    """
    is_remote = files.is_remote(str(file.name))
    folder = None if is_remote else files.split_path(file.name)[0]
    row_shape = (len(extractor.layers), extractor.encoder.config.hidden_size)
    row_types = {"layers": "<i4", "vectors": ("<f4", row_shape)}
    has_tokens = extractor.pool == "tokens"
    if has_tokens:
        row_types |= {"token_ids": "<i4", "offsets": "<i8"}
    with contextlib.ExitStack() as stack:
        columns = {
            # A temporary file without a name cannot be left behind.
            name: _Column(stack.enter_context(tempfile.TemporaryFile(dir=folder)), np.dtype(kind))
            for name, kind in row_types.items()
        }
        columns["layers"].append(extractor.layers)
        if has_tokens:
            columns["offsets"].append([0])

        def write(line: LineFeatures) -> None:
            columns["vectors"].append(line.vectors)
            if has_tokens:
                columns["token_ids"].append(line.token_ids)
                columns["offsets"].append([columns["token_ids"].num_rows])

        yield write
        # zipfile seeks in its file, which a remote one does not allow.
        target = stack.enter_context(tempfile.TemporaryFile()) if is_remote else file
        with zipfile.ZipFile(target, "w") as archive:
            for name, column in columns.items():
                # A ZipInfo has a fixed date: the same features give the same bytes.
                with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                    column.copy_to(member)
        if is_remote:
            target.seek(0)
            shutil.copyfileobj(target, file)


@contextlib.contextmanager
def _open_records(file: IO[bytes], extractor: FeatureExtractor) -> Iterator[_Write]:
    """Writes TFRecords: a `tf.train.Example` a line.

    linex_index   int64[1]      the line's number
    token_ids     int64[n]
    layers        int64[layers] as requested
    shape         int64[2 or 3] of the vectors: [n, layers, H], pooled [layers, H]
    vectors       float[...]    the vectors, flattened
    """
    # TensorFlow computes the checksums of such large records faster than RecordWriter.
    writer = tf.io.TFRecordWriter(str(file.name))

    def write(line: LineFeatures) -> None:
        example = {
            "linex_index": [line.linex_index],
            "token_ids": line.token_ids,
            "layers": extractor.layers,
            "shape": line.vectors.shape,
            "vectors": line.vectors,
        }
        with _os_errors(file):
            writer.write(encode_example(example))

    try:
        yield write
    finally:
        with _os_errors(file):
            writer.close()


@contextlib.contextmanager
def _os_errors(file: IO[bytes]) -> Iterator[None]:
    """Turns TensorFlow's errors, such as that of a full disk, into Python's."""
    try:
        yield
    except tf.errors.OpError as error:
        raise OSError(f"{file.name}: cannot be written: {error.message}") from error


class _Column:
    """An array in a temporary file, to which rows are appended."""

    def __init__(self, file: IO[bytes], row_type: np.dtype):
        self._file = file
        self._dtype, self._row_shape = row_type.base, row_type.shape
        self.num_rows = 0

    def append(self, rows: np.typing.ArrayLike) -> None:
        rows = np.asarray(rows, self._dtype).reshape(-1, *self._row_shape)
        self._file.write(rows.tobytes())
        self.num_rows += len(rows)

    def copy_to(self, target: IO[bytes]) -> None:
        shape = (self.num_rows, *self._row_shape)
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(target, header)
        self._file.seek(0)
        shutil.copyfileobj(self._file, target)
