"""Masked LM alone, the paper's "No NSP" (section 5.1): predicts masked tokens from both sides."""

import tensorflow as tf

from bert_tf.model.encoder import TransformerEncoder
from bert_tf.model.feature_model import FeatureModel
from bert_tf.model.heads import HeadModel, cls_and, masked_lm_head
from bert_tf.pretraining.objective import Prediction, PretrainingObjective


class MaskedLMModel(HeadModel):
    """BERT with the masked-LM head only; the arguments are those of `HeadModel`.

    Call it with the encoder's inputs and `masked_lm_positions` int [B, M]. It returns vocabulary
    logits, float32 [B, M, V].
    """

    feature_names = (*FeatureModel.feature_names, "masked_lm_positions")
    kind = "masked_lm"
    needs_pooler = False

    def __init__(self, encoder: TransformerEncoder, dtype=None, name: str | None = None):
        super().__init__(encoder, dtype, name)
        self.masked_lm = masked_lm_head(encoder, self.dtype_policy)

    def call(self, features, training: bool = False) -> tf.Tensor:
        positions = features.pop("masked_lm_positions")
        outputs = self.encoder.selected_outputs(features, cls_and(positions), training=training)
        masked = outputs["sequence_output"][:, 1:]  # [B, M, H]
        return self.masked_lm(masked, self.encoder.word_embeddings, training=training)


MASKED_LM = Prediction(
    name="masked_lm",
    labels=lambda batch: batch["masked_lm_ids"],
    weights=lambda batch: batch["masked_lm_weights"],
    epsilon=1e-5,  # The original's, for a batch without masked tokens.
)

OBJECTIVE = PretrainingObjective(make_model=MaskedLMModel, predictions=(MASKED_LM,))
