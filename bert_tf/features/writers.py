"""Files of features: the original's JSON lines, numpy's .npz, or TFRecords.

Whichever it is, lines are written as they come, and the file gets its name when it is whole.
"""

import contextlib
import dataclasses
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from typing import IO, Protocol

import numpy as np
import tensorflow as tf

from bert_tf import files
from bert_tf.data.schema import encode_example
from bert_tf.features.extractor import LineFeatures
from bert_tf.features.original_json import JsonFormatter

_COPIED_BYTES = 1 << 18


@dataclasses.dataclass(frozen=True)
class FeatureShape:
    """What the features of all lines have in common.

    Args:
        layers: as asked for.
        pool: `tokens`, `cls` or `mean`.
        hidden_size: H.
    """

    layers: tuple[int, ...]
    pool: str
    hidden_size: int


class FeatureWriter(Protocol):
    """A file of one format, which is begun when the object is made."""

    def write(self, features: LineFeatures) -> None:
        """Writes the features of the next line."""

    def finish(self) -> None:
        """Writes what was held back; called after the last line."""

    def close(self) -> None:
        """Gives up whatever was used for writing, whether it was finished or not."""


class JsonWriter(FeatureWriter):
    """The original's file: a JSON object a line.

    Pooled vectors stand there as the only token of their line, "[CLS]" or "mean".
    """

    def __init__(self, file: IO[bytes], shape: FeatureShape, tokens: Mapping[int, str]):
        self._file = file
        pooled_as = {"tokens": "", "cls": "[CLS]", "mean": "mean"}[shape.pool]
        self._formatter = JsonFormatter(shape.layers, tokens, pooled_as)

    def write(self, features: LineFeatures) -> None:
        self._file.write(self._formatter.line(*features))

    def finish(self) -> None:
        pass

    def close(self) -> None:
        pass


class NpzWriter(FeatureWriter):
    """Arrays for `numpy.load`.

        layers      <int32>[layers]             as asked for
        vectors     <float32>[all tokens, layers, H], pooled <float32>[lines, layers, H]
        token_ids   <int32>[all tokens]         not where vectors are pooled
        offsets     <int64>[lines + 1]          likewise: line i's are offsets[i]:offsets[i + 1]

    An array's size stands before its numbers, and is known only in the end. Until then each lies in
    a temporary file, on the disk of the output; so for a moment it takes twice the room.
    """

    def __init__(self, file: IO[bytes], shape: FeatureShape, tokens: Mapping[int, str]):
        self._file = file
        self._is_remote = files.is_remote(str(file.name))
        # None: the system's folder for temporary files.
        folder = None if self._is_remote else files.split_path(file.name)[0]
        row_shape = (len(shape.layers), shape.hidden_size)
        self._columns = {
            "layers": _Column(folder, (), "<i4"),
            "vectors": _Column(folder, row_shape, "<f4"),
        }
        self._columns["layers"].append(np.array(shape.layers))
        self._has_tokens = shape.pool == "tokens"
        if self._has_tokens:
            self._columns["token_ids"] = _Column(folder, (), "<i4")
            self._columns["offsets"] = _Column(folder, (), "<i8")
            self._columns["offsets"].append(np.array([0]))

    def write(self, features: LineFeatures) -> None:
        columns = self._columns
        columns["vectors"].append(features.vectors)
        if self._has_tokens:
            columns["token_ids"].append(np.array(features.token_ids))
            columns["offsets"].append(np.array([columns["token_ids"].num_rows]))

    def finish(self) -> None:
        # A remote file cannot be sought in, which zipfile finds out only from a file without seek.
        file = _Appended(self._file) if self._is_remote else self._file
        with zipfile.ZipFile(file, "w") as archive:
            for name, column in self._columns.items():
                # A ZipInfo has a fixed date: the same features give the same bytes.
                with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                    column.copy_to(member)

    def close(self) -> None:
        for column in self._columns.values():
            column.close()


class RecordsWriter(FeatureWriter):
    """TFRecords: a `tf.train.Example` a line.

    linex_index   int64[1]      the line's number
    token_ids     int64[n]
    layers        int64[layers] as asked for
    shape         int64[2 or 3] of the vectors: [n, layers, H], pooled [layers, H]
    vectors       float[...]    the vectors, one after the other
    """

    def __init__(self, file: IO[bytes], shape: FeatureShape, tokens: Mapping[int, str]):
        self._file = file
        self._layers = np.array(shape.layers)
        # TensorFlow's own checksums: records are larger than ours are made for. It wants a name.
        self._writer = tf.io.TFRecordWriter(str(file.name))

    def write(self, features: LineFeatures) -> None:
        example = {
            "linex_index": [features.linex_index],
            "token_ids": features.token_ids,
            "layers": self._layers,
            "shape": features.vectors.shape,
            "vectors": features.vectors,
        }
        with _os_errors(self._file):
            self._writer.write(encode_example(example))

    def finish(self) -> None:
        with _os_errors(self._file):
            self._writer.flush()

    def close(self) -> None:
        with _os_errors(self._file):
            self._writer.close()


_WRITERS = {"json": JsonWriter, "npz": NpzWriter, "tfrecord": RecordsWriter}


@contextlib.contextmanager
def open_writer(
    output_format: str, path: str, shape: FeatureShape, tokens: Mapping[int, str]
) -> Iterator[FeatureWriter]:
    """Opens a file of features, which appears when the block ends without an error.

    Args:
        output_format: `json`, `npz` or `tfrecord`.
        path: the file.
        shape: of the features that it will get.
        tokens: the vocabulary, id -> token.
    """
    with files.atomic_write(path) as file:
        writer = _WRITERS[output_format](file, shape, tokens)
        try:
            yield writer
            writer.finish()
        finally:
            writer.close()


class _Column:
    """An array that grows by rows, in a temporary file.

    Args:
        folder: where the file lies; it has no name there, and nothing of it can be left behind.
        row_shape: of one row.
        dtype: as in a .npy file.
    """

    def __init__(self, folder: str | None, row_shape: tuple[int, ...], dtype: str):
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        self._row_shape = row_shape
        self._dtype = dtype
        self.num_rows = 0

    def append(self, rows: np.ndarray) -> None:
        """Adds an array of rows, or one row."""
        rows = rows.reshape(-1, *self._row_shape)
        self._file.write(rows.astype(self._dtype, copy=False).tobytes())
        self.num_rows += len(rows)

    def copy_to(self, target: IO[bytes]) -> None:
        """Writes all rows as a .npy file."""
        shape = (self.num_rows, *self._row_shape)
        header = {"descr": self._dtype, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(target, header)
        self._file.seek(0)
        shutil.copyfileobj(self._file, target, _COPIED_BYTES)

    def close(self) -> None:
        """Gives the temporary file up."""
        self._file.close()


class _Appended:
    """What of a file is needed to write it from the beginning to the end."""

    def __init__(self, file: IO[bytes]):
        self._file = file
        self.flush = file.flush

    def write(self, data: bytes) -> int:
        """Appends `data`; unlike TensorFlow's files, says how much that was."""
        self._file.write(data)
        return len(data)


@contextlib.contextmanager
def _os_errors(file: IO[bytes]) -> Iterator[None]:
    """TensorFlow's errors, of a full disk and the like, as Python's own."""
    try:
        yield
    except tf.errors.OpError as error:
        raise OSError(f"{file.name}: cannot be written: {error.message}") from error
