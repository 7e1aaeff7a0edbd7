"""The span boundary objective's head, and BERT with it and the masked-LM head: SpanBERT's model.

    tokens     the  cat  [MASK]  [MASK]  [MASK]  day  .
    left             1      1       1       1          the tokens at both sides of the span
    right                   5       5       5    5
    place                   0       1       2          in the span

A masked token is predicted from the encoder's vectors at `left` and `right`, and a vector for
`place`: not from its own vector, as the masked-LM head does.

Source: Joshi et al. 2019, "SpanBERT", section 3.2; facebookresearch/SpanBERT,
pretraining/fairseq/models/pair_bert.py, `BertPairTargetPredictionHead`.
"""

import keras
import tensorflow as tf
from keras import ops

from bert_tf.model.encoder import TransformerEncoder
from bert_tf.model.feature_model import FeatureModel
from bert_tf.model.heads import HeadModel, MaskedLanguageModel, Transform, cls_and, masked_lm_head
from bert_tf.model.initial_weights import truncated_normal
from bert_tf.model.layers import LAYER_NORM_EPSILON

# The published run's: longer spans have no further targets.
MAX_TARGETS = 15
PLACE_SIZE = 200


class SpanBoundaryHead(MaskedLanguageModel):
    """Returns vocabulary logits of a span's tokens, by the word embeddings' matrix.

    Two dense layers, each with activation and LayerNorm, come before it.

    Args:
        max_targets: T, the first tokens of a span that are predicted.
        place_size: P, the width of the vectors for places.
        others: those of `MaskedLanguageModel`.
    """

    def __init__(
        self,
        vocab_size: int,
        hidden_size: int,
        hidden_act: str | None = "gelu",
        stddev: float = 0.02,
        epsilon: float = LAYER_NORM_EPSILON,
        max_targets: int = MAX_TARGETS,
        place_size: int = PLACE_SIZE,
        dtype=None,
        name: str = "pair_target_predictions",
    ):
        super().__init__(vocab_size, hidden_size, hidden_act, stddev, epsilon, dtype, name)
        self.join = Transform(hidden_size, hidden_act, stddev, self.dtype_policy, "join")
        self.join.epsilon = epsilon

    def build(self, left_shape, right_shape, places_shape, word_embeddings_shape):
        self.position_embeddings = self.add_weight(
            shape=(self.max_targets, self.place_size),
            initializer=truncated_normal(self.stddev),
            name="position_embeddings",
        )
        self.join.build((*left_shape[:-1], 2 * left_shape[-1] + self.place_size))
        super().build((*left_shape[:-1], self.hidden_size), word_embeddings_shape)

    def call(self, left, right, places, word_embeddings, training: bool = False):
        """Args: [B, M, H]; [B, M, H]; int [B, M], from 0; [V, H]. Returns: float32 [B, M, V]."""
        # Unlike a lookup, a product has a dense gradient.
        one_hot = ops.one_hot(places, self.max_targets, dtype=self.compute_dtype)
        of_place = ops.matmul(one_hot, ops.cast(self.position_embeddings, self.compute_dtype))
        parts = [ops.cast(part, self.compute_dtype) for part in (left, right, of_place)]
        joined = self.join(ops.concatenate(parts, axis=-1), training=training)
        return super().call(joined, word_embeddings, training=training)

    def compute_output_shape(self, left_shape, right_shape, places_shape, word_embeddings_shape):
        return (*left_shape[:-1], self.vocab_size)


class SpanBoundaryModel(HeadModel):
    """BERT with the masked-LM head and the span boundary head.

    Call it with the encoder's inputs and, of each masked token, int [B, M]: `masked_lm_positions`,
    and `span_left`, `span_right`, `span_places` as in the drawing above. It returns a dict:
        `masked_lm_logits` float32 [B, M, V],
        `span_boundary_logits` float32 [B, M, V].

    Args:
        max_targets, place_size: see `SpanBoundaryHead`.
        others: those of `HeadModel`.
    """

    feature_names = (
        *FeatureModel.feature_names,
        *("masked_lm_positions", "span_left", "span_right", "span_places"),
    )
    kind = "masked_lm"
    needs_pooler = False

    def __init__(
        self,
        encoder: TransformerEncoder,
        max_targets: int = MAX_TARGETS,
        place_size: int = PLACE_SIZE,
        dtype=None,
        name: str | None = None,
    ):
        super().__init__(encoder, dtype, name)
        self.masked_lm = masked_lm_head(encoder, self.dtype_policy)
        config, (words, width) = encoder.config, encoder.word_embeddings.shape
        values = (config.hidden_act, config.initializer_range, config.layer_norm_eps)
        sizes = (max_targets, place_size)
        self.span_boundary = SpanBoundaryHead(words, width, *values, *sizes, self.dtype_policy)
        hidden = (None, None, encoder.hidden_size)
        with keras.name_scope("cls"):
            self.span_boundary.build(hidden, hidden, hidden[:2], (words, width))

    def call(self, features, training: bool = False) -> dict:
        names = ("masked_lm_positions", "span_left", "span_right")
        positions = [ops.cast(features.pop(name), "int32") for name in names]
        places = features.pop("span_places")
        select = cls_and(ops.concatenate(positions, axis=1))
        outputs = self.encoder.selected_outputs(features, select, training=training)
        sizes = [1, *(ops.shape(part)[1] for part in positions)]
        _, masked, left, right = tf.split(outputs["sequence_output"], sizes, axis=1)
        words = self.encoder.word_embeddings
        return {
            "masked_lm_logits": self.masked_lm(masked, words, training=training),
            "span_boundary_logits": self.span_boundary(
                left, right, places, words, training=training
            ),
        }
