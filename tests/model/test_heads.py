"""The heads of fine-tuning: names, shapes, and the arithmetic of the original."""

import numpy as np
import pytest
import tensorflow as tf

from bert_tf import BertEncoder
from bert_tf.config import BertConfig
from bert_tf.model.task_heads import ClassificationModel, SpanModel, TokenClassificationModel
from bert_tf.training.checkpoint import named_variables

CONFIG = BertConfig(
    vocab_size=30,
    hidden_size=8,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=16,
    max_position_embeddings=12,
    type_vocab_size=2,
)
INPUTS = {
    "input_ids": np.array([[2, 5, 6, 3, 0], [2, 7, 3, 0, 0]]),
    "input_mask": np.array([[1, 1, 1, 1, 0], [1, 1, 1, 0, 0]]),
    "segment_ids": np.zeros((2, 5), int),
}


@pytest.mark.parametrize(
    ("model", "prefix", "rows"),
    [
        (ClassificationModel(BertEncoder(CONFIG), 3), "", 3),
        (TokenClassificationModel(BertEncoder(CONFIG), 4), "", 4),
        (SpanModel(BertEncoder(CONFIG)), "cls/squad/", 2),
    ],
)
def test_the_heads_have_the_names_and_shapes_of_the_original(model, prefix, rows):
    names = {name: tuple(v.shape) for name, v in named_variables(model).items()}
    heads = {name: shape for name, shape in names.items() if not name.startswith("bert/")}
    assert heads == {f"{prefix}output_weights": (rows, 8), f"{prefix}output_bias": (rows,)}


def test_class_scores_are_a_product_with_the_pooled_output():
    model = ClassificationModel(BertEncoder(CONFIG), 3)
    model.scores.output_bias.assign([1.0, 2.0, 3.0])
    weights = np.array(model.scores.output_weights)
    expected = model.encoder(INPUTS)["pooled_output"].numpy() @ weights.T + [1.0, 2.0, 3.0]
    np.testing.assert_allclose(model(INPUTS), expected, atol=1e-6)


def test_class_scores_of_tokens_are_a_product_with_every_token():
    model = TokenClassificationModel(BertEncoder(CONFIG), 3)
    model.scores.output_bias.assign([1.0, 2.0, 3.0])
    logits = model(INPUTS)
    weights = np.array(model.scores.output_weights)
    expected = model.encoder(INPUTS)["sequence_output"].numpy() @ weights.T + [1.0, 2.0, 3.0]
    assert logits.shape == (2, 5, 3)
    np.testing.assert_allclose(logits, expected, atol=1e-6)


@pytest.mark.parametrize("model_class", [ClassificationModel, TokenClassificationModel])
def test_dropout_falls_on_what_a_classifier_sees_in_training_only(model_class):
    config = BertConfig.from_dict(
        {**CONFIG.to_dict(), "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    )
    model = model_class(BertEncoder(config), 3)
    tf.random.set_seed(1)
    quiet = model(INPUTS).numpy()
    np.testing.assert_array_equal(model(INPUTS), quiet)
    trained = [model(INPUTS, training=True).numpy() for _ in range(8)]
    assert max(np.abs(t - quiet).max() for t in trained) > 1e-6


def test_span_scores_are_a_product_with_every_token():
    model = SpanModel(BertEncoder(CONFIG))
    outputs = model(INPUTS)
    scores = (
        model.encoder(INPUTS)["sequence_output"].numpy() @ np.array(model.scores.output_weights).T
    )
    np.testing.assert_allclose(outputs["start_logits"], scores[..., 0], atol=1e-6)
    np.testing.assert_allclose(outputs["end_logits"], scores[..., 1], atol=1e-6)


@pytest.mark.parametrize(
    "model",
    [
        ClassificationModel(BertEncoder(CONFIG), 3),
        TokenClassificationModel(BertEncoder(CONFIG), 3),
        SpanModel(BertEncoder(CONFIG)),
    ],
)
def test_a_model_can_be_made_again_from_its_config(model):
    again = type(model).from_config(model.get_config())
    assert list(named_variables(again)) == list(named_variables(model))
