"""Finds the best valid BIO sequences in a TensorFlow graph, as `bio.viterbi` does, for a batch."""

from collections.abc import Sequence

import tensorflow as tf

from bert_tf.spans.bio import transition_scores


def best_paths(scores: tf.Tensor, lengths: tf.Tensor, labels: Sequence[str]) -> tf.Tensor:
    """Returns the label ids of the best valid paths, int32 [N, W]; those of padding are arbitrary.

    Args:
        scores: float32 [N, W, C]; W may be 0.
        lengths: int [N], the words of each row.
    """
    start, steps = transition_scores(labels)
    num_words = tf.shape(scores)[1]
    # The loops need at least one step.
    by_word = tf.transpose(tf.pad(scores, [[0, 0], [0, 2], [0, 0]]), [1, 0, 2])
    is_word = tf.transpose(tf.sequence_mask(lengths, num_words + 2))[..., tf.newaxis]  # [W, N, 1]
    stay = tf.range(len(labels))[tf.newaxis]

    def forward(state, word):
        (best, _), (row, is_there) = state, word
        sums = best[:, :, tf.newaxis] + steps  # [N, C, C]
        following = tf.reduce_max(sums, axis=1) + row
        pointers = tf.argmax(sums, axis=1, output_type=tf.int32)
        return tf.where(is_there, following, best), tf.where(is_there, pointers, stay)

    first = by_word[0] + start
    nothing = tf.zeros_like(first, tf.int32)
    best, pointers = tf.scan(forward, (by_word[1:], is_word[1:]), (first, nothing))
    last = tf.argmax(best[-1], axis=-1, output_type=tf.int32)
    path = tf.scan(
        lambda label, back: tf.gather(back, label, batch_dims=1), pointers, last, reverse=True
    )
    path = tf.concat([path, last[tf.newaxis]], axis=0)
    return tf.transpose(path)[:, :num_words]
