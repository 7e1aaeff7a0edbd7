"""Reads and writes files on the local disk, or on any file system of TensorFlow (`gs://...`).

Local files need no TensorFlow. Files are written under a temporary name in the same folder, and get
their own name when they are complete; after an error the temporary file is removed.

`etils.epath` has a similar interface, but refuses `hdfs://` and `ram://`, does not match leading
dots in patterns, and would slow the start of every script by a tenth of a second.
"""

import contextlib
import errno
import fnmatch
import gzip
import os
import re
import secrets
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

_GLOB_CHARACTERS = re.compile(r"[*?\[\\]")
_GZIP_MAGIC = b"\x1f\x8b"  # No UTF-8 text starts like this.


def is_remote(path: str) -> bool:
    """Whether only TensorFlow can open `path`, such as `gs://bucket/a`."""
    return "://" in str(path)


def open_file(path: str, mode: str = "rb") -> IO:
    """Opens a local or remote file; text files are UTF-8."""
    if is_remote(path):
        return _gfile().GFile(str(path), mode)
    return open(path, mode, encoding=None if "b" in mode else "utf-8")


def exists(path: str) -> bool:
    """Whether there is a file or a folder at `path`."""
    return _gfile().exists(str(path)) if is_remote(path) else Path(path).exists()


def is_directory(path: str) -> bool:
    """Whether there is a folder at `path`."""
    return _gfile().isdir(str(path)) if is_remote(path) else Path(path).is_dir()


def file_size(path: str) -> int:
    """The size of a file in bytes."""
    return _gfile().stat(str(path)).length if is_remote(path) else Path(path).stat().st_size


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
    """`folder/name`, for local and remote folders."""
    return f"{str(folder).rstrip('/')}/{name}" if is_remote(folder) else str(Path(folder, name))


def split_path(path: str) -> tuple[str, str]:
    """Splits a path into the folder (`.` if there is none) and the file's name."""
    folder, _, name = str(path).rpartition("/") if is_remote(path) else ("", "", "")
    return (folder, name) if folder else (str(Path(path).parent), Path(path).name)


def resolve_path(path: str) -> str:
    """Returns the absolute path of a local file with all links resolved.

    Two paths with the same result are the same file, so that writing one overwrites the other.
    Remote paths are returned unchanged.
    """
    return str(path) if is_remote(path) else os.path.realpath(path)


def glob_files(pattern: str) -> list[str]:
    """Returns the paths that match `pattern`, sorted by name.

    `*`, `?`, `[abc]`, `[!abc]` and `\\` mean the same as in `tf.io.gfile.glob`: none of them
    matches a `/`, and all of them match a leading dot. (The order of `tf.io.gfile.glob` is the
    directory's, which differs from disk to disk.)
    """
    if is_remote(pattern):
        try:
            return sorted(_gfile().glob(str(pattern)))
        except Exception as error:  # TensorFlow has one class per cause.
            raise ValueError(
                f"{pattern}: cannot be looked up ({getattr(error, 'message', error)}). TensorFlow "
                f"reads local files and, with access to them, gs:// and hdfs://; download others "
                f"first."
            ) from error
    paths = [""]
    for part in re.split(r"(/+)", str(pattern)):
        if _GLOB_CHARACTERS.search(part):
            paths = [folder + name for folder in paths for name in _matches(folder or ".", part)]
        else:
            paths = [path + part for path in paths]
    return sorted(path for path in paths if path and os.path.lexists(path))


def expand_input_files(patterns: str | Sequence[str]) -> list[str]:
    """Returns the files that match the patterns: in the patterns' order, each pattern's sorted.

    A file that matches two patterns is returned twice.

    Args:
        patterns: one or more; a string may hold several, separated by commas.

    Raises:
        ValueError: if a pattern matches nothing, or matches a directory.
    """
    if isinstance(patterns, (str, os.PathLike)):
        patterns = [patterns]
    input_files = []
    for pattern in [part for text in patterns for part in str(text).split(",")]:
        found = glob_files(pattern)
        if not found:
            raise ValueError(
                f"No file matches the input pattern. Give the path of a file, or a pattern such "
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


def open_text_lines(path: str, on_read: Callable[[int], None] | None = None) -> Iterator[str]:
    """Yields the lines of a UTF-8 text file, gzipped or not, without their line ends.

    Lines are split as by `tf.io.gfile.GFile.readline`, which the original release used: only `\\n`
    ends a line, and carriage returns are dropped everywhere.

    Args:
        path: the file; its first two bytes tell whether it is gzipped.
        on_read: called from time to time with the number of bytes read since the last call.

    Raises:
        ValueError: if the file is not UTF-8 (the error names the line), or its gzip data is
            damaged.
    """
    line_number = 0
    with open_file(path, "rb") as raw:
        is_gzip = raw.read(2) == _GZIP_MAGIC
        raw.seek(0)
        lines = gzip.GzipFile(fileobj=raw) if is_gzip else raw
        bytes_reported = 0
        try:
            for line_number, line in enumerate(lines, start=1):
                if b"\r" in line:
                    line = line.replace(b"\r", b"")
                    if not line:  # A last line of carriage returns only does not count.
                        continue
                yield line.decode("utf-8").removesuffix("\n")
                if on_read and line_number % 256 == 0:
                    bytes_read = raw.tell()
                    on_read(bytes_read - bytes_reported)
                    bytes_reported = bytes_read
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{path}:{line_number}: not UTF-8: byte 0x{error.object[error.start]:02x} at byte "
                f"{error.start} of the line. Convert the file first, for example with iconv."
            ) from error
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(
                f"{path}:{line_number + 1}: damaged or truncated gzip data ({error})."
            ) from error
        if on_read:
            on_read(raw.tell() - bytes_reported)


@contextlib.contextmanager
def hold_folder(folder: str, refusal: str) -> Iterator[None]:
    """Makes a local folder and locks it against other processes of this machine.

    The holder of the lock may remove the folder.

    Args:
        folder: a folder that is used for nothing but this lock and its holder's files.
        refusal: the message of the error if the folder is locked.

    Raises:
        ValueError: if another process holds the lock.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        make_directories(folder)
        yield
        return
    while True:
        make_directories(folder)
        try:
            descriptor = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:  # Another process has just removed it.
            continue
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ValueError(refusal) from None
            # It may have been removed after it was opened.
            if os.path.isdir(folder) and os.path.samestat(os.fstat(descriptor), os.stat(folder)):
                yield
                return
        finally:
            os.close(descriptor)  # Releases the lock.


@contextlib.contextmanager
def atomic_write(path: str, mode: str = "wb") -> Iterator[IO]:
    """Opens a file that appears under its name only when the block ends without an error.

    Raises:
        OSError: if it cannot be written (no permission, a full disk), with its path. Then nothing
            is left behind, and an existing file is unchanged.
    """
    with atomic_writes([path], mode) as (file,):
        yield file


@contextlib.contextmanager
def atomic_writes(paths: Sequence[str], mode: str = "wb") -> Iterator[list[IO]]:
    """Like `atomic_write`, for several files that appear together when all are complete."""
    targets = [_PendingFile(str(path), mode) for path in paths]
    try:
        try:
            yield [target.open() for target in targets]
            for target in targets:
                target.close()
            for target in targets:
                target.commit()
        except OSError as error:
            if error.filename is not None or error.errno is None:
                raise
            path = ", ".join(str(path) for path in paths)
            raise OSError(error.errno, os.strerror(error.errno), path) from error
    finally:
        for target in targets:
            target.discard()


class _PendingFile:
    """A file that is being written under a temporary name."""

    def __init__(self, path: str, mode: str) -> None:
        # Links are followed, and devices (/dev/null) are written, not replaced.
        self.path = resolve_path(path)
        is_special = not is_remote(path) and Path(path).exists() and not Path(path).is_file()
        folder, name = split_path(self.path)
        self.temporary = (
            self.path if is_special else join_path(folder, f".{name}.{secrets.token_hex(4)}.tmp")
        )
        self.mode = mode
        self.file: IO | None = None
        self.is_pending = False

    def open(self) -> IO:
        if Path(self.path).is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), self.path)
        self.is_pending = (
            True  # A signal may end this process between opening it and the next line.
        )
        try:
            self.file = open_file(self.temporary, self.mode)
        except OSError as error:  # The user does not know the temporary name.
            self.is_pending = False
            raise OSError(error.errno, error.strerror, self.path) from error
        return self.file

    def close(self) -> None:
        if not is_remote(self.path):
            self.file.flush()
            if self.temporary != self.path:
                os.fsync(self.file.fileno())
        self.file.close()

    def commit(self) -> None:
        if is_remote(self.path):
            _gfile().rename(self.temporary, self.path, overwrite=True)
        elif self.temporary != self.path:
            Path(self.temporary).replace(self.path)
        self.is_pending = False

    def discard(self) -> None:
        """Removes the temporary file unless it was committed."""
        if self.is_pending:
            if self.file is not None:
                with contextlib.suppress(OSError):  # The buffered rest may not fit on the disk.
                    self.file.close()
            if self.temporary != self.path:
                remove_file(self.temporary)


def _matches(folder: str, part: str) -> list[str]:
    """Returns the names in `folder` that match one part of a pattern; none if it is no folder."""
    # Python's fnmatch has no backslash: a special character is escaped by brackets.
    pattern = re.sub(r"\\(.)", lambda escape: re.sub(r"([*?[])", r"[\1]", escape[1]), part)
    pattern = pattern.replace("[^", "[!")
    try:
        names = [path.name for path in Path(folder).iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [name for name in names if fnmatch.fnmatchcase(name, pattern)]


def _gfile():
    """Imports TensorFlow's file systems, only for paths that need them."""
    import tensorflow as tf

    return tf.io.gfile
