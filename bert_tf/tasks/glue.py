"""GLUE: nine tasks on single sentences or pairs, and a diagnostic set. `--task=glue:mrpc`.

The files are described in `glue_files.py`; `data_source=tfds` reads tensorflow-datasets' instead.

    variant   labels                              metrics              selects the model
    cola      0 1 (acceptable)                    Matthews, accuracy   Matthews
    mnli      contradiction entailment neutral    accuracy             accuracy
    mrpc      0 1 (paraphrase)                    F1, accuracy         F1
    sst-2     0 1 (positive)                      accuracy             accuracy
    sts-b     a number from 0 to 5                Pearson, Spearman    Spearman
    qqp       0 1 (duplicate)                     F1, accuracy         F1
    qnli      entailment not_entailment           accuracy             accuracy
    rte       entailment not_entailment           accuracy             accuracy
    wnli      0 1                                 accuracy             accuracy
    ax        MNLI's; prediction only

The metrics are the GLUE leaderboard's. Where it has two, models are compared by the one that the
BERT paper reports (section 4.1).

Source: google-research/bert, run_classifier.py; Wang et al. (2018), https://gluebenchmark.com.
"""

import dataclasses
import math

from bert_tf.settings.setting import check_choices, setting
from bert_tf.tasks.classification import TextClassification
from bert_tf.tasks.classification_files import Submission
from bert_tf.tasks.glue_files import COLUMN_NAMES, GlueReader
from bert_tf.tasks.text_examples import TextExample, TextReader
from bert_tf.tasks.tfds_source import TfdsReader

VARIANTS = (
    *("cola", "mnli", "mrpc", "sst-2", "sts-b", "qqp", "qnli", "rte", "wnli", "ax"),
    *("sst2", "stsb"),
)
_SPELLINGS = {"sst2": "sst-2", "stsb": "sts-b"}


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of a GLUE task."""

    data_dir: str = setting(
        "",
        "Folder with the task's files as GLUE distributes them (train.tsv, ...), or of "
        "tensorflow-datasets.",
    )
    data_source: str = setting(
        "files", "files: GLUE's own files in data_dir. tfds: tensorflow-datasets."
    )

    def __post_init__(self):
        check_choices(self, {"data_source": ("files", "tfds")})


@dataclasses.dataclass(frozen=True)
class _Corpus:
    """One of GLUE's data sets.

    Args:
        labels: as in the official files, in the order of the original release; () for a number.
        metrics: see `TextClassification`; the first one selects the model, but for STS-B.
        submission: the name that the server expects for the predictions of each split.
        numbered: the labels in the order in which tensorflow-datasets and others number them, if it
            is not that of `labels`.
    """

    labels: tuple[str, ...]
    metrics: tuple[str, ...]
    submission: dict[str, str]
    numbered: tuple[str, ...] = ()


_BINARY = ("0", "1")
_ENTAILMENT = ("entailment", "not_entailment")
_MNLI = ("contradiction", "entailment", "neutral")
_MNLI_NUMBERED = ("entailment", "neutral", "contradiction")
_ACCURACY = ("accuracy",)

# fmt: off
_CORPORA = {
    "cola": _Corpus(_BINARY, ("matthews", "accuracy"), {"predict": "CoLA.tsv"}),
    "mnli": _Corpus(_MNLI, _ACCURACY,
                    {"predict": "MNLI-m.tsv", "predict_mismatched": "MNLI-mm.tsv"}, _MNLI_NUMBERED),
    "mrpc": _Corpus(_BINARY, ("f1", "accuracy"), {"predict": "MRPC.tsv"}),
    "sst-2": _Corpus(_BINARY, _ACCURACY, {"predict": "SST-2.tsv"}),
    "sts-b": _Corpus((), ("pearson", "spearman"), {"predict": "STS-B.tsv"}),
    "qqp": _Corpus(_BINARY, ("f1", "accuracy"), {"predict": "QQP.tsv"}),
    "qnli": _Corpus(_ENTAILMENT, _ACCURACY, {"predict": "QNLI.tsv"}),
    "rte": _Corpus(_ENTAILMENT, _ACCURACY, {"predict": "RTE.tsv"}),
    "wnli": _Corpus(_BINARY, _ACCURACY, {"predict": "WNLI.tsv"}),
    "ax": _Corpus(_MNLI, ("matthews", "accuracy"), {"predict": "AX.tsv"}, _MNLI_NUMBERED),
}
# fmt: on

# The task's split, its name in tensorflow-datasets, and the prefix of its examples' names.
_TFDS_SPLITS = (
    ("train", "train", "train"),
    ("eval", "validation", "dev"),
    ("predict", "test", "test"),
)
_TFDS_MNLI_SPLITS = (
    ("train", "train", "train"),
    ("eval", "validation_matched", "dev_matched"),
    ("eval_mismatched", "validation_mismatched", "dev_mismatched"),
    ("predict", "test_matched", "test"),
    ("predict_mismatched", "test_mismatched", "test_mismatched"),
)


def make(variant: str, options: Options, labels: tuple[str, ...] | None) -> TextClassification:
    """Makes the task of a variant.

    Args:
        labels: those of a trained model, if one is used: the variant's, in any order.

    Raises:
        ValueError: if they are others.
    """
    variant = _SPELLINGS.get(variant, variant)
    corpus = _CORPORA[variant]
    if labels and set(labels) != set(corpus.labels):
        raise ValueError(
            f"glue:{variant} has the labels {', '.join(corpus.labels) or '(none: a number)'}, but "
            f"the model was trained for {', '.join(labels)}."
        )
    reader = _reader(variant, corpus, options)
    lowest, highest = (-math.inf, math.inf) if corpus.labels else (0.0, 5.0)
    return TextClassification(
        name=f"glue:{variant}",
        options=options,
        labels=labels or corpus.labels,
        reader=PredictOnlyReader(reader) if variant == "ax" else reader,
        metrics=corpus.metrics,
        metric="spearman" if variant == "sts-b" else corpus.metrics[0],
        submission=Submission(tuple(corpus.submission.items()), lowest, highest),
        is_pair=len(_text_names(variant)) == 2,
    )


@dataclasses.dataclass(frozen=True)
class PredictOnlyReader:
    """Reads the diagnostic set, which is only predicted, with a model of another task."""

    reader: TextReader

    def splits(self, purpose: str) -> tuple[str, ...]:
        if purpose != "predict":
            raise ValueError(
                f"glue:ax only has examples to predict, none for {purpose!r}. Fine-tune glue:mnli, "
                f"and predict glue:ax with its checkpoint."
            )
        return self.reader.splits(purpose)

    def sources(self, split: str) -> list[str]:
        return self.reader.sources(split)

    def read(self, split: str) -> list[TextExample]:
        return self.reader.read(split)


def _text_names(variant: str) -> tuple[str, ...]:
    """The names of the text or texts in tensorflow-datasets."""
    return tuple(names[-1] for names in COLUMN_NAMES[variant][:-1])


def _reader(variant: str, corpus: _Corpus, options: Options) -> TextReader:
    numbered = corpus.numbered or corpus.labels
    if options.data_source == "files":
        return GlueReader(variant, options.data_dir, numbered)
    return TfdsReader(
        dataset=f"glue/{variant.replace('-', '')}",
        data_dir=options.data_dir,
        split_names=_TFDS_MNLI_SPLITS if variant == "mnli" else _TFDS_SPLITS,
        texts=_text_names(variant),
        labels=numbered,
    )
