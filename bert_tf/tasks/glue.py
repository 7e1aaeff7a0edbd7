"""Defines the nine GLUE tasks on sentences or pairs, and its diagnostic set: `--task=glue:mrpc`.

Files are read in the layouts of the GLUE server and other distributors, quotes as ordinary
characters. The metrics are the GLUE leaderboard's. Where it has two, models are compared by the
one that the BERT paper reports (section 4.1).

Source: google-research/bert, run_classifier.py; Wang et al. (2018), https://gluebenchmark.com.
"""

import dataclasses

from bert_tf.settings.setting import setting
from bert_tf.spans.long_texts import LongTextOptions
from bert_tf.tasks.benchmark_reader import BenchmarkReader, Layout
from bert_tf.tasks.classification import TextClassification, check_labels
from bert_tf.tasks.sts_b_files import STS_B_COLUMNS, STS_B_LAYOUTS
from bert_tf.tasks.tfds_source import TfdsReader


@dataclasses.dataclass(frozen=True)
class Options(LongTextOptions):
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
    test_file: str = setting(
        "", "Files to predict in the layout of the test file, instead of that in data_dir."
    )

    def __post_init__(self):
        super().__post_init__()
        if self.test_file and self.data_source == "tfds":
            raise ValueError("--test_file is for GLUE's own files, --data_source=files.")


_BINARY = ("0", "1")
_ENTAILMENT = ("entailment", "not_entailment")
_MNLI = ("contradiction", "entailment", "neutral")
_MNLI_NUMBERED = ("entailment", "neutral", "contradiction")  # The order in tensorflow-datasets.

# Each task's labels in the original's order, () for a number; its metrics, of which the first one
# selects the model (but for STS-B); and the prediction file that the server expects.
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

_TFDS_MNLI_SPLITS = {
    "train": "train",
    "eval": "validation_matched",
    "eval_mismatched": "validation_mismatched",
    "predict": "test_matched",
    "predict_mismatched": "test_mismatched",
}

_Layouts = dict[str, tuple[Layout, ...]]


def _usual(places: tuple[int, ...], test_places: tuple[int, ...]) -> _Layouts:
    return {
        "train": (Layout(("train.tsv",), places),),
        "eval": (Layout(("dev.tsv",), places),),
        "predict": (Layout(("test.tsv",), test_places),),
    }


_COLA_DEV = ("in_domain_dev.tsv", "out_of_domain_dev.tsv")
_MSR_TEST = ("msr_paraphrase_test.txt",)

# fmt: off
# The possible layouts by variant and split: the first one whose files exist is read.
_LAYOUTS: dict[str, _Layouts] = {
    "cola": {
        "train": (Layout(("train.tsv",), (3, 1), has_header=False),
                  Layout(("in_domain_train.tsv",), (3, 1), has_header=False)),
        "eval": (Layout(("dev.tsv",), (3, 1), has_header=False),
                 Layout(_COLA_DEV, (3, 1), has_header=False)),
        "predict": (Layout(("test.tsv",), (1,)),),
    },
    "mnli": {
        "train": (Layout(("train.tsv",), (8, 9, -1)),),
        "eval": (Layout(("dev_matched.tsv",), (8, 9, -1)),),
        "eval_mismatched": (Layout(("dev_mismatched.tsv",), (8, 9, -1)),),
        "predict": (Layout(("test_matched.tsv",), (8, 9)),),
        "predict_mismatched": (Layout(("test_mismatched.tsv",), (8, 9)),),
    },
    "mrpc": {
        "train": (Layout(("train.tsv",), (3, 4, 0)),
                  Layout(("msr_paraphrase_train.txt",), (3, 4, 0))),
        "eval": (Layout(("dev.tsv",), (3, 4, 0)),
                 Layout(_MSR_TEST, (3, 4, 0))),
        "predict": (Layout(("test.tsv",), (3, 4)), Layout(_MSR_TEST, (3, 4))),
    },
    "sst-2": _usual((0, 1), (1,)),
    "sts-b": STS_B_LAYOUTS,
    "qqp": _usual((3, 4, 5), (1, 2)),
    "qnli": _usual((1, 2, 3), (1, 2)),
    "rte": _usual((1, 2, 3), (1, 2)),
    "wnli": _usual((1, 2, 3), (1, 2)),
    "ax": {"predict": (Layout(("diagnostic.tsv",), (1, 2)), Layout(("AX.tsv",), (1, 2)))},
}

_PREMISES = (("sentence1", "premise"), ("sentence2", "hypothesis"))
_SENTENCES = (("sentence1",), ("sentence2",))
# The possible header names of the texts and the label.
_COLUMN_NAMES: dict[str, tuple[tuple[str, ...], ...]] = {
    "cola": (("sentence",), ("label",)),
    "mnli": (*_PREMISES, ("gold_label", "label")),
    "mrpc": (("#1 String", "sentence1"), ("#2 String", "sentence2"), ("Quality", "label")),
    "sst-2": (("sentence",), ("label",)),
    "sts-b": STS_B_COLUMNS,
    "qqp": (("question1",), ("question2",), ("is_duplicate", "label")),
    "qnli": (("question",), ("sentence",), ("label",)),
    "rte": (*_SENTENCES, ("label",)),
    "wnli": (*_SENTENCES, ("label",)),
    "ax": (*_PREMISES, ("label",)),
}
# fmt: on


def make(variant: str, options: Options, labels: tuple[str, ...] | None) -> TextClassification:
    """Makes the task of a variant; a trained model's labels may be in any order."""
    variant = _SPELLINGS.get(variant, variant)
    own_labels, metrics, submission = _CORPORA[variant]
    check_labels(f"glue:{variant}", own_labels, labels)
    numbered = _MNLI_NUMBERED if own_labels == _MNLI else own_labels
    columns = _COLUMN_NAMES[variant]
    texts = tuple(names[-1] for names in columns[:-1])  # As in tensorflow-datasets.
    if options.data_source == "files":
        reader = BenchmarkReader(
            name=f"glue:{variant}",
            data_dir=options.data_dir,
            layouts=_LAYOUTS[variant],
            columns=columns,
            num_texts=len(texts),
            spellings={str(number): label for number, label in enumerate(numbered)},
            is_mnli=variant == "mnli",
            # Some of QQP's questions contain a line break, which leaves two incomplete rows.
            may_have_short_rows=variant == "qqp",
            test_file=options.test_file,
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
