"""Masked LM and sentence order, ALBERT's objective: are the two parts of a text swapped?

Records and checkpoints name the label and the head as those of next sentence prediction:
`next_sentence_labels` is 1 for swapped parts, and the head is `cls/seq_relationship`.

Source: google-research/albert, run_pretraining.py, `get_sentence_order_output` and `metric_fn`.
"""

import dataclasses

from bert_tf.pretraining.objectives import masked_lm_next_sentence as bert
from bert_tf.pretraining.objectives.masked_lm import MASKED_LM

SENTENCE_ORDER = dataclasses.replace(
    bert.NEXT_SENTENCE, name="sentence_order", output="next_sentence_logits"
)
OBJECTIVE = dataclasses.replace(
    bert.OBJECTIVE,
    predictions=(MASKED_LM, SENTENCE_ORDER),
    record_settings={"sentence_order": True},
)
