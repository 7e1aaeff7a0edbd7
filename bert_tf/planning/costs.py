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
    width = config.hidden_size
    # The dense layer, its LayerNorm, and a bias per word; the matrix is the embeddings'.
    masked_lm = width * width + width + 2 * width + config.vocab_size
    return count_parameters(config) + masked_lm + 2 * width + 2  # The latter: next sentence.


def count_products(
    config: BertConfig, max_seq_length: int, max_predictions: int, recomputes: bool = False
) -> Products:
    """Returns the FLOPs of a step, which computes all blocks twice if it `recomputes` them."""
    length, width = max_seq_length, config.hidden_size
    # Per block: query, key, value and output, and the two feed-forward layers; then QK' and PV.
    block = 2 * length * (4 * width * width + 2 * width * config.intermediate_size)
    scores = 2 * 2 * length * length * width
    pooler_and_label = 2 * width * width + 2 * width * 2
    masked_lm = 2 * max_predictions * (width * width + width * config.vocab_size)
    # Segment embeddings are a product with one-hot vectors, which have no gradient.
    segments = 2 * length * config.type_vocab_size * width
    passes = config.num_hidden_layers * (4 if recomputes else 3)
    weights = passes * block + 3 * (pooler_and_label + masked_lm) + 2 * segments
    return Products(float(weights), float(passes * scores))
