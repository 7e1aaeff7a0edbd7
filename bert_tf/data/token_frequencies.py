"""Counts the tokens of records, for masks that prefer rare tokens, as DistilBERT's do.

Source: huggingface/transformers, examples/research_projects/distillation, scripts/token_counts.py
and train.py.
"""

import numpy as np
import tensorflow as tf

from bert_tf.data import schema
from bert_tf.data.block_reader import BlockTable
from bert_tf.data.record_index import RecordIndex


def count_tokens(index: RecordIndex, max_seq_length: int, vocab_size: int) -> np.ndarray:
    """Returns how often each token may be masked in records for dynamic masking, int64 [V].

    All records are read once.
    """
    blocks = BlockTable(index)
    features = schema.unmasked_pretraining_features(max_seq_length)
    features = {name: features[name] for name in ("input_ids", "word_ids")}

    def count(block: tf.Tensor) -> tf.Tensor:
        records, _ = blocks.read(block[None])
        batch = schema.parse_examples(records, features)
        ids = tf.boolean_mask(batch["input_ids"], batch["word_ids"] > 0)
        return tf.math.bincount(ids, minlength=vocab_size, maxlength=vocab_size, dtype=tf.int64)

    counts = tf.data.Dataset.range(len(index.blocks)).map(count, tf.data.AUTOTUNE)
    return counts.reduce(tf.zeros([vocab_size], tf.int64), tf.add).numpy()


def token_weights(counts: np.ndarray, smoothing: float) -> np.ndarray:
    """Returns the weights by which tokens are drawn to be masked, float64 [V].

    Args: counts int [V] of the tokens, where 0 is taken for 1; the negative of the exponent.
    """
    return np.maximum(counts, 1.0) ** -smoothing
