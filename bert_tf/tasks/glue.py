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

from bert_tf.settings.setting import Settings, setting
from bert_tf.tasks.benchmark_reader import BenchmarkReader
from bert_tf.tasks.classification import TextClassification, check_labels
from bert_tf.tasks.glue_files import COLUMN_NAMES, LAYOUTS
from bert_tf.tasks.tfds_source import TfdsReader


@dataclasses.dataclass(frozen=True)
class Options(Settings):
    """The options of a GLUE task."""

    data_dir: str = setting(
        "",
        "Folder with the task's files as GLUE distributes them (train.tsv, ...), or of "
        "tensorflow-datasets.",
    )
    data_source: str = setting(
        "files",
        "files: GLUE's own files in data_dir. tfds: tensorflow-datasets.",
        choices=("files", "tfds"),
    )


_BINARY = ("0", "1")
_ENTAILMENT = ("entailment", "not_entailment")
_MNLI = ("contradiction", "entailment", "neutral")
# The order in which tensorflow-datasets and others number MNLI's labels.
_MNLI_NUMBERED = ("entailment", "neutral", "contradiction")

# Each task's labels, as in the official files, in the order of the original release, () for a
# number; its metrics, of which the first one selects the model (but for STS-B); and the name of the
# file with its predictions that the server expects.
_CORPORA = {
    "cola": (_BINARY, ("matthews", "accuracy"), "CoLA.tsv"),
    "mnli": (_MNLI, ("accuracy",), "MNLI-m.tsv"),
    "mrpc": (_BINARY, ("f1", "accuracy"), "MRPC.tsv"),
    "sst-2": (_BINARY, ("accuracy",), "SST-2.tsv"),
    "sts-b": ((), ("pearson", "spearman"), "STS-B.tsv"),
    "qqp": (_BINARY, ("f1", "accuracy"), "QQP.tsv"),
    "qnli": (_ENTAILMENT, ("accuracy",), "QNLI.tsv"),
    "rte": (_ENTAILMENT, ("accuracy",), "RTE.tsv"),
    "wnli": (_BINARY, ("accuracy",), "WNLI.tsv"),
    "ax": (_MNLI, ("matthews", "accuracy"), "AX.tsv"),
}
_SPELLINGS = {"sst2": "sst-2", "stsb": "sts-b"}
VARIANTS = (*_CORPORA, *_SPELLINGS)

# MNLI's splits: see `TfdsReader.split_names`.
_TFDS_MNLI_SPLITS = {
    "train": ("train", "train"),
    "eval": ("validation_matched", "dev_matched"),
    "eval_mismatched": ("validation_mismatched", "dev_mismatched"),
    "predict": ("test_matched", "test"),
    "predict_mismatched": ("test_mismatched", "test_mismatched"),
}


def make(variant: str, options: Options, labels: tuple[str, ...] | None) -> TextClassification:
    """Makes the task of a variant; the labels of a trained model may be in any order."""
    variant = _SPELLINGS.get(variant, variant)
    own_labels, metrics, submission = _CORPORA[variant]
    check_labels(f"glue:{variant}", own_labels, labels)
    numbered = _MNLI_NUMBERED if own_labels == _MNLI else own_labels
    columns = COLUMN_NAMES[variant]
    texts = tuple(names[-1] for names in columns[:-1])  # As in tensorflow-datasets.
    if options.data_source == "files":
        reader = BenchmarkReader(
            name=f"glue:{variant}",
            data_dir=options.data_dir,
            layouts=LAYOUTS[variant],
            columns=columns,
            num_texts=len(texts),
            spellings={str(number): label for number, label in enumerate(numbered)},
            has_guids=variant == "mnli",
            # Some of QQP's questions contain a line break, which leaves two incomplete rows.
            may_have_short_rows=variant == "qqp",
        )
    else:
        reader = TfdsReader(f"glue/{variant.replace('-', '')}", options.data_dir, texts, numbered)
        if variant == "mnli":
            reader = dataclasses.replace(reader, split_names=_TFDS_MNLI_SPLITS)
    submissions = {"predict": submission}
    if variant == "mnli":
        submissions["predict_mismatched"] = "MNLI-mm.tsv"
    return TextClassification(
        name=f"glue:{variant}",
        options=options,
        labels=labels or own_labels,
        reader=reader,
        metrics=metrics,
        metric="spearman" if variant == "sts-b" else metrics[0],
        submissions=submissions,
        is_pair=len(texts) == 2,
    )
