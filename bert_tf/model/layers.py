"""The layers of BERT: embeddings, self-attention, feed-forward, Transformer block, dropout.

Axes, here and everywhere else:

    B batch   L sequence length   H hidden size   N heads   D head size = H / N
    M masked positions   V vocabulary   C classes or choices   S windows of a document

A layer's name is its part of the published variable name, as in
`bert/encoder/layer_0/attention/self/query/kernel`, so every layer builds its parts in its `build`.
Embeddings, LayerNorm, softmax and residual sums are computed in float32 whatever the precision of
the matrix products (layers with `autocast=False` cast by themselves).

Arguments of several layers: `hidden_size` H; `dropout_rate`, a fraction; `stddev`, the standard
deviation of the initial weights; `place`, the number of the dropout in its model, see `Dropout`.

Source: google-research/bert, modeling.py; Devlin et al. 2019, section 3; Vaswani et al. 2017.
"""

import math
from collections.abc import Callable

import keras
from keras import ops

from bert_tf.model import fused
from bert_tf.model.dropout import Dropout
from bert_tf.model.initial_weights import truncated_normal
from bert_tf.model.lookup_rows import counted
from bert_tf.model.part import Part
from bert_tf.model.shifted_words import shifted

# Added to the attention scores of padding: exp() of it is 0, and it fits float16. The original's.
MASKED_SCORE = -10000.0
LAYER_NORM_EPSILON = 1e-12

ACTIVATIONS: dict[str, Callable] = {
    "gelu": lambda x: ops.gelu(x, approximate=True),
    "gelu_erf": lambda x: ops.gelu(x, approximate=False),
    "relu": ops.relu,
    "tanh": ops.tanh,
    "linear": lambda x: x,
}


def activation(name: str | None) -> Callable:
    """Returns the function that `BertConfig.hidden_act` names; None means linear."""
    return ACTIVATIONS[(name or "linear").lower()]


def dense(units: int, stddev: float, dtype=None, name: str = "dense") -> keras.layers.Dense:
    """Returns a dense layer: `kernel` [in, units], and `bias` [units], which starts at 0."""
    return keras.layers.Dense(
        units, kernel_initializer=truncated_normal(stddev), dtype=dtype, name=name
    )


def layer_norm(epsilon: float = LAYER_NORM_EPSILON) -> fused.LayerNorm:
    """Returns a LayerNorm of the last axis in float32: `gamma` starts at 1, `beta` at 0."""
    return fused.LayerNorm(epsilon=epsilon, dtype="float32", name="LayerNorm")


@ops.custom_gradient
def lookup(table, ids):
    """Returns `table[ids]` with a dense gradient, like that of the tied output weights."""
    num_rows, width = table.shape

    def gradient(upstream):
        flat = ops.reshape(upstream, (-1, width))
        return ops.segment_sum(flat, ops.reshape(ids, (-1,)), num_rows), None

    return ops.take(table, ids, axis=0), gradient


class Embeddings(Part):
    """Adds word, position and segment embeddings, then applies LayerNorm and dropout."""

    def __init__(
        self,
        vocab_size: int,
        hidden_size: int,
        max_position_embeddings: int,
        type_vocab_size: int,
        dropout_rate: float = 0.1,
        stddev: float = 0.02,
        epsilon: float = LAYER_NORM_EPSILON,
        place: int = 0,
        dtype="float32",
        name: str = "embeddings",
    ):
        super().__init__(name=name, dtype=dtype)
        self.normalize = layer_norm(epsilon)
        self.dropout = Dropout(dropout_rate, place, dtype="float32")

    def build(self, input_shape=None):
        self.word_embeddings = self._table("word_embeddings", self.vocab_size)
        if self.type_vocab_size:
            self.token_type_embeddings = self._table("token_type_embeddings", self.type_vocab_size)
        self.position_embeddings = self._table("position_embeddings", self.max_position_embeddings)
        self.normalize.build((None, None, self.hidden_size))

    def _table(self, name: str, rows: int) -> keras.Variable:
        start = truncated_normal(self.stddev)
        return self.add_weight(shape=(rows, self.hidden_size), initializer=start, name=name)

    def call(self, input_ids, segment_ids=None, training: bool = False):
        """Args: `input_ids`, `segment_ids` int [B, L]. Returns: float32 [B, L, H]."""
        input_ids = ops.cast(input_ids, "int32")
        length = input_ids.shape[1] or ops.shape(input_ids)[1]
        # Reshaped to become a tensor: a custom gradient may not see a variable.
        words = lookup(ops.reshape(self.word_embeddings, self.word_embeddings.shape), input_ids)
        if self.type_vocab_size:
            ids = ops.zeros_like(input_ids) if segment_ids is None else segment_ids
            # With few rows, a matrix product is faster than a gather.
            one_hot = ops.one_hot(ids, self.type_vocab_size, dtype=words.dtype)
            words += ops.matmul(one_hot, ops.convert_to_tensor(self.token_type_embeddings))
        summed = counted(shifted(words) + self.positions(input_ids, length))  # [B, L, H]
        return self.dropout(self.normalize(summed, training=training), training=training)

    def positions(self, input_ids, length):
        """Returns the vectors of the tokens' positions, float32 [B or 1, L, H]."""
        return ops.convert_to_tensor(self.position_embeddings)[None, :length]

    def compute_output_shape(self, input_shape):
        return (*input_shape, self.hidden_size)


class SelfAttention(Part):
    """Lets every position attend to every position that is not padding.

    It has `num_heads` heads (N must divide H), and dropout on the attention probabilities.
    """

    def __init__(
        self,
        hidden_size: int,
        num_heads: int,
        dropout_rate: float = 0.1,
        stddev: float = 0.02,
        place: int = 0,
        dtype=None,
        name: str = "self",
    ):
        super().__init__(name=name, dtype=dtype, autocast=False)
        self.head_size = hidden_size // num_heads
        self.query, self.key, self.value = (
            dense(hidden_size, stddev, self.dtype_policy, part)
            for part in ("query", "key", "value")
        )
        self.dropout = Dropout(dropout_rate, place, dtype=self.dtype_policy)

    def build(self, input_shape=None):
        for part in (self.query, self.key, self.value):
            part.build((None, None, self.hidden_size))

    def call(self, hidden, score_bias=None, training: bool = False, queries=None):
        """Args: `hidden` float [B, L, H]; `score_bias` float32. Returns: float [B, L, H].

        The bias is broadcast and added to the scores [B, N, L, L]: MASKED_SCORE where a position
        (last axis) may not be attended to. Given `queries` [B, P, H], P of the vectors of `hidden`,
        only these attend: returns [B, P, H].
        """
        hidden = ops.cast(hidden, self.compute_dtype)
        queries = hidden if queries is None else ops.cast(queries, self.compute_dtype)
        value = self._split_heads(self.value(hidden))
        scores = self.scores(hidden, queries)
        if score_bias is not None:
            scores = scores + score_bias
        probabilities = ops.cast(ops.softmax(scores, axis=-1), value.dtype)
        context = self.dropout.product(probabilities, value, training=training)  # [B, N, L, D]
        context = ops.transpose(context, (0, 2, 1, 3))
        return ops.reshape(context, ops.shape(queries))  # [B, L, H]

    def scores(self, hidden, queries):
        """Returns the scores before the softmax and its bias: [B, L, H] -> float32 [B, N, L, L]."""
        hidden, queries = (ops.cast(x, self.compute_dtype) for x in (hidden, queries))
        query, key = self._split_heads(self.query(queries)), self._split_heads(self.key(hidden))
        scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2)))
        return ops.cast(scores, "float32") / math.sqrt(self.head_size)

    def _split_heads(self, x):
        batch, length = ops.shape(x)[:2]
        x = ops.reshape(x, (batch, length, self.num_heads, self.head_size))
        return ops.transpose(x, (0, 2, 1, 3))  # [B, N, L, D]


class ResidualOutput(Part):
    """Ends a sub-layer: dense layer and dropout, plus the sub-layer's input, then LayerNorm."""

    def __init__(
        self,
        hidden_size: int,
        dropout_rate: float = 0.1,
        stddev: float = 0.02,
        epsilon: float = LAYER_NORM_EPSILON,
        place: int = 0,
        dtype=None,
        name: str = "output",
    ):
        super().__init__(name=name, dtype=dtype, autocast=False)
        self.dense = dense(hidden_size, stddev, self.dtype_policy)
        self.dropout = Dropout(dropout_rate, place, dtype=self.dtype_policy)
        self.normalize = layer_norm(epsilon)

    def build(self, input_shape):
        self.dense.build(input_shape)
        self.normalize.build((None, None, self.hidden_size))

    def call(self, inputs, residual, training: bool = False):
        """Args: `inputs` [B, L, any]; `residual` [B, L, H]. Returns: float32 [B, L, H]."""
        output = self.dropout(self.dense(inputs), training=training)
        summed = ops.cast(output, "float32") + ops.cast(residual, "float32")
        return self.normalize(summed, training=training)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.hidden_size)


class Attention(Part):
    """Attends and adds the result to the input: the first half of a block.

    `attend` is called with `hidden` [B, L, H] and the encoder's attention context, `output_part`
    with the result and `hidden`.
    """

    def __init__(self, attend, output_part, dtype=None, name: str = "attention"):
        super().__init__(name=name, dtype=dtype, autocast=False)
        self.attend = attend
        self.output_part = output_part

    def build(self, input_shape):
        self.attend.build(input_shape)
        self.output_part.build(input_shape)

    def call(self, hidden, context=None, training: bool = False, select=None):
        queries = select(hidden) if select else hidden
        attended = self.attend(hidden, context, training=training, queries=queries)
        return self.output_part(attended, queries, training=training)


class Intermediate(Part):
    """Applies the feed-forward network's first dense layer and activation, one of ACTIVATIONS."""

    def __init__(
        self,
        intermediate_size: int,
        hidden_act: str | None = "gelu",
        stddev: float = 0.02,
        dtype=None,
        name: str = "intermediate",
    ):
        super().__init__(name=name, dtype=dtype)
        self.dense = dense(intermediate_size, stddev, self.dtype_policy)
        self.activate = activation(hidden_act)

    def build(self, input_shape):
        self.dense.build(input_shape)

    def call(self, hidden, training: bool = False):
        hidden = self.dense(hidden)
        if training and self.activate is ACTIVATIONS["gelu"] and fused.is_supported(hidden):
            return fused.gelu(hidden)
        return self.activate(hidden)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.intermediate_size)


class TransformerBlock(Part):
    """Applies attention, then the feed-forward network, each with its residual and LayerNorm.

    `attention` is called with `hidden` [B, L, H] and the encoder's attention context,
    `intermediate` with the result, and `output_part` with the results of both.
    """

    def __init__(self, attention, intermediate, output_part, dtype=None, name: str = "layer_0"):
        super().__init__(name=name, dtype=dtype, autocast=False)
        self.attention = attention
        self.intermediate = intermediate
        self.output_part = output_part

    def build(self, input_shape):
        self.attention.build(input_shape)
        self.intermediate.build(input_shape)
        self.output_part.build(self.intermediate.compute_output_shape(input_shape))

    def call(self, hidden, context=None, training: bool = False, select=None):
        """Args: `hidden` [B, L, H]; attention context. Returns: float32 [B, L, H].

        Given `select`, a function [B, L, H] -> [B, P, H] that takes vectors at some positions, it
        computes the outputs at these only.
        """
        attended = self.attention(hidden, context, training=training, select=select)
        return self.output_part(
            self.intermediate(attended, training=training), attended, training=training
        )

    def attention_scores(self, hidden):
        """Returns the scores of its attention, see `SelfAttention.scores`: [B, N, L, L]."""
        return self.attention.attend.scores(hidden, hidden)


class Pooler(Part):
    """Returns a vector per sequence: [CLS] through a dense layer and tanh."""

    activate = staticmethod(ops.tanh)

    def __init__(self, hidden_size: int, stddev: float = 0.02, dtype=None, name: str = "pooler"):
        super().__init__(name=name, dtype=dtype)
        self.dense = dense(hidden_size, stddev, self.dtype_policy)

    def build(self, input_shape):
        self.dense.build((input_shape[0], input_shape[-1]))

    def call(self, sequence_output):
        """Args: float [B, L, H]. Returns: float [B, H]."""
        return self.activate(self.dense(sequence_output[:, 0]))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.dense.units)
