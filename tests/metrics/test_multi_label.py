"""Metrics of several labels per text, by hand and as scikit-learn has them; thresholds."""

import numpy as np
import pytest

from bert_tf.metrics import multi_label

GOLD = [[1, 1, 0], [0, 1, 0], [1, 0, 0], [0, 0, 0]]
FOUND = [[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0]]


def test_scores_are_those_computed_by_hand():
    # Three hits of four labels, one too many: F1 = 6 / 8. Labels: 1, 2 * 1 / 4 and 0.
    assert multi_label.scores(GOLD, FOUND) == pytest.approx(
        {"micro_f1": 0.75, "macro_f1": 0.5, "accuracy": 0.5}
    )
    assert multi_label.label_metrics(GOLD, FOUND) == [
        {"precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 2},
        {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2},
        {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0},
    ]


def test_scores_are_those_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics", reason="needs: pip install scikit-learn")
    rng = np.random.default_rng(0)
    for _ in range(20):
        gold, found = rng.random((2, 30, 5)) < rng.random((2, 1, 5))
        ours = multi_label.scores(gold, found)
        for name in ("micro", "macro"):
            theirs = metrics.f1_score(gold, found, average=name, zero_division=0)
            assert ours[f"{name}_f1"] == pytest.approx(theirs, abs=1e-12)
        assert ours["accuracy"] == pytest.approx(metrics.accuracy_score(gold, found))
        each = [one["f1"] for one in multi_label.label_metrics(gold, found)]
        np.testing.assert_allclose(
            each, metrics.f1_score(gold, found, average=None, zero_division=0)
        )


def test_no_threshold_gives_a_label_a_higher_f1():
    rng = np.random.default_rng(1)
    for _ in range(20):
        gold = rng.random((15, 3)) < 0.3
        probabilities = rng.integers(0, 8, (15, 3)) / 8  # With ties.
        probabilities[:, 2] = rng.random(15)
        chosen = multi_label.best_thresholds(gold, probabilities)
        best = multi_label.label_metrics(gold, probabilities >= chosen)
        for threshold in np.linspace(0.001, 1, 200):
            other = multi_label.label_metrics(gold, probabilities >= threshold)
            assert all(a["f1"] >= b["f1"] - 1e-12 for a, b in zip(best, other, strict=True))


def test_a_threshold_lies_halfway_and_is_one_half_without_examples():
    gold, probabilities = [[1, 0], [1, 0], [0, 0]], [[0.8, 0.9], [0.6, 0.1], [0.2, 0.3]]
    assert multi_label.best_thresholds(gold, probabilities) == [0.4, 0.5]


def test_thresholds_are_one_for_all_or_one_for_each():
    assert multi_label.parse_thresholds("0.3", 2) == (0.3, 0.3)
    assert multi_label.parse_thresholds("auto", 2) == (0.5, 0.5)
    assert multi_label.parse_thresholds("0.3,1", 2) == (0.3, 1.0)
    for text in ("0.3,0.5,0.1", "1.5", "x", "nan"):
        with pytest.raises(ValueError, match="one for each of the 2 labels"):
            multi_label.parse_thresholds(text, 2)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match="of the same shape"):
        multi_label.scores([[1, 0]], [[1]])
