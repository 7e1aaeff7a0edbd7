"""Packs consecutive text into two segments without masks, as ELECTRA's records are made.

    [CLS] the cat sat . it slept . [SEP] dogs bark . [SEP]

Sentences are collected up to the target length, and go to the first segment while it is shorter
than half of it. One example in ten has one segment, and one in twenty a random target length. The
end of a document or of a file ends an example. Random draws are the original's, call for call.

Source: google-research/electra, build_pretraining_dataset.py, `ExampleBuilder`, `ExampleWriter`.
"""

import random
from collections.abc import Iterator

from bert_tf.data.schema import encode_example
from bert_tf.pretraining_data.documents import read_lines
from bert_tf.pretraining_data.shards import Making
from bert_tf.text.packing import pack

STAGE = "packing text"
_ONE_SEGMENT, _RANDOM_LENGTH, _SHORTEST = 0.1, 0.05, 5
_NO_LIMIT = 100_000  # The original's length of a first segment that is the only one.


class _Packer:
    """Makes the segments of one example after the other."""

    def __init__(self, max_length: int, rng: random.Random) -> None:
        self._max_length = self._target_length = max_length
        self._rng = rng
        self._sentences: list[list[int]] = []
        self._length = 0

    @property
    def is_empty(self) -> bool:
        """Whether no token has been collected."""
        return not self._length

    def add(self, sentence: list[int]) -> bool:
        """Adds the ids of a sentence; returns whether they fill an example."""
        self._sentences.append(sentence)
        self._length += len(sentence)
        return self._length >= self._target_length

    def pack(self) -> tuple[list[int], list[int]]:
        """Returns both segments of an example, without special tokens, and begins the next."""
        rng, room = self._rng, self._max_length
        is_single = rng.random() < _ONE_SEGMENT
        goal = _NO_LIMIT if is_single else (self._target_length - 3) // 2
        first: list[int] = []
        second: list[int] = []
        for sentence in self._sentences:
            fits = not first or len(first) + len(sentence) < goal
            if fits or (not second and len(first) < goal and rng.random() < 0.5):
                first += sentence
            else:
                second += sentence
        first = first[: room - 2]
        second = second[: max(0, room - len(first) - 3)]
        self._sentences, self._length = [], 0
        is_random = rng.random() < _RANDOM_LENGTH
        self._target_length = rng.randint(_SHORTEST, room) if is_random else room
        return first, second


def packed_records(making: Making) -> Iterator[tuple[bytes, int]]:
    """Yields the serialized examples of text files, which are shuffled first, and their tokens."""
    special, length = making.tokenizer.special_ids, making.settings.max_seq_length
    for first, second in _segments(making):
        ids, segments = pack(first, second, special.cls, int(special.sep))  # Never a doubled one.
        padding = [0] * (length - len(ids))
        example = {
            "input_ids": ids + padding,
            "input_mask": [1] * len(ids) + padding,
            "segment_ids": segments + padding,
        }
        yield encode_example(example), len(ids)


def _segments(making: Making) -> Iterator[tuple[list[int], list[int]]]:
    settings, tokenizer, counts = making.settings, making.tokenizer, making.counts
    paths = list(making.shard.input_files)
    making.rng.shuffle(paths)
    packer = _Packer(settings.max_seq_length, making.rng)
    unknown = tokenizer.special_ids.unk
    for path in paths:
        is_in_document = False
        for line in read_lines([path], counts, STAGE, making.start_progress):
            if not line and not settings.blanks_separate_docs:
                continue
            if not line and not packer.is_empty:
                yield packer.pack()
                is_in_document = False
                continue
            ids = tokenizer.encode(line)
            counts.documents += bool(ids) and not is_in_document
            counts.sentences += bool(ids)
            counts.tokens += len(ids)
            counts.unknown_tokens += ids.count(unknown)
            is_in_document = (is_in_document or bool(ids)) and bool(line)
            if packer.add(ids):
                yield packer.pack()
        if not packer.is_empty:
            yield packer.pack()
