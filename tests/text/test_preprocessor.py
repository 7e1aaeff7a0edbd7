"""TextPreprocessor: text to the encoder's inputs, as a Keras layer."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_configs import small_config

import bert_tf
from bert_tf.text.packing import pack_truncated

TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "fox", "##es", "ran", ".", "é"]
TEXTS = ["The foxes ran.", "", "the the the the the the the the the", "É fox [SEP] \x00ran"]
OTHERS = ["fox", "the fox ran", "ran ran ran ran ran ran", ""]


@pytest.fixture(scope="module")
def vocab_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("vocab") / "vocab.txt"
    path.write_text("\n".join(TOKENS) + "\n", encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def preprocessor():
    return bert_tf.TextPreprocessor(TOKENS, do_lower_case=True, sequence_length=10)


def expected_of(vocab_file, text, other=None):
    tokenizer = bert_tf.FullTokenizer(vocab_file)
    ids = [tokenizer.convert_tokens_to_ids(tokenizer.tokenize(x)) for x in (text, other or "")]
    input_ids, segment_ids = pack_truncated(ids[0], ids[1], 2, 3, 10)
    padding = [0] * (10 - len(input_ids))
    return input_ids + padding, segment_ids + padding, [1] * len(input_ids) + padding


def assert_as_the_reference(outputs, vocab_file, others=None):
    for number, text in enumerate(TEXTS):
        ids, segments, mask = expected_of(vocab_file, text, others and others[number])
        assert outputs["input_ids"][number].numpy().tolist() == ids
        assert outputs["segment_ids"][number].numpy().tolist() == segments
        assert outputs["input_mask"][number].numpy().tolist() == mask


def test_texts_and_pairs_get_the_reference_s_ids(preprocessor, vocab_file):
    assert_as_the_reference(preprocessor(TEXTS), vocab_file)
    assert_as_the_reference(preprocessor((TEXTS, OTHERS)), vocab_file, OTHERS)
    by_name = preprocessor({"question": TEXTS, "context": OTHERS})
    assert_as_the_reference(by_name, vocab_file, OTHERS)


def test_it_maps_datasets_of_texts_and_of_batches(preprocessor, vocab_file):
    pairs = tf.data.Dataset.from_tensor_slices((TEXTS, OTHERS))
    one_by_one = pairs.map(lambda a, b: preprocessor((a, b))).batch(4)
    in_batches = pairs.batch(4).map(lambda a, b: preprocessor((a, b)))
    for dataset in (one_by_one, in_batches):
        assert dataset.element_spec["input_ids"].shape.as_list() == [None, 10]
        assert_as_the_reference(next(iter(dataset)), vocab_file, OTHERS)


def test_it_is_part_of_a_saved_functional_model(preprocessor, tmp_path):
    config = small_config(len(TOKENS), max_position_embeddings=10)
    texts = keras.Input((), dtype="string")
    vectors = bert_tf.BertEncoder(config)(preprocessor(texts))["pooled_output"]
    model = keras.Model(texts, keras.layers.Dense(2)(vectors))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    dataset = tf.data.Dataset.from_tensor_slices((TEXTS, [0, 1, 0, 1])).batch(2)
    assert np.isfinite(model.fit(dataset, shuffle=False, verbose=0).history["loss"]).all()
    model.save(tmp_path / "x.keras")
    again = keras.saving.load_model(tmp_path / "x.keras")
    expected = model(tf.constant(TEXTS))
    np.testing.assert_allclose(again(tf.constant(TEXTS)), expected, atol=1e-6)


def test_a_vocabulary_without_the_tokens_around_texts_is_refused():
    with pytest.raises(
        ValueError, match=r"\[CLS\] and \[SEP\].* Received: 3 tokens, without \[CLS\]"
    ):
        bert_tf.TextPreprocessor(["[UNK]", "[SEP]", "a"])


def test_three_texts_are_refused(preprocessor):
    with pytest.raises(ValueError, match="one or two texts"):
        preprocessor((TEXTS, TEXTS, TEXTS))


@pytest.mark.parametrize("wrong", [None, [None], ["a", None], 5, [5], float("nan"), [["a"], [5]]])
def test_what_is_no_text_is_refused(preprocessor, wrong):
    with pytest.raises(ValueError, match=r"Texts must be strings. Received: .*(None|5|nan)"):
        preprocessor(wrong)


def test_texts_of_other_shapes_are_refused_and_none_have_no_rows(preprocessor):
    with pytest.raises(ValueError, match=r"Texts must be strings \[B\], or one"):
        preprocessor(np.array([["a", "b"]]))
    assert preprocessor(np.array([], str))["input_ids"].shape == (0, 10)


def test_a_pair_s_texts_are_taken_by_name(preprocessor):
    expected = preprocessor((TEXTS, OTHERS))
    actual = preprocessor({"text_b": OTHERS, "text_a": TEXTS})
    np.testing.assert_array_equal(actual["input_ids"], expected["input_ids"])
