"""Deals the documents of a corpus to shards, as text, so that shards are made independently.

Document 0 goes to shard 0, document 1 to shard 1, and so on, round and round: the shards are of
nearly equal size, and it does not matter how many processes make them. The text is read once, and
lies in temporary files meanwhile. (Letting each process read all the text and pick its documents
would take no disk, but N times the reading; a thousand shards of a large corpus would take days.)
"""

from collections.abc import Iterable
from pathlib import Path

# The text held in memory before it is written out. Files are opened for that only, as there may be
# more shards than a process may have files open.
_BUFFERED_CHARACTERS = 16 * 2**20


def deal_documents(lines: Iterable[str], num_shards: int, folder: str) -> list[str]:
    """Writes each document of `lines` to one of `num_shards` text files.

    Args:
        lines: of `TextLines`: a sentence each, or "" between documents.
        num_shards: how many files are made.
        folder: a local folder for them.

    Returns:
        The paths of the files, by shard.

    Raises:
        ValueError: if there are fewer documents than shards.
        OSError: if the files cannot be written.
    """
    paths = [str(Path(folder, f"shard-{shard:05d}.txt")) for shard in range(num_shards)]
    buffers: list[list[str]] = [[] for _ in paths]
    num_documents, num_buffered, is_in_document = 0, 0, False
    for line in lines:
        if not line:
            num_documents += is_in_document
            is_in_document = False
            continue
        buffer = buffers[num_documents % num_shards]
        if not is_in_document:
            buffer.append("\n")
        buffer.append(f"{line}\n")
        is_in_document = True
        num_buffered += len(line)
        if num_buffered > _BUFFERED_CHARACTERS:
            _write_out(buffers, paths)
            num_buffered = 0
    _write_out(buffers, paths)
    num_documents += is_in_document
    if num_documents < num_shards:
        raise ValueError(
            f"Every shard needs a document, and is better off with thousands. Make fewer shards, "
            f"or put blank lines between documents. Received: num_shards={num_shards}, and text "
            f"with {num_documents} documents"
        )
    return paths


def _write_out(buffers: list[list[str]], paths: list[str]) -> None:
    """Appends the buffers to their files, and empties them."""
    for buffer, path in zip(buffers, paths, strict=True):
        if buffer:
            with open(path, "a", encoding="utf-8", newline="\n") as file:
                file.writelines(buffer)
            buffer.clear()
