"""Encoders: from token ids to one vector per token and one per sequence.

`TransformerEncoder` runs any embeddings, blocks and pooler; `BertEncoder` makes them from a
`BertConfig`. A successor of BERT is another subclass, listed in `encoders`.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from bert_tf.config import BertConfig
from bert_tf.model.bilstm import BiLstm
from bert_tf.model.block_runs import recomputed, sharing_graph
from bert_tf.model.dropout import current_seeds, new_generator
from bert_tf.model.feature_model import FeatureModel
from bert_tf.model.layers import (
    MASKED_SCORE,
    Attention,
    Embeddings,
    Intermediate,
    Pooler,
    ResidualOutput,
    SelfAttention,
    TransformerBlock,
)

# Of the attention probabilities and of the two LayerNorms' inputs.
DROPOUTS_PER_BLOCK = 3


class TransformerEncoder(FeatureModel):
    """Runs embeddings, a stack of blocks and a pooler, with weights under published names.

    A subclass makes the parts, and overrides `attention_context` if its blocks need something else.

    Args:
        config: the configuration that the parts were made from.
        embeddings: `input_ids`, `segment_ids` int [B, L] -> float [B, L, H]; has a weight
            `word_embeddings`.
        blocks: float [B, L, H], attention context -> float [B, L, H].
        pooler: float [B, L, H] -> float [B, H].
        num_dropouts: the number of dropouts in all parts.
    """

    # The weights' names begin with this, whatever the model's own `name`.
    scope = "bert"
    # The tables that the original reads by `tf.gather`; see `lookup_rows`.
    looked_up: tuple[str, ...] = ("word_embeddings",)

    def __init__(
        self,
        config: BertConfig,
        embeddings: keras.layers.Layer,
        blocks: Sequence[keras.layers.Layer],
        pooler: keras.layers.Layer,
        num_dropouts: int,
        dtype=None,
        name: str | None = None,
    ):
        super().__init__(name=name or self.scope, dtype=dtype)
        self.config = config
        self.num_dropouts = num_dropouts
        self.recompute_activations = False
        self.shares_graph = False
        self.embeddings = embeddings
        self.blocks = list(blocks)
        self.pooler = pooler
        self.hidden_size = config.hidden_size  # H, the width of the outputs.
        self.num_layers = len(self.blocks)
        # With these begin the names of all weights, of the embeddings' and of the pooler's.
        self.prefix = f"{self.scope}/"
        self.embeddings_prefix = f"{self.scope}/{embeddings.name}/"
        self.pooler_prefix = f"{self.scope}/{pooler.name}/"
        self.bilstm = None
        self._recomputation_seeds = new_generator()
        shape = (None, None, self.hidden_size)
        with keras.name_scope(self.scope):
            self.embeddings.build((None, None))
            width = config.embedding_size or self.hidden_size
            is_other = width != self.hidden_size
            self.projection = self.make_projection(width) if is_other else None
            with keras.name_scope("encoder"):
                for block in self.blocks:
                    block.build(shape)
            self.pooler.build(shape)
        if config.bilstm_layers:  # Half the width per direction, so that heads fit.
            self.bilstm = BiLstm(self.hidden_size // 2, config.bilstm_layers)
            self.bilstm.build(shape)
        self.build((None, None))  # For the shapes in the summary of a model that has it.

    @property
    def word_embeddings(self) -> keras.Variable:
        """The table [V, H] that a masked-LM head shares."""
        return self.embeddings.word_embeddings

    def layer_prefix(self, number: int) -> str:
        """Returns the prefix of a block's weights; blocks are counted from 0."""
        return f"{self.scope}/encoder/{self.blocks[number].name}/"

    def may_lack(self, name: str) -> bool:
        return not name.startswith(self.prefix)

    def make_projection(self, width: int) -> keras.layers.Layer:
        """Makes the layer from embeddings of another width E to H, and its weights."""
        raise ValueError(f"{self.name} has no embeddings of another width. Received: {width}")

    def project(self, embedding_output):
        """Returns the input of the first block: [B, L, E] -> [B, L, H]."""
        return embedding_output if self.projection is None else self.projection(embedding_output)

    def attention_context(self, input_ids, input_mask) -> Any:
        """Returns what every block's attention needs besides its input: BERT's score bias.

        Args: int [B, L]; `input_mask` is 0 for padding, None if there is none.
        Returns: float32 [B or 1, 1, 1 or L, L], or None if nothing is masked.
        """
        bias = None
        if input_mask is not None:
            padding = MASKED_SCORE * (1.0 - ops.cast(input_mask, "float32"))
            bias = ops.expand_dims(ops.expand_dims(padding, 1), 1)  # [B, 1, 1, L]
        if self.config.is_causal:
            places = ops.arange(ops.shape(input_ids)[1])
            is_later = ops.expand_dims(places, 0) > ops.expand_dims(places, 1)  # [L, L]
            causal = MASKED_SCORE * ops.cast(is_later, "float32")[None, None]
            bias = causal if bias is None else bias + causal
        return bias

    def call(self, features, training: bool = False) -> dict:
        return self._outputs(features, training)

    def selected_outputs(self, features, select: Callable, training: bool = False) -> dict:
        """Returns `sequence_output` at some positions, [CLS] first, and `pooled_output`.

        The last block computes no other outputs; gradients at other positions would be 0.

        Args:
            features: a call's inputs, by name.
            select: float [B, L, H] -> float [B, P, H], takes the vectors at these positions.
        """
        if not (self.config.is_causal or self.bilstm):
            return self._outputs(features, training, select)
        outputs = self._outputs(features, training)  # All positions are needed.
        return {**outputs, "sequence_output": select(outputs["sequence_output"])}

    def _outputs(self, features, training: bool, select: Callable | None = None) -> dict:
        input_ids, segment_ids = features["input_ids"], features.get("segment_ids")
        context = self.attention_context(input_ids, features.get("input_mask"))
        embedding_output = self.embeddings(input_ids, segment_ids, training=training)
        recompute = self.recompute_activations and training
        layers, hidden = [], self.project(embedding_output)
        shares = self.shares_graph and tf.inside_function() and not recompute
        shares = shares and not (training and current_seeds()[0] is None)
        for block in sharing_graph(self.blocks, training) if shares else self.blocks:
            run = recomputed(block, self._recomputation_seeds) if recompute else block
            selected = {"select": select} if block is self.blocks[-1] else {}
            hidden = run(hidden, context, training=training, **selected)
            layers.append(hidden)
        if self.bilstm:
            hidden = self.bilstm(hidden, features.get("input_mask"), training=training)
        # With a causal mask [CLS] sees nothing but itself, and the last token sees all.
        is_causal = self.config.is_causal
        pooled_from = _last_tokens(hidden, features.get("input_mask")) if is_causal else hidden
        return {
            "sequence_output": hidden,
            "pooled_output": ops.cast(self.pooler(pooled_from), "float32"),
            "embedding_output": ops.cast(embedding_output, "float32"),
            "all_encoder_layers": layers,
        }

    def compute_output_shape(self, input_shape) -> dict:
        ids = input_shape["input_ids"] if isinstance(input_shape, dict) else input_shape
        tokens = (*ids, self.hidden_size)
        return {
            "sequence_output": tokens,
            "pooled_output": (ids[0], self.hidden_size),
            "embedding_output": (*ids, self.word_embeddings.shape[1]),
            "all_encoder_layers": [tokens] * self.num_layers,
        }

    def get_config(self) -> dict:
        return {**super().get_config(), "config": dataclasses.asdict(self.config)}


class BertEncoder(TransformerEncoder):
    """The Transformer of BERT, with every weight under its published name (`bert/...`).

    The constructor makes the weights; `bert_tf.load_checkpoint` loads a released checkpoint.

    Args:
        config: the model's shape.
        dtype: a Keras dtype policy, such as "mixed_bfloat16"; by default the global one.
        name: the Keras name; the names of the weights do not depend on it.

    If its attribute `recompute_activations` is True, training keeps only the input of each block
    and recomputes the rest for the gradient: a third more time, a fraction of the memory.
    If `shares_graph` is True, a graph is made once for all blocks, not for each; in training, only
    where `dropout_seeds` are given.

    Call it with a dict of int tensors, or with these in this order:
        `input_ids` [B, L]: rows of the vocabulary.
        `input_mask` [B, L]: 1 for a token, 0 for padding; by default 1.
        `segment_ids` [B, L]: 0 for the first sequence of a pair, 1 for the second; by default 0.

    It returns a dict of float32 tensors:
        `sequence_output` [B, L, H]: the last block's output.
        `pooled_output` [B, H]: of [CLS], or of the last token if `config.is_causal`.
        `embedding_output` [B, L, E]: of the embeddings; E is H in BERT.
        `all_encoder_layers`: a list of every block's output, each [B, L, H].

    Example:

        encoder = bert_tf.BertEncoder.from_preset("bert_base_uncased")
        preprocessor = bert_tf.TextPreprocessor.from_preset("bert_base_uncased", sequence_length=64)
        vectors = encoder(preprocessor(["A text."]))["sequence_output"]  # [1, 64, H]

    A call raises a ValueError for sequences that are too long, or an input of an unknown name.

    Source: google-research/bert, modeling.py, `BertModel`.
    """

    embeddings_class, pooler_class = Embeddings, Pooler  # A successor may have its own.

    def __init__(self, config: BertConfig, dtype=None, name: str | None = None):
        policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        stddev, width = config.initializer_range, config.embedding_size or config.hidden_size
        rows = (config.max_position_embeddings, config.type_vocab_size)
        values = (config.hidden_dropout_prob or 0.0, stddev, config.layer_norm_eps)
        blocks = self.make_blocks(config, policy)
        super().__init__(
            config,
            self.embeddings_class(config.vocab_size, width, *rows, *values),
            blocks,
            self.pooler_class(config.hidden_size, stddev, dtype=policy),
            num_dropouts=1 + DROPOUTS_PER_BLOCK * len(blocks),
            dtype=policy,
            name=name,
        )

    def make_blocks(self, config: BertConfig, policy) -> list[keras.layers.Layer]:
        """Returns the blocks, in their order; one may be there several times."""
        return [
            make_block(config, 1 + DROPOUTS_PER_BLOCK * number, policy, f"layer_{number}")
            for number in range(config.num_hidden_layers)
        ]

    @classmethod
    def _constructor_arguments(cls, config: dict) -> dict:
        return {**config, "config": BertConfig(**config["config"])}


def _last_tokens(hidden, input_mask):
    """Returns the vectors of the last tokens that are not padding: [B, L, H] -> [B, 1, H]."""
    if input_mask is None:
        return hidden[:, -1:]
    last = ops.maximum(ops.sum(ops.cast(input_mask, "int32"), axis=1) - 1, 0)
    return ops.take_along_axis(hidden, ops.reshape(last, (-1, 1, 1)), axis=1)


def make_block(
    config: BertConfig,
    place: int,
    policy,
    name: str,
    block_class: type[TransformerBlock] = TransformerBlock,
    output_class: type[ResidualOutput] = ResidualOutput,
    attention_name: str = "attention",
) -> TransformerBlock:
    """Returns a block whose first dropout has the number `place`."""
    width, stddev = config.hidden_size, config.initializer_range
    sums = (width, config.hidden_dropout_prob or 0.0, stddev, config.layer_norm_eps)
    attention_dropout = config.attention_probs_dropout_prob or 0.0
    attend = SelfAttention(
        width, config.num_attention_heads, attention_dropout, stddev, place, dtype=policy
    )
    after_attention = output_class(*sums, place + 1, dtype=policy)
    return block_class(
        Attention(attend, after_attention, dtype=policy, name=attention_name),
        Intermediate(config.intermediate_size, config.hidden_act, stddev, dtype=policy),
        output_class(*sums, place + 2, dtype=policy),
        dtype=policy,
        name=name,
    )
