"""Computes the size of a pre-training record exactly, and estimates the records of a corpus.

Arrays are padded with zeros, so a record's size depends only on the bytes of its ids: protobuf
writes a number below 128 in one byte, below 16,384 in two, below 2,097,152 in three.

The constants were fitted to records of English novels with Google's uncased vocabulary: see
docs/planning.md.
"""

import dataclasses
import math
from collections.abc import Mapping

from bert_tf.settings import DUPE_FACTORS, PlanningSettings

FRAME_BYTES = 16  # TFRecord: the length, its checksum and that of the record.

# Mean bytes of an id. Ids below 128 are [CLS], [SEP], [MASK] and others not found in text.
_BYTES_PER_ID = 1.89
_ONE_BYTE = 128  # Smaller numbers take one byte.
# Mean target length, as a fraction of L - 3: one example in ten gets a random, shorter target.
_MEAN_TARGET = 0.95
# The fraction of a chunk of text that an example uses up: with a random B, only A.
_USED = 0.68
# Half a sentence in tokens, by which a chunk exceeds its target.
_OVERSHOOT = 8
_RESERVED = 3  # [CLS] and two [SEP]
# Extra examples per document: its last chunk is short, and text replaced by a random B is reused.
_MORE_PER_DOCUMENT = 1.15
# The fraction of the target length that examples reach: less where documents are short.
_FILLED, _LOST_TO_ENDS, _LEAST_FILLED = 0.90, 0.40, 0.25


@dataclasses.dataclass(frozen=True)
class Examples:
    """Describes the records made from a corpus at one sequence length."""

    number: float  # Duplicates with other masks included.
    mean_tokens: float  # Per example, without padding.
    bytes_each: float  # Per record, uncompressed.

    @property
    def total_bytes(self) -> float:
        """Size of all record files, uncompressed."""
        return self.number * self.bytes_each


def estimate_examples(
    settings: PlanningSettings, max_seq_length: int, max_predictions: int, vocab_size: int
) -> Examples:
    """Estimates the records that create_pretraining_data.py makes from the corpus of `settings`."""
    length, per_document = max_seq_length, settings.tokens_per_document
    id_size = _BYTES_PER_ID if vocab_size > _ONE_BYTE else 1.0
    target = _MEAN_TARGET * (length - _RESERVED)
    used = _USED * (target + _OVERSHOOT)
    examples_per_document = max(per_document / used + _MORE_PER_DOCUMENT, 1.0)
    share = max(_FILLED - _LOST_TO_ENDS * length / per_document, _LEAST_FILLED)
    mean_tokens = share * (target + _RESERVED)
    num_bytes = {
        "input_ids": round(id_size * mean_tokens + length - mean_tokens),
        "input_mask": length,
        "next_sentence_labels": 1,
        "segment_ids": length,
    }
    if settings.masking == "dynamic":
        num_bytes["word_ids"] = length + round(max(0.0, mean_tokens - _RESERVED - 127))
    else:
        num_masked = min(max_predictions, settings.masked_lm_prob * mean_tokens)
        padding = max_predictions - num_masked
        far = max(0.0, 1.0 - _ONE_BYTE / mean_tokens) * num_masked  # Positions of two bytes.
        num_bytes["masked_lm_ids"] = round(id_size * num_masked + padding)
        num_bytes["masked_lm_positions"] = round(max_predictions + far)
        num_bytes["masked_lm_weights"] = 4 * max_predictions
    copies = settings.dupe_factor or DUPE_FACTORS[settings.masking]
    corpus_tokens = settings.corpus_words * settings.tokens_per_word
    number = copies * examples_per_document * corpus_tokens / per_document
    return Examples(number, mean_tokens, float(record_bytes(num_bytes) + FRAME_BYTES))


def record_bytes(num_bytes: Mapping[str, int]) -> int:
    """Returns the size of a tf.train.Example, given the bytes of the numbers of each feature.

    Example { Features { entry { name, Feature { list { packed numbers } } } ... } }
    """
    entries = 0
    for name, size in num_bytes.items():
        feature = _field_bytes(_field_bytes(size))
        entries += _field_bytes(_field_bytes(len(name)) + _field_bytes(feature))
    return _field_bytes(entries)


def _field_bytes(payload: int) -> int:
    """Returns the size of a protobuf field: a tag of one byte, the length, the payload."""
    return 1 + max(1, math.ceil(payload.bit_length() / 7)) + payload
