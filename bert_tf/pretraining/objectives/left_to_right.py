"""A left-to-right language model, the paper's "LTR & No NSP": predicts each next token.

    input       [CLS]  the   cat   sleeps  [SEP]  (padding)
    predicted    the   cat  sleeps  [SEP]    -        -

A token sees only itself and those before it, in fine-tuning too. The pooler is not trained here.

Source: Devlin et al. 2018, section 5.1.
"""

import tensorflow as tf

from bert_tf.model.feature_model import FeatureModel
from bert_tf.model.part import register
from bert_tf.pretraining.objective import (
    Batch,
    Prediction,
    PretrainingObjective,
    example_weights,
)
from bert_tf.pretraining.objectives.masked_lm import MaskedLMModel


@register
class NextTokenModel(MaskedLMModel):
    """A causal encoder with the masked-LM head, which predicts the token after each position.

    Args:
        encoder: one whose configuration has `is_causal=True`.
        dtype, name: see `HeadModel`.

    Call it with the encoder's inputs. It returns vocabulary logits, float32 [B, L - 1, V]: row t
    for the token at position t + 1.
    """

    feature_names = FeatureModel.feature_names

    def __init__(self, encoder, dtype=None, name: str = "next_token_model"):
        if not encoder.config.is_causal:
            raise ValueError(
                "A left-to-right model needs an encoder that cannot see later tokens: "
                "BertConfig(is_causal=True). Received: is_causal=False"
            )
        super().__init__(encoder, dtype, name)

    def call(self, inputs, training: bool = False) -> tf.Tensor:
        features = self.named_features(inputs)
        hidden = self.encoder(features, training=training)["sequence_output"]
        shape = tf.shape(hidden)
        positions = tf.broadcast_to(tf.range(shape[1] - 1), [shape[0], shape[1] - 1])
        return self.masked_lm(hidden, positions, self.encoder.word_embeddings)


def restore_masked_tokens(batch: Batch) -> Batch:
    """Returns a batch with the original tokens where others were put for masked LM.

    Args:
        batch: `input_ids` int [B, L], and `masked_lm_positions`, `masked_lm_ids` int [B, M] and
            `masked_lm_weights` float [B, M], 0 for padding; or without the last three.
    """
    batch = dict(batch)
    if "masked_lm_ids" not in batch:
        return batch
    tokens, positions = batch["input_ids"], batch.pop("masked_lm_positions")
    originals, weights = batch.pop("masked_lm_ids"), batch.pop("masked_lm_weights")
    length = tf.shape(tokens)[1]
    # What is only padding is written to a column that is cut off again.
    columns = tf.where(weights > 0, positions, length)
    rows = tf.broadcast_to(tf.range(tf.shape(tokens)[0])[:, None], tf.shape(columns))
    with_spare = tf.pad(tokens, [[0, 0], [0, 1]])
    restored = tf.tensor_scatter_nd_update(with_spare, tf.stack([rows, columns], -1), originals)
    batch["input_ids"] = tf.ensure_shape(restored[:, :-1], tokens.shape)
    return batch


def _next_token_weights(batch: Batch) -> tf.Tensor:
    is_token = tf.cast(batch["input_mask"][:, 1:], tf.float32)
    return is_token * example_weights(batch)[:, None]


NEXT_TOKEN = Prediction(
    name="next_token",
    labels=lambda batch: batch["input_ids"][:, 1:],
    weights=_next_token_weights,
    epsilon=1e-5,
)

OBJECTIVE = PretrainingObjective(
    make_model=NextTokenModel,
    predictions=(NEXT_TOKEN,),
    is_causal=True,
    masks_tokens=False,
    prepare=restore_masked_tokens,
)
