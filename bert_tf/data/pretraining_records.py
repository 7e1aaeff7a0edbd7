"""Instances -> serialized tf.train.Examples, ten times as fast as `schema.encode_example`.

Most of a record is the same in every record of its length: names, sizes, masks, padding. These
parts are serialized once; what is left is to look up the bytes of each id and to join.
"""

import struct
from collections.abc import Callable, Mapping

from bert_tf.config import PretrainingDataSettings
from bert_tf.data import masking
from bert_tf.data.pretraining_examples import Instance, continuation_flags
from bert_tf.data.schema import encode_entry, encode_values, encode_varint


class RecordEncoder:
    """Pads and serializes instances as the records of the original, or those for dynamic masking.

    Args:
        settings: see `PretrainingDataSettings`.
        vocab: the id of every token.
    """

    def __init__(self, settings: PretrainingDataSettings, vocab: Mapping[str, int]) -> None:
        self._length = settings.max_seq_length
        self._num_predictions = settings.max_predictions_per_seq
        self._whole_words = settings.do_whole_word_mask
        self._mend_quirks = settings.mend_quirks
        self._is_continuation = continuation_flags(vocab)
        largest = max(max(vocab.values()), self._length)
        self._varints = [encode_varint(number) for number in range(largest + 1)]
        self._ids = _ListHeader("input_ids")
        self._labels = _ListHeader("masked_lm_ids")
        self._positions = _ListHeader("masked_lm_positions")
        self._words = _ListHeader("word_ids")
        self._segments = _ListHeader("segment_ids").of(self._length)
        self._input_mask = _ListHeader("input_mask").of(self._length)
        self._one = struct.pack("<f", 1.0)
        no_weights = _entry("masked_lm_weights", [0.0] * self._num_predictions)
        self._weights = no_weights[: -4 * self._num_predictions]
        self._next_labels = [_entry("next_sentence_labels", [label]) for label in (0, 1)]
        self.encode: Callable[[Instance], bytes] = {
            "static": self._encode_masked,
            "dynamic": self._encode_unmasked,
        }[settings.masking]

    def _encode_masked(self, instance: Instance) -> bytes:
        num_masked = len(instance.positions)
        padding = bytes(self._num_predictions - num_masked)
        return _message(
            (
                *self._ids_and_mask(instance.ids),
                self._labels.entry(self._numbers(instance.labels) + padding),
                self._positions.entry(self._numbers(instance.positions) + padding),
                self._weights + self._one * num_masked + bytes(4 * len(padding)),
                self._next_labels[instance.is_random_next],
                self._segment_ids(instance),
            )
        )

    def _encode_unmasked(self, instance: Instance) -> bytes:
        numbers = self._word_numbers(instance)
        padding = bytes(self._length - len(numbers))
        return _message(
            (
                *self._ids_and_mask(instance.ids),
                self._next_labels[instance.is_random_next],
                self._segment_ids(instance),
                self._words.entry(self._numbers(numbers) + padding),
            )
        )

    def _ids_and_mask(self, ids: list[int]) -> tuple[bytes, bytes]:
        padding = bytes(self._length - len(ids))
        mask = self._input_mask + b"\1" * len(ids) + padding
        return self._ids.entry(self._numbers(ids) + padding), mask

    def _segment_ids(self, instance: Instance) -> bytes:
        num_zeros = instance.num_tokens_a + 2
        num_ones = len(instance.ids) - num_zeros
        padding = bytes(self._length - len(instance.ids))
        return self._segments + bytes(num_zeros) + b"\1" * num_ones + padding

    def _word_numbers(self, instance: Instance) -> list[int]:
        """`word_ids` of the schema, up to the last [SEP]."""
        num_tokens_a, num_tokens = instance.num_tokens_a, len(instance.ids)
        if not self._whole_words:
            num_b = num_tokens - num_tokens_a - 3
            of_b = range(num_tokens_a + 1, num_tokens_a + num_b + 1)
            return [0, *range(1, num_tokens_a + 1), 0, *of_b, 0]
        numbers = [0] * num_tokens
        words = masking.group_words(
            instance.ids, num_tokens_a, self._is_continuation, self._mend_quirks
        )
        for number, word in enumerate(words, start=1):
            for place in word:
                numbers[place] = number
        return numbers

    def _numbers(self, numbers: list[int]) -> bytes:
        return b"".join(map(self._varints.__getitem__, numbers))


class _ListHeader:
    """What stands before the payload of a list of whole numbers, by the payload's size in bytes."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._headers: dict[int, bytes] = {}

    def entry(self, payload: bytes) -> bytes:
        """The feature with its name, as a part of a serialized example."""
        return self.of(len(payload)) + payload

    def of(self, num_bytes: int) -> bytes:
        """The bytes before a payload of this size, which is not 0."""
        if num_bytes not in self._headers:
            # A list of that many zeros has a payload of that size.
            self._headers[num_bytes] = _entry(self._name, [0] * num_bytes)[:-num_bytes]
        return self._headers[num_bytes]


def _entry(name: str, values: list) -> bytes:
    return encode_entry(name, encode_values(name, values))


def _message(entries: tuple[bytes, ...]) -> bytes:
    """The serialized example of serialized features, which are in the order of their names."""
    features = b"".join(entries)
    return b"\x0a" + encode_varint(len(features)) + features
