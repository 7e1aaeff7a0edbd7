"""The head of coreference: from the tokens of a document to spans with scored antecedents.

    tokens [T, H] ──> mention scores of all spans [T, W]
                      │ the best K spans that do not cross
                      ├──coarse──> the C likeliest antecedents of each
                      └──fine, `coref_depth` times──> scores [K, 1 + C]

The products of the scoring networks' first layers are computed for the parts of a span or pair, and
added: the same numbers in less time and memory than the product of their concatenation.

Source: mandarjoshi90/coref, independent.py.
"""

import keras
import tensorflow as tf
from keras import ops

from bert_tf.model.dropout import Dropout
from bert_tf.model.part import MadePart
from bert_tf.model.span_selection import select_spans

NUM_SPEAKERS = 20
NUM_GENRES = 7
NO_ANTECEDENT = -1e9  # The score of antecedents that only fill a row.
_NUM_BUCKETS = 10


def bucket_distance(distances):
    """Returns the buckets, from 0 to 9, of distances: 0, 1, 2, 3, 4, 5-7, 8-15, ..., 64 and more.

    A negative distance is in bucket 0.
    """
    distances = tf.convert_to_tensor(distances, tf.int32)
    logarithms = sum(tf.cast(distances >= 2**power, tf.int32) for power in range(1, 7))
    return tf.clip_by_value(tf.where(distances <= 4, distances, logarithms + 3), 0, 9)


class Projection(MadePart):
    """A linear layer: `output_weights` [in, out] and `output_bias` [out]."""

    def __init__(self, input_size: int, output_size: int, dtype=None, name: str = "projection"):
        super().__init__(dtype, name)
        self.output_weights = self.weight("output_weights", input_size, output_size)
        self.output_bias = self.weight("output_bias", output_size)

    def call(self, vectors):
        return ops.matmul(vectors, self.output_weights) + self.output_bias

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.output_size)


class Scorer(MadePart):
    """A network with one output: `depth` layers of `hidden_size` with ReLU and dropout.

    The first layer may be given its product with the inputs, see `product`, since that of a span is
    the sum of the products of its parts.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        depth: int,
        dropout_rate: float,
        place: int,
        dtype=None,
        name: str = "scorer",
    ):
        super().__init__(dtype, name)
        sizes = [input_size, *[hidden_size] * depth]
        self.hidden_weights, self.hidden_biases, self.dropouts = [], [], []
        for i in range(depth):
            self.hidden_weights.append(self.weight(f"hidden_weights_{i}", *sizes[i : i + 2]))
            self.hidden_biases.append(self.weight(f"hidden_bias_{i}", hidden_size))
            self.dropouts.append(Dropout(dropout_rate, place + i, name=f"dropout_{i}"))
        self.output_weights = self.weight("output_weights", hidden_size, 1)
        self.output_bias = self.weight("output_bias", 1)

    def product(self, vectors, first: int):
        """Returns the product of the first layer's rows from `first` on with part of an input."""
        weights = ops.convert_to_tensor(self.hidden_weights[0])
        return ops.matmul(vectors, weights[first : first + vectors.shape[-1]])

    def call(self, products, training: bool = False):
        """Args: the sum of the products of all parts, [..., hidden_size]. Returns: [...]."""
        for i, (bias, dropout) in enumerate(zip(self.hidden_biases, self.dropouts, strict=True)):
            if i:
                products = ops.matmul(products, self.hidden_weights[i])
            products = dropout(ops.relu(products + bias), training=training)
        return (ops.matmul(products, self.output_weights) + self.output_bias)[..., 0]

    def compute_output_shape(self, input_shape):
        return input_shape[:-1]


class CoreferenceHead(MadePart):
    """Finds the mentions of a document and scores their antecedents.

    The arguments are those of `CoreferenceModel`; `place` is the number of the first dropout.
    """

    NUM_DROPOUTS = 5  # Besides those of the three networks.

    def __init__(
        self,
        token_size: int,
        max_span_width: int,
        feature_size: int,
        ffnn_size: int,
        ffnn_depth: int,
        max_top_antecedents: int,
        coref_depth: int,
        max_training_segments: int,
        dropout_rate: float,
        place: int = 0,
        dtype=None,
        name: str = "coreference",
    ):
        super().__init__(dtype, name)
        self._first_place = place + self.NUM_DROPOUTS
        self.dropouts = [
            Dropout(dropout_rate, place + i, name=f"dropout_{i}") for i in range(self.NUM_DROPOUTS)
        ]
        span, width = self.span_size, (max_span_width, feature_size)
        self.span_width_embeddings = self.weight("span_width_embeddings", *width)
        self.mention_word_attn = self._projection("mention_word_attn", token_size, 1)
        self.mention_scores = self._scorer("mention_scores", span, 0)
        self.span_width_prior_embeddings = self.weight("span_width_prior_embeddings", *width)
        self.width_scores = self._scorer("width_scores", feature_size, 1)
        self.genre_embeddings = self.weight("genre_embeddings", NUM_GENRES, feature_size)
        self.src_projection = self._projection("src_projection", span, span)
        self.prior_distances = self.weight("antecedent_distance_emb", _NUM_BUCKETS, feature_size)
        self.prior_projection = Projection(feature_size, 1, name="prior_projection")
        with keras.name_scope("coref_layer"):
            self.same_speaker_emb = self.weight("same_speaker_emb", 2, feature_size)
            self.distances = self.weight("antecedent_distance_emb", _NUM_BUCKETS, feature_size)
            with keras.name_scope("segment_distance"):
                self.segment_distances = self.weight(
                    "segment_distance_embeddings", max_training_segments, feature_size
                )
            size = 3 * span + 4 * feature_size
            self.slow_antecedent_scores = self._scorer("slow_antecedent_scores", size, 2)
            if coref_depth > 1:  # A last refinement would not be used.
                self.refinement = self._projection("f", 2 * span, span)

    @property
    def span_size(self) -> int:
        """The size of a span's vector: start, end, width, and the attended words."""
        return 3 * self.token_size + self.feature_size

    def _scorer(self, name: str, input_size: int, number: int) -> Scorer:
        place = self._first_place + number * self.ffnn_depth
        sizes = input_size, self.ffnn_size, self.ffnn_depth
        with keras.name_scope(name):
            return Scorer(*sizes, self.dropout_rate, place, name=name)

    @staticmethod
    def _projection(name: str, *sizes: int) -> Projection:
        with keras.name_scope(name):
            return Projection(*sizes, name=name)

    def span_scores(self, tokens, training: bool = False):
        """Returns the mention scores of the spans by first token and width: float32 [T, W].

        Those that extend beyond the last token are included.
        """
        size, scorer = self.token_size, self.mention_scores
        places = self._places(tokens)
        widths = self.dropouts[0](
            ops.convert_to_tensor(self.span_width_embeddings), training=training
        )
        ends = scorer.product(tokens, size)
        words = scorer.product(tokens, 2 * size + self.feature_size)
        weights = self._word_weights(tokens, places)  # [T, W, W]
        products = (
            scorer.product(tokens, 0)[:, None]
            + tf.gather(ends, places)
            + scorer.product(widths, 2 * size)
            + tf.matmul(weights, tf.gather(words, places))
        )
        scores = scorer(products, training=training)
        prior = self.width_scores.product(
            ops.convert_to_tensor(self.span_width_prior_embeddings), 0
        )
        return scores + self.width_scores(prior, training=training), widths, weights

    def _places(self, tokens):
        last = tf.shape(tokens)[0] - 1
        places = tf.range(last + 1)[:, None] + tf.range(self.max_span_width)
        return tf.minimum(places, last)  # [T, W]

    def _word_weights(self, tokens, places):
        """Returns the softmax over the words of each span: [T, W, W], by start, width and word."""
        scores = tf.gather(self.mention_word_attn(tokens)[:, 0], places)  # [T, W]
        ones = tf.ones([self.max_span_width] * 2)
        is_inside = tf.linalg.band_part(ones, -1, 0) > 0
        return tf.nn.softmax(tf.where(is_inside, scores[:, None], NO_ANTECEDENT))

    def call(
        self, tokens, sentences, speakers, segments, genre, num_spans, training: bool = False
    ) -> dict:
        """Returns the best spans of one document, and the scores of their antecedents.

        Args:
            tokens: float32 [T, H].
            sentences, speakers, segments: int32 [T], the number of each token's.
            genre: int32 scalar.
            num_spans: how many spans to keep, at most.

        Returns:
            `span_starts`, `span_ends`: int32 [K], the first and the last token of each.
            `antecedents`: int32 [K, C], numbers of spans.
            `antecedent_scores`: float32 [K, 1 + C]; the first is that of no antecedent.
        """
        width = self.max_span_width
        all_scores, widths, weights = self.span_scores(tokens, training)
        is_span = candidate_spans(sentences, width)
        order = select_spans(tf.stop_gradient(all_scores), is_span, num_spans)
        starts, extra = order // width, order % width
        scores = tf.gather(tf.reshape(all_scores, [-1]), order)
        # [K, W, H]: the words of each span, and those after it, whose weights are 0.
        words = tf.gather(tokens, tf.gather(self._places(tokens), starts))
        attended = tf.gather_nd(weights, tf.stack([starts, extra], axis=1))
        spans = tf.concat(
            [
                tf.gather(tokens, starts),
                tf.gather(tokens, starts + extra),
                tf.gather(widths, extra),
                tf.einsum("kw,kwh->kh", attended, words),
            ],
            axis=1,
        )
        antecedents, coarse = self._coarse(spans, scores, training)
        features = self._pair_features(
            antecedents, tf.gather(speakers, starts), tf.gather(segments, starts), genre, training
        )
        fine = coarse
        for number in range(self.coref_depth):
            if number:
                spans = self._refined(spans, antecedents, fine)
            fine = coarse + self._fine(spans, antecedents, features, training)
        none = tf.zeros_like(scores)[:, None]
        return {
            "span_starts": starts,
            "span_ends": starts + extra,
            "antecedents": antecedents,
            "antecedent_scores": tf.concat([none, tf.maximum(fine, NO_ANTECEDENT)], axis=1),
        }

    def _coarse(self, spans, scores, training: bool):
        """Returns the likeliest antecedents of each span, int32 [K, C], and their scores."""
        number = tf.range(tf.shape(scores)[0])
        distances = number[:, None] - number
        source = self.dropouts[1](self.src_projection(spans), training=training)
        target = self.dropouts[2](spans, training=training)
        table = self.dropouts[3](ops.convert_to_tensor(self.prior_distances), training=training)
        prior = self.prior_projection(table)[:, 0]
        pairs = scores[:, None] + scores + tf.matmul(source, target, transpose_b=True)
        pairs += tf.gather(prior, bucket_distance(distances))
        pairs = tf.where(distances >= 1, pairs, 2 * NO_ANTECEDENT)
        most = tf.minimum(self.max_top_antecedents, tf.shape(scores)[0])
        coarse, antecedents = tf.math.top_k(pairs, most)
        return antecedents, coarse

    def _pair_features(self, antecedents, speakers, segments, genre, training: bool):
        """Returns what the fine scores know of each pair besides its spans: [K, C, features]."""
        numbers = tf.range(tf.shape(antecedents)[0])[:, None]
        is_same = tf.cast(speakers[:, None] == tf.gather(speakers, antecedents), tf.int32)
        apart = segments[:, None] - tf.gather(segments, antecedents)
        apart = tf.clip_by_value(apart, 0, self.max_training_segments - 1)
        same_speaker = tf.gather(ops.convert_to_tensor(self.same_speaker_emb), is_same)
        of_genre = ops.convert_to_tensor(self.genre_embeddings)[genre]
        parts = (
            same_speaker,
            tf.zeros_like(same_speaker) + of_genre,
            tf.gather(
                ops.convert_to_tensor(self.distances), bucket_distance(numbers - antecedents)
            ),
            tf.gather(ops.convert_to_tensor(self.segment_distances), apart),
        )
        return self.dropouts[4](tf.concat(parts, axis=-1), training=training)

    def _fine(self, spans, antecedents, features, training: bool):
        """Returns the fine scores of the antecedents, [K, C]."""
        scorer, size = self.slow_antecedent_scores, self.span_size
        similarity = spans[:, None] * tf.gather(spans, antecedents)
        products = (
            scorer.product(spans, 0)[:, None]
            + tf.gather(scorer.product(spans, size), antecedents)
            + scorer.product(similarity, 2 * size)
            + scorer.product(features, 3 * size)
        )
        return scorer(products, training=training)

    def _refined(self, spans, antecedents, scores):
        """Returns spans that know their likely antecedents: a gated mean of both."""
        weights = tf.nn.softmax(tf.pad(scores, [[0, 0], [1, 0]]))
        attended = weights[:, :1] * spans
        attended += tf.einsum("kc,kcs->ks", weights[:, 1:], tf.gather(spans, antecedents))
        gate = tf.sigmoid(self.refinement(tf.concat([spans, attended], axis=1)))
        return gate * attended + (1.0 - gate) * spans


def candidate_spans(sentences, max_span_width: int):
    """Returns which spans lie within a sentence: bool [T, W], by first token and width - 1."""
    padded = tf.pad(sentences, [[0, max_span_width]], constant_values=-1)
    ends = tf.range(tf.shape(sentences)[0])[:, None] + tf.range(max_span_width)
    return tf.gather(padded, ends) == sentences[:, None]
