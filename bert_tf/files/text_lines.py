"""Reads the lines of text files, plain or gzipped."""

import functools
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator
from typing import IO

from bert_tf.files.kinds import HEAD_BYTES, refuse_other_kinds
from bert_tf.files.paths import file_size, open_file

_GZIP_MAGIC = b"\x1f\x8b"  # No UTF-8 text starts like this.
_MAX_LINE_BYTES = 1 << 28
# What a compressed file may grow to; text shrinks to a fifth or less, never to a hundredth.
_ALWAYS_UNPACKED_BYTES, _MAX_UNPACKED = 1 << 30, 200
_BLOCK_BYTES = 1 << 20
_DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error)  # gzip data
# They separate words or lines, but the original's reader or tokenizer drops them.
_SEPARATORS = re.compile("[\r\v\f\x1c-\x1f\x85]")


def max_unpacked_bytes(packed_bytes: int) -> int:
    """Returns to how many bytes compressed data may grow, unless it was made to take the memory."""
    return max(_ALWAYS_UNPACKED_BYTES, _MAX_UNPACKED * packed_bytes)


def separate_words(text: str) -> str:
    """Replaces carriage returns, form feeds, ... by spaces: the tokenizer would join the words."""
    return _SEPARATORS.sub(" ", text)


def open_text_lines(
    path: str,
    on_read: Callable[[int], None] | None = None,
    wanted: str = "text",
    as_original: bool = False,
) -> Iterator[str]:
    """Yields the lines of a UTF-8 text file, gzipped or not, without their line ends.

    Lines end with `\\n` or `\\r\\n`, or with `\\r` in a file that has no other line ends, but for a
    last one. A byte order mark is left out. Within a line, `\\r`, form feeds and other separators
    that the tokenizer drops become spaces.

    Args:
        on_read: is called at intervals with the number of bytes read since the last call.
        wanted: what the file must hold, see `refuse_other_kinds`.
        as_original: whether only `\\n` ends a line and all characters stay. (The original's
            `GFile.readline` drops carriage returns.)

    Raises:
        ValueError: if the file is of another kind or not UTF-8, a line is longer than 256 MB, or
            its gzip data is damaged or grows beyond measure; names the line.
    """
    line_number = bytes_reported = num_bytes = 0
    with open_file(path, "rb") as raw:
        head = raw.read(HEAD_BYTES)
        refuse_other_kinds(path, wanted, head)
        raw.seek(0)
        is_gzip = head.startswith(_GZIP_MAGIC)
        limit = max_unpacked_bytes(file_size(path)) if is_gzip else float("inf")
        try:
            stream = gzip.GzipFile(fileobj=raw) if is_gzip else raw
            for line_number, line in enumerate(_lines(stream, as_original), start=1):
                num_bytes += len(line)
                if len(line) >= _MAX_LINE_BYTES or num_bytes > limit:
                    what = "a line" if len(line) >= _MAX_LINE_BYTES else "the unpacked file"
                    raise ValueError(f"{path}:{line_number}: {what} is too long to be read.")
                if b"\r" in line:
                    has_end, line = line.endswith(b"\n"), line.rstrip(b"\r\n")
                    if not line and not has_end:  # Only carriage returns at the file's end.
                        continue
                text = line.decode("utf-8").removesuffix("\n")
                if not as_original:
                    text = separate_words(text if line_number > 1 else text.removeprefix("\ufeff"))
                yield text
                if on_read and line_number % 256 == 0:
                    bytes_read = raw.tell()
                    on_read(bytes_read - bytes_reported)
                    bytes_reported = bytes_read
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{path}:{line_number}: not UTF-8: byte 0x{error.object[error.start]:02x} at byte "
                f"{error.start} of the line. Convert the file first, for example with iconv."
            ) from error
        except _DAMAGED as error:
            raise ValueError(
                f"{path}:{line_number + 1}: damaged or truncated gzip data ({error})."
            ) from error
        if on_read:
            on_read(raw.tell() - bytes_reported)


def _lines(stream: IO[bytes], as_original: bool) -> Iterator[bytes]:
    """Yields lines, those that end with `\n` with it; no line is much longer than the limit."""
    if not as_original and _has_returns_only(stream):
        yield from _lines_that_end_with_returns(stream)
    elif isinstance(stream, io.BufferedIOBase):
        yield from iter(functools.partial(stream.readline, _MAX_LINE_BYTES), b"")
    else:  # TensorFlow's files know no limit.
        yield from stream


def _has_returns_only(stream: IO[bytes]) -> bool:
    """Returns whether `\r` ends the lines: no `\n` does (in the first 256 MB), or only a last."""
    num_returns, end, rest = 0, b"", b""
    try:
        while not end and stream.tell() < _MAX_LINE_BYTES and (block := stream.read(HEAD_BYTES)):
            line, end, rest = block.partition(b"\n")
            num_returns += line.count(b"\r")
        has_end_only = not rest and not (end and stream.read(1))
    except _DAMAGED:  # Whoever reads the lines will see which of them.
        has_end_only = False
    stream.seek(0)
    return has_end_only and num_returns > bool(end)  # The one of `\r\n`, or within a line.


def _lines_that_end_with_returns(stream: IO[bytes]) -> Iterator[bytes]:
    rest = b""
    while block := stream.read(_BLOCK_BYTES):
        *lines, rest = (rest + block).splitlines(keepends=True)
        yield from (line.rstrip(b"\r\n") + b"\n" for line in lines)
        if len(rest) >= _MAX_LINE_BYTES:
            break
    yield rest.rstrip(b"\r\n")
