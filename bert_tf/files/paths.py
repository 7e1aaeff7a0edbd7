"""Files by path: on the local disk, or wherever TensorFlow can reach (`gs://...`).

Local files are opened without TensorFlow. What is written appears under its name only when it is
whole: until then it lies beside it under a temporary name, and is removed if anything goes wrong.
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
    """Whether `path` names a file system that only TensorFlow can open, as in `gs://bucket/a`."""
    return "://" in str(path)


def open_file(path: str, mode: str = "rb") -> IO:
    """Opens a local or remote file; text is UTF-8."""
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
    """Makes a folder and those above it, where they are missing."""
    if is_remote(path):
        _gfile().makedirs(str(path))
    else:
        Path(path or ".").mkdir(parents=True, exist_ok=True)


def remove_file(path: str) -> None:
    """Removes a file; it is no error if there is none."""
    if not is_remote(path):
        Path(path).unlink(missing_ok=True)
    elif _gfile().exists(str(path)):
        _gfile().remove(str(path))


def join_path(folder: str, name: str) -> str:
    """`folder/name`, for local and remote folders."""
    return f"{str(folder).rstrip('/')}/{name}" if is_remote(folder) else str(Path(folder, name))


def split_path(path: str) -> tuple[str, str]:
    """The folder (`.` if none is named) and the name of a file."""
    folder, _, name = str(path).rpartition("/") if is_remote(path) else ("", "", "")
    return (folder, name) if folder else (str(Path(path).parent), Path(path).name)


def resolve_path(path: str) -> str:
    """The one name of a local file, however it is spelled and whichever links lead to it.

    Paths with the same one are the same file, and writing one would overwrite the other. A remote
    path is given back as it is.
    """
    return str(path) if is_remote(path) else os.path.realpath(path)


def glob_files(pattern: str) -> list[str]:
    """Paths that match `pattern`, sorted by name.

    `*`, `?`, `[abc]`, `[!abc]` and `\\` mean what they do in `tf.io.gfile.glob`: none of them
    matches a `/`, all of them match a leading dot. (Its order is the directory's own, and so
    changes from disk to disk.)
    """
    if is_remote(pattern):
        try:
            return sorted(_gfile().glob(str(pattern)))
        except Exception as error:  # TensorFlow's, of a kind for each cause.
            raise ValueError(
                f"{pattern}: cannot be looked up ({getattr(error, 'message', error)}). TensorFlow "
                f"reads local files and, with access to them, gs:// and hdfs://; get others first."
            ) from error
    paths = [""]
    for part in re.split(r"(/+)", str(pattern)):
        if _GLOB_CHARACTERS.search(part):
            paths = [folder + name for folder in paths for name in _matches(folder or ".", part)]
        else:
            paths = [path + part for path in paths]
    return sorted(path for path in paths if path and os.path.lexists(path))


def expand_input_files(patterns: str | Sequence[str]) -> list[str]:
    """The input files that patterns name: in the patterns' order, each pattern's files sorted.

    A file that two patterns match is there twice.

    Args:
        patterns: one or several; a string may hold several, separated by commas.

    Raises:
        ValueError: if a pattern matches nothing, or a directory.
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
                    f"{path}: a directory, where a file is needed. To read all files in it, give "
                    f"{join_path(path, '*')!r}. Received: {pattern!r}"
                )
        input_files.extend(found)
    return input_files


def open_text_lines(path: str, on_read: Callable[[int], None] | None = None) -> Iterator[str]:
    """Yields the lines of a UTF-8 text file, which may be gzipped, without their line ends.

    Lines are those of `tf.io.gfile.GFile.readline`, as the original release read them: only `\\n`
    ends a line, and carriage returns are dropped, wherever they stand.

    Args:
        path: a file; that it is gzipped is seen from its first two bytes.
        on_read: called now and then with the number of bytes of the file read since the last call.

    Raises:
        ValueError: for bytes that are not UTF-8 (with the line) and for damaged gzip data.
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
                    if not line:  # At the end of the file, carriage returns alone are no line.
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
    """Makes a local folder, and keeps other processes of this machine that would hold it out.

    It may be removed by whoever holds it.

    Args:
        folder: one that is there for this only.
        refusal: what is said to the others.

    Raises:
        ValueError: `refusal`, if another process holds it.
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
            # It may have been removed between the lines above, too.
            if os.path.isdir(folder) and os.path.samestat(os.fstat(descriptor), os.stat(folder)):
                yield
                return
        finally:
            os.close(descriptor)  # Which ends the lock.


@contextlib.contextmanager
def atomic_write(path: str, mode: str = "wb") -> Iterator[IO]:
    """Opens a file that appears under its name only when the block ends without an error.

    Raises:
        OSError: if it cannot be written (no permission, a full disk), with its path. Nothing is
            left behind then, and a file that was there before stays as it was.
    """
    with atomic_writes([path], mode) as (file,):
        yield file


@contextlib.contextmanager
def atomic_writes(paths: Sequence[str], mode: str = "wb") -> Iterator[list[IO]]:
    """Like `atomic_write` for several files: none gets its name before all of them are whole."""
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
    """A file that is being written beside its final place."""

    def __init__(self, path: str, mode: str) -> None:
        # A link stays a link, and a device (/dev/null) is written, not replaced.
        self.path = resolve_path(path)
        is_special = not is_remote(path) and Path(path).exists() and not Path(path).is_file()
        folder, name = split_path(self.path)
        self.temporary = (
            self.path if is_special else join_path(folder, f".{name}.{secrets.token_hex(4)}.tmp")
        )
        self.mode = mode
        self.file: IO | None = None

    def open(self) -> IO:
        if Path(self.path).is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), self.path)
        try:
            self.file = open_file(self.temporary, self.mode)
        except OSError as error:  # Nobody knows the temporary name.
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
        self.file = None

    def discard(self) -> None:
        """Removes what was not committed."""
        if self.file is not None:
            with contextlib.suppress(OSError):  # What is still buffered may not fit on the disk.
                self.file.close()
            if self.temporary != self.path:
                remove_file(self.temporary)


def _matches(folder: str, part: str) -> list[str]:
    """Names in `folder` that match one part of a pattern; none if it is not a folder."""
    # Python's fnmatch takes a special character as it is inside brackets, not after a backslash.
    pattern = re.sub(r"\\(.)", lambda escape: re.sub(r"([*?[])", r"[\1]", escape[1]), part)
    pattern = pattern.replace("[^", "[!")
    try:
        names = [path.name for path in Path(folder).iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [name for name in names if fnmatch.fnmatchcase(name, pattern)]


def _gfile():
    """TensorFlow's file systems: imported only for paths that need them."""
    import tensorflow as tf

    return tf.io.gfile
