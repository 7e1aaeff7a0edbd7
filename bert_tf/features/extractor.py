"""Computes the vectors of chosen layers of a model for lines of text.

    lines --> ids --> a window of some thousand lines, sorted by length --> batches --> model
                                                                                          |
    features, in the order of the lines <-------------------------------------------------┘

Source: google-research/bert, extract_features.py; section 5.3 of the paper.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from bert_tf.model.encoder import BertEncoder
from bert_tf.text.packing import pack_truncated
from bert_tf.text.tokenizer import Tokenizer
from bert_tf.training import distribution

_WINDOW_LINES, _WINDOW_BYTES = 4096, 200_000_000  # Of vectors; they bound the memory.
_LENGTH_STEP = 8  # Batch lengths are multiples of this, so that there are few shapes.


class LineFeatures(NamedTuple):
    """The features of a line of text."""

    linex_index: int  # The line's number, from 0, under the original's name.
    token_ids: list[int]  # Of `[CLS] a [SEP]` or `[CLS] a [SEP] b [SEP]`: n ids.
    vectors: np.ndarray  # <float32>[n, layers, H]; pooled <float32>[layers, H].


class FeatureExtractor:
    """Computes the vectors of chosen layers of an encoder for lines of text.

    Args:
        layers: indices into the model's layers: 0 is the first, -1 the last.
        pool: the vectors of a line: of all `tokens`, of [CLS] (`cls`), or the `mean` over tokens.
        max_seq_length: the maximum number of tokens of a line, with [CLS] and [SEP].
        batch_size: lines per batch over all devices.
        strategy: the strategy in whose scope the encoder was created.
        static_shapes: whether every batch has `max_seq_length` tokens, as a TPU requires, instead
            of the length of its longest line, rounded up.
    """

    def __init__(
        self,
        encoder: BertEncoder,
        tokenizer: Tokenizer,
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
        self._run = tf.function(
            lambda inputs: self._strategy.run(self._vectors, args=(inputs,)),
            input_signature=[spec],
            autograph=False,
        )

    def extract(self, lines: Iterable[str]) -> Iterator[LineFeatures]:
        """Yields the features of every line, in order, and reads a window of lines ahead.

        `first ||| second` is a pair. A line is stripped; an empty one is `[CLS] [SEP]`.
        """
        index = 0
        for window in self._windows(lines):
            vectors: list[np.ndarray | None] = self._window_vectors(window)
            for place, (token_ids, _) in enumerate(window):
                yield LineFeatures(index, token_ids, vectors[place])
                vectors[place] = None  # Frees the memory.
                index += 1

    def _windows(self, lines: Iterable[str]) -> Iterator[list[tuple[list[int], list[int]]]]:
        """Yields the token ids and segment ids of as many lines as a window has."""
        special = self.tokenizer.special_ids
        row_bytes = 4 * len(self.layers) * self.encoder.config.hidden_size
        window, num_bytes = [], 0
        for line in lines:
            ids = map(self.tokenizer.encode, split_pair(line))
            packed = pack_truncated(*ids, special.cls, special.sep, self.max_seq_length)
            window.append(packed)
            num_bytes += row_bytes * (len(packed[0]) if self.pool == "tokens" else 1)
            if len(window) >= _WINDOW_LINES or num_bytes >= _WINDOW_BYTES:
                yield window
                window, num_bytes = [], 0
        if window:
            yield window

    def _window_vectors(self, window: Sequence[tuple]) -> list[np.ndarray]:
        """Returns the vectors of each line of a window, in its order."""
        lengths = [len(token_ids) for token_ids, _ in window]
        # Longest first: a batch too large for memory fails at once.
        order = sorted(range(len(window)), key=lambda place: -lengths[place])
        batch_size = self._replica_rows * self._num_replicas
        results: list[np.ndarray] = [None] * len(window)
        for start in range(0, len(window), batch_size):
            places = order[start : start + batch_size]
            vectors = self._batch_vectors([window[place] for place in places])
            for row, place in zip(vectors, places, strict=True):
                results[place] = row[: lengths[place]] if self.pool == "tokens" else row
        return results

    def _batch_vectors(self, lines: Sequence[tuple]) -> np.ndarray:
        longest = max(len(token_ids) for token_ids, _ in lines)
        length = min(-(-longest // _LENGTH_STEP) * _LENGTH_STEP, self.max_seq_length)
        # Every replica has the same number of rows; padding rows are dropped at the end.
        num_rows = -(-len(lines) // self._num_replicas) * self._num_replicas
        if self._static_shapes:
            length, num_rows = self.max_seq_length, self._replica_rows * self._num_replicas
        inputs = np.zeros((3, num_rows, length), np.int32)  # Ids, mask, segments.
        for row, (token_ids, segment_ids) in enumerate(lines):
            num_tokens = len(token_ids)
            inputs[:, row, :num_tokens] = token_ids, [1] * num_tokens, segment_ids
        outputs = self._run(inputs.reshape(3, self._num_replicas, -1, length))
        results = self._strategy.experimental_local_results(outputs)
        if distribution.gathers_over_workers(self._strategy):
            results = results[:1]  # Every replica has gathered all rows.
        return np.concatenate([result.numpy() for result in results])[: len(lines)]

    def _vectors(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the vectors of this replica's rows; `inputs` is <int32>[3, replicas, rows, L]."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        input_ids, input_mask, segment_ids = tf.unstack(inputs[:, replica])
        inputs = {"input_ids": input_ids, "input_mask": input_mask, "segment_ids": segment_ids}
        outputs = self.encoder(inputs, training=False)["all_encoder_layers"]
        layers = [outputs[i] for i in self.layers]  # [B, L, H]
        if self.pool == "cls":
            layers = [layer[:, 0] for layer in layers]
        elif self.pool == "mean":
            weights = tf.cast(input_mask, layers[0].dtype)[:, :, tf.newaxis]  # [B, L, 1]
            counts = tf.reduce_sum(weights, 1)  # 0 in a padding row.
            sums = [tf.reduce_sum(layer * weights, 1) for layer in layers]
            layers = [tf.math.divide_no_nan(total, counts) for total in sums]
        vectors = tf.stack(layers, axis=-2)  # [B, L, layers, H], or [B, layers, H]
        if distribution.gathers_over_workers(self._strategy):
            vectors = tf.distribute.get_replica_context().all_gather(vectors, axis=0)
        return vectors


def split_pair(line: str) -> tuple[str, str]:
    """Splits a line at ` ||| `; without one, the second sequence is ""."""
    line = line.strip()
    match = re.match(r"^(.*) \|\|\| (.*)$", line)
    return match.groups() if match else (line, "")
