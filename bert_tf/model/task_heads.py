"""Heads of fine-tuning: classification and regression, token classification, spans."""

import keras
from keras import ops

from bert_tf.model.dropout import Dropout
from bert_tf.model.encoder import TransformerEncoder
from bert_tf.model.heads import HeadModel
from bert_tf.model.layers import truncated_normal
from bert_tf.model.part import Part, register

# Of what a classifier sees, in fine-tuning; the original has no setting for it.
_CLASSIFIER_DROPOUT = 0.1
# Of the initial weights of fine-tuning heads, whatever the configuration says of the encoder's.
_HEAD_STDDEV = 0.02


@register
class LinearScores(Part):
    """Returns C logits for each vector: `output_weights` [C, H] and `output_bias` [C].

    The weights exist as soon as the object does, and their names begin with the name scope that it
    is made in: none for a classifier, as in the original.

    Args:
        hidden_size: H.
        num_scores: C.
    """

    def __init__(self, hidden_size: int, num_scores: int, dtype=None, name: str = "scores"):
        super().__init__(name=name, dtype=dtype, autocast=False)
        self.hidden_size = hidden_size
        self.num_scores = num_scores
        # `add_weight` would put this layer's own name before theirs.
        self.output_weights = keras.Variable(
            truncated_normal(_HEAD_STDDEV),
            shape=(num_scores, hidden_size),
            dtype="float32",
            name="output_weights",
        )
        self.output_bias = keras.Variable(
            "zeros", shape=(num_scores,), dtype="float32", name="output_bias"
        )

    def build(self, input_shape=None):
        """Does nothing: the weights exist already."""

    def call(self, vectors):
        """Args: [..., H]. Returns: float32 [..., C]."""
        vectors = ops.cast(vectors, "float32")
        weights = ops.convert_to_tensor(self.output_weights)
        return ops.matmul(vectors, ops.transpose(weights)) + self.output_bias

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.num_scores)


@register
class ClassificationModel(HeadModel):
    """BERT with logits for each sequence or pair: of classes, or one number.

    Args:
        encoder: see `bert_tf.BertEncoder`.
        num_labels: C, the number of classes; 1 for regression.
        dtype, name: see `HeadModel`.

    Call it with the encoder's inputs. It returns logits, float32 [B, C].
    The weights are `output_weights` [C, H] and `output_bias` [C], as the original names them.

    Example:

        model = bert_tf.ClassificationModel.from_preset("bert_base_uncased", num_labels=3)
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.fit({"input_ids": np.ones((8, 16), "int32")}, np.zeros(8), verbose=0)

    Source: google-research/bert, run_classifier.py, `create_model`.
    """

    def __init__(
        self,
        encoder: TransformerEncoder,
        num_labels: int,
        dtype=None,
        name: str = "classification_model",
    ):
        super().__init__(encoder, dtype, name)
        self.num_labels = num_labels
        self.dropout = classifier_dropout(encoder)
        self.scores = LinearScores(encoder.hidden_size, num_labels)
        self.scores.build((None, encoder.hidden_size))
        self.dropout.build((None, encoder.hidden_size))
        self.build((None, None))

    @property
    def kind(self) -> str:
        """Classification, or regression with one output."""
        return "classification" if self.num_labels > 1 else "regression"

    def call(self, inputs, training: bool = False):
        outputs = self.encoder(self.named_features(inputs), training=training)
        return self.scores(self.dropout(outputs["pooled_output"], training=training))


@register
class TokenClassificationModel(HeadModel):
    """BERT with logits for each token: classes of words or word pieces.

    Args:
        encoder: see `bert_tf.BertEncoder`.
        num_labels: C, the number of classes.
        dtype, name: see `HeadModel`.

    Call it with the encoder's inputs. It returns logits, float32 [B, L, C].
    The weights are `output_weights` [C, H] and `output_bias` [C], as a classifier's.

    Example:

        model = bert_tf.TokenClassificationModel.from_preset("bert_base_uncased", num_labels=9)
        logits = model({"input_ids": np.ones((2, 16), "int32")})  # [2, 16, 9]

    Source: Devlin et al., section 5.3, the scores of a fine-tuned model for named entities; the
    original release has no such program.
    """

    kind = "tagging"
    needs_pooler = False

    def __init__(
        self,
        encoder: TransformerEncoder,
        num_labels: int,
        dtype=None,
        name: str = "token_classification_model",
    ):
        super().__init__(encoder, dtype, name)
        self.num_labels = num_labels
        self.dropout = classifier_dropout(encoder)
        self.scores = LinearScores(encoder.hidden_size, num_labels)
        self.scores.build((None, None, encoder.hidden_size))
        self.dropout.build((None, None, encoder.hidden_size))
        self.build((None, None))

    def call(self, inputs, training: bool = False):
        outputs = self.encoder(self.named_features(inputs), training=training)
        return self.scores(self.dropout(outputs["sequence_output"], training=training))


@register
class SpanModel(HeadModel):
    """BERT with two logits for each token: that an answer starts there, that it ends there.

    Args:
        encoder: see `bert_tf.BertEncoder`.
        dtype, name: see `HeadModel`.

    Call it with the encoder's inputs. It returns a dict: `start_logits`, `end_logits` float32
    [B, L]. The weights are `cls/squad/output_weights` [2, H] and `cls/squad/output_bias`.

    Example:

        model = bert_tf.SpanModel.from_preset("bert_base_uncased")
        outputs = model({"input_ids": np.ones((2, 16), "int32")})
        outputs["start_logits"]  # [2, 16]

    Source: google-research/bert, run_squad.py, `create_model`.
    """

    kind = "span"
    needs_pooler = False

    def __init__(self, encoder: TransformerEncoder, dtype=None, name: str = "span_model"):
        super().__init__(encoder, dtype, name)
        with keras.name_scope("cls"), keras.name_scope("squad"):
            self.scores = LinearScores(encoder.hidden_size, 2)
        self.scores.build((None, None, encoder.hidden_size))
        self.build((None, None))

    def call(self, inputs, training: bool = False) -> dict:
        outputs = self.encoder(self.named_features(inputs), training=training)
        logits = self.scores(outputs["sequence_output"])  # [B, L, 2]
        return {"start_logits": logits[..., 0], "end_logits": logits[..., 1]}


def classifier_dropout(encoder: TransformerEncoder) -> Dropout:
    """Returns the dropout before a classifier's scores, with the place after the encoder's."""
    return Dropout(_CLASSIFIER_DROPOUT, encoder.num_dropouts, name="classifier_dropout")
