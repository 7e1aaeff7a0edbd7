"""What the tests of the tasks share: files as GLUE distributes them."""

import gzip

import pytest

from bert_tf.tasks.task import find_task

MNLI_HEADER = [
    "index",
    "promptID",
    "pairID",
    "genre",
    "sentence1_binary_parse",
    "sentence2_binary_parse",
    "sentence1_parse",
    "sentence2_parse",
    "sentence1",
    "sentence2",
]
STSB_HEADER = [
    "index",
    "genre",
    "filename",
    "year",
    "old_index",
    "source1",
    "source2",
    "sentence1",
    "sentence2",
]


def table(*rows):
    return "".join("\t".join(row) + "\n" for row in rows)


def mnli(labels, *rows):
    return table([*MNLI_HEADER, *labels], *([number, *"abcdefg", *row] for number, row in rows))


# By variant: GLUE's files.
OFFICIAL = {
    "cola": {
        "train.tsv": table(["gj04", "1", "", 'Our "friends'], ["gj04", "0", "*", "They drank it"]),
        "dev.tsv": table(["gj04", "1", "", "The sailors rode"]),
        "test.tsv": table(["index", "sentence"], ["0", "Bill whistled past"], ["1", "It is"]),
    },
    "mnli": {
        "train.tsv": mnli(
            ["label1", "gold_label"],
            ("0", ["I 'm\"", "You", "neutral", "neutral"]),
            ("1", ["c", "d", "neutral", "contradiction"]),
        ),
        "dev_matched.tsv": mnli(
            [*(f"label{i}" for i in range(1, 6)), "gold_label"],
            ("7", ["m", "n", *["neutral"] * 5, "entailment"]),
        ),
        "dev_mismatched.tsv": mnli(
            [*(f"label{i}" for i in range(1, 6)), "gold_label"],
            ("8", ["o", "p", *["entailment"] * 5, "contradiction"]),
        ),
        "test_matched.tsv": mnli([], ("0", ["q", "r"]), ("1", ["s", "t"])),
        "test_mismatched.tsv": mnli([], ("0", ["u", "v"])),
    },
    "mrpc": {
        "train.tsv": "\ufeff"
        + table(
            ["Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"],
            ["1", "70", "71", 'He said "no.', "He\"d said 'no'."],
            ["0", "72", "73", "c", "d"],
        ),
        "dev.tsv": table(
            ["Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"], ["0", "74", "75", "e", "f"]
        ),
        "test.tsv": table(
            ["index", "#1 ID", "#2 ID", "#1 String", "#2 String"], ["0", "76", "77", "g", "h"]
        ),
    },
    "sst-2": {
        "train.tsv": table(["sentence", "label"], ["hide new secretions ", "0"], ["good ", "1"]),
        "dev.tsv": table(["sentence", "label"], ["a charming journey . ", "1"]),
        "test.tsv": table(["index", "sentence"], ["0", "uneasy mishmash"]),
    },
    "sts-b": {
        "train.tsv": table(
            [*STSB_HEADER, "score"],
            ["0", "news", "f", "2012", "1", "none", "none", 'A "plane', "An air plane", "5.000"],
            ["1", "news", "f", "2012", "4", "none", "none", "c", "d", "3.8"],
        ),
        "dev.tsv": table(
            [*STSB_HEADER, "score"],
            ["0", "news", "f", "2012", "1", "none", "none", "e", "f", "0.250"],
        ),
        "test.tsv": table(STSB_HEADER, ["0", "news", "f", "2012", "1", "none", "none", "g", "h"]),
    },
    "qqp": {
        "train.tsv": table(
            ["id", "qid1", "qid2", "question1", "question2", "is_duplicate"],
            ["1", "5", "6", "How?", "Why?", "0"],
            ["2", "7", "8", "Broken"],
            ["here", "Whole?", "1"],
            ["3", "9", "1", "c", "d", "1"],
        ),
        "dev.tsv": table(
            ["id", "qid1", "qid2", "question1", "question2", "is_duplicate"],
            ["4", "5", "6", "e", "f", "1"],
        ),
        "test.tsv": table(["id", "question1", "question2"], ["0", "g", "h"]),
    },
    "qnli": {
        "train.tsv": table(
            ["index", "question", "sentence", "label"],
            ["0", "When?", "In 1990.", "entailment"],
            ["1", "c", "d", "not_entailment"],
        ),
        "dev.tsv": table(
            ["index", "question", "sentence", "label"], ["0", "e", "f", "not_entailment"]
        ),
        "test.tsv": table(["index", "question", "sentence"], ["0", "g", "h"]),
    },
    "rte": {
        "train.tsv": table(
            ["index", "sentence1", "sentence2", "label"],
            ["0", "a", "b", "not_entailment"],
            ["1", "c", "d", "entailment"],
        ),
        "dev.tsv": table(
            ["index", "sentence1", "sentence2", "label"], ["0", "e", "f", "entailment"]
        ),
        "test.tsv": table(["index", "sentence1", "sentence2"], ["0", "g", "h"]),
    },
    "wnli": {
        "train.tsv": table(
            ["index", "sentence1", "sentence2", "label"], ["0", "a", "b", "1"], ["1", "c", "d", "0"]
        ),
        "dev.tsv": table(["index", "sentence1", "sentence2", "label"], ["0", "e", "f", "0"]),
        "test.tsv": table(["index", "sentence1", "sentence2"], ["0", "g", "h"]),
    },
    "ax": {
        "diagnostic.tsv": table(
            ["index", "sentence1", "sentence2"], ["0", "The cat sat", "It sat"], ["1", "c", "d"]
        )
    },
}


@pytest.fixture(scope="session")
def glue_files():
    """By variant, the text of each of its files, by name."""
    return OFFICIAL


@pytest.fixture
def make_glue(tmp_path):
    """Writes files, and makes the task that reads them."""

    def make_task(variant, files, packed=False):
        for name, text in files.items():
            content = text.encode("utf-8")
            path = tmp_path / (f"{name}.gz" if packed else name)
            path.write_bytes(gzip.compress(content) if packed else content)
        return find_task(f"glue:{variant}", {"data_dir": str(tmp_path)})

    return make_task
