"""Reads keras-hub's BERT models from their files; keras-hub need not be installed.

The encoder equals google-research's: keras-hub fixes the tanh form of gelu and a LayerNorm epsilon
of 1e-12. A classifier's head is equal, too. The masked-LM head is not: it has the exact gelu and an
epsilon of 1e-5. It is dropped, as it would compute something else here.

A group in a .weights.h5 file is named after its layer's class and number (`layers/dense_1`), or, in
files of older Keras versions, after the attribute that holds it.
"""

import re

import numpy as np

from bert_tf import files
from bert_tf.config import BertConfig
from bert_tf.formats import names
from bert_tf.formats.keras_hub_files import (
    BACKBONE,
    CONFIG_NAME,
    SHARDS_NAME,
    TASK_WEIGHTS_NAME,
    WEIGHTS_NAME,
    KerasFiles,
    read_archive,
    read_folder,
)
from bert_tf.formats.source import Head, PretrainedModel
from bert_tf.kinds.table import CLASSIFIER, kind_of_weights

# Where a file may have the backbone, a classifier's scores, and the masked-LM head.
_BACKBONE_PREFIXES = ("layers/bert_backbone/", "backbone/", "")
_SCORES = ("layers/dense", "output_dense")
_MASKED_LM = re.compile(r"(layers/|)masked_lm_head/")
# Activations after which the weights still give logits of the same probabilities.
_LOGITS = (None, "linear", "softmax")


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
    weights, used = _read_weights(found, config)
    num_tokens = len(found.tokenizer.vocab or ())
    if num_tokens > config.vocab_size:
        raise ValueError(
            f"{found.path}: the vocabulary has {num_tokens} tokens, the word embeddings have "
            f"{config.vocab_size} rows. Is it another model's vocabulary?"
        )
    unused = sorted(set(found.arrays) - used)
    return PretrainedModel(
        format="keras_hub",
        path=found.path,
        config=config,
        weights=weights,
        head=Head(kind_of_weights(weights)),
        tokenizer=found.tokenizer,
        dropped={variable: _reason(found, variable) for variable in unused},
    )


def _read_weights(found: KerasFiles, config: BertConfig) -> tuple[dict[str, np.ndarray], set[str]]:
    """Returns the weights of the encoder and of a classifier that gives logits, and their paths."""
    prefix = next(p for p in _BACKBONE_PREFIXES if any(n.startswith(p) for n in found.arrays))
    block = re.compile(f"{prefix}({'|'.join(names.KERAS_HUB_BLOCKS)})(_\\d+)?/")
    num_layers = len({match[0] for match in map(block.match, found.arrays) if match})
    if num_layers > config.num_hidden_layers:
        raise ValueError(
            f"{found.path}: the file has {num_layers} layers, the config has "
            f"num_layers={config.num_hidden_layers}. Does the config belong to these weights?"
        )
    # In a file of a bare backbone, `layers/dense` is the pooler.
    scores_prefix = "" if prefix else f"{TASK_WEIGHTS_NAME}/"
    heads = (CLASSIFIER,) if found.is_classifier and found.activation in _LOGITS else ()
    num_classes = found.task["config"].get("num_classes") if heads else None
    table = names.weight_table(config.num_hidden_layers)
    weights, used = {}, set()
    for name, shape in names.weight_shapes(config, heads, num_classes).items():
        start = prefix if name.startswith("bert/") else scores_prefix
        places = [start + place for place in table[name].keras_hub]
        variable = next((place for place in places if place in found.arrays), None)
        if variable is None:
            raise ValueError(
                f"{found.path}: the weight {places[0]} is missing. Found: "
                f"{names.some(sorted(found.arrays))}"
            )
        weights[name] = names.from_keras(
            f"{found.path}: {variable}",
            found.arrays[variable],
            table[name],
            shape,
            config.num_attention_heads,
        )
        used.add(variable)
    return weights, used


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


def _reason(found: KerasFiles, variable: str) -> str:
    """Returns why a variable is dropped."""
    place = variable.removeprefix(f"{TASK_WEIGHTS_NAME}/")
    if _MASKED_LM.match(place):
        return (
            "keras-hub's masked-LM head has the exact gelu and a LayerNorm epsilon of 1e-5, ours "
            "the tanh form and 1e-12: it would compute something else"
        )
    if place.startswith("optimizer/"):
        return "state of a Keras optimizer, which differs from BERT's"
    if place.startswith(_SCORES) and found.is_classifier:
        return f"scores with the activation {found.activation!r} are not logits"
    return "not a part of BERT's encoder or of a supported head"
