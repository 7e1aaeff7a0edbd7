"""XNLI: natural language inference in fifteen languages. `--task=xnli`.

    data_dir/multinli/multinli.train.zh.tsv    MultiNLI, machine-translated, for training
    data_dir/xnli.dev.tsv, xnli.test.tsv       all languages, translated by people

The original only has Chinese; here the language is an option. The test file has labels, so that its
predictions can be scored.

Source: google-research/bert, run_classifier.py, `XnliProcessor`; Conneau et al. (2018).
"""

import dataclasses

from bert_tf import files
from bert_tf.settings.setting import check_choices, setting
from bert_tf.tasks.benchmark_tables import Column, find_table, read_columns
from bert_tf.tasks.classification import TextClassification
from bert_tf.tasks.text_examples import ORIGINAL_SPLITS, TextExample
from bert_tf.tasks.tfds_source import TfdsReader

VARIANTS = ()

_LABELS = ("contradiction", "entailment", "neutral")
_TFDS_LABELS = ("entailment", "neutral", "contradiction")
_LANGUAGES = (
    *("ar", "bg", "de", "el", "en", "es", "fr", "hi", "ru", "sw", "th", "tr", "ur", "vi", "zh"),
)
_TRAIN_COLUMNS = (
    Column(("premise",), 0),
    Column(("hypo", "hypothesis"), 1),
    Column(("label",), 2),
)
_COLUMNS = (
    Column(("sentence1",), 6),
    Column(("sentence2",), 7),
    Column(("gold_label",), 1),
    Column(("language",), 0),
)


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of XNLI."""

    data_dir: str = setting(
        "", "Folder with xnli.dev.tsv and multinli/, or of tensorflow-datasets."
    )
    data_source: str = setting(
        "files",
        "files: XNLI's own files in data_dir. tfds: tensorflow-datasets, which has no training "
        "examples.",
    )
    language: str = setting("zh", f"One of {', '.join(_LANGUAGES)}.")

    def __post_init__(self):
        check_choices(self, {"data_source": ("files", "tfds"), "language": _LANGUAGES})


def make(variant: None, options: Options, labels: tuple[str, ...] | None) -> TextClassification:
    """Makes the task; the labels of a trained model may be in any order."""
    if labels and set(labels) != set(_LABELS):
        raise ValueError(
            f"xnli has the labels {', '.join(_LABELS)}, but the model was trained for "
            f"{', '.join(labels)}."
        )
    reader = XnliReader(options)
    if options.data_source == "tfds":
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


@dataclasses.dataclass(frozen=True)
class XnliReader:
    """Reads `TextExample`s from the files in `options.data_dir`."""

    options: Options

    def splits(self, purpose: str) -> tuple[str, ...]:
        self.sources(purpose)
        return (purpose,)

    def sources(self, split: str) -> list[str]:
        name = f"xnli.{ORIGINAL_SPLITS[split]}.tsv"
        if split == "train":
            name = files.join_path("multinli", f"multinli.train.{self.options.language}.tsv")
        path = find_table(self.options.data_dir, name)
        if path is None:
            raise ValueError(
                f"xnli needs {name} (or {name}.gz) for {split!r} in the folder data_dir. "
                f"Received: {self.options.data_dir!r}"
            )
        return [path]

    def read(self, split: str) -> list[TextExample]:
        (path,) = self.sources(split)
        examples = []
        for row, cells in read_columns(path, _TRAIN_COLUMNS if split == "train" else _COLUMNS):
            text_a, text_b, label, *language = cells
            if language and language != [self.options.language]:
                continue
            if label == "contradictory":  # The machine-translated files call it so.
                label = "contradiction"
            if split == "predict" and label not in _LABELS:
                label = None
            guid = f"{ORIGINAL_SPLITS[split]}-{row.number}"
            examples.append(TextExample(guid, text_a, text_b, label, row.where))
        if not examples:
            raise ValueError(f"{path}: no examples in the language {self.options.language!r}.")
        return examples
