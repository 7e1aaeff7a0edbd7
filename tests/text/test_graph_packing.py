"""Packing in a graph, against the Python functions that pack one example after another."""

import random

import numpy as np
import pytest
import tensorflow as tf

from bert_tf.spans.windows import divide_passage
from bert_tf.text.graph_packing import pack_texts, pack_windows
from bert_tf.text.packing import pack, pack_truncated, pad

CLS, SEP = 8, 9
IDS = tf.RaggedTensorSpec([None, None], tf.int32, ragged_rank=1)


def ragged(rows) -> tf.RaggedTensor:
    return tf.ragged.constant(rows, tf.int32, ragged_rank=1, row_splits_dtype=tf.int64)


def random_rows(rng, num_rows, longest):
    return [
        [rng.randint(10, 99) for _ in range(rng.choice([0, rng.randint(0, longest)]))]
        for _ in range(num_rows)
    ]


def features(rows):
    """What rows of (tokens, segment_ids) are when padded to the longest of them."""
    longest = max((len(tokens) for tokens, _ in rows), default=0)
    columns = {
        "input_ids": [pad(tokens, longest) for tokens, _ in rows],
        "input_mask": [pad([1] * len(tokens), longest) for tokens, _ in rows],
        "segment_ids": [pad(segments, longest) for _, segments in rows],
    }
    return {
        name: np.array(rows, np.int32).reshape(len(rows), longest) for name, rows in columns.items()
    }


def assert_same_features(actual, expected):
    assert set(actual) == set(expected)
    for name, value in expected.items():
        assert actual[name].dtype == tf.int32
        np.testing.assert_array_equal(actual[name].numpy(), value, err_msg=name)


def test_rows_of_pairs_and_of_single_texts_are_those_of_the_python_function():
    packed = {
        length: tf.function(
            lambda a, b, length=length: pack_texts(a, b, CLS, SEP, length),
            input_signature=[IDS, IDS],
        )
        for length in (3, 4, 5, 8, 11, 20, 64)
    }
    rng = random.Random(1)
    for _ in range(400):
        length, num_rows = rng.choice(list(packed)), rng.randint(0, 6)
        a, b = random_rows(rng, num_rows, 24), random_rows(rng, num_rows, 24)

        actual = packed[length](ragged(a), ragged(b))

        pairs = zip(a, b, strict=True)
        expected = [pack_truncated(x, y, CLS, SEP, length) for x, y in pairs]
        assert_same_features(actual, features(expected))


def test_every_pair_of_lengths_is_cut_as_by_the_python_function():
    a, b = zip(*[([7] * i, [6] * j) for i in range(13) for j in range(13)], strict=True)
    for length in range(3, 20):
        actual = pack_texts(ragged(a), ragged(b), CLS, SEP, length)

        pairs = zip(a, b, strict=True)
        expected = [pack_truncated(x, y, CLS, SEP, length) for x, y in pairs]
        assert_same_features(actual, features(expected))


def test_without_a_second_text_rows_have_one_separator():
    rows = [[1, 2, 3, 4], [], [5]]

    assert_same_features(
        pack_texts(ragged(rows), None, CLS, SEP, 5),
        features([pack_truncated(row, [], CLS, SEP, 5) for row in rows]),
    )


def test_no_rows_stay_no_rows():
    none = tf.RaggedTensor.from_row_splits(tf.zeros(0, tf.int32), tf.zeros(1, tf.int64))

    for packed in (pack_texts(none, none, CLS, SEP, 5), pack_texts(none, None, CLS, SEP, 5)):
        assert all(value.shape == (0, 0) for value in packed.values())
    windows = pack_windows(none, none, CLS, SEP, 5, 1)
    assert all(value.shape == (0, 0) for value in windows.features.values())
    assert windows.owner.shape == (0,)


def expected_windows(questions, passages, max_seq_length, doc_stride):
    return [
        (number, window, pack(question, passage[window.start :][: window.length], CLS, SEP))
        for number, (question, passage) in enumerate(zip(questions, passages, strict=True))
        for window in divide_passage(len(passage), len(question), max_seq_length, doc_stride)
    ]


def assert_same_windows(actual, expected, questions):
    assert_same_features(actual.features, features([row for _, _, row in expected]))
    assert actual.owner.numpy().tolist() == [number for number, _, _ in expected]
    assert actual.window_start.numpy().tolist() == [window.start for _, window, _ in expected]
    assert actual.window_length.numpy().tolist() == [window.length for _, window, _ in expected]
    assert actual.passage_start.numpy().tolist() == [
        len(questions[number]) + 2 for number, _, _ in expected
    ]


def test_windows_are_those_of_the_python_function():
    packed = {
        (length, stride): tf.function(
            lambda a, b, length=length, stride=stride: pack_windows(a, b, CLS, SEP, length, stride),
            input_signature=[IDS, IDS],
        )
        for length, stride in [(12, 1), (12, 3), (12, 100), (16, 7), (24, 16), (64, 32)]
    }
    rng = random.Random(2)
    for _ in range(400):
        (length, stride), num_rows = rng.choice(list(packed)), rng.randint(0, 5)
        questions = random_rows(rng, num_rows, 8)
        passages = random_rows(rng, num_rows, 70)

        actual = packed[length, stride](ragged(questions), ragged(passages))

        expected = expected_windows(questions, passages, length, stride)
        assert_same_windows(actual, expected, questions)


def test_every_length_of_passage_has_the_windows_of_the_python_function():
    passages = [[7] * length for length in range(40)]
    questions = [[6] * (length % 4) for length in range(40)]
    for length in (7, 8, 15):
        for stride in range(1, 12):
            actual = pack_windows(ragged(questions), ragged(passages), CLS, SEP, length, stride)
            expected = expected_windows(questions, passages, length, stride)
            assert_same_windows(actual, expected, questions)


def test_passages_without_tokens_have_no_windows():
    windows = pack_windows(ragged([[1], [2] * 9]), ragged([[], []]), CLS, SEP, 8, 2)

    assert windows.owner.shape == (0,)
    assert windows.features["input_ids"].shape[0] == 0


def test_a_question_that_leaves_no_room_is_refused():
    with pytest.raises(tf.errors.InvalidArgumentError, match="no room for its passage in 8"):
        pack_windows(ragged([[1] * 5]), ragged([[2]]), CLS, SEP, 8, 2)


def test_lengths_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match=r"max_seq_length must be 3 or more\. Received: 2"):
        pack_texts(ragged([[1]]), None, CLS, SEP, 2)
    with pytest.raises(ValueError, match=r"doc_stride must be 1 or more\. Received: 0"):
        pack_windows(ragged([[1]]), ragged([[1]]), CLS, SEP, 20, 0)
