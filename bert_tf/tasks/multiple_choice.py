"""Defines multiple choice on your own tables: `--task=multiple_choice`.

    {"question": "What is hot?", "answers": ["Ice.", "Fire.", "Snow."], "right": 1}

    --task_options=data_dir=my_data,context_column=question,ending_columns=answers,label_column=right

Tables are TSV, CSV or JSON lines, see `tables.py`; `docs/multiple_choice.md` explains the options.
"""

from bert_tf.tasks.choice import MultipleChoice
from bert_tf.tasks.choice_tables import ChoiceOptions, ChoiceTableReader

VARIANTS = ()
Options = ChoiceOptions


def make(variant: None, options: Options, labels: tuple[str, ...] | None) -> MultipleChoice:
    """Makes the task."""
    return MultipleChoice("multiple_choice", options, ChoiceTableReader(options))
