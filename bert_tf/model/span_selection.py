"""Selects the best spans of a document of which no two cross, as one after the other would.

    a [ b ( c ] d )     these two cross; nested spans do not

In the order of their scores each span is taken unless it crosses one that was taken before. A span
is decided as soon as those before it that it crosses are, so that a few rounds decide all of them.

Source: kentonl/e2e-coref, coref_kernels.cc, `ExtractSpansOp`.
"""

import tensorflow as tf


def select_spans(scores, is_span, num_spans):
    """Returns the numbers of the spans that are taken, ordered by start and end: int32 [K].

    Args:
        scores: float [T, W], by first token and width - 1, of which equal ones count in this order.
        is_span: bool [T, W]: which of these are spans.
        num_spans: int32, how many are taken, if there are as many.

    A span's number is `start * W + width - 1`.
    """
    shape = tf.shape(scores)
    size = tf.size(scores)
    flat = tf.where(is_span, tf.cast(scores, tf.float32), -tf.float32.max)
    order = tf.argsort(tf.reshape(flat, [-1]), direction="DESCENDING", stable=True)
    ranks = tf.scatter_nd(order[:, None], tf.range(size, 0, -1), [size])
    ranks = tf.where(is_span, tf.reshape(ranks, shape), 0)  # The best one has the highest.

    def decide(undecided, taken):
        best = tf.where(undecided, ranks, 0)
        now = undecided & (ranks > highest_crossing(best))
        taken = taken | now
        crosses = highest_crossing(tf.cast(taken, tf.int32)) > 0
        return undecided & ~now & ~crosses, taken

    _, taken = tf.while_loop(
        lambda undecided, _: tf.reduce_any(undecided),
        decide,
        (is_span, tf.zeros_like(is_span)),
        parallel_iterations=1,
    )
    taken_ranks = tf.reshape(tf.where(taken, ranks, 0), [-1])
    count = tf.minimum(num_spans, tf.reduce_sum(tf.cast(taken, tf.int32)))
    _, best = tf.math.top_k(taken_ranks, count)
    return tf.sort(best)


def highest_crossing(values):
    """Returns the highest value among the spans that each span crosses: int32 [T, W].

    Args: values from 0 on, int32 [T, W], by first token and width - 1.
    """
    length, width = tf.shape(values)[0], values.shape[1]
    later = _crossing_later(values)
    # The same for the text read backwards, where a span's first token is its last.
    starts, extra = tf.range(length)[:, None], tf.range(width)
    mirrored = length - 1 - starts - extra
    is_inside = mirrored >= 0
    places = tf.where(is_inside, mirrored, 0) * width + extra
    turned = tf.where(is_inside, tf.gather(tf.reshape(values, [-1]), places), 0)
    earlier = tf.gather(tf.reshape(_crossing_later(turned), [-1]), places)
    return tf.maximum(later, tf.where(is_inside, earlier, 0))


def _crossing_later(values):
    """Returns the highest value of those that start inside a span and end after it."""
    length, width = tf.shape(values)[0], values.shape[1]
    # The highest among the spans from `start` of more than `extra` + 1 tokens.
    longer = _running_maximum(values[:, ::-1])[:, ::-1]
    longer = tf.pad(longer[:, 1:], [[0, 0], [0, 1]])
    # By last token e and j: those that start at e - j and end after e, then at e - j or later.
    ends, back = tf.range(length)[:, None], tf.range(width)
    starts = ends - back
    places = tf.maximum(starts, 0) * width + back
    over = tf.where(starts >= 0, tf.gather(tf.reshape(longer, [-1]), places), 0)
    over = tf.pad(_running_maximum(over), [[0, 0], [1, 0]])[:, :-1]  # Not at the span's own start.
    last = ends + back
    places = tf.minimum(last, length - 1) * width + back
    return tf.where(last < length, tf.gather(tf.reshape(over, [-1]), places), 0)


def _running_maximum(values):
    """Returns the maximum of each value and those before it in its row: [T, W]."""
    width, step = values.shape[1], 1
    while step < width:
        shifted = tf.pad(values, [[0, 0], [step, 0]])[:, :width]
        values = tf.maximum(values, shifted)
        step *= 2
    return values
