"""GLUE's tasks: their names, labels, figures and submissions, and the real data sets."""

import pickle

import numpy as np
import pytest
from task_rows import encode_all, predict_texts

from bert_tf.tasks.task import find_task, task_names
from bert_tf.tasks.text_examples import TextExample
from bert_tf.text.tokenization import FullTokenizer

SUBMISSIONS = {
    *("CoLA.tsv", "SST-2.tsv", "MRPC.tsv", "STS-B.tsv", "QQP.tsv", "MNLI-m.tsv"),
    *("MNLI-mm.tsv", "QNLI.tsv", "RTE.tsv", "WNLI.tsv", "AX.tsv"),
}


def test_the_names_of_the_tasks_may_be_spelled_either_way(glue_files):
    assert {f"glue:{variant}" for variant in glue_files} <= set(task_names())
    assert find_task("GLUE:SST2").name == find_task("glue:sst-2").name == "glue:sst-2"
    assert find_task("glue:stsb").name == "glue:sts-b"


@pytest.mark.parametrize(
    ("variant", "labels", "figures", "metric"),
    [
        ("cola", ("0", "1"), {"matthews", "accuracy"}, "matthews"),
        ("mnli", ("contradiction", "entailment", "neutral"), {"accuracy"}, "accuracy"),
        ("mrpc", ("0", "1"), {"f1", "accuracy"}, "f1"),
        ("sst-2", ("0", "1"), {"accuracy"}, "accuracy"),
        ("sts-b", (), {"pearson", "spearman"}, "spearman"),
        ("qqp", ("0", "1"), {"f1", "accuracy"}, "f1"),
        ("qnli", ("entailment", "not_entailment"), {"accuracy"}, "accuracy"),
        ("rte", ("entailment", "not_entailment"), {"accuracy"}, "accuracy"),
        ("wnli", ("0", "1"), {"accuracy"}, "accuracy"),
    ],
)
def test_labels_are_in_the_originals_order_and_figures_are_glues(
    make_glue, glue_files, variant, labels, figures, metric
):
    task = make_glue(variant, glue_files[variant])
    assert (task.labels, task.metric) == (labels, metric)
    examples = task.read("train")
    answers = predict_texts(task, examples, np.eye(len(examples)))
    assert set(task.score(examples, answers)) == figures


def test_f1_is_that_of_the_paraphrases(make_glue, glue_files):
    task = make_glue("mrpc", glue_files["mrpc"])
    examples = [TextExample(str(i), "a", label=label) for i, label in enumerate("1110")]
    # Predicted 1 0 0 0: precision 1, recall 1/3.
    answers = predict_texts(task, examples, np.array([[0, 1], [1, 0], [1, 0], [1, 0]]))
    assert task.score(examples, answers) == {"f1": pytest.approx(0.5), "accuracy": 0.5}


def test_ax_is_only_predicted(make_glue, glue_files):
    task = make_glue("ax", glue_files["ax"])
    for purpose in ("train", "eval"):
        with pytest.raises(ValueError, match=f"none for '{purpose}'. Fine-tune .*glue:mnli"):
            task.splits(purpose)


def test_a_models_own_order_of_the_labels_is_kept_but_other_labels_are_refused():
    order = ["neutral", "entailment", "contradiction"]
    assert find_task("glue:mnli", labels=order).labels == tuple(order)
    assert find_task("glue:ax", labels=order).labels == tuple(order)
    with pytest.raises(ValueError, match=r"glue:ax has the labels contradiction, .*for 0, 1"):
        find_task("glue:ax", labels=["0", "1"])
    with pytest.raises(ValueError, match="a number"):
        find_task("glue:sts-b", labels=["0", "1"])


def test_a_task_survives_pickling(make_glue, glue_files):
    for variant in glue_files:
        task = make_glue(variant, glue_files[variant])
        again = pickle.loads(pickle.dumps(task))
        assert again == task
        assert again.read("predict") == task.read("predict")


def test_the_eleven_submissions_have_the_servers_names_and_words(make_glue, glue_files, tmp_path):
    words = {}
    for variant in glue_files:
        task = make_glue(variant, glue_files[variant])
        for split in task.splits("predict"):
            examples = task.read(split)
            logits = np.tile(np.arange(len(task.labels) or 1), (len(examples), 1))
            answers = predict_texts(task, examples, logits)
            path = task.write(split, examples, answers, str(tmp_path / variant))[-1]
            header, *lines = (tmp_path / path).read_text().splitlines()
            assert header == "index\tprediction"
            indices, predictions = zip(*(line.split("\t") for line in lines), strict=True)
            assert indices == tuple(str(i) for i in range(len(examples)))
            words[path.rpartition("/")[2]] = set(predictions)
    assert set(words) == SUBMISSIONS
    for name, expected in [
        *((f"{name}.tsv", {"1"}) for name in ("CoLA", "SST-2", "MRPC", "QQP", "WNLI")),
        *((f"{name}.tsv", {"neutral"}) for name in ("MNLI-m", "MNLI-mm", "AX")),
        *((f"{name}.tsv", {"not_entailment"}) for name in ("QNLI", "RTE")),
        ("STS-B.tsv", {"0.000"}),
    ]:
        assert words[name] == expected


REAL = [
    ("cola", "CoLA", {"train": 8551, "eval": 1043}),
    ("mrpc", "MRPC", {"train": 4076, "eval": 1725, "predict": 1725}),
    ("rte", "RTE", {"train": 2490, "eval": 277}),
    ("sts-b", "STS-B", {"train": 5749, "eval": 1500}),
    ("sst-2", "SST-2", {"train": 67349, "eval": 872}),
    ("qnli", "QNLI", {"eval": 5463}),
    ("wnli", "WNLI", {"train": 565, "eval": 70, "predict": 71}),
]


@pytest.mark.data
@pytest.mark.parametrize(("variant", "folder", "counts"), REAL)
def test_the_real_files_are_read_and_encoded_whole(data_dir, variant, folder, counts):
    task = find_task(f"glue:{variant}", {"data_dir": str(data_dir / "glue" / folder)})
    tokenizer = FullTokenizer(str(data_dir / "vocab" / "bert_base_uncased.txt"))
    for split, count in counts.items():
        assert task.splits(split) == (split,)
        examples = task.read(split)
        assert len(examples) == count
        rows = encode_all(task, examples, split, tokenizer, 128)
        for example, row in zip(examples, rows, strict=True):
            assert 3 <= len(row["input_ids"]) == len(row["segment_ids"]) <= 128
            assert (1 in row["segment_ids"]) == (example.text_b is not None)
        if split != "predict":
            assert {example.label for example in examples} >= set(task.labels)
