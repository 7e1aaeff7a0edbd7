"""Masks tokens in the input pipeline as ELECTRA does: at positions drawn with replacement.

    tokens       [CLS]  the  chef  cooked  the  meal  [SEP]
    drawn          2     5     2                             a position may be drawn again
    input        [CLS]  the  [M]   cooked  the  meal  [SEP]  85 % of the draws put [MASK]

Masks depend on (seed, epoch, example), not on batch size, hosts or restarts.

Source: google-research/electra, pretrain/pretrain_helpers.py, `mask`.
"""

import dataclasses
from collections.abc import Mapping

import tensorflow as tf

from bert_tf.data import counter_hash
from bert_tf.data.counter_hash import RandomBits

_MASKED_FRACTION = 0.85  # Of the draws that put [MASK]; the others leave the token as it is.
_SLOTS_MORE = 0.005  # Added to the masked fraction for the number of slots.


@dataclasses.dataclass(frozen=True)
class SampledMasking:
    """How tokens are masked, and the ids of the vocabulary that this needs.

    Raises a ValueError when called for sequences so short that none is masked.
    """

    mask_prob: float  # The fraction of the tokens of a sequence that are drawn.
    mask_id: int  # The id of [MASK].
    never_masked: tuple[int, ...]  # The ids of [CLS], [SEP] and [MASK].

    def num_slots(self, length: int) -> int:
        """Returns M, the number of draws for sequences of this length, padding included."""
        slots = int((self.mask_prob + _SLOTS_MORE) * length)
        if slots < 1:
            raise ValueError(
                f"No token of a sequence of {length} would be masked with mask_prob="
                f"{self.mask_prob}. Give a larger --max_seq_length or mask_prob."
            )
        return slots

    def __call__(self, batch: Mapping[str, tf.Tensor], random_bits: RandomBits) -> dict:
        """Returns a batch with masked tokens.

        Args:
            batch: `input_ids`, `input_mask` int32 [B, L] and others, which are kept.
            random_bits: see `counter_hash.bits_of_rows`.

        Returns: the batch with masked `input_ids`, and with
            `masked_lm_positions`, `masked_lm_ids` int32 [B, M] and `masked_lm_weights`
            float32 [B, M], which are 0 for padding;
            `replacement_seed` int32 [B, 2], for what else is drawn for a row.
        """
        input_ids = batch["input_ids"]
        slots = tf.range(self.num_slots(input_ids.shape[1]))
        positions, weights = self.choose(
            input_ids, batch["input_mask"], random_bits(counter_hash.MASKED_POSITION, slots)
        )
        fractions = counter_hash.uniform_fraction(random_bits(counter_hash.IS_MASKED, slots))
        seeds = random_bits(counter_hash.REPLACEMENT_SEED, tf.range(1))
        return {
            **batch,
            **self.mask(input_ids, positions, weights, fractions),
            "replacement_seed": tf.bitcast(seeds[:, 0], tf.int32),
        }

    def choose(
        self, input_ids: tf.Tensor, input_mask: tf.Tensor, bits: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Draws the positions to mask, the same one several times perhaps.

        Args: int32 [B, L]; uint64 [B, M], random.
        Returns: positions int32 [B, M]; weights float32 [B, M], 0 for those beyond the number of
        tokens to mask, which is at least 1.
        """
        is_candidate = input_mask > 0
        for token in self.never_masked:
            is_candidate &= input_ids != token
        num_candidates = tf.reduce_sum(tf.cast(is_candidate, tf.int32), axis=1)
        num_tokens = tf.cast(tf.reduce_sum(input_mask, axis=1), tf.float32)
        num_masked = tf.cast(tf.round(num_tokens * self.mask_prob), tf.int32)
        num_masked = tf.minimum(tf.maximum(num_masked, 1), num_candidates * bits.shape[1])
        candidates_first = tf.argsort(tf.cast(~is_candidate, tf.int32), axis=1, stable=True)
        drawn = counter_hash.uniform_below(bits, num_candidates[:, None])
        positions = tf.gather(candidates_first, drawn, batch_dims=1)
        weights = tf.sequence_mask(num_masked, bits.shape[1], tf.float32)
        return positions, weights

    def mask(
        self, input_ids: tf.Tensor, positions: tf.Tensor, weights: tf.Tensor, fractions: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Returns masked `input_ids`, and positions, ids and weights of the masked tokens.

        Args: int32 [B, L]; what `choose` returns; float [B, M] in [0, 1), where each draw below
        0.85 puts [MASK].
        """
        is_used = tf.cast(weights, tf.int32)
        positions = positions * is_used
        labels = tf.gather(input_ids, positions, batch_dims=1) * is_used
        puts_mask = (fractions < _MASKED_FRACTION)[..., None]
        is_there = positions[..., None] == tf.range(1, tf.shape(input_ids)[1])  # [B, M, L - 1]
        is_masked = tf.pad(tf.reduce_any(is_there & puts_mask, axis=1), [[0, 0], [1, 0]])
        return {
            "input_ids": tf.where(is_masked, self.mask_id, input_ids),
            "masked_lm_positions": positions,
            "masked_lm_ids": labels,
            "masked_lm_weights": weights,
        }
