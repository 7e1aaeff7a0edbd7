"""A left-to-right language model, the paper's "LTR & No NSP": predicts each next token.

    input       [CLS]  the   cat   sleeps  [SEP]  (padding)
    predicted    the   cat  sleeps  [SEP]    -        -

A token sees only itself and those before it, also in fine-tuning. The masked-LM head predicts the
next token at every position but the last. The pooler is not trained.

Source: Devlin et al. 2018, section 5.1.
"""

import tensorflow as tf

from bert_tf.pretraining.objective import Batch, Prediction, PretrainingObjective, example_weights
from bert_tf.pretraining.objectives.masked_lm import MaskedLMModel


def prepare(batch: Batch) -> Batch:
    """Returns a batch with the original tokens, and all positions but the last to predict at."""
    batch = restore(batch)
    tokens = batch["input_ids"]
    positions = tf.cumsum(tf.ones_like(tokens[:, 1:]), axis=1, exclusive=True)  # 0 to L - 2.
    return {**batch, "masked_lm_positions": positions}


def restore(batch: Batch) -> Batch:
    """Returns a batch with the original tokens, and without what says which were masked.

    Masked tokens are restored from `masked_lm_positions` and `masked_lm_ids`, int [B, M], where
    `masked_lm_weights`, float [B, M], is not 0.
    """
    tokens = batch["input_ids"]
    if "masked_lm_ids" in batch:
        length = tf.shape(tokens)[1]
        # Padding is written to a column that is cut off again.
        columns = tf.where(batch["masked_lm_weights"] > 0, batch["masked_lm_positions"], length)
        rows = tf.broadcast_to(tf.range(tf.shape(tokens)[0])[:, None], tf.shape(columns))
        places = tf.stack([rows, columns], -1)
        with_spare = tf.pad(tokens, [[0, 0], [0, 1]])
        restored = tf.tensor_scatter_nd_update(with_spare, places, batch["masked_lm_ids"])
        tokens = tf.ensure_shape(restored[:, :-1], tokens.shape)
    unchanged = {name: value for name, value in batch.items() if not name.startswith("masked_lm")}
    return {**unchanged, "input_ids": tokens}


NEXT_TOKEN = Prediction(
    name="next_token",
    labels=lambda batch: batch["input_ids"][:, 1:],
    weights=lambda batch: (
        tf.cast(batch["input_mask"][:, 1:], tf.float32) * example_weights(batch)[:, None]
    ),
    epsilon=1e-5,
)

OBJECTIVE = PretrainingObjective(
    make_model=MaskedLMModel,
    predictions=(NEXT_TOKEN,),
    is_causal=True,
    masks_tokens=False,
    prepare=prepare,
)
