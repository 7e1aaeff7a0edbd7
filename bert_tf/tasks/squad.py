"""Defines the task of SQuAD 1.1 and 2.0, and of data in its format: `--task=squad`.

Source: google-research/bert, run_squad.py.
"""

import dataclasses

from bert_tf.settings.setting import setting
from bert_tf.spans.options import SpanOptions
from bert_tf.tasks.span import SpanExtraction
from bert_tf.tasks.squad_files import SquadFiles

VARIANTS = ()


@dataclasses.dataclass(frozen=True)
class Options(SpanOptions):
    train_file: str = setting("", "SQuAD JSON to train on, such as train-v1.1.json, or gzipped.")
    predict_file: str = setting("", "SQuAD JSON to evaluate or predict, such as dev-v1.1.json.gz.")
    data_dir: str = setting(
        "",
        "Folder with train-v1.1.json and dev-v1.1.json (-v2.0 with version_2_with_negative), for "
        "files that are not given.",
    )


def make(variant: None, options: Options, labels: None) -> SpanExtraction:
    """Makes the task."""
    return SpanExtraction("squad", options, SquadFiles(options), metric="f1")
