"""Attributions: they sum to what the words change, and are the slopes that finite steps measure."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from served_models import LABELS, VOCAB, small_config

import bert_tf
from bert_tf.kinds.attributions import Attributor
from bert_tf.kinds.text_model import LoadedModel
from bert_tf.model.encoders import make_encoder
from bert_tf.model.task_heads import ClassificationModel, MultiLabelModel
from bert_tf.spans.long_texts import LongTextOptions

TEXT = "Unaffable café, was it?"


def logits_of(predictor, tokens, segment_ids):
    loaded = predictor._model
    ids = np.array([loaded.tokenizer.convert_tokens_to_ids(tokens)])
    return loaded.model({"input_ids": ids, "segment_ids": np.array([segment_ids])}).numpy()[0]


def log_odds(logits, number):
    others = np.delete(logits, number)
    return logits[number] - np.log(np.sum(np.exp(others - others.max()))) - others.max()


def test_values_sum_to_the_difference_from_the_masked_text(predictors):
    predictor = predictors["regression"]
    found = predictor.attributions(TEXT)
    assert found.label == ""
    assert found.score == pytest.approx(predictor.predict([TEXT])[0], abs=1e-4)
    masked = ["[CLS]", *["[MASK]"] * (len(found.tokens) - 2), "[SEP]"]
    (baseline,) = logits_of(predictor, masked, [0] * len(masked))
    assert found.baseline_score == pytest.approx(baseline, abs=1e-4)
    difference = found.score - found.baseline_score
    assert abs(difference) > 0.1
    assert found.values.sum() == pytest.approx(difference, abs=0.01 * max(abs(difference), 1))
    assert found.error == pytest.approx(found.values.sum() - difference, abs=1e-5)


def test_the_score_of_a_class_is_its_log_odds_and_any_class_may_be_explained(predictors):
    predictor, pair = predictors["classification"], ("A naïve text.", "Another")
    found = predictor.attributions(pair)
    (answer,) = predictor.predict([pair])
    assert found.label == answer.label
    segments = [0] * (found.tokens.index("[SEP]") + 1)
    segments += [1] * (len(found.tokens) - len(segments))
    logits = logits_of(predictor, found.tokens, segments)
    for number, label in enumerate(LABELS["classification"]):
        explained = predictor.attributions(pair, label)
        assert explained.label == label
        assert explained.score == pytest.approx(log_odds(logits, number), abs=1e-3)
        assert abs(explained.error) <= 0.01 * max(
            abs(explained.score - explained.baseline_score), 1
        )


def test_special_tokens_have_no_part_and_words_have_their_place_in_the_text(predictors):
    pair = ("Unaffable café,", "was it?")
    found = predictors["classification"].attributions(pair)
    for token, span, value in zip(found.tokens, found.spans, found.values, strict=True):
        assert (span is None) == (token in ("[CLS]", "[SEP]"))
        if span is None:
            assert value == 0
    words = [pair[word.text][word.start : word.end] for word in found.words]
    assert words == ["Unaffable", "café", ",", "was", "it", "?"]
    of_words = sum(word.value for word in found.words)
    assert of_words == pytest.approx(float(found.values.sum()), abs=1e-4)
    pieces = [i for i, s in enumerate(found.spans) if s and s[0] == 0 and s[2] <= len("Unaffable")]
    assert len(pieces) > 1
    assert found.words[0].value == pytest.approx(float(found.values[pieces].sum()), abs=1e-4)


def loaded_model(kind="classification", options=None, **changes):
    """A model whose scores change so smoothly that a few points on the line describe them."""
    keras.utils.set_random_seed(2)
    config = {**small_config().to_dict(), "initializer_range": 0.25, **changes}
    encoder = make_encoder(bert_tf.BertConfig(**config))
    model = (MultiLabelModel if kind == "multi_label" else ClassificationModel)(encoder, 3)
    model.scores.output_weights.assign(model.scores.output_weights * 20)
    tokenizer = bert_tf.FullTokenizer(str(VOCAB))
    labels = ("a", "b", "c")
    return LoadedModel(kind, model, tokenizer, ("text",), labels, 20, ("",), True, options)


def measured_slopes(loaded, ids, number, num_points=24, step=0.02):
    """The integral of the score's slope in the direction of each token, by finite differences.

    It moves the rows of the table of word embeddings, which `Attributor` does not touch.
    """
    table = loaded.encoder.word_embeddings
    rows = table.numpy()
    words, mask = ids[1:-1], rows[loaded.tokenizer.special_ids.mask]
    assert len(set(words)) == len(words)

    @tf.function
    def logits(values):
        with keras.StatelessScope([(table, values)]):
            return loaded.model({"input_ids": np.array([ids])})[0]

    def score(fractions):
        moved = rows.copy()
        moved[words] = mask + fractions[:, None] * (rows[words] - mask)
        values = logits(moved).numpy().astype(np.float64)
        return values[number] if loaded.kind == "multi_label" else log_odds(values, number)

    slopes = np.zeros(len(words))
    nodes, weights = np.polynomial.legendre.leggauss(num_points)
    for fraction, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        for place, one in enumerate(np.eye(len(words)) * step):
            up, down = (score(fraction + sign * one) for sign in (1, -1))
            slopes[place] += weight * (up - down) / (2 * step)
    return slopes


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"model_type": "roberta", "type_vocab_size": 1},
        {"model_type": "electra", "embedding_size": 8},
        {"kind": "multi_label"},
    ],
    ids=["bert", "roberta", "electra", "multi_label"],
)
def test_values_are_the_slopes_that_finite_steps_measure(changes):
    loaded = loaded_model(**changes)
    found = Attributor(loaded).attribute(("the good people were there",), "b")
    ids = loaded.tokenizer.convert_tokens_to_ids(found.tokens)
    expected = measured_slopes(loaded, ids, 1)
    assert np.abs(expected).max() > 0.02
    np.testing.assert_allclose(found.values[1:-1], expected, atol=2e-3 * np.abs(expected).max())


def test_a_truncated_text_has_values_where_it_is_read():
    found = Attributor(loaded_model()).attribute(("one " * 60,))
    assert len(found.tokens) == len(found.values) == 20
    assert found.words[-1].end == 4 * 18 - 1


def test_what_cannot_be_explained_is_said(predictors):
    with pytest.raises(ValueError, match=r"one of bad, good, naïve\. Received: 'fine'"):
        predictors["classification"].attributions(("a", "b"), "fine")
    with pytest.raises(ValueError, match="as there are no classes"):
        predictors["regression"].attributions("a", "good")
    with pytest.raises(ValueError, match="Received: a model for masked_lm"):
        predictors["masked_lm"].attributions("a [MASK]")
    windows = loaded_model(options=LongTextOptions(long_texts="windows"))
    assert Attributor(windows).attribute(("one",)).tokens[1] == "one"
    with pytest.raises(ValueError, match="more than 20 tokens"):
        Attributor(windows).attribute(("one " * 60,))
