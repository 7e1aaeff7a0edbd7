"""GLUE: nine tasks on a sentence or two, and a diagnostic set. `--task=glue:mrpc`.

How its files lie is in `glue_files.py`; with `data_source=tfds` tensorflow-datasets' are read.

    variant   labels                              figures              metric
    cola      0 1 (acceptable)                    Matthews, accuracy   Matthews
    mnli      contradiction entailment neutral    accuracy             accuracy
    mrpc      0 1 (paraphrase)                    F1, accuracy         F1
    sst-2     0 1 (positive)                      accuracy             accuracy
    sts-b     a number from 0 to 5                Pearson, Spearman    Spearman
    qqp       0 1 (duplicate)                     F1, accuracy         F1
    qnli      entailment not_entailment           accuracy             accuracy
    rte       entailment not_entailment           accuracy             accuracy
    wnli      0 1                                 accuracy             accuracy
    ax        MNLI's; only to predict

The figures are the GLUE leaderboard's. Where it has two, the better of two models has the higher
one of that which the BERT paper reports (section 4.1).

Source: google-research/bert, run_classifier.py; Wang et al. (2018), https://gluebenchmark.com.
"""

import dataclasses
import math

from bert_tf.settings.setting import check_choices, setting
from bert_tf.tasks.classification import Submission, TextClassification
from bert_tf.tasks.glue_files import GlueReader
from bert_tf.tasks.text_examples import TextExample, TextReader
from bert_tf.tasks.tfds_source import TfdsReader

VARIANTS = (
    *("cola", "mnli", "mrpc", "sst-2", "sts-b", "qqp", "qnli", "rte", "wnli", "ax"),
    *("sst2", "stsb"),
)
_SPELLINGS = {"sst2": "sst-2", "stsb": "sts-b"}


@dataclasses.dataclass(frozen=True)
class Options:
    """What can be set of a GLUE task."""

    data_dir: str = setting(
        "",
        "The folder with the task's files, as GLUE distributes them (train.tsv, ...), or that of "
        "tensorflow-datasets.",
    )
    data_source: str = setting(
        "files", "files: GLUE's own, in data_dir. tfds: what tensorflow-datasets has of it."
    )

    def __post_init__(self):
        check_choices(self, {"data_source": ("files", "tfds")})


@dataclasses.dataclass(frozen=True)
class _Corpus:
    """One of GLUE's data sets.

    Args:
        texts: how tensorflow-datasets calls the text, or both.
        labels: as the official files write them, in the order of the original release; () for a
            number.
        numbered: the labels in the order in which tensorflow-datasets and others number them: in
            their files 0 is the first of these.
        figures, metric: see `TextClassification`.
        submission: how the server wants the file with the predictions of each split to be called.
    """

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    numbered: tuple[str, ...]
    figures: tuple[str, ...]
    metric: str
    submission: dict[str, str]


_TRUTHS = ("0", "1")
_ENTAILMENTS = ("entailment", "not_entailment")
_MNLI = ("contradiction", "entailment", "neutral")
_MNLI_NUMBERED = ("entailment", "neutral", "contradiction")
_SENTENCES = ("sentence1", "sentence2")
_ACCURACY = ("accuracy",)

# fmt: off
_CORPORA = {
    "cola": _Corpus(("sentence",), _TRUTHS, _TRUTHS, ("matthews", "accuracy"), "matthews",
                    {"predict": "CoLA.tsv"}),
    "mnli": _Corpus(("premise", "hypothesis"), _MNLI, _MNLI_NUMBERED, _ACCURACY, "accuracy",
                    {"predict": "MNLI-m.tsv", "predict_mismatched": "MNLI-mm.tsv"}),
    "mrpc": _Corpus(_SENTENCES, _TRUTHS, _TRUTHS, ("f1", "accuracy"), "f1",
                    {"predict": "MRPC.tsv"}),
    "sst-2": _Corpus(("sentence",), _TRUTHS, _TRUTHS, _ACCURACY, "accuracy",
                     {"predict": "SST-2.tsv"}),
    "sts-b": _Corpus(_SENTENCES, (), (), ("pearson", "spearman"), "spearman",
                     {"predict": "STS-B.tsv"}),
    "qqp": _Corpus(("question1", "question2"), _TRUTHS, _TRUTHS, ("f1", "accuracy"), "f1",
                   {"predict": "QQP.tsv"}),
    "qnli": _Corpus(("question", "sentence"), _ENTAILMENTS, _ENTAILMENTS, _ACCURACY, "accuracy",
                    {"predict": "QNLI.tsv"}),
    "rte": _Corpus(_SENTENCES, _ENTAILMENTS, _ENTAILMENTS, _ACCURACY, "accuracy",
                   {"predict": "RTE.tsv"}),
    "wnli": _Corpus(_SENTENCES, _TRUTHS, _TRUTHS, _ACCURACY, "accuracy",
                    {"predict": "WNLI.tsv"}),
    "ax": _Corpus(("premise", "hypothesis"), _MNLI, _MNLI_NUMBERED, ("matthews", "accuracy"),
                  "matthews", {"predict": "AX.tsv"}),
}
# fmt: on


# The task's split, tensorflow-datasets' one, and what its examples are named with.
_TFDS_SPLITS = {
    "": (("train", "train", "train"), ("eval", "validation", "dev"), ("predict", "test", "test")),
    "mnli": (
        ("train", "train", "train"),
        ("eval", "validation_matched", "dev_matched"),
        ("eval_mismatched", "validation_mismatched", "dev_mismatched"),
        ("predict", "test_matched", "test"),
        ("predict_mismatched", "test_mismatched", "test_mismatched"),
    ),
}


def make(variant: str, options: Options, labels: tuple[str, ...] | None) -> TextClassification:
    """The task of a variant.

    Args:
        labels: of the model that is used again: the same ones, perhaps in another order.

    Raises:
        ValueError: if these are others.
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
        reader=DiagnosticReader(reader) if variant == "ax" else reader,
        figures=corpus.figures,
        metric=corpus.metric,
        submission=Submission(tuple(corpus.submission.items()), lowest, highest),
        is_pair=len(corpus.texts) == 2,
    )


@dataclasses.dataclass(frozen=True)
class DiagnosticReader:
    """A reader of examples that are only there to be predicted, by a model of another task."""

    reader: TextReader

    def splits(self, purpose: str) -> tuple[str, ...]:
        if purpose != "predict":
            raise ValueError(
                f"glue:ax only has examples to predict, none for {purpose!r}. Fine-tune glue:mnli, "
                f"and give its checkpoint to predict glue:ax with."
            )
        return self.reader.splits(purpose)

    def sources(self, split: str) -> list[str]:
        return self.reader.sources(split)

    def read(self, split: str) -> list[TextExample]:
        return self.reader.read(split)


def _reader(variant: str, corpus: _Corpus, options: Options) -> TextReader:
    if options.data_source == "files":
        return GlueReader(variant, options.data_dir, corpus.numbered)
    return TfdsReader(
        dataset=f"glue/{variant.replace('-', '')}",
        data_dir=options.data_dir,
        split_names=_TFDS_SPLITS.get(variant, _TFDS_SPLITS[""]),
        texts=corpus.texts,
        labels=corpus.numbered,
    )
