"""What is said of the labels of a split before anything is trained."""

import time
from collections import Counter

import pytest

from bert_tf.tasks.example_report import odd_labels, report_examples
from bert_tf.tasks.text_examples import TextExample


def examples(*labels, **changes):
    return [
        TextExample(f"train-{i}", **{"text_a": "a", "label": label, "where": f"f:{i}", **changes})
        for i, label in enumerate(labels)
    ]


@pytest.mark.parametrize(
    ("group", "remark"),
    [
        (("Yes", "yes"), "differ only in case, white space or invisible characters: 'Yes', 'yes'"),
        (("a b", "a  b"), "characters: 'a  b', 'a b'"),
        (("yes", "yes\u200b"), r"'yes', 'yes\u200b'"),
        (("é", "e\u0301"), "characters: 'e\u0301', 'é'"),
        (("1", "１"), "characters: '1', '１'"),
        (("yes\ufeff", "no"), r"invisible characters or too much white space: 'yes\ufeff'"),
        (("1", "1.0", "01"), "the same number: '01', '1', '1.0'"),
        (("nan", "a"), "as written for a missing value: 'nan'"),
        (("NULL", "None", "n/a", "-"), "missing value: 'NULL', 'None', 'n/a', '-'"),
    ],
)
def test_labels_that_are_probably_not_meant_are_named(group, remark):
    remarks = odd_labels(Counter(group * 4))
    assert len([each for each in remarks if remark in each]) == 1


def test_labels_that_are_meant_are_not():
    assert not odd_labels(Counter({"0": 9, "1": 3, "10": 4, "contradiction": 2, "北京": 5}))


def test_the_time_of_a_label_grows_with_its_length():
    """Unicode puts these marks in order by insertion, which would take half a minute."""
    start = time.process_time()
    odd_labels(Counter({"a": 2, "\u0301\u0316" * 50_000: 2}))
    assert time.process_time() - start < 3


def test_rare_and_absent_labels_and_as_many_labels_as_examples_are_named():
    assert odd_labels(Counter({"a": 8, "b": 1, "c": 0})) == [
        "labels with a single example: 'b'",
        "labels without an example: 'c'",
    ]
    (rare, many) = odd_labels(Counter(map(str, range(30))))
    assert rare.endswith("'18', '19', and 10 more")
    assert many.startswith("30 labels for 30 examples: is this the column of the labels?")


def test_labels_are_listed_with_their_counts_in_every_split(caplog):
    with caplog.at_level("INFO"):
        report_examples("t", "eval", examples("a", "a", "b"), ("b", "a", "c"))
        report_examples("t", "train", examples(1.0, 4.0), ())
    assert "t, eval: 3 labels: 'a': 2, 'b': 1, 'c': 0" in caplog.text
    assert "t, train: labels from 1 to 4, mean 2.5" in caplog.text
    assert "WARNING" not in caplog.text


@pytest.mark.parametrize(("labels", "classes"), [(("a", "a"), ("a", "b")), ((2.0, 2.0), ())])
def test_a_split_of_one_label_is_named(caplog, labels, classes):
    report_examples("t", "eval", examples(*labels), classes)
    assert f"t, eval: all 2 labels are {labels[0]!r}" in caplog.text


def test_texts_of_nothing_are_counted_with_their_places(caplog):
    report_examples("t", "predict", examples(None, None, text_a="\u200b \n"), ("a", "b"))
    assert "t, predict: 2 of 2 examples have a text of nothing, such as f:0, f:1" in caplog.text
