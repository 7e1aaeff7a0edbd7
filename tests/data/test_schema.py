"""Serialized examples: the bytes against protobuf's own, and back again."""

import random

import numpy as np
import pytest

from bert_tf.data import schema


def protobuf_bytes(arrays):
    """The same example by protobuf."""
    import tensorflow as tf

    example = tf.train.Example(features=tf.train.Features(feature={}))
    for name, values in arrays.items():
        feature = example.features.feature[name]
        flat = list(np.ravel(values)) if isinstance(values, np.ndarray) else list(values)
        if isinstance(values, np.ndarray) and values.dtype.kind == "f":
            into = feature.float_list
        elif flat and isinstance(flat[0], (float, bytes)):
            into = feature.float_list if isinstance(flat[0], float) else feature.bytes_list
        else:
            into = feature.int64_list
        into.SetInParent()
        into.value.extend(flat)
    return example.SerializeToString(deterministic=True)


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"a": [0, 1, 127, 128, 16383, 16384, 2**31, 2**63 - 1]},
        {"a": [-1, -128, -(2**63)]},
        {"a": []},
        {"a": np.zeros(0, np.float32), "b": np.zeros(0, np.int64)},
        {"z": [1], "a": [2], "B": [3], "b_": [4], "é": [6], "y\U0001f600": [7]},
        {"f": [0.0, -1.5, 1e-45, float("inf"), 0.1]},
        {"f": np.array([0.1, 0.2], np.float64), "g": np.array([[1.5], [2.5]], np.float32)},
        {"i": np.array([[1, 2], [3, 4]], np.int32), "u": np.array([250], np.uint8)},
        {"i": [np.int64(5), np.int32(-5)]},
        {"s": [b"", b"abc", bytes(range(256))]},
        {"long": list(range(1000))},
    ],
)
def test_an_example_has_the_bytes_of_protobufs_deterministic_serialization(arrays):
    assert schema.encode_example(arrays) == protobuf_bytes(arrays)


def test_random_examples_have_the_bytes_of_protobuf():
    rng = random.Random(0)
    for _ in range(100):
        arrays = {
            f"name{rng.randint(10, 99)}": [
                rng.choice((1, -1)) * rng.getrandbits(rng.randint(1, 63))
                for _ in range(rng.randint(0, 40))
            ]
            for _ in range(rng.randint(0, 8))
        }
        assert schema.encode_example(arrays) == protobuf_bytes(arrays)


def test_a_name_that_begins_another_comes_before_it():
    swapped = schema.encode_example({"ab": [1], "a": [2]})
    assert swapped == schema.encode_example({"a": [2], "ab": [1]})
    assert swapped.index(b"\x01a\x12") < swapped.index(b"\x02ab\x12")


def test_truth_values_are_whole_numbers():
    assert schema.encode_example({"a": [True, False]}) == protobuf_bytes({"a": [1, 0]})
    assert schema.encode_example({"a": np.array([True])}) == protobuf_bytes({"a": [1]})


@pytest.mark.parametrize("values", [["text"], [1, 0.5], [None], [[1]]])
def test_values_that_no_feature_holds_are_refused_with_their_name(values):
    with pytest.raises(ValueError, match=r"broken: a feature holds whole numbers.*Received: "):
        schema.encode_example({"broken": values})


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1])
def test_whole_numbers_beyond_64_bits_are_refused(value):
    with pytest.raises(ValueError, match=rf"at most 64 bits. Received: {value}"):
        schema.encode_example({"a": [value]})


def test_a_batch_of_examples_is_parsed_as_it_was_written():
    rng = np.random.default_rng(0)
    features = schema.pretraining_features(max_seq_length=8, max_predictions_per_seq=3)
    examples = [
        {
            name: rng.random(feature.shape, np.float32)
            if feature.dtype == "float32"
            else rng.integers(0, 30000, feature.shape)
            for name, feature in features.items()
        }
        for _ in range(5)
    ]
    batch = schema.parse_examples([schema.encode_example(e) for e in examples], features)
    assert set(batch) == set(features)
    for name, tensor in batch.items():
        expected = np.stack([example[name] for example in examples])
        np.testing.assert_array_equal(tensor, expected)
        assert tensor.dtype.name == ("float32" if name == "masked_lm_weights" else "int32")


def test_a_missing_or_short_feature_is_an_error_of_the_parser():
    import tensorflow as tf

    features = {"a": schema.Feature((2,))}
    for arrays in ({"b": [1, 2]}, {"a": [1]}):
        with pytest.raises(tf.errors.InvalidArgumentError):
            schema.parse_examples([schema.encode_example(arrays)], features)


def test_the_names_are_those_of_the_original_release():
    assert sorted(schema.pretraining_features(128, 20)) == [
        "input_ids",
        "input_mask",
        "masked_lm_ids",
        "masked_lm_positions",
        "masked_lm_weights",
        "next_sentence_labels",
        "segment_ids",
    ]
    assert sorted(schema.unmasked_pretraining_features(128)) == [
        "input_ids",
        "input_mask",
        "next_sentence_labels",
        "segment_ids",
        "word_ids",
    ]
