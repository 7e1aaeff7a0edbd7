"""The CRF agrees with sums and maxima over all sequences of tags."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from bert_tf.model import crf

B, L, C = 4, 5, 3
RANDOM = np.random.default_rng(5)
EMISSIONS = RANDOM.normal(size=(B, L, C)).astype("float32") * 2
TRANSITIONS = RANDOM.normal(size=(C + 2, C)).astype("float32") * 2
# All words; words between other pieces; one word; none.
MASK = np.array([[1, 1, 1, 1, 1], [0, 1, 0, 1, 1], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]])
TILED = np.tile(TRANSITIONS, (B, 1, 1))


def score(row, tags):
    """The score of a tag for each word, by the formula."""
    total, previous = 0.0, C
    for position, tag in zip(np.flatnonzero(MASK[row]), tags, strict=True):
        total += EMISSIONS[row, position, tag] + TRANSITIONS[previous, tag]
        previous = tag
    return total + (TRANSITIONS[C + 1, previous] if tags else 0.0)


def all_scores(row):
    return {
        tags: score(row, tags) for tags in itertools.product(range(C), repeat=int(MASK[row].sum()))
    }


@pytest.mark.parametrize("graph", [False, True])
def test_the_partition_sums_over_all_sequences(graph):
    function = tf.function(crf.log_partition) if graph else crf.log_partition
    found = function(tf.constant(EMISSIONS), tf.constant(MASK), tf.constant(TILED))
    expected = [np.log(np.sum(np.exp([*all_scores(row).values()]))) for row in range(B)]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_loss_is_the_negative_log_likelihood_of_the_tags():
    tags = RANDOM.integers(0, C, (B, L))
    tags[MASK == 0] = 99  # They do not count.
    found = crf.negative_log_likelihood(EMISSIONS, tags, MASK, tf.constant(TILED))
    for row in range(B):
        scores = all_scores(row)
        own = tuple(int(tag) for tag in tags[row][MASK[row] == 1])
        expected = np.log(np.sum(np.exp([*scores.values()]))) - scores[own]
        assert float(found[row]) == pytest.approx(expected, abs=1e-4)


def test_the_best_tags_and_their_probabilities_are_those_of_all_sequences():
    tags, probabilities = crf.best_tags(EMISSIONS, MASK, tf.constant(TILED))
    for row in range(B):
        scores = all_scores(row)
        is_word = MASK[row] == 1
        best = max(scores, key=scores.get)
        assert tuple(np.asarray(tags)[row][is_word]) == best
        total = np.sum(np.exp([*scores.values()]))
        marginals = [
            sum(np.exp(s) for sequence, s in scores.items() if sequence[i] == tag) / total
            for i, tag in enumerate(best)
        ]
        np.testing.assert_allclose(np.asarray(probabilities)[row][is_word], marginals, atol=1e-5)
        assert not np.asarray(probabilities)[row][~is_word].any()


def test_a_transition_that_never_occurs_is_not_taken():
    emissions = np.array([[[1.0, 0.0], [0.9, 1.0]]], "float32")
    transitions = np.zeros((1, 4, 2), "float32")
    assert np.asarray(crf.best_tags(emissions, [[1, 1]], transitions)[0]).tolist() == [[0, 1]]
    transitions[0, 0, 1] = -10.0
    assert np.asarray(crf.best_tags(emissions, [[1, 1]], transitions)[0]).tolist() == [[0, 0]]


def test_it_learns_transitions_from_gradients():
    transitions = tf.Variable(np.zeros((C + 2, C), "float32"))
    tags = np.tile([0, 1, 2, 0, 1], (2, 1))
    for _ in range(60):
        with tf.GradientTape() as tape:
            tiled = tf.tile(transitions[tf.newaxis], [2, 1, 1])
            zeros = tf.zeros((2, L, C))
            loss = tf.reduce_sum(crf.negative_log_likelihood(zeros, tags, np.ones((2, L)), tiled))
        transitions.assign_sub(0.5 * tape.gradient(loss, transitions))
    assert float(loss) < 0.5
    tiled = tf.tile(transitions[tf.newaxis], [2, 1, 1])
    np.testing.assert_array_equal(crf.best_tags(zeros, np.ones((2, L)), tiled)[0], tags)
