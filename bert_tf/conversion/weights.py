"""Averages checkpoints, drops and initializes weights, and pads the vocabulary in a conversion."""

import dataclasses
import re
import zlib
from collections.abc import Collection, Mapping

import keras
import numpy as np

from bert_tf.distillation.layers import layers_to_start_from
from bert_tf.files.checkpoints import newest_first
from bert_tf.formats import google, names
from bert_tf.formats.source import PretrainedModel
from bert_tf.kinds.table import CLASSIFIER, NEXT_SENTENCE, find_kind, heads_in, num_scores_of
from bert_tf.training.checkpoint import OPTIMIZER_STATE, STEP_NAME

# The bias of padded vocabulary rows, whose probability becomes 0 in float32.
_NEVER = -10000.0
# Weights with a row for each token of the vocabulary, and their Adam's moments.
VOCABULARY_ROWS = re.compile(
    r"^(?:(?:bert|electra)/embeddings/word_embeddings|(?:cls/predictions|generator_predictions|"
    r"cls/pair_target_predictions)/output_bias)(?:/adam_[mv])?$"
)
_LAYER = re.compile(r"(?<=^bert/encoder/layer_)\d+(?=/)")


def average(folder: str, count: int) -> PretrainedModel:
    """Returns the mean of the `count` newest checkpoints in a folder, computed in float64.

    Config, vocabulary and `global_step` are the newest checkpoint's; Adam's moments are dropped.
    Raises a ValueError if there are fewer checkpoints, or their weights differ in name or shape.
    """
    prefixes = list(newest_first(folder))
    if len(prefixes) < count:
        listed = ", ".join(prefix.rpartition("/")[2] for prefix in prefixes) or "none"
        raise ValueError(
            f"{folder}: --average_last={count} needs so many checkpoints (model.ckpt-STEP). "
            f"Found: {listed}. Training keeps --keep_checkpoint_max of them."
        )
    newest = google.read(prefixes[0])
    averaged = [name for name in newest.weights if not OPTIMIZER_STATE.search(name)]
    sums = {name: newest.weights[name].astype(np.float64) for name in averaged}
    for prefix in prefixes[1:count]:
        weights = google.read_weights(prefix)
        for name in averaged:
            if name not in weights or weights[name].shape != sums[name].shape:
                raise ValueError(
                    f"{prefix}: {name} is missing or has another shape than in {prefixes[0]}."
                )
            sums[name] += weights[name]
    mean = {name: (total / count).astype(np.float32) for name, total in sums.items()}
    if STEP_NAME in newest.weights:
        mean[STEP_NAME] = newest.weights[STEP_NAME]
    return dataclasses.replace(newest, weights=mean)


def without(model: PretrainedModel, left_out: Collection[str]) -> PretrainedModel:
    """Returns the model without some of its weights."""
    weights = {name: value for name, value in model.weights.items() if name not in left_out}
    return dataclasses.replace(model, weights=weights)


def needed_shapes(model: PretrainedModel) -> names.Shapes:
    """Returns the names and shapes of the weights that the model's outputs depend on.

    A head on tokens needs no pooler. A pre-training head is needed if some of its weights exist.
    """
    kind = find_kind(model.head.kind)
    heads = kind.heads
    if not kind.needs_all_heads:
        heads = [h for h in heads_in(model.weights) if h in kind.heads] or kind.heads[:1]
    num_scores = kind.num_scores or len(model.head.labels)
    if CLASSIFIER in heads_in(model.weights):
        num_scores = num_scores_of(model.weights)
    if CLASSIFIER in heads and not num_scores:
        raise ValueError(f"{model.path}: nothing tells how many labels its classifier has.")
    shapes = names.weight_shapes(model.config, heads, num_scores)
    if not kind.needs_pooler and NEXT_SENTENCE not in heads and kind.heads:
        pooler = f"{model.config.scope}/pooler/"
        shapes = {name: shape for name, shape in shapes.items() if not name.startswith(pooler)}
    return shapes


def fill(model: PretrainedModel, shapes: Mapping[str, tuple[int, ...]]) -> PretrainedModel:
    """Initializes these weights as training does; a name and shape always get the same values."""
    stddev = model.config.initializer_range
    new = {name: _initial_value(name, shape, stddev) for name, shape in shapes.items()}
    return dataclasses.replace(model, weights={**model.weights, **new})


def _initial_value(name: str, shape: tuple[int, ...], stddev: float) -> np.ndarray:
    if name.endswith(("bias", "beta")):
        return np.zeros(shape, np.float32)
    if name.endswith("gamma"):
        return np.ones(shape, np.float32)
    seed = zlib.crc32(name.encode()) >> 1  # Keras takes 31 bits.
    return np.asarray(keras.initializers.TruncatedNormal(stddev=stddev, seed=seed)(shape))


def keep_layers(model: PretrainedModel, num_layers: int) -> PretrainedModel:
    """Returns the model with so many of its layers, see `layers_to_start_from`.

    Raises a ValueError if it has fewer.
    """
    config = dataclasses.replace(model.config, num_hidden_layers=num_layers)
    sources = layers_to_start_from(num_layers, model.config.num_hidden_layers)
    places = {str(source): str(place) for place, source in enumerate(sources)}
    weights = {}
    for name, value in model.weights.items():
        found = _LAYER.search(name)
        if found is None:
            weights[name] = value
        elif found[0] in places:
            weights[_LAYER.sub(places[found[0]], name, count=1)] = value
    return dataclasses.replace(model, config=config, weights=weights)


def pad(model: PretrainedModel, vocab_size: int) -> PretrainedModel:
    """Returns the model with `vocab_size` rows of word embeddings; new ones are never predicted."""
    more = vocab_size - model.config.vocab_size
    if more < 0:
        raise ValueError(
            f"--padded_vocab_size={vocab_size} is less than the {model.config.vocab_size} rows of "
            f"the word embeddings of {model.path}."
        )
    weights = dict(model.weights)
    for name, value in model.weights.items():
        if VOCABULARY_ROWS.search(name):
            fill_value = _NEVER if name.endswith("output_bias") else 0
            rows = np.full((more, *value.shape[1:]), fill_value, value.dtype)
            weights[name] = np.concatenate([value, rows])
    config = dataclasses.replace(model.config, vocab_size=vocab_size)
    return dataclasses.replace(model, config=config, weights=weights)
