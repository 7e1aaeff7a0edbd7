"""How large pre-training records are: byte by byte for a given record, by estimate for a corpus.

A record is a serialized tf.train.Example in a TFRecord file. Its arrays of L and M numbers are
padded with zeros, so its size depends only on how many bytes its ids take: protobuf writes a number
below 128 in one byte, below 16,384 in two, below 2,097,152 in three.

The estimates for a corpus were fitted to records that create_pretraining_data.py made of English
novels: see docs/planning.md.
"""

import dataclasses
import math

FRAME_BYTES = 16  # TFRecord: the length, its checksum and that of the record.

# English novels, Google's uncased vocabulary: mean bytes of an id in a record. Those below 128 are
# [CLS], [SEP], [MASK] and others that no text has.
BYTES_PER_ID = 1.89
_ONE_BYTE = 128  # Ids below take one byte.
# The original shortens one example in ten to a length drawn at random: the mean of what is aimed
# at, as a fraction of L less [CLS] and two [SEP].
_MEAN_TARGET = 0.95
# Of a chunk of the text, what the example uses up: with a random B, only A.
_USED = 0.68
# Half a sentence, by which chunks are longer than aimed at, in tokens.
_OVERSHOOT = 8
_RESERVED = 3
# The last chunk of a document is short, and the text left over by a random B makes another one.
_MORE_PER_DOCUMENT = 1.15
# How much of the length aimed at is reached, if documents are long; less where they are short.
_FILLED, _LOST_TO_ENDS, _LEAST_FILLED = 0.90, 0.40, 0.25


@dataclasses.dataclass(frozen=True)
class Examples:
    """What a corpus becomes at one length.

    number: of examples, all copies together.
    mean_tokens: of an example, without padding.
    bytes_each: of a record in its file, uncompressed.
    """

    number: float
    mean_tokens: float
    bytes_each: float

    @property
    def total_bytes(self) -> float:
        """Of all files."""
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
    """What create_pretraining_data.py makes of a corpus.

    Args:
        corpus_tokens: word pieces of the text.
        tokens_per_document: their mean number in a document; pairs do not cross documents.
        max_seq_length: L.
        max_predictions: M.
        masked_lm_prob: the fraction of tokens that is hidden.
        dupe_factor: how often the text is gone through.
        is_dynamic: whether the records are for dynamic masking.
        vocab_size: of the vocabulary. In a large one of many languages more ids take three bytes
            than is reckoned with.
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
    """Bytes of `word_ids` where every token is hidden by itself: 1, 2, 3, ... and the padding."""
    return max_seq_length + round(max(0.0, num_tokens - _RESERVED - 127))


def static_record_bytes(
    max_seq_length: int,
    max_predictions: int,
    id_bytes: int,
    label_bytes: int,
    position_bytes: int,
) -> int:
    """Size of a record with its masks, without the frame.

    Args:
        max_seq_length: L.
        max_predictions: M.
        id_bytes: of `input_ids`, padding included.
        label_bytes: of `masked_lm_ids`, padding included.
        position_bytes: of `masked_lm_positions`, padding included.
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
    """Size of a record for dynamic masking, without the frame; `word_bytes` are of `word_ids`."""
    return _example_bytes({**_pair_bytes(max_seq_length, id_bytes), "word_ids": word_bytes})


def _pair_bytes(max_seq_length: int, id_bytes: int) -> dict[str, int]:
    """What both kinds of records have; masks, segments and labels are 0 or 1, a byte each."""
    return {
        "input_ids": id_bytes,
        "input_mask": max_seq_length,
        "next_sentence_labels": 1,
        "segment_ids": max_seq_length,
    }


def _example_bytes(list_bytes: dict[str, int]) -> int:
    """Size of a tf.train.Example, from the bytes that the numbers of each feature take.

    Example { Features { entry { name, Feature { list { packed numbers } } } ... } }
    """
    entries = 0
    for name, num_bytes in list_bytes.items():
        feature = _field_bytes(_field_bytes(num_bytes))
        entries += _field_bytes(_field_bytes(len(name)) + _field_bytes(feature))
    return _field_bytes(entries)


def _field_bytes(payload: int) -> int:
    """A field of a protobuf message: a byte of number and type, the payload's length, itself."""
    return 1 + max(1, math.ceil(payload.bit_length() / 7)) + payload
