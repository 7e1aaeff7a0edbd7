"""The plots of the notebooks: what is drawn, read back from the figures."""

import json

import numpy as np
import pytest

from bert_tf import notebook
from bert_tf.notebook.speed import Speed
from bert_tf.notebook.thresholds import ThresholdCurve

pytest.importorskip("matplotlib", reason="needs: pip install '.[notebook]'")


@pytest.fixture(autouse=True)
def draw_in_memory():
    import matplotlib

    matplotlib.use("agg")


def lines_of(axis):
    """Label -> (x, y) of the lines of an axis."""
    return {line.get_label(): tuple(map(list, line.get_data())) for line in axis.get_lines()}


def texts_of(axis):
    return [text.get_text() for text in axis.texts]


def test_a_figure_is_shown_once_where_it_is_returned():
    import matplotlib.pyplot as plt

    figure = notebook.plot_history({"": {"loss": [1.0], "accuracy": [0.5]}})
    assert plt.get_fignums() == []
    figure.canvas.draw()


def test_attention_is_drawn_by_head_with_its_tokens():
    maps = np.arange(2 * 2 * 3 * 3, dtype=np.float32).reshape(2, 2, 3, 3) / 36
    figure = notebook.plot_attention(["[CLS]", "a", "[SEP]"], maps, [(0, 1), (1, 0)])
    first, second = figure.axes
    assert (first.get_title(), second.get_title()) == ("layer 0, head 1", "layer 1, head 0")
    np.testing.assert_array_equal(second.images[0].get_array(), maps[1, 0])
    assert [label.get_text() for label in first.get_xticklabels()] == ["[CLS]", "a", "[SEP]"]


@pytest.mark.parametrize(
    ("tokens", "heads", "message"),
    [
        (["a"], [(0, 0)], r"Maps of 1 tokens are .* Received: \[1, 2, 3, 3\]"),
        (["a", "b", "c"], [(1, 0)], r"1 layers of 2 heads, counted from 0.* Received: \(1, 0\)"),
        (["a", "b", "c"], [(0, -1)], r"Received: \(0, -1\)"),
    ],
)
def test_heads_and_tokens_must_be_those_of_the_maps(tokens, heads, message):
    with pytest.raises(ValueError, match=message):
        notebook.plot_attention(tokens, np.zeros((1, 2, 3, 3)), heads)


def test_similarity_is_the_cosine_of_all_pairs():
    vectors = np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 4.0]])
    axis = notebook.plot_similarity(["a", "b", "c"], vectors).axes[0]
    assert texts_of(axis) == [
        "1.00",
        "1.00",
        "0.60",
        "1.00",
        "1.00",
        "0.60",
        "0.60",
        "0.60",
        "1.00",
    ]
    with pytest.raises(ValueError, match=r"2 texts have as many vectors\. Received: \(3, 2\)"):
        notebook.plot_similarity(["a", "b"], vectors)


def test_pretraining_is_drawn_from_the_metrics_of_its_folder(tmp_path):
    rows = [
        {"step": 10, "masked_lm_loss": 7.0, "masked_lm_accuracy": 0.1},
        {"step": 10, "eval_masked_lm_loss": 7.5, "eval_masked_lm_accuracy": 0.05},
        {"step": 20, "masked_lm_loss": 6.0, "masked_lm_accuracy": 0.2},
    ]
    text = "".join(f"{json.dumps(row)}\n" for row in rows)
    (tmp_path / "metrics.jsonl").write_text(text, encoding="utf-8")
    losses, accuracies = notebook.plot_pretraining(str(tmp_path), "other text").axes
    assert lines_of(losses) == {"training": ([10, 20], [7.0, 6.0]), "other text": ([10], [7.5])}
    assert lines_of(accuracies)["training"] == ([10, 20], [0.1, 0.2])


def test_a_run_without_metrics_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"metrics\.jsonl: there are no metrics"):
        notebook.plot_pretraining(str(tmp_path))


def test_histories_have_a_line_for_training_and_one_for_validation():
    histories = {
        "large": {"loss": [2.0, 1.0], "accuracy": [0.5, 0.7], "val_accuracy": [0.4, 0.6]},
        "small": {"loss": [3.0], "accuracy": [0.3]},
    }
    losses, accuracies = notebook.plot_history(histories).axes
    assert lines_of(losses) == {
        "large, training": ([1, 2], [2.0, 1.0]),
        "small, training": ([1], [3.0]),
    }
    assert lines_of(accuracies)["large, validation"] == ([1, 2], [0.4, 0.6])


def test_a_confusion_matrix_counts_predictions_by_class():
    axis = notebook.plot_confusion(["a", "a", "b", "b"], ["a", "b", "b", "b"], ["a", "b"]).axes[0]
    assert texts_of(axis) == ["1", "1", "0", "2"]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("predicted", "correct")


def test_a_confusion_matrix_knows_all_its_classes():
    with pytest.raises(ValueError, match=r"The classes are a, b\. Received: \['c'\]"):
        notebook.plot_confusion(["a"], ["c"], ["a", "b"])
    with pytest.raises(ValueError, match="as many predictions as labels"):
        notebook.plot_confusion(["a", "b"], ["a"], ["a", "b"])


def test_the_best_threshold_is_marked_on_the_curve():
    curve = ThresholdCurve(
        (-1.0, 0.0, 1.0), (50.0, 75.0, 60.0), (0, 60, 80), (100, 90, 40), 0.0, 75
    )
    (axis,) = notebook.plot_thresholds(curve).axes
    lines = lines_of(axis)
    assert lines["all questions"] == ([-1.0, 0.0, 1.0], [50.0, 75.0, 60.0])
    assert lines["best threshold"] == ([0.0], [75])


def test_speed_is_drawn_as_milliseconds_and_texts_per_second():
    speeds = [Speed(1, 0.01, 0.009, 0.012), Speed(4, 0.02, 0.02, 0.02)]
    latency, throughput = notebook.plot_speed(speeds).axes
    ((_, times),) = lines_of(latency).values()
    ((sizes, rates),) = lines_of(throughput).values()
    assert times == [10.0, 20.0]
    assert (sizes, rates) == ([1, 4], [100.0, 200.0])


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ValueError, match="the extra `notebook`"):
        notebook.plot_history({"": {"loss": [1.0]}})
