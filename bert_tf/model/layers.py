"""The parts of a BERT: embeddings, self-attention, feed-forward, Transformer block, dropout.

Axes, here and everywhere else:

    B batch   L sequence length   H hidden size   N heads   D head size = H / N
    M masked positions   V vocabulary   C classes or choices   S windows of a document

A layer's name is its part of the published variable name, so that `variable.path` reads
`bert/encoder/layer_0/attention/self/query/kernel`. For this every layer builds its parts in its
own `build`. Embeddings, LayerNorm, softmax and the sum of the residual are computed in float32
whatever the precision of the matrix products (layers with `autocast=False` see to it).

Source: google-research/bert, modeling.py; Devlin et al. 2019, section 3; Vaswani et al. 2017.
"""

import contextlib
import math
import threading
from collections.abc import Callable, Iterator

import keras
import tensorflow as tf
from keras import ops

from bert_tf.config import BertConfig

# Added to the attention scores of padding. Large enough that exp() of it is 0, small enough for
# float16; the original's number.
MASKED_SCORE = -10000.0
LAYER_NORM_EPSILON = 1e-12
# Two LayerNorms, three matrix products and the attention probabilities: a block draws three masks.
DROPOUTS_PER_BLOCK = 3

ACTIVATIONS: dict[str, Callable] = {
    "gelu": lambda x: ops.gelu(x, approximate=True),
    "gelu_erf": lambda x: ops.gelu(x, approximate=False),
    "relu": ops.relu,
    "tanh": ops.tanh,
    "linear": lambda x: x,
}


def activation(name: str | None) -> Callable:
    """The function behind `BertConfig.hidden_act`; None means linear."""
    return ACTIVATIONS[(name or "linear").lower()]


def truncated_normal(config: BertConfig) -> keras.initializers.Initializer:
    """A fresh initializer: a shared one would give equal values to weights of equal shape."""
    return keras.initializers.TruncatedNormal(stddev=config.initializer_range)


def dense(units: int, config: BertConfig, name: str = "dense") -> keras.layers.Dense:
    """A matrix product with bias: `kernel` [in, units], `bias` [units], which starts at 0."""
    return keras.layers.Dense(units, kernel_initializer=truncated_normal(config), name=name)


def layer_norm() -> keras.layers.LayerNormalization:
    """LayerNorm over the last axis, in float32: `gamma` starts at 1, `beta` at 0."""
    return keras.layers.LayerNormalization(
        epsilon=LAYER_NORM_EPSILON, dtype="float32", name="LayerNorm"
    )


_dropout = threading.local()
_ALGORITHM = "philox"


@contextlib.contextmanager
def dropout_seeds(fold_in: Callable[[int], object], algorithm: str | None = None) -> Iterator[None]:
    """Within it, every dropout of this thread draws its mask from `fold_in(place)`.

    `fold_in` returns a seed, an int32 tensor [2], for the number of a place in the model. A
    training step derives it from (seed, step, replica), so that a mask depends on these and on
    nothing that would have to be saved. Outside of it seeds come from Keras' global generator.

    `algorithm` is that of `tf.random.stateless_uniform`, by default the one around it: outermost
    Philox, which draws the same everywhere. What TensorFlow chooses by itself differs between
    devices, and under XLA.
    """
    outer = _dropout_scope()
    _dropout.scope = fold_in, algorithm or outer[1]
    try:
        yield
    finally:
        _dropout.scope = outer


def _dropout_scope() -> tuple[Callable[[int], object] | None, str]:
    """What `dropout_seeds` was last given in this thread."""
    return getattr(_dropout, "scope", (None, _ALGORITHM))


class Dropout(keras.layers.Layer):
    """Zeroes a fraction `rate` of the values and scales the rest up, in training only.

    Args:
        rate: a fraction.
        place: number of this dropout in its model; two places never draw the same mask.
    """

    def __init__(self, rate: float, place: int, name: str = "dropout"):
        super().__init__(name=name, autocast=False)
        self.rate = rate
        self.place = place

    def call(self, inputs, training: bool = False):
        if not training or not self.rate:
            return inputs
        fold_in, algorithm = _dropout_scope()
        if fold_in is None:
            seed = keras.random.randint((2,), 0, 2**31 - 1, dtype="int32")
        else:
            seed = fold_in(self.place)
        drawn = _draw(inputs, seed, algorithm)
        return ops.where(drawn >= self.rate * 2.0**32, inputs * (1.0 / (1.0 - self.rate)), 0.0)


def _draw(inputs, seed, algorithm: str) -> tf.Tensor:
    """float32 in the shape of `inputs`: uniform in [0, 2**32].

    Drawn as whole numbers, of which TensorFlow and XLA make fractions in different ways; and not in
    the precision of `inputs`: bfloat16 has a number in each 128th only, and so another rate.
    """
    bits = tf.random.stateless_uniform(
        inputs.shape if inputs.shape.is_fully_defined() else tf.shape(inputs),
        tf.convert_to_tensor(seed),
        minval=None,
        maxval=None,
        dtype=tf.uint32,
        alg=algorithm,
    )
    return tf.cast(bits, tf.float32)


@ops.custom_gradient
def _rows(table, ids):
    """`table[ids]` whose gradient is dense, as it is added to the dense one of the tied output."""
    num_rows, width = table.shape

    def gradient(upstream):
        flat = ops.reshape(upstream, (-1, width))
        return ops.segment_sum(flat, ops.reshape(ids, (-1,)), num_rows), None

    return ops.take(table, ids, axis=0), gradient


class Embeddings(keras.layers.Layer):
    """Sum of word, position and segment embeddings, then LayerNorm and dropout."""

    def __init__(self, config: BertConfig, name: str = "embeddings"):
        super().__init__(name=name, dtype="float32")
        self.config = config
        self.normalize = layer_norm()
        self.dropout = Dropout(config.hidden_dropout_prob, place=0)

    def build(self, input_shape=None):
        config = self.config
        for name, rows in (
            ("word_embeddings", config.vocab_size),
            ("token_type_embeddings", config.type_vocab_size),
            ("position_embeddings", config.max_position_embeddings),
        ):
            table = self.add_weight(
                shape=(rows, config.hidden_size), initializer=truncated_normal(config), name=name
            )
            setattr(self, name, table)
        self.normalize.build((None, None, config.hidden_size))

    def call(self, input_ids, segment_ids, training: bool = False):
        """Args: `input_ids`, `segment_ids` int [B, L]. Returns: float [B, L, H]."""
        length = input_ids.shape[1] or ops.shape(input_ids)[1]
        if isinstance(length, int) and length > self.config.max_position_embeddings:
            raise ValueError(
                f"Sequences of {length} tokens are longer than the position table, whose "
                f"max_position_embeddings is {self.config.max_position_embeddings}."
            )
        # Reshaped to itself to become a tensor: a custom gradient may not see a variable.
        words = _rows(ops.reshape(self.word_embeddings, self.word_embeddings.shape), input_ids)
        # A table of few rows is read faster by a matrix product than by a gather.
        kinds = ops.one_hot(
            segment_ids, self.config.type_vocab_size, dtype=self.token_type_embeddings.dtype
        )
        segments = ops.matmul(kinds, ops.convert_to_tensor(self.token_type_embeddings))
        positions = ops.convert_to_tensor(self.position_embeddings)[:length]
        summed = words + segments + positions[None]  # [B, L, H]
        return self.dropout(self.normalize(summed), training=training)


class SelfAttention(keras.layers.Layer):
    """Every position looks at every position that is not padding, with N heads."""

    def __init__(self, config: BertConfig, place: int, name: str = "self"):
        super().__init__(name=name, autocast=False)
        self.width = config.hidden_size
        self.num_heads = config.num_attention_heads
        self.head_size = self.width // self.num_heads
        self.query = dense(self.width, config, "query")
        self.key = dense(self.width, config, "key")
        self.value = dense(self.width, config, "value")
        self.dropout = Dropout(config.attention_probs_dropout_prob, place)

    def build(self, input_shape=None):
        for part in (self.query, self.key, self.value):
            part.build((None, None, self.width))

    def call(self, hidden, score_bias, training: bool = False):
        """Args: `hidden` [B, L, H]; `score_bias` [B, 1, 1, L], added to the scores of a position.

        Returns: float [B, L, H].
        """
        hidden = ops.cast(hidden, self.compute_dtype)
        query, key, value = (
            self._split_heads(part(hidden)) for part in (self.query, self.key, self.value)
        )
        scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2)))  # [B, N, L, L]
        scores = ops.cast(scores, "float32") / math.sqrt(self.head_size) + score_bias
        probabilities = ops.cast(ops.softmax(scores, axis=-1), value.dtype)
        probabilities = self.dropout(probabilities, training=training)
        context = ops.matmul(probabilities, value)  # [B, N, L, D]
        context = ops.transpose(context, (0, 2, 1, 3))
        return ops.reshape(context, ops.shape(hidden))  # [B, L, H]

    def _split_heads(self, x):
        batch, length = ops.shape(x)[:2]
        x = ops.reshape(x, (batch, length, self.num_heads, self.head_size))
        return ops.transpose(x, (0, 2, 1, 3))  # [B, N, L, D]


class ResidualOutput(keras.layers.Layer):
    """Matrix product and dropout, added to what went into the sub-layer, then LayerNorm."""

    def __init__(self, config: BertConfig, place: int, name: str = "output"):
        super().__init__(name=name, autocast=False)
        self.dense = dense(config.hidden_size, config)
        self.dropout = Dropout(config.hidden_dropout_prob, place)
        self.normalize = layer_norm()

    def build(self, input_shape):
        self.dense.build(input_shape)
        self.normalize.build((None, None, self.dense.units))

    def call(self, inputs, residual, training: bool = False):
        """Args: `inputs` [B, L, any]; `residual` [B, L, H]. Returns: float32 [B, L, H]."""
        output = self.dropout(self.dense(inputs), training=training)
        return self.normalize(ops.cast(output, "float32") + ops.cast(residual, "float32"))


class Attention(keras.layers.Layer):
    """Self-attention and its output product: the first half of a block."""

    def __init__(self, config: BertConfig, place: int, name: str = "attention"):
        super().__init__(name=name, autocast=False)
        self.width = config.hidden_size
        self.attend = SelfAttention(config, place)
        self.output_part = ResidualOutput(config, place + 1)

    def build(self, input_shape=None):
        self.attend.build()
        self.output_part.build((None, None, self.width))

    def call(self, hidden, score_bias, training: bool = False):
        context = self.attend(hidden, score_bias, training=training)
        return self.output_part(context, hidden, training=training)


class Intermediate(keras.layers.Layer):
    """The widening matrix product of the feed-forward layer, with its activation."""

    def __init__(self, config: BertConfig, name: str = "intermediate"):
        super().__init__(name=name)
        self.width = config.hidden_size
        self.dense = dense(config.intermediate_size, config)
        self.activate = activation(config.hidden_act)

    def build(self, input_shape=None):
        self.dense.build((None, None, self.width))

    def call(self, hidden):
        return self.activate(self.dense(hidden))


class TransformerBlock(keras.layers.Layer):
    """Self-attention, then the feed-forward layer, each with its residual and LayerNorm.

    Args:
        config: the model's shape.
        number: which block this is, from 0.
    """

    def __init__(self, config: BertConfig, number: int):
        super().__init__(name=f"layer_{number}", autocast=False)
        place = 1 + DROPOUTS_PER_BLOCK * number
        self.inner_width = config.intermediate_size
        self.attention = Attention(config, place)
        self.intermediate = Intermediate(config)
        self.output_part = ResidualOutput(config, place + 2)

    def build(self, input_shape=None):
        self.attention.build()
        self.intermediate.build()
        self.output_part.build((None, None, self.inner_width))

    def call(self, hidden, score_bias, training: bool = False):
        """Args: `hidden` [B, L, H], `score_bias` [B, 1, 1, L]. Returns: float32 [B, L, H]."""
        attended = self.attention(hidden, score_bias, training=training)
        return self.output_part(self.intermediate(attended), attended, training=training)


def recomputed(block: TransformerBlock) -> Callable:
    """A block of which the gradient keeps the input only, and computes the rest a second time.

    The dropout masks are those of the first time, as their seeds are held on to. Called as the
    block is.

    Raises:
        ValueError: with a Keras that cannot do this.

    Source: Chen et al. 2016, Training Deep Nets with Sublinear Memory Cost.
    """
    if not hasattr(keras, "remat"):
        raise ValueError(
            "--recompute_activations needs Keras 3.9 or a later one. "
            f"Received: Keras {keras.__version__}"
        )

    def call(hidden, score_bias, training: bool = False):
        fold_in = _dropout_scope()[0] or _drawn_seeds()

        def compute(hidden):
            with dropout_seeds(fold_in):
                return block(hidden, score_bias, training=training)

        return keras.remat(compute)(hidden)

    return call


def _drawn_seeds() -> Callable[[int], object]:
    """Seeds for all places of a model from one draw of Keras' global generator."""
    drawn = keras.random.randint((2,), 0, 2**30, dtype="int32")
    return lambda place: drawn + place
