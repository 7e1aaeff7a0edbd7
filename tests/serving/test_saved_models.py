"""SavedModels say what the models say that they were made of, by all of their signatures."""

import json

import numpy as np
import pytest
import tensorflow as tf

import bert_tf
from bert_tf.inference.saved_model import SavedModel
from bert_tf.text.packing import pack_truncated

LONG = "The naïve leader was John Smith (1895-1943), an unaffable man. " * 30
TEXTS = ["", "A text.", "Café ΟΔΥΣΣΕΎΣ 東京 ﬁn\u200b!", LONG, "x" * 250 + " y", "\x00 [CLS] ##ing"]


@pytest.fixture(scope="module")
def saved(exports):
    return {kind: bert_tf.Predictor(str(folder)) for kind, folder in exports.items()}


@pytest.fixture(scope="module")
def signatures(saved):
    """Kind -> the SavedModel's signatures."""
    return {kind: predictor._model._loaded.signatures for kind, predictor in saved.items()}


def test_classes_are_the_same_with_their_probabilities(saved, predictors):
    pairs = [(a, b) for a in TEXTS for b in TEXTS]
    expected = predictors["classification"].predict(pairs)
    for actual, answer in zip(saved["classification"].predict(pairs), expected, strict=True):
        assert actual.label == answer.label
        assert list(actual.probabilities) == list(answer.probabilities)
        np.testing.assert_allclose(
            list(actual.probabilities.values()), list(answer.probabilities.values()), atol=1e-5
        )


def test_numbers_are_the_same(saved, predictors):
    np.testing.assert_allclose(
        saved["regression"].predict(TEXTS), predictors["regression"].predict(TEXTS), atol=1e-4
    )


def test_words_and_their_classes_are_the_same(saved, predictors):
    expected = predictors["tagging"].predict(TEXTS)
    for text, actual, words in zip(TEXTS, saved["tagging"].predict(TEXTS), expected, strict=True):
        assert [(w.word, w.label, w.start, w.end) for w in actual] == [
            (w.word, w.label, w.start, w.end) for w in words
        ]
        assert [w.word for w in actual] == [text[w.start : w.end] for w in actual]
        np.testing.assert_allclose(
            [w.probability for w in actual], [w.probability for w in words], atol=1e-5
        )


def test_answers_and_their_places_are_the_same(saved, predictors):
    questions = [(q, c) for q in ("Who was the leader?", "", LONG) for c in TEXTS]
    expected = predictors["span"].predict(questions)
    assert any(answer.text for answer in expected)
    for (_, context), actual, answer in zip(
        questions, saved["span"].predict(questions), expected, strict=True
    ):
        assert (actual.text, actual.start, actual.end) == (answer.text, answer.start, answer.end)
        assert actual.text == context[actual.start : actual.end]
        assert actual.probability == pytest.approx(answer.probability, abs=1e-5)
        assert actual.null_odds == pytest.approx(answer.null_odds, abs=1e-3)
        assert [entry.text for entry in actual.nbest] == [entry.text for entry in answer.nbest]


def test_fillings_and_next_sentences_are_the_same(saved, predictors):
    texts = ["The [MASK] of [MASK].", "[MASK]", "Naïve [MASK][MASK]東[MASK] end"]
    expected = predictors["masked_lm"].fill_mask(texts, top_k=3)
    for actual, filled in zip(saved["masked_lm"].fill_mask(texts, 3), expected, strict=True):
        assert actual.tokens == filled.tokens
        assert actual.best == filled.best
        assert [[c.token for c in mask] for mask in actual.candidates] == [
            [c.token for c in mask] for mask in filled.candidates
        ]
    for pair in (("He went.", "Then he came back."), ("", LONG)):
        assert saved["masked_lm"].next_sentence_probability(*pair) == pytest.approx(
            predictors["masked_lm"].next_sentence_probability(*pair), abs=1e-5
        )


@pytest.mark.parametrize("pool", ["mean", "pooled", "tokens"])
def test_vectors_are_the_same(saved, predictors, pool):
    expected = predictors["encoder"].embed(TEXTS, pool)
    for actual, vectors in zip(saved["encoder"].embed(TEXTS, pool), expected, strict=True):
        np.testing.assert_allclose(actual, vectors, atol=1e-4)


def test_ids_and_records_give_what_their_text_gives(signatures, predictors):
    tokenizer = predictors["classification"]._model.tokenizer
    pairs = [("A naïve text", "and another"), ("One of some more words than that", "")]
    cls, sep = tokenizer.convert_tokens_to_ids(["[CLS]", "[SEP]"])
    rows = [pack_truncated(*map(tokenizer.encode, pair), cls, sep, 48) for pair in pairs]
    length = max(len(ids) for ids, _ in rows) + 3
    padded = [
        [ids + [0] * (length - len(ids)), [1] * len(ids) + [0] * (length - len(ids)),
         segments + [0] * (length - len(ids))]
        for ids, segments in rows
    ]  # fmt: skip
    names = ("input_ids", "input_mask", "segment_ids")
    ids = {name: tf.constant([row[i] for row in padded], tf.int32) for i, name in enumerate(names)}
    records = [_example(dict(zip(names, row, strict=True))) for row in padded]
    short = [_example({"input_ids": ids, "segment_ids": segments}) for ids, segments in rows]
    texts = [_example({"text_a": [a.encode()], "text_b": [b.encode()]}) for a, b in pairs]
    expected = [list(a.probabilities.values()) for a in predictors["classification"].predict(pairs)]
    for name, inputs in (
        ("ids", ids),
        ("examples", {"examples": tf.constant(records)}),
        ("examples", {"examples": tf.constant(short)}),
        ("text_examples", {"examples": tf.constant(texts)}),
    ):
        actual = signatures["classification"][name](**inputs)["probabilities"]
        np.testing.assert_allclose(actual, expected, atol=1e-5, err_msg=name)


def _example(values):
    features = {
        name: tf.train.Feature(bytes_list=tf.train.BytesList(value=value))
        if isinstance(value[0], bytes)
        else tf.train.Feature(int64_list=tf.train.Int64List(value=value))
        for name, value in values.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def test_scores_of_ids_are_those_of_the_original(signatures, predictors):
    served = predictors["span"]._model
    ids = {
        "input_ids": tf.constant([[2, 30, 3, 40, 41, 3, 0, 0]]),
        "input_mask": tf.constant([[1, 1, 1, 1, 1, 1, 0, 0]]),
        "segment_ids": tf.constant([[0, 0, 0, 1, 1, 1, 0, 0]]),
    }
    actual, expected = signatures["span"]["ids"](**ids), served.model(ids)
    for name in ("start_logits", "end_logits"):
        np.testing.assert_allclose(actual[name], expected[name], atol=1e-5)


def test_bytes_that_are_not_utf8_are_left_out(signatures, predictors):
    signature = signatures["regression"]["serving_default"]
    for text in (b"caf\xc3\xa9 \xff\xfe end", b"\xe4\xb8", b"a\xed\xa0\x80b", b"\xf0\x9f\x98x"):
        expected = predictors["regression"].predict([text.decode("utf-8", "ignore")])
        np.testing.assert_allclose(
            signature(text=tf.constant([text]))["value"], expected, atol=1e-5
        )


ONES = tf.ones([2, 8], tf.int32)


@pytest.mark.parametrize("kind", ["classification", "span", "masked_lm"])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input_ids": -ONES}, r"input_ids must be from 0 to 1999. Received:\] \[-1\]"),
        ({"input_ids": ONES * 2000}, r"input_ids must be from 0 to 1999. Received:.*2000"),
        ({"segment_ids": ONES * 2}, "segment_ids must be from 0 to 1"),
        ({"input_mask": ONES * 2}, "input_mask must be from 0 to 1"),
        ({"input_mask": ONES[:, :4]}, "input_mask must have the shape of input_ids"),
        ({"segment_ids": ONES[:1]}, "segment_ids must have the shape of input_ids"),
        (dict.fromkeys(("input_ids", "input_mask", "segment_ids"), ONES[:, :0]), "1 to 64 columns"),
        ({"input_ids": tf.ones([2, 65], tf.int32)}, "input_ids must have 1 to 64 columns"),
    ],
)
def test_ids_that_no_model_has_are_refused_by_name(signatures, kind, changes, message):
    rows = {"input_ids": ONES, "input_mask": ONES, "segment_ids": 0 * ONES}
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        signatures[kind]["ids"](**rows | changes)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"input_ids": [2, 2**32 + 5, 3]}, "input_ids must be from 0"),
        ({"input_ids": [2, 5, 3], "input_mask": [1, 1]}, "input_mask must be as long as input_ids"),
        ({"input_ids": [2], "segment_ids": [0, 0]}, "segment_ids must be as long as input_ids"),
        ({"input_mask": []}, "input_ids must have 1 to 64 columns"),
    ],
)
def test_records_that_no_model_has_are_refused_by_name(signatures, features, message):
    record = tf.train.Example()
    for name, ids in features.items():
        record.features.feature[name].int64_list.value.extend(ids)
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        signatures["regression"]["examples"](examples=tf.constant([record.SerializeToString()]))


def test_an_empty_batch_has_an_empty_answer(signatures):
    for kind, by_name in signatures.items():
        for name, call in by_name.items():
            specs = call.structured_input_signature[1]
            inputs = {n: tf.zeros([0] * spec.shape.rank, spec.dtype) for n, spec in specs.items()}
            assert {len(output) for output in call(**inputs).values()} == {0}, (kind, name)


def test_inputs_of_different_numbers_of_texts_are_refused(signatures):
    one, two = tf.constant(["a"]), tf.constant(["a", "b"])
    for kind, name, inputs in (
        ("classification", "serving_default", {"text_a": one, "text_b": two}),
        ("span", "serving_default", {"question": two, "context": one}),
        ("masked_lm", "next_sentence", {"text_a": two, "text_b": one}),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=f"{' and '.join(inputs)} must be"):
            signatures[kind][name](**inputs)


def test_a_saved_model_is_described(exports, signatures):
    for kind, folder in exports.items():
        text = (folder / "1" / "assets.extra" / "serving.json").read_text(encoding="utf-8")
        description = json.loads(text)
        assert description["kind"] == kind
        default = description["signatures"]["serving_default"]
        assert list(default["inputs"]) == description["inputs"]
        assert set(default["outputs"]) <= set(description["outputs"])
        assert set(signatures[kind]) == set(description["signatures"])
    assert "naïve" in (exports["classification"] / "1/assets.extra/serving.json").read_text("utf-8")


def test_weights_are_saved_once(exports):
    prefix = str(exports["regression"] / "1" / "variables" / "variables")
    names = [name for name, _ in tf.train.list_variables(prefix) if "VARIABLE_VALUE" in name]
    assert len(names) == 2 + 5 + 2 * 16 + 2  # Pooler, embeddings, two blocks, head.


def test_what_a_saved_model_cannot_do_is_said(saved, exports, tmp_path):
    with pytest.raises(ValueError, match="--top_k=5"):
        saved["masked_lm"].fill_mask("a [MASK]", top_k=6)
    with pytest.raises(ValueError, match="--kind=encoder"):
        saved["span"].embed("a")
    with pytest.raises(ValueError, match=r"answers only\. For attention, load the model"):
        saved["masked_lm"].attention("a")
    with pytest.raises(ValueError, match="takes text_a, text_b"):
        saved["classification"].predict(["only one"])
    with pytest.raises(ValueError, match="settings are fixed"):
        bert_tf.Predictor(str(exports["span"]), max_seq_length=20)
    module = tf.Module()
    module.call = tf.function(lambda x: x, input_signature=[tf.TensorSpec([], tf.float32)])
    tf.saved_model.save(module, str(tmp_path / "other"))
    with pytest.raises(ValueError, match=r"not written by export_saved_model\.py"):
        SavedModel(str(tmp_path / "other"))
