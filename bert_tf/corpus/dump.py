"""Reads the pages of a Wikipedia dump (pages-articles.xml, .bz2 or .gz), in pieces for workers.

    <mediawiki xml:lang="en"> <siteinfo> ... </siteinfo>
      <page> <title>Cat</title> <ns>0</ns> ... <text>The '''cat''' ...</text> </page>
      <page> ...

A dump is decompressed once, as a stream, and cut at the ends of pages. A multistream dump
(pages-articles-multistream.xml.bz2) is cut between its bz2 streams, which workers decompress.
"""

import bz2
import gzip
import io
import itertools
import re
import zlib
from collections.abc import Iterator
from typing import NamedTuple
from xml.etree import ElementTree

from bert_tf import files
from bert_tf.text.markup import unescape

_BLOCK_BYTES = 1 << 20
_PAGE_START, _PAGE_END, _DUMP_END = b"<page>", b"</page>", b"</mediawiki>"
_STREAM_START = re.compile(rb"BZh[1-9]1AY&SY")
_STREAM_START_BYTES = 10
_MAX_HEADER_BYTES = 1 << 22
# MediaWiki's longest pages have 2 MB; a bz2 stream of a dump holds a hundred pages.
_MAX_PAGE_BYTES, _MAX_COMPRESSION = 1 << 27, 64
_COMPRESSION = 4  # bz2 compresses a dump to a fifth or a quarter of its size.
_LANGUAGE = re.compile(rb'<mediawiki\b[^>]*\bxml:lang="([^"]*)"')
_NAMESPACE = re.compile(rb'<namespace key="(?:6|14)"[^>]*>([^<]*)</namespace>')


class Piece(NamedTuple):
    """Holds or locates some pages of a dump."""

    path: str
    # In bytes: the range of whole bz2 streams in the file if `data` is None, otherwise the position
    # of `data` in the decompressed dump.
    start: int
    end: int
    data: bytes | None  # XML of whole pages.
    is_last: bool  # Whether the dump must end with this piece.
    file_bytes: int  # The number of bytes of the file it covers.


class Page(NamedTuple):
    """Holds a page of a dump; articles are in `namespace` 0."""

    title: str
    namespace: int
    is_redirect: bool
    model: str
    text: str


def read_header(path: str) -> tuple[str, frozenset[str]]:
    """Returns the wiki's language and its words for files and categories ({"datei", ...})."""
    header = b""
    with files.naming_damage(path):
        for block, _ in _decompress(path, allow_truncated=True):
            header += block
            if _PAGE_START in header or _DUMP_END in header or len(header) > _MAX_HEADER_BYTES:
                break
        header = header.partition(_PAGE_START)[0]
        if b"<mediawiki" not in header:
            raise ValueError(
                f"{path}: not a Wikipedia dump: it does not begin with <mediawiki>. Expected "
                "pages-articles.xml, plain or as .bz2 or .gz. It is "
                f"{files.kind_of(path)}, and begins with {header[:40]!r}"
            )
        language = _LANGUAGE.search(header)
        names = [unescape(name.decode("utf-8")) for name in _NAMESPACE.findall(header)]
        words = frozenset(name.replace("_", " ").lower() for name in names if name)
        return language[1].decode("utf-8") if language else "", words


def read_pieces(path: str, piece_bytes: int, allow_truncated: bool) -> Iterator[Piece]:
    """Cuts a dump into pieces of at least `piece_bytes` of XML, in order."""
    if is_multistream(path):
        return _pieces_of_streams(path, piece_bytes // _COMPRESSION)
    return _pieces_of_text(path, piece_bytes, allow_truncated)


def is_multistream(path: str) -> bool:
    """Returns whether a dump consists of bz2 streams of whole pages."""
    with files.open_file(path) as file:
        beginning = file.read(8 * _BLOCK_BYTES)
    starts = [match.start() for match in _STREAM_START.finditer(beginning)][:2]
    if len(starts) < 2 or starts[0] != 0:
        return False
    try:
        second = bz2.BZ2Decompressor().decompress(beginning[starts[1] :], 100)
    except OSError:
        return False
    return second.lstrip().startswith(_PAGE_START)


def _pieces_of_text(path: str, piece_bytes: int, allow_truncated: bool) -> Iterator[Piece]:
    data, start, told = bytearray(), 0, 0
    least = searched = max(piece_bytes - len(_PAGE_END), 0)
    for block, place in _decompress(path, allow_truncated):
        data += block
        while (end := data.find(_PAGE_END, searched)) >= 0:
            end += len(_PAGE_END)
            yield Piece(path, start, start + end, bytes(data[:end]), False, place - told)
            del data[:end]
            start, told, searched = start + end, place, least
        searched = max(searched, len(data) - len(_PAGE_END))
        if len(data) > piece_bytes + _MAX_PAGE_BYTES:
            raise _too_long(path, f"from byte {start} of its text on, a page")
    yield Piece(path, start, start + len(data), bytes(data), True, files.file_size(path) - told)


def _decompress(path: str, allow_truncated: bool) -> Iterator[tuple[bytes, int]]:
    """Yields blocks of the decompressed dump, each with the number of bytes read so far."""
    with files.open_file(path) as file:
        magic = file.read(2)
        file.seek(0)
        kind, read = "", file.read
        if magic == b"BZ":
            kind, read = "bz2", bz2.BZ2File(file).read1
        elif magic == b"\x1f\x8b":
            kind, read = "gzip", gzip.GzipFile(fileobj=file).read1
        while True:
            try:
                block = read(_BLOCK_BYTES)
            except EOFError as error:
                if allow_truncated:
                    return
                raise _truncated(
                    path, f"its {kind} data stops before its end, at byte {file.tell()}"
                ) from error
            except (OSError, zlib.error) as error:
                raise _damaged(path, file.tell(), kind, error) from error
            if not block:
                return
            yield block, file.tell()


def _pieces_of_streams(path: str, piece_bytes: int) -> Iterator[Piece]:
    """Yields pieces of consecutive streams, of at least `piece_bytes` except for the last."""
    size, start = files.file_size(path), 0
    for offset in _stream_offsets(path):
        if offset > start and offset - start >= piece_bytes:
            yield Piece(path, start, offset, None, False, offset - start)
            start = offset
    yield Piece(path, start, size, None, True, size - start)


def _stream_offsets(path: str) -> Iterator[int]:
    """Yields the offsets of bz2 streams. (Their magic occurs by chance once in 2^77 bits.)"""
    with files.open_file(path) as file:
        window, base = b"", 0
        while block := file.read(8 * _BLOCK_BYTES):
            window += block
            for match in _STREAM_START.finditer(window):
                yield base + match.start()
            kept = min(len(window), _STREAM_START_BYTES - 1)
            base += len(window) - kept
            window = window[-kept:]


def read_pages(piece: Piece, allow_truncated: bool) -> Iterator[Page]:
    """Yields a piece's pages; if it is damaged or truncated, raises a ValueError with the place."""
    data = piece.data
    if data is None:
        data = _decompress_streams(piece, allow_truncated)
    start, end = data.find(_PAGE_START), data.rfind(_PAGE_END)
    rest = data[end + len(_PAGE_END) :] if end >= 0 else data
    if piece.is_last and not allow_truncated and _DUMP_END not in rest:
        raise _truncated(piece.path, f"its text ends with {rest[-40:]!r}")
    if start < 0 or end < start:
        return
    pages = memoryview(data)[start : end + len(_PAGE_END)]
    last_title = ""
    try:
        with files.naming_damage(piece.path):
            for page in _parse(b"".join([b"<pages>", pages, b"</pages>"])):
                last_title = page.title
                yield page
    except ElementTree.ParseError as error:
        raise ValueError(
            f"{piece.path}: not well-formed XML, after the page {last_title!r}: {error} of the "
            f"pages from byte {piece.start} on."
        ) from error


def _decompress_streams(piece: Piece, allow_truncated: bool) -> bytes:
    with files.open_file(piece.path) as file:
        file.seek(piece.start)
        compressed = file.read(piece.end - piece.start)
    text: list[bytes] = []
    limit = _MAX_PAGE_BYTES + _MAX_COMPRESSION * len(compressed)
    starts = [match.start() for match in _STREAM_START.finditer(compressed)]
    for start, end in itertools.pairwise([*starts, len(compressed)]):
        place = piece.start + start
        decompressor = bz2.BZ2Decompressor()
        try:
            text.append(decompressor.decompress(memoryview(compressed)[start:end], limit + 1))
        except OSError as error:
            raise _damaged(piece.path, place, "bz2", error) from error
        limit -= len(text[-1])
        if limit < 0:
            raise _too_long(piece.path, f"in the bz2 stream at byte {place}, the text")
        is_last = piece.is_last and end == len(compressed)
        left = decompressor.unused_data
        # The first bytes of another stream, where the file was truncated, or anything else.
        if left and not (is_last and _STREAM_START.fullmatch(left + b"BZh91AY&SY"[len(left) :])):
            raise _damaged(piece.path, place, "bz2", "it is not followed by a stream")
        if (left or not decompressor.eof) and not (allow_truncated and is_last):
            place = piece.end - len(left) if left else place
            raise _truncated(piece.path, f"the stream at byte {place} has no end")
    return b"".join(text)


def _parse(pages: bytes) -> Iterator[Page]:
    for _, element in ElementTree.iterparse(io.BytesIO(pages)):
        if element.tag == "page":
            revisions = element.findall("revision")
            revision = revisions[-1] if revisions else element
            yield Page(
                title=element.findtext("title") or "",
                namespace=int(element.findtext("ns") or 0),
                is_redirect=element.find("redirect") is not None,
                model=revision.findtext("model") or "wikitext",
                text=revision.findtext("text") or "",
            )
            element.clear()


def _damaged(path: str, place: int, kind: str, error: Exception | str) -> ValueError:
    return ValueError(
        f"{path}: damaged {kind} data before or near byte {place} ({error}). Compare its checksum "
        f"with the published one, and download it again."
    )


def _too_long(path: str, what: str) -> ValueError:
    return ValueError(
        f"{path}: {what} is longer than any page of a wiki: it would take all memory. Is it a dump "
        "of the current pages (pages-articles)?"
    )


def _truncated(path: str, what: str) -> ValueError:
    return ValueError(
        f"{path}: the dump is truncated: {what}. Download it again, or give --allow_truncated to "
        f"use its complete part."
    )
