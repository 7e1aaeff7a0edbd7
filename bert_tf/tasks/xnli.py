"""Defines XNLI, natural language inference in fifteen languages: `--task=xnli`.

    data_dir/multinli/multinli.train.zh.tsv    MultiNLI, machine-translated, for training
    data_dir/xnli.dev.tsv, xnli.test.tsv       all languages, translated by people

The original only has Chinese; here the language is an option.

Source: google-research/bert, run_classifier.py, `XnliProcessor`; Conneau et al. (2018).
"""

import dataclasses

from bert_tf.settings.setting import Settings, setting
from bert_tf.tasks.benchmark_reader import BenchmarkReader, Layout
from bert_tf.tasks.classification import TextClassification, check_labels
from bert_tf.tasks.tfds_source import TfdsReader

VARIANTS = ()

_LABELS = ("contradiction", "entailment", "neutral")
_TFDS_LABELS = ("entailment", "neutral", "contradiction")
_LANGUAGES = (
    *("ar", "bg", "de", "el", "en", "es", "fr", "hi", "ru", "sw", "th", "tr", "ur", "vi", "zh"),
)
# The possible header names of the texts, the label and the language.
_COLUMNS = (
    ("sentence1", "premise"),
    ("sentence2", "hypo", "hypothesis"),
    ("gold_label", "label"),
    ("language",),
)
# The machine-translated files have another name for one label.
_SPELLINGS = {"contradictory": "contradiction", **{label: label for label in _LABELS}}


@dataclasses.dataclass(frozen=True)
class Options(Settings):
    """The options of XNLI."""

    data_dir: str = setting("", "Folder with xnli.dev.tsv and multinli/, or tensorflow-datasets'.")
    data_source: str = setting(
        "files",
        "files: XNLI's own files. tfds: tensorflow-datasets, without training examples.",
        choices=("files", "tfds"),
    )
    language: str = setting("zh", "The language.", choices=_LANGUAGES)


def make(variant: None, options: Options, labels: tuple[str, ...] | None) -> TextClassification:
    """Makes the task; a trained model's labels may be in any order."""
    check_labels("xnli", _LABELS, labels)
    if options.data_source == "files":
        train = f"multinli/multinli.train.{options.language}.tsv"
        reader = BenchmarkReader(
            name="xnli",
            data_dir=options.data_dir,
            layouts={
                "train": (Layout((train,), (0, 1, 2)),),
                "eval": (Layout(("xnli.dev.tsv",), (6, 7, 1, 0)),),
                "predict": (Layout(("xnli.test.tsv",), (6, 7, 1, 0)),),
            },
            columns=_COLUMNS,
            num_texts=2,
            spellings=_SPELLINGS,
            only=options.language,
        )
    else:
        texts = ("premise", "hypothesis")
        reader = TfdsReader("xnli", options.data_dir, texts, _TFDS_LABELS, options.language)
    return TextClassification(
        name="xnli",
        options=options,
        labels=labels or _LABELS,
        reader=reader,
        metrics=("accuracy",),
        metric="accuracy",
        is_pair=True,
    )
