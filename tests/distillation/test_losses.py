"""The losses of distillation against values by the formulas of DistilBERT's `distiller.py`."""

import numpy as np
import pytest
import tensorflow as tf

from bert_tf.distillation.losses import (
    cosine_distance,
    mean_squared_difference,
    soft_binary_cross_entropy,
    soft_cross_entropy,
    soft_divergence,
    squared_distance,
)


@pytest.fixture(scope="module")
def golden(golden_dir):
    return dict(np.load(golden_dir / "family" / "distillation" / "losses.npz"))


def tensors(golden, what):
    return tf.constant(golden[f"teacher_{what}"]), tf.constant(golden[f"student_{what}"])


@pytest.mark.parametrize("temperature", [1, 2, 4])
def test_divergence_distance_and_angle_are_distilberts(golden, temperature):
    real = golden["attention_mask"] > 0
    losses = {
        "ce": soft_divergence(*tensors(golden, "logits"), temperature),
        "mse": squared_distance(*tensors(golden, "logits")),
        "cos": cosine_distance(*tensors(golden, "hidden")),
    }
    for name, values in losses.items():
        expected = golden[f"T{temperature}_all/{name}"]
        np.testing.assert_allclose(np.mean(values.numpy()[real]), expected, rtol=1e-5)


def test_plain_cross_entropy_with_probabilities_and_its_gradient(golden):
    teacher = tf.constant(golden["soft/teacher_logits"])
    student = tf.constant(golden["soft/student_logits"])
    with tf.GradientTape() as tape:
        tape.watch([teacher, student])
        losses = soft_cross_entropy(teacher, student)
        loss = tf.reduce_mean(losses)
    of_teacher, of_student = tape.gradient(loss, [teacher, student])
    np.testing.assert_allclose(losses, golden["soft/per_example_loss"], atol=1e-5)
    np.testing.assert_allclose(loss, golden["soft/loss"], atol=1e-5)
    np.testing.assert_allclose(of_student, golden["soft/gradient_student_logits"], atol=1e-6)
    assert of_teacher is None
    divergence = tf.reduce_mean(soft_divergence(teacher, student))
    np.testing.assert_allclose(divergence, golden["soft/kl_divergence"], atol=1e-5)


def test_losses_are_least_where_student_and_teacher_agree():
    teacher = tf.constant([[1.0, -2.0, 0.5], [3.0, 0.0, -1.0]])
    for loss in (soft_divergence, squared_distance, cosine_distance, mean_squared_difference):
        np.testing.assert_allclose(loss(teacher, teacher), 0.0, atol=1e-6)
        assert np.min(loss(teacher, teacher[::-1])) > 0.1
    for loss in (soft_cross_entropy, soft_binary_cross_entropy):
        assert np.all(loss(teacher, teacher) < loss(teacher, teacher + 1.0 * teacher[::-1]))


def test_a_binary_loss_is_the_mean_of_each_labels():
    teacher, student = np.array([[0.5, -3.0]]), np.array([[2.0, 1.0]])
    p, q = (1 / (1 + np.exp(-x / 2)) for x in (teacher, student))
    expected = 4 * -np.mean(p * np.log(q) + (1 - p) * np.log(1 - q), axis=-1)
    actual = soft_binary_cross_entropy(*(tf.constant(x, tf.float32) for x in (teacher, student)), 2)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)
