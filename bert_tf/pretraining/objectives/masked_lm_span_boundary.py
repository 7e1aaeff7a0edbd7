"""Masked LM and the span boundary objective, as SpanBERT: spans are predicted from their ends too.

    input        [CLS]  the  [M]  [M]  [M]  day  [M]  [SEP]
    predicted                cat  slept all            .     from the vectors of these tokens
    and again          left  cat  slept all  right           from those beside them, and the place

A span is a run of masked tokens. One beside [CLS] or [SEP] has no second prediction, nor do the
tokens of a span after its first 15. The second loss is divided by their number + 1.

Source: Joshi et al. 2019, "SpanBERT", section 3.2; facebookresearch/SpanBERT,
pretraining/fairseq/criterions/spanbert_loss.py.
"""

import dataclasses

import tensorflow as tf

from bert_tf.model.span_boundary import MAX_TARGETS, SpanBoundaryModel
from bert_tf.pretraining.objective import Batch, Prediction, PretrainingObjective
from bert_tf.pretraining.objectives.masked_lm import MASKED_LM

_PADDING = 2**30  # After all positions.


def prepare(batch: Batch, max_targets: int = MAX_TARGETS) -> Batch:
    """Returns a batch with each masked token's place in its span, and the span's neighbours.

    Added are `span_left`, `span_right`, `span_places` int32 [B, M], which are 0 where
    `span_weights` float32 [B, M] is: for tokens without a second prediction, and for padding.
    """
    is_masked = batch["masked_lm_weights"] > 0
    positions = tf.where(is_masked, batch["masked_lm_positions"], _PADDING)
    before = tf.pad(positions[:, :-1], [[0, 0], [1, 0]], constant_values=-2)
    after = tf.pad(positions[:, 1:], [[0, 0], [0, 1]], constant_values=-2)
    is_start, is_end = positions != before + 1, positions != after - 1
    span = tf.cumsum(tf.cast(is_start, tf.int32), axis=1) - 1
    start, end = (_in_order(positions, ends, span) for ends in (is_start, is_end))
    left, right, places = start - 1, end + 1, positions - start
    # [CLS], and the [SEP] of each segment.
    num_first = tf.reduce_sum(batch["input_mask"] * (1 - batch["segment_ids"]), 1, keepdims=True)
    num_tokens = tf.reduce_sum(batch["input_mask"], 1, keepdims=True)
    is_inside = (left > 0) & (left != num_first - 1)
    is_inside &= (right != num_first - 1) & (right < num_tokens - 1)
    is_target = is_masked & is_inside & (places < max_targets)
    found = {"span_left": left, "span_right": right, "span_places": places}
    found = {name: tf.where(is_target, value, 0) for name, value in found.items()}
    return {**batch, **found, "span_weights": tf.cast(is_target, tf.float32)}


def _in_order(positions: tf.Tensor, is_one: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
    """Returns the position at which `is_one` is true for the `number`-th time: int [B, M]."""
    ones = tf.sort(tf.where(is_one, positions, _PADDING), axis=1)
    return tf.gather(ones, number, batch_dims=1)


SPAN_BOUNDARY = Prediction(
    name="span_boundary",
    labels=lambda batch: batch["masked_lm_ids"],
    weights=lambda batch: batch["span_weights"],
    epsilon=1.0,
)

OBJECTIVE = PretrainingObjective(
    make_model=SpanBoundaryModel,
    # Each segment has a masked token.
    predictions=(dataclasses.replace(MASKED_LM, epsilon=0.0), SPAN_BOUNDARY),
    record_settings={"do_span_mask": True},
    prepare=prepare,
)
