"""The layouts in which GLUE's files are distributed, by the GLUE server and elsewhere.

Quotes are ordinary characters, CoLA's `train.tsv` has no header, and MNLI's label is in the last
column. If a header says so, columns may be in other places and have the names that
tensorflow-datasets and others give them.

Source: google-research/bert, run_classifier.py; https://gluebenchmark.com.
"""

from bert_tf.tasks.benchmark_reader import Layout

Layouts = dict[str, tuple[Layout, ...]]


def _usual(places: tuple[int, ...], test_places: tuple[int, ...]) -> Layouts:
    return {
        "train": (Layout(("train.tsv",), places),),
        "eval": (Layout(("dev.tsv",), places),),
        "predict": (Layout(("test.tsv",), test_places),),
    }


_COLA_DEV = ("in_domain_dev.tsv", "out_of_domain_dev.tsv")
_MSR_TRAIN, _MSR_TEST = ("msr_paraphrase_train.txt",), ("msr_paraphrase_test.txt",)
_MSR_WARNING = "no dev.tsv and no dev_ids.tsv, so the labelled test set is used for evaluation."

# fmt: off
# By variant and split, its possible layouts: the first one whose files exist is read.
LAYOUTS: dict[str, Layouts] = {
    "cola": {
        "train": (Layout(("train.tsv",), (3, 1), has_header=False),
                  Layout(("in_domain_train.tsv",), (3, 1), has_header=False)),
        "eval": (Layout(("dev.tsv",), (3, 1), has_header=False),
                 Layout(_COLA_DEV, (3, 1), has_header=False)),
        "predict": (Layout(("test.tsv",), (1,)),),
    },
    "mnli": {
        "train": (Layout(("train.tsv",), (8, 9, -1)),),
        "eval": (Layout(("dev_matched.tsv",), (8, 9, -1), guid_prefix="dev_matched"),),
        "eval_mismatched": (Layout(("dev_mismatched.tsv",), (8, 9, -1)),),
        "predict": (Layout(("test_matched.tsv",), (8, 9)),),
        "predict_mismatched": (Layout(("test_mismatched.tsv",), (8, 9)),),
    },
    "mrpc": {
        "train": (Layout(("train.tsv",), (3, 4, 0)),
                  Layout(_MSR_TRAIN, (3, 4, 0), is_in_dev=False)),
        "eval": (Layout(("dev.tsv",), (3, 4, 0)),
                 Layout(_MSR_TRAIN, (3, 4, 0), is_in_dev=True),
                 Layout(_MSR_TEST, (3, 4, 0), warning=_MSR_WARNING)),
        "predict": (Layout(("test.tsv",), (3, 4)), Layout(_MSR_TEST, (3, 4))),
    },
    "sst-2": _usual((0, 1), (1,)),
    "sts-b": {
        "train": (Layout(("train.tsv",), (7, 8, 9)),
                  Layout(("stsb-en-train.csv",), (0, 1, 2), has_header=False)),
        "eval": (Layout(("dev.tsv",), (7, 8, 9)),
                 Layout(("stsb-en-dev.csv",), (0, 1, 2), has_header=False)),
        "predict": (Layout(("test.tsv",), (7, 8)),
                    Layout(("stsb-en-test.csv",), (0, 1), has_header=False)),
    },
    "qqp": _usual((3, 4, 5), (1, 2)),
    "qnli": _usual((1, 2, 3), (1, 2)),
    "rte": _usual((1, 2, 3), (1, 2)),
    "wnli": _usual((1, 2, 3), (1, 2)),
    "ax": {"predict": (Layout(("diagnostic.tsv",), (1, 2)), Layout(("AX.tsv",), (1, 2)))},
}

_PREMISES = (("sentence1", "premise"), ("sentence2", "hypothesis"))
_SENTENCES = (("sentence1",), ("sentence2",))
# The names that a header may give to the text or both texts, and to the label.
COLUMN_NAMES: dict[str, tuple[tuple[str, ...], ...]] = {
    "cola": (("sentence",), ("label",)),
    "mnli": (*_PREMISES, ("gold_label", "label")),
    "mrpc": (("#1 String", "sentence1"), ("#2 String", "sentence2"), ("Quality", "label")),
    "sst-2": (("sentence",), ("label",)),
    "sts-b": (*_SENTENCES, ("score", "label")),
    "qqp": (("question1",), ("question2",), ("is_duplicate", "label")),
    "qnli": (("question",), ("sentence",), ("label",)),
    "rte": (*_SENTENCES, ("label",)),
    "wnli": (*_SENTENCES, ("label",)),
    "ax": (*_PREMISES, ("label",)),
}
# fmt: on
