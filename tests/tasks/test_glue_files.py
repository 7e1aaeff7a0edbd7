"""How GLUE's files are read: as they are distributed, from elsewhere, and where they are wrong."""

import pytest

from bert_tf.tasks.task import PURPOSES, find_task

VARIANTS = ("cola", "mnli", "mrpc", "sst-2", "sts-b", "qqp", "qnli", "rte", "wnli", "ax")

# variant, split, guid, text_a, text_b, label: every example of GLUE's files in conftest.py.
EXPECTED = [
    ("cola", "train", "train-0", 'Our "friends', None, "1"),
    ("cola", "train", "train-1", "They drank it", None, "0"),
    ("cola", "eval", "dev-0", "The sailors rode", None, "1"),
    ("cola", "predict", "test-1", "Bill whistled past", None, None),
    ("cola", "predict", "test-2", "It is", None, None),
    ("mnli", "train", "train-0", "I 'm\"", "You", "neutral"),
    ("mnli", "train", "train-1", "c", "d", "contradiction"),
    ("mnli", "eval", "dev_matched-7", "m", "n", "entailment"),
    ("mnli", "eval_mismatched", "dev_mismatched-8", "o", "p", "contradiction"),
    ("mnli", "predict", "test-0", "q", "r", None),
    ("mnli", "predict", "test-1", "s", "t", None),
    ("mnli", "predict_mismatched", "test_mismatched-0", "u", "v", None),
    ("mrpc", "train", "train-1", 'He said "no.', "He\"d said 'no'.", "1"),
    ("mrpc", "train", "train-2", "c", "d", "0"),
    ("mrpc", "eval", "dev-1", "e", "f", "0"),
    ("mrpc", "predict", "test-1", "g", "h", None),
    ("sst-2", "train", "train-1", "hide new secretions ", None, "0"),
    ("sst-2", "train", "train-2", "good ", None, "1"),
    ("sst-2", "eval", "dev-1", "a charming journey . ", None, "1"),
    ("sst-2", "predict", "test-1", "uneasy mishmash", None, None),
    ("sts-b", "train", "train-1", 'A "plane', "An air plane", 5.0),
    ("sts-b", "train", "train-2", "c", "d", 3.8),
    ("sts-b", "eval", "dev-1", "e", "f", 0.25),
    ("sts-b", "predict", "test-1", "g", "h", None),
    ("qqp", "train", "train-1", "How?", "Why?", "0"),
    ("qqp", "train", "train-4", "c", "d", "1"),
    ("qqp", "eval", "dev-1", "e", "f", "1"),
    ("qqp", "predict", "test-1", "g", "h", None),
    ("qnli", "train", "train-1", "When?", "In 1990.", "entailment"),
    ("qnli", "train", "train-2", "c", "d", "not_entailment"),
    ("qnli", "eval", "dev-1", "e", "f", "not_entailment"),
    ("qnli", "predict", "test-1", "g", "h", None),
    ("rte", "train", "train-1", "a", "b", "not_entailment"),
    ("rte", "train", "train-2", "c", "d", "entailment"),
    ("rte", "eval", "dev-1", "e", "f", "entailment"),
    ("rte", "predict", "test-1", "g", "h", None),
    ("wnli", "train", "train-1", "a", "b", "1"),
    ("wnli", "train", "train-2", "c", "d", "0"),
    ("wnli", "eval", "dev-1", "e", "f", "0"),
    ("wnli", "predict", "test-1", "g", "h", None),
    ("ax", "predict", "test-1", "The cat sat", "It sat", None),
    ("ax", "predict", "test-2", "c", "d", None),
]


def table(*rows):
    return "".join("\t".join(row) + "\n" for row in rows)


def all_examples(task, purposes=PURPOSES):
    return [
        (split, example.guid, example.text_a, example.text_b, example.label)
        for purpose in purposes
        for split in task.splits(purpose)
        for example in task.read(split)
    ]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
def test_glues_own_files_are_read_as_they_are_distributed(make_glue, glue_files, variant, packed):
    task = make_glue(variant, glue_files[variant], packed)
    expected = [row[1:] for row in EXPECTED if row[0] == variant]
    assert all_examples(task, ["predict"] if variant == "ax" else PURPOSES) == expected


def test_examples_say_where_they_come_from(make_glue, glue_files, tmp_path):
    task = make_glue("mrpc", glue_files["mrpc"])
    assert [each.where for each in task.read("train")] == [
        f"{tmp_path / 'train.tsv'}:{line}" for line in (2, 3)
    ]
    assert task.sources("train") == [str(tmp_path / "train.tsv")]


def test_carriage_returns_change_nothing(make_glue, glue_files):
    files = {name: text.replace("\n", "\r\n") for name, text in glue_files["mnli"].items()}
    assert all_examples(make_glue("mnli", files)) == [
        row[1:] for row in EXPECTED if row[0] == "mnli"
    ]


def test_mnli_has_two_splits_and_does_without_the_second(make_glue, glue_files, tmp_path):
    task = make_glue("mnli", glue_files["mnli"])
    assert task.splits("eval") == ("eval", "eval_mismatched")
    assert task.splits("predict") == ("predict", "predict_mismatched")
    (tmp_path / "dev_mismatched.tsv").unlink()
    (tmp_path / "test_mismatched.tsv").unlink()
    assert (task.splits("eval"), task.splits("predict")) == (("eval",), ("predict",))


def test_columns_may_stand_elsewhere_and_numbers_stand_for_words_where_the_header_says_so(
    make_glue,
):
    rte = table(
        ["sentence1", "sentence2", "label", "idx"], ["a", "b", "1", "0"], ["c", "d", "0", "1"]
    )
    assert all_examples(make_glue("rte", {"train.tsv": rte}), ["train"]) == [
        ("train", "train-1", "a", "b", "not_entailment"),
        ("train", "train-2", "c", "d", "entailment"),
    ]
    export = table(
        ["premise", "hypothesis", "label", "idx"], *(["a", "b", str(i), "9"] for i in range(3))
    )
    labels = [row[-1] for row in all_examples(make_glue("mnli", {"train.tsv": export}), ["train"])]
    assert labels == ["entailment", "neutral", "contradiction"]
    cola = table(["sentence", "label", "idx"], ["He ate", "1", "0"])
    assert all_examples(make_glue("cola", {"dev.tsv": cola}), ["eval"]) == [
        ("eval", "dev-1", "He ate", None, "1")
    ]


def test_cola_is_read_from_the_raw_files_too(make_glue, tmp_path):
    task = make_glue(
        "cola",
        {
            "in_domain_train.tsv": table(["gj04", "1", "", "a"]),
            "in_domain_dev.tsv": table(["gj04", "1", "", "b"], ["gj04", "0", "*", "c"]),
            "out_of_domain_dev.tsv": table(["clc95", "0", "*", "d"]),
        },
    )
    assert all_examples(task, ["train", "eval"]) == [
        ("train", "train-0", "a", None, "1"),
        ("eval", "dev-0", "b", None, "1"),
        ("eval", "dev-1", "c", None, "0"),
        ("eval", "dev-2", "d", None, "0"),
    ]
    assert len(task.sources("eval")) == 2
    (tmp_path / "out_of_domain_dev.tsv").unlink()
    with pytest.raises(ValueError, match=r"dev\.tsv or in_domain_dev\.tsv and out_of_domain_dev"):
        task.splits("eval")


def test_sts_b_is_read_from_csv_too(make_glue):
    task = make_glue(
        "sts-b",
        {
            "stsb-en-train.csv": 'A plane,"An ""air"" plane, red",5.0\r\n"b",c,3.8\r\n',
            "stsb-en-dev.csv": "d,e,0.25\n",
            "stsb-en-test.csv": "f,g,1.0\n",
        },
    )
    assert all_examples(task) == [
        ("train", "train-0", "A plane", 'An "air" plane, red', 5.0),
        ("train", "train-1", "b", "c", 3.8),
        ("eval", "dev-0", "d", "e", 0.25),
        ("predict", "test-0", "f", "g", None),
    ]


MSR_HEADER = ["Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"]
MSR = {
    "msr_paraphrase_train.txt": "\ufeff"
    + table(MSR_HEADER, ["1", "1", "2", "a", "b"], ["0", "3", "4", "c", "d"]),
    "msr_paraphrase_test.txt": "\ufeff" + table(MSR_HEADER, ["1", "5", "6", "e", "f"]),
}


def test_mrpc_is_read_from_its_original_files_with_the_test_set_to_evaluate_on(make_glue):
    task = make_glue("mrpc", MSR)
    assert all_examples(task) == [
        ("train", "train-1", "a", "b", "1"),
        ("train", "train-2", "c", "d", "0"),
        ("eval", "dev-1", "e", "f", "1"),
        ("predict", "test-1", "e", "f", None),
    ]


@pytest.mark.parametrize(
    ("variant", "purpose", "message"),
    [
        ("rte", "train", r"glue:rte needs train\.tsv for 'train'"),
        ("mnli", "eval", r"glue:mnli needs dev_matched\.tsv for 'eval'"),
        ("mrpc", "train", r"needs train\.tsv or msr_paraphrase_train\.txt for"),
        (*("mrpc", "eval"), r"dev\.tsv or msr_paraphrase_test\.txt"),
        ("ax", "predict", r"needs diagnostic\.tsv or AX\.tsv for 'predict'"),
    ],
)
def test_missing_files_are_named(make_glue, tmp_path, variant, purpose, message):
    task = make_glue(variant, {})
    for action in (task.splits, task.sources, task.read):
        with pytest.raises(ValueError, match=message) as raised:
            action(purpose)
        assert repr(str(tmp_path)) in str(raised.value)
    with pytest.raises(ValueError, match=message + r".*Received: ''"):
        find_task(f"glue:{variant}").splits(purpose)


def test_a_missing_second_split_is_an_error_when_it_is_asked_for(make_glue, glue_files):
    files = {name: glue_files["mnli"][name] for name in ("dev_matched.tsv",)}
    with pytest.raises(ValueError, match=r"needs dev_mismatched\.tsv for 'eval_mismatched'"):
        make_glue("mnli", files).read("eval_mismatched")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (["0", "a", "b"], r"train\.tsv:3: at least 4 columns are needed.*Received: 3"),
        (["0", "a", "b", "2"], r"train\.tsv:3: label '2' is not one of entailment, not_entailment"),
        (["0", "a", "b", ""], r"train\.tsv:3: label '' is not one of entailment, not_entailment"),
        (["0", "a", "b", "neutral"], r"train\.tsv:3: label 'neutral' is not one of"),
    ],
)
def test_rows_that_cannot_be_understood_are_refused_with_file_and_line(make_glue, row, message):
    good = ["index", "sentence1", "sentence2", "label"], ["0", "a", "b", "entailment"]
    with pytest.raises(ValueError, match=message):
        make_glue("rte", {"train.tsv": table(*good, row)}).read("train")


def test_broken_rows_of_qqp_are_counted_but_not_those_of_its_test_set(
    make_glue, glue_files, caplog, tmp_path
):
    task = make_glue("qqp", glue_files["qqp"])
    assert len(task.read("train")) == 2
    (message,) = [each.message for each in caplog.records if "benchmark" in each.name]
    assert "2 rows with too few columns are skipped" in message
    assert f"{tmp_path / 'train.tsv'}:3" in message
    (tmp_path / "test.tsv").write_text("id\tquestion1\tquestion2\n0\tg\n")
    with pytest.raises(ValueError, match=r"test\.tsv:2: at least 3 columns"):
        task.read("predict")


def test_another_source_than_there_is_is_refused():
    with pytest.raises(ValueError, match="'files', 'tfds'"):
        find_task("glue:rte", {"data_source": "web"})
