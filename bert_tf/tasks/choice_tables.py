"""Reads multiple choice from tables: a context, several endings and the number of the right one.

sent1                  sent2          ending0      ending1        label
He opened the fridge.  He             ate it.      took milk.     1

`ending1` with the context of `sent1` becomes the choice "He took milk.". Rows may have different
numbers of endings: the last columns are then empty or, in JSON lines, one key has a list.
"""

import dataclasses
import logging
from collections.abc import Mapping, Sequence

from bert_tf import files
from bert_tf.settings.setting import setting
from bert_tf.tasks.choice import ChoiceExample
from bert_tf.tasks.table_options import TableOptions
from bert_tf.tasks.tables import Cell, read_records
from bert_tf.tasks.text_examples import original_split
from bert_tf.text.characters import is_blank

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class ChoiceOptions(TableOptions):
    """Options that name the tables and columns of multiple choice."""

    context_column: str = setting(
        "", "Column of the context: its name in the header, its number from 0, or its JSON key."
    )
    beginning_column: str = setting("", "Column of the text that every ending continues.")
    ending_columns: tuple[str, ...] = setting(
        (), "Columns of the endings, with commas; in JSON lines also one key of a list."
    )
    labels: tuple[str, ...] = setting(
        (), "How labels name the choices, in their order, as in A,B,C,D; default: 0,1,2,..."
    )

    def __post_init__(self):
        super().__post_init__()
        for name in ("context_column", "ending_columns"):
            if not getattr(self, name):
                raise ValueError(
                    f"--{name} is needed: names in the header, numbers from 0, or keys in JSON "
                    f"lines."
                )
        columns = [*filter(None, (*self.text_columns, self.label_column))]
        if len(set(columns)) < len(columns) or len(set(self.labels)) < len(self.labels):
            raise ValueError(
                f"A column, or a label, is given twice. Received: columns {', '.join(columns)}; "
                f"labels {', '.join(self.labels)}"
            )

    @property
    def text_columns(self) -> tuple[str, ...]:
        return self.context_column, self.beginning_column, *self.ending_columns


@dataclasses.dataclass(frozen=True)
class ChoiceTableReader:
    """Reads `ChoiceExample`s.

    Args:
        options: their `labels` are those of the first, second, ... choice; () for 0, 1, ...
        file_names: by purpose, the tables' names in the folder; see `TableFiles.sources`.
    """

    options: ChoiceOptions
    file_names: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def splits(self, purpose: str) -> tuple[str, ...]:
        self.sources(purpose)
        if purpose != "predict" and not self.options.label_column:
            raise ValueError(f"--label_column is needed for the {original_split(purpose)} file.")
        return (purpose,)

    def sources(self, split: str) -> list[str]:
        return self.options.sources(split, self.file_names.get(split, ()))

    def read(self, split: str) -> list[ChoiceExample]:
        """Returns all examples of a split. Labels in a file to predict are ignored."""
        at, is_labelled = self.options, split != "predict"
        last = (at.label_column, "") if is_labelled else ("", at.id_column)
        columns = (at.context_column, at.beginning_column, *at.ending_columns, *last)
        examples: list[ChoiceExample] = []
        for path in self.options.checked_sources(split, self.file_names.get(split, ())):
            records = read_records(path, at.layout, columns, logger.info, at.ending_columns)
            for where, (context, beginning, *endings, label, guid) in records:
                if is_blank(context or ""):
                    raise ValueError(
                        f"{where}: no text in column {at.context_column!r}. Remove the row or fill "
                        f"it in."
                    )
                choices = _choices(where, at.ending_columns, beginning or "", endings)
                if is_blank(guid or ""):
                    guid = f"{original_split(split)}-{len(examples)}"
                number = self._number(where, label) if is_labelled else None
                examples.append(ChoiceExample(guid, context, choices, number, where))
        return examples

    def _number(self, where: str, label: Cell) -> int | None:
        """Returns the number of the choice that a label names; None for an empty one."""
        label, labels = (label or "").strip(), self.options.labels
        if is_blank(label):
            return None
        if label in labels:
            return labels.index(label)
        if not labels and label.isascii() and label.isdigit():
            return int(label)
        known = files.some(labels, listed=20) or "a whole number, 0 for the first choice"
        raise ValueError(
            f"{where}: label {label!r} is not {'one of ' if labels else ''}{known}. If labels "
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
