"""Defines SWAG, what happens next (Zellers et al., 2018): `--task=swag`.

    ,video-id,fold-ind,startphrase,sent1,sent2,gold-source,ending0,ending1,ending2,ending3,label
    0,anetv_x,10,He waves. A drum line,He waves.,A drum line,gold,passes by.,is heard.,...,...,0

    --task=swag --data_dir=SWAG      train.csv, val.csv, test.csv

A choice is `[CLS] sent1 [SEP] sent2 ending [SEP]`. The prediction file is that of SWAG's own
baselines: the number of the row and of the ending.

Source: rowanz/swagaf; pytorch-pretrained-BERT, run_swag.py.
"""

import dataclasses

from bert_tf.tasks.choice import MultipleChoice
from bert_tf.tasks.choice_tables import ChoiceOptions, ChoiceTableReader
from bert_tf.tasks.table_options import TableFiles

VARIANTS = ()

_COLUMNS = {
    "context_column": "sent1",
    "beginning_column": "sent2",
    "ending_columns": tuple(f"ending{i}" for i in range(4)),
    "label_column": "label",
}


@dataclasses.dataclass(frozen=True)
class Options(TableFiles):
    """The options of the task."""


def make(variant: None, options: Options, labels: tuple[str, ...] | None) -> MultipleChoice:
    """Makes the task."""
    columns = ChoiceOptions(**dataclasses.asdict(options), **_COLUMNS)
    reader = ChoiceTableReader(columns, {"eval": ("val", "dev")})
    return MultipleChoice("swag", options, reader, submissions={"predict": "swag.csv"})
