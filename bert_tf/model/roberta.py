"""RoBERTa's encoder: BERT's, with positions that count tokens and leave padding out.

    input_ids      0   31  17   2   1   1      (1 is padding)
    positions      2   3   4    5   1   1

Weights have BERT's names (`bert/...`), in memory and in checkpoints.

Source: Liu et al. 2019; Hugging Face's modeling_roberta.py; fairseq's `RobertaClassificationHead`.
"""

from keras import ops

from bert_tf.model.dropout import Dropout
from bert_tf.model.encoder import BertEncoder
from bert_tf.model.layers import Embeddings, Pooler, lookup

PAD_ID = 1  # Of `<pad>` in every vocabulary.
_CLASSIFIER_DROPOUT = 0.1
# Above the numbers of all other dropouts of a model, see `Dropout`.
_PLACE = 1 << 20


class RobertaEmbeddings(Embeddings):
    """Adds word, position and segment embeddings; the first token has the position 2."""

    def positions(self, input_ids, length):
        is_token = ops.cast(ops.not_equal(input_ids, PAD_ID), "int32")
        ids = ops.cumsum(is_token, axis=1) * is_token + PAD_ID  # [B, L]
        # Reshaped to become a tensor: a custom gradient may not see a variable.
        return lookup(ops.reshape(self.position_embeddings, self.position_embeddings.shape), ids)


class RobertaPooler(Pooler):
    """Returns a vector per sequence: `<s>` through dropout, a dense layer and tanh.

    In Hugging Face's classes for classification this is the first half of the head.
    """

    def __init__(self, hidden_size: int, stddev: float = 0.02, dtype=None, name: str = "pooler"):
        super().__init__(hidden_size, stddev, dtype, name)
        self.dropout = Dropout(_CLASSIFIER_DROPOUT, _PLACE)

    def call(self, sequence_output, training: bool = False):
        return super().call(self.dropout(sequence_output[:, :1], training=training))


class RobertaEncoder(BertEncoder):
    """The Transformer of RoBERTa.

    Arguments, inputs and outputs are those of `BertEncoder`. The configuration is, as released,
    `model_type="roberta", type_vocab_size=1, layer_norm_eps=1e-5, hidden_act="gelu_erf",
    max_position_embeddings=514`, for sequences of up to 512 tokens. Padding has the id 1; where
    there is an `input_mask`, other ids of padding are taken for it.

    Example:

        encoder = bert_tf.RobertaEncoder.from_preset("roberta_base")
    """

    embeddings_class, pooler_class = RobertaEmbeddings, RobertaPooler

    def may_lack(self, name: str) -> bool:
        return super().may_lack(name) or name.startswith(self.pooler_prefix)  # As released.

    def _outputs(self, features, training, select=None):
        if "input_mask" in features:  # Padding of any id is taken for `<pad>`.
            is_padding = ops.equal(features["input_mask"], 0)
            ids = ops.where(is_padding, PAD_ID, ops.cast(features["input_ids"], "int32"))
            features = {**features, "input_ids": ids}
        return super()._outputs(features, training, select)
