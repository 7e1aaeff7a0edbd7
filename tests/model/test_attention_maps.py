"""Attention probabilities: they make each layer's output, and padding and later tokens get none."""

import numpy as np
import pytest
import tensorflow as tf
from small_configs import SUCCESSORS, small_config

from bert_tf.model.attention_maps import attention_probabilities, has_attention_scores
from bert_tf.model.encoders import make_encoder
from bert_tf.model.layers import TransformerBlock

ARCHITECTURES = {"bert": {}, "left-to-right": {"is_causal": True}, **SUCCESSORS}
BATCH = {
    "input_ids": np.array([[2, 5, 6, 3], [2, 7, 3, 1]], np.int32),
    "input_mask": np.array([[1, 1, 1, 1], [1, 1, 1, 0]], np.int32),
}


def small_encoder(**changes):
    tf.keras.utils.set_random_seed(1)
    return make_encoder(small_config(20, num_hidden_layers=2, initializer_range=0.5, **changes))


@pytest.mark.parametrize("successor", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_the_values_weighted_by_them_are_what_the_attention_of_each_layer_returns(successor):
    encoder = small_encoder(**successor)
    maps = attention_probabilities(encoder, BATCH)
    assert len(maps) == encoder.num_layers
    outputs = encoder(BATCH)
    bias = encoder.attention_context(BATCH["input_ids"], BATCH["input_mask"])
    hidden = encoder.project(outputs["embedding_output"])
    for block, layer, output in zip(
        encoder.blocks, maps, outputs["all_encoder_layers"], strict=True
    ):
        attend = getattr(block, "block", block).attention.attend
        values = np.reshape(attend.value(hidden), (2, 4, 2, 4))  # [B, L, N, D]
        expected = np.einsum("bnqk,bknd->bqnd", layer, values).reshape(2, 4, 8)
        np.testing.assert_allclose(attend(hidden, bias), expected, atol=1e-5)
        hidden = output


@pytest.mark.parametrize("is_causal", [False, True])
def test_each_token_pays_all_its_attention_to_tokens_that_it_sees(is_causal):
    maps = np.stack(attention_probabilities(small_encoder(is_causal=is_causal), BATCH))
    np.testing.assert_allclose(maps.sum(axis=-1), 1, atol=1e-6)
    assert np.all(maps[:, 1, :, :, 3] == 0)  # Padding.
    later = maps[:, 0][..., np.triu(np.ones((4, 4)), 1) > 0]
    assert np.all(later == 0) if is_causal else np.all(later > 0)


def test_an_encoder_whose_attention_has_no_scores_is_refused(monkeypatch):
    encoder = small_encoder()
    assert has_attention_scores(encoder)
    monkeypatch.delattr(TransformerBlock, "attention_scores")
    assert not has_attention_scores(encoder)
    with pytest.raises(ValueError, match="TransformerBlock has no attention_scores"):
        attention_probabilities(encoder, BATCH)
