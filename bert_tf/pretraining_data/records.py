"""Serializes instances as tf.train.Examples, ten times as fast as `schema.encode_example`.

Ids are serialized once, and their bytes represent them in documents and instances. Until instances
are shuffled, only what differs between them is kept, in two bytes per token. Names, sizes, masks
and padding are added when a record is written.
"""

import struct

from bert_tf.data.schema import ListHeaders, encode_entry, encode_varint
from bert_tf.pretraining_data.examples import Instance
from bert_tf.settings import PretrainingDataSettings
from bert_tf.text.tokenizer import Tokenizer

# is_random_next, num_tokens_a, tokens, masked tokens, bytes of the ids, bytes of the second list.
_HEAD = struct.Struct("<?IIIII")


class RecordEncoder:
    """Pads and serializes instances, in which `token_of[id]`, its bytes, represents an id."""

    def __init__(self, settings: PretrainingDataSettings, tokenizer: Tokenizer) -> None:
        self._length = settings.max_seq_length
        self._num_predictions = settings.max_predictions_per_seq
        self._is_dynamic = settings.masking == "dynamic"
        self._has_boundaries = settings.ngram > 0
        self.token_of = [encode_varint(index) for index in range(max(tokenizer.vocab.values()) + 1)]
        self._places = [encode_varint(place) for place in range(self._length + 1)]
        self._ids = ListHeaders("input_ids")
        self._labels = ListHeaders("masked_lm_ids")
        self._positions = ListHeaders("masked_lm_positions")
        self._words = ListHeaders("word_ids")
        self._segments = ListHeaders("segment_ids")[self._length]
        self._boundaries = ListHeaders("token_boundary")[self._length]
        self._input_mask = ListHeaders("input_mask")[self._length]
        self._one = struct.pack("<f", 1.0)
        no_weights = encode_entry("masked_lm_weights", [0.0] * self._num_predictions)
        self._weights = no_weights[: -4 * self._num_predictions]
        self._next_labels = [b"", b""]
        if settings.next_sentence:
            self._next_labels = [encode_entry("next_sentence_labels", [label]) for label in (0, 1)]

    def begin(self, instance: Instance) -> bytes:
        """Returns the compact form of an instance, for `finish`."""
        num_tokens, num_masked = len(instance.tokens), len(instance.positions)
        place_bytes = self._places.__getitem__
        if self._is_dynamic:
            second, third = b"".join(map(place_bytes, instance.word_ids)), b""
        else:
            second = b"".join(instance.labels)
            third = b"".join(map(place_bytes, instance.positions))
        if self._has_boundaries:
            third += bytes(instance.word_ids)
        first = b"".join(instance.tokens)
        sizes = (instance.num_tokens_a, num_tokens, num_masked, len(first), len(second))
        return b"".join((_HEAD.pack(instance.is_random_next, *sizes), first, second, third))

    def finish(self, begun: bytes) -> tuple[bytes, int]:
        """Returns the record of what `begin` returned, and its number of tokens."""
        head = _HEAD.unpack_from(begun)
        is_random_next, num_tokens_a, num_tokens, num_masked, size_ids, size_second = head
        end_ids = _HEAD.size + size_ids
        end_second = end_ids + size_second
        second = begun[end_ids:end_second]
        padding = bytes(self._length - num_tokens)
        ids_and_mask = (
            *(self._ids[size_ids + len(padding)], begun[_HEAD.size : end_ids], padding),
            *(self._input_mask, b"\1" * num_tokens, padding),
        )
        label_and_segments = (
            self._next_labels[is_random_next],
            *(self._segments, bytes(num_tokens_a + 2), b"\1" * (num_tokens - num_tokens_a - 2)),
            padding,
        )
        if self._is_dynamic:
            words = (self._words[size_second + len(padding)], second, padding)
            return _message((*ids_and_mask, *label_and_segments, *words)), num_tokens
        end_third = len(begun) - (num_tokens if self._has_boundaries else 0)
        third, no_masks = begun[end_second:end_third], bytes(self._num_predictions - num_masked)
        masks = (
            *(self._labels[size_second + len(no_masks)], second, no_masks),
            *(self._positions[len(third) + len(no_masks)], third, no_masks),
            *(self._weights, self._one * num_masked, bytes(4 * len(no_masks))),
        )
        last = (self._boundaries, begun[end_third:], padding) if self._has_boundaries else ()
        return _message((*ids_and_mask, *masks, *label_and_segments, *last)), num_tokens


def _message(parts: tuple[bytes, ...]) -> bytes:
    """Returns the serialized example of its features, which are sorted by name."""
    features = b"".join(parts)
    return b"\x0a" + encode_varint(len(features)) + features
