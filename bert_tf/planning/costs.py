"""Counts the parameters of a pre-training model, and the FLOPs of a training step.

Multiplying [a, b] by [b, c] takes 2abc FLOPs. The backward pass does twice the work of the forward
pass: a product of the same size for the gradient of each factor. Padding costs as much as tokens.
"""

import dataclasses

from bert_tf.config import BertConfig
from bert_tf.released.models import count_parameters


@dataclasses.dataclass(frozen=True)
class Products:
    """FLOPs per example in the matrix products of a training step."""

    weights: float  # Products of activations with weights.
    attention: float  # The attention products QK' and PV.

    @property
    def total(self) -> float:
        """All FLOPs per example."""
        return self.weights + self.attention


def count_pretraining_parameters(config: BertConfig) -> int:
    """Returns the number of trained parameters: those of the encoder and both heads."""
    width, narrow = config.hidden_size, config.embedding_size or config.hidden_size
    # The dense layer, its LayerNorm, and a bias per word; the matrix is the embeddings'.
    masked_lm = width * narrow + narrow + 2 * narrow + config.vocab_size
    return count_parameters(config) + masked_lm + 2 * width + 2  # The latter: next sentence.


def num_blocks(config: BertConfig) -> int:
    """Returns how many blocks a step runs, of which several may share weights."""
    return config.num_hidden_layers * (config.inner_group_num or 1)


def count_products(
    config: BertConfig,
    max_seq_length: int,
    max_predictions: int,
    recomputes: bool = False,
    last_positions: int | None = None,
) -> Products:
    """Returns the FLOPs of a step, which computes all blocks twice if it `recomputes` them.

    `last_positions`: how many the last block computes; by default all, as in the software whose
    published times the plans are fitted to. Here it is 1 + max_predictions: [CLS] and the masked.
    """
    length, width, layers = max_seq_length, config.hidden_size, num_blocks(config)
    narrow = config.embedding_size or width
    # Per position: key and value; query, output and the two feed-forward layers; QK' and PV.
    keys = 2 * 2 * width * width
    rest = 2 * (2 * width * width + 2 * width * config.intermediate_size)
    scores = 2 * 2 * length * width
    num_queries = (layers - 1) * length + (last_positions or length)  # In all blocks.
    pooler_and_label = 2 * width * width + 2 * width * 2
    masked_lm = 2 * max_predictions * (width * narrow + narrow * config.vocab_size)
    projection = 2 * length * narrow * width if narrow != width else 0
    # Segment embeddings are a product with one-hot vectors, which have no gradient.
    segments = 2 * length * config.type_vocab_size * narrow
    passes = 4 if recomputes else 3
    weights = passes * (layers * length * keys + num_queries * rest)
    weights += 3 * (pooler_and_label + masked_lm + projection) + 2 * segments
    return Products(float(weights), float(passes * num_queries * scores))
