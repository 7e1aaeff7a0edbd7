"""Losses by which a student learns the outputs of a teacher, one value per vector of logits.

At a temperature T, logits are divided by T before the softmax, which makes unlikely classes count
more. Losses at a temperature are multiplied by T², so that their gradients keep their size. The
gradient of the teacher's arguments is never computed.

Source: Hinton et al. 2015, https://arxiv.org/abs/1503.02531; DistilBERT's `distiller.py` of
huggingface/transformers, research_projects/distillation; Turc et al. 2019, section 3.
"""

import tensorflow as tf


def soft_cross_entropy(teacher: tf.Tensor, student: tf.Tensor, temperature: float = 1.0):
    """Returns T² times the cross entropy of the student's with the teacher's probabilities.

    Args: logits, float32 [..., C]. Returns: float32 [...].
    """
    targets = tf.nn.softmax(tf.stop_gradient(teacher) / temperature)
    losses = tf.nn.softmax_cross_entropy_with_logits(targets, student / temperature)
    return temperature**2 * losses


def soft_divergence(teacher: tf.Tensor, student: tf.Tensor, temperature: float = 1.0):
    """Returns T² times the Kullback-Leibler divergence: 0 where both give equal probabilities.

    It is `soft_cross_entropy` less the teacher's entropy, so its gradient is the same.
    """
    log_probs = tf.nn.log_softmax(tf.stop_gradient(teacher) / temperature)
    entropy = -tf.reduce_sum(tf.exp(log_probs) * log_probs, axis=-1)
    return soft_cross_entropy(teacher, student, temperature) - temperature**2 * entropy


def soft_binary_cross_entropy(teacher: tf.Tensor, student: tf.Tensor, temperature: float = 1.0):
    """Returns T² times the mean binary cross entropy of C labels, each with its own sigmoid.

    Args: logits, float32 [..., C]. Returns: float32 [...].
    """
    targets = tf.sigmoid(tf.stop_gradient(teacher) / temperature)
    losses = tf.nn.sigmoid_cross_entropy_with_logits(targets, student / temperature)
    return temperature**2 * tf.reduce_mean(losses, axis=-1)


def squared_distance(teacher: tf.Tensor, student: tf.Tensor) -> tf.Tensor:
    """Returns the sum of the squared differences: float32 [..., C] -> [...]."""
    return tf.reduce_sum(tf.math.squared_difference(tf.stop_gradient(teacher), student), axis=-1)


def mean_squared_difference(teacher: tf.Tensor, student: tf.Tensor) -> tf.Tensor:
    """Returns the mean of the squared differences: float32 [..., H] -> [...]."""
    return tf.reduce_mean(tf.math.squared_difference(tf.stop_gradient(teacher), student), axis=-1)


def cosine_distance(teacher: tf.Tensor, student: tf.Tensor) -> tf.Tensor:
    """Returns 1 less the cosine of the angle between two vectors: float32 [..., H] -> [...]."""
    directions = (tf.math.l2_normalize(x, axis=-1) for x in (tf.stop_gradient(teacher), student))
    return 1.0 - tf.reduce_sum(tf.multiply(*directions), axis=-1)
