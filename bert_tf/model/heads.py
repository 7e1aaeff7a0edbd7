"""The base of all heads on an encoder, and the heads of pre-training.

A head takes an encoder, and returns what a Keras loss takes: one tensor of logits if it has one
output, a dict of its own outputs if it has several.
"""

import keras
from keras import ops

from bert_tf.model.encoder import TransformerEncoder
from bert_tf.model.feature_model import FeatureModel
from bert_tf.model.layers import activation, dense, layer_norm, truncated_normal
from bert_tf.model.part import Part, register


@register
class Transform(Part):
    """Applies the dense layer, activation and LayerNorm that come before the vocabulary logits."""

    def __init__(
        self,
        hidden_size: int,
        hidden_act: str | None = "gelu",
        stddev: float = 0.02,
        dtype=None,
        name: str = "transform",
    ):
        super().__init__(name=name, dtype=dtype)
        self.hidden_size = hidden_size
        self.hidden_act = hidden_act
        self.stddev = stddev
        self.dense = dense(hidden_size, stddev, self.dtype_policy)
        self.activate = activation(hidden_act)
        self.normalize = layer_norm()

    def build(self, input_shape):
        self.dense.build(input_shape)
        self.normalize.build((*input_shape[:-1], self.hidden_size))

    def call(self, hidden):
        return self.normalize(self.activate(self.dense(hidden)))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.hidden_size)


@register
class MaskedLanguageModel(Part):
    """Returns vocabulary logits at the masked positions.

    Their matrix is the word embeddings, which it is called with; the bias is its own.

    Args:
        vocab_size: V.
        hidden_size: H.
        hidden_act: activation of the transform before the logits.
        stddev: standard deviation of the initial weights.

    Source: google-research/bert, run_pretraining.py, `get_masked_lm_output`.
    """

    def __init__(
        self,
        vocab_size: int,
        hidden_size: int,
        hidden_act: str | None = "gelu",
        stddev: float = 0.02,
        dtype=None,
        name: str = "predictions",
    ):
        super().__init__(name=name, dtype=dtype)
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.hidden_act = hidden_act
        self.stddev = stddev
        self.transform = Transform(hidden_size, hidden_act, stddev, dtype=self.dtype_policy)

    def build(self, sequence_output_shape, positions_shape, word_embeddings_shape):
        self.transform.build(sequence_output_shape)
        self.output_bias = self.add_weight(
            shape=(self.vocab_size,), initializer="zeros", name="output_bias"
        )

    def call(self, sequence_output, positions, word_embeddings):
        """Args: [B, L, H]; int [B, M]; [V, H]. Returns: float32 logits [B, M, V]."""
        # [B, M, 1] * ones [H]: the same position in every one of the H columns.
        gathered = ops.take_along_axis(
            sequence_output, ops.expand_dims(ops.cast(positions, "int32"), -1), axis=1
        )  # [B, M, H]
        transformed = ops.cast(self.transform(gathered), self.compute_dtype)
        words = ops.cast(word_embeddings, self.compute_dtype)
        logits = ops.matmul(transformed, ops.transpose(words))
        return ops.cast(logits, "float32") + ops.cast(self.output_bias, "float32")

    def compute_output_shape(self, sequence_output_shape, positions_shape, word_embeddings_shape):
        return (*positions_shape, self.vocab_size)


@register
class NextSentence(Part):
    """Returns two logits for a pair: 0 = the second follows the first, 1 = it is from elsewhere.

    Args:
        hidden_size: H.
        stddev: standard deviation of the initial weights.

    Source: google-research/bert, run_pretraining.py, `get_next_sentence_output`.
    """

    def __init__(
        self, hidden_size: int, stddev: float = 0.02, dtype=None, name: str = "seq_relationship"
    ):
        super().__init__(name=name, dtype=dtype)
        self.hidden_size = hidden_size
        self.stddev = stddev

    def build(self, input_shape=None):
        self.output_weights = self.add_weight(
            shape=(2, self.hidden_size),
            initializer=truncated_normal(self.stddev),
            name="output_weights",
        )
        self.output_bias = self.add_weight(shape=(2,), initializer="zeros", name="output_bias")

    def call(self, pooled_output):
        """Args: [B, H]. Returns: float32 logits [B, 2]."""
        weights = ops.cast(self.output_weights, "float32")
        logits = ops.matmul(ops.cast(pooled_output, "float32"), ops.transpose(weights))
        return logits + ops.cast(self.output_bias, "float32")

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 2)


class HeadModel(FeatureModel):
    """An encoder with a head of its own.

    A subclass makes its layers, and says in `call` what the head computes.

    Args:
        encoder: see `bert_tf.BertEncoder`; it is not copied.
        dtype: a Keras dtype policy of the head's matrix products; by default the encoder's.
        name: the Keras name.

    Attributes:
        needs_pooler: whether an output depends on the encoder's pooler; if not, a checkpoint need
            not have it.
    """

    needs_pooler = True

    def __init__(self, encoder: TransformerEncoder, dtype=None, name: str | None = None):
        if not isinstance(encoder, TransformerEncoder):
            raise ValueError(
                f"{type(self).__name__} takes an encoder, such as bert_tf.BertEncoder(config). "
                f"Received: {encoder!r:.200}"
            )
        super().__init__(name=name, dtype=dtype or encoder.dtype_policy)
        self.encoder = encoder

    @property
    def config(self):
        """The encoder's configuration."""
        return self.encoder.config

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
        """Leaves out what has no gradient, of which Keras would warn in every `fit`."""
        return [variable for variable in variables if not self.is_unneeded(variable.path)]

    def is_unneeded(self, name: str) -> bool:
        return not self.needs_pooler and name.startswith(self.encoder.pooler_prefix)

    def may_lack(self, name: str) -> bool:
        return self.is_unneeded(name) or not name.startswith(self.encoder.prefix)


@register
class PretrainingModel(HeadModel):
    """BERT with both pre-training heads, every weight under its published name.

    Args:
        encoder: see `bert_tf.BertEncoder`.
        dtype, name: see `HeadModel`.

    Call it with the encoder's inputs and `masked_lm_positions` int [B, M]. It returns a dict:
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

    def __init__(self, encoder: TransformerEncoder, dtype=None, name: str = "pretraining_model"):
        super().__init__(encoder, dtype, name)
        config = encoder.config
        stddev = config.initializer_range
        self.masked_lm = MaskedLanguageModel(
            config.vocab_size, config.hidden_size, config.hidden_act, stddev, self.dtype_policy
        )
        self.next_sentence = NextSentence(config.hidden_size, stddev, dtype=self.dtype_policy)
        with keras.name_scope("cls"):
            self.masked_lm.build(
                (None, None, config.hidden_size),
                (None, None),
                (config.vocab_size, config.hidden_size),
            )
            self.next_sentence.build((None, config.hidden_size))
        self.build((None, None))

    def call(self, inputs, training: bool = False) -> dict:
        features = self.named_features(inputs)
        positions = features.pop("masked_lm_positions")
        outputs = self.encoder(features, training=training)
        return {
            "masked_lm_logits": self.masked_lm(
                outputs["sequence_output"], positions, self.encoder.word_embeddings
            ),
            "next_sentence_logits": self.next_sentence(outputs["pooled_output"]),
        }


def _others(variables: list[keras.Variable], known: list[keras.Variable]) -> list[keras.Variable]:
    known_ids = set(map(id, known))
    return [variable for variable in variables if id(variable) not in known_ids]
