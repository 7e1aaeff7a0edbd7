"""Which layers a student starts from and learns from, copied weights, and observed layers."""

import numpy as np
import pytest
import tensorflow as tf

import bert_tf
from bert_tf.distillation.layers import LayerwiseModel, layers_to_learn_from, layers_to_start_from
from bert_tf.distillation.student import copy_weights
from bert_tf.model import layers as bert_layers
from bert_tf.model.encoders import make_encoder
from bert_tf.model.task_heads import ClassificationModel
from bert_tf.training.checkpoint import named_variables

CONFIG = {
    "vocab_size": 20,
    "hidden_size": 8,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "max_position_embeddings": 10,
    "type_vocab_size": 2,
}


ALBERT = {"model_type": "albert", "embedding_size": 4, "num_hidden_groups": 1, "inner_group_num": 1}


def make_model(num_layers, seed, **changes):
    tf.keras.utils.set_random_seed(seed)
    config = bert_tf.BertConfig(**{**CONFIG, "num_hidden_layers": num_layers, **changes})
    return ClassificationModel(make_encoder(config), 3)


@pytest.mark.parametrize(
    ("student", "teacher", "start", "learn"),
    [
        (6, 12, (0, 2, 4, 7, 9, 11), (1, 3, 5, 7, 9, 11)),
        (3, 6, (0, 3, 5), (1, 3, 5)),
        (2, 6, (0, 5), (2, 5)),
        (1, 4, (0,), (3,)),
        (3, 5, (0, 2, 4), (1, 3, 4)),
        (4, 4, (0, 1, 2, 3), (0, 1, 2, 3)),
    ],
)
def test_layers_are_spread_evenly(student, teacher, start, learn):
    assert layers_to_start_from(student, teacher) == start
    assert layers_to_learn_from(student, teacher) == learn


def test_a_deeper_student_is_refused():
    for rule in (layers_to_start_from, layers_to_learn_from):
        with pytest.raises(ValueError, match=r"as its teacher, 2\. Received: 3 layers"):
            rule(3, 2)


def test_a_student_gets_the_weights_of_its_layers_and_all_others_by_name():
    teacher, student = make_model(5, seed=1), make_model(3, seed=2)
    report = copy_weights(student, teacher)
    theirs = named_variables(teacher)
    sources = {0: 0, 1: 2, 2: 4}
    for name, weight in named_variables(student).items():
        for ours, its in sources.items():
            if f"/layer_{ours}/" in name:
                name = name.replace(f"/layer_{ours}/", f"/layer_{its}/")
                break
        np.testing.assert_array_equal(weight, theirs[name], err_msg=name)
    assert report.layers == (0, 2, 4)
    assert (
        str(report) == f"{report.num_copied} weights of the teacher copied, of its layers 0, 2, 4"
    )


def test_a_student_of_another_width_is_refused_and_unchanged():
    teacher, student = make_model(2, seed=1), make_model(2, seed=2, intermediate_size=16)
    before = {name: weight.numpy() for name, weight in named_variables(student).items()}
    with pytest.raises(ValueError, match=r"layer_0/intermediate/dense/kernel is \[8, 16\], the t"):
        copy_weights(student, teacher)
    for name, weight in named_variables(student).items():
        np.testing.assert_array_equal(weight, before[name])


def test_all_layers_are_returned_at_all_positions_beside_the_same_outputs():
    model = make_model(3, seed=1)
    batch = {"input_ids": np.array([[2, 5, 6, 3], [2, 7, 3, 0]], np.int32)}
    batch["input_mask"] = (batch["input_ids"] > 0).astype(np.int32)
    outputs, layers = LayerwiseModel(model)(batch)
    np.testing.assert_allclose(outputs, model(batch), atol=1e-6)
    expected = model.encoder(batch)["all_encoder_layers"]
    assert len(layers.hidden) == 3
    for layer, of_encoder in zip(layers.hidden, expected, strict=True):
        np.testing.assert_array_equal(layer, of_encoder)
    assert LayerwiseModel(model).encoder is model.encoder


@pytest.mark.parametrize("successor", [{}, ALBERT])
def test_scores_are_those_that_the_softmax_gets(successor, monkeypatch):
    model = make_model(2, seed=1, **successor)
    batch = {"input_ids": np.array([[2, 5, 6, 3], [2, 7, 3, 0]], np.int32)}
    batch["input_mask"] = (batch["input_ids"] > 0).astype(np.int32)
    seen, softmax = [], bert_layers.ops.softmax
    monkeypatch.setattr(
        bert_layers.ops, "softmax", lambda x, axis: seen.append(x.numpy()) or softmax(x, axis=axis)
    )
    _, layers = LayerwiseModel(model)(batch)
    assert len(layers.scores) == len(seen) == 2
    for scores, of_softmax in zip(layers.scores, seen, strict=True):
        real = np.broadcast_to(batch["input_mask"][:, None, None] > 0, of_softmax.shape)
        np.testing.assert_allclose(scores.numpy()[real], of_softmax[real], atol=1e-6)
