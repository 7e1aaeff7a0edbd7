"""Reads GAP: a text, a pronoun in it, and two names, of which the pronoun means one or neither.

    ID  Text  Pronoun  Pronoun-offset  A  A-offset  A-coref  B  B-offset  B-coref  URL

The texts are divided into sentences and words by rules, as GAP has none.

Source: Webster et al. 2018, Mind the GAP.
"""

import dataclasses
import re
from collections.abc import Sequence
from typing import NamedTuple

from bert_tf.spans.sentences import sentence_ends
from bert_tf.tasks.coreference_files import Mention
from bert_tf.tasks.tables import TableLayout, read_records

_COLUMNS = (
    *("ID", "Text", "Pronoun", "Pronoun-offset", "A", "A-offset", "A-coref"),
    *("B", "B-offset", "B-coref"),
)
_ANSWERS = ("A-coref", "B-coref")
_WORD = re.compile(r"\w+|[^\w\s]")
_COREF = {"TRUE": True, "FALSE": False}


class GapRow(NamedTuple):
    """A row of the table, with places in characters of its text."""

    id: str
    text: str
    pronoun: str
    pronoun_start: int
    names: tuple[tuple[str, int], tuple[str, int]]  # A and B, with their places.
    coreferent: tuple[bool, bool] | None  # Whether the pronoun means A, and B; None if unknown.


@dataclasses.dataclass(frozen=True)
class GapDocument:
    """A row as a document, see `coreference_files.Document`."""

    row: GapRow
    sentences: list[list[str]]
    word_spans: list[tuple[int, int]]  # In characters.
    where: str
    clusters: tuple = ()  # They are unknown.

    @property
    def name(self) -> str:
        return self.row.id

    @property
    def id(self) -> str:
        return self.row.id

    @property
    def words(self) -> list[str]:
        return [word for sentence in self.sentences for word in sentence]

    @property
    def speakers(self) -> list[list[str]]:
        return [["-"] * len(sentence) for sentence in self.sentences]

    def decisions(self, clusters: Sequence[Sequence[Mention]]) -> tuple[bool, bool]:
        """Returns whether the pronoun is in a cluster with the mention of A, and of B.

        These are the mentions with just the words of the table, as in Joshi et al. 2019.
        """
        start = self.row.pronoun_start
        pronoun = self._words_of(start, start + len(self.row.pronoun))
        clusters = [c for c in clusters if pronoun in {tuple(m) for m in c}]
        decided = []
        for name, place in self.row.names:
            span = self._words_of(place, place + len(name))
            decided.append(any(span in {tuple(m) for m in cluster} for cluster in clusters))
        return decided[0], decided[1]

    def _words_of(self, start: int, end: int) -> Mention:
        """Returns the first and last word of characters."""
        inside = [i for i, (s, e) in enumerate(self.word_spans) if s < end and e > start]
        return (inside[0], inside[-1]) if inside else (-1, -1)


def read_gap(path: str, needs_answers: bool = True) -> list[GapDocument]:
    """Returns the rows of a file, gzipped or not.

    Without `needs_answers` the columns A-coref and B-coref are not read, and may be missing.

    Raises a ValueError with file and line for a row that is not as described.
    """
    documents: list[GapDocument] = []
    places: dict[str, str] = {}
    columns = ["" if name in _ANSWERS and not needs_answers else name for name in _COLUMNS]
    for where, cells in read_records(path, TableLayout("tsv"), columns):
        row = _row(cells, where)
        if row.id in places:
            raise ValueError(f"{where}: the id {row.id} was already at {places[row.id]}.")
        places[row.id] = where
        spans = [match.span() for match in _WORD.finditer(row.text)]
        sentences: list[list[str]] = [[]]
        ends = sentence_ends([row.text[start:end] for start, end in spans])
        for (start, end), is_last in zip(spans, ends, strict=True):
            sentences[-1].append(row.text[start:end])
            if is_last:
                sentences.append([])
        documents.append(GapDocument(row, [s for s in sentences if s], spans, where))
    if not documents:
        raise ValueError(f"{path}: there are no rows.")
    return documents


def _row(cells: Sequence[str], where: str) -> GapRow:
    row, text, pronoun, at, a, a_at, a_coref, b, b_at, b_coref = cells
    for word, place in ((pronoun, at), (a, a_at), (b, b_at)):
        if not place.isdigit() or text[int(place) : int(place) + len(word)] != word:
            raise ValueError(f"{where}: {word!r} is not at the place {place} of the text.")
    names = ((a, int(a_at)), (b, int(b_at)))
    if a_coref is None:
        return GapRow(row, text, pronoun, int(at), names, None)
    answers = []
    for cell in (a_coref, b_coref):
        if cell.upper() not in _COREF:
            raise ValueError(f"{where}: TRUE or FALSE was expected. Received: {cell!r}")
        answers.append(_COREF[cell.upper()])
    return GapRow(row, text, pronoun, int(at), names, (answers[0], answers[1]))
