"""Dumps: cut into pieces, read, and refused where they are damaged."""

import bz2
import gzip

import pytest

from bert_tf.corpus import dump
from bert_tf.corpus.dump import is_multistream, read_header, read_pages, read_pieces


def read(path, piece_bytes=1000, allow_truncated=False):
    pieces = list(read_pieces(str(path), piece_bytes, allow_truncated))
    return pieces, [page for piece in pieces for page in read_pages(piece, allow_truncated)]


@pytest.fixture
def pages(make_page):
    return [
        make_page("Cat & <dog>", "'''Cats''' & <b>dogs</b>: 猫 кошка 🐈 &amp;nbsp;"),
        make_page("Old", "#REDIRECT [[Cat]]", redirect="Cat"),
        make_page("Talk:Cat", "Hello.", namespace=1),
        make_page("Script", "x = 1", model="javascript"),
        *(make_page(f"Long {n}", f"Text {n}. " * 30) for n in range(20)),
    ]


def test_pages_have_what_the_dump_says_of_them(tmp_path, make_dump, pages):
    path = tmp_path / "dump.xml"
    path.write_text(make_dump(pages), encoding="utf-8")
    _, found = read(path)
    assert found[0][:] == (
        "Cat & <dog>", 0, False, "wikitext", "'''Cats''' & <b>dogs</b>: 猫 кошка 🐈 &amp;nbsp;"
    )  # fmt: skip
    assert [page.is_redirect for page in found[:4]] == [False, True, False, False]
    assert [page.namespace for page in found[:4]] == [0, 0, 1, 0]
    assert found[3].model == "javascript"
    assert [page.title for page in found[4:]] == [f"Long {n}" for n in range(20)]


@pytest.mark.parametrize("piece_bytes", [1, 700, 5000, 10**6])
def test_every_compression_and_size_of_pieces_gives_the_same_pages(
    tmp_path, make_dump, make_multistream, pages, piece_bytes
):
    xml = make_dump(pages).encode()
    contents = {
        "a.xml": xml,
        "b.xml.bz2": bz2.compress(xml),
        "c.xml.gz": gzip.compress(xml),
        # As pbzip2 writes it: streams that cut through pages.
        "d.xml.bz2": b"".join(bz2.compress(xml[n : n + 777]) for n in range(0, len(xml), 777)),
        "e.xml.bz2": make_multistream(pages, 3),
    }
    found = {}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        pieces, found[name] = read(tmp_path / name, piece_bytes)
        assert sum(piece.file_bytes for piece in pieces) == len(content)
        assert is_multistream(str(tmp_path / name)) == (name == "e.xml.bz2")
        if piece_bytes <= 700:
            assert len(pieces) > 5
    assert all(each == found["a.xml"] for each in found.values())
    assert len(found["a.xml"]) == len(pages)


def test_the_header_tells_the_language_and_the_words_for_files(tmp_path, make_dump):
    path = tmp_path / "dump.xml.bz2"
    path.write_bytes(bz2.compress(make_dump([], "de", "Datei", "Kategorie").encode()))
    assert read_header(str(path)) == ("de", {"datei", "kategorie"})


def test_what_is_no_dump_is_refused(tmp_path):
    path = tmp_path / "page.xml"
    path.write_text("<html>Not found</html>")
    with pytest.raises(
        ValueError, match=r"page.xml: not a Wikipedia dump.*an HTML page.*b'<html>Not found"
    ):
        read_header(str(path))


@pytest.mark.parametrize("pack", [bytes, bz2.compress, gzip.compress, None])
def test_a_page_that_grows_beyond_measure_is_refused(
    tmp_path, make_dump, make_page, make_multistream, monkeypatch, pack
):
    monkeypatch.setattr(dump, "_MAX_PAGE_BYTES", 1_000_000)
    path, bomb = tmp_path / "dump.xml", make_page("Bomb", " " * 3_000_000)
    path.write_bytes(
        pack(make_dump([bomb]).encode()) if pack else make_multistream([bomb, bomb, bomb])
    )
    with pytest.raises(ValueError, match=r"dump\.xml: .*longer than any page of a wiki"):
        read(path)


@pytest.mark.parametrize("name", ["a.xml", "b.xml.bz2", "c.xml.gz", "e.xml.bz2"])
def test_a_truncated_dump_is_refused_unless_that_is_allowed(
    tmp_path, make_dump, make_multistream, pages, name
):
    xml = make_dump(pages).encode()
    whole = {
        "a.xml": xml,
        "b.xml.bz2": bz2.compress(xml),
        "c.xml.gz": gzip.compress(xml),
        "e.xml.bz2": make_multistream(pages, 3),
    }[name]
    path = tmp_path / name
    path.write_bytes(whole[: len(whole) * 3 // 4])
    with pytest.raises(ValueError, match=rf"{name}: the dump is truncated: .*--allow_truncated"):
        read(path)
    _, found = read(path, allow_truncated=True)
    all_titles = ["Cat & <dog>", "Old", "Talk:Cat", "Script", *(f"Long {n}" for n in range(20))]
    titles = [page.title for page in found]
    assert titles == all_titles[: len(titles)]
    # bz2 has a single block here, of which nothing is there before it is whole.
    assert len(titles) >= (0 if name == "b.xml.bz2" else 10)


def test_a_dump_may_be_cut_anywhere_in_a_streams_beginning(tmp_path, make_multistream, pages):
    whole = make_multistream(pages, 3)
    start = whole.rindex(b"BZh9", 0, len(whole) * 3 // 4)
    path = tmp_path / "dump.xml.bz2"
    numbers = set()
    for num_bytes in range(11):
        path.write_bytes(whole[: start + num_bytes])
        with pytest.raises(ValueError, match=r"the dump is truncated: .*--allow_truncated"):
            read(path)
        numbers.add(len(read(path, allow_truncated=True)[1]))
    assert len(numbers) == 1


@pytest.mark.parametrize("name", ["b.xml.bz2", "c.xml.gz", "e.xml.bz2"])
def test_a_damaged_dump_is_refused_with_the_place(
    tmp_path, make_dump, make_multistream, pages, name
):
    xml = make_dump(pages).encode()
    whole = {
        "b.xml.bz2": bz2.compress(xml),
        "c.xml.gz": gzip.compress(xml),
        "e.xml.bz2": make_multistream(pages, 3),
    }[name]
    for place in range(20, len(whole) - 20, len(whole) // 20):
        data = bytearray(whole)
        data[place] ^= 0xFF
        (tmp_path / name).write_bytes(data)
        # A damaged byte may mean that more data would follow.
        message = rf"{name}: (.* byte \d+|the dump is truncated: its text ends with)"
        with pytest.raises(ValueError, match=message):
            read(tmp_path / name)


def test_a_damaged_start_of_a_stream_does_not_lose_its_pages_silently(
    tmp_path, make_multistream, pages
):
    data = bytearray(make_multistream(pages, 3))
    data[data.index(b"BZh9", len(data) // 2)] ^= 0xFF
    (tmp_path / "dump.xml.bz2").write_bytes(data)
    with pytest.raises(ValueError, match="not followed by a stream"):
        read(tmp_path / "dump.xml.bz2")


def test_xml_that_is_not_well_formed_is_refused_with_the_page_before(tmp_path, make_dump, pages):
    xml = make_dump([*pages[:5], "<page><title>Bad</titel></page>", *pages[5:]])
    (tmp_path / "dump.xml").write_text(xml, encoding="utf-8")
    with pytest.raises(
        ValueError, match=r"not well-formed XML, after the page 'Long 0': mismatched"
    ):
        read(tmp_path / "dump.xml")
