"""Files of features in their formats, as their readers see them, local and remote."""

import itertools
import os
import tracemalloc

import numpy as np
import pytest
import tensorflow as tf

from bert_tf.features import extractor as feature_extractor
from bert_tf.features.extractor import FeatureExtractor
from bert_tf.features.writers import open_writer


def test_npz_holds_all_tokens_one_after_the_other_and_where_lines_begin(
    run, lines, vocabulary, expected_features
):
    with np.load(run(output_format="npz")) as arrays:
        assert sorted(arrays) == ["layers", "offsets", "token_ids", "vectors"]
        assert arrays["layers"].tolist() == [-1, 0]
        offsets = arrays["offsets"]
        assert len(offsets) == len(lines) + 1
        assert offsets[-1] == len(arrays["vectors"]) == len(arrays["token_ids"])
        assert (arrays["vectors"].dtype, arrays["token_ids"].dtype) == (np.float32, np.int32)
        for i, text in enumerate(lines):
            tokens, vectors = expected_features(text)
            place = slice(offsets[i], offsets[i + 1])
            assert [vocabulary[j] for j in arrays["token_ids"][place]] == tokens
            np.testing.assert_allclose(arrays["vectors"][place], vectors, atol=1e-5)


@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_npz_holds_a_pooled_vector_a_line_and_layer(run, pool, lines, expected_features):
    with np.load(run(output_format="npz", pool=pool)) as arrays:
        assert sorted(arrays) == ["layers", "vectors"]
        assert arrays["vectors"].shape == (len(lines), 2, 8)
        for vectors, text in zip(arrays["vectors"], lines, strict=True):
            _, of_tokens = expected_features(text)
            expected = of_tokens[0] if pool == "cls" else of_tokens.mean(axis=0)
            np.testing.assert_allclose(vectors, expected, atol=1e-5)


@pytest.mark.parametrize("pool", ["tokens", "mean"])
def test_tfrecord_holds_an_example_a_line(run, pool, lines, vocabulary, expected_features):
    description = {
        "linex_index": tf.io.FixedLenFeature([], tf.int64),
        "token_ids": tf.io.RaggedFeature(tf.int64),
        "layers": tf.io.RaggedFeature(tf.int64),
        "shape": tf.io.RaggedFeature(tf.int64),
        "vectors": tf.io.RaggedFeature(tf.float32),
    }
    count = 0
    for record in tf.data.TFRecordDataset(run(output_format="tfrecord", pool=pool)):
        example = tf.io.parse_single_example(record, description)
        tokens, vectors = expected_features(lines[count])
        expected = vectors if pool == "tokens" else vectors.mean(axis=0)
        assert int(example["linex_index"]) == count
        assert [vocabulary[i] for i in example["token_ids"].numpy()] == tokens
        assert example["layers"].numpy().tolist() == [-1, 0]
        shaped = tf.reshape(example["vectors"], example["shape"]).numpy()
        np.testing.assert_allclose(shaped, expected, atol=1e-5)
        count += 1
    assert count == len(lines)


@pytest.mark.parametrize("output_format", ["json", "npz", "tfrecord"])
def test_remote_files_are_the_local_ones(run, output_format):
    remote = run(output_format=output_format, output_file=f"ram://features/{output_format}")
    with tf.io.gfile.GFile(remote, "rb") as file:
        content = file.read()
    with open(run(output_format=output_format), "rb") as file:
        assert file.read() == content
    folder = tf.io.gfile.listdir("ram://features/")
    assert not [name for name in folder if name.endswith(".tmp")]


@pytest.mark.parametrize("output_format", ["json", "npz", "tfrecord"])
def test_a_text_without_lines_gives_a_file_without_lines(run, output_format):
    path = run([], output_format=output_format)
    if output_format == "npz":
        with np.load(path) as arrays:
            assert arrays["vectors"].shape == (0, 2, 8)
            assert arrays["offsets"].tolist() == [0]
    else:
        assert os.path.getsize(path) == 0


@pytest.mark.parametrize("output_format", ["json", "npz", "tfrecord"])
def test_an_error_on_the_way_leaves_what_was_there(run, tmp_path, monkeypatch, output_format):
    (tmp_path / "output").write_text("features of yesterday")

    def stopped(self, lines):
        yield from itertools.islice(extract(self, lines), 4)
        raise KeyboardInterrupt

    extract = FeatureExtractor.extract
    monkeypatch.setattr(FeatureExtractor, "extract", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(output_format=output_format)
    assert sorted(os.listdir(tmp_path)) == ["input.txt", "output"]
    assert (tmp_path / "output").read_text() == "features of yesterday"


@pytest.mark.parametrize("output_format", ["json", "npz", "tfrecord"])
def test_memory_does_not_grow_with_the_text(
    encoder, tokenizer, monkeypatch, tmp_path, output_format
):
    monkeypatch.setattr(feature_extractor, "_WINDOW_LINES", 64)
    extractor = FeatureExtractor(encoder, tokenizer, [-1, 0], batch_size=64, max_seq_length=16)
    peaks = []
    for num_lines in (64, 256, 4096):  # The first time is for what is made once.
        lines = ("the dogs went to a store" for _ in range(num_lines))
        path = str(tmp_path / "output")
        tracemalloc.start()
        with open_writer(output_format, path, extractor) as write:
            for features in extractor.extract(lines):
                write(features)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    vector_bytes = 4096 * 9 * 2 * 8 * 4
    assert os.path.getsize(path) > vector_bytes
    assert peaks[2] - peaks[1] < 0.1 * vector_bytes, peaks
