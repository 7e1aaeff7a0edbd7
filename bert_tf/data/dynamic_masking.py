"""Hides tokens while training reads: new masks in every epoch from pairs that are stored once.

The rules are those of data/masking.py, which makes masks beforehand; here they are worked out for
a whole batch in a TensorFlow graph. What is random is a function of (seed, epoch, example, place),
so that masks do not depend on batch size, hosts or restarts.
"""

import dataclasses
import itertools
from collections.abc import Mapping

import tensorflow as tf

from bert_tf.config import check_range
from bert_tf.data.counter_hash import hash_counters, uniform_below, uniform_fraction
from bert_tf.data.record_index import RecordIndex

# What the hash is used for, so that no two uses share their random numbers (1 and 2 are the input
# pipeline's).
UNIT_ORDER, REPLACEMENT_KIND, REPLACEMENT_ID = 3, 4, 5


@dataclasses.dataclass(frozen=True)
class MaskingSettings:
    """How tokens are hidden.

    Args:
        mask_id: the id of [MASK].
        replacement_ranges: ids [first, past the last) that random replacements are drawn from.
        max_predictions_per_seq: M, the most tokens hidden in an example.
        masked_lm_prob: the fraction of an example's tokens to hide.
    """

    mask_id: int
    replacement_ranges: tuple[tuple[int, int], ...]
    max_predictions_per_seq: int = 20
    masked_lm_prob: float = 0.15

    def __post_init__(self) -> None:
        check_range("masked_lm_prob", self.masked_lm_prob, 0.0, 1.0, False, False)
        if self.max_predictions_per_seq < 1:
            raise ValueError(
                f"max_predictions_per_seq must be at least 1. "
                f"Received: {self.max_predictions_per_seq}"
            )
        if not self.replacement_ranges or any(low >= high for low, high in self.replacement_ranges):
            raise ValueError(
                f"replacement_ranges must hold ids. Received: {self.replacement_ranges}"
            )


def masking_from_manifest(
    index: RecordIndex, max_predictions_per_seq: int
) -> MaskingSettings | None:
    """How to mask the records of an index; None if they hold their masks already.

    Args:
        index: the records. Those without a manifest are taken to hold their masks.
        max_predictions_per_seq: how many tokens to hide at most; beforehand-made masks fix this,
            dynamic ones do not.

    Raises:
        ValueError: if some files hold masks and others do not, or they were made by other rules.
    """
    found: dict[MaskingSettings | None, str] = {}
    for path, run in zip(index.paths, index.runs, strict=True):
        found.setdefault(_masking_of_run(run, max_predictions_per_seq), path)
    if len(found) > 1:
        listing = "; ".join(
            f"{path}: {masking or 'masks in the records'}" for masking, path in found.items()
        )
        raise ValueError(f"The input files must all be masked by the same rules. {listing}")
    return next(iter(found))


def _masking_of_run(run: dict | None, max_predictions_per_seq: int) -> MaskingSettings | None:
    if run is None or run["settings"].get("masking", "static") == "static":
        return None
    return MaskingSettings(
        mask_id=run["masking"]["mask_id"],
        replacement_ranges=tuple(tuple(ids) for ids in run["masking"]["replacement_ranges"]),
        max_predictions_per_seq=max_predictions_per_seq,
        masked_lm_prob=run["settings"]["masked_lm_prob"],
    )


def mask_batch(
    batch: Mapping[str, tf.Tensor],
    settings: MaskingSettings,
    seed: int,
    epochs: tf.Tensor | int,
    examples: tf.Tensor,
) -> dict[str, tf.Tensor]:
    """Hides tokens in a batch of records made with --masking=dynamic.

    Args:
        batch: `input_ids`, `input_mask`, `word_ids` <int32>[B, L] and others, which are kept.
        settings: how.
        seed: any whole number.
        epochs: <int>[B], which epoch each example is read in, or one number for all.
        examples: <int>[B], the number of each example in the data set.

    Returns:
        The batch with some of `input_ids` replaced and with `masked_lm_positions`, `masked_lm_ids`
        <int32>[B, M] and `masked_lm_weights` <float32>[B, M]; without `word_ids`.
    """
    batch = dict(batch)
    word_ids = batch.pop("word_ids")
    input_ids = batch["input_ids"]
    epochs = tf.broadcast_to(tf.cast(epochs, tf.int64), tf.shape(examples))

    def random_bits(purpose: int) -> tf.Tensor:  # [B, L]; L also bounds the number of words.
        places = tf.range(tf.shape(input_ids)[1])
        return hash_counters(seed, purpose, epochs[:, None], examples[:, None], places)

    lengths = tf.reduce_sum(batch["input_mask"], axis=1)
    hidden = choose_tokens(word_ids, _num_to_predict(lengths, settings), random_bits(UNIT_ORDER))
    replaced = _replace(input_ids, settings, random_bits)
    batch["input_ids"] = tf.where(hidden, replaced, input_ids)
    batch.update(_gather_hidden(input_ids, hidden, settings.max_predictions_per_seq))
    return batch


def choose_tokens(word_ids: tf.Tensor, num_to_predict: tf.Tensor, bits: tf.Tensor) -> tf.Tensor:
    """Chooses whole words, in random order, as long as they fit.

    A word that would exceed the number of predictions is passed over; a later, shorter one may
    still be taken.

    Args:
        word_ids: <int32>[B, L], which word (1 to L) a token belongs to; 0: it may not be hidden.
        num_to_predict: <int32>[B], the most tokens to choose.
        bits: <uint64>[B, L], random: they give the order of words 1 to L.

    Returns:
        <bool>[B, L]: the tokens of the words chosen.

    Source: google-research/bert, create_pretraining_data.py, `create_masked_lm_predictions`.
    """
    sizes = _word_sizes(word_ids)
    order = tf.argsort(bits, axis=1, stable=True)
    sizes = tf.gather(sizes, order, batch_dims=1)

    def any_fits(open_words: tf.Tensor, *_) -> tf.Tensor:
        return tf.reduce_any(open_words)

    # Each round takes all words up to the first that does not fit, which with all others of its
    # size is then out for good: what is left to choose only becomes less. Without whole-word
    # masking there is one round.
    def take_words(open_words: tf.Tensor, taken: tf.Tensor, left: tf.Tensor):
        used = tf.cumsum(tf.where(open_words, sizes, 0), axis=1)
        fits = open_words & (used <= left[:, None])
        left -= tf.reduce_sum(tf.where(fits, sizes, 0), axis=1)
        open_words = open_words & ~fits & (sizes <= left[:, None])
        return open_words, taken | fits, left

    open_words = (sizes > 0) & (sizes <= num_to_predict[:, None])
    _, taken, _ = tf.while_loop(
        any_fits, take_words, (open_words, tf.zeros_like(open_words), num_to_predict)
    )
    taken = tf.gather(taken, tf.argsort(order, axis=1), batch_dims=1)  # Back to words 1 to L.
    taken = tf.pad(taken, [[0, 0], [1, 0]])  # Word 0 is never taken.
    return tf.gather(taken, word_ids, batch_dims=1)


def _word_sizes(word_ids: tf.Tensor) -> tf.Tensor:
    """<int32>[B, L]: how many tokens words 1 to L have."""
    batch_size, length = tf.shape(word_ids)[0], tf.shape(word_ids)[1]
    row = tf.range(batch_size)[:, None] * (length + 1)
    counts = tf.math.bincount(tf.reshape(word_ids + row, [-1]), minlength=batch_size * (length + 1))
    return tf.reshape(counts[: batch_size * (length + 1)], [batch_size, length + 1])[:, 1:]


def _num_to_predict(lengths: tf.Tensor, settings: MaskingSettings) -> tf.Tensor:
    """<int32>[B]. Halves are rounded to even, as Python does."""
    wanted = tf.round(tf.cast(lengths, tf.float64) * settings.masked_lm_prob)
    return tf.clip_by_value(tf.cast(wanted, tf.int32), 1, settings.max_predictions_per_seq)


def _replace(input_ids: tf.Tensor, settings: MaskingSettings, random_bits) -> tf.Tensor:
    """What stands in place of each token if it is hidden: [MASK] 80 %, itself 10 %, any id 10 %."""
    kind = uniform_fraction(random_bits(REPLACEMENT_KIND))
    random_ids = _random_ids(random_bits(REPLACEMENT_ID), settings.replacement_ranges)
    other = tf.where(kind < 0.9, input_ids, random_ids)
    return tf.where(kind < 0.8, settings.mask_id, other)


def _random_ids(bits: tf.Tensor, ranges: tuple[tuple[int, int], ...]) -> tf.Tensor:
    """Ids <int32>[...], uniform over all that the ranges hold."""
    sizes = [past - first for first, past in ranges]
    number = uniform_below(bits, sum(sizes))
    ends = list(itertools.accumulate(sizes))
    # What to add to a number, for each range that it may have fallen into.
    shifts = [past - end for (_, past), end in zip(ranges, ends, strict=True)]
    chosen = tf.searchsorted(tf.constant(ends, tf.int64), tf.reshape(number, [-1]), side="right")
    shift = tf.gather(tf.constant(shifts, tf.int64), tf.reshape(chosen, tf.shape(number)))
    return tf.cast(number + shift, tf.int32)


def _gather_hidden(
    input_ids: tf.Tensor, hidden: tf.Tensor, max_predictions_per_seq: int
) -> dict[str, tf.Tensor]:
    """The labels: ascending positions of hidden tokens and their ids, zeros behind them."""
    length = input_ids.shape[1]
    positions = tf.where(hidden, tf.range(length), length)
    positions = tf.sort(positions, axis=1)[:, :max_predictions_per_seq]
    missing = max(0, max_predictions_per_seq - length)
    positions = tf.pad(positions, [[0, 0], [0, missing]], constant_values=length)
    is_label = positions < length
    positions = tf.where(is_label, positions, 0)
    ids = tf.gather(input_ids, positions, batch_dims=1)
    return {
        "masked_lm_positions": positions,
        "masked_lm_ids": tf.where(is_label, ids, 0),
        "masked_lm_weights": tf.cast(is_label, tf.float32),
    }
