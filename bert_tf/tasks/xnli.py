"""XNLI: does one sentence follow from another, in fifteen languages. `--task=xnli`.

    data_dir/multinli/multinli.train.zh.tsv    MultiNLI, translated by a machine: to train on
    data_dir/xnli.dev.tsv, xnli.test.tsv       all languages, translated by people

Chinese is the original's only language; here it is an option. The test file has labels, so that
what is predicted for it can be scored.

Source: google-research/bert, run_classifier.py, `XnliProcessor`; Conneau et al. (2018).
"""

import dataclasses

from bert_tf import files
from bert_tf.settings.setting import check_choices, setting
from bert_tf.tasks.classification import TextClassification, TextExample
from bert_tf.tasks.tables import Column, find_table, read_columns
from bert_tf.tasks.tfds_source import TfdsReader

VARIANTS = ()
LABELS = ("contradiction", "entailment", "neutral")

_LANGUAGES = (
    *("ar", "bg", "de", "el", "en", "es", "fr", "hi", "ru", "sw", "th", "tr", "ur", "vi", "zh"),
)
# In the machine-translated files one label has another name.
_OTHER_WORDS = {"contradictory": "contradiction"}
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
# The task's split, tensorflow-datasets' one, and what its examples are named with.
_TFDS_SPLITS = (
    ("train", "train", "train"),
    ("eval", "validation", "dev"),
    ("predict", "test", "test"),
)
_TFDS_LABELS = ("entailment", "neutral", "contradiction")


@dataclasses.dataclass(frozen=True)
class Options:
    """What can be set of XNLI."""

    data_dir: str = setting(
        "", "The folder with xnli.dev.tsv and multinli/, or that of tensorflow-datasets."
    )
    data_source: str = setting(
        "files",
        "files: XNLI's own, in data_dir. tfds: what tensorflow-datasets has of it, which is "
        "nothing to train on.",
    )
    language: str = setting("zh", f"One of {', '.join(_LANGUAGES)}.")

    def __post_init__(self):
        check_choices(self, {"data_source": ("files", "tfds"), "language": _LANGUAGES})


def make(variant: None, options: Options, labels: tuple[str, ...] | None) -> TextClassification:
    """The task.

    Args:
        labels: of the model that is used again: the same ones, perhaps in another order.

    Raises:
        ValueError: if these are others.
    """
    if labels and set(labels) != set(LABELS):
        raise ValueError(
            f"xnli has the labels {', '.join(LABELS)}, but the model was trained for "
            f"{', '.join(labels)}."
        )
    return TextClassification(
        name="xnli",
        options=options,
        labels=labels or LABELS,
        reader=_tfds_reader(options) if options.data_source == "tfds" else XnliReader(options),
        figures=("accuracy",),
        metric="accuracy",
        is_pair=True,
    )


@dataclasses.dataclass(frozen=True)
class XnliReader:
    """A reader for `TextClassification`, of the files in `options.data_dir`."""

    options: Options

    def splits(self, purpose: str) -> tuple[str, ...]:
        self.sources(purpose)
        return (purpose,)

    def sources(self, split: str) -> list[str]:
        name = {
            "train": files.join_path("multinli", f"multinli.train.{self.options.language}.tsv"),
            "eval": "xnli.dev.tsv",
            "predict": "xnli.test.tsv",
        }[split]
        path = find_table(self.options.data_dir, name) if self.options.data_dir else None
        if path is None:
            raise ValueError(
                f"xnli needs {name} (or {name}.gz) for {split!r} in the folder data_dir. "
                f"Received: {self.options.data_dir!r}"
            )
        return [path]

    def read(self, split: str) -> list[TextExample]:
        (path,) = self.sources(split)
        prefix = {"train": "train", "eval": "dev", "predict": "test"}[split]
        examples = []
        for row, cells in read_columns(path, _TRAIN_COLUMNS if split == "train" else _COLUMNS):
            text_a, text_b, label, *language = cells
            if language and language != [self.options.language]:
                continue
            label = _OTHER_WORDS.get(label, label)
            examples.append(
                TextExample(
                    guid=f"{prefix}-{row.number}",
                    text_a=text_a,
                    text_b=text_b,
                    label=label if split != "predict" or label in LABELS else None,
                    where=row.where,
                )
            )
        if not examples:
            raise ValueError(f"{path}: no examples in the language {self.options.language!r}.")
        return examples


def _tfds_reader(options: Options) -> TfdsReader:
    return TfdsReader(
        dataset="xnli",
        data_dir=options.data_dir,
        split_names=_TFDS_SPLITS,
        texts=("premise", "hypothesis"),
        labels=_TFDS_LABELS,
        language=options.language,
    )
