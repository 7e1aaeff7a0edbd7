"""Deals the documents of a corpus to shards, as text, so that shards are made independently.

Document 0 goes to shard 0, document 1 to shard 1, and so on, round and round: the shards are of
nearly equal size, and it does not matter how many processes make them. The text is read once, and
lies in temporary files meanwhile. (Letting each process read all the text and pick its documents
would take no disk, but N times the reading; a thousand shards of a large corpus would take days.)
"""

import contextlib
import re
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from bert_tf import files

# The text held in memory before it is written out. Files are opened for that only, as there may be
# more shards than a process may have files open.
_BUFFERED_CHARACTERS = 16 * 2**20
_FOLDER = ".pretraining-text"
# Shards and their notes under the temporary names of `bert_tf.files.paths.atomic_write`.
_HALF_WRITTEN = re.compile(
    r"\.\.?pretraining-\d+-of-\d+\.tfrecord(\.gz)?(\.made\.json)?\.[0-9a-f]+\.tmp"
)


def deal_documents(
    lines: Iterable[str], num_shards: int, folder: str, wanted: Collection[int] | None = None
) -> list[str]:
    """Writes each document of `lines` to one of `num_shards` text files.

    Args:
        lines: of `TextLines`: a sentence each, or "" between documents.
        num_shards: to how many files documents are dealt.
        folder: a local folder for them.
        wanted: the shards whose files are written, all by default. Documents of others are only
            counted.

    Returns:
        The paths of the files, by shard; of those not wanted there is none.

    Raises:
        ValueError: if there are fewer documents than shards.
        OSError: if the files cannot be written.
    """
    paths = [str(Path(folder, f"shard-{shard:05d}.txt")) for shard in range(num_shards)]
    buffers: list[list[str] | None] = [
        [] if wanted is None or shard in wanted else None for shard in range(num_shards)
    ]
    num_documents, num_buffered, is_in_document = 0, 0, False
    for line in lines:
        if not line:
            num_documents += is_in_document
            is_in_document = False
            continue
        buffer = buffers[num_documents % num_shards]
        if buffer is not None:
            if not is_in_document:
                buffer.append("\n")
            buffer.append(f"{line}\n")
            num_buffered += len(line)
        is_in_document = True
        if num_buffered > _BUFFERED_CHARACTERS:
            _write_out(buffers, paths)
            num_buffered = 0
    _write_out(buffers, paths)
    if num_shards == 1:
        Path(paths[0]).touch()  # A text without documents is an error of whoever reads it.
    check_number_of_documents(num_documents + is_in_document, num_shards)
    return paths


def check_number_of_documents(num_documents: int, num_shards: int) -> None:
    """Raises a ValueError if a shard would be left without a document."""
    if num_documents < num_shards and num_shards > 1:
        raise ValueError(
            f"Every shard needs a document, and is better off with thousands. Make fewer shards, "
            f"or put blank lines between documents. Received: num_shards={num_shards}, and text "
            f"with {num_documents} documents"
        )


@contextlib.contextmanager
def text_folder(output_dir: str) -> Iterator[str]:
    """A folder for the text of shards, which is removed at the end; one run at a time has it.

    It lies beside the records, where there is room for the text; only a remote folder is no place
    for it. What a run that was killed has left, text and half-written shards, is removed first.

    Raises:
        ValueError: if another run is making shards in `output_dir`.
    """
    if files.is_remote(output_dir):
        with tempfile.TemporaryDirectory() as folder:
            yield folder
        return
    folder = str(Path(output_dir, _FOLDER))
    refusal = (
        f"Another run is making shards in this folder: wait for its end, or choose another folder. "
        f"Received: output_dir={output_dir!r}"
    )
    with files.hold_folder(folder, refusal):
        _remove_leftovers(folder, output_dir)
        try:
            yield folder
        finally:
            shutil.rmtree(folder)


def _remove_leftovers(folder: str, output_dir: str) -> None:
    for entry in Path(folder).iterdir():
        entry.unlink(missing_ok=True)
    for path in Path(output_dir).glob(".*.tmp"):
        if _HALF_WRITTEN.fullmatch(path.name):
            path.unlink(missing_ok=True)  # Workers of a killed run may be ending yet.


def _write_out(buffers: list[list[str] | None], paths: list[str]) -> None:
    """Appends the buffers to their files, and empties them."""
    for buffer, path in zip(buffers, paths, strict=True):
        if buffer:
            with open(path, "a", encoding="utf-8", newline="\n") as file:
                file.writelines(buffer)
            buffer.clear()
