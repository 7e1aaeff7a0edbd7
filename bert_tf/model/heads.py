"""What stands on the encoder: for pre-training; for a class or a number; for a class of each token;
for a span of the text.
"""

import keras
from keras import ops

from bert_tf.config import BertConfig
from bert_tf.model.encoder import BertEncoder
from bert_tf.model.layers import (
    DROPOUTS_PER_BLOCK,
    Dropout,
    activation,
    dense,
    layer_norm,
    truncated_normal,
)

# Of what a classifier sees, in fine-tuning; the original has no setting for it.
_CLASSIFIER_DROPOUT = 0.1
# Of the weights of these heads, whatever the config says of BERT's.
_HEAD_STDDEV = 0.02


class Transform(keras.layers.Layer):
    """Matrix product, activation and LayerNorm before the words are predicted."""

    def __init__(self, config: BertConfig, name: str = "transform"):
        super().__init__(name=name)
        self.dense = dense(config.hidden_size, config)
        self.activate = activation(config.hidden_act)
        self.normalize = layer_norm()

    def build(self, input_shape=None):
        self.dense.build((None, None, self.dense.units))
        self.normalize.build((None, None, self.dense.units))

    def call(self, hidden):
        return self.normalize(self.activate(self.dense(hidden)))


class MaskedLanguageModel(keras.layers.Layer):
    """Scores of every word of the vocabulary at some positions.

    The matrix is the word embeddings', the bias is this head's own.

    Source: google-research/bert, run_pretraining.py, `get_masked_lm_output`.
    """

    def __init__(self, config: BertConfig, name: str = "predictions"):
        super().__init__(name=name)
        self.transform = Transform(config)
        self.vocab_size = config.vocab_size

    def build(self, input_shape=None):
        self.transform.build()
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


class NextSentence(keras.layers.Layer):
    """Two scores for a pair: 0 = the second follows the first, 1 = it is from elsewhere.

    Source: google-research/bert, run_pretraining.py, `get_next_sentence_output`.
    """

    def __init__(self, config: BertConfig, name: str = "seq_relationship"):
        super().__init__(name=name)
        self.config = config

    def build(self, input_shape=None):
        self.output_weights = self.add_weight(
            shape=(2, self.config.hidden_size),
            initializer=truncated_normal(self.config),
            name="output_weights",
        )
        self.output_bias = self.add_weight(shape=(2,), initializer="zeros", name="output_bias")

    def call(self, pooled_output):
        """Args: [B, H]. Returns: float32 logits [B, 2]."""
        weights = ops.cast(self.output_weights, "float32")
        logits = ops.matmul(ops.cast(pooled_output, "float32"), ops.transpose(weights))
        return logits + ops.cast(self.output_bias, "float32")


class PretrainingModel(keras.Model):
    """BERT with both pre-training heads, every weight under its published name.

    Args:
        config: the model's shape.

    Call it with the encoder's dict and `masked_lm_positions` int [B, M]. It returns the encoder's
    dict and
        `masked_lm_logits`, `masked_lm_log_probs` float32 [B, M, V],
        `next_sentence_logits`, `next_sentence_log_probs` float32 [B, 2]: 0 = is next, 1 = random.

    Source: google-research/bert, run_pretraining.py, `model_fn_builder`.
    """

    def __init__(self, config: BertConfig, name: str = "pretraining_model"):
        super().__init__(name=name)
        self.config = config
        self.encoder = BertEncoder(config)
        self.masked_lm = MaskedLanguageModel(config)
        self.next_sentence = NextSentence(config)
        with keras.name_scope("cls"):
            self.masked_lm.build()
            self.next_sentence.build()
        self.built = True

    def call(self, inputs: dict, training: bool = False) -> dict:
        outputs = self.encoder(inputs, training=training)
        masked_lm_logits = self.masked_lm(
            outputs["sequence_output"],
            inputs["masked_lm_positions"],
            self.encoder.embeddings.word_embeddings,
        )
        next_sentence_logits = self.next_sentence(outputs["pooled_output"])
        return {
            **outputs,
            "masked_lm_logits": masked_lm_logits,
            "masked_lm_log_probs": ops.log_softmax(masked_lm_logits, axis=-1),
            "next_sentence_logits": next_sentence_logits,
            "next_sentence_log_probs": ops.log_softmax(next_sentence_logits, axis=-1),
        }

    def get_config(self) -> dict:
        return {"config": self.config.to_dict(), "name": self.name}

    @classmethod
    def from_config(cls, config: dict) -> "PretrainingModel":
        return cls(BertConfig.from_dict(config["config"]), name=config["name"])


class LinearScores(keras.layers.Layer):
    """A row of scores for each vector: `output_weights` [C, H] and `output_bias` [C].

    The weights exist as soon as the object does, and their paths begin with the name scope that it
    is made in: none for a classifier, as in the original.
    """

    def __init__(self, config: BertConfig, num_scores: int, name: str = "scores"):
        super().__init__(name=name, autocast=False)
        # `add_weight` would put this layer's own name before theirs.
        self.output_weights = keras.Variable(
            keras.initializers.TruncatedNormal(stddev=_HEAD_STDDEV),
            shape=(num_scores, config.hidden_size),
            dtype="float32",
            name="output_weights",
        )
        self.output_bias = keras.Variable(
            "zeros", shape=(num_scores,), dtype="float32", name="output_bias"
        )
        self.built = True

    def call(self, vectors):
        """Args: [..., H]. Returns: float32 [..., C]."""
        vectors = ops.cast(vectors, "float32")
        weights = ops.convert_to_tensor(self.output_weights)
        return ops.matmul(vectors, ops.transpose(weights)) + self.output_bias


class ClassificationModel(keras.Model):
    """BERT with a row of scores for each sequence or pair: classes, or one number.

    Args:
        config: the encoder's shape.
        num_labels: C, the number of classes; 1 for regression.

    Call it with the encoder's dict. It returns the encoder's dict and `logits` float32 [B, C].
    The weights are `output_weights` [C, H] and `output_bias` [C], as the original names them.

    Source: google-research/bert, run_classifier.py, `create_model`.
    """

    def __init__(self, config: BertConfig, num_labels: int, name: str = "classification_model"):
        super().__init__(name=name)
        self.config = config
        self.num_labels = num_labels
        self.encoder = BertEncoder(config)
        place = 1 + DROPOUTS_PER_BLOCK * config.num_hidden_layers
        self.dropout = Dropout(_CLASSIFIER_DROPOUT, place, name="classifier_dropout")
        self.scores = LinearScores(config, num_labels)
        self.built = True

    def call(self, inputs: dict, training: bool = False) -> dict:
        outputs = self.encoder(inputs, training=training)
        pooled = self.dropout(outputs["pooled_output"], training=training)
        return {**outputs, "logits": self.scores(pooled)}

    def get_config(self) -> dict:
        return {
            "config": self.config.to_dict(),
            "num_labels": self.num_labels,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict) -> "ClassificationModel":
        return cls(BertConfig.from_dict(config["config"]), config["num_labels"], config["name"])


class TokenClassificationModel(keras.Model):
    """BERT with a row of scores for each token: classes of words or word pieces.

    Args:
        config: the encoder's shape.
        num_labels: C, the number of classes.

    Call it with the encoder's dict. It returns the encoder's dict and `logits` float32 [B, L, C].
    The weights are `output_weights` [C, H] and `output_bias` [C], as a classifier's.

    Source: Devlin et al., section 5.3, the scores of a fine-tuned model for named entities; the
    original release has no such program.
    """

    def __init__(
        self, config: BertConfig, num_labels: int, name: str = "token_classification_model"
    ):
        super().__init__(name=name)
        self.config = config
        self.num_labels = num_labels
        self.encoder = BertEncoder(config)
        place = 1 + DROPOUTS_PER_BLOCK * config.num_hidden_layers
        self.dropout = Dropout(_CLASSIFIER_DROPOUT, place, name="classifier_dropout")
        self.scores = LinearScores(config, num_labels)
        self.built = True

    def call(self, inputs: dict, training: bool = False) -> dict:
        outputs = self.encoder(inputs, training=training)
        vectors = self.dropout(outputs["sequence_output"], training=training)
        return {**outputs, "logits": self.scores(vectors)}  # [B, L, C]

    def get_config(self) -> dict:
        return {
            "config": self.config.to_dict(),
            "num_labels": self.num_labels,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict) -> "TokenClassificationModel":
        return cls(BertConfig.from_dict(config["config"]), config["num_labels"], config["name"])


class SpanModel(keras.Model):
    """BERT with two scores for each token: that an answer starts there, that it ends there.

    Args:
        config: the encoder's shape.

    Call it with the encoder's dict. It returns the encoder's dict and `start_logits`, `end_logits`
    float32 [B, L]. The weights are `cls/squad/output_weights` [2, H] and `cls/squad/output_bias`.

    Source: google-research/bert, run_squad.py, `create_model`.
    """

    def __init__(self, config: BertConfig, name: str = "span_model"):
        super().__init__(name=name)
        self.config = config
        self.encoder = BertEncoder(config)
        with keras.name_scope("cls"), keras.name_scope("squad"):
            self.scores = LinearScores(config, 2)
        self.built = True

    def call(self, inputs: dict, training: bool = False) -> dict:
        outputs = self.encoder(inputs, training=training)
        logits = self.scores(outputs["sequence_output"])  # [B, L, 2]
        return {**outputs, "start_logits": logits[..., 0], "end_logits": logits[..., 1]}

    def get_config(self) -> dict:
        return {"config": self.config.to_dict(), "name": self.name}

    @classmethod
    def from_config(cls, config: dict) -> "SpanModel":
        return cls(BertConfig.from_dict(config["config"]), name=config["name"])
