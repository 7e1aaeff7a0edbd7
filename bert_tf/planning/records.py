"""Estimates the number of a corpus's pre-training records and their size.

Arrays are padded with zeros, so a record's size depends only on the bytes of its ids: protobuf
writes a number below 128 in one byte, below 16,384 in two, below 2,097,152 in three.

The constants were fitted to records of English novels with Google's uncased vocabulary: see
docs/planning.md.
"""

import dataclasses

from bert_tf.data.schema import encode_example
from bert_tf.settings import DUPE_FACTORS, PlanningSettings

_FRAME_BYTES = 16  # TFRecord: the length, its checksum and that of the record.

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
    example = {
        "input_ids": _numbers(length, id_size * mean_tokens + length - mean_tokens),
        "input_mask": [1] * length,
        "next_sentence_labels": [0],
        "segment_ids": [0] * length,
    }
    if settings.masking == "dynamic":
        far = max(0.0, mean_tokens - _RESERVED - _ONE_BYTE + 1)
        example["word_ids"] = _numbers(length, length + far)
    else:
        num_masked = min(max_predictions, settings.masked_lm_prob * mean_tokens)
        padding = max_predictions - num_masked
        far = max(0.0, 1.0 - _ONE_BYTE / mean_tokens) * num_masked  # Positions of two bytes.
        example["masked_lm_ids"] = _numbers(max_predictions, id_size * num_masked + padding)
        example["masked_lm_positions"] = _numbers(max_predictions, max_predictions + far)
        example["masked_lm_weights"] = [0.0] * max_predictions
    copies = settings.dupe_factor or DUPE_FACTORS[settings.masking]
    corpus_tokens = settings.corpus_words * settings.tokens_per_word
    number = copies * examples_per_document * corpus_tokens / per_document
    return Examples(number, mean_tokens, float(len(encode_example(example)) + _FRAME_BYTES))


def _numbers(count: int, num_bytes: float) -> list[int]:
    """Returns `count` numbers of one or two bytes each, of `num_bytes` together."""
    num_long = round(num_bytes) - count
    return [_ONE_BYTE] * num_long + [0] * (count - num_long)
