"""Writes dumps as Wikimedia does: header, namespaces, pages of several kinds, bz2."""

import bz2
import html
import zlib

import pytest

HEADER = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" \
xml:lang="{language}">
  <siteinfo>
    <sitename>Wikipedia</sitename>
    <dbname>{language}wiki</dbname>
    <namespaces>
      <namespace key="0" case="first-letter" />
      <namespace key="1" case="first-letter">Talk</namespace>
      <namespace key="6" case="first-letter">{file}</namespace>
      <namespace key="10" case="first-letter">Template</namespace>
      <namespace key="14" case="first-letter">{category}</namespace>
    </namespaces>
  </siteinfo>
"""
FOOTER = "</mediawiki>\n"


def page(title, text, namespace=0, redirect=None, model="wikitext"):
    number = zlib.crc32(title.encode())
    redirect = f'    <redirect title="{redirect}" />\n' if redirect else ""
    return (
        f"  <page>\n    <title>{html.escape(title)}</title>\n    <ns>{namespace}</ns>\n"
        f"    <id>{number}</id>\n{redirect}"
        f"    <revision>\n      <id>{number}</id>\n      "
        "<timestamp>2024-01-01T00:00:00Z</timestamp>\n"
        f"      <contributor><username>A &amp; B</username><id>1</id></contributor>\n"
        f"      <model>{model}</model>\n      <format>text/x-wiki</format>\n"
        f'      <text bytes="{len(text.encode())}" xml:space="preserve">'
        f"{html.escape(text, quote=True)}</text>\n    </revision>\n  </page>\n"
    )


def dump_xml(pages, language="en", file="File", category="Category"):
    header = HEADER.format(language=language, file=file, category=category)
    return header + "".join(pages) + FOOTER


def multistream(pages, pages_a_stream=2, language="en"):
    """bz2 streams: the header, so many pages in each, the end."""
    streams = [dump_xml([], language).removesuffix(FOOTER)]
    streams += [
        "".join(pages[start : start + pages_a_stream])
        for start in range(0, len(pages), pages_a_stream)
    ]
    return b"".join(bz2.compress(stream.encode()) for stream in [*streams, FOOTER])


@pytest.fixture(scope="session")
def make_page():
    """page(title, text, namespace=0, redirect=None, model="wikitext") -> XML."""
    return page


@pytest.fixture(scope="session")
def make_dump():
    """dump_xml(pages, language="en", file="File", category="Category") -> XML."""
    return dump_xml


@pytest.fixture(scope="session")
def make_multistream():
    """multistream(pages, pages_a_stream=2, language="en") -> bytes."""
    return multistream


@pytest.fixture(scope="session")
def articles():
    """A function: n articles of three or four sentences, each with some markup."""

    def make(count, first=0):
        return [
            page(
                f"Town {n}",
                f"{{{{Infobox|name={n}}}}}'''Town {n}''' is a [[town]] in the [[north|far north]] "
                f"of the country.<ref>{{{{cite|{n}}}}}</ref> It has {n + 100} inhabitants &ndash; "
                f"fewer than before.\n\n== History ==\n* [[List]]\n"
                f"It was founded in the year {1000 + n} by settlers. They built a bridge.\n",
            )
            for n in range(first, first + count)
        ]

    return make


@pytest.fixture
def corpus_lines():
    """A function: the lines of all files of a corpus' folder, file after file."""

    def read(folder):
        return [
            line
            for path in sorted(folder.glob("corpus-*-of-*.txt"))
            for line in path.read_text(encoding="utf-8").split("\n")
        ]

    return read
