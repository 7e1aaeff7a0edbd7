"""Defines CODAH, questions written to deceive models (Chen et al., 2019): `--task=codah`.

    o   I am feeling hungry. I think I will   call my mother.   have some ravioli.   ...   ...   1

    --task=codah --data_dir=CODAH/data/cv_split/fold_0      train.tsv, dev.tsv, test.tsv
    --task=codah --data_dir=CODAH/data --num_folds=5        full_data.tsv: cross-validation

The columns are the category, the context, four choices and the number of the right one; there is no
header. A choice is `[CLS] context [SEP] choice [SEP]`.
"""

import dataclasses

from bert_tf.tasks.choice import MultipleChoice
from bert_tf.tasks.choice_tables import ChoiceOptions, ChoiceTableReader
from bert_tf.tasks.table_options import TableFiles

VARIANTS = ()

_COLUMNS = {
    "context_column": "1",
    "ending_columns": ("2", "3", "4", "5"),
    "label_column": "6",
    "header": "false",
}


@dataclasses.dataclass(frozen=True)
class Options(TableFiles):
    """The options of the task."""


def make(variant: None, options: Options, labels: tuple[str, ...] | None) -> MultipleChoice:
    """Makes the task."""
    columns = ChoiceOptions(**dataclasses.asdict(options), **_COLUMNS)
    reader = ChoiceTableReader(columns, {"train": ("train", "full_data")})
    return MultipleChoice("codah", options, reader)
