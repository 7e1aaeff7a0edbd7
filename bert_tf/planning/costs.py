"""What a pre-training step computes: parameters, and matrix products counted one by one.

    products = count_products(config, max_seq_length=128, max_predictions=20)
    products.weights     # FLOPs of an example, forward and backward, in products with weights
    products.attention   # in products of activations with activations: QK' and PV

A product of [a, b] and [b, c] is 2abc FLOPs. The backward pass computes two of the same size for
every one: the gradients of both factors.

Axes: L sequence length, H hidden size, F feed-forward width, V vocabulary, M masked positions, T
segment ids.
"""

import dataclasses

from bert_tf.config import BertConfig
from bert_tf.released.models import count_parameters


@dataclasses.dataclass(frozen=True)
class Products:
    """FLOPs of an example in a training step.

    weights: in products with weights.
    attention: in the products inside of attention.
    """

    weights: float
    attention: float

    @property
    def total(self) -> float:
        """All FLOPs of an example."""
        return self.weights + self.attention


def count_pretraining_parameters(config: BertConfig) -> int:
    """How many numbers are trained: the encoder's, and those of both heads.

    masked LM       H H + H dense, 2 H LayerNorm, V biases; its matrix is the embeddings'
    next sentence   2 H + 2
    """
    width = config.hidden_size
    masked_lm = width * width + width + 2 * width + config.vocab_size
    return count_parameters(config) + masked_lm + 2 * width + 2


def count_products(
    config: BertConfig, max_seq_length: int, max_predictions: int, recomputes: bool = False
) -> Products:
    """The matrix products of an example in a training step.

    Args:
        config: the model's shape.
        max_seq_length: L; padding is computed like tokens.
        max_predictions: M; the masked-LM head sees these positions only.
        recomputes: whether each block is computed a second time in the backward pass.
    """
    length, width = max_seq_length, config.hidden_size
    # A block: query, key, value and output; the two of the feed-forward layer; QK' and PV.
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
