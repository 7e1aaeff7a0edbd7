"""Reads keras-hub's BERT models from their files; keras-hub need not be installed.

`keras_hub_files` says which files there are.

The encoder equals google-research's: keras-hub fixes the tanh form of gelu and a LayerNorm epsilon
of 1e-12. A classifier's head is equal, too. The masked-LM head is not: it has the exact gelu and an
epsilon of 1e-5. It is dropped, as it would compute something else here.

A group in a .weights.h5 file is named after its layer's class and number (`layers/dense_1`), or, in
files of older Keras versions, after the attribute that holds it.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from bert_tf import files
from bert_tf.config import BertConfig
from bert_tf.formats import names
from bert_tf.formats.keras_hub_files import (
    BACKBONE,
    CLASSIFIERS,
    CONFIG_NAME,
    SHARDS_NAME,
    TASK_WEIGHTS_NAME,
    WEIGHTS_NAME,
    KerasFiles,
    read_archive,
    read_folder,
)
from bert_tf.formats.keras_layout import from_keras
from bert_tf.formats.source import Head, PretrainedModel
from bert_tf.kinds.table import kind_of_weights

# Where a file may have the backbone, a classifier's scores, and the masked-LM head.
_BACKBONE_PREFIXES = ("layers/bert_backbone/", "backbone/", "")
_SCORES = ("layers/dense", "output_dense")
_MASKED_LM = re.compile(r"(layers/|)masked_lm_head/")
# Activations after which the weights still give logits of the same probabilities.
_LOGITS = (None, "linear", "softmax")

# Parts of google-research's names -> keras-hub's layers; the first one found counts.
_LAYERS = {
    "bert/embeddings/word_embeddings": ("layers/reversible_embedding", "token_embedding"),
    "bert/embeddings/token_type_embeddings": ("layers/embedding", "segment_embedding"),
    "bert/embeddings/position_embeddings": ("layers/position_embedding", "position_embedding"),
    "bert/embeddings/LayerNorm": ("layers/layer_normalization", "embeddings_layer_norm"),
    "bert/pooler/dense": ("layers/dense", "pooled_dense"),
}
_BLOCKS = ("layers/transformer_encoder", "transformer_layers/transformer_encoder")
_BLOCK_LAYERS = {
    "attention/self/query": "_self_attention_layer/query_dense",
    "attention/self/key": "_self_attention_layer/key_dense",
    "attention/self/value": "_self_attention_layer/value_dense",
    "attention/output/dense": "_self_attention_layer/output_dense",
    "attention/output/LayerNorm": "_self_attention_layer_norm",
    "intermediate/dense": "_feedforward_intermediate_dense",
    "output/dense": "_feedforward_output_dense",
    "output/LayerNorm": "_feedforward_layer_norm",
}

_NO_MASKED_LM = (
    "keras-hub's masked-LM head has the exact gelu and a LayerNorm epsilon of 1e-5, ours the tanh "
    "form and 1e-12: it would compute something else"
)
_NO_COUNTERPART = "not a part of BERT's encoder or of a supported head"


def recognizes(path: str) -> bool:
    """Returns whether `path` is a preset's folder, a `.keras` archive or a `.weights.h5` file."""
    path = str(path)
    if files.is_directory(path):
        weights = (files.join_path(path, name) for name in (WEIGHTS_NAME, SHARDS_NAME))
        has_config = files.exists(files.join_path(path, CONFIG_NAME))
        return has_config and any(files.exists(name) for name in weights)
    is_keras = path.endswith((".keras", ".weights.h5", ".weights.json"))
    return is_keras and files.exists(path)


def read(path: str) -> PretrainedModel:
    """Reads a backbone, a classifier, or the backbone of another task.

    Args:
        path: a preset's folder, a `.keras` archive, or a file of weights (`.weights.h5`, or
            `.weights.json` for shards) beside its `config.json`.

    Raises:
        ValueError: if a file is missing, damaged or another model's, or a weight is missing,
            quantized or of another shape.
    """
    path = str(path)
    found = read_archive(path) if path.endswith(".keras") else read_folder(path)
    config = _config(found)
    weights, used = _encoder(found, config)
    if found.task.get("class_name") in CLASSIFIERS:
        head, used_by_head = _classifier(found, config)
        weights |= head
        used |= used_by_head
    num_tokens = len(found.tokenizer.vocab or ())
    if num_tokens > config.vocab_size:
        raise ValueError(
            f"{found.path}: the vocabulary has {num_tokens} tokens, the word embeddings have "
            f"{config.vocab_size} rows. Is it another model's vocabulary?"
        )
    return PretrainedModel(
        format="keras_hub",
        path=found.path,
        config=config,
        weights=weights,
        head=Head(kind_of_weights(weights)),
        tokenizer=found.tokenizer,
        dropped=_dropped(found, used),
    )


def _encoder(found: KerasFiles, config: BertConfig) -> tuple[dict[str, np.ndarray], set[str]]:
    """Returns the encoder's weights, and the paths where they were found."""
    prefix = _backbone_prefix(found)
    block = re.compile(f"{prefix}({'|'.join(_BLOCKS)})(_\\d+)?/")
    num_layers = len({match[0] for match in map(block.match, found.arrays) if match})
    if num_layers > config.num_hidden_layers:
        raise ValueError(
            f"{found.path}: the file has {num_layers} layers, the config has "
            f"num_layers={config.num_hidden_layers}. Does the config belong to these weights?"
        )
    places = {}
    shapes = names.encoder_shapes(config)
    for name in shapes:
        layers, number = _layers(name)
        places[name] = [f"{prefix}{layer}/vars/{number}" for layer in layers]
    return _read_places(found, config, shapes, places)


def _classifier(found: KerasFiles, config: BertConfig) -> tuple[dict[str, np.ndarray], set[str]]:
    """Returns a classifier's weights, if it gives logits, and the paths where they were found."""
    if _activation(found.task) not in _LOGITS:
        return {}, set()
    # In a file of a bare backbone, `layers/dense` is the pooler.
    start = "" if _backbone_prefix(found) else f"{TASK_WEIGHTS_NAME}/"
    num_classes = found.task["config"].get("num_classes")
    shapes = names.head_shapes(config, names.CLASSIFIER, num_classes)
    places = {
        name: [f"{start}{layer}/vars/{number}" for layer in _SCORES]
        for number, name in enumerate(shapes)
    }
    return _read_places(found, config, shapes, places)


def _read_places(
    found: KerasFiles, config: BertConfig, shapes: names.Shapes, places: Mapping[str, list[str]]
) -> tuple[dict[str, np.ndarray], set[str]]:
    """Reads each weight of `shapes` from the first of its places that exists."""
    weights, used = {}, set()
    for name, shape in shapes.items():
        variable = next((place for place in places[name] if place in found.arrays), None)
        if variable is None:
            raise ValueError(
                f"{found.path}: the weight {places[name][0]} is missing. Found: "
                f"{names.some(sorted(found.arrays))}"
            )
        where = f"{found.path}: {variable}"
        value = found.arrays[variable]
        weights[name] = from_keras(where, value, name, shape, config.num_attention_heads)
        used.add(variable)
    return weights, used


def _backbone_prefix(found: KerasFiles) -> str:
    return next(p for p in _BACKBONE_PREFIXES if any(n.startswith(p) for n in found.arrays))


def _layers(name: str) -> tuple[list[str], int]:
    """Returns the layers that may hold the weight `name`, and its number in the layer."""
    layer, _, last = name.rpartition("/")
    number = {"kernel": 0, "gamma": 0, "bias": 1, "beta": 1}.get(last)
    if number is None:
        return list(_LAYERS[name]), 0
    block = re.fullmatch(r"bert/encoder/layer_(\d+)/(.+)", layer)
    if not block:
        return list(_LAYERS[layer]), number
    count = "" if block[1] == "0" else f"_{block[1]}"
    part = _BLOCK_LAYERS[block[2]]
    older = re.sub("/(.*_dense)$", r"/_\1", part)
    return [f"{start}{count}/{p}" for start in _BLOCKS for p in (part, older)], number


def _config(found: KerasFiles) -> BertConfig:
    values = found.backbone.get("config")
    try:
        return BertConfig(
            vocab_size=values["vocabulary_size"],
            hidden_size=values["hidden_dim"],
            num_hidden_layers=values["num_layers"],
            num_attention_heads=values["num_heads"],
            intermediate_size=values["intermediate_dim"],
            hidden_act="gelu",
            hidden_dropout_prob=values.get("dropout", 0.1),
            attention_probs_dropout_prob=values.get("dropout", 0.1),
            max_position_embeddings=values.get("max_sequence_length", 512),
            type_vocab_size=values.get("num_segments", 2),
        )
    except (AttributeError, TypeError, KeyError) as error:
        raise ValueError(f"{found.path}: the config of {BACKBONE} lacks {error}.") from error
    except ValueError as error:
        raise ValueError(f"{found.path}: {error}") from error


def _activation(task: Mapping[str, Any]) -> Any:
    """Returns a classifier's activation: its name, None, or Keras' description of a function."""
    return task["config"].get("activation")


def _dropped(found: KerasFiles, used: set[str]) -> dict[str, str]:
    reasons = {}
    for variable in sorted(set(found.arrays) - used):
        place = variable.removeprefix(f"{TASK_WEIGHTS_NAME}/")
        if _MASKED_LM.match(place):
            reasons[variable] = _NO_MASKED_LM
        elif place.startswith("optimizer/"):
            reasons[variable] = "state of a Keras optimizer, which differs from BERT's"
        elif place.startswith(_SCORES) and found.task.get("class_name") in CLASSIFIERS:
            reasons[variable] = (
                f"scores with the activation {_activation(found.task)!r} are not logits"
            )
        else:
            reasons[variable] = _NO_COUNTERPART
    return reasons
