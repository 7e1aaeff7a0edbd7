"""From lines to vectors: the values, their order, and how much is read ahead."""

import itertools
import sys

import forked_python
import numpy as np
import pytest
import tensorflow as tf

import bert_tf
from bert_tf.config import BertConfig
from bert_tf.features import extractor as feature_extractor
from bert_tf.features.extractor import FeatureExtractor, split_pair


def test_layers_are_those_that_the_original_computed(golden_dir, tokenizer):
    folder = golden_dir / "model"
    recorded = np.load(folder / "forward.npz")
    encoder = bert_tf.BertEncoder(BertConfig.from_json_file(str(folder / "bert_config.json")))
    bert_tf.load_checkpoint(encoder, str(folder / "bert_model.ckpt"))
    extractor = FeatureExtractor(encoder, tokenizer, [0, -1, 1], max_seq_length=48)
    lengths = recorded["input/input_mask"].sum(axis=1)
    names = ("input/input_ids", "input/segment_ids")
    lines = [
        tuple(recorded[name][row, :length].tolist() for name in names)
        for row, length in enumerate(lengths)
    ]
    vectors = extractor._window_vectors(lines)
    for row, length in enumerate(lengths):
        for place, layer in enumerate(("layer_0", "layer_2", "layer_1")):
            expected = recorded[layer][row, :length]
            np.testing.assert_allclose(vectors[row][:, place], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("line", "pair"),
    [
        ("a dog", ("a dog", "")),
        ("a ||| b", ("a", "b")),
        ("  a ||| b  ", ("a", "b")),
        ("a ||| b ||| c", ("a ||| b", "c")),
        ("a|||b", ("a|||b", "")),
        ("a ||| ", ("a |||", "")),
        (" ||| b", ("||| b", "")),
        ("\tá ||| \u3000b", ("á", "\u3000b")),
        ("", ("", "")),
    ],
)
def test_a_pair_stands_on_both_sides_of_three_bars_between_spaces(line, pair):
    assert split_pair(line) == pair


@pytest.mark.parametrize(
    ("line", "max_seq_length", "tokens"),
    [
        ("the man went to a store", 5, "[CLS] the man went [SEP]"),
        ("the man went ||| to a store", 7, "[CLS] the man [SEP] to a [SEP]"),
        ("the man went to a ||| store", 7, "[CLS] the man went [SEP] store [SEP]"),
        ("the ||| to a store", 6, "[CLS] the [SEP] to a [SEP]"),
        ("the ||| to a store", 3, "[CLS] [SEP]"),
        ("the man", 2, "[CLS] [SEP]"),
        ("a ||| \u200b", 16, "[CLS] a [SEP]"),  # Nothing is left of the second sequence.
        ("\u200b ||| a", 16, "[CLS] [SEP] a [SEP]"),
        ("  \t ", 16, "[CLS] [SEP]"),
    ],
)
def test_sequences_are_put_together_and_cut_as_in_the_original(
    encoder, tokenizer, line, max_seq_length, tokens, vocabulary
):
    extractor = FeatureExtractor(encoder, tokenizer, [-1], max_seq_length=max_seq_length)
    (features,) = extractor.extract([line])
    assert [vocabulary[i] for i in features.token_ids] == tokens.split()
    assert features.vectors.shape == (len(tokens.split()), 1, 8)


def test_the_segments_of_a_pair_reach_the_model(encoder, tokenizer, expected_features):
    extractor = FeatureExtractor(encoder, tokenizer, [-1])
    pair, single = extractor.extract(["he ||| went", "he went"])
    _, expected = expected_features("he ||| went", [-1])
    np.testing.assert_allclose(pair.vectors, expected, atol=1e-5)
    assert np.abs(pair.vectors[:2] - single.vectors[:2]).max() > 1e-3


def test_lines_of_many_windows_and_batches_keep_their_order(
    encoder, tokenizer, monkeypatch, vocabulary, expected_features
):
    monkeypatch.setattr(feature_extractor, "_WINDOW_LINES", 7)
    lines = ["the dog " * (i * 5 % 7) + vocabulary[5 + i % 5] for i in range(40)]
    extractor = FeatureExtractor(encoder, tokenizer, [1], batch_size=3, max_seq_length=16)
    for index, features in enumerate(extractor.extract(lines)):
        tokens, vectors = expected_features(lines[index], [1])
        assert features.linex_index == index
        assert [vocabulary[i] for i in features.token_ids] == tokens
        np.testing.assert_allclose(features.vectors, vectors, atol=1e-5)
    assert index == 39


def test_text_without_an_end_is_read_no_further_than_a_window(encoder, tokenizer, monkeypatch):
    monkeypatch.setattr(feature_extractor, "_WINDOW_LINES", 8)
    num_read = itertools.count()
    lines = ("the dog" for _ in num_read)
    extractor = FeatureExtractor(encoder, tokenizer, [-1], max_seq_length=16)
    first = list(itertools.islice(extractor.extract(lines), 20))
    assert [features.linex_index for features in first] == list(range(20))
    assert next(num_read) <= 24 + 1


def test_a_window_ends_where_its_vectors_would_take_too_much_memory(
    encoder, tokenizer, monkeypatch
):
    sizes = []

    def recorded(extractor, window):
        sizes.append(len(window))
        return [None] * len(window)

    monkeypatch.setattr(FeatureExtractor, "_window_vectors", recorded)
    monkeypatch.setattr(feature_extractor, "_WINDOW_BYTES", 4 * 2 * 8 * 30)  # Of 30 tokens.
    for pool, expected in (("tokens", [10, 10, 5]), ("mean", [25])):
        extractor = FeatureExtractor(encoder, tokenizer, [-1, 0], pool)
        assert len(list(extractor.extract(["he"] * 25))) == 25  # Of [CLS] he [SEP].
        assert sizes == expected
        sizes.clear()


@pytest.mark.parametrize("pool", ["tokens", "cls", "mean"])
def test_static_shapes_give_the_same_values(encoder, tokenizer, pool, lines):
    arguments = (encoder, tokenizer, [-1, -2], pool, 16, 4)
    by_length = FeatureExtractor(*arguments).extract(lines)
    padded = FeatureExtractor(*arguments, static_shapes=True).extract(lines)
    for ours, theirs in zip(by_length, padded, strict=True):
        assert ours.token_ids == theirs.token_ids
        np.testing.assert_allclose(ours.vectors, theirs.vectors, atol=1e-5)


def test_what_a_tpu_would_run_compiles_with_xla(encoder, tokenizer):
    extractor = FeatureExtractor(encoder, tokenizer, [-1, 0], "mean", 16, 2, static_shapes=True)
    ids = [[2, 5, 6, 3, *[0] * 12], [2, 7, 3, *[0] * 13]]
    mask = [[int(i > 0) for i in row] for row in ids]
    inputs = tf.constant([[ids], [mask], [np.zeros_like(ids).tolist()]], tf.int32)
    compiled = tf.function(extractor._vectors, jit_compile=True)(inputs)
    np.testing.assert_allclose(compiled, extractor._run(inputs), atol=1e-5)


# Two logical devices: they must exist before TensorFlow starts.
TWO_DEVICES = """
import sys
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

import bert_tf
from bert_tf.features.extractor import FeatureExtractor

folder = sys.argv[1]
tokenizer = bert_tf.FullTokenizer(f"{folder}/vocab.txt")
config = bert_tf.BertConfig.from_json_file(f"{folder}/bert_config.json")
lines = ["the dog " * (i % 5) for i in range(11)]

def vectors(strategy, **options):
    with strategy.scope():
        encoder = bert_tf.BertEncoder(config)
    bert_tf.load_checkpoint(encoder, f"{folder}/bert_model.ckpt")
    extractor = FeatureExtractor(
        encoder, tokenizer, [-1, 1], max_seq_length=16, batch_size=3, strategy=strategy, **options
    )
    return [line.vectors for line in extractor.extract(lines)]

expected = vectors(tf.distribute.get_strategy())
two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
for static_shapes in (False, True):
    for ours, alone in zip(vectors(two, static_shapes=static_shapes), expected, strict=True):
        np.testing.assert_allclose(ours, alone, atol=1e-5)
print("same")
"""


def test_two_devices_give_the_same_values(model_dir):
    command = [sys.executable, "-c", TWO_DEVICES, str(model_dir)]
    result = forked_python.run(command, timeout=300)
    assert result.stdout.endswith("same\n"), result.stderr
