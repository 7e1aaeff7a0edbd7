"""Reads and writes predicates and their roles in the formats of CoNLL and Universal Propositions.

    conll2005   word ... target ROLES...             brackets, (A0* *) (V*)
    conll2009   14 columns, tabs ROLES...            a role at a word: the head of the argument
    conll2012   11 columns ROLES... coreference      brackets; # begins a comment
    up          10 columns of CoNLL-U, sense ROLES...  a role at a word

There is a column of ROLES for each predicate, in the order of the predicates. Files may be gzipped.
"""

import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from bert_tf import files
from bert_tf.metrics.semantic_roles import Predicate
from bert_tf.spans.bio import PREDICATE_ROLE, RoleSpan, brackets_of_spans, spans_of_brackets

_NOTHING = ("_", "-", "")


@dataclasses.dataclass(frozen=True)
class Sentence:
    """A sentence with its predicates, and its lines as they were read."""

    where: str  # File and line.
    words: tuple[str, ...]
    predicates: tuple[Predicate, ...]
    rows: tuple[tuple[str, ...] | str, ...]  # The cells of each word; other lines as text.


class _Row(NamedTuple):
    where: str
    cells: tuple[str, ...]


_Rows = Sequence[_Row]


def format_of(path: str) -> str:
    """Returns the format of a file by its name and first lines."""
    if re.search(r"\.conllup?(\.gz)?$", path):
        return "up"
    for line in files.open_text_lines(path):
        if line.startswith("#begin document"):
            return "conll2012"
        if re.match(r"# (sent_id|text|newdoc|global\.columns)\b", line):
            return "up"
        if line.strip():
            return "conll2009" if line.count("\t") >= 13 and line[:1].isdigit() else "conll2005"
    raise ValueError(f"{path}: there is no sentence in this file.")


def read_sentences(path: str, format_name: str = "auto") -> list[Sentence]:
    """Returns all sentences of a file.

    Raises a ValueError with file and line for rows that the format does not have.
    """
    form = FORMATS[format_of(path) if format_name == "auto" else format_name]
    blocks = _blocks(path, form)
    layout = form.layout(path, [rows for rows, _ in blocks])
    return [form.read(layout, rows, lines) for rows, lines in blocks]


def _blocks(path: str, form: "Format") -> list[tuple[list[_Row], list[tuple[str, ...] | str]]]:
    """Returns each sentence's rows of words, and all of its lines."""
    blocks: list[tuple[list[_Row], list[tuple[str, ...] | str]]] = []
    rows: list[_Row] = []
    lines: list[tuple[str, ...] | str] = []
    for number, line in enumerate(files.open_text_lines(path), start=1):
        if not line.strip():
            if rows:
                blocks.append((rows, lines))
                rows, lines = [], []
            elif lines:
                lines.append("")
        elif form.is_other(line):
            lines.append(line)
        else:
            cells = tuple(line.split("\t") if form.has_tabs else line.split())
            rows.append(_Row(f"{path}:{number}", cells))
            lines.append(cells)
    if rows:
        blocks.append((rows, lines))
    elif lines and blocks:  # The end of the last document.
        blocks[-1][1].extend(["", *lines])
    if not blocks:
        raise ValueError(f"{path}: there is no sentence in this file.")
    return blocks


def _check_columns(rows: _Rows, fewest: int, what: str) -> int:
    """Returns the number of columns; all rows of a sentence have as many."""
    width = len(rows[0].cells)
    for where, cells in rows:
        if len(cells) != width or width < fewest:
            raise ValueError(
                f"{where}: {what} has at least {fewest} columns, and the same number in all rows "
                f"of a sentence ({width} in {rows[0].where}). Received: {len(cells)}. Is the file "
                f"of another --format, or an empty line missing?"
            )
    return width


def _brackets(rows: _Rows, column: int) -> tuple[RoleSpan, ...]:
    try:
        return tuple(spans_of_brackets([row.cells[column] for row in rows]))
    except ValueError as error:
        match = re.match(r"word (\d+): (.*)", str(error), re.DOTALL)
        where = rows[int(match[1]) if match else 0].where
        raise ValueError(f"{where}: column {column + 1}: {match[2] if match else error}") from error


def _sentence(words: Sequence[str], predicates: Sequence[Predicate], rows: _Rows, lines: Sequence):
    return Sentence(rows[0].where, tuple(words), tuple(predicates), tuple(lines))


# CoNLL-2005.


def _find_target_column(path: str, blocks: Sequence[_Rows]) -> int:
    """Returns the column of predicates, after which there are as many columns as predicates."""
    columns = _target_columns(blocks, _is_target)
    if isinstance(columns, str):  # A file to predict may lack the columns of brackets.
        unlabelled = _target_columns(blocks, _is_last_target)
        if isinstance(unlabelled, str):
            raise ValueError(
                f"{columns}: no column of predicates (- or the verb), followed by as many columns "
                f"of brackets as it has verbs, in the same place in all sentences. Give --format "
                f"if the file is of another one."
            )
        columns = unlabelled
    if max(columns) == 0:
        raise ValueError(
            f"{path}: there are no words before the predicates. CoNLL-2005 has words and "
            f"propositions in separate files; join them: paste words props > {path}"
        )
    return max(columns)


def _target_columns(blocks: Sequence[_Rows], is_target: Callable) -> set[int] | str:
    """Returns the columns that may be the target in all sentences, or where there is none left."""
    possible: set[int] | None = None
    for rows in blocks:
        width = _check_columns(rows, 1, "CoNLL-2005")
        columns = {column for column in range(width) if is_target(rows, column, width)}
        possible = columns if possible is None else possible & columns
        if not possible:
            return rows[0].where
    return possible or set()


def _is_target(rows: _Rows, column: int, width: int) -> bool:
    num_verbs = sum(row.cells[column] != "-" for row in rows)
    are_brackets = all("*" in cell for row in rows for cell in row.cells[column + 1 :])
    return num_verbs == width - column - 1 and are_brackets


def _is_last_target(rows: _Rows, column: int, width: int) -> bool:
    cells = [row.cells[column] for row in rows]
    return column == width - 1 and not any("*" in cell for cell in cells)


def _read_2005(target: int, rows: _Rows, lines: Sequence) -> Sentence:
    places = [i for i, row in enumerate(rows) if row.cells[target] != "-"]
    has_senses = target > 1 and all(
        re.fullmatch(r"\d+|XX" if row.cells[target] != "-" else "-", row.cells[target - 1])
        for row in rows
    )
    predicates = []
    for number, place in enumerate(places):
        cells, column = rows[place].cells, target + 1 + number
        roles = _brackets(rows, column) if column < len(cells) else ()
        sense = f"{cells[target]}.{cells[target - 1]}" if has_senses else ""
        predicates.append(Predicate(place, cells[target], sense, roles))
    return _sentence([row.cells[0] for row in rows], predicates, rows, lines)


def props_lines(sentence: Sentence, predicates: Sequence[Predicate]) -> Iterator[str]:
    """Yields a sentence as `srl-eval.pl` reads it: the target column, then brackets."""
    size = len(sentence.words)
    targets = ["-"] * size
    for each in predicates:
        targets[each.position] = each.lemma
    columns = [brackets_of_spans(each.roles, size) for each in predicates]
    for target, *cells in zip(targets, *columns, strict=True):
        yield " ".join([target.ljust(16), *(cell.rjust(14) for cell in cells)]).rstrip()


# CoNLL-2012.

_WORD, _LEMMA, _FRAMESET, _FIRST_ROLE = 3, 6, 7, 11


def _read_2012(layout: None, rows: _Rows, lines: Sequence) -> Sentence:
    width = _check_columns(rows, _FIRST_ROLE + 1, "CoNLL-2012")
    predicates = []
    for column in range(_FIRST_ROLE, width - 1):
        roles = _brackets(rows, column)
        place = next((span.first for span in roles if span.role == PREDICATE_ROLE), None)
        if place is None:
            raise ValueError(
                f"{rows[0].where}: column {column + 1} has no predicate (V*). Remove the column, "
                f"or mark its predicate."
            )
        cells = rows[place].cells
        lemma = cells[_WORD] if cells[_LEMMA] == "-" else cells[_LEMMA]
        sense = "" if cells[_FRAMESET] == "-" else f"{lemma}.{cells[_FRAMESET]}"
        predicates.append(Predicate(place, lemma, sense, roles))
    return _sentence([row.cells[_WORD] for row in rows], predicates, rows, lines)


def _roles_and_verb(predicate: Predicate) -> list[RoleSpan]:
    """Returns the roles and a V at the predicate, without which nothing tells whose they are."""
    place = predicate.position
    verb = RoleSpan(PREDICATE_ROLE, place, place)
    verb = next((s for s in predicate.roles if s[:2] == verb[:2]), verb)
    others = [s for s in predicate.roles if s.role != PREDICATE_ROLE]
    return [verb, *(s for s in others if s.last < verb.first or verb.last < s.first)]


def _lines_2012(sentence: Sentence, predicates: Sequence[Predicate]) -> Iterator[str]:
    size = len(sentence.words)
    columns = [brackets_of_spans(_roles_and_verb(each), size) for each in predicates]
    senses = {each.position: each.sense.rpartition(".")[2] for each in predicates if each.sense}
    place = 0
    for row in sentence.rows:
        if isinstance(row, str):
            yield row
            continue
        cells = [*row[:_FIRST_ROLE], *(column[place] for column in columns), row[-1]]
        cells[_FRAMESET] = senses.get(place, cells[_FRAMESET])
        yield " ".join([*cells[:3], *(cell.rjust(12) for cell in cells[3:])])
        place += 1


# CoNLL-2009 and Universal Propositions.


@dataclasses.dataclass(frozen=True)
class _Columns:
    """The columns of a dependency format, from 0."""

    name: str
    word: int
    lemma: int
    sense: int
    first_role: int
    is_predicate: int | None = None  # Y marks predicates whose sense is not known.
    predicate_role: str = ""  # No argument.

    def read(self, layout: None, rows: _Rows, lines: Sequence) -> Sentence:
        width = _check_columns(rows, self.first_role, self.name)
        places = [i for i, row in enumerate(rows) if self._marks(row.cells)]
        columns = range(self.first_role, self.first_role + len(places))
        for where, cells in rows:
            if any(cell not in _NOTHING for cell in cells[columns.stop :]):
                raise ValueError(
                    f"{where}: column {columns.stop + 1} has roles, but the sentence has only "
                    f"{len(places)} predicates (column {self.sense + 1})."
                )
        if width < columns.stop and width > self.first_role:
            raise ValueError(
                f"{rows[0].where}: a column of roles is needed for each of the {len(places)} "
                f"predicates (column {self.sense + 1}). Received: {width - self.first_role}"
            )
        predicates = []
        for place, column in zip(places, columns, strict=True):
            cells = rows[place].cells
            sense = "" if cells[self.sense] in _NOTHING else cells[self.sense]
            lemma = sense.rpartition(".")[0] or cells[self.lemma]
            roles = [
                RoleSpan(role, i, i)
                for i, row in enumerate(rows)
                for role in (row.cells[column] if column < width else "_").split("|")
                if role not in (*_NOTHING, self.predicate_role)
            ]
            predicates.append(Predicate(place, lemma, sense, tuple(roles)))
        return _sentence([row.cells[self.word] for row in rows], predicates, rows, lines)

    def _marks(self, cells: Sequence[str]) -> bool:
        is_marked = self.is_predicate is not None and cells[self.is_predicate] == "Y"
        return is_marked or cells[self.sense] not in _NOTHING

    def lines(self, sentence: Sentence, predicates: Sequence[Predicate]) -> Iterator[str]:
        senses = {each.position: each.sense or "_" for each in predicates}
        place = 0
        for row in sentence.rows:
            if isinstance(row, str):
                yield row
                continue
            cells = list(row[: self.first_role])
            cells[self.sense] = senses.get(place, "_")
            for each in predicates:
                roles = [span.role for span in each.roles if span.first == place]
                if place == each.position and self.predicate_role:
                    roles.insert(0, self.predicate_role)
                cells.append("|".join(roles) or "_")
            yield "\t".join(cells)
            place += 1


_CONLL_2009 = _Columns("CoNLL-2009", 1, 3, 13, 14, is_predicate=12)
_UP = _Columns("Universal Propositions", 1, 2, 10, 11, predicate_role=PREDICATE_ROLE)


class Format(NamedTuple):
    """How a format is read and written."""

    # (what `layout` found in the file, rows, lines) -> Sentence.
    read: Callable[[object, _Rows, Sequence], Sentence]
    write: Callable[[Sentence, Sequence[Predicate]], Iterator[str]]
    has_spans: bool  # Rather than roles at words.
    has_tabs: bool
    is_other: Callable[[str], object] = lambda line: False  # Lines that are no words.
    layout: Callable[[str, Sequence[_Rows]], object] = lambda path, blocks: None


FORMATS = {
    "conll2005": Format(_read_2005, props_lines, True, False, layout=_find_target_column),
    "conll2009": Format(_CONLL_2009.read, _CONLL_2009.lines, False, True),
    "conll2012": Format(
        _read_2012, _lines_2012, True, False, lambda line: re.match("#(begin|end) document", line)
    ),
    "up": Format(_UP.read, _UP.lines, False, True, lambda line: re.match(r"#|\d+[-.]\d+\t", line)),
}
