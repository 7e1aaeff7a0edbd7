"""ELECTRA's encoder: BERT's with narrow embeddings, the exact gelu, and no pooler.

    word, position, segment [E] ──> LayerNorm ──> embeddings_project [E, H] ──> layers
                                 \\──> generator/embeddings_project ──> the generator's layers

In pre-training a smaller encoder, the generator, reads the same embeddings. With `gelu_pooler` in
the configuration a classifier is Hugging Face's, which has a pooler.

Source: google-research/electra, modeling.py; Clark et al. 2020; Hugging Face's modeling_electra.py.
"""

import keras

from bert_tf.config import BertConfig, generator_config
from bert_tf.model.dropout import later_places
from bert_tf.model.encoder import BertEncoder
from bert_tf.model.layers import ACTIVATIONS
from bert_tf.model.part import MadePart, Part
from bert_tf.model.roberta import RobertaPooler


class FirstVector(Part):
    """Stands for the pooler: returns the vector of [CLS] as it is. It has no weights.

    The arguments are those of `Pooler`.
    """

    def __init__(self, hidden_size: int, stddev: float = 0.02, dtype=None, name: str = "pooler"):
        super().__init__(name=name, dtype=dtype)

    def call(self, sequence_output):
        """Args: float [B, L, H]. Returns: float [B, H]."""
        return sequence_output[:, 0]

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[-1])


class GeluPooler(RobertaPooler):
    """Returns a vector per sequence: [CLS] through dropout, a dense layer and the exact gelu.

    In Hugging Face's classes for classification this is the first half of the head.
    """

    activate = staticmethod(ACTIVATIONS["gelu_erf"])


class ElectraEncoder(BertEncoder):
    """The Transformer of ELECTRA, with every weight under its published name (`electra/...`).

    It is the discriminator, which is what ELECTRA fine-tunes. Arguments, inputs and outputs are
    those of `BertEncoder`; `embedding_output` is [B, L, E], `pooled_output` the vector of [CLS],
    which with `gelu_pooler` in the configuration goes through a dense layer and a gelu.

    Example:

        encoder = bert_tf.ElectraEncoder.from_preset("electra_small")

    Source: google-research/electra, modeling.py, `BertModel`.
    """

    scope = "electra"

    def __init__(self, config: BertConfig, dtype=None, name: str | None = None):
        self.pooler_class = GeluPooler if config.gelu_pooler else FirstVector
        super().__init__(config, dtype, name)

    def may_lack(self, name: str) -> bool:
        return super().may_lack(name) or name.startswith(self.pooler_prefix)  # As released.

    def make_projection(self, width: int) -> keras.layers.Layer:
        # Drawn as the original does, from Glorot's uniform distribution.
        dense = keras.layers.Dense
        projection = dense(self.hidden_size, dtype=self.dtype_policy, name="embeddings_project")
        projection.build((None, None, width))
        return projection


class SharedEmbeddings(MadePart):
    """Runs the embeddings of another encoder, which has their weights."""

    def __init__(self, embeddings, dtype=None, name: str = "embeddings"):
        super().__init__(dtype, name)
        self.embeddings = embeddings

    @property
    def word_embeddings(self) -> keras.Variable:
        """The table [V, E]."""
        return self.embeddings.word_embeddings

    def call(self, input_ids, segment_ids=None, training: bool = False):
        """Does what the embeddings do; see `Embeddings`."""
        return self.embeddings(input_ids, segment_ids, training=training)

    def compute_output_shape(self, input_shape):
        return self.embeddings.compute_output_shape(input_shape)


class Generator(ElectraEncoder):
    """The smaller encoder of pre-training, under `generator/`; its embeddings are another's.

    Args:
        discriminator: the encoder whose embeddings it reads.
        dtype: a Keras dtype policy; by default the discriminator's.

    Its dropouts are numbered after those of the discriminator and its head.
    """

    scope = "generator"

    def __init__(self, discriminator: ElectraEncoder, dtype=None):
        self.shared = discriminator.embeddings
        self.places_before = discriminator.num_dropouts + 1
        config = generator_config(discriminator.config)
        super().__init__(config, dtype or discriminator.dtype_policy)

    def embeddings_class(self, *sizes) -> SharedEmbeddings:
        return SharedEmbeddings(self.shared)

    def _outputs(self, features, training: bool, select=None) -> dict:
        with later_places(self.places_before):
            return super()._outputs(features, training, select)
