"""A linear-chain CRF: scores of neighbouring tags, besides those of each tag of a word.

    score(tags) = transition(start, tags[0]) + emission[0, tags[0]]
                + transition(tags[0], tags[1]) + emission[1, tags[1]] + ... + transition(end, last)
    probability(tags) = exp(score(tags)) / sum of exp(score) over all sequences of tags

Emissions are a model's logits, float32 [B, L, C]. A mask [B, L] says which positions are words; the
others, such as further pieces of a word, are skipped. The transitions are one matrix [C + 2, C]: a
row for each previous tag, then a row for the start of a sentence, then one for its end.

Source: Lafferty, McCallum and Pereira 2001; Lample et al. 2016, section 2.
"""

import tensorflow as tf

from bert_tf.model.part import Part


class Crf(Part):
    """Holds the transitions between C tags. They start at 0: a softmax of each word by itself.

    Call it with emissions [B, L, C]. It returns the transitions, the same for each row: float32
    [B, C + 2, C].
    """

    def __init__(self, num_labels: int, dtype="float32", name: str = "crf"):
        super().__init__(name=name, dtype=dtype, autocast=False)

    def build(self, emissions_shape=None):
        shape = self.num_labels + 2, self.num_labels
        self.transitions = self.add_weight(
            shape=shape, initializer="zeros", dtype="float32", name="transitions"
        )

    def call(self, emissions):
        transitions = tf.convert_to_tensor(self.transitions)
        return tf.tile(transitions[tf.newaxis], [tf.shape(emissions)[0], 1, 1])

    def compute_output_shape(self, emissions_shape):
        return (emissions_shape[0], self.num_labels + 2, self.num_labels)


def log_partition(emissions: tf.Tensor, mask: tf.Tensor, transitions: tf.Tensor) -> tf.Tensor:
    """Returns the logarithm of the sum of exp(score) over all sequences: float32 [B].

    It is 0 for a row without words. `transitions`: float32 [B, C + 2, C].
    """
    between, start, end = _parts(transitions)

    def step(state, position):
        totals, has_begun = state
        emission, is_word = position
        reached = tf.reduce_logsumexp(totals[:, :, tf.newaxis] + between, axis=1)  # [B, C]
        reached = tf.where(has_begun[:, tf.newaxis], reached, start) + emission
        return tf.where(is_word[:, tf.newaxis], reached, totals), has_begun | is_word

    begun = tf.zeros_like(start), tf.zeros_like(start[:, 0], tf.bool)
    totals, has_begun = tf.foldl(step, _by_position(emissions, mask), begun)
    return tf.where(has_begun, tf.reduce_logsumexp(totals + end, axis=1), 0.0)


def negative_log_likelihood(
    emissions: tf.Tensor, tags: tf.Tensor, mask: tf.Tensor, transitions: tf.Tensor
) -> tf.Tensor:
    """Returns -log(probability(tags)): float32 [B]. `tags`: int [B, L], any where `mask` is 0."""
    num_labels = emissions.shape[-1]
    emissions = tf.cast(emissions, tf.float32)

    def step(state, position):
        score, previous = state
        emission, is_word, tag = position
        gained = tf.gather(emission, tag, batch_dims=1)
        gained += tf.gather_nd(transitions, tf.stack([previous, tag], axis=1), batch_dims=1)
        return score + tf.where(is_word, gained, 0.0), tf.where(is_word, tag, previous)

    tags = tf.clip_by_value(tf.cast(tags, tf.int32), 0, num_labels - 1)
    begun = tf.zeros_like(emissions[:, 0, 0]), tf.fill(tf.shape(tags)[:1], num_labels)
    positions = (*_by_position(emissions, mask), tf.transpose(tags))
    score, last = tf.foldl(step, positions, begun)
    has_begun = last < num_labels
    at_end = tf.gather(transitions[:, -1], tf.where(has_begun, last, 0), batch_dims=1)
    score += tf.where(has_begun, at_end, 0.0)
    return log_partition(emissions, mask, transitions) - score


def best_tags(
    emissions: tf.Tensor, mask: tf.Tensor, transitions: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the most probable sequence of tags, int32 [B, L], see `best_path`.

    And the probability of each of its tags, over all sequences: float32 [B, L]; 0 where no word is.
    """
    emissions = tf.cast(emissions, tf.float32)
    tags = best_path(emissions, mask, transitions)
    with tf.GradientTape() as tape:
        tape.watch(emissions)
        total = tf.reduce_sum(log_partition(emissions, mask, transitions))
    marginals = tape.gradient(total, emissions)  # A tag's probability is this derivative.
    return tags, tf.gather(marginals, tags, batch_dims=2)


def best_path(emissions: tf.Tensor, mask: tf.Tensor, transitions: tf.Tensor) -> tf.Tensor:
    """Returns the sequence of tags with the highest score, by Viterbi's algorithm: int32 [B, L].

    Positions that are no words have the next word's tag. A transition of -inf is never taken. There
    must be at least one position.
    """
    between, start, end = _parts(transitions)
    own = tf.zeros_like(start, tf.int32) + tf.range(tf.shape(start)[1])  # [B, C]

    def step(state, position):
        scores, has_begun, _ = state
        emission, is_word = position
        reached = scores[:, :, tf.newaxis] + between
        came_from = tf.argmax(reached, axis=1, output_type=tf.int32)
        reached = tf.where(has_begun[:, tf.newaxis], tf.reduce_max(reached, axis=1), start)
        is_word = is_word[:, tf.newaxis]
        came_from = tf.where(is_word, came_from, own)
        scores = tf.where(is_word, reached + emission, scores)
        return scores, has_begun | is_word[:, 0], came_from

    begun = tf.zeros_like(start), tf.zeros_like(start[:, 0], tf.bool), own
    scores, _, came_from = tf.scan(step, _by_position(emissions, mask), begun)
    last = tf.argmax(scores[-1] + end, axis=1, output_type=tf.int32)
    # At each position, from the last to the first, the tag before it.
    before = tf.scan(
        lambda tag, back: tf.gather(back, tag, batch_dims=1), came_from, last, reverse=True
    )
    return tf.transpose(tf.concat([before[1:], last[tf.newaxis]], axis=0))


def _parts(transitions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns transitions between tags [B, C, C], from the start and to the end [B, C]."""
    return transitions[:, :-2], transitions[:, -2], transitions[:, -1]


def _by_position(emissions: tf.Tensor, mask: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    emissions = tf.transpose(tf.cast(emissions, tf.float32), [1, 0, 2])
    return emissions, tf.transpose(tf.cast(mask, tf.bool))
