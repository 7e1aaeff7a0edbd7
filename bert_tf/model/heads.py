"""The base of all heads on an encoder, and the heads of pre-training.

A head returns what a Keras loss takes: a tensor of logits, or a dict if it has several outputs.
"""

import re
from collections.abc import Callable

import keras
import tensorflow as tf
from keras import ops

from bert_tf.model.encoder import TransformerEncoder
from bert_tf.model.feature_model import FeatureModel
from bert_tf.model.layers import LAYER_NORM_EPSILON, Intermediate, layer_norm
from bert_tf.model.part import MadePart, Part


class Transform(Intermediate):
    """Applies the dense layer, activation and LayerNorm that come before the vocabulary logits."""

    epsilon = LAYER_NORM_EPSILON

    def build(self, input_shape):
        super().build(input_shape)
        self.normalize = layer_norm(self.epsilon)
        self.normalize.build(self.compute_output_shape(input_shape))

    def call(self, hidden, training: bool = False):
        return self.normalize(super().call(hidden, training=training), training=training)


class MaskedLanguageModel(Part):
    """Returns vocabulary logits of vectors at masked positions, by the word embeddings' matrix.

    Source: google-research/bert, run_pretraining.py, `get_masked_lm_output`.
    """

    def __init__(
        self,
        vocab_size: int,
        hidden_size: int,
        hidden_act: str | None = "gelu",
        stddev: float = 0.02,
        epsilon: float = LAYER_NORM_EPSILON,
        dtype=None,
        name: str = "predictions",
    ):
        super().__init__(name=name, dtype=dtype)
        self.transform = Transform(hidden_size, hidden_act, stddev, self.dtype_policy, "transform")
        self.transform.epsilon = epsilon

    def build(self, vectors_shape, word_embeddings_shape):
        self.transform.build(vectors_shape)
        self.output_bias = self.add_weight(
            shape=(self.vocab_size,), initializer="zeros", name="output_bias"
        )

    def call(self, vectors, word_embeddings, training: bool = False):
        """Args: [B, M, H]; [V, H]. Returns: float32 logits [B, M, V]."""
        transformed = self.transform(vectors, training=training)
        flat = ops.reshape(ops.cast(transformed, self.compute_dtype), (-1, self.hidden_size))
        words = ops.cast(word_embeddings, self.compute_dtype)
        # The gradient of a transposed copy of [V, H] would be transposed back.
        logits = tf.matmul(flat, words, transpose_b=True)
        logits = ops.cast(logits, "float32") + ops.cast(self.output_bias, "float32")
        return ops.reshape(logits, (*ops.shape(vectors)[:-1], self.vocab_size))

    def compute_output_shape(self, vectors_shape, word_embeddings_shape):
        return (*vectors_shape[:-1], self.vocab_size)


class LinearScores(MadePart):
    """Returns C logits for each vector, by `output_weights` [C, H] and `output_bias` [C]."""

    def __init__(
        self,
        hidden_size: int,
        num_scores: int,
        stddev: float = 0.02,
        dtype=None,
        name: str = "scores",
    ):
        super().__init__(dtype, name)
        self.output_weights = self.weight("output_weights", num_scores, hidden_size, stddev=stddev)
        self.output_bias = self.weight("output_bias", num_scores)

    def call(self, vectors):
        """Args: [..., H]. Returns: float32 [..., C]."""
        vectors = ops.cast(vectors, "float32")
        weights = ops.convert_to_tensor(self.output_weights)
        return ops.matmul(vectors, ops.transpose(weights)) + self.output_bias

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.num_scores)


class HeadModel(FeatureModel):
    """An encoder with a head, whose layers and `call` a subclass defines.

    Args:
        encoder: see `bert_tf.BertEncoder`; it is not copied.
        dtype: a Keras dtype policy of the head's matrix products; by default the encoder's.
        name: the Keras name; by default that of the class, as in `span_model`.
    """

    needs_pooler = True  # Whether an output depends on the encoder's pooler.

    def __init__(self, encoder: TransformerEncoder, dtype=None, name: str | None = None):
        if not isinstance(encoder, TransformerEncoder):
            raise ValueError(
                f"{type(self).__name__} takes an encoder, such as bert_tf.BertEncoder(config). "
                f"Received: {encoder!r:.200}"
            )
        words = re.sub(r"(?<=[a-z])(?=[A-Z])|(?=[A-Z][a-z])(?<!^)", "_", type(self).__name__)
        super().__init__(name=name or words.lower(), dtype=dtype or encoder.dtype_policy)
        self.encoder = encoder
        self.config = encoder.config

    @property
    def trainable_variables(self) -> list[keras.Variable]:
        return self._needed(super().trainable_variables)

    @property
    def trainable_weights(self) -> list[keras.Variable]:
        return self._needed(super().trainable_weights)

    @property
    def non_trainable_variables(self) -> list[keras.Variable]:
        return _others(self.variables, self.trainable_variables)

    @property
    def non_trainable_weights(self) -> list[keras.Variable]:
        return _others(self.weights, self.trainable_weights)

    def _needed(self, variables: list[keras.Variable]) -> list[keras.Variable]:
        """Leaves out weights without a gradient, of which Keras would warn in every `fit`."""
        return [variable for variable in variables if not self.is_unneeded(variable.path)]

    def is_unneeded(self, name: str) -> bool:
        return not self.needs_pooler and name.startswith(self.encoder.pooler_prefix)

    def may_lack(self, name: str) -> bool:
        return self.is_unneeded(name) or self.encoder.may_lack(name)


class PretrainingModel(HeadModel):
    """BERT with both pre-training heads, every weight under its published name.

    The arguments are those of `HeadModel`. Call it with the encoder's inputs and
    `masked_lm_positions` int [B, M]. It returns a dict:
        `masked_lm_logits` float32 [B, M, V],
        `next_sentence_logits` float32 [B, 2]: 0 = is next, 1 = random.

    Example:

        model = bert_tf.PretrainingModel(bert_tf.BertEncoder(config))
        ids = np.array([[2, 5, 4, 6, 3]])
        outputs = model({"input_ids": ids, "masked_lm_positions": np.array([[2]])})
        outputs["masked_lm_logits"]  # [1, 1, V]

    Source: google-research/bert, run_pretraining.py, `model_fn_builder`.
    """

    feature_names = (*FeatureModel.feature_names, "masked_lm_positions")
    kind = "masked_lm"

    def __init__(self, encoder: TransformerEncoder, dtype=None, name: str | None = None):
        super().__init__(encoder, dtype, name)
        self.masked_lm = masked_lm_head(encoder, self.dtype_policy)
        with keras.name_scope("cls"), keras.name_scope("seq_relationship"):
            self.next_sentence = LinearScores(
                encoder.hidden_size, 2, encoder.config.initializer_range, name="next_sentence"
            )
        self.next_sentence.build((None, encoder.hidden_size))

    def call(self, features, training: bool = False) -> dict:
        positions = features.pop("masked_lm_positions")
        outputs = self.encoder.selected_outputs(features, cls_and(positions), training=training)
        masked = outputs["sequence_output"][:, 1:]  # [B, M, H]
        words = self.encoder.word_embeddings
        return {
            "masked_lm_logits": self.masked_lm(masked, words, training=training),
            "next_sentence_logits": self.next_sentence(outputs["pooled_output"]),
        }


def first_vector(hidden):
    """Returns the vector of [CLS]: [B, L, H] -> [B, 1, H]."""
    return hidden[:, :1]


def cls_and(positions) -> Callable:
    """Returns a function that takes the vectors of [CLS] and at `positions`, int [B, M]."""
    columns = ops.pad(ops.cast(positions, "int32"), ((0, 0), (1, 0)))[..., None]
    return lambda hidden: ops.take_along_axis(hidden, columns, axis=1)  # [B, 1 + M, H]


def masked_lm_head(encoder: TransformerEncoder, dtype) -> MaskedLanguageModel:
    """Returns a new masked-LM head for an encoder, its weights under `cls/predictions/`."""
    config, (words, width) = encoder.config, encoder.word_embeddings.shape
    values = (config.hidden_act, config.initializer_range, config.layer_norm_eps)
    head = MaskedLanguageModel(words, width, *values, dtype)
    with keras.name_scope("cls"):
        head.build((None, None, encoder.hidden_size), (words, width))
    return head


def _others(variables: list[keras.Variable], known: list[keras.Variable]) -> list[keras.Variable]:
    known_ids = set(map(id, known))
    return [variable for variable in variables if id(variable) not in known_ids]
