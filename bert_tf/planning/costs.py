"""Counts the parameters of a pre-training model, and the FLOPs of a training step.

    products = count_products(config, max_seq_length=128, max_predictions=20)
    products.weights     # FLOPs per example, forward and backward, in products with weights
    products.attention   # FLOPs per example in the attention products QK' and PV

Multiplying [a, b] by [b, c] takes 2abc FLOPs. The backward pass does twice the work of the forward
pass: one product of the same size for the gradient of each factor.

Axes: L sequence length, H hidden size, F feed-forward width, V vocabulary, M masked positions, T
segment ids.
"""

import dataclasses

from bert_tf.config import BertConfig
from bert_tf.released.models import count_parameters


@dataclasses.dataclass(frozen=True)
class Products:
    """FLOPs per example in a training step.

    weights: in products of activations with weights.
    attention: in the attention products, which multiply activations by activations.
    """

    weights: float
    attention: float

    @property
    def total(self) -> float:
        """All FLOPs per example."""
        return self.weights + self.attention


def count_pretraining_parameters(config: BertConfig) -> int:
    """Returns the number of trained parameters: the encoder's and those of both heads.

    masked LM       H H + H dense, 2 H LayerNorm, V biases; its matrix is the word embeddings
    next sentence   2 H + 2
    """
    width = config.hidden_size
    masked_lm = width * width + width + 2 * width + config.vocab_size
    return count_parameters(config) + masked_lm + 2 * width + 2


def count_products(
    config: BertConfig, max_seq_length: int, max_predictions: int, recomputes: bool = False
) -> Products:
    """Returns the FLOPs per example of the matrix products in a training step.

    Args:
        config: the model's shape.
        max_seq_length: L; padding costs as much as tokens.
        max_predictions: M; the masked-LM head computes only these positions.
        recomputes: whether the backward pass recomputes the activations of each block.
    """
    length, width = max_seq_length, config.hidden_size
    # Per block: query, key, value and output; the two feed-forward layers. Attention: QK' and PV.
    block = 2 * length * (4 * width * width + 2 * width * config.intermediate_size)
    scores = 2 * 2 * length * length * width
    pooler_and_label = 2 * width * width + 2 * width * 2
    masked_lm = 2 * max_predictions * (width * width + width * config.vocab_size)
    # Segment embeddings are a product with one-hot vectors, which have no gradient.
    segments = 2 * length * config.type_vocab_size * width
    passes = 4 if recomputes else 3
    num_blocks = config.num_hidden_layers
    return Products(
        weights=float(
            passes * num_blocks * block + 3 * (pooler_and_label + masked_lm) + 2 * segments
        ),
        attention=float(passes * num_blocks * scores),
    )
