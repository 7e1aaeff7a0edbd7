"""Reads and writes files on the local disk, or on any file system of TensorFlow (`gs://...`).

Local files need no TensorFlow. (`etils.epath` refuses `hdfs://` and `ram://`, does not match
leading dots, and is slow to import.)
"""

import contextlib
import errno
import fnmatch
import glob
import hashlib
import logging
import os
import platform
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

from bert_tf.files.damage import some

logger = logging.getLogger(__name__)

_ESCAPE = "backslashreplace"  # Of what UTF-8 cannot encode, such as "\ud800" from a JSON file.
_BLOCK_BYTES = 1 << 20
_GLOB_CHARACTERS = re.compile(r"[*?\[\\]")


def is_remote(path: str) -> bool:
    """Returns whether `path` is remote (`gs://bucket/a`), so that only TensorFlow can open it."""
    return "://" in str(path)


def open_file(path: str, mode: str = "rb") -> IO:
    """Opens a local or remote file; text files are UTF-8. Halves of characters are escaped."""
    if is_remote(path):
        return _gfile().GFile(str(path), mode)
    try:
        if "b" in mode:
            return open(path, mode)
        return open(path, mode, encoding="utf-8", errors=None if "r" in mode else _ESCAPE)
    except IsADirectoryError as error:
        if "r" not in mode:
            raise
        names = [name for name in list_folder(path) if not name.startswith(".")]
        held = f"It holds {some(names)}" if names else "It is empty"
        raise ValueError(f"{path}: a folder, where a file is needed. {held}.") from error


def exists(path: str) -> bool:
    """Returns whether `path` is a file or a folder."""
    return _gfile().exists(str(path)) if is_remote(path) else Path(path).exists()


def is_directory(path: str) -> bool:
    """Returns whether `path` is a folder."""
    return _gfile().isdir(str(path)) if is_remote(path) else Path(path).is_dir()


def file_size(path: str) -> int:
    """Returns the size of a file in bytes."""
    return _gfile().stat(str(path)).length if is_remote(path) else Path(path).stat().st_size


def list_folder(path: str) -> list[str]:
    """Returns the names in a folder, sorted; [] if there is no such folder."""
    if not is_directory(path):
        return []
    names = _gfile().listdir(str(path)) if is_remote(path) else os.listdir(path)
    return sorted(name.rstrip("/") for name in names)


def read_bytes(path: str) -> bytes:
    """Returns the content of a file."""
    with open_file(path) as file:
        return file.read()


def file_digest(path: str, algorithm: str = "sha256") -> str:
    """Returns the hash of a file as hexadecimal digits; `algorithm` is one of hashlib's."""
    total = hashlib.new(algorithm, usedforsecurity=False)
    with open_file(path) as file:
        while block := file.read(_BLOCK_BYTES):
            total.update(block)
    return total.hexdigest()


def make_directories(path: str) -> None:
    """Makes a folder and its parents, unless they exist."""
    if is_remote(path):
        _gfile().makedirs(str(path))
    else:
        Path(path or ".").mkdir(parents=True, exist_ok=True)


def remove_file(path: str) -> None:
    """Removes a file if it exists."""
    if not is_remote(path):
        Path(path).unlink(missing_ok=True)
    elif _gfile().exists(str(path)):
        _gfile().remove(str(path))


def join_path(folder: str, name: str) -> str:
    """Returns `folder/name`, for local and remote folders."""
    return f"{str(folder).rstrip('/')}/{name}" if is_remote(folder) else str(Path(folder, name))


def split_path(path: str) -> tuple[str, str]:
    """Splits a path into the folder (`.` if there is none) and the file's name."""
    folder, _, name = str(path).rpartition("/") if is_remote(path) else ("", "", "")
    return (folder, name) if folder else (str(Path(path).parent), Path(path).name)


def resolve_path(path: str) -> str:
    """Returns the absolute path of a local file with all links resolved; remote paths as given."""
    return str(path) if is_remote(path) else os.path.realpath(path)


def glob_files(pattern: str) -> list[str]:
    """Returns the paths that match `pattern`, sorted by name.

    As in `tf.io.gfile.glob`, no wildcard matches a `/`, and all of them match a leading dot.
    """
    if is_remote(pattern):
        try:
            return sorted(_gfile().glob(str(pattern)))
        except Exception as error:  # TensorFlow has one class per cause.
            raise ValueError(
                f"{pattern}: cannot be looked up ({getattr(error, 'message', error)}). TensorFlow "
                "reads local files, gs:// and hdfs://; download others first."
            ) from error
    paths = [""]
    for part in re.split(r"(/+)", str(pattern)):
        if _GLOB_CHARACTERS.search(part):
            paths = [folder + name for folder in paths for name in _matches(folder or ".", part)]
        else:
            paths = [path + part for path in paths]
    return sorted(path for path in paths if path and os.path.lexists(path))


def _matches(folder: str, part: str) -> list[str]:
    # Python's fnmatch escapes by brackets, not by a backslash.
    pattern = re.sub(r"\\(.)", lambda escape: re.sub(r"([*?[])", r"[\1]", escape[1]), part)
    pattern = pattern.replace("[^", "[!")
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [name for name in names if fnmatch.fnmatchcase(name, pattern)]


def expand_input_files(patterns: str | Sequence[str]) -> list[str]:
    """Returns the matching files, in the patterns' order and sorted within each pattern.

    A string may hold several patterns, separated by commas. A file that matches two is returned
    twice. A pattern that matches nothing or a directory raises a ValueError.
    """
    if isinstance(patterns, (str, os.PathLike)):
        patterns = [patterns]
    input_files = []
    for pattern in [part for text in patterns for part in str(text).split(",")]:
        found = glob_files(pattern)
        if not found:
            raise ValueError(
                "No file matches the input pattern. Give the path of a file, or a pattern such "
                f"as 'text/*.txt'. Received: {pattern!r} (working directory: {Path.cwd()})"
            )
        for path in found:
            if is_directory(path):
                raise ValueError(
                    f"{path}: a directory, where a file is needed. To read all its files, give "
                    f"{join_path(path, '*')!r}. Received: {pattern!r}"
                )
        input_files.extend(found)
    return input_files


@contextlib.contextmanager
def hold_folder(folder: str) -> Iterator[None]:
    """Makes a folder, and locks it against other processes of this machine until the block ends.

    The lock, on the file `.lock` there, ends with its process. Remote folders have none. A folder
    that was made here and is empty at the end is removed. Raises a ValueError that names the other
    process if one holds the lock.
    """
    if is_remote(folder):
        yield
        return
    is_new = not exists(folder)
    with contextlib.suppress(OSError):  # As for `_open_locked`.
        make_directories(folder)
    try:
        with _lock(join_path(folder, ".lock"), folder):
            yield
    finally:
        if is_new:
            with contextlib.suppress(OSError):  # It is not empty.
                os.rmdir(folder)


@contextlib.contextmanager
def hold_file(path: str, waits: bool = False) -> Iterator[None]:
    """Like `hold_folder`, for a file or folder that is to be written.

    If it `waits`, it waits for the other process instead of raising. What killed processes left of
    the file under temporary names is removed.
    """
    if is_remote(path) or _is_device(path):
        yield
        return
    folder, name = split_path(resolve_path(path))
    with _lock(join_path(folder, f".{name}.lock"), path, waits) as is_locked:
        half_written = f".{glob.escape(name)}.????????.tmp"  # As `temporary_path` names it.
        for place in Path(folder).glob(half_written) if is_locked else ():
            with contextlib.suppress(OSError):  # It may be another user's.
                shutil.rmtree(place) if place.is_dir() else place.unlink()
        yield


@contextlib.contextmanager
def _lock(lock: str, path: str, waits: bool = False) -> Iterator[bool]:
    file = _open_locked(lock, path, waits)
    try:
        yield file is not None
    finally:
        if file is not None:
            with contextlib.suppress(OSError):
                os.remove(lock)
            file.close()


def _open_locked(lock: str, path: str, waits: bool) -> IO | None:
    """Returns the locked file; None where nothing can be locked, which the program will report."""
    try:
        import fcntl

        while True:
            file = open(lock, "a+", encoding="utf-8", errors="replace")  # noqa: SIM115
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _report_holder(file, path, waits)
                fcntl.flock(file, fcntl.LOCK_EX)
            # The last holder may have removed it after it was opened.
            if exists(lock) and os.path.samestat(os.fstat(file.fileno()), os.stat(lock)):
                break
            file.close()
        file.truncate(0)
        since = time.strftime("%Y-%m-%d %H:%M:%S %Z")
        file.write(f"process {os.getpid()} on {platform.node()}, since {since}")
        file.flush()
        return file
    except (ImportError, OSError):  # Windows; some network file systems.
        return None


def _report_holder(file: IO, path: str, waits: bool) -> None:
    file.seek(0)
    holder = file.read() or "another process"
    if waits:
        logger.info("%s: waiting for %s, which is writing there.", path, holder)
        return
    file.close()
    raise ValueError(
        f"{path}: {holder}, is writing there. Wait for its end, or choose another place."
    ) from None


@contextlib.contextmanager
def atomic_write(path: str, mode: str = "wb") -> Iterator[IO]:
    """Opens a file that replaces `path` only if the block ends without an error."""
    with atomic_writes([path], mode) as (file,):
        yield file


@contextlib.contextmanager
def atomic_writes(paths: Sequence[str], mode: str = "wb") -> Iterator[list[IO]]:
    """Like `atomic_write`, for several files that appear together when all are complete."""
    # Links are followed, and devices (/dev/null) are written, not replaced.
    targets = [resolve_path(path) for path in paths]
    places = [path if _is_device(path) else temporary_path(path) for path in targets]
    opened: list[IO] = []
    try:
        for place, target in zip(places, targets, strict=True):
            if not is_remote(target) and Path(target).is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), target)
            opened.append(open_file(place, mode))
        yield opened
        for file, place, target in zip(opened, places, targets, strict=True):
            if not is_remote(target):
                file.flush()
                if place != target:
                    os.fsync(file.fileno())
            file.close()
        for place, target in zip(places, targets, strict=True):
            if place != target:
                _move(place, target)
    except BaseException as error:
        for file in opened:
            with contextlib.suppress(OSError):  # The buffered rest may not fit on the disk.
                file.close()
        for place in set(places) - set(targets):
            with contextlib.suppress(OSError):  # Its folder may be missing.
                remove_file(place)
        filename = getattr(error, "filename", None)
        if getattr(error, "errno", None) is None or filename not in (None, *places):
            raise
        path = targets[places.index(filename)] if filename else ", ".join(map(str, paths))
        raise OSError(error.errno, os.strerror(error.errno), path) from error


@contextlib.contextmanager
def new_folder(path: str) -> Iterator[str]:
    """Yields a temporary folder; renames it to `path`, or removes it after an error."""
    temporary = temporary_path(path)
    make_directories(temporary)
    try:
        yield temporary
        _move(temporary, path)
    except BaseException:
        _remove_folder(temporary)
        raise


@contextlib.contextmanager
def new_files(folder: str, overwrite: bool = False) -> Iterator[str]:
    """Yields a temporary folder; moves its files to `folder`, or removes them after an error."""
    was_there = is_directory(folder)
    temporary = join_path(folder, f".{secrets.token_hex(4)}.tmp")
    make_directories(temporary)
    try:
        yield temporary
        names = list_folder(temporary)
        check_free(folder, names, overwrite)
        # An index moves last, after the files that it lists.
        for name in sorted(names, key=lambda name: ".index" in name):
            _move(join_path(temporary, name), join_path(folder, name))
        _remove_folder(temporary)
    except BaseException:
        _remove_folder(temporary if was_there else folder)
        raise


def check_free(folder: str, names: Iterable[str], overwrite: bool) -> None:
    """Raises a ValueError if one of `names` exists in `folder`, unless `overwrite` is set."""
    there = [name for name in names if exists(join_path(folder, name))]
    if there and not overwrite:
        raise ValueError(
            f"{folder}: {', '.join(there)} would be overwritten. Choose another folder, or give "
            "--overwrite."
        )


def temporary_path(path: str) -> str:
    """Returns a new name beside `path`: a/b -> a/.b.9f2c01aa.tmp"""
    folder, name = split_path(path)
    return join_path(folder, f".{name}.{secrets.token_hex(4)}.tmp")


def _move(source: str, target: str) -> None:
    if is_remote(target):
        _gfile().rename(source, target, overwrite=True)
    else:
        os.replace(source, target)


def _remove_folder(path: str) -> None:
    if is_remote(path):
        _gfile().rmtree(path)
    else:
        shutil.rmtree(path, ignore_errors=True)


def _is_device(path: str) -> bool:
    if is_remote(path) or not exists(path):
        return False
    return not (Path(path).is_file() or Path(path).is_dir())


def _gfile():
    import tensorflow as tf  # Only for paths that need it.

    return tf.io.gfile
