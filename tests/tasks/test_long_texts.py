"""Long texts: windows by hand, in Python and in the graph; weights; and that truncation is told."""

import json
import logging

import numpy as np
import pytest
import tensorflow as tf
from small_finetuning import small_finetuning

import bert_tf
from bert_tf.finetuning.program import run_finetuning
from bert_tf.serving.export import export_saved_model
from bert_tf.settings import ExportSettings
from bert_tf.spans.long_texts import LongTextOptions, aggregated, divide_pair, pack_pair_windows
from bert_tf.tasks.task import TruncatedRow, Windows, find_task
from bert_tf.text.graph_packing import pack_pair_windows as pack_in_graph
from bert_tf.text.tokenizer import load_tokenizer


def test_a_text_that_fits_is_one_window():
    assert divide_pair(6, 0, 8, 2) == ([((0, 6), (0, 0))], False)
    assert divide_pair(3, 2, 8, 2) == ([((0, 3), (0, 2))], False)
    assert divide_pair(0, 0, 8, 2) == ([((0, 0), (0, 0))], False)


def test_a_long_text_is_divided_with_a_stride():
    parts, is_cut = divide_pair(10, 0, 8, 2)  # Room for 6.
    assert [a for a, _ in parts] == [(0, 6), (2, 6), (4, 6)]
    assert not is_cut
    # By default half of what a window holds.
    assert [a for a, _ in divide_pair(10, 0, 8, 0)[0]] == [(0, 6), (3, 6), (6, 4)]


def test_of_a_pair_the_longer_text_is_divided_and_the_shorter_is_in_each_window():
    parts, is_cut = divide_pair(2, 8, 9, 3)  # Room for 6: 2 and 4.
    assert parts == [((0, 2), (0, 4)), ((0, 2), (3, 4)), ((0, 2), (6, 2))]
    assert not is_cut
    assert divide_pair(8, 2, 9, 3)[0] == [(b, a) for a, b in parts]
    # The shorter text gets at most half of the room.
    assert divide_pair(5, 8, 9, 3) == ([((0, 3), (0, 3)), ((0, 3), (3, 3)), ((0, 3), (6, 2))], True)


@pytest.mark.parametrize("stride", [0, 1, 3, 100])
@pytest.mark.parametrize("length", [5, 6, 9, 16])
def test_the_graph_packs_the_windows_of_python(length, stride):
    rng = np.random.default_rng(length + stride)
    sizes = [*((a, b) for a in range(4) for b in range(4)), *rng.integers(0, 30, (40, 2)).tolist()]
    pairs = [tuple(rng.integers(5, 90, n).tolist() for n in size) for size in sizes]
    columns = [
        tf.RaggedTensor.from_row_lengths(
            tf.constant([i for pair in pairs for i in pair[k]], tf.int32), [s[k] for s in sizes]
        )
        for k in (0, 1)
    ]
    packed = pack_in_graph(*columns, 2, 3, length, stride)
    expected = [pack_pair_windows(*pair, 2, 3, length, stride)[0] for pair in pairs]
    rows = [row for rows in expected for row in rows]
    assert packed.owner.numpy().tolist() == [i for i, rows in enumerate(expected) for _ in rows]
    assert packed.number.numpy().tolist() == [i for rows in expected for i in range(len(rows))]
    ids, mask, segments = (packed.features[n].numpy() for n in packed.features)
    assert len(rows) == len(ids)
    for row, expected_row in enumerate(rows):
        size = int(mask[row].sum())
        assert (ids[row, :size].tolist(), segments[row, :size].tolist()) == expected_row
        assert size <= length


def test_windows_are_joined_by_mean_maximum_or_the_first():
    logits = np.array([[1.0, 4.0], [3.0, 2.0]])
    assert aggregated(logits, "mean").tolist() == [2.0, 3.0]
    assert aggregated(logits, "max").tolist() == [3.0, 4.0]
    assert aggregated(logits, "first").tolist() == [1.0, 4.0]


def test_options_are_checked():
    with pytest.raises(ValueError, match="window_aggregate must be one of"):
        LongTextOptions(window_aggregate="sum")
    task = find_task("glue:sst-2", {"long_texts": "windows"})
    with pytest.raises(ValueError, match=r"max_seq_length of at least 5\. Received: 4"):
        task.features("train", 4)


@pytest.mark.parametrize("name", ["glue:sst-2", "glue:sts-b"])
def test_a_window_weighs_as_one_of_its_example(small_model, name):
    tokenizer = load_tokenizer(small_model["vocab_file"], True)
    task = find_task(name, {"long_texts": "windows", "window_stride": "2"})
    label = 2.5 if name == "glue:sts-b" else "1"
    text_b = "the film" if name == "glue:sts-b" else None
    from bert_tf.tasks.text_examples import TextExample

    example = TextExample("x", " ".join(["good"] * 9), text_b, label)
    rows = task.encode(example, "train", tokenizer, 8)
    assert len(rows) > 1
    assert sum(row["window_weight"][0] for row in rows) == pytest.approx(1.0)
    assert all(row.keys() <= task.features("train", 8).keys() for row in rows)
    assert {row["label_ids"][0] for row in rows} == {label if text_b else 1}
    weights = tf.constant([0.5, 0.25])
    batch = {"window_weight": weights, "is_real_example": tf.ones(2)}
    assert task.loss_weights(batch) is weights
    logits = np.array([[2.0, 1.0], [0.0, 1.0], [5.0, 0.0]], np.float32)[:, : len(task.labels) or 1]
    windows = Windows([2, 1], logits)
    expected = [logits[:2].mean(axis=0), logits[2]]
    np.testing.assert_allclose(task.logits_of(windows), expected)


def test_without_windows_a_long_example_is_marked_as_truncated(small_model):
    tokenizer = load_tokenizer(small_model["vocab_file"], True)
    task = find_task("glue:sst-2")
    from bert_tf.tasks.text_examples import TextExample

    for size, is_cut in ((6, False), (7, True)):
        example = TextExample("x", " ".join(["good"] * size), label="1")
        (row,) = task.encode(example, "train", tokenizer, 8)
        assert isinstance(row, TruncatedRow) is is_cut
        assert len(row["input_ids"]) == 8


@pytest.fixture(scope="module")
def long_reviews(tmp_path_factory):
    """Reviews whose telling words are the last: truncated ones tell nothing."""
    folder = tmp_path_factory.mktemp("long")
    rng = np.random.default_rng(3)
    words = {"1": ["good", "fine", "great"], "0": ["bad", "poor", "dull"]}
    fillers = ["the", "film", "was", "a", "plot", "story"]
    for name, size in (("train", 192), ("dev", 40), ("test", 40)):
        lines = ["text\tlabel"]
        for _ in range(size):
            label = str(rng.integers(2))
            length = int(rng.integers(9, 14))
            text = [*rng.choice(fillers, length), *rng.choice(words[label], 4)]
            lines.append(f"{' '.join(text)}\t{label}")
        (folder / f"{name}.tsv").write_text("\n".join(lines) + "\n")
    return folder


def train(small_model, folder, output, *options):
    settings = small_finetuning(
        small_model,
        "tsv",
        output,
        (f"data_dir={folder}", "text_a_column=text", "label_column=label", *options),
        max_seq_length=8,
        learning_rate=3e-3,
        num_train_epochs=12.0,
        do_predict=True,
    )
    return run_finetuning(settings)


def test_windows_learn_what_truncation_hides_and_serve_the_same_answers(
    small_model, long_reviews, tmp_path, caplog
):
    caplog.set_level(logging.INFO)
    folder = tmp_path / "windows"
    options = ("long_texts=windows", "window_aggregate=max", "window_stride=3")
    results = train(small_model, long_reviews, folder, *options)
    assert results["eval_accuracy"] > 0.9
    assert "eval_truncated" not in results
    assert "train: no example is truncated." in caplog.text
    assert json.loads((folder / "eval_report.json").read_text())["truncated_examples"] == 0

    rows = [line.split("\t") for line in (long_reviews / "test.tsv").read_text().splitlines()[1:]]
    texts = [text for text, _ in rows]
    written = [
        [float(number) for number in line.split("\t")]
        for line in (folder / "test_results.tsv").read_text().splitlines()
    ]
    caplog.clear()
    answers = bert_tf.Predictor(folder).predict(texts)
    found = [list(answer.probabilities.values()) for answer in answers]
    np.testing.assert_allclose(found, written, atol=1e-5)
    assert "longer than" not in caplog.text
    settings = ExportSettings(model=str(folder), export_dir=str(tmp_path / "served"))
    export = export_saved_model(settings)
    assert export.validation.largest_difference < 1e-4
    saved = bert_tf.Predictor(settings.export_dir).predict(texts)
    found = [list(answer.probabilities.values()) for answer in saved]
    np.testing.assert_allclose(found, written, atol=1e-5)


def numbers_of(answer):
    return answer if isinstance(answer, float) else list(answer.probabilities.values())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "metric", "aggregate"),
    [
        (("regression=true",), "eval_pearson", "mean"),
        (("multi_label=true", "thresholds=auto"), "eval_micro_f1", "max"),
    ],
)
def test_regression_and_many_labels_learn_from_windows_and_serve_the_same_answers(
    small_model, long_reviews, tmp_path, options, metric, aggregate
):
    folder = tmp_path / "windows"
    windows = ("long_texts=windows", f"window_aggregate={aggregate}", "window_stride=3")
    results = train(small_model, long_reviews, folder, *windows, *options)
    assert results[metric] > 0.9
    report = json.loads((folder / "eval_report.json").read_text())
    assert (report["examples"], report["truncated_examples"]) == (40, 0)

    lines = (folder / "predictions.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    if metric == "eval_pearson":
        written = [record["label"] for record in records]
    else:
        written = [list(record["probabilities"].values()) for record in records]
    texts = [record["text"] for record in records]
    assert len(texts) == 40
    settings = ExportSettings(model=str(folder), export_dir=str(tmp_path / "served"))
    export = export_saved_model(settings)
    assert export.validation.largest_difference < 1e-4
    for used in (folder, export.folder):
        answers = bert_tf.Predictor(used).predict(texts)
        np.testing.assert_allclose(list(map(numbers_of, answers)), written, atol=1e-5)
        if metric == "eval_micro_f1":
            assert [list(answer.labels) for answer in answers] == [r["label"] for r in records]


def test_truncation_is_told_in_training_evaluation_and_use(
    small_model, long_reviews, tmp_path, caplog
):
    caplog.set_level(logging.WARNING)
    folder = tmp_path / "truncated"
    results = train(small_model, long_reviews, folder)
    assert results["eval_truncated"] == 1.0
    assert "eval_truncated = 1.0" in (folder / "eval_results.txt").read_text()
    assert "train: 192 of 192 examples (100.0 %) are truncated" in caplog.text
    assert json.loads((folder / "eval_report.json").read_text())["truncated_examples"] == 40
    caplog.clear()
    train(small_model, long_reviews, folder)  # The features are reused.
    assert "192 of 192 examples (100.0 %) are truncated" in caplog.text
    caplog.clear()
    predictor = bert_tf.Predictor(folder)
    for _ in range(2):
        predictor.predict(["good", " ".join(["film"] * 9)])
    assert caplog.text.count("1 of 2 texts are longer than 8 tokens") == 1
