"""Masks tokens in the input pipeline: different ones of the same sentence pair in every epoch.

The rules are those of `pretraining_data/masking.py`, for a whole batch in a TensorFlow graph. Masks
depend on (seed, epoch, example), not on batch size, hosts or restarts.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from bert_tf.config import check_form
from bert_tf.data import counter_hash, dynamic_spans
from bert_tf.data.counter_hash import RandomBits
from bert_tf.data.record_index import FileIndex, RecordIndex
from bert_tf.settings.pretraining_data import (
    MASKING_MIX,
    parse_masking_mix,
    span_length_probabilities,
)

_RUN_FORM = {
    "settings": {
        "masked_lm_prob": float,
        "masking_mix": str | None,
        "mask_smoothing": float | int | None,
    },
    "masking": {"mask_id": int, "replacement_ranges": [[int]]},
}
_SPAN_FORM = {"settings": {"span_geometric_p": float, "max_span_words": int}}


@dataclasses.dataclass(frozen=True)
class MaskingSettings:
    """The rules by which tokens are masked."""

    mask_id: int  # The id of [MASK].
    replacement_ranges: tuple[tuple[int, int], ...]  # Random ids: [first, past the last).
    max_predictions_per_seq: int = 20  # M
    masked_lm_prob: float = 0.15
    mix: tuple[float, float] = (0.8, 0.5)  # See `parse_masking_mix`.
    # Of masked spans of 1, 2, ... words; words are masked alone if there are none.
    span_probabilities: tuple[float, ...] = ()
    # A token is drawn with a weight of its count to the power of -smoothing.
    smoothing: float = 0.0
    token_weights: tuple[float, ...] = ()  # By id, of the records: see `token_frequencies`.


def masking_from_manifest(
    index: RecordIndex, max_predictions_per_seq: int
) -> MaskingSettings | None:
    """Returns how to mask the records of an index; None if they are masked or lack a manifest.

    Raises a ValueError if the rules differ between files.
    """
    found: dict[MaskingSettings | None, str] = {}
    for file in index.files:
        masking = None
        if file.run is not None and file.run["settings"].get("masking", "static") == "dynamic":
            check_form(f"{file.path}: its entry in the manifest", file.run, _RUN_FORM)
            masking = MaskingSettings(
                mask_id=file.run["masking"]["mask_id"],
                replacement_ranges=tuple(map(tuple, file.run["masking"]["replacement_ranges"])),
                max_predictions_per_seq=max_predictions_per_seq,
                masked_lm_prob=file.run["settings"]["masked_lm_prob"],
                mix=parse_masking_mix(file.run["settings"].get("masking_mix") or MASKING_MIX),
                span_probabilities=_span_probabilities(file),
                smoothing=file.run["settings"].get("mask_smoothing") or 0.0,
            )
        found.setdefault(masking, file.path)
    if len(found) > 1:
        listing = "; ".join(f"{path}: {masking or 'static'}" for masking, path in found.items())
        raise ValueError(f"The input files must all be masked by the same rules. {listing}")
    return next(iter(found))


def _span_probabilities(file: FileIndex) -> tuple[float, ...]:
    settings = file.run["settings"]
    if not settings.get("do_span_mask"):
        return ()
    check_form(f"{file.path}: its entry in the manifest", file.run, _SPAN_FORM)
    rule = settings["span_geometric_p"], settings["max_span_words"]
    return tuple(span_length_probabilities(*rule))


def mask_batch(
    batch: Mapping[str, tf.Tensor], settings: MaskingSettings, random_bits: RandomBits
) -> dict[str, tf.Tensor]:
    """Masks tokens in a batch of records made with --masking=dynamic.

    `batch` has `input_ids`, `input_mask`, `word_ids` <int32>[B, L] and others, which are kept.
    `random_bits` are those of `bits_of_rows`. Returns the batch with masked `input_ids`, without
    `word_ids`, and with `masked_lm_positions`, `masked_lm_ids` <int32>[B, M] and
    `masked_lm_weights` <float32>[B, M].
    """
    batch = dict(batch)
    word_ids, input_ids = batch.pop("word_ids"), batch["input_ids"]
    num_tokens = tf.reduce_sum(batch["input_mask"], axis=1)
    if settings.smoothing:
        is_masked, units = _choose_rare(word_ids, input_ids, num_tokens, settings, random_bits)
    else:
        choose = _choose_spans if settings.span_probabilities else _choose_words
        is_masked, units = choose(word_ids, num_tokens, settings, random_bits)
    # By default 80 % of the masked tokens become [MASK], 10 % stay, 10 % become a random id.
    masked, kept = settings.mix
    kind = counter_hash.uniform_fraction(random_bits(counter_hash.REPLACEMENT_KIND, units))
    positions = tf.range(tf.shape(input_ids)[1])
    random_ids = _random_ids(
        random_bits(counter_hash.REPLACEMENT_ID, positions), settings.replacement_ranges
    )
    replaced = tf.where(kind < masked + (1 - masked) * kept, input_ids, random_ids)
    replaced = tf.where(kind < masked, settings.mask_id, replaced)
    batch["input_ids"] = tf.where(is_masked, replaced, input_ids)
    return batch | _labels(input_ids, is_masked, settings.max_predictions_per_seq)


def _choose_words(
    word_ids: tf.Tensor, num_tokens: tf.Tensor, settings: MaskingSettings, random_bits: RandomBits
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the tokens to mask, and their positions: each is replaced by a draw of its own."""
    positions = tf.range(tf.shape(word_ids)[1])  # There are at most L words.
    bits = random_bits(counter_hash.WORD_ORDER, positions)
    return choose_tokens(word_ids, _num_to_predict(num_tokens, settings), bits), positions


def _choose_rare(
    word_ids: tf.Tensor,
    input_ids: tf.Tensor,
    num_tokens: tf.Tensor,
    settings: MaskingSettings,
    random_bits: RandomBits,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the tokens to mask, drawn one by one by their weights, and their positions.

    The token with the least of the waiting times -log(u) / weight is drawn first, and so on.

    Source: huggingface/transformers, distiller.py, `prepare_batch_mlm`, which draws from a batch.
    """
    positions = tf.range(tf.shape(word_ids)[1])
    drawn = counter_hash.uniform_fraction(random_bits(counter_hash.WORD_ORDER, positions))
    weights = tf.gather(tf.constant(settings.token_weights, tf.float64), input_ids)
    times = tf.where(word_ids > 0, -tf.math.log1p(-drawn) / weights, np.inf)
    rank = tf.argsort(tf.argsort(times, axis=1, stable=True), axis=1)
    is_first = rank < _num_to_predict(num_tokens, settings)[:, None]
    return is_first & (word_ids > 0), positions


def _choose_spans(
    word_ids: tf.Tensor, num_tokens: tf.Tensor, settings: MaskingSettings, random_bits: RandomBits
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the tokens to mask, and the numbers of their spans: one draw replaces a span."""
    share = tf.math.ceil(tf.cast(num_tokens - 2, tf.float64) * settings.masked_lm_prob)
    is_masked = dynamic_spans.choose_spans(
        word_ids, _at_most(settings, share), settings.span_probabilities, random_bits
    )
    return is_masked, dynamic_spans.number_spans(is_masked)


def _num_to_predict(num_tokens: tf.Tensor, settings: MaskingSettings) -> tf.Tensor:
    # Halves are rounded to even, as in Python.
    return _at_most(settings, tf.round(tf.cast(num_tokens, tf.float64) * settings.masked_lm_prob))


def _at_most(settings: MaskingSettings, share: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(tf.cast(share, tf.int32), 1, settings.max_predictions_per_seq)


def choose_tokens(word_ids: tf.Tensor, num_to_predict: tf.Tensor, bits: tf.Tensor) -> tf.Tensor:
    """Returns the tokens to mask, <bool>[B, L]: whole words, in random order, that fit.

    Args:
        word_ids: <int32>[B, L], the word (1 to L) of each token; 0: never masked.
        num_to_predict: <int32>[B], the maximum number of tokens.
        bits: <uint64>[B, L], random; they determine the order of words 1 to L.

    Source: google-research/bert, create_pretraining_data.py, `create_masked_lm_predictions`.
    """
    order = tf.argsort(bits, axis=1, stable=True)
    num_words = tf.shape(word_ids)[1] + 1
    sizes = tf.math.bincount(word_ids, minlength=num_words, maxlength=num_words, axis=-1)[:, 1:]
    sizes = tf.gather(sizes, order, batch_dims=1)

    # Each round takes all words up to the first that does not fit. That word and all others of its
    # size will never fit. Without whole-word masking there is one round.
    def take_words(open_words: tf.Tensor, taken: tf.Tensor, left: tf.Tensor):
        used = tf.cumsum(tf.where(open_words, sizes, 0), axis=1)
        fits = open_words & (used <= left[:, None])
        left -= tf.reduce_sum(tf.where(fits, sizes, 0), axis=1)
        open_words = open_words & ~fits & (sizes <= left[:, None])
        return open_words, taken | fits, left

    open_words = (sizes > 0) & (sizes <= num_to_predict[:, None])
    _, taken, _ = tf.while_loop(
        lambda open_words, *_: tf.reduce_any(open_words),
        take_words,
        (open_words, tf.zeros_like(open_words), num_to_predict),
    )
    taken = tf.gather(taken, tf.argsort(order, axis=1), batch_dims=1)  # Back to words 1 to L.
    taken = tf.pad(taken, [[0, 0], [1, 0]])  # Word 0 is never taken.
    return tf.gather(taken, word_ids, batch_dims=1)


def _random_ids(bits: tf.Tensor, ranges: tuple[tuple[int, int], ...]) -> tf.Tensor:
    """Returns ids <int32>[...], drawn uniformly from the ranges."""
    ids = np.concatenate([np.arange(first, past, dtype=np.int32) for first, past in ranges])
    return tf.gather(tf.constant(ids), counter_hash.uniform_below(bits, len(ids)))


def _labels(
    input_ids: tf.Tensor, is_masked: tf.Tensor, max_predictions_per_seq: int
) -> dict[str, tf.Tensor]:
    """Returns the positions of the masked tokens, ascending, and their ids, padded with zeros."""
    length = input_ids.shape[1]
    positions = tf.where(is_masked, tf.range(length), length)
    positions = tf.sort(positions, axis=1)[:, :max_predictions_per_seq]
    padding = max(0, max_predictions_per_seq - length)
    positions = tf.pad(positions, [[0, 0], [0, padding]], constant_values=length)
    is_label = positions < length
    positions = tf.where(is_label, positions, 0)
    ids = tf.gather(input_ids, positions, batch_dims=1)
    return {
        "masked_lm_positions": positions,
        "masked_lm_ids": tf.where(is_label, ids, 0),
        "masked_lm_weights": tf.cast(is_label, tf.float32),
    }
