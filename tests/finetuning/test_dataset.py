"""load_dataset: a task's split for Keras' fit."""

import numpy as np
import pytest
import tensorflow as tf

import bert_tf
from bert_tf.finetuning.feature_encoding import Encoding
from bert_tf.tasks.task import find_task


@pytest.fixture(scope="module")
def preset(small_model, tmp_path_factory):
    tf.keras.utils.set_random_seed(0)
    encoder = bert_tf.BertEncoder(
        bert_tf.BertConfig.from_json_file(small_model["bert_config_file"])
    )
    folder = str(tmp_path_factory.mktemp("preset") / "small")
    encoder.save_to_preset(folder, bert_tf.FullTokenizer(small_model["vocab_file"]))
    return folder


def load(preset, reviews, split, **options):
    return bert_tf.load_dataset(
        "glue:sst-2", split, preset, 16, 24, options={"data_dir": reviews}, **options
    )


@pytest.mark.parametrize("split", ["train", "eval"])
def test_the_features_are_those_of_a_fine_tuning_run(preset, reviews, small_model, split):
    batches = list(load(preset, reviews, split, shuffle=False))
    inputs = {name: np.concatenate([x[name] for x, _ in batches]) for name in batches[0][0]}
    labels = np.concatenate([y for _, y in batches])

    task = find_task("glue:sst-2", {"data_dir": reviews})
    encoding = Encoding(task, split, small_model["vocab_file"], True, 24)
    windows = [window for rows in encoding.encode(task.read(split)) for window in rows]
    features = task.features(split, 24)
    records = [encoding.serializer.record(window, n) for n, window in enumerate(windows)]
    spec = {
        name: tf.io.FixedLenFeature(f.shape, tf.as_dtype(f.dtype)) for name, f in features.items()
    }
    expected = tf.io.parse_example(records, spec)
    for name, values in inputs.items():
        np.testing.assert_array_equal(values, expected[name], name)
    np.testing.assert_array_equal(labels, expected["label_ids"])


def test_a_model_from_a_preset_learns_from_it(preset, reviews, tmp_path):
    tf.keras.utils.set_random_seed(0)
    model = bert_tf.ClassificationModel.from_preset(preset, num_labels=2)
    train, dev = (load(preset, reviews, split) for split in ("train", "validation"))
    optimizer = bert_tf.create_optimizer(1e-3, 12 * len(train), num_warmup_steps=len(train) // 2)
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"])
    history = model.fit(train, epochs=12, shuffle=False, verbose=0, validation_data=dev).history
    assert history["val_accuracy"][-1] > 0.9

    model.save_to_preset(str(tmp_path / "tuned"), labels=["bad", "good"])
    predictor = bert_tf.Predictor(str(tmp_path / "tuned"))
    answers = predictor.predict(["a bad film", "a good film"])
    logits = model.predict(dev, verbose=0)
    again = bert_tf.ClassificationModel.from_preset(str(tmp_path / "tuned"))
    np.testing.assert_allclose(again.predict(dev, verbose=0), logits, atol=1e-6)
    assert {answer.label for answer in answers} <= {"bad", "good"}


def test_shuffled_epochs_differ_and_hold_the_same_examples(preset, reviews):
    dataset = load(preset, reviews, "train")
    first, second = (np.concatenate([x["input_ids"] for x, _ in dataset]) for _ in range(2))
    assert (first != second).any()
    assert sorted(map(tuple, first)) == sorted(map(tuple, second))


def test_sequences_are_by_default_no_longer_than_the_model_s_positions(preset, reviews):
    dataset = bert_tf.load_dataset("glue:sst-2", "eval", preset, options={"data_dir": reviews})
    encoder = bert_tf.BertEncoder.from_preset(preset)
    inputs, _ = next(iter(dataset))
    assert inputs["input_ids"].shape[1] == min(128, encoder.config.max_position_embeddings)


def test_what_is_wrong_is_named(preset, reviews):
    with pytest.raises(ValueError, match="either a preset or a tokenizer"):
        bert_tf.load_dataset("glue:sst-2")
    with pytest.raises(ValueError, match="There is no task 'glue:nothing'"):
        bert_tf.load_dataset("glue:nothing", preset=preset)
