"""FeatureExtractor: from lines of text to the vectors that chosen layers of a model give for them.

    lines --> ids --> a window of some thousand lines, sorted by length --> batches --> model
                                                                                          |
    features, in the order of the lines <-------------------------------------------------┘

However many lines there are, memory holds no more than a window of them.

Source: google-research/bert, extract_features.py; section 5.3 of the paper.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from bert_tf.model.encoder import BertEncoder
from bert_tf.text.batch_tokenization import BatchTokenizer
from bert_tf.text.packing import pack_truncated
from bert_tf.training import distribution

_PAIR = re.compile(r"^(.*) \|\|\| (.*)$")
# A window ends after so many lines, or where its vectors take so many bytes: those of 130 lines of
# 128 tokens with four layers of BERT-Base.
_WINDOW_LINES = 4096
_WINDOW_BYTES = 200_000_000
# Lines, and characters, that are tokenized together.
_BLOCK_LINES = 1024
_BLOCK_CHARACTERS = 2_000_000
# The length of a batch is a multiple of this, so that there are few shapes.
_LENGTH_STEP = 8


class LineFeatures(NamedTuple):
    """The features of a line of text.

    linex_index: the line's number, counted from 0; the original's name for it.
    token_ids: of `[CLS] a [SEP]` or `[CLS] a [SEP] b [SEP]`, n of them.
    vectors: <float32>[n, layers, H]; pooled <float32>[layers, H].
    """

    linex_index: int
    token_ids: list[int]
    vectors: np.ndarray


class _EncodedLine(NamedTuple):
    token_ids: list[int]
    segment_ids: list[int]


class FeatureExtractor:
    """A model that gives, for lines of text, the vectors of chosen layers.

    Args:
        encoder: a model with weights.
        tokenizer: with the vocabulary and the lower-casing that it was trained with.
        layers: places in the list of its layers; -1 is the last one, 0 the first one.
        pool: `tokens`: a vector for each token; `cls`: that of [CLS]; `mean`: the mean over the
            line's tokens, [CLS] and [SEP] included.
        max_seq_length: tokens of a line at most, [CLS] and [SEP] included.
        batch_size: lines that go through the model together, over all devices.
        strategy: the devices on which the encoder was made.
        static_shapes: whether every batch has `max_seq_length` tokens, as a TPU wants it; else as
            many as its longest line, rounded up. The values are the same but for rounding.

    Example:

        extractor = FeatureExtractor(encoder, BatchTokenizer("vocab.txt"), [-1, -2], "mean")
        for line in extractor.extract(["A sentence.", "A question? ||| Its answer."]):
            line.vectors    # [2, H], the means of the last layer and of the one before it
    """

    def __init__(
        self,
        encoder: BertEncoder,
        tokenizer: BatchTokenizer,
        layers: Sequence[int] = (-1, -2, -3, -4),
        pool: str = "tokens",
        max_seq_length: int = 128,
        batch_size: int = 32,
        strategy: tf.distribute.Strategy | None = None,
        static_shapes: bool = False,
    ):
        self.encoder = encoder
        self.tokenizer = tokenizer
        self.layers = tuple(layers)
        self.pool = pool
        self.max_seq_length = max_seq_length
        self._strategy = strategy or tf.distribute.get_strategy()
        self._num_replicas = self._strategy.num_replicas_in_sync
        self._replica_rows = -(-batch_size // self._num_replicas)
        self._static_shapes = static_shapes
        shape = [self._replica_rows, max_seq_length] if static_shapes else [None, None]
        spec = tf.TensorSpec([3, self._num_replicas, *shape], tf.int32)
        self._run = tf.function(self._distributed_vectors, input_signature=[spec])

    def extract(self, lines: Iterable[str]) -> Iterator[LineFeatures]:
        """Yields the features of every line, in order; reads a window of lines ahead.

        `first ||| second` is a pair. A line is stripped; an empty one is `[CLS] [SEP]`.
        """
        index = 0
        for window in self._windows(self._encode(lines)):
            vectors: list[np.ndarray | None] = self._window_vectors(window)
            for place, line in enumerate(window):
                yield LineFeatures(index, line.token_ids, vectors[place])
                vectors[place] = None  # A batch's memory is free when its lines have been used.
                index += 1

    def _encode(self, lines: Iterable[str]) -> Iterator[_EncodedLine]:
        special = self.tokenizer.exact.special_ids
        cls, sep = special.cls, special.sep
        for block in _blocks(lines):
            texts = [text for line in block for text in split_pair(line)]
            ids = self.tokenizer.encode_batch(texts)
            for ids_a, ids_b in zip(ids[::2], ids[1::2], strict=True):
                yield _EncodedLine(*pack_truncated(ids_a, ids_b, cls, sep, self.max_seq_length))

    def _windows(self, lines: Iterable[_EncodedLine]) -> Iterator[list[_EncodedLine]]:
        row_bytes = 4 * len(self.layers) * self.encoder.config.hidden_size
        window: list[_EncodedLine] = []
        num_bytes = 0
        for line in lines:
            window.append(line)
            num_bytes += row_bytes * (len(line.token_ids) if self.pool == "tokens" else 1)
            if len(window) >= _WINDOW_LINES or num_bytes >= _WINDOW_BYTES:
                yield window
                window, num_bytes = [], 0
        if window:
            yield window

    def _window_vectors(self, window: Sequence[_EncodedLine]) -> list[np.ndarray]:
        """The vectors of each line of a window, in its order."""
        lengths = [len(line.token_ids) for line in window]
        # The longest first: if memory is too small for them, it shows at once.
        order = sorted(range(len(window)), key=lambda place: -lengths[place])
        batch_size = self._replica_rows * self._num_replicas
        results: list[np.ndarray] = [None] * len(window)
        for start in range(0, len(window), batch_size):
            places = order[start : start + batch_size]
            vectors = self._batch_vectors([window[place] for place in places])
            for row, place in zip(vectors, places, strict=True):
                results[place] = row[: lengths[place]] if self.pool == "tokens" else row
        return results

    def _batch_vectors(self, lines: Sequence[_EncodedLine]) -> np.ndarray:
        longest = max(len(line.token_ids) for line in lines)
        length = min(-(-longest // _LENGTH_STEP) * _LENGTH_STEP, self.max_seq_length)
        # Every replica has as many rows as the others; those that are no lines are dropped again.
        num_rows = -(-len(lines) // self._num_replicas) * self._num_replicas
        if self._static_shapes:
            length, num_rows = self.max_seq_length, self._replica_rows * self._num_replicas
        inputs = np.zeros((3, num_rows, length), np.int32)  # Ids, mask, segments.
        for row, line in enumerate(lines):
            num_tokens = len(line.token_ids)
            inputs[:, row, :num_tokens] = line.token_ids, [1] * num_tokens, line.segment_ids
        outputs = self._run(inputs.reshape(3, self._num_replicas, -1, length))
        results = self._strategy.experimental_local_results(outputs)
        if distribution.gathers_over_workers(self._strategy):
            results = results[:1]  # After a gathering, every replica has the rows of all.
        return np.concatenate([result.numpy() for result in results])[: len(lines)]

    def _distributed_vectors(self, inputs: tf.Tensor):
        return self._strategy.run(self._vectors, args=(inputs,))

    def _vectors(self, inputs: tf.Tensor) -> tf.Tensor:
        """The vectors of this replica's rows; `inputs` is <int32>[3, replicas, rows, L]."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        input_ids, input_mask, segment_ids = tf.unstack(inputs[:, replica])
        inputs = {"input_ids": input_ids, "input_mask": input_mask, "segment_ids": segment_ids}
        outputs = self.encoder(inputs, training=False)["all_encoder_layers"]
        pooled = [_POOLS[self.pool](outputs[i], input_mask) for i in self.layers]
        vectors = tf.stack(pooled, axis=-2)  # [B, L, layers, H], or [B, layers, H]
        if not distribution.gathers_over_workers(self._strategy):
            return vectors
        return tf.distribute.get_replica_context().all_gather(vectors, axis=0)


def split_pair(line: str) -> tuple[str, str]:
    """A line's first and second sequence; the second one is "" unless ` ||| ` stands between two.

    Source: google-research/bert, extract_features.py, `read_examples`.
    """
    line = line.strip()
    match = _PAIR.match(line)
    return match.groups() if match else (line, "")


def _blocks(lines: Iterable[str]) -> Iterator[list[str]]:
    """Lists of some lines, all in all with some number of characters."""
    block: list[str] = []
    num_characters = 0
    for line in lines:
        block.append(line)
        num_characters += len(line)
        if len(block) >= _BLOCK_LINES or num_characters >= _BLOCK_CHARACTERS:
            yield block
            block, num_characters = [], 0
    if block:
        yield block


def _mean(layer: tf.Tensor, input_mask: tf.Tensor) -> tf.Tensor:
    weights = tf.cast(input_mask, layer.dtype)[:, :, tf.newaxis]  # [B, L, 1]
    # A row that is no line has no tokens.
    return tf.math.divide_no_nan(tf.reduce_sum(layer * weights, 1), tf.reduce_sum(weights, 1))


# How a layer's output [B, L, H] becomes what is kept of it, given the mask [B, L].
_POOLS = {
    "tokens": lambda layer, input_mask: layer,
    "cls": lambda layer, input_mask: layer[:, 0],
    "mean": _mean,
}
