"""Coreference: BERT with scores of which spans of a document are mentions of the same thing.

    segments of B documents ──> encoder ──> each document's tokens ──> CoreferenceHead ──> spans,
    [B, S, L]                               [T, H]                     antecedents and their scores

T tokens of a document, [CLS] and [SEP] included; W the widest span; K spans, C antecedents kept. A
span's antecedent is an earlier span of the same entity, or none, whose score is 0.

Source: Lee et al. 2018, Higher-order Coreference Resolution with Coarse-to-fine Inference; Joshi et
al. 2019, BERT for Coreference Resolution; mandarjoshi90/coref, independent.py.
"""

from typing import ClassVar

import tensorflow as tf

from bert_tf.model.coreference_head import NO_ANTECEDENT, NUM_SPEAKERS, CoreferenceHead
from bert_tf.model.dropout import current_seeds, new_generator, next_seed
from bert_tf.model.feature_model import FeatureModel
from bert_tf.model.heads import HeadModel

_MOST_SPANS = 3900


def antecedent_loss(scores, antecedents, entities):
    """Returns the loss of each span, float32 [..., K]: the marginal log-likelihood of its entity.

    Args:
        scores: float32 [..., K, 1 + C]; the first is that of no antecedent.
        antecedents: int32 [..., K, C], numbers of spans.
        entities: int32 [..., K], the number of each span's entity, from 1; 0 for none.
    """
    batch_dims = entities.shape.rank - 1
    theirs = tf.gather(entities, antecedents, batch_dims=batch_dims)
    is_right = (theirs == entities[..., None]) & (theirs > 0)
    is_right &= scores[..., 1:] > NO_ANTECEDENT / 2
    is_right = tf.concat([~tf.reduce_any(is_right, axis=-1, keepdims=True), is_right], axis=-1)
    right = tf.where(is_right, scores, NO_ANTECEDENT)
    return tf.reduce_logsumexp(scores, axis=-1) - tf.reduce_logsumexp(right, axis=-1)


def entities_of_spans(starts, ends, gold_starts, gold_ends, gold_entities):
    """Returns the entity of each span, int32 [B, K]: 0 if it is no gold mention.

    Args: spans [B, K] and gold mentions [B, M], both ends included; entities int32 [B, M].
    """
    is_same = starts[..., None] == tf.cast(gold_starts, starts.dtype)[:, None]
    is_same &= ends[..., None] == tf.cast(gold_ends, ends.dtype)[:, None]  # [B, K, M]
    return tf.reduce_max(tf.where(is_same, gold_entities[:, None], 0), axis=-1)


def training_window(input_mask, offsets, num_segments: int):
    """Returns a mask [B, S, L] without the segments outside each document's window.

    Args:
        input_mask: int32 [B, S, L].
        offsets: int32 [B]: the first segment of each window.
    """
    numbers = tf.range(tf.shape(input_mask)[1])[None] - offsets[:, None]
    is_inside = (numbers >= 0) & (numbers < num_segments)
    return input_mask * tf.cast(is_inside, input_mask.dtype)[:, :, None]


class CoreferenceModel(HeadModel):
    """BERT with the antecedents of a document's spans.

    Args:
        encoder: see `bert_tf.BertEncoder`.
        max_span_width: W, tokens of the longest mention.
        top_span_ratio: mentions that are kept for each token of the document.
        max_top_antecedents: C, possible antecedents of each mention.
        coref_depth: how often the antecedents are scored; each time, but the first, with vectors of
            spans that know their likely antecedents.
        ffnn_size, ffnn_depth: units and number of the hidden layers that score.
        feature_size: width of the embeddings of distances, widths, speakers and genres.
        max_training_segments: segments of a document in a training step; which ones is random.
        dropout_rate: of the head.
        dtype, name: see `bert_tf.model.heads.HeadModel`; the head computes in float32.

    The inputs are, for B documents of at most S segments of L tokens, padded with zeros:
        `input_ids`, `input_mask`, `segment_ids`: int [B, S, L].
        `sentence_map`: int [B, S, L], the number of each token's sentence.
        `speaker_ids`: int [B, S, L], from 0 to 19.
        `genre`: int [B, 1], from 0 to 6.

    It returns a dict of float32 tensors, where K is the most spans of a document of the batch. A
    token's number counts the tokens before it in its document.
        `span_starts`, `span_ends` [B, K]: first and last token of each span; -1 fills rows.
        `antecedents` [B, K, C]: numbers of spans.
        `antecedent_scores` [B, K, 1 + C]: of no antecedent, which is 0, and of each; -1e9 fills.

    The weights have the names of the original's checkpoints: `mention_scores/hidden_weights_0`, ...

    Example:

        model = bert_tf.CoreferenceModel(bert_tf.BertEncoder(config))
        ids = np.ones((1, 2, 16), "int32")
        zeros = {"sentence_map": ids * 0, "speaker_ids": ids * 0, "genre": ids[:, 0, :1] * 0}
        model({"input_ids": ids, **zeros})["antecedent_scores"]  # [1, 12, 13]

    Source: mandarjoshi90/coref, independent.py.
    """

    feature_names = (*FeatureModel.feature_names, "sentence_map", "speaker_ids", "genre")
    kind = "coreference"
    ids_rank = 3
    needs_pooler = False
    OPTIONS: ClassVar = {
        name: name
        for name in (
            *("max_span_width", "top_span_ratio", "max_top_antecedents", "coref_depth"),
            *("ffnn_size", "ffnn_depth", "feature_size", "max_training_segments", "dropout_rate"),
        )
    }

    def __init__(
        self,
        encoder,
        max_span_width: int = 30,
        top_span_ratio: float = 0.4,
        max_top_antecedents: int = 50,
        coref_depth: int = 2,
        ffnn_size: int = 1000,
        ffnn_depth: int = 1,
        feature_size: int = 20,
        max_training_segments: int = 11,
        dropout_rate: float = 0.3,
        dtype=None,
        name: str | None = None,
    ):
        super().__init__(encoder, dtype, name)
        self._window_place = encoder.num_dropouts
        self._window_seeds = new_generator()
        self.head = CoreferenceHead(
            encoder.hidden_size,
            max_span_width,
            feature_size,
            ffnn_size,
            ffnn_depth,
            max_top_antecedents,
            coref_depth,
            max_training_segments,
            dropout_rate,
            place=encoder.num_dropouts + 1,
            dtype="float32",
        )
        self.head.build((None, encoder.hidden_size))  # For the shapes in a summary.

    @property
    def feature_limits(self) -> dict[str, int]:
        more = {"sentence_map": 2**31, "speaker_ids": NUM_SPEAKERS}
        return {**super().feature_limits, **more}

    def call(self, features, training: bool = False) -> dict:
        genre = tf.cast(features.pop("genre"), tf.int32)[:, 0]
        features = {name: tf.cast(value, tf.int32) for name, value in features.items()}
        mask = features.pop("input_mask", tf.ones_like(features["input_ids"]))
        whole = mask
        if training:
            mask = self._windowed(mask)
        # The encoder sees no empty segments.
        is_real = tf.reduce_any(mask > 0, axis=2)
        rows = {name: tf.boolean_mask(value, is_real) for name, value in features.items()}
        rows["input_mask"] = tf.boolean_mask(mask, is_real)
        is_token = rows["input_mask"] > 0
        texts = {name: rows[name] for name in rows if name in FeatureModel.feature_names}
        hidden = self.encoder(texts, training=training)["sequence_output"]
        tokens = tf.boolean_mask(tf.cast(hidden, tf.float32), is_token)
        sentences, speakers = (
            tf.boolean_mask(rows[name], is_token) for name in ("sentence_map", "speaker_ids")
        )
        segments = tf.zeros_like(mask) + tf.range(tf.shape(mask)[1])[None, :, None]
        segments = tf.boolean_mask(segments, mask > 0)
        lengths = tf.reduce_sum(mask, axis=[1, 2])
        firsts = tf.cumsum(lengths, exclusive=True)
        before = _tokens_before(whole, mask)
        num_spans = tf.cast(tf.floor(tf.cast(lengths, tf.float32) * self.top_span_ratio), tf.int32)
        num_spans = tf.minimum(num_spans, _MOST_SPANS)
        most = tf.maximum(tf.reduce_max(num_spans), 1)
        width = tf.minimum(self.max_top_antecedents, most)

        def document(parts):
            first, length, offset, its_genre, count = parts
            one = slice(first, first + length)
            found = self.head(
                *(tokens[one], sentences[one], speakers[one], segments[one], its_genre, count),
                training=training,
            )
            return _padded(found, offset, most, width)

        names = ("span_starts", "span_ends", "antecedents", "antecedent_scores")
        shapes = ([None], [None], [None, None], [None, None])
        return tf.map_fn(
            document,
            (firsts, lengths, before, genre, num_spans),
            fn_output_signature={
                name: tf.TensorSpec(shape, tf.float32)
                for name, shape in zip(names, shapes, strict=True)
            },
            parallel_iterations=1,
        )

    def _windowed(self, mask):
        """Leaves `max_training_segments` segments of each document, from a random one on."""
        fold_in, algorithm = current_seeds()
        seed = fold_in(self._window_place) if fold_in else next_seed(self._window_seeds)
        num_segments = tf.reduce_sum(tf.reduce_max(mask, axis=2), axis=1)
        num_places = tf.maximum(num_segments - self.max_training_segments, 0) + 1
        numbers = tf.random.stateless_uniform(tf.shape(num_places), seed, alg=algorithm)
        offsets = tf.cast(numbers * tf.cast(num_places, tf.float32), tf.int32)
        return training_window(mask, offsets, self.max_training_segments)


def _tokens_before(whole, mask):
    """Returns how many tokens of each document precede its window, int32 [B]."""
    is_before = tf.cumsum(tf.reduce_max(mask, axis=2), axis=1) == 0
    return tf.reduce_sum(tf.where(is_before, tf.reduce_sum(whole, axis=2), 0), axis=1)


def _padded(found: dict, offset, most, width) -> dict:
    """Fills the outputs of a document to the batch's number of spans and antecedents."""
    num_spans = tf.shape(found["span_starts"])[0]
    more = most - num_spans
    wider = width - tf.shape(found["antecedents"])[1]
    scores = tf.pad(found["antecedent_scores"], [[0, 0], [0, wider]], constant_values=NO_ANTECEDENT)
    fill = tf.pad(tf.zeros([more, 1]), [[0, 0], [0, width]], constant_values=NO_ANTECEDENT)
    starts, ends = (
        tf.pad(found[name] + offset, [[0, more]], constant_values=-1)
        for name in ("span_starts", "span_ends")
    )
    return {
        "span_starts": tf.cast(starts, tf.float32),
        "span_ends": tf.cast(ends, tf.float32),
        "antecedents": tf.cast(tf.pad(found["antecedents"], [[0, more], [0, wider]]), tf.float32),
        "antecedent_scores": tf.concat([scores, fill], axis=0),
    }
