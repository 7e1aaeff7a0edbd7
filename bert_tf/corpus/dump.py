"""Reads the pages of a Wikipedia dump (pages-articles.xml, .bz2 or .gz), in pieces for workers.

    <mediawiki xml:lang="en"> <siteinfo> ... </siteinfo>
      <page> <title>Cat</title> <ns>0</ns> ... <text>The '''cat''' ...</text> </page>
      <page> ...

A dump is decompressed once, as a stream, and cut at the ends of pages. A multistream dump
(pages-articles-multistream.xml.bz2) is cut between its bz2 streams without decompressing it: the
workers do that, on all cores. The cuts depend on the file and the size of pieces only.
"""

import bz2
import gzip
import html
import itertools
import re
import zlib
from collections.abc import Iterator
from typing import NamedTuple
from xml.etree import ElementTree

from bert_tf import files
from bert_tf.corpus.wikitext import Wiki

_BLOCK_BYTES = 1 << 20
_PAGE_START, _PAGE_END, _DUMP_END = b"<page>", b"</page>", b"</mediawiki>"
_STREAM_START = re.compile(rb"BZh[1-9]1AY&SY")
_XML_BYTES = 1 << 14  # The XML parser holds the elements of so many bytes.
_MAGIC_BYTES = 10  # of a stream's start
_GZIP_MAGIC = b"\x1f\x8b"
# MediaWiki's longest page has 2 MB, and a character may take six bytes in XML.
_MAX_HEADER_BYTES, _MAX_PAGE_BYTES = 1 << 22, 1 << 26
# bz2 compresses a dump to a fifth or a quarter of its size.
_COMPRESSION = 4
_LANGUAGE = re.compile(rb'<mediawiki\b[^>]*\bxml:lang="([^"]*)"')
_NAMESPACE = re.compile(rb'<namespace key="(?:6|14)"[^>]*>([^<]*)</namespace>')


class Piece(NamedTuple):
    """Some pages of a dump.

    Attributes:
        path: the dump.
        start, end: if `data` is None, a range of the file, in bytes, that holds whole bz2 streams.
            Otherwise the position of `data` in the decompressed dump.
        data: XML of whole pages, or None.
        is_last: whether the dump must end with this piece.
        file_bytes: how many bytes of the file it covers.
    """

    path: str
    start: int
    end: int
    data: bytes | None
    is_last: bool
    file_bytes: int


class Page(NamedTuple):
    """A page of a dump; articles are in `namespace` 0."""

    title: str
    namespace: int
    is_redirect: bool
    model: str
    text: str


def read_wiki(path: str) -> Wiki:
    """Reads the description of the wiki from the header of a dump.

    Raises:
        ValueError: if the file is not a dump.
    """
    header = b""
    for block in _decompress(path, allow_truncated=True):
        header += block
        if _PAGE_START in header or _DUMP_END in header or len(header) > _MAX_HEADER_BYTES:
            break
    header = header.partition(_PAGE_START)[0]
    if b"<mediawiki" not in header:
        raise ValueError(
            f"{path}: not a Wikipedia dump: it does not begin with <mediawiki>. Expected "
            f"pages-articles.xml, plain or as .bz2 or .gz. It begins with {header[:40]!r}"
        )
    language = _LANGUAGE.search(header)
    names = [html.unescape(name.decode("utf-8")) for name in _NAMESPACE.findall(header)]
    return Wiki(
        language[1].decode("utf-8") if language else "",
        frozenset(name.replace("_", " ").lower() for name in names if name),
    )


def read_pieces(path: str, piece_bytes: int, allow_truncated: bool) -> Iterator[Piece]:
    """Cuts a dump into pieces of about `piece_bytes` of XML, in order.

    Args:
        path: the dump.
        piece_bytes: size of a piece of decompressed XML; exceeded by the piece's last page.
        allow_truncated: whether the dump may be truncated.

    Raises:
        ValueError: if the dump is damaged, or truncated although this is not allowed.
    """
    if is_multistream(path):
        return _pieces_of_streams(path, piece_bytes // _COMPRESSION)
    return _pieces_of_text(path, piece_bytes, allow_truncated)


def is_multistream(path: str) -> bool:
    """Whether a dump consists of bz2 streams that hold whole pages each."""
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


def read_pages(piece: Piece, allow_truncated: bool) -> Iterator[Page]:
    """Yields the pages of a piece.

    Raises:
        ValueError: if the piece is damaged or not XML, or the dump is truncated; names the place.
    """
    data = piece.data
    if data is None:
        data = _decompress_streams(piece, allow_truncated)
    start, end = data.find(_PAGE_START), data.rfind(_PAGE_END)
    rest = data[end + len(_PAGE_END) :] if end >= 0 else data
    if piece.is_last and not allow_truncated and _DUMP_END not in rest:
        raise _truncated(piece.path, f"the last of its pages is followed by {rest[:40]!r}")
    if start < 0 or end < start:
        return
    data = data[start : end + len(_PAGE_END)]
    last_title = ""
    try:
        for page in _parse(data):
            last_title = page.title
            yield page
    except ElementTree.ParseError as error:
        kind = "the decompressed dump" if piece.data is not None else "its stream"
        raise ValueError(
            f"{piece.path}: not well-formed XML, after the page {last_title!r}: {error}, counted "
            f"from byte {piece.start + start if piece.data is not None else start} of {kind}."
        ) from error


def _parse(data: bytes) -> Iterator[Page]:
    parser = ElementTree.XMLPullParser(("start", "end"))
    blocks = (data[start : start + _XML_BYTES] for start in range(0, len(data), _XML_BYTES))
    root = None
    for block in itertools.chain([b"<pages>"], blocks, [b"</pages>"]):
        parser.feed(block)
        for event, element in parser.read_events():
            root = element if root is None else root
            if event == "end" and element.tag == "page":
                yield _page(element)
                root.clear()
    parser.close()


def _page(element: ElementTree.Element) -> Page:
    revisions = element.findall("revision")
    revision = revisions[-1] if revisions else element
    return Page(
        title=element.findtext("title") or "",
        namespace=int(element.findtext("ns") or 0),
        is_redirect=element.find("redirect") is not None,
        model=revision.findtext("model") or "wikitext",
        text=revision.findtext("text") or "",
    )


def _pieces_of_text(path: str, piece_bytes: int, allow_truncated: bool) -> Iterator[Piece]:
    size, read = files.file_size(path), [0]
    told = offset = 0
    held: list[bytes] = []
    held_bytes = 0

    def take(data: bytes, is_last: bool) -> Piece:
        nonlocal told, offset
        before, told = told, size if is_last else read[0]
        offset += len(data)
        return Piece(path, offset - len(data), offset, data, is_last, told - before)

    for block in _decompress(path, allow_truncated, read):
        held.append(block)
        held_bytes += len(block)
        if held_bytes < piece_bytes:
            continue
        data = b"".join(held)
        while (end := data.find(_PAGE_END, max(piece_bytes - len(_PAGE_END), 0))) >= 0:
            end += len(_PAGE_END)
            yield take(data[:end], False)
            data = data[end:]
        if len(data) > piece_bytes + _MAX_PAGE_BYTES:
            raise ValueError(
                f"{path}: no page ends from byte {offset} to byte {offset + len(data)} of the "
                f"decompressed dump."
            )
        held, held_bytes = [data], len(data)
    yield take(b"".join(held), True)


def _decompress(path: str, allow_truncated: bool, read: list[int] | None = None) -> Iterator[bytes]:
    """Yields blocks of the decompressed dump; sets `read[0]` to the bytes read of the file."""
    with files.open_file(path) as file:
        magic = file.read(2)
        file.seek(0)
        kind, text = "", file
        if magic == b"BZ":
            kind, text = "bz2", bz2.BZ2File(file)
        elif magic == _GZIP_MAGIC:
            kind, text = "gzip", gzip.GzipFile(fileobj=file)
        while True:
            try:
                block = text.read1(_BLOCK_BYTES) if kind else file.read(_BLOCK_BYTES)
            except EOFError as error:
                if allow_truncated:
                    return
                raise _truncated(path, f"its {kind} data is incomplete") from error
            except (OSError, zlib.error) as error:
                raise _damaged(path, file.tell(), kind, error) from error
            if not block:
                return
            if read is not None:
                read[0] = file.tell()
            yield block


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
            kept = min(len(window), _MAGIC_BYTES - 1)
            base += len(window) - kept
            window = window[-kept:]


def _decompress_streams(piece: Piece, allow_truncated: bool) -> bytes:
    with files.open_file(piece.path) as file:
        file.seek(piece.start)
        compressed = file.read(piece.end - piece.start)
    text: list[bytes] = []
    starts = [match.start() for match in _STREAM_START.finditer(compressed)]
    for start, end in zip(starts, [*starts[1:], len(compressed)], strict=True):
        decompressor = bz2.BZ2Decompressor()
        try:
            text.append(decompressor.decompress(memoryview(compressed)[start:end]))
        except OSError as error:
            raise _damaged(piece.path, piece.start + start, "bz2", error) from error
        is_last = piece.is_last and end == len(compressed)
        left = decompressor.unused_data
        if left and not (is_last and _begins_stream(left)):
            raise _damaged(piece.path, piece.start + start, "bz2", "it is not followed by a stream")
        if (left or not decompressor.eof) and not (allow_truncated and is_last):
            place = piece.end - len(left) if left else piece.start + start
            raise _truncated(piece.path, f"the stream at byte {place} has no end")
    return b"".join(text)


def _begins_stream(data: bytes) -> bool:
    """Whether these bytes can be the first few of a stream."""
    return _STREAM_START.fullmatch(data + b"BZh91AY&SY"[len(data) :]) is not None


def _damaged(path: str, place: int, kind: str, error: Exception | str) -> ValueError:
    return ValueError(
        f"{path}: damaged {kind} data before or near byte {place} ({error}). Compare its checksum "
        f"with the published one, and download it again."
    )


def _truncated(path: str, what: str) -> ValueError:
    return ValueError(
        f"{path}: the dump is truncated: {what}. Download it again, or give --allow_truncated to "
        f"use its complete part."
    )
