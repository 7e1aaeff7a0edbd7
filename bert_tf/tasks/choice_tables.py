"""Reads multiple choice from tables: a context, several endings and the number of the right one.

sent1                  sent2          ending0      ending1        label
He opened the fridge.  He             ate it.      took milk.     1

`ending1` with the context of `sent1` becomes the choice "He took milk.". Rows may have different
numbers of endings: the last columns are then empty or, in JSON lines, one key has a list.
"""

import dataclasses
import logging
from collections.abc import Sequence

from bert_tf import files
from bert_tf.tasks.choice import ChoiceExample
from bert_tf.tasks.table_options import TableFiles
from bert_tf.tasks.tables import Cell, TableLayout, read_records
from bert_tf.tasks.text_examples import original_split
from bert_tf.text.characters import is_blank

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class ChoiceColumns:
    """Where the parts of an example are: columns by header name, number from 0, or JSON key."""

    context: str
    endings: tuple[str, ...]
    label: str = ""
    beginning: str = ""  # How every ending begins.
    id: str = ""


@dataclasses.dataclass(frozen=True)
class ChoiceTableReader:
    """Reads `ChoiceExample`s.

    Args:
        tables: names the files.
        file_names: by purpose, their names in the folder; see `TableFiles.sources`.
        labels: the labels of the first, second, ... choice; () for 0, 1, ...
    """

    tables: TableFiles
    layout: TableLayout
    columns: ChoiceColumns
    file_names: tuple[tuple[str, tuple[str, ...]], ...] = ()
    labels: tuple[str, ...] = ()

    def splits(self, purpose: str) -> tuple[str, ...]:
        self.sources(purpose)
        if purpose != "predict" and not self.columns.label:
            raise ValueError(f"--label_column is needed for the {original_split(purpose)} file.")
        return (purpose,)

    def sources(self, split: str) -> list[str]:
        return self.tables.sources(split, dict(self.file_names).get(split, ()))

    def read(self, split: str) -> list[ChoiceExample]:
        """Returns all examples of a split. Labels in a file to predict are ignored."""
        at, is_labelled = self.columns, split != "predict"
        last = (at.label, "") if is_labelled else ("", at.id)
        columns = (at.context, at.beginning, *at.endings, *last)
        examples: list[ChoiceExample] = []
        for path in self.tables.checked_sources(split, dict(self.file_names).get(split, ())):
            records = read_records(path, self.layout, columns, logger.info, at.endings)
            for where, (context, beginning, *endings, label, guid) in records:
                if is_blank(context or ""):
                    raise ValueError(
                        f"{where}: no text in column {at.context!r}. Remove the row or fill it in."
                    )
                choices = _choices(where, at.endings, beginning or "", endings)
                if is_blank(guid or ""):
                    guid = f"{original_split(split)}-{len(examples)}"
                number = self._number(where, label) if is_labelled else None
                examples.append(ChoiceExample(guid, context, choices, number, where))
        return examples

    def _number(self, where: str, label: Cell) -> int | None:
        """Returns the number of the choice that a label names; None for an empty one."""
        label = (label or "").strip()
        if is_blank(label):
            return None
        if label in self.labels:
            return self.labels.index(label)
        if not self.labels and label.isascii() and label.isdigit():
            return int(label)
        known = files.some(self.labels, listed=20) or "a whole number, 0 for the first choice"
        raise ValueError(
            f"{where}: label {label!r} is not {'one of ' if self.labels else ''}{known}. If labels "
            f"are written otherwise, list them in the order of the choices: --labels=A,B,C,D."
        )


def _choices(
    where: str, columns: Sequence[str], beginning: str, cells: Sequence[Cell]
) -> tuple[str, ...]:
    """Returns the choices of a row; empty endings at its end are none."""
    endings: list[str] = []
    for cell in cells:
        endings += cell if isinstance(cell, tuple) else [cell or ""]
    while endings and is_blank(endings[-1]):
        endings.pop()
    empty = [number for number, ending in enumerate(endings) if is_blank(ending)]
    if empty or len(endings) < 2:
        problem = f"choice number {empty[0]} is empty" if empty else f"{len(endings)} choices"
        raise ValueError(
            f"{where}: {problem} in {', '.join(columns)}, counted from 0. A row needs two or more "
            f"choices; only those after the last one may be empty. Remove the row or fill it in."
        )
    return tuple(f"{beginning} {ending}" if beginning else ending for ending in endings)
