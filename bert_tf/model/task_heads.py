"""Heads of fine-tuning: classes, numbers, several labels, classes of tokens, choices, spans."""

import keras
from keras import ops

from bert_tf.model.dropout import Dropout
from bert_tf.model.encoder import TransformerEncoder
from bert_tf.model.heads import HeadModel, LinearScores, first_vector

_CLASSIFIER_DROPOUT = 0.1  # The original has no setting for it.
_OTHER_DROPOUT = {"distilbert": 0.2}  # By model_type, of a classifier of sequences.
_NO_CHOICE = -1e9  # The logit of a choice that is padding: its softmax is 0.


class ClassificationModel(HeadModel):
    """BERT with logits for each sequence or pair: of classes, or one number.

    Call it with the encoder's inputs. It returns logits, float32 [B, C], where C is `num_labels`,
    1 for regression. The other arguments are those of `HeadModel`. The weights are
    `output_weights` [C, H] and `output_bias` [C], as the original names them.

    Example:

        model = bert_tf.ClassificationModel.from_preset("bert_base_uncased", num_labels=3)
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.fit({"input_ids": np.ones((8, 16), "int32")}, np.zeros(8), verbose=0)

    Source: google-research/bert, run_classifier.py, `create_model`.
    """

    classified = "pooled_output"  # Which of the encoder's outputs.

    def __init__(
        self, encoder: TransformerEncoder, num_labels: int, dtype=None, name: str | None = None
    ):
        super().__init__(encoder, dtype, name)
        self.num_labels = num_labels
        rate = _CLASSIFIER_DROPOUT
        if self.classified == "pooled_output":
            rate = _OTHER_DROPOUT.get(encoder.config.model_type, rate)
        self.dropout = Dropout(rate, encoder.num_dropouts, name="classifier_dropout")
        self.scores = LinearScores(encoder.hidden_size, num_labels)
        axes = (None,) if self.classified == "pooled_output" else (None, None)
        self.dropout.build((*axes, encoder.hidden_size))
        self.scores.build((*axes, encoder.hidden_size))

    @property
    def kind(self) -> str:
        """Classification, or regression with one output."""
        return "classification" if self.num_labels > 1 else "regression"

    def call(self, features, training: bool = False):
        if self.classified == "pooled_output":
            outputs = self.encoder.selected_outputs(features, first_vector, training=training)
        else:
            outputs = self.encoder(features, training=training)
        return self.scores(self.dropout(outputs[self.classified], training=training))


class MultiLabelModel(ClassificationModel):
    """BERT with a logit for each label, of which a sequence or pair may have any number.

    Call it with the encoder's inputs. It returns logits, float32 [B, C], where C is `num_labels`;
    their sigmoid is the probability of each label by itself. Other arguments and weights are those
    of `ClassificationModel`.

    Example:

        model = bert_tf.MultiLabelModel.from_preset("bert_base_uncased", num_labels=6)
        model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True))
        model.fit({"input_ids": np.ones((8, 16), "int32")}, np.zeros((8, 6)), verbose=0)

    Source: Hugging Face's `BertForSequenceClassification` with `multi_label_classification`.
    """

    kind = "multi_label"


class TokenClassificationModel(ClassificationModel):
    """BERT with logits for each token: classes of words or word pieces.

    Call it with the encoder's inputs. It returns logits, float32 [B, L, C], where C is
    `num_labels`. Other arguments and weights are those of `ClassificationModel`.

    Example:

        model = bert_tf.TokenClassificationModel.from_preset("bert_base_uncased", num_labels=9)
        logits = model({"input_ids": np.ones((2, 16), "int32")})  # [2, 16, 9]

    Source: Devlin et al., section 5.3; the original release has no such program.
    """

    kind = "tagging"
    needs_pooler = False
    classified = "sequence_output"


class ChoiceModel(ClassificationModel):
    """BERT with one logit for each of C choices.

    Args:
        encoder: see `bert_tf.BertEncoder`.
        dtype, name: see `bert_tf.model.heads.HeadModel`.

    The inputs are the encoder's, each int [B, C, L] with one row per choice; the output is float32
    [B, C]. A row whose `input_mask` is all 0 is no choice, for examples with fewer than C, and has
    a logit of -1e9. Train it with softmax cross entropy on the index of the right choice. Its
    weights are `output_weights` [1, H] and `output_bias` [1], as in a regression.

    Example:

        model = bert_tf.ChoiceModel(bert_tf.BertEncoder(config))
        logits = model({"input_ids": np.ones((2, 4, 16), "int32")})  # [2, 4]

    Source: Devlin et al., section 4.4; Hugging Face's `BertForMultipleChoice`.
    """

    kind = "choice"
    ids_rank = 3

    def __init__(self, encoder, dtype=None, name: str | None = None):
        super().__init__(encoder, 1, dtype, name)

    def call(self, features, training: bool = False):
        shape = ops.shape(features["input_ids"])  # [B, C, L]
        rows = {name: ops.reshape(ids, (-1, shape[2])) for name, ids in features.items()}
        logits = ops.reshape(super().call(rows, training=training), shape[:2])
        if "input_mask" not in features:
            return logits
        is_choice = ops.any(features["input_mask"] > 0, axis=-1)
        return ops.where(is_choice, logits, _NO_CHOICE)


class SpanModel(HeadModel):
    """BERT with two logits for each token: that an answer starts there, that it ends there.

    Call it with the encoder's inputs. It returns a dict: `start_logits`, `end_logits` float32
    [B, L]. The weights are `cls/squad/output_weights` [2, H] and `cls/squad/output_bias`; the
    arguments are those of `HeadModel`.

    Example:

        model = bert_tf.SpanModel.from_preset("bert_base_uncased")
        outputs = model({"input_ids": np.ones((2, 16), "int32")})
        outputs["start_logits"]  # [2, 16]

    Source: google-research/bert, run_squad.py, `create_model`.
    """

    kind = "span"
    needs_pooler = False

    def __init__(self, encoder: TransformerEncoder, dtype=None, name: str | None = None):
        super().__init__(encoder, dtype, name)
        with keras.name_scope("cls"), keras.name_scope("squad"):
            self.scores = LinearScores(encoder.hidden_size, 2)
        self.scores.build((None, None, encoder.hidden_size))

    def call(self, features, training: bool = False) -> dict:
        outputs = self.encoder(features, training=training)
        logits = self.scores(outputs["sequence_output"])  # [B, L, 2]
        return {"start_logits": logits[..., 0], "end_logits": logits[..., 1]}
