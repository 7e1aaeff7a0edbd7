"""Masked LM and next sentence prediction: the original's objective, and the default.

Source: google-research/bert, run_pretraining.py, `get_masked_lm_output`,
`get_next_sentence_output` and `metric_fn`.
"""

import tensorflow as tf

from bert_tf.model.heads import PretrainingModel
from bert_tf.pretraining.objective import Prediction, PretrainingObjective, example_weights
from bert_tf.pretraining.objectives.masked_lm import MASKED_LM

NEXT_SENTENCE = Prediction(
    name="next_sentence",
    labels=lambda batch: tf.reshape(batch["next_sentence_labels"], [-1]),
    weights=example_weights,
    is_binary=True,
)

OBJECTIVE = PretrainingObjective(
    make_model=PretrainingModel,
    predictions=(MASKED_LM, NEXT_SENTENCE),
    needs_next_sentence=True,
    record_settings={"sentence_order": False},
)
