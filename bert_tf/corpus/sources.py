"""Splits inputs into pieces for workers, and pieces into documents of paragraphs.

source          a document is                          a paragraph is
wikipedia       an article                             as in MediaWiki
books           a book, or a section of a long book    see `books`
html            a page                                 an element such as <p>
wikiextractor   an article, <doc> ... </doc>           a line
jsonl, tfds     the text of a line or an example       a line of the text
"""

import dataclasses
import itertools
import logging
import os
from collections import Counter
from collections.abc import Iterator

from bert_tf import files
from bert_tf.corpus.books import book_paragraphs
from bert_tf.corpus.dump import Piece, read_header, read_pages, read_pieces
from bert_tf.corpus.languages import LANGUAGES, check_language, is_same_language
from bert_tf.corpus.texts import (
    read_books,
    read_data_set,
    read_lines,
    read_marked_up,
    read_version,
    text_of_line,
)
from bert_tf.corpus.web_pages import extracted_paragraphs, web_page_paragraphs
from bert_tf.corpus.wikitext import DROPPED_PREFIXES, article_paragraphs, is_disambiguation
from bert_tf.settings import CorpusSettings

logger = logging.getLogger(__name__)

_ENDINGS = {
    "wikipedia": (".xml", ".xml.bz2", ".xml.gz"),
    "jsonl": (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".ndjson", ".ndjson.gz"),
    "html": (".html", ".htm", ".html.gz", ".htm.gz"),
    "books": (".txt", ".txt.gz"),
}
# What a file turns out to be that is given or named as a book, or not named at all.
_SOURCE_OF_KIND = {
    files.HTML: "html",
    files.WIKI_EXTRACTOR: "wikiextractor",
    files.JSON: "jsonl",
    files.XML: "wikipedia",
}
_MARKED_UP = {
    "html": ("</html", web_page_paragraphs),
    "wikiextractor": ("</doc>", extracted_paragraphs),
}
# Settings for some sources only.
_SOURCES_OF = {"text_field": ("jsonl", "tfds"), "split": ("tfds",), "tfds_data_dir": ("tfds",)}


@dataclasses.dataclass(frozen=True)
class Input:
    """Describes an input file or, for `tfds`, a data set."""

    path: str  # The file, or the data set's name.
    language: str
    source: str
    bytes: int = 0  # 0 if unknown.
    # Changes with the content: a local file's mtime, or a data set's version and split sizes.
    version: str = ""
    # For a dump: link prefixes of files, categories and other languages, lower-case.
    dropped_prefixes: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True)
class Task:
    """Holds a piece of an input for a worker."""

    input: Input  # If from several inputs, one with their source and language.
    data: Piece | list[tuple[str, str]]  # Pages, or (place, text) of books, lines or examples.
    file_bytes: int  # The number of bytes of the files it covers.


def find_inputs(settings: CorpusSettings) -> list[Input]:
    """Returns the inputs in the order of the patterns; refuses settings that none uses."""
    inputs = []
    for language, pattern in settings.inputs_by_language():
        if language:
            language = check_language(language, f"--input_file or --language, for {pattern}")
        if settings.source == "tfds":
            version = read_version(pattern, settings.tfds_data_dir)
            name_end = pattern.split(":")[0].rpartition(".")[2]  # wikipedia/20230601.de -> de
            language = language or (name_end if name_end in LANGUAGES else "en")
            inputs.append(Input(pattern, language, "tfds", version=version))
        else:
            for path in files.expand_input_files(pattern):
                inputs.append(_describe(path, language, settings.source))
    sources = {each.source for each in inputs}
    for name, wanted in _SOURCES_OF.items():
        value = getattr(settings, name)
        if value != getattr(CorpusSettings, name) and sources.isdisjoint(wanted):
            raise ValueError(
                f"--{name} is for --source={' and '.join(wanted)}, and the input is "
                f"{', '.join(sorted(sources))}. Remove the flag. Received: {value!r}"
            )
    return inputs


def _describe(path: str, language: str, source: str) -> Input:
    if source == "auto":
        named = (name for name, ends in _ENDINGS.items() if path.lower().endswith(ends))
        source = next(named, "")
    if source in ("", "books"):
        kind = files.kind_of(path)
        source, named = _SOURCE_OF_KIND.get(kind, source), source
        if not source:
            raise ValueError(
                f"{path}: the format cannot be told from the file's name; it is {kind}. "
                f"{files.remedy_for(path, kind) or 'Give --source=wikipedia, books or jsonl.'}"
            )
        if source != named:
            logger.info("%s: %s, read as --source=%s", path, kind, source)
    size = files.file_size(path)
    version = "" if files.is_remote(path) else str(os.stat(path).st_mtime_ns)
    if source != "wikipedia":
        return Input(path, language or "en", source, size, version)
    dump_language, prefixes = read_header(path)
    if language and dump_language and not is_same_language(language, dump_language):
        raise ValueError(
            f"{path}: the dump says that its language is {dump_language!r}. Remove --language, "
            f"or give this one. Received: {language!r}"
        )
    language = check_language(language or dump_language or "en", path)
    return Input(path, language, source, size, version, DROPPED_PREFIXES | prefixes)


def read_tasks(inputs: list[Input], settings: CorpusSettings) -> Iterator[Task]:
    """Yields all inputs in pieces, in order."""
    piece_bytes = max(int(settings.part_megabytes * 1e6), 1)
    for (source, _), group in itertools.groupby(inputs, lambda each: (each.source, each.language)):
        if source == "wikipedia":
            for each in group:
                for piece in read_pieces(each.path, piece_bytes, settings.allow_truncated):
                    yield Task(each, piece, piece.file_bytes)
        else:
            yield from _read_texts(list(group), settings, piece_bytes)


def _read_texts(inputs: list[Input], settings: CorpusSettings, piece_bytes: int) -> Iterator[Task]:
    """Yields the texts of inputs of one source and language, in pieces of about `piece_bytes`."""
    bytes_read = bytes_told = 0

    def on_read(num_bytes: int) -> None:
        nonlocal bytes_read
        bytes_read += num_bytes

    group: list[tuple[str, str]] = []
    size = 0
    for each in inputs:
        if each.source == "tfds":
            texts = read_data_set(each.path, settings)
        elif each.source == "jsonl":
            texts = read_lines(each.path, on_read)
        elif each.source in _MARKED_UP:
            texts = read_marked_up(each.path, on_read, _MARKED_UP[each.source][0])
        else:
            texts = read_books(each.path, on_read, piece_bytes)
        for place, text in texts:
            group.append((place, text))
            size += len(text)
            if size >= piece_bytes:
                yield Task(inputs[0], group, bytes_read - bytes_told)
                group, size, bytes_told = [], 0, bytes_read
    yield Task(inputs[0], group, sum(each.bytes for each in inputs) - bytes_told)


def read_documents(
    task: Task, settings: CorpusSettings, counts: Counter
) -> Iterator[Iterator[str]]:
    """Yields the documents of a piece, each as an iterator of paragraphs.

    Updates the counts `seen`, `input_bytes`, and `dropped: ...` for documents left out.
    """
    if isinstance(task.data, Piece):
        yield from _articles(task, settings, counts)
        return
    for place, text in task.data:
        counts["seen"] += 1
        counts["input_bytes"] += len(text.encode("utf-8", "surrogatepass"))
        if task.input.source == "books":
            yield book_paragraphs(text, task.input.language)
            continue
        if task.input.source in _MARKED_UP:
            yield _MARKED_UP[task.input.source][1](text)
            continue
        if task.input.source == "jsonl":
            text = text_of_line(place, text, settings.text_field)
        yield iter(text.split("\n"))


def _articles(task: Task, settings: CorpusSettings, counts: Counter) -> Iterator[Iterator[str]]:
    for page in read_pages(task.data, settings.allow_truncated):
        counts["seen"] += 1
        counts["input_bytes"] += len(page.text.encode("utf-8"))
        if page.namespace:
            counts["dropped: other namespaces"] += 1
        elif page.is_redirect:
            counts["dropped: redirects"] += 1
        elif page.model != "wikitext":
            counts["dropped: no wikitext"] += 1
        elif is_disambiguation(page.title, page.text):
            counts["dropped: disambiguation pages"] += 1
        else:
            yield article_paragraphs(page.text, task.input.dropped_prefixes)
