"""Defines multiple choice on your own tables: `--task=multiple_choice`.

    {"question": "What is hot?", "answers": ["Ice.", "Fire.", "Snow."], "right": 1}

    --task_options=data_dir=my_data,context_column=question,ending_columns=answers,label_column=right

Tables are TSV, CSV or JSON lines, see `tables.py`; `docs/multiple_choice.md` explains the options.
"""

import dataclasses

from bert_tf.settings.setting import setting
from bert_tf.tasks.choice import MultipleChoice
from bert_tf.tasks.choice_tables import ChoiceColumns, ChoiceTableReader
from bert_tf.tasks.table_options import TableOptions

VARIANTS = ()


@dataclasses.dataclass(frozen=True)
class Options(TableOptions):
    """The options of the task."""

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


def make(variant: None, options: Options, labels: tuple[str, ...] | None) -> MultipleChoice:
    """Makes the task."""
    columns = ChoiceColumns(
        options.context_column,
        options.ending_columns,
        options.label_column,
        options.beginning_column,
        options.id_column,
    )
    reader = ChoiceTableReader(options, options.layout, columns, labels=options.labels)
    return MultipleChoice("multiple_choice", options, reader)
