"""TokenLMModel: a masked-LM head on every token, as distillation needs it."""

from keras import ops

from bert_tf.model.encoder import TransformerEncoder
from bert_tf.model.feature_model import FeatureModel
from bert_tf.model.heads import HeadModel, masked_lm_head


class TokenLMModel(HeadModel):
    """BERT with the masked-LM head on every token, or only on the masked ones.

    Args:
        encoder, dtype, name: see `bert_tf.model.heads.HeadModel`.
        predicts_all: whether `logits` are of all positions, P = L; else of the masked, P = M.

    Call it with the encoder's inputs and `masked_lm_positions` int [B, M]. It returns a dict:
        `logits` float32 [B, P, V],
        `masked_lm_logits` float32 [B, M, V],
        `sequence_output` float32 [B, L, H].
    """

    feature_names = (*FeatureModel.feature_names, "masked_lm_positions")
    kind = "masked_lm"
    needs_pooler = False

    def __init__(
        self,
        encoder: TransformerEncoder,
        predicts_all: bool = True,
        dtype=None,
        name: str | None = None,
    ):
        super().__init__(encoder, dtype, name)
        self.masked_lm = masked_lm_head(encoder, self.dtype_policy)

    def call(self, features, training: bool = False) -> dict:
        columns = ops.cast(features.pop("masked_lm_positions"), "int32")[..., None]  # [B, M, 1]
        hidden = self.encoder(features, training=training)["sequence_output"]
        words = self.encoder.word_embeddings
        if self.predicts_all:
            logits = self.masked_lm(hidden, words, training=training)  # [B, L, V]
            masked = ops.take_along_axis(logits, columns, axis=1)
        else:
            vectors = ops.take_along_axis(hidden, columns, axis=1)
            logits = masked = self.masked_lm(vectors, words, training=training)  # [B, M, V]
        return {"logits": logits, "masked_lm_logits": masked, "sequence_output": hidden}
