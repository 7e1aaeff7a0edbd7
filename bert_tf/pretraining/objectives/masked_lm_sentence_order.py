"""Masked LM and sentence order, ALBERT's objective: are the two parts of a text swapped?

Records and checkpoints name the label and the head as those of next sentence prediction:
`next_sentence_labels` is 1 for swapped parts, and the head is `cls/seq_relationship`.

Source: google-research/albert, run_pretraining.py, `get_sentence_order_output` and `metric_fn`.
"""

import tensorflow as tf

from bert_tf.model.heads import PretrainingModel
from bert_tf.pretraining.objective import Prediction, PretrainingObjective, example_weights
from bert_tf.pretraining.objectives.masked_lm import MASKED_LM


class SentenceOrder(Prediction):
    """Predicts sentence order with the head that BERT has for the next sentence."""

    def logits(self, outputs) -> tf.Tensor:
        """Returns float32 [B, 2]: 0 = in order, 1 = swapped."""
        return outputs["next_sentence_logits"]


SENTENCE_ORDER = SentenceOrder(
    name="sentence_order",
    labels=lambda batch: tf.reshape(batch["next_sentence_labels"], [-1]),
    weights=example_weights,
    is_binary=True,
)

OBJECTIVE = PretrainingObjective(
    make_model=PretrainingModel,
    predictions=(MASKED_LM, SENTENCE_ORDER),
    needs_next_sentence=True,
)
