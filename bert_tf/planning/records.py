"""Computes the size of a pre-training record exactly, and estimates the records of a corpus.

A record is a serialized tf.train.Example in a TFRecord file. Its arrays of L and M numbers are
padded with zeros, so its size depends only on how many bytes its ids take: protobuf writes a number
below 128 in one byte, below 16,384 in two, below 2,097,152 in three.

The constants were fitted to records that create_pretraining_data.py made from English novels: see
docs/planning.md.
"""

import dataclasses
import math

FRAME_BYTES = 16  # TFRecord: the length, its checksum and that of the record.

# English novels, Google's uncased vocabulary: mean bytes of an id in a record. Ids below 128 are
# [CLS], [SEP], [MASK] and others that do not occur in text.
BYTES_PER_ID = 1.89
_ONE_BYTE = 128  # Ids below take one byte.
# Mean target length, as a fraction of L - 3: one example in ten gets a random, shorter target.
_MEAN_TARGET = 0.95
# The fraction of a chunk of text that an example uses up: with a random B, only A.
_USED = 0.68
# Half a sentence in tokens, by which a chunk exceeds its target.
_OVERSHOOT = 8
_RESERVED = 3  # [CLS] and two [SEP]
# Extra examples per document: its last chunk is short, and text freed by a random B is used again.
_MORE_PER_DOCUMENT = 1.15
# The fraction of the target length that examples reach: less where documents are short.
_FILLED, _LOST_TO_ENDS, _LEAST_FILLED = 0.90, 0.40, 0.25


@dataclasses.dataclass(frozen=True)
class Examples:
    """The records made from a corpus at one sequence length.

    number: of examples, including duplicates with other masks.
    mean_tokens: per example, without padding.
    bytes_each: per record, uncompressed.
    """

    number: float
    mean_tokens: float
    bytes_each: float

    @property
    def total_bytes(self) -> float:
        """Size of all record files, uncompressed."""
        return self.number * self.bytes_each


def estimate_examples(
    corpus_tokens: float,
    tokens_per_document: float,
    max_seq_length: int,
    max_predictions: int,
    masked_lm_prob: float,
    dupe_factor: int,
    is_dynamic: bool,
    vocab_size: int,
) -> Examples:
    """Estimates the records that create_pretraining_data.py makes from a corpus.

    Args:
        corpus_tokens: word pieces of the text.
        tokens_per_document: mean number per document; pairs do not cross documents.
        max_seq_length: L.
        max_predictions: M.
        masked_lm_prob: the fraction of tokens that are masked.
        dupe_factor: how many times the text is used, each time with other pairs and masks.
        is_dynamic: whether the records are for dynamic masking.
        vocab_size: of the vocabulary. A large multilingual vocabulary has more ids of three bytes
            than this estimate assumes.
    """
    id_size = BYTES_PER_ID if vocab_size > _ONE_BYTE else 1.0
    target = _MEAN_TARGET * (max_seq_length - _RESERVED)
    used = _USED * (target + _OVERSHOOT)
    per_document = max(tokens_per_document / used + _MORE_PER_DOCUMENT, 1.0)
    share = max(_FILLED - _LOST_TO_ENDS * max_seq_length / tokens_per_document, _LEAST_FILLED)
    mean_tokens = share * (target + _RESERVED)
    num_masked = min(max_predictions, masked_lm_prob * mean_tokens)
    id_bytes = round(id_size * mean_tokens + max_seq_length - mean_tokens)
    if is_dynamic:
        size = dynamic_record_bytes(
            max_seq_length, id_bytes, word_id_bytes(max_seq_length, mean_tokens)
        )
    else:
        label_bytes = round(id_size * num_masked + max_predictions - num_masked)
        far = max(0.0, 1.0 - 128 / mean_tokens) * num_masked
        size = static_record_bytes(
            *(max_seq_length, max_predictions, id_bytes, label_bytes),
            position_bytes=round(max_predictions + far),
        )
    number = dupe_factor * per_document * corpus_tokens / tokens_per_document
    return Examples(number, mean_tokens, float(size + FRAME_BYTES))


def word_id_bytes(max_seq_length: int, num_tokens: float) -> int:
    """Returns the bytes of `word_ids` if tokens are masked one by one: 1, 2, 3, ... and padding."""
    return max_seq_length + round(max(0.0, num_tokens - _RESERVED - 127))


def static_record_bytes(
    max_seq_length: int,
    max_predictions: int,
    id_bytes: int,
    label_bytes: int,
    position_bytes: int,
) -> int:
    """Returns the bytes of a record with static masks, without the TFRecord frame.

    Args:
        max_seq_length: L.
        max_predictions: M.
        id_bytes: size of `input_ids`, including padding.
        label_bytes: size of `masked_lm_ids`, including padding.
        position_bytes: size of `masked_lm_positions`, including padding.
    """
    return _example_bytes(
        {
            **_pair_bytes(max_seq_length, id_bytes),
            "masked_lm_ids": label_bytes,
            "masked_lm_positions": position_bytes,
            "masked_lm_weights": 4 * max_predictions,
        }
    )


def dynamic_record_bytes(max_seq_length: int, id_bytes: int, word_bytes: int) -> int:
    """Returns the bytes of a record for dynamic masking, without the TFRecord frame.

    `word_bytes` is the size of `word_ids`; the other arguments are those of `static_record_bytes`.
    """
    return _example_bytes({**_pair_bytes(max_seq_length, id_bytes), "word_ids": word_bytes})


def _pair_bytes(max_seq_length: int, id_bytes: int) -> dict[str, int]:
    """Sizes of the features of all records; masks, segments and labels take a byte per number."""
    return {
        "input_ids": id_bytes,
        "input_mask": max_seq_length,
        "next_sentence_labels": 1,
        "segment_ids": max_seq_length,
    }


def _example_bytes(list_bytes: dict[str, int]) -> int:
    """Returns the size of a tf.train.Example, given the size of each feature's numbers.

    Example { Features { entry { name, Feature { list { packed numbers } } } ... } }
    """
    entries = 0
    for name, num_bytes in list_bytes.items():
        feature = _field_bytes(_field_bytes(num_bytes))
        entries += _field_bytes(_field_bytes(len(name)) + _field_bytes(feature))
    return _field_bytes(entries)


def _field_bytes(payload: int) -> int:
    """Size of a length-delimited protobuf field: a tag of one byte, the length, the payload."""
    return 1 + max(1, math.ceil(payload.bit_length() / 7)) + payload
