"""The task on one's own tables: which files, columns and labels, and what is refused."""

import dataclasses
import gzip
import json
import pickle
import random

import numpy as np
import pytest
from small_finetuning import small_finetuning
from task_rows import encode_all, predict_texts

from bert_tf.finetuning.program import run_finetuning
from bert_tf.tasks.task import find_task
from bert_tf.text.tokenization import FullTokenizer

COLUMNS = {"text_a_column": "text", "label_column": "label"}


@pytest.fixture
def write(tmp_path):
    """Writes a file's rows, whose fields are given with | between them, and gives its path."""

    def write(name: str, *rows: str) -> str:
        lines = [row.replace("|", "\t") for row in rows]
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return str(tmp_path / name)

    return write


@pytest.fixture
def make(tmp_path):
    """The task with some options and, unless they say otherwise, the files in tmp_path."""

    def make(saved=None, **options):
        return find_task("tsv", {"data_dir": str(tmp_path), **COLUMNS, **options}, saved)

    return make


@pytest.fixture
def three(write):
    """Files with three labels. Returns: the folder."""
    write("train.tsv", "text|label", "a b|10", "c|9", "d|10", "e|-1", "f|9")
    write("dev.tsv", "text|label", "g|9", "h|-1")
    return write("test.tsv", "text", "i", "j").removesuffix("/test.tsv")


def refusal(function, *arguments, **options) -> str:
    with pytest.raises(ValueError, match=r"\S") as error:
        function(*arguments, **options)
    return str(error.value)


def test_examples_have_texts_labels_names_and_where_they_stand(write, make):
    path = write("train.tsv", "label|text|second", "yes|a b| c", "no |d|", "yes|e|f")
    first, second, _ = make(text_b_column="second").read("train")
    assert (first.text_a, first.text_b, first.label) == ("a b", " c", "yes")
    assert (first.guid, first.where) == ("train-0", f"{path}:2")
    assert (second.text_a, second.text_b, second.label) == ("d", None, "no")
    assert second.guid == "train-1"


def test_labels_are_those_of_the_training_file_in_the_order_of_their_numbers(three, make):
    assert make().labels == ("-1", "9", "10")


def test_labels_that_are_not_all_whole_numbers_are_sorted_as_texts(write, make):
    write("train.tsv", "text|label", "a|10", "b|9", "c|x", "d|1.5")
    assert make().labels == ("1.5", "10", "9", "x")


def test_given_labels_keep_their_order_and_need_no_training_file(write, make):
    write("dev.tsv", "text|label", "a|yes", "b|no")
    task = make(labels="yes, no,maybe")
    assert task.labels == ("yes", "no", "maybe")
    assert [example.label for example in task.read("eval")] == ["yes", "no"]


def test_saved_labels_stand_for_a_training_file_that_is_no_more(write, make):
    write("test.tsv", "text", "a")
    assert make(saved=("b", "a")).labels == ("b", "a")
    assert make(saved=("b", "a"), labels="b,a").labels == ("b", "a")
    assert make(saved=("b", "a"), label_column="").splits("predict") == ("predict",)


def test_labels_that_contradict_the_saved_ones_are_refused(three, make):
    for options in ({"labels": "a,b"}, {"labels": "b"}, {"regression": "true"}):
        message = refusal(make, saved=("b", "a"), **options)
        assert "trained for the labels b,a, in this order" in message
    # Those of the file do not decide over a model that is there: they are refused one by one.
    task = make(saved=("-1", "9"))
    assert task.labels == ("-1", "9")
    assert "train.tsv:2: label '10' is not one of -1, 9" in refusal(task.read, "train")


def test_a_label_that_training_did_not_have_is_refused_with_file_and_line(three, write, make):
    path = write("dev.tsv", "text|label", "g|9", "h|11")
    assert refusal(make().read, "eval") == (
        f"{path}:3: label '11' is not one of -1, 9, 10. Of 2 examples for 'eval', 1 have no usable "
        f"label: correct or remove them."
    )
    write("train.tsv", "text|label", *(f"a|{i}" for i in range(30)), "b|29")
    write("dev.tsv", "text|label", "g|9", "h|31")
    assert "is not one of 0, 1, 2, " in refusal(make().read, "eval")
    assert "18, 19, and 10 more. Of 2" in refusal(make().read, "eval")


def test_one_label_none_and_too_many_are_refused(write, make):
    path = write("train.tsv", "text|label", "a|1", "b|1")
    message = refusal(make)
    assert path in message
    assert "at least two labels" in message
    write("train.tsv", "text|label")
    assert "no row" in refusal(make)
    path = write("train.tsv", "text|label", "a|1", "b|0", "c|")
    assert refusal(make().read, "train").startswith(f"{path}:4: no label. Of 3 examples for 'tr")
    write("train.tsv", "text|label", *(f"a|{i}" for i in range(1001)))
    message = refusal(make)
    assert message.startswith(f"{path}: column 'label' has 1,001 different labels")
    assert "--regression" in message
    assert refusal(make, labels="a") == refusal(make, labels="a,a").replace("a, a", "a")
    assert "none of them empty" in refusal(make, labels="a,,b")
    write("train.tsv", "text|label", *(f"a|{i}" for i in range(1000)), "a|7")
    assert len(make().labels) == 1000


def test_a_column_that_never_repeats_is_explained(write, make):
    write("train.tsv", "id|text|label", *(f"r{i}|a|{i % 2}" for i in range(300)))
    message = refusal(make, label_column="id")
    assert "column 'id' has another label in each of its 300 rows, as ids" in message
    assert "check --label_column" in message
    names = ",".join(f"r{i}" for i in range(300))
    assert len(make(label_column="id", labels=names).read("train")) == 300


def test_what_was_detected_is_said_once_with_the_labels_and_their_counts(write, make, caplog):
    path = write("train.tsv", "text|label", "a|no", "b|yes", "c|no")
    with caplog.at_level("INFO"):
        make().read("train")
    lines = [record.getMessage() for record in caplog.records if record.levelname == "INFO"]
    assert lines == [
        rf"{path}: tsv in UTF-8, columns separated by '\t', header 'text', 'label'; "
        "columns text, label",
        "tsv, train: 2 labels: 'no': 2, 'yes': 1",
    ]


def test_labels_and_texts_of_nothing_are_missing(write, make, caplog):
    path = write("dev.tsv", "text|second|label", "a|b|1", "c|\u200b|0", "\ufeff\u00a0|d|1")
    task = make(labels="0,1", text_b_column="second")
    assert refusal(task.read, "eval").startswith(f"{path}:4: no text in column 'text'")
    write("dev.tsv", "text|second|label", "a|b|1", "c|\u200b|0", "nan|d|1")
    assert [example.text_b for example in task.read("eval")] == ["b", None, "d"]
    assert f"2 of 3 examples have a text of nothing, such as {path}:3, {path}:4" in caplog.text
    write("dev.tsv", "text|second|label", "a|b|\u200b", "a|b|1")
    assert refusal(task.read, "eval").startswith(f"{path}:2: no label")


def test_rows_to_predict_with_one_id_are_named_and_none_is_lost(write, make, caplog):
    path = write("test.tsv", "key|text", "k|a", "\u200b|b", "k|c", "test-1|d")
    task = make(labels="0,1", id_column="key")
    assert [example.guid for example in task.read("predict")] == ["k", "test-1", "k", "test-1"]
    assert f"2 examples have another's id, such as 'k' at {path}:2 and {path}:4" in caplog.text


def test_a_file_given_twice_is_named(write, make, caplog):
    path = write("train.tsv", "text|label", "a|1", "b|0")
    assert len(make(train_file=f"{path},{path}").read("train")) == 4
    assert f"{path}: given more than once for 'train'" in caplog.text


def test_a_row_without_text_and_one_without_label_are_refused(write, make):
    path = write("dev.tsv", "text|label", "a|1", " |0")
    assert refusal(make(labels="0,1").read, "eval").startswith(f"{path}:3: no text in column")
    write("dev.tsv", "text|label", "a|1", "b| ")
    assert refusal(make(labels="0,1").read, "eval").startswith(f"{path}:3: no label")


def test_an_empty_second_text_leaves_a_single_one(write, make):
    write("dev.tsv", "text|second|label", "a|b|1", "c||0", "d|e|0")
    task = make(labels="0,1", text_b_column="second")
    assert [example.text_b for example in task.read("eval")] == ["b", None, "e"]


def test_a_regression_reads_numbers(write, make):
    path = write("train.tsv", "text|label", "a|2.5", "b|-1e3")
    task = make(regression="true")
    assert (task.labels, task.metric) == ((), "pearson")
    assert [example.label for example in task.read("train")] == [2.5, -1000.0]
    write("train.tsv", "text|label", "a|2.5", "b|3,5")
    assert refusal(task.read, "train").startswith(f"{path}:3: label '3,5' is not a number")
    assert "drop one" in refusal(make, regression="true", labels="0,1")


def test_what_is_to_be_predicted_needs_no_label_and_none_is_looked_at(write, make):
    write("test.tsv", "text", "a", "b")
    task = make(labels="0,1")
    assert [(example.guid, example.label) for example in task.read("predict")] == [
        ("test-0", None),
        ("test-1", None),
    ]
    write("test.tsv", "label|text", "?|a")
    assert [example.label for example in task.read("predict")] == [None]


def test_predictions_are_named_by_a_column_that_only_the_test_file_needs(three, write, make):
    write("test.tsv", "key|text", "k7|a", "|b")
    task = make(id_column="key")
    assert [example.guid for example in task.read("predict")] == ["k7", "test-1"]
    assert task.read("train")[0].guid == "train-0"


def test_files_are_found_in_the_folder_in_any_format(tmp_path, make):
    (tmp_path / "train.csv").write_text('text,label\n"a, b",1\nc,0\n')
    content = b'{"label": 1, "text": "d"}\n'
    (tmp_path / "dev.jsonl.gz").write_bytes(gzip.compress(content))
    task = make()
    assert [example.text_a for example in task.read("train")] == ["a, b", "c"]
    assert [(example.text_a, example.label) for example in task.read("eval")] == [("d", "1")]
    assert task.sources("eval") == [str(tmp_path / "dev.jsonl.gz")]


def test_named_files_win_and_may_be_several(three, write, make):
    write("part-1.tsv", "text|label", "p|9")
    write("part-2.tsv", "text|label", "q|10")
    task = make(train_file=f"{three}/part-*.tsv", dev_file=f"{three}/part-2.tsv")
    assert [(each.guid, each.text_a) for each in task.read("train")] == [
        ("train-0", "p"),
        ("train-1", "q"),
    ]
    assert task.labels == ("9", "10")
    assert [example.text_a for example in task.read("eval")] == ["q"]
    assert [example.text_a for example in task.read("predict")] == ["i", "j"]
    assert "No file matches" in refusal(make, train_file=f"{three}/none.tsv")


def test_a_missing_file_and_two_for_one_purpose_are_refused(write, make):
    message = refusal(make)
    assert "There is no train file" in message
    assert "Give --dev_file" in refusal(make(labels="0,1").splits, "eval")
    write("dev.tsv", "text|label", "a|1")
    write("dev.csv", "text,label", "a,1")
    assert "Give --dev_file" in refusal(make(labels="0,1").splits, "eval")


def test_columns_that_are_not_said_or_said_twice_are_refused(write, make):
    write("dev.tsv", "text|label", "a|1")
    assert "--text_a_column is needed" in refusal(make, text_a_column="", labels="0,1")
    task = make(label_column="", labels="0,1")
    assert "--label_column is needed" in refusal(task.splits, "eval")
    assert "must be different columns" in refusal(make, text_b_column="text")
    message = refusal(make(label_column="stars", labels="0,1").read, "eval")
    assert "no column 'stars'. The header is 'text', 'label'" in message


def test_numbered_columns_mean_no_header_unless_it_is_said(write, make):
    write("train.tsv", "1|a", "0|b", "1|c")
    numbered = {"text_a_column": "1", "label_column": "0"}
    assert [example.text_a for example in make(**numbered).read("train")] == ["a", "b", "c"]
    task = make(**numbered, header="true", labels="0,1")
    assert [example.text_a for example in task.read("train")] == ["b", "c"]
    message = refusal(make, text_a_column="a", label_column="0", header="false")
    assert "no column 'a'. There is no header" in message
    assert "--header must be one of" in refusal(make, header="yes")


def test_a_forgotten_header_is_noticed(write, make):
    path = write("train.tsv", "label|text", "1|a", "0|b", "1|c", "0|d")
    numbered = {"text_a_column": "1", "label_column": "0"}
    message = refusal(make, **numbered)
    assert message.startswith(f"{path}:1: is this row a header?")
    for options in ({"labels": "0,1"}, {"regression": "true"}):
        message = refusal(make(**numbered, **options).read, "train")
        assert message.startswith(f"{path}:1: is this row a header? Its label is 'label'.")
        assert "--header=true" in message
    assert make(**numbered, header="false").labels == ("0", "1", "label")
    assert make(**numbered, header="true").labels == ("0", "1")


def test_two_labels_have_an_f1_of_the_last_one_and_more_have_none(three, write, make):
    assert make().metrics == ("accuracy", "matthews")
    write("dev.tsv", "text|label", "a|no", "b|no", "c|yes")
    task = make(labels="no,yes")
    examples = task.read("eval")
    answers = predict_texts(task, examples, np.array([[1, 0], [0, 1], [0, 1]]))
    scores = task.score(examples, answers)
    assert scores["accuracy"] == pytest.approx(2 / 3)
    assert scores["f1"] == pytest.approx(2 * 0.5 * 1 / 1.5)
    assert scores["matthews"] == pytest.approx(0.5)


def test_the_task_goes_to_other_processes(three, make, small_model):
    task = pickle.loads(pickle.dumps(make()))
    tokenizer = FullTokenizer(small_model["vocab_file"], do_lower_case=True)
    (features,) = encode_all(task, task.read("train")[:1], "train", tokenizer, 8)
    assert features["label_ids"] == [2]
    assert features["input_ids"][0] == 2
    assert features["input_ids"][-1] == 3


def write_pairs(path, rng, size, with_label=True):
    """A CSV file of pairs whose second text tells the label. Returns: the labels."""
    header, labels = "id,first,second", []
    rows = [f"{header},is_good" if with_label else header]
    for i in range(size):
        first, second = rng.choice(["story", "plot"]), rng.choice(["good", "bad"])
        labels.append("yes" if second == "good" else "no")
        row = f'r{i},"the film, the {first}","the ""cast"" is\n{second}"'
        rows.append(f"{row},{labels[-1]}" if with_label else row)
    path.write_text("\n".join(rows) + "\n")
    return labels


def test_a_model_learns_from_csv_and_predicts_when_the_training_file_is_gone(small_model, tmp_path):
    rng = random.Random(3)
    write_pairs(tmp_path / "train.csv", rng, 256)
    write_pairs(tmp_path / "dev.csv", rng, 40)
    options = (
        f"data_dir={tmp_path}",
        "text_a_column=first",
        "text_b_column=second",
        "label_column=is_good",
        "id_column=id",
    )
    settings = small_finetuning(small_model, "tsv", tmp_path / "out", options)
    results = run_finetuning(settings)
    assert results["eval_accuracy"] > 0.9
    assert {"eval_f1", "eval_matthews", "eval_loss"} <= set(results)
    assert json.loads((tmp_path / "out" / "task.json").read_text())["labels"] == ["no", "yes"]

    (tmp_path / "train.csv").unlink()
    labels = write_pairs(tmp_path / "test.csv", rng, 30, with_label=False)
    run_finetuning(dataclasses.replace(settings, do_train=False, do_eval=False, do_predict=True))
    lines = (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["id"] for row in rows] == [f"r{i}" for i in range(30)]
    assert np.mean([row["label"] == label for row, label in zip(rows, labels, strict=True)]) > 0.9
    lines = (tmp_path / "out" / "test_results.tsv").read_text().splitlines()
    for row, line in zip(rows, lines, strict=True):
        assert [float(value) for value in line.split("\t")] == list(row["probabilities"].values())


@pytest.mark.data
def test_sts_b_is_read_as_a_regression_by_column_numbers(data_dir):
    folder = data_dir / "glue" / "STS-B"
    options = {"text_a_column": "0", "text_b_column": "1", "label_column": "2"}
    task = find_task(
        "tsv",
        {
            **options,
            "train_file": f"{folder}/stsb-en-train.csv",
            "dev_file": f"{folder}/stsb-en-dev.csv",
            "regression": "true",
        },
    )
    examples = task.read("train")
    assert len(examples) == 5749
    assert examples[0].text_a == "A plane is taking off."
    assert (examples[0].label, examples[-1].where.rpartition(":")[2]) == (5.0, "5749")
    assert {0.0, 5.0} == {min(e.label for e in examples), max(e.label for e in examples)}
    assert len(task.read("eval")) == 1500


@pytest.mark.data
def test_rte_and_codah_are_read_as_classes(data_dir):
    names = {"text_a_column": "sentence1", "text_b_column": "sentence2", "label_column": "label"}
    task = find_task("tsv", {"data_dir": f"{data_dir}/glue/RTE", **names})
    assert task.labels == ("0", "1")
    assert [len(task.read(split)) for split in ("train", "eval")] == [2490, 277]
    numbers = {"text_a_column": "1", "text_b_column": "2", "label_column": "6"}
    task = find_task("tsv", {"train_file": f"{data_dir}/codah/full_data.tsv.gz", **numbers})
    assert task.labels == ("0", "1", "2", "3")
    assert len(task.read("train")) == 2776
