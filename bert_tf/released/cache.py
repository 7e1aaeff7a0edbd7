"""The cache: the folder that keeps downloaded, extracted and converted models.

    $BERT_TF_CACHE, else ~/.cache/bert_tf
        2018_10_18/uncased_L-12_H-768_A-12/     a released model, under its own path
        archives/KEY/NAME/                      a zip given by its path
        translated/KEY/NAME/                    a model converted from another format

A folder gets its final name only when all its files are complete. Its `files.json` lists them with
their sizes, so an incomplete folder is noticed without reading its files, and made again.
"""

import contextlib
import errno
import glob
import json
import logging
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from bert_tf import files

try:
    import fcntl
except ImportError:  # Windows: two processes that need one model may both download it.
    fcntl = None

logger = logging.getLogger(__name__)

CACHE_VARIABLE = "BERT_TF_CACHE"
INVENTORY_NAME = "files.json"

# How often to check whether another process has finished.
_POLL_SECONDS = 0.2


def cache_folder(cache_dir: str | None = None) -> Path:
    """Returns the cache folder: `cache_dir`, $BERT_TF_CACHE, or ~/.cache/bert_tf."""
    folder = cache_dir or os.environ.get(CACHE_VARIABLE)
    return Path(folder).expanduser() if folder else Path.home() / ".cache" / "bert_tf"


def is_whole(folder: Path) -> bool:
    """Returns whether a folder of the cache exists with all its files at their full sizes."""
    try:
        sizes = json.loads((folder / INVENTORY_NAME).read_text(encoding="utf-8"))["files"]
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, KeyError):
        return False


def plain_name(name: str) -> str:
    """Returns a folder name without characters that are patterns in a checkpoint's path."""
    return re.sub(r"[^\w.+-]", "_", name).lstrip(".") or "model"


@contextlib.contextmanager
def new_folder(final: Path, source: str) -> Iterator[Path]:
    """Yields a temporary folder that is renamed to `final` if the block ends without an error.

    After an error it is removed. If another process has made `final` meanwhile, that one is kept.

    Args:
        final: the folder to make.
        source: where its files come from; recorded in `files.json`.
    """
    temporary = final.with_name(f".{final.name}.{secrets.token_hex(4)}.tmp")
    temporary.mkdir(parents=True)
    try:
        yield temporary
        inventory = {
            "source": source,
            "files": {path.name: path.stat().st_size for path in sorted(temporary.iterdir())},
        }
        with files.atomic_write(str(temporary / INVENTORY_NAME), "w") as file:
            file.write(json.dumps(inventory, indent=2) + "\n")
        _take_place(temporary, final)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def one_at_a_time(final: Path) -> Iterator[None]:
    """Lets one process or thread at a time make `final`, while the others wait.

    Temporary folders that killed processes left behind are removed.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    lock = final.with_name(f".{final.name}.lock")
    file = _wait_for(lock)
    try:
        if fcntl is not None:
            for abandoned in final.parent.glob(f".{glob.escape(final.name)}.*.tmp"):
                shutil.rmtree(abandoned, ignore_errors=True)
        yield
    finally:
        with contextlib.suppress(OSError):
            lock.unlink()
        file.close()


def _wait_for(lock: Path) -> IO:
    """Returns the open and locked file, which is still the one that others would open."""
    has_waited = False
    while True:
        file = open(lock, "a")  # noqa: SIM115 (closed by whoever holds the lock)
        if _try_lock(file) and _is_at(file, lock):
            return file
        file.close()
        if not has_waited:
            logger.info("%s: waiting for another process that is making this model.", lock.parent)
            has_waited = True
        time.sleep(_POLL_SECONDS)


def _try_lock(file: IO) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # Some network file systems have no locks; then it is as on Windows.
        return error.errno not in (errno.EWOULDBLOCK, errno.EACCES)
    return True


def _is_at(file: IO, path: Path) -> bool:
    """Returns whether an open file is still at `path`: its last owner may have removed it."""
    try:
        return fcntl is None or os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _take_place(temporary: Path, final: Path) -> None:
    for _ in range(2):
        try:
            temporary.rename(final)
            return
        except OSError:
            if not final.exists():
                raise
            if is_whole(final):
                return
            damaged = final.with_name(f".{final.name}.{secrets.token_hex(4)}.tmp")
            final.rename(damaged)
            shutil.rmtree(damaged, ignore_errors=True)
    raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), str(final))
