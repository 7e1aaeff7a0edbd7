"""Attention asked in words: the tokens of a text or pair, and what each attends to."""

import numpy as np
import pytest
from served_models import MAX_SEQ_LENGTH

from bert_tf.model.attention_maps import attention_probabilities


def test_the_maps_of_a_text_have_its_tokens_and_are_those_of_the_model(predictors):
    predictor = predictors["masked_lm"]
    maps = predictor.attention("Unaffable [MASK], was it?")
    assert maps.tokens[0] == "[CLS]"
    assert maps.tokens[-1] == "[SEP]"
    assert maps.tokens.count("[MASK]") == 1
    assert set(maps.segment_ids) == {0}
    loaded = predictor._model
    ids = np.array([loaded.tokenizer.convert_tokens_to_ids(maps.tokens)])
    expected = np.stack(attention_probabilities(loaded.encoder, {"input_ids": ids}), axis=1)[0]
    assert maps.probabilities.shape == (2, 2, len(maps.tokens), len(maps.tokens))
    np.testing.assert_allclose(maps.probabilities, expected, atol=1e-5)


def test_a_pair_has_two_segments(predictors):
    maps = predictors["classification"].attention("A text.", "Another")
    places = [place for place, token in enumerate(maps.tokens) if token == "[SEP]"]
    assert maps.segment_ids.index(1) == places[0] + 1
    assert maps.segment_ids[-1] == 1


def test_a_text_that_is_too_long_is_truncated(predictors):
    maps = predictors["classification"].attention("one " * 60)
    assert len(maps.tokens) == MAX_SEQ_LENGTH
    assert maps.probabilities.shape[-1] == MAX_SEQ_LENGTH


def test_what_is_no_text_is_refused(predictors):
    with pytest.raises(ValueError, match="as text"):
        predictors["encoder"].attention(["A", "list"])
