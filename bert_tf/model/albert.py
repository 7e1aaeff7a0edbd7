"""ALBERT's encoder: narrow embeddings, and blocks that several layers share.

    word, position, segment [E] ──> LayerNorm ──> embedding_hidden_mapping_in [E, H] ──> layers

Layer i of L runs the blocks of group int(i / L * G), of which there are `inner_group_num`; in all
released models one block is every layer. A shared block draws other dropout masks in each layer.

Source: google-research/albert, modeling.py; Lan et al. 2020.
"""

import contextlib

import keras

from bert_tf.config import BertConfig
from bert_tf.model.dropout import later_places
from bert_tf.model.encoder import DROPOUTS_PER_BLOCK, BertEncoder, make_block
from bert_tf.model.layers import ResidualOutput, TransformerBlock, dense
from bert_tf.model.part import Part


class AlbertOutput(ResidualOutput):
    """Ends a sub-layer as in BERT. Its LayerNorm is built by the block, which names it."""

    def build(self, input_shape):
        self.dense.build(input_shape)


class AlbertBlock(TransformerBlock):
    """BERT's block, with the names of ALBERT's checkpoints.

        attention_1/self/query ...   attention_1/output/dense          LayerNorm
        ffn_1/intermediate/dense     ffn_1/intermediate/output/dense   LayerNorm_1

    Arguments are those of `TransformerBlock`, where both outputs are an `AlbertOutput`.
    """

    def build(self, input_shape):
        self.attention.build(input_shape)
        with keras.name_scope("ffn_1"):
            self.intermediate.build(input_shape)
            with keras.name_scope("intermediate"):
                self.output_part.build(self.intermediate.compute_output_shape(input_shape))
        self.attention.output_part.normalize.build(input_shape)
        self.output_part.normalize.name = "LayerNorm_1"
        self.output_part.normalize.build(input_shape)


class SharedBlock(Part):
    """Runs a block as one layer of those that share it, with this layer's own dropout masks.

    Args:
        block: any block; its owner builds it.
        places_before: what is added to the numbers of its dropouts, see `Dropout`.
    """

    def __init__(self, block, places_before: int = 0, dtype=None, name: str = "layer_0"):
        super().__init__(name=name, dtype=dtype, autocast=False)
        self.block = block

    def build(self, input_shape):
        if not self.block.built:
            self.block.build(input_shape)

    def call(self, hidden, context=None, training: bool = False, select=None):
        """Does what the block does; see `TransformerBlock`."""
        with later_places(self.places_before):
            return self.block(hidden, context, training=training, select=select)

    def attention_scores(self, hidden):
        """Does what the block does; see `TransformerBlock`."""
        return self.block.attention_scores(hidden)


class AlbertEncoder(BertEncoder):
    """The Transformer of ALBERT, with every weight under its published name (`bert/...`).

    Arguments, inputs and outputs are those of `BertEncoder`; `embedding_output` is [B, L, E], and
    `all_encoder_layers` has the outputs of all blocks: L times `inner_group_num`. The fields
    `embedding_size`, `num_hidden_groups` and `inner_group_num` of the configuration are needed.

    Example:

        encoder = bert_tf.AlbertEncoder.from_preset("albert_base_v2")

    Source: google-research/albert, modeling.py, `AlbertModel`.
    """

    looked_up = ("word_embeddings", "token_type_embeddings")

    def make_blocks(self, config: BertConfig, policy) -> list[keras.layers.Layer]:
        shared: dict[tuple[int, int], AlbertBlock] = {}
        blocks = []
        for place in _places(config):
            if place not in shared:
                shared[place] = _built_block(config, *place, policy)
            number = len(blocks)
            places_before = DROPOUTS_PER_BLOCK * number
            name = f"layer_{number}"
            blocks.append(SharedBlock(shared[place], places_before, dtype=policy, name=name))
        return blocks

    def make_projection(self, width: int) -> keras.layers.Layer:
        values = (self.hidden_size, self.config.initializer_range, self.dtype_policy)
        projection = dense(*values, name="embedding_hidden_mapping_in")
        with keras.name_scope("encoder"):
            projection.build((None, None, width))
        return projection

    def layer_prefix(self, number: int) -> str:
        """Returns the prefix of the weights of a block; other layers may share them."""
        group, inner = _places(self.config)[number]
        return f"{self.scope}/encoder/transformer/group_{group}/inner_group_{inner}/"


def _places(config: BertConfig) -> list[tuple[int, int]]:
    """Returns the group of each block and its number in the group, in the order of the layers."""
    num_layers, num_groups = config.num_hidden_layers, config.num_hidden_groups
    return [
        (int(layer / num_layers * num_groups), inner)  # The original's rounding.
        for layer in range(num_layers)
        for inner in range(config.inner_group_num)
    ]


def _built_block(config: BertConfig, group: int, inner: int, policy) -> AlbertBlock:
    name = f"inner_group_{inner}"
    block = make_block(config, 1, policy, name, AlbertBlock, AlbertOutput, "attention_1")
    with contextlib.ExitStack() as scopes:
        for name in (AlbertEncoder.scope, "encoder", "transformer", f"group_{group}"):
            scopes.enter_context(keras.name_scope(name))
        block.build((None, None, config.hidden_size))
    return block
