"""GLUE's figures against values worked out by hand, and against other formulas."""

import numpy as np
import pytest

from bert_tf.metrics import classification as metrics


def test_accuracy_is_the_share_of_equal_pairs():
    assert metrics.accuracy(["a", "b", "c", "b"], ["a", "b", "b", "b"]) == 0.75


def test_f1_is_the_harmonic_mean_of_precision_and_recall():
    # 2 found rightly, 1 wrongly, 2 missed: precision 2/3, recall 2/4.
    labels, predictions = [1, 1, 1, 1, 0, 0], [1, 1, 0, 0, 1, 0]
    assert metrics.f1(labels, predictions) == pytest.approx(2 * (2 / 3) * 0.5 / (2 / 3 + 0.5))


def test_f1_is_that_of_the_class_asked_for():
    # The other class of the same case: 1 rightly, 2 wrongly, 1 missed.
    labels, predictions = [1, 1, 1, 1, 0, 0], [1, 1, 0, 0, 1, 0]
    assert metrics.f1(labels, predictions, positive=0) == pytest.approx(2 / (3 + 2))
    words = {0: "no", 1: "yes"}
    as_words = [[words[each] for each in column] for column in (labels, predictions)]
    assert metrics.f1(*as_words, positive="no") == pytest.approx(2 / (3 + 2))


def test_f1_is_zero_where_the_class_is_never_found_and_where_it_is_not_there_at_all():
    assert metrics.f1([1, 0], [0, 0]) == 0.0
    assert metrics.f1([0, 0], [0, 0]) == 0.0
    assert metrics.f1([0, 1], [1, 0]) == 0.0


def test_matthews_of_two_classes_is_the_formula_of_the_four_counts():
    true_positives, false_positives, false_negatives, true_negatives = 6, 1, 2, 3
    labels = [1] * 6 + [0] * 1 + [1] * 2 + [0] * 3
    predictions = [1] * 6 + [1] * 1 + [0] * 2 + [0] * 3
    product = true_positives * true_negatives - false_positives * false_negatives
    expected = product / np.sqrt(7 * 8 * 4 * 5)
    assert metrics.matthews(labels, predictions) == pytest.approx(expected, abs=1e-12)
    assert metrics.matthews(labels, [1 - each for each in predictions]) == pytest.approx(-expected)


def test_matthews_of_more_classes_is_the_correlation_of_their_indicators():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 4, 500)
    predictions = np.where(rng.random(500) < 0.4, labels, rng.integers(0, 4, 500))
    x, y = np.eye(4)[labels], np.eye(4)[predictions]
    x, y = x - x.mean(0), y - y.mean(0)
    expected = np.sum(x * y) / np.sqrt(np.sum(x * x) * np.sum(y * y))
    assert metrics.matthews(labels, predictions) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("labels", "predictions"), [([1, 0, 1], [1, 1, 1]), ([0, 0], [0, 1])])
def test_matthews_is_zero_where_there_is_one_class(labels, predictions):
    assert metrics.matthews(labels, predictions) == 0.0


def test_pearson_by_hand():
    # Deviations (-1, 0, 1) and (-4/3, -1/3, 5/3): 3 / sqrt(2 * 14/3).
    assert metrics.pearson([1, 2, 3], [1, 2, 4]) == pytest.approx(3 / np.sqrt(2 * 14 / 3))


@pytest.mark.parametrize("scale", [1.0, 1e-200, 1e200])
def test_pearson_agrees_with_numpy_at_any_scale(scale):
    rng = np.random.default_rng(5)
    labels = rng.normal(size=200)
    predictions = 0.5 * labels + rng.normal(size=200)
    expected = np.corrcoef(labels, predictions)[0, 1]
    assert metrics.pearson(labels, predictions * scale) == pytest.approx(expected, abs=1e-12)


def test_pearson_of_float32_predictions_is_computed_in_float64():
    predictions = np.array([1000.0, 1000.25, 1000.5, 1001.0], np.float32)
    expected = np.corrcoef([1, 2, 3, 4], predictions.astype(np.float64))[0, 1]
    assert metrics.pearson([1, 2, 3, 4], predictions) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("figure", [metrics.pearson, metrics.spearman])
def test_a_correlation_with_what_never_changes_is_zero(figure):
    assert figure([1.0, 2.0, 3.0], [0.1, 0.1, 0.1]) == 0.0
    assert figure([2.0, 2.0], [0.0, 1.0]) == 0.0
    assert figure([2.0], [1.0]) == 0.0


def test_equal_values_share_the_mean_of_their_ranks():
    assert metrics.ranks([10, 30, 20, 20]).tolist() == [1.0, 4.0, 2.5, 2.5]
    assert metrics.ranks([7, 7, 7]).tolist() == [2.0, 2.0, 2.0]


def test_spearman_without_ties_is_the_formula_of_squared_rank_differences():
    # Ranks 1 2 3 4 5 and 2 1 4 3 5: differences of 1, four times.
    labels, predictions = [0.1, 0.2, 0.7, 3.0, 9.0], [20, 10, 45, 40, 1000]
    assert metrics.spearman(labels, predictions) == pytest.approx(1 - 6 * 4 / (5 * 24))


def test_spearman_with_ties_is_numpys_correlation_of_ranks_counted_one_by_one():
    rng = np.random.default_rng(9)
    labels = rng.integers(0, 6, 300) / 1.0
    predictions = np.round(labels + rng.normal(size=300), 1)

    def counted(values):
        return [np.sum(values < each) + (np.sum(values == each) + 1) / 2 for each in values]

    expected = np.corrcoef(counted(labels), counted(predictions))[0, 1]
    assert metrics.spearman(labels, predictions) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    "figure", [metrics.accuracy, metrics.f1, metrics.matthews, metrics.pearson, metrics.spearman]
)
@pytest.mark.parametrize(("labels", "predictions"), [([1, 0], [1]), ([], []), ([[1]], [[1]])])
def test_what_cannot_be_compared_is_refused(figure, labels, predictions):
    with pytest.raises(ValueError, match="as many predictions as labels"):
        figure(labels, predictions)


def test_confusion_and_metrics_per_class_are_scikit_learn_s():
    labels, found = [2, 0, 2, 2, 0, 1], [0, 0, 2, 2, 0, 2]
    matrix = metrics.confusion_matrix(labels, found, [0, 1, 2])
    assert matrix.tolist() == [[2, 0, 0], [0, 0, 1], [1, 0, 2]]  # Its documentation's example.
    each = [list(row.values()) for row in metrics.class_metrics(matrix)]
    np.testing.assert_allclose(each, [[2 / 3, 1, 0.8, 2], [0, 0, 0, 1], [2 / 3, 2 / 3, 2 / 3, 3]])
