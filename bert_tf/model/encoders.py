"""Finds the encoder of a configuration: BERT's, or that of a successor."""

import contextlib
import importlib

from bert_tf.config import BertConfig
from bert_tf.model.encoder import TransformerEncoder
from bert_tf.model.initial_weights import undrawn_weights

# A configuration's model_type -> the encoder's class, by module and name.
ENCODERS = {
    "bert": ("bert_tf.model.encoder", "BertEncoder"),
    "albert": ("bert_tf.model.albert", "AlbertEncoder"),
    "electra": ("bert_tf.model.electra", "ElectraEncoder"),
    "roberta": ("bert_tf.model.roberta", "RobertaEncoder"),
    "distilbert": ("bert_tf.model.distilbert", "DistilBertEncoder"),
}


def make_encoder(
    config: BertConfig, dtype=None, will_be_loaded: bool = False
) -> TransformerEncoder:
    """Makes the encoder that `config.model_type` names, with initial weights.

    These take seconds to draw. If `will_be_loaded`, they are 0 instead, for others to replace.
    """
    module, name = ENCODERS[config.model_type]
    with undrawn_weights() if will_be_loaded else contextlib.nullcontext():
        return getattr(importlib.import_module(module), name)(config, dtype=dtype)
