"""google-research's names and shapes: of the encoder, and of every head that may stand on it.

    bert/embeddings/word_embeddings             [V, H]
    bert/encoder/layer_0/attention/self/query/kernel   [H, H]   a dense kernel is [in, out]
    cls/predictions/output_bias                 [V]             its matrix is the word embeddings
    output_weights                              [C, H]          of a classifier of texts or tokens
    cls/squad/output_weights                    [2, H]

Known without building a model, so that files can be checked before any memory is spent on them.
"""

import re
from collections.abc import Iterable, Mapping

import numpy as np

from bert_tf.config import BertConfig

WORD_EMBEDDINGS = "bert/embeddings/word_embeddings"
MASKED_LM_BIAS = "cls/predictions/output_bias"
POOLER = ("bert/pooler/dense/kernel", "bert/pooler/dense/bias")

# What a head's names begin with. The two of pre-training may stand alone.
MASKED_LM = "cls/predictions/"
NEXT_SENTENCE = "cls/seq_relationship/"
SPAN = "cls/squad/"
CLASSIFIER = ""

_LAYER = re.compile(r"bert/encoder/layer_(\d+)/")

Shapes = dict[str, tuple[int, ...]]


def encoder_shapes(config: BertConfig) -> Shapes:
    """Every weight of the encoder, the pooler's included."""
    hidden = config.hidden_size
    rows = {
        "word": config.vocab_size,
        "token_type": config.type_vocab_size,
        "position": config.max_position_embeddings,
    }
    shapes: Shapes = {f"bert/embeddings/{n}_embeddings": (r, hidden) for n, r in rows.items()}
    shapes |= _layer_norm("bert/embeddings/", hidden)
    for layer in range(config.num_hidden_layers):
        shapes |= _block(f"bert/encoder/layer_{layer}/", hidden, config.intermediate_size)
    return shapes | _dense("bert/pooler/dense/", hidden, hidden)


def head_shapes(config: BertConfig, prefix: str, num_scores: int = 2) -> Shapes:
    """The weights of one head.

    Args:
        config: the encoder's shape.
        prefix: which: MASKED_LM, NEXT_SENTENCE, SPAN or CLASSIFIER.
        num_scores: C, the classes of a CLASSIFIER; the others have two, or the vocabulary's.
    """
    hidden = config.hidden_size
    if prefix == MASKED_LM:
        transform = _dense("cls/predictions/transform/dense/", hidden, hidden)
        transform |= _layer_norm("cls/predictions/transform/", hidden)
        return transform | {MASKED_LM_BIAS: (config.vocab_size,)}
    return {
        f"{prefix}output_weights": (num_scores, hidden),
        f"{prefix}output_bias": (num_scores,),
    }


def heads_in(names: Iterable[str]) -> tuple[str, ...]:
    """The prefixes of the heads that have any of their weights among `names`."""
    names = set(names)
    found = [p for p in (MASKED_LM, NEXT_SENTENCE, SPAN) if any(n.startswith(p) for n in names)]
    return (*found, *([CLASSIFIER] if {"output_weights", "output_bias"} & names else []))


def kind_of(weights: Mapping[str, np.ndarray]) -> str:
    """What stands on the encoder, one of `bert_tf.formats.source.HEAD_KINDS`, as names tell.

    Labels of tokens have the names of labels of sequences: they count as `classification`.
    """
    heads = heads_in(weights)
    if MASKED_LM in heads or NEXT_SENTENCE in heads:
        return "pretraining"
    if CLASSIFIER in heads:
        return "regression" if _num_scores(weights) == 1 else "classification"
    return "span" if SPAN in heads else ""


def check_shapes(path: str, config: BertConfig, weights: Mapping[str, np.ndarray]) -> None:
    """Refuses weights that are not those of `config`; that some are missing is no error here.

    Raises:
        ValueError: with `path`, the names and both shapes.
    """
    if WORD_EMBEDDINGS not in weights:
        raise ValueError(
            f"{path}: no BERT: it has no {WORD_EMBEDDINGS}. It has: {some(sorted(weights))}"
        )
    expected = encoder_shapes(config)
    for prefix in heads_in(weights):
        num_scores = _num_scores(weights) if prefix == CLASSIFIER else 2
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
    """The first few of `names`, and how many more there are."""
    names = list(names)
    rest = len(names) - listed
    return separator.join(names[:listed]) + (f"{separator}and {rest} more" if rest > 0 else "")


def _num_scores(weights: Mapping[str, np.ndarray]) -> int:
    name = "output_bias" if "output_bias" in weights else "output_weights"
    return int(weights[name].shape[0])


def _block(prefix: str, hidden: int, intermediate: int) -> Shapes:
    shapes: Shapes = {}
    for part in ("query", "key", "value"):
        shapes |= _dense(f"{prefix}attention/self/{part}/", hidden, hidden)
    shapes |= _dense(f"{prefix}attention/output/dense/", hidden, hidden)
    shapes |= _layer_norm(f"{prefix}attention/output/", hidden)
    shapes |= _dense(f"{prefix}intermediate/dense/", hidden, intermediate)
    shapes |= _dense(f"{prefix}output/dense/", intermediate, hidden)
    return shapes | _layer_norm(f"{prefix}output/", hidden)


def _dense(prefix: str, num_in: int, num_out: int) -> Shapes:
    return {f"{prefix}kernel": (num_in, num_out), f"{prefix}bias": (num_out,)}


def _layer_norm(prefix: str, size: int) -> Shapes:
    return {f"{prefix}LayerNorm/gamma": (size,), f"{prefix}LayerNorm/beta": (size,)}
