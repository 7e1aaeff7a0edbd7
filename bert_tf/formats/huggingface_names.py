"""Maps google-research's names of weights to Hugging Face's, with one table for both directions.

    bert/encoder/layer_0/output/dense/kernel   bert.encoder.layer.0.output.dense.weight, transposed
    bert/encoder/layer_0/output/LayerNorm/gamma   bert.encoder.layer.0.output.LayerNorm.weight
    cls/predictions/output_bias                cls.predictions.bias
    output_weights                             classifier.weight

A dense `kernel` is [in, out], Hugging Face's `weight` is [out, in]. All other weights are equal.
"""

import re

import numpy as np

# Kind of layer -> our name's ending -> Hugging Face's.
_ENDINGS = {
    "table": {"": ".weight"},
    "dense": {"/kernel": ".weight", "/bias": ".bias"},
    "norm": {"/gamma": ".weight", "/beta": ".bias"},
    "scores": {"output_weights": ".weight", "output_bias": ".bias"},
    "bias": {"output_bias": ".bias"},
}
_LAYERS = (
    ("bert/embeddings/word_embeddings", "bert.embeddings.word_embeddings", "table"),
    ("bert/embeddings/position_embeddings", "bert.embeddings.position_embeddings", "table"),
    ("bert/embeddings/token_type_embeddings", "bert.embeddings.token_type_embeddings", "table"),
    ("bert/embeddings/LayerNorm", "bert.embeddings.LayerNorm", "norm"),
    ("bert/pooler/dense", "bert.pooler.dense", "dense"),
    ("cls/predictions/transform/dense", "cls.predictions.transform.dense", "dense"),
    ("cls/predictions/transform/LayerNorm", "cls.predictions.transform.LayerNorm", "norm"),
    ("cls/predictions/", "cls.predictions", "bias"),
    ("cls/seq_relationship/", "cls.seq_relationship", "scores"),
    ("", "classifier", "scores"),
    ("cls/squad/", "qa_outputs", "scores"),
)
# The layers of a block, after bert/encoder/layer_N/ and bert.encoder.layer.N.
_BLOCK_LAYERS = (
    ("attention/self/query", "attention.self.query", "dense"),
    ("attention/self/key", "attention.self.key", "dense"),
    ("attention/self/value", "attention.self.value", "dense"),
    ("attention/output/dense", "attention.output.dense", "dense"),
    ("attention/output/LayerNorm", "attention.output.LayerNorm", "norm"),
    ("intermediate/dense", "intermediate.dense", "dense"),
    ("output/dense", "output.dense", "dense"),
    ("output/LayerNorm", "output.LayerNorm", "norm"),
)

# Redundant tensors that files may have: copies of tied weights, and buffers.
DECODER = "cls.predictions.decoder.weight"
DECODER_BIAS = "cls.predictions.decoder.bias"
MASKED_LM_BIAS = "cls.predictions.bias"
WORD_EMBEDDINGS = "bert.embeddings.word_embeddings.weight"
BUFFERS = {
    "bert.embeddings.position_ids": "the numbers 0, 1, 2, ...",
    "bert.embeddings.token_type_ids": "zeros",
}


def name_table(num_hidden_layers: int) -> dict[str, str]:
    """Returns google-research's names -> Hugging Face's, for the encoder and all heads."""
    layers = list(_LAYERS)
    for n in range(num_hidden_layers):
        layers += [
            (f"bert/encoder/layer_{n}/{ours}", f"bert.encoder.layer.{n}.{theirs}", kind)
            for ours, theirs, kind in _BLOCK_LAYERS
        ]
    return {
        ours + ending: theirs + their_ending
        for ours, theirs, kind in layers
        for ending, their_ending in _ENDINGS[kind].items()
    }


def transposed(name: str, value: np.ndarray) -> np.ndarray:
    """Converts a weight to the other library's layout, in either direction.

    Args:
        name: google-research's.
        value: the weight; a dense kernel is transposed.
    """
    return np.ascontiguousarray(value.T) if name.endswith("/kernel") else value


def modern_name(name: str) -> str:
    """Returns a name as current transformers writes it.

    Bare encoders are saved without the prefix `bert.`, models wrapped in DataParallel with
    `module.`, and converters of 2018 kept `gamma` and `beta`.
    """
    name = name.removeprefix("module.")
    if name.startswith(("embeddings.", "encoder.", "pooler.")):
        name = f"bert.{name}"
    name = re.sub(r"LayerNorm\.gamma$", "LayerNorm.weight", name)
    return re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", name)
