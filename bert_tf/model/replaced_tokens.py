"""ELECTRA's heads: a discriminator of replaced tokens, and the generator that replaces them.

    masked       [CLS]  the  [M]    cooked  the  [M]   [SEP]
    generator's sample       chef                pie                 drawn from its softmax
    corrupted    [CLS]  the  chef   cooked  the  pie   [SEP]
    is_replaced    0     0    0       0      0    1      0           (it was: the chef ... the meal)

Both encoders share the embeddings. No gradient flows through the sample.

Source: google-research/electra, run_pretraining.py, `PretrainingModel`, and
pretrain/pretrain_helpers.py; Clark et al. 2020.
"""

import keras
import tensorflow as tf
from keras import ops

from bert_tf.model.electra import ElectraEncoder, Generator
from bert_tf.model.encoder import TransformerEncoder
from bert_tf.model.feature_model import FeatureModel
from bert_tf.model.heads import HeadModel, MaskedLanguageModel
from bert_tf.model.layers import activation, dense, layer_norm
from bert_tf.model.part import Part

_DISALLOWED = 1000.0  # What `disallow_correct` takes from a logit.
_TINY = 1e-9  # Keeps the logarithms of Gumbel noise finite; the original's.


class DiscriminatorHead(Part):
    """Returns a logit for each token: dense layer and activation, then one number.

    The weights are `discriminator_predictions/dense` [H, H] and `dense_1` [H, 1].
    """

    def __init__(
        self,
        hidden_size: int,
        hidden_act: str | None = "gelu_erf",
        stddev: float = 0.02,
        dtype=None,
        name: str = "discriminator_predictions",
    ):
        super().__init__(name=name, dtype=dtype)
        self.dense = dense(hidden_size, stddev, self.dtype_policy)
        # Drawn as the original does, from Glorot's uniform distribution.
        self.scores = keras.layers.Dense(1, dtype="float32", name="dense_1")

    def build(self, input_shape):
        self.dense.build(input_shape)
        self.scores.build(input_shape)

    def call(self, hidden):
        """Args: [B, L, H]. Returns: float32 [B, L]."""
        hidden = activation(self.hidden_act)(self.dense(hidden))
        return self.scores(ops.cast(hidden, "float32"))[..., 0]

    def compute_output_shape(self, input_shape):
        return input_shape[:-1]


class GeneratorHead(MaskedLanguageModel):
    """A masked-LM head under ELECTRA's names: `generator_predictions/{dense, LayerNorm}`."""

    def build(self, vectors_shape, word_embeddings_shape):
        part = self.transform
        part.dense.build(vectors_shape)
        part.normalize = layer_norm(part.epsilon)
        part.normalize.build(part.compute_output_shape(vectors_shape))
        part.built = True
        self.output_bias = self.add_weight(
            shape=(self.vocab_size,), initializer="zeros", name="output_bias"
        )


class DiscriminatorModel(HeadModel):
    """ELECTRA with a logit for each token: that another word stood there before.

    Call it with the encoder's inputs. It returns logits, float32 [B, L]. The arguments are those
    of `HeadModel`.

    Example:

        model = bert_tf.DiscriminatorModel.from_preset("electra_small")
        model({"input_ids": np.ones((2, 16), "int32")})  # [2, 16]

    Source: google-research/electra, run_pretraining.py, `_get_discriminator_output`.
    """

    kind = "encoder"
    needs_pooler = False

    def __init__(self, encoder: TransformerEncoder, dtype=None, name: str | None = None):
        super().__init__(encoder, dtype, name)
        self.replaced = _discriminator_head(encoder, self.dtype_policy)

    def call(self, features, training: bool = False):
        return self.replaced(self.encoder(features, training=training)["sequence_output"])


class ReplacedTokensModel(HeadModel):
    """ELECTRA in pre-training: the generator fills in masked tokens, the discriminator judges.

    Args:
        encoder: a `bert_tf.ElectraEncoder`, the discriminator. The generator is made from its
            configuration, see `bert_tf.config.generator_config`.
        temperature: divides the generator's logits before tokens are drawn.
        disallow_correct: whether the generator never draws the masked token itself.
        dtype, name: see `HeadModel`.

    Call it with the encoder's inputs, where `input_ids` are masked, and:
        `masked_lm_positions`, `masked_lm_ids` int [B, M]: where tokens were, and these. A position
            may be there several times; position 0 is padding.
        `replacement_seed` int [B, 2]: of the tokens that are drawn for a row.

    It returns a dict of float32 tensors:
        `masked_lm_logits` [B, M, V], of the generator.
        `replaced_logits` [B, L], of the discriminator.
        `is_replaced` [B, L]: its labels, 1 where another token stands than before.
        `is_correct` [B, M]: 1 where the generator drew the masked token itself.
    """

    feature_names = (
        *FeatureModel.feature_names,
        *("masked_lm_positions", "masked_lm_ids", "replacement_seed"),
    )
    unchecked = ("masked_lm_ids", "replacement_seed")
    kind = "replaced_tokens"
    needs_pooler = False

    def __init__(
        self,
        encoder: TransformerEncoder,
        temperature: float = 1.0,
        disallow_correct: bool = False,
        dtype=None,
        name: str | None = None,
    ):
        super().__init__(encoder, dtype, name)
        self.replaced = _discriminator_head(encoder, self.dtype_policy)
        self.generator = Generator(encoder)
        config, (words, width) = self.generator.config, encoder.word_embeddings.shape
        values = (config.hidden_act, config.initializer_range, config.layer_norm_eps)
        self.masked_lm = GeneratorHead(
            words, width, *values, self.dtype_policy, name="generator_predictions"
        )
        self.masked_lm.build((None, None, config.hidden_size), (words, width))

    def call(self, features, training: bool = False) -> dict:
        positions, labels, seeds = (features.pop(name) for name in self.feature_names[3:6])
        logits = self._generate(features, positions, training)
        sampled = ops.stop_gradient(self.sample(logits, labels, seeds))
        original = replace(features["input_ids"], labels, positions)
        corrupted = replace(original, sampled, positions)
        outputs = self.encoder({**features, "input_ids": corrupted}, training=training)
        return {
            "masked_lm_logits": logits,
            "replaced_logits": self.replaced(outputs["sequence_output"]),
            "is_replaced": ops.cast(corrupted != original, "float32"),
            "is_correct": ops.cast(sampled == ops.cast(labels, "int32"), "float32"),
        }

    def _generate(self, features: dict, positions, training: bool):
        """Returns the generator's logits at the positions: float32 [B, M, V]."""
        for name in ("recompute_activations", "shares_graph"):
            setattr(self.generator, name, getattr(self.encoder, name))
        places = ops.cast(positions, "int32")[..., None]
        outputs = self.generator.selected_outputs(
            features, lambda hidden: ops.take_along_axis(hidden, places, axis=1), training=training
        )
        words = self.encoder.word_embeddings
        return self.masked_lm(outputs["sequence_output"], words, training=training)

    def sample(self, logits, labels, seeds):
        """Returns the tokens that the generator draws, int32 [B, M]."""
        noise = uniform_noise(seeds, tf.shape(logits)[1:])
        disallowed = labels if self.disallow_correct else None
        return sample_tokens(logits, noise, self.temperature, disallowed)


def _discriminator_head(encoder: TransformerEncoder, dtype) -> DiscriminatorHead:
    if not isinstance(encoder, ElectraEncoder):
        raise ValueError(
            "Replaced tokens are found by an ELECTRA: its configuration says "
            f'"model_type": "electra". Received: {encoder.config.model_type!r}'
        )
    config, width = encoder.config, encoder.hidden_size
    head = DiscriminatorHead(width, config.hidden_act, config.initializer_range, dtype)
    head.build((None, None, width))
    return head


def uniform_noise(seeds, shape) -> tf.Tensor:
    """Returns float32 [B, *shape] in [0, 1), each row drawn by its own seed, int [B, 2]."""

    def draw(seed):
        bits = tf.random.stateless_uniform(
            shape, seed, minval=None, maxval=None, dtype=tf.uint32, alg="philox"
        )
        # As integers, which TensorFlow and XLA turn into fractions in different ways.
        return tf.cast(tf.bitwise.right_shift(bits, tf.constant(8, tf.uint32)), tf.float32)

    return tf.map_fn(draw, tf.cast(seeds, tf.int32), fn_output_signature=tf.float32) * 2.0**-24


def sample_tokens(logits, noise, temperature: float = 1.0, disallowed=None) -> tf.Tensor:
    """Draws tokens from the softmax of logits: the highest after Gumbel noise is added.

    Args:
        logits: float32 [B, M, V].
        noise: float32 [B, M, V], uniform in [0, 1).
        disallowed: int [B, M], tokens that are not drawn.

    Returns: int32 [B, M].

    Source: google-research/electra, pretrain/pretrain_helpers.py, `sample_from_softmax`.
    """
    logits = logits / temperature
    if disallowed is not None:
        logits -= _DISALLOWED * tf.one_hot(disallowed, logits.shape[-1])
    gumbel = -tf.math.log(-tf.math.log(noise + _TINY) + _TINY)
    return tf.argmax(logits + gumbel, -1, tf.int32)


def replace(input_ids, tokens, positions) -> tf.Tensor:
    """Puts tokens, int [B, M], at positions, int [B, M], of `input_ids`, int [B, L].

    Several tokens at one position become the mean of their ids, rounded down. Position 0 is never
    changed. Returns int32 [B, L].

    Source: google-research/electra, pretrain/pretrain_helpers.py, `scatter_update`.
    """
    input_ids, tokens, positions = (
        tf.cast(tf.convert_to_tensor(x), tf.int32) for x in (input_ids, tokens, positions)
    )
    shape = tf.shape(input_ids)
    rows = tf.broadcast_to(tf.range(shape[0])[:, None], tf.shape(positions))
    places = tf.stack([rows, positions], -1)
    count = tf.scatter_nd(places, tf.ones_like(positions), shape)
    mean = tf.scatter_nd(places, tokens, shape) // tf.maximum(count, 1)
    is_changed = (count > 0) & (tf.range(shape[1]) > 0)
    return tf.ensure_shape(tf.where(is_changed, mean, input_ids), input_ids.shape)
