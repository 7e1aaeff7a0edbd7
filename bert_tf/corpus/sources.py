"""Reads inputs in pieces for workers, and pieces as documents of paragraphs.

| source    | a document is                                   | a paragraph is           |
|-----------|-------------------------------------------------|--------------------------|
| wikipedia | an article                                      | as in MediaWiki          |
| books     | a book, or a section of a long book             | see `books`              |
| jsonl     | the text of a line                              | a line of the text       |
| tfds      | the text of an example                          | a line of the text       |

One process reads the pieces, in order; they do not depend on the number of workers.
"""

import collections
import dataclasses
import itertools
import os
from collections.abc import Callable, Iterator

from bert_tf import files
from bert_tf.corpus import tfds_texts
from bert_tf.corpus.books import book_paragraphs, lines_of_books
from bert_tf.corpus.dump import Piece, read_pages, read_pieces, read_wiki
from bert_tf.corpus.json_lines import text_of_line
from bert_tf.corpus.languages import LANGUAGES, check_language, is_same_language
from bert_tf.corpus.wikitext import article_paragraphs, is_disambiguation
from bert_tf.settings import CorpusSettings

_ENDINGS = {
    "wikipedia": (".xml", ".xml.bz2", ".xml.gz"),
    "jsonl": (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".ndjson", ".ndjson.gz"),
    "books": (".txt", ".txt.gz"),
}
# Settings that are for some sources only.
_SOURCES_OF = {"text_field": ("jsonl", "tfds"), "split": ("tfds",), "tfds_data_dir": ("tfds",)}


@dataclasses.dataclass(frozen=True)
class Input:
    """An input file or, for `tfds`, a data set.

    Attributes:
        source: one of `SOURCES`.
        path: the file, or the data set's name.
        language: code of its language.
        size: in bytes; 0 if unknown.
        version: changes with the content: the modification time of a local file; the version and
            split sizes of a data set.
        dropped_prefixes: for a dump, see `Wiki`.
    """

    source: str
    path: str
    language: str
    size: int = 0
    version: str = ""
    dropped_prefixes: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True)
class Task:
    """A piece of an input, which a worker processes at a time.

    Attributes:
        input: where it is from; if from several inputs, one with their source and language.
        data: pages of a dump, or (place, text) of books, lines or examples.
        file_bytes: how many bytes of the file it covers.
    """

    input: Input
    data: Piece | list[tuple[str, str]]
    file_bytes: int


def find_inputs(settings: CorpusSettings) -> list[Input]:
    """Returns the inputs in the order of the patterns.

    Raises:
        ValueError: if a pattern matches nothing, the source or language of a file is unknown, or a
            setting does not apply to any input.
    """
    inputs = []
    for language, pattern in settings.inputs_by_language():
        if language:
            language = check_language(language, f"--input_file or --language, for {pattern}")
        if settings.source == "tfds":
            version = tfds_texts.read_version(pattern, settings.tfds_data_dir)
            language = language or _language_of_name(pattern)
            inputs.append(Input("tfds", pattern, language, version=version))
            continue
        for path in files.expand_input_files(pattern):
            inputs.append(_describe(path, language, settings.source))
    _check_all_used(settings, {each.source for each in inputs})
    return inputs


def read_tasks(inputs: list[Input], settings: CorpusSettings) -> Iterator[Task]:
    """Yields all inputs in pieces, in order.

    Raises:
        ValueError: if a file is damaged or has another format.
    """
    piece_bytes = max(int(settings.part_megabytes * 1e6), 1)
    for (source, _), group in itertools.groupby(inputs, lambda each: (each.source, each.language)):
        together = list(group)
        if source == "wikipedia":
            for each in together:
                for piece in read_pieces(each.path, piece_bytes, settings.allow_truncated):
                    yield Task(each, piece, piece.file_bytes)
        else:
            yield from _read_texts(together, settings, piece_bytes)


def read_documents(
    task: Task, settings: CorpusSettings, counts: collections.Counter
) -> Iterator[Iterator[str]]:
    """Yields the documents of a piece, each as an iterator of paragraphs.

    Args:
        task: the piece.
        settings: see `CorpusSettings`.
        counts: updated: `seen`, `input_bytes`, and `dropped: ...` for documents left out.

    Raises:
        ValueError: see `read_pages`; or if a line is not a JSON object with a text.
    """
    if isinstance(task.data, Piece):
        yield from _articles(task.input, task.data, settings, counts)
        return
    for place, text in task.data:
        counts["seen"] += 1
        counts["input_bytes"] += len(text.encode("utf-8", "surrogatepass"))
        if task.input.source == "books":
            yield book_paragraphs(text, task.input.language)
        elif task.input.source == "jsonl":
            yield iter(text_of_line(place, text, settings.text_field).split("\n"))
        else:
            yield iter(text.split("\n"))


def _check_all_used(settings: CorpusSettings, sources: set[str]) -> None:
    defaults = {field.name: field.default for field in dataclasses.fields(settings)}
    for name, its_sources in _SOURCES_OF.items():
        value = getattr(settings, name)
        if value != defaults[name] and sources.isdisjoint(its_sources):
            raise ValueError(
                f"--{name} is for --source={' and '.join(its_sources)}, and the input is "
                f"{', '.join(sorted(sources))}. Remove the flag. Received: {value!r}"
            )


def _describe(path: str, language: str, source: str) -> Input:
    if source == "auto":
        source = next(
            (name for name, endings in _ENDINGS.items() if path.lower().endswith(endings)), ""
        )
        if not source:
            raise ValueError(
                f"{path}: the format cannot be told from the file's name. Give "
                f"--source=wikipedia, books or jsonl."
            )
    size = files.file_size(path)
    version = "" if files.is_remote(path) else str(os.stat(path).st_mtime_ns)
    if source != "wikipedia":
        return Input(source, path, language or "en", size, version)
    wiki = read_wiki(path)
    if language and wiki.language and not is_same_language(language, wiki.language):
        raise ValueError(
            f"{path}: the dump says that its language is {wiki.language!r}. Remove --language, "
            f"or give this one. Received: {language!r}"
        )
    language = check_language(language or wiki.language or "en", path)
    return Input(source, path, language, size, version, wiki.all_dropped_prefixes())


def _language_of_name(name: str) -> str:
    """wikipedia/20230601.de -> de; en if the name has no language."""
    last = name.split(":")[0].rpartition(".")[2]
    return last if last in LANGUAGES else "en"


def _articles(
    each: Input, piece: Piece, settings: CorpusSettings, counts: collections.Counter
) -> Iterator[Iterator[str]]:
    for page in read_pages(piece, settings.allow_truncated):
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
            yield article_paragraphs(page.text, each.dropped_prefixes)


def _read_texts(inputs: list[Input], settings: CorpusSettings, piece_bytes: int) -> Iterator[Task]:
    """Yields the texts of inputs of one source and language, in pieces of about `piece_bytes`."""
    read = [0]  # bytes read of all these files

    def texts() -> Iterator[tuple[str, str]]:
        for each in inputs:
            if each.source == "tfds":
                yield from tfds_texts.read_texts(
                    each.path, settings.split, settings.text_field, settings.tfds_data_dir
                )
            elif each.source == "jsonl":
                yield from _numbered_lines(each.path, read)
            else:
                yield from _sections(each.path, read, piece_bytes)

    group: list[tuple[str, str]] = []
    size = told = 0
    for place, text in texts():
        group.append((place, text))
        size += len(text)
        if size >= piece_bytes:
            yield Task(inputs[0], group, read[0] - told)
            group, size, told = [], 0, read[0]
    yield Task(inputs[0], group, sum(each.size for each in inputs) - told)


def _lines(path: str, read: list[int]) -> Iterator[tuple[int, str]]:
    """Yields numbered lines, without the byte order mark of Windows programs."""
    for number, line in enumerate(files.open_text_lines(path, _adder(read)), start=1):
        yield number, line.removeprefix("\ufeff") if number == 1 else line


def _numbered_lines(path: str, read: list[int]) -> Iterator[tuple[str, str]]:
    for number, line in _lines(path, read):
        if line.strip():
            yield f"{path}:{number}", line


def _sections(path: str, read: list[int], section_bytes: int) -> Iterator[tuple[str, str]]:
    """Yields books, long ones in sections that end at a blank line (or any line if none comes)."""
    lines: list[str] = []
    size = first = 0
    for number, line in lines_of_books(_lines(path, read)):
        first = first or number
        if line is not None:
            lines.append(line)
            size += len(line) + 1
        is_full = size >= section_bytes and (not (line or "").strip() or size >= 2 * section_bytes)
        if line is None or is_full:
            if lines:
                yield f"{path}:{first}", "\n".join(lines)
            lines, size, first = [], 0, 0
    if lines:
        yield f"{path}:{first}", "\n".join(lines)


def _adder(total: list[int]) -> Callable[[int], None]:
    def add(num_bytes: int) -> None:
        total[0] += num_bytes

    return add
