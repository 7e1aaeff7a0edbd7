"""Reads and writes documents with coreference: CoNLL-2012's columns, LitBank's, and GAP's tables.

    #begin document (bc/cctv/00/cctv_0000); part 000
    bc/cctv/00/cctv_0000  0  0  He    PRP ...  Speaker#1  *  (3)
    bc/cctv/00/cctv_0000  0  1  saw   VBD ...  Speaker#1  *  -
    bc/cctv/00/cctv_0000  0  2  his   PRP ...  Speaker#1  *  (5|(3)
    bc/cctv/00/cctv_0000  0  3  son   NN  ...  Speaker#1  *  5)

    #end document

The last column opens and closes the mentions of entities; `-`, `_` or nothing is none. Columns are
between tabs if a line has any, and then may be empty, or else between spaces. They are those of
OntoNotes, with any number of predicates; or at least name, part, number, word and mentions.
"""

import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from bert_tf import files

Mention = tuple[int, int]  # The first and the last word, counted from 0 over the whole document.

_WORD, _SPEAKER, _NUM_ONTONOTES = 3, 9, 12  # Columns from 0; how many OntoNotes has at least.
_BEGIN = re.compile(r"#begin document \(?(.*?)\)?;?(?:\s+part\s+(\d+))?\s*$")
_NONE = ("-", "_", "")
_MENTION = re.compile(r"(\()?([^()|]+)(\))?$")


class Document(NamedTuple):
    """A document in sentences of words, with the entities that are mentioned in it."""

    name: str  # The first letters are its genre, as in `bc/cctv/00/cctv_0000`.
    part: str  # As it is written, 000 or 0: the scorer compares it as text.
    sentences: list[list[str]]
    speakers: list[list[str]]  # Of each word; `-` for none.
    clusters: list[list[Mention]]  # By entity, in the order of their first mentions.
    where: str  # The `file:line` of its first line.

    @property
    def id(self) -> str:
        return f"({self.name}); part {self.part}"

    @property
    def words(self) -> list[str]:
        return [word for sentence in self.sentences for word in sentence]


def read_conll(path: str) -> list[Document]:
    """Returns the documents of a file, gzipped or not.

    Raises a ValueError with file and line for whatever is not in the format above.
    """
    documents: list[Document] = []
    lines = enumerate(files.open_text_lines(path), start=1)
    for number, line in lines:
        line = line.rstrip("\r\n")
        if not line.strip():
            continue
        begin = _BEGIN.match(line)
        if not begin:
            raise ValueError(
                f"{path}:{number}: a document must begin with '#begin document (NAME); part 000'. "
                f"Received: {line!r:.100}"
            )
        documents.append(_read_document(path, number, begin[1], begin[2] or "000", lines))
        same = [each for each in documents[:-1] if each.id == documents[-1].id]
        if same:
            raise ValueError(
                f"{path}:{number}: the document {documents[-1].id} was already at {same[0].where}. "
                "Names and parts must differ."
            )
    if not documents:
        raise ValueError(f"{path}: there are no documents ('#begin document (NAME); part 000').")
    return documents


def _read_document(
    path: str, begin: int, name: str, part: str, lines: Iterator[tuple[int, str]]
) -> Document:
    sentences: list[list[str]] = [[]]
    speakers: list[list[str]] = [[]]
    mentions = Mentions()
    for number, line in lines:
        line = line.rstrip("\r\n")
        if line.startswith("#end document"):
            mentions.check_closed(f"{path}:{number}")
            kept = [sentence for sentence in sentences if sentence]
            said = [by for by in speakers if by]
            return Document(name, part, kept, said, mentions.clusters(), f"{path}:{begin}")
        if line.startswith("#begin document"):
            break
        if not line.strip():
            sentences.append([])
            speakers.append([])
            continue
        cells = line.split("\t") if "\t" in line else line.split()
        where = f"{path}:{number}"
        if len(cells) <= _WORD + 1 or not cells[_WORD].strip():
            raise ValueError(
                f"{where}: a line has at least 5 columns: name, part, number, word, mentions. "
                f"Received: {line!r:.100}"
            )
        sentences[-1].append(cells[_WORD].strip())
        speaker = cells[_SPEAKER].strip() if len(cells) >= _NUM_ONTONOTES else ""
        speakers[-1].append("-" if speaker in _NONE else speaker)
        mentions.add(cells[-1].strip(), where)
    raise ValueError(f"{path}:{begin}: the document ({name}) has no '#end document'.")


class Mentions:
    """Collects the mentions of a document from its last column.

    Of each line the official scorer reads mentions of one word first, then those that open, then
    those that close, which end the last one open of their entity.
    """

    def __init__(self) -> None:
        self._num_words = 0
        self._open: dict[str, list[tuple[int, str]]] = defaultdict(list)
        self._mentions: dict[str, list[Mention]] = defaultdict(list)

    def add(self, cell: str, where: str = "") -> None:
        """Adds the column of the next word. Raises a ValueError if it cannot be read."""
        word = self._num_words
        self._num_words += 1
        if cell in _NONE:
            return
        parts = []
        for text in cell.split("|"):
            match = _MENTION.match(text.strip())
            if match is None or not (match[1] or match[3]):
                raise ValueError(
                    f"{where}: the mentions of a word are written (3), (3 or 3), with | between "
                    f"them. Received: {cell!r}"
                )
            parts.append((bool(match[1]), match[2], bool(match[3])))
        for opens, entity, closes in parts:
            if opens and closes:
                self._mentions[entity].append((word, word))
        for opens, entity, closes in parts:
            if opens and not closes:
                self._open[entity].append((word, where))
        for opens, entity, closes in parts:
            if closes and not opens:
                if not self._open[entity]:
                    raise ValueError(f"{where}: {entity}) closes a mention that is not open.")
                self._mentions[entity].append((self._open[entity].pop()[0], word))

    def check_closed(self, where: str) -> None:
        """Raises a ValueError if a mention is still open at the end of a document."""
        for entity, opened in self._open.items():
            if opened:
                raise ValueError(
                    f"{where}: the document ends before {entity}), which closes the mention that "
                    f"({entity} opens at {opened[0][1]}."
                )

    def clusters(self) -> list[list[Mention]]:
        """Returns the mentions of each entity, in the order of their first closing brackets."""
        return list(self._mentions.values())


def mention_column(clusters: Sequence[Sequence[Mention]], num_words: int) -> list[str]:
    """Returns the last column for each word; entities are numbered from 0.

    Raises a ValueError for a mention outside the words, and for two of one entity that overlap
    without being nested, which the format cannot express.
    """
    opened, closed = ([[] for _ in range(num_words)] for _ in range(2))
    for entity, mentions in enumerate(clusters):
        mentions = sorted(set(map(tuple, mentions)))
        for first, last in mentions:
            if not 0 <= first <= last < num_words:
                raise ValueError(
                    f"The mention {(first, last)} is not inside the document's {num_words} words."
                )
        for (first, end), (start, last) in itertools.combinations(mentions, 2):
            if first < start <= end < last:
                raise ValueError(
                    f"Two mentions of one entity overlap at the words {start} to {end} without "
                    "being nested. CoNLL's format cannot express that."
                )
        for first, last in mentions:
            if first == last:
                opened[first].append((-last, entity, f"({entity})"))
            else:
                opened[first].append((-last, -entity, f"({entity}"))
                closed[last].append((-first, entity, f"{entity})"))
    cells = (
        [text for *_, text in sorted(closing)] + [text for *_, text in sorted(opening)]
        for opening, closing in zip(opened, closed, strict=True)
    )
    return ["|".join(cell) or "-" for cell in cells]


def conll_text(documents: Iterable[tuple[Document, Sequence[Sequence[Mention]]]]) -> str:
    """Returns documents and their clusters in CoNLL-2012's columns, which the scorer reads."""
    lines = []
    for document, clusters in documents:
        column = iter(mention_column(clusters, len(document.words)))
        lines.append(f"#begin document {document.id}")
        for words, speakers in zip(document.sentences, document.speakers, strict=True):
            for number, (word, speaker) in enumerate(zip(words, speakers, strict=True)):
                unknown = ("-", "*", "-", "-", "-", speaker, "*")
                row = (document.name, str(int(document.part)), str(number), word, *unknown)
                lines.append("\t".join((*row, next(column))))
            lines.append("")
        lines.append("#end document")
    return "".join(f"{line}\n" for line in lines)
