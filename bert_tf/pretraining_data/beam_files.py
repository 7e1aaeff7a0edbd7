"""Remote files on Apache Beam's workers, by Beam's own file systems.

TensorFlow, by which `bert_tf.files` opens remote paths, would take 400 MB of each worker. A file is
copied to the worker's disk, and a shard from it: their size is bounded, and what reads and writes
them need not know where they lie. Importing this file does not import Beam.
"""

import contextlib
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bert_tf import files
from bert_tf.pretraining_data.finished_shards import note_path


@contextlib.contextmanager
def as_local(path: str) -> Iterator[str]:
    """The path of a local copy of a remote file; a local one is its own."""
    if not files.is_remote(path):
        yield path
        return
    from apache_beam.io.filesystem import CompressionTypes
    from apache_beam.io.filesystems import FileSystems

    with tempfile.TemporaryDirectory(prefix="pretraining-") as folder:
        local = str(Path(folder, files.split_path(path)[1]))
        uncompressed = CompressionTypes.UNCOMPRESSED  # What is gzipped is seen from its content.
        with (
            FileSystems.open(path, compression_type=uncompressed) as source,
            open(local, "wb") as copy,
        ):
            shutil.copyfileobj(source, copy)
        try:
            yield local
        except ValueError as error:
            raise ValueError(str(error).replace(local, path)) from error


def publish_shard(local: str, path: str) -> None:
    """Copies a shard and its note to where others find them: whole, or not at all."""
    from apache_beam.io.filesystems import FileSystems

    if FileSystems.exists(path):  # The note must not seem to be about an older shard.
        FileSystems.delete([path])
    for source, target in ((note_path(local), note_path(path)), (local, path)):
        _copy_whole(source, target)


def _copy_whole(source: str, target: str) -> None:
    from apache_beam.io.filesystem import CompressionTypes
    from apache_beam.io.filesystems import FileSystems

    folder, name = files.split_path(target)
    temporary = files.join_path(folder, f".{name}.{secrets.token_hex(4)}.tmp")
    try:
        uncompressed = CompressionTypes.UNCOMPRESSED
        with (
            open(source, "rb") as file,
            FileSystems.create(temporary, compression_type=uncompressed) as copy,
        ):
            shutil.copyfileobj(file, copy)
        FileSystems.rename([temporary], [target])
    except BaseException:
        with contextlib.suppress(Exception):  # The first error is the one to tell.
            FileSystems.delete([temporary])
        raise
