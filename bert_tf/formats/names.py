"""Names and shapes of BERT's weights as google-research has them: the encoder and every head.

    bert/embeddings/word_embeddings             [V, H]
    bert/encoder/layer_0/attention/self/query/kernel   [H, H]   a dense kernel is [in, out]
    cls/predictions/output_bias                 [V]             its matrix is the word embeddings
    output_weights                              [C, H]          of a classifier of texts or tokens
    cls/squad/output_weights                    [2, H]

The shapes come from the model itself, which is built in a TensorFlow graph: there variables are
symbols, so no memory is allocated for them. TensorFlow is imported when shapes are needed.
"""

import functools
import re
from collections.abc import Iterable, Mapping

import numpy as np

from bert_tf.config import BertConfig
from bert_tf.kinds.table import (
    CLASSIFIER,
    MASKED_LM,  # noqa: F401
    NEXT_SENTENCE,  # noqa: F401
    SPAN,  # noqa: F401
    heads_in,
    num_scores_of,
)

WORD_EMBEDDINGS = "bert/embeddings/word_embeddings"
MASKED_LM_BIAS = "cls/predictions/output_bias"
POOLER = ("bert/pooler/dense/kernel", "bert/pooler/dense/bias")

_LAYER = re.compile(r"bert/encoder/layer_(\d+)/")

Shapes = dict[str, tuple[int, ...]]


def encoder_shapes(config: BertConfig) -> Shapes:
    """Returns the shapes of all weights of the encoder, with its pooler."""
    return dict(_all_shapes(config)[0])


def head_shapes(config: BertConfig, prefix: str, num_scores: int = 2) -> Shapes:
    """Returns the shapes of one head's weights.

    Args:
        config: the encoder's configuration.
        prefix: the head: MASKED_LM, NEXT_SENTENCE, SPAN or CLASSIFIER.
        num_scores: C, the number of classes of a CLASSIFIER.
    """
    heads = _all_shapes(config)[1]
    if prefix != CLASSIFIER:
        return {name: shape for name, shape in heads.items() if name.startswith(prefix)}
    return {name: (num_scores, *heads[name][1:]) for name in ("output_weights", "output_bias")}


@functools.lru_cache(maxsize=4)  # Building a large model's graph takes seconds.
def _all_shapes(config: BertConfig) -> tuple[Shapes, Shapes]:
    """Returns the shapes of the encoder's weights, and of all heads' weights with C = 1."""
    import tensorflow as tf

    from bert_tf.model.encoder import make_encoder
    from bert_tf.model.heads import PretrainingModel
    from bert_tf.model.task_heads import ClassificationModel, SpanModel

    with tf.Graph().as_default():
        encoder = make_encoder(config)
        models = (
            PretrainingModel(encoder),
            SpanModel(encoder),
            ClassificationModel(encoder, num_labels=1),
        )
        shapes = {w.path: tuple(w.shape) for model in models for w in model.weights}
    of_encoder = {n: shape for n, shape in shapes.items() if n.startswith(encoder.prefix)}
    return of_encoder, {n: shape for n, shape in shapes.items() if n not in of_encoder}


def check_shapes(path: str, config: BertConfig, weights: Mapping[str, np.ndarray]) -> None:
    """Refuses weights whose shapes are not those of `config`; missing weights are accepted.

    Raises:
        ValueError: with `path`, the names and both shapes.
    """
    if WORD_EMBEDDINGS not in weights:
        raise ValueError(
            f"{path}: not a BERT: it has no {WORD_EMBEDDINGS}. It has: {some(sorted(weights))}"
        )
    expected = encoder_shapes(config)
    for prefix in heads_in(weights):
        num_scores = num_scores_of(weights) if prefix == CLASSIFIER else 2
        expected |= head_shapes(config, prefix, num_scores)
    wrong = [
        f"{name} is {list(weights[name].shape)}, the config's is {list(shape)}"
        for name, shape in expected.items()
        if name in weights and tuple(weights[name].shape) != shape
    ]
    layers = {int(match[1]) for match in map(_LAYER.match, weights) if match}
    wrong += [
        f"layer {layer} is there, the config has num_hidden_layers={config.num_hidden_layers}"
        for layer in sorted(layers)
        if layer >= config.num_hidden_layers
    ]
    if wrong:
        raise ValueError(
            f"{path}: {len(wrong)} weights do not fit the config: {some(wrong, '; ')}. Does the "
            "config belong to these weights?"
        )


def some(names: Iterable[str], separator: str = ", ", listed: int = 10) -> str:
    """Returns the first few of `names`, and how many more there are, for a message."""
    names = list(names)
    more = len(names) - listed
    return separator.join(names[:listed]) + (f"{separator}and {more} more" if more > 0 else "")
