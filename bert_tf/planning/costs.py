"""Counts the parameters of a pre-training model, and the FLOPs of a training step.

Multiplying [a, b] by [b, c] takes 2abc FLOPs. The backward pass does twice the work of the forward
pass: a product of the same size for the gradient of each factor. Padding costs as much as tokens.
"""

import dataclasses

from bert_tf.config import BertConfig, generator_config
from bert_tf.released.released_model import count_parameters


@dataclasses.dataclass(frozen=True)
class Products:
    """FLOPs per example in the matrix products of a training step."""

    weights: float  # Products of activations with weights.
    attention: float  # The attention products QK' and PV.

    @property
    def total(self) -> float:
        """All FLOPs per example."""
        return self.weights + self.attention


def electra_parts(config: BertConfig) -> list[BertConfig]:
    """Returns configurations of the same work as an ELECTRA's generator and its discriminator."""
    return [
        dataclasses.replace(
            each,
            model_type="albert",  # A BERT with narrow embeddings; that it shares layers costs none.
            embedding_size=each.embedding_size or each.hidden_size,
            num_hidden_groups=1,
            inner_group_num=1,
            generator_hidden_size=0.0,
            generator_layers=0.0,
        )
        for each in (generator_config(config), config)
    ]


def count_pretraining_parameters(config: BertConfig) -> int:
    """Returns the number of trained parameters, of the heads and ELECTRA's generator too."""
    if config.model_type == "electra":
        generator = generator_config(config)
        rows = config.vocab_size + config.max_position_embeddings + config.type_vocab_size
        shared = (rows + 2) * generator.embedding_size
        own = count_parameters(generator) - shared + _masked_lm_parameters(generator)
        width = config.hidden_size
        return count_parameters(config) + own + width * width + 2 * width + 1  # Discriminator.
    return count_parameters(config) + _masked_lm_parameters(config) + 2 * config.hidden_size + 2


def _masked_lm_parameters(config: BertConfig) -> int:
    width, narrow = config.hidden_size, config.embedding_size or config.hidden_size
    # The dense layer, its LayerNorm, and a bias per word; the matrix is the embeddings'.
    return width * narrow + narrow + 2 * narrow + config.vocab_size


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
    if config.model_type == "electra":
        return _electra_products(config, max_seq_length, max_predictions, recomputes)
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


def _electra_products(
    config: BertConfig, length: int, num_masked: int, recomputes: bool
) -> Products:
    """Returns the FLOPs of a generator's step as a masked LM, and of the discriminator's."""
    generator, discriminator = (
        count_products(each, length, num_predictions, recomputes)
        for each, num_predictions in zip(electra_parts(config), (num_masked, 0), strict=True)
    )
    head = 3 * 2 * length * (config.hidden_size**2 + config.hidden_size)
    return Products(
        generator.weights + discriminator.weights + head,
        generator.attention + discriminator.attention,
    )
