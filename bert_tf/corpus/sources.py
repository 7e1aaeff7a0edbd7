"""Inputs -> pieces that a worker can take -> documents of paragraphs.

| source    | a document is                                         | a paragraph is           |
|-----------|-------------------------------------------------------|--------------------------|
| wikipedia | an article                                            | as MediaWiki has it      |
| books     | a book (of a long one, each so much of it as a piece) | see `books`              |
| jsonl     | a line's text                                         | a line of the text       |
| tfds      | an example's text                                     | a line of the text       |

Pieces come from one process, in order, and are the same however many workers there are.
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
# Which sources a setting is for, where it is not for all.
_SOURCES_OF = {"text_field": ("jsonl", "tfds"), "split": ("tfds",), "tfds_data_dir": ("tfds",)}


@dataclasses.dataclass(frozen=True)
class Input:
    """A file, or with `tfds` a data set.

    Attributes:
        source: one of `SOURCES`.
        path: the file, or the data set's name.
        language: its code.
        size: bytes; 0 if not known.
        version: other if its content is: of a local file when it was last changed, of a data set
            its version and the sizes of its splits.
        dropped_prefixes: of a dump, see `Wiki`.
    """

    source: str
    path: str
    language: str
    size: int = 0
    version: str = ""
    dropped_prefixes: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True)
class Task:
    """What a worker takes at a time: some of an input.

    Attributes:
        input: which; of several, one of the same source and language.
        data: pages of a dump, or (place, text) of books, lines or examples.
        file_bytes: how much of the file it stands for.
    """

    input: Input
    data: Piece | list[tuple[str, str]]
    file_bytes: int


def find_inputs(settings: CorpusSettings) -> list[Input]:
    """The inputs in the order of the patterns.

    Raises:
        ValueError: if there is none of a pattern, its source or language cannot be told, or a
            setting is for sources only that none of them is of.
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
    """All inputs in pieces, in order.

    Raises:
        ValueError: if a file is damaged, or not what it should be.
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
    """The documents of a piece, each the paragraphs of it.

    Args:
        task: the piece.
        settings: see `CorpusSettings`.
        counts: `seen`, `input_bytes`, and for what is left out `dropped: ...` are added.

    Raises:
        ValueError: as `read_pages`; or for a line that is no JSON object with a text.
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
                f"{', '.join(sorted(sources))}. Leave it out. Received: {value!r}"
            )


def _describe(path: str, language: str, source: str) -> Input:
    if source == "auto":
        source = next(
            (name for name, endings in _ENDINGS.items() if path.lower().endswith(endings)), ""
        )
        if not source:
            raise ValueError(
                f"{path}: what it is cannot be told from its name. Give --source=wikipedia, books "
                f"or jsonl."
            )
    size = files.file_size(path)
    version = "" if files.is_remote(path) else str(os.stat(path).st_mtime_ns)
    if source != "wikipedia":
        return Input(source, path, language or "en", size, version)
    wiki = read_wiki(path)
    if language and wiki.language and not is_same_language(language, wiki.language):
        raise ValueError(
            f"{path}: the dump says that its language is {wiki.language!r}. Leave --language out, "
            f"or give this one. Received: {language!r}"
        )
    language = check_language(language or wiki.language or "en", path)
    return Input(source, path, language, size, version, wiki.all_dropped_prefixes())


def _language_of_name(name: str) -> str:
    """wikipedia/20230601.de -> de; else en."""
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
    """Texts of inputs of one kind and language, in groups of some `piece_bytes`."""
    read = [0]  # bytes of all these files

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
    """Lines and their numbers. What Windows programs put at a file's start is no text."""
    for number, line in enumerate(files.open_text_lines(path, _adder(read)), start=1):
        yield number, line.removeprefix("\ufeff") if number == 1 else line


def _numbered_lines(path: str, read: list[int]) -> Iterator[tuple[str, str]]:
    for number, line in _lines(path, read):
        if line.strip():
            yield f"{path}:{number}", line


def _sections(path: str, read: list[int], section_bytes: int) -> Iterator[tuple[str, str]]:
    """The books of a file; of long ones parts that end at a blank line (or any, if none comes)."""
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
