"""Defines CODAH, questions written to deceive models (Chen et al., 2019): `--task=codah`.

    o   I am feeling hungry. I think I will   call my mother.   have some ravioli.   ...   ...   1

    --task=codah --data_dir=CODAH/data/cv_split/fold_0      train.tsv, dev.tsv, test.tsv
    --task=codah --data_dir=CODAH/data --num_folds=5        full_data.tsv: cross-validation

The columns are the category, the context, four choices and the number of the right one; there is no
header. A choice is `[CLS] context [SEP] choice [SEP]`.
"""

import dataclasses

from bert_tf.tasks.choice import MultipleChoice
from bert_tf.tasks.choice_tables import ChoiceColumns, ChoiceTableReader
from bert_tf.tasks.table_options import TableFiles
from bert_tf.tasks.tables import TableLayout

VARIANTS = ()

_COLUMNS = ChoiceColumns("1", ("2", "3", "4", "5"), "6")
_NAMES = (("train", ("train", "full_data")),)


@dataclasses.dataclass(frozen=True)
class Options(TableFiles):
    """The options of the task."""


def make(variant: None, options: Options, labels: tuple[str, ...] | None) -> MultipleChoice:
    """Makes the task."""
    reader = ChoiceTableReader(options, TableLayout(has_header=False), _COLUMNS, _NAMES)
    return MultipleChoice("codah", options, reader)
