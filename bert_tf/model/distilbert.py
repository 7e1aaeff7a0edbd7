"""DistilBERT's encoder: BERT's without segment embeddings, and a pooler with ReLU.

Weights have BERT's names (`bert/...`), in memory and in checkpoints; the pooler is the first layer
of Hugging Face's classifier (`pre_classifier`). Only classification needs it.

Source: Sanh et al. 2019; Hugging Face's modeling_distilbert.py.
"""

from keras import ops

from bert_tf.model.encoder import BertEncoder
from bert_tf.model.layers import Pooler


class ReluPooler(Pooler):
    """Returns a vector per sequence: [CLS] through a dense layer and ReLU."""

    activate = staticmethod(ops.relu)


class DistilBertEncoder(BertEncoder):
    """The Transformer of DistilBERT.

    Arguments, inputs and outputs are those of `BertEncoder`, without `segment_ids`. The
    configuration is, as released, `model_type="distilbert", num_hidden_layers=6,
    type_vocab_size=0, hidden_act="gelu_erf"`.

    Example:

        encoder = bert_tf.DistilBertEncoder.from_preset("distilbert_base_uncased")
    """

    pooler_class = ReluPooler

    def may_lack(self, name: str) -> bool:
        return super().may_lack(name) or name.startswith(self.pooler_prefix)  # As released.
