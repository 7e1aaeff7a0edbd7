"""Reads sentences of tagged words: CoNLL's columns, and JSON lines.

    -DOCSTART- -X- O O                        begins a document

    EU NNP I-NP I-ORG                         a word, further columns, its tag; separated by spaces
    rejects VBZ I-VP O                        or tabs

    {"tokens": ["EU", "rejects"], "tags": ["B-ORG", "O"], "id": "1", "document": "d1"}

Entities are written in one of three schemes, which become IOB2:

    IOB1     I-ORG I-ORG B-ORG    B only between two entities of one type
    IOB2     B-ORG I-ORG B-ORG
    BIOES    B-ORG E-ORG S-ORG    with the last word, and entities of a single one

Source: Tjong Kim Sang and De Meulder 2003, section 2.
"""

import dataclasses
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from bert_tf import files
from bert_tf.metrics.conlleval import OUTSIDE, from_iob2, to_iob2
from bert_tf.tasks.json_items import JsonItem, read_json_lines

DOCUMENT_START = "-DOCSTART-"
SCHEMES = ("auto", "iob1", "iob2", "bioes", "none")
_PREFIXED = re.compile(r"[BIES]-.")
_SPACES = re.compile(" +")
_JSON_ENDINGS = (".jsonl", ".ndjson", ".json")


class Sentence(NamedTuple):
    """A sentence, and the words of all sentences of its document, which these share."""

    words: tuple[str, ...]
    tags: tuple[str, ...] | None  # In IOB2, or classes such as parts of speech.
    document: list[tuple[str, ...]]
    index: int  # Of this sentence in its document.
    path: str
    lines: tuple[int, ...]  # The line of each word, from 1.
    columns: tuple[str, ...]  # Each word's line in the file; of JSON the word and its tag.
    header: str = ""  # The line that begins the document, before its first sentence.

    def where(self, word: int = 0) -> str:
        """Returns the `file:line` of a word."""
        return f"{self.path}:{self.lines[word]}"

    @property
    def starts_document(self) -> bool:
        return self.index == 0


@dataclasses.dataclass(frozen=True)
class Columns:
    """Where words and tags are."""

    word: str = "auto"  # A number from 0, or from -1, the last; or a JSON key.
    tag: str = "auto"
    document_context: bool = True

    def number(self, name: str, default: int) -> int:
        value = getattr(self, name)
        try:
            return default if value == "auto" else int(value)
        except ValueError:
            raise ValueError(
                f"{name}_column must be a number in a file of columns: 0 is the first, -1 the "
                f"last. Received: {value!r}"
            ) from None


def is_json(path: str) -> bool:
    return path.lower().removesuffix(".gz").endswith(_JSON_ENDINGS)


def read_sentences(path: str, columns: Columns, needs_tags: bool) -> list[Sentence]:
    """Returns the sentences of a file, with tags as they are written there.

    Args:
        needs_tags: whether a missing column of tags is refused rather than None.

    Raises:
        ValueError: with file and line, for missing or broken columns, and invalid JSON; and if
            documents are needed as context, but nothing says where they begin.
    """
    read = _json_sentences if is_json(path) else _column_sentences
    sentences = read(path, columns, needs_tags)
    if not sentences:
        raise ValueError(f"{path}: no sentences.")
    return sentences


def _column_sentences(path: str, columns: Columns, needs_tags: bool) -> list[Sentence]:
    word_place, tag_place = columns.number("word", 0), columns.number("tag", -1)
    sentences: list[Sentence] = []
    document: list[tuple[str, ...]] = []
    width, header = 0, ""
    rows: list[tuple[int, str, list[str]]] = []

    def end_sentence() -> None:
        if rows:
            words = tuple(cells[word_place] for _, _, cells in rows)
            has_tags = width > 1 or needs_tags
            tags = tuple(cells[tag_place] for _, _, cells in rows) if has_tags else None
            where = tuple(number for number, _, _ in rows), tuple(line for _, line, _ in rows)
            title = header if not document else ""
            sentence = Sentence(words, tags, document, len(document), path, *where, title)
            sentences.append(sentence)
            document.append(words)
            rows.clear()

    for number, line in enumerate(files.open_text_lines(path, wanted="table"), start=1):
        line = line.strip(" ")
        if not line.strip():
            end_sentence()
            continue
        cells = line.split("\t") if "\t" in line else _SPACES.split(line)
        if cells[0] == DOCUMENT_START:
            end_sentence()
            document, header = [], line
            continue
        if not width:
            width = len(cells)
            _check_places(path, number, width, word_place, tag_place, needs_tags)
        if len(cells) != width:
            raise ValueError(
                f"{path}:{number}: each word needs as many columns as the first one, {width}, "
                f"separated by spaces or by tabs. Received: {len(cells)}: {line!r:.80}"
            )
        if not cells[word_place].strip() or not cells[tag_place].strip():
            raise ValueError(
                f"{path}:{number}: the word or its tag is empty. Remove the line, or fill it in. "
                f"Received: {line!r:.80}"
            )
        rows.append((number, line, cells))
    end_sentence()
    if columns.document_context and not header and len(sentences) > 1:
        raise ValueError(
            f"{path}:1: no line begins with {DOCUMENT_START}, so it is unknown which sentences are "
            f"context of each other. Add such a line before each document, or give "
            f"--task_options=document_context=false"
        )
    return sentences


def _check_places(
    path: str, line: int, width: int, word_place: int, tag_place: int, needs_tags: bool
) -> None:
    for name, place in (("word_column", word_place), ("tag_column", tag_place)):
        if not -width <= place < width:
            raise ValueError(
                f"{path}:{line}: there are {width} columns, separated by spaces or by tabs. "
                f"Received: {name}={place}"
            )
    if needs_tags and word_place % width == tag_place % width:
        raise ValueError(
            f"{path}:{line}: a word and its tag are needed, separated by a space or a tab. "
            f"Received: {width} columns, of which column {word_place % width} is both. To predict "
            "tags, give --do_predict and test_file."
        )


def _json_sentences(path: str, columns: Columns, needs_tags: bool) -> list[Sentence]:
    word_key = "tokens" if columns.word == "auto" else columns.word
    tag_key = "tags" if columns.tag == "auto" else columns.tag
    sentences: list[Sentence] = []
    documents: dict[str, list[tuple[str, ...]]] = {}
    ids: dict[str, int] = {}
    for item in read_json_lines(path):
        number, words = int(item.path.rpartition(":")[2]), _texts(item, word_key)
        tags = _texts(item, tag_key) if needs_tags or tag_key in item.content else None
        if tags is not None and len(tags) != len(words):
            raise ValueError(
                f"{item.path}: each word needs a tag. Received: {len(words)} {word_key}, "
                f"{len(tags)} {tag_key}"
            )
        name, title = item.content.get("id"), item.content.get("document")
        name = f"line {number}" if name is None else name
        if ids.setdefault(str(name), number) != number:
            raise ValueError(
                f"{item.path}: the id {name!r} is that of line {ids[str(name)]}, too. Give each "
                "sentence its own."
            )
        # Without a document, a sentence is its own.
        title = f"line {number}" if title is None else str(title)
        document = documents.setdefault(title, [])
        texts = [" ".join(pair) for pair in zip(words, tags, strict=True)] if tags else words
        place = (number,) * len(words), tuple(texts)
        sentences.append(Sentence(words, tags, document, len(document), path, *place))
        document.append(words)
    return sentences


def _texts(item: JsonItem, key: str) -> tuple[str, ...]:
    value = item.field(key, list)
    if not value or not all(isinstance(text, str) and text.strip() for text in value):
        raise ValueError(
            f"{item.path}: {key!r} must be a list of texts, at least one, and none of them empty. "
            f"Received: {value!r:.80}"
        )
    return tuple(value)


def find_scheme(sentences: Iterable[Sentence], told: str = "auto") -> str:
    """Returns the scheme of sentences' tags: `iob1`, `iob2`, `bioes`, or `none` for classes.

    A scheme fits if the tags stay the same when they are written in IOB2 and back. Raises a
    ValueError with file and line for a tag that does not fit; where IOB1 is told, any I may begin
    an entity.
    """
    if told == "none":
        return told
    sentences = list(sentences)
    tagged = [(s, word, tag) for s in sentences for word, tag in enumerate(s.tags)]
    letters = {tag[0] for _, _, tag in tagged if _PREFIXED.match(tag)}
    if told == "auto" and not letters and {tag for _, _, tag in tagged} != {OUTSIDE}:
        return "none"
    for sentence, word, tag in tagged:
        if tag != OUTSIDE and not _PREFIXED.match(tag):
            raise ValueError(
                f"{sentence.where(word)}: the tag {tag!r} is neither O nor a letter B, I, E or S, "
                "a hyphen and a type, as other tags are. Correct it (BILOU's L and U are BIOES's E "
                "and S, and the M of BMES is I), or give --task_options=scheme=none if each tag is "
                "a class of its own."
            )
    is_bioes = bool(letters & {"E", "S"})
    if told == "auto":
        is_iob1 = _misfit(sentences, "iob2") and not _misfit(sentences, "iob1")
        told = "bioes" if is_bioes else "iob1" if is_iob1 else "iob2"
    misfit = _misfit(sentences, told)
    if misfit and (told != "iob1" or is_bioes):
        remedy = (
            ", or give --task_options=scheme=iob1. iob1 takes an I for the beginning of an entity "
            "wherever none of its type can continue."
        )
        if is_bioes:  # IOB1 has no E and no S.
            remedy = " or the tags of another scheme: with E and S, all entities must be in BIOES."
            remedy = remedy if told == "bioes" else ", or give --task_options=scheme=bioes."
        raise ValueError(f"{misfit} in {told.upper()}. Correct it{remedy}")
    return told


def _misfit(sentences: Iterable[Sentence], scheme: str) -> str:
    """Returns the first tag that is not as a scheme has it; "" if all are."""
    for sentence in sentences:
        wanted = from_iob2(to_iob2(sentence.tags, scheme), scheme)
        for word, (tag, other) in enumerate(zip(sentence.tags, wanted, strict=True)):
            if tag != other:
                return f"{sentence.where(word)}: the tag {tag} would be {other}"
    return ""


def in_iob2(sentences: Sequence[Sentence], scheme: str) -> list[Sentence]:
    """Returns the sentences with tags in IOB2."""
    if scheme in ("none", "iob2"):
        return list(sentences)
    return [s._replace(tags=tuple(to_iob2(s.tags, scheme))) for s in sentences]
