"""RoleModel: the model of Shi and Lin for semantic roles.

    [CLS] sentence [SEP] predicate [SEP] --> BERT --> [vector ; is it the predicate?]
        --> BiLSTM over the sentence --> [state ; state at the predicate] --> MLP --> logits

Source: Shi and Lin 2019, "Simple BERT models for relation extraction and semantic role labeling".
"""

from typing import ClassVar

import keras
from keras import ops

from bert_tf.model.bilstm import BiLstm
from bert_tf.model.dropout import Dropout
from bert_tf.model.encoder import TransformerEncoder
from bert_tf.model.heads import HeadModel, LinearScores
from bert_tf.model.initial_weights import truncated_normal

_DROPOUT = 0.1


class RoleModel(HeadModel):
    """BERT with logits for the role of each token with respect to a predicate.

    Args:
        encoder: see `bert_tf.BertEncoder`.
        num_labels: C.
        indicator_size: the width of the embedding that marks the predicate.
        lstm_units: the width of each direction of the LSTM.
        mlp_units: the width of the hidden layer before the logits, which has a ReLU.
        dtype, name: see `bert_tf.model.heads.HeadModel`.

    The inputs are the encoder's, with segment 0 for the sentence and 1 for the repeated predicate,
    and `predicate_mask`, int [B, L], 1 at the predicate in the sentence. The output is float32
    [B, L, C]; it has no meaning after the sentence. The classifier's weights are `output_weights`
    and `output_bias`.

    Example:

        model = bert_tf.RoleModel(bert_tf.BertEncoder(config), num_labels=9)
        ids = np.array([[2, 5, 4, 6, 3, 4, 3]])
        segments = np.array([[0, 0, 0, 0, 0, 1, 1]])
        mask = np.array([[0, 0, 1, 0, 0, 0, 0]])
        model({"input_ids": ids, "segment_ids": segments, "predicate_mask": mask})  # [1, 7, 9]
    """

    feature_names = (*HeadModel.feature_names, "predicate_mask")
    kind = "roles"
    needs_pooler = False
    OPTIONS: ClassVar = {n: n for n in ("indicator_size", "lstm_units", "mlp_units")}

    def __init__(
        self,
        encoder: TransformerEncoder,
        num_labels: int,
        indicator_size: int = 10,
        lstm_units: int = 768,
        mlp_units: int = 300,
        dtype=None,
        name: str | None = None,
    ):
        super().__init__(encoder, dtype, name)
        policy = self.dtype_policy
        self.dropout = Dropout(_DROPOUT, encoder.num_dropouts, name="roles_dropout")
        self.indicator = keras.layers.Embedding(
            2, indicator_size, truncated_normal(0.02), dtype=policy, name="indicator"
        )
        self.bilstm = BiLstm(lstm_units, num_layers=1, dtype=policy)
        self.mlp = keras.layers.Dense(mlp_units, activation="relu", dtype=policy, name="mlp")
        self.scores = LinearScores(mlp_units, num_labels)
        width = encoder.hidden_size
        self.dropout.build((None, None, width))
        with keras.name_scope("roles"):
            self.indicator.build((None, None))
            self.bilstm.build((None, None, width + indicator_size), (None, None))
            self.mlp.build((None, None, 4 * lstm_units))
        self.scores.build((None, None, mlp_units))

    @property
    def feature_limits(self) -> dict[str, int]:
        return {**super().feature_limits, "predicate_mask": 2}

    def call(self, features, training: bool = False):
        predicate_mask = ops.cast(features.pop("predicate_mask"), "int32")
        hidden = self.encoder(features, training=training)["sequence_output"]
        hidden = ops.cast(self.dropout(hidden, training=training), self.compute_dtype)
        vectors = ops.concatenate([hidden, self.indicator(predicate_mask)], axis=-1)
        states = self.bilstm(vectors, _sentence_mask(features), training=training)  # [B, L, 2 U]
        first = ops.argmax(predicate_mask, axis=1)[:, None, None]
        predicate = ops.take_along_axis(states, first, axis=1)  # [B, 1, 2 U]
        both = ops.concatenate([states, ops.broadcast_to(predicate, ops.shape(states))], axis=-1)
        return self.scores(self.mlp(both))


def _sentence_mask(features):
    """Returns 1 for the tokens of the first segment, int32 [B, L]."""
    ids = features["input_ids"]
    mask = ops.cast(features.get("input_mask", ops.ones_like(ids)), "int32")
    segments = ops.cast(features.get("segment_ids", ops.zeros_like(ids)), "int32")
    return mask * ops.cast(segments == 0, "int32")
