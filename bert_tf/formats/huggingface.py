"""Reads and writes models in Hugging Face's format, as transformers saves and loads them.

config.json                     configuration, head and labels: `huggingface_config`
model.safetensors               weights, named as in `architectures`; pytorch_model.bin, tf_model.h5
                                and sharded files can be read too: `huggingface_tensors`
NAME.h5                         a whole Keras model, which needs no config.json: `transformers_h5`
vocab.txt, tokenizer.json       `tokenizer_files`
modules.json                    of models made for vectors: `sentence_transformers`
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from bert_tf import files
from bert_tf.config import BertConfig, read_json, write_json
from bert_tf.formats import names
from bert_tf.formats.architectures import Architecture, architecture_of
from bert_tf.formats.huggingface_config import (
    class_end_of,
    class_of,
    named_class,
    read_config,
    read_head,
    unread_parts,
    write_config,
)
from bert_tf.formats.huggingface_tensors import (
    SAFETENSORS_NAME,
    find_weights,
    read_tensors,
    write_safetensors,
)
from bert_tf.formats.sentence_transformers import with_modules, write_modules
from bert_tf.formats.source import CONFIG_NAME as RELEASED_CONFIG_NAME
from bert_tf.formats.source import Head, PretrainedModel, find_beside, removed_prefix
from bert_tf.formats.tokenizer_files import (
    MAP_NAME,
    read_tokenizer,
    special_tokens_map,
    write_tokenizer,
)
from bert_tf.formats.transformers_h5 import is_h5, read_h5_config
from bert_tf.kinds.pooling import POOLING_WEIGHTS
from bert_tf.kinds.table import find_kind, heads_in

CONFIG_NAME = "config.json"

# Constants among the embeddings.
_BUFFERS = {"position_ids": "the numbers 0, 1, 2, ...", "token_type_ids": "zeros"}


def recognizes(path: str) -> bool:
    """Returns whether `path` is a weights file of transformers, or a folder with one."""
    return find_weights(str(path)) is not None


def read(path: str) -> PretrainedModel:
    """Reads a model from a folder with config.json and weights, or from its weights file."""
    model = _read_transformer(path)
    folder = str(path) if files.is_directory(path) else files.split_path(str(path))[0]
    return with_modules(model, folder)


def _read_transformer(path: str) -> PretrainedModel:
    weights_file = find_weights(str(path))
    if weights_file is None:
        raise ValueError(f"{path}: there is neither {SAFETENSORS_NAME} nor pytorch_model.bin.")
    folder = files.split_path(weights_file)[0]
    config_file, content = _find_config(folder, weights_file)
    config = read_config(config_file, content)
    architecture = architecture_of(config)
    tokenizer, dropped = read_tokenizer(folder)
    found = read_tensors(weights_file)
    modern, prefix = _modern_names(weights_file, found, architecture)
    tensors = {new: found[own] for own, new in modern.items()}
    class_end = architecture.class_end(named_class(content))
    theirs = architecture.names(config, class_end)
    redundant = _take_redundant(weights_file, tensors, architecture, theirs[names.MASKED_LM_BIAS])
    redundant |= _take_identity(weights_file, tensors, architecture, config)
    if architecture.word_embeddings not in tensors:
        raise names.no_bert(weights_file, found, architecture.prefix.rstrip("."))
    weights = {
        name: _transposed(name, tensors.pop(theirs[name]))
        for name in sorted(theirs)
        if theirs[name] in tensors
    }
    redundant |= {
        name: f"{named_class(content)} does not use it"
        for name in architecture.names(config, "").values()
        if tensors.pop(name, None) is not None
    }
    integers = [name for name, value in weights.items() if value.dtype != np.float32]
    if integers:
        raise ValueError(
            f"{weights_file}: {files.some(integers)} hold integers. Are they quantized?"
        )
    names.check_shapes(weights_file, config, weights)
    return PretrainedModel(
        format="huggingface",
        path=weights_file,
        config=config,
        weights=weights,
        head=read_head(config_file, content, weights),
        tokenizer=tokenizer,
        dropped=dropped
        | unread_parts(content)
        | _adapter(folder)
        | {
            own: f"this {architecture.classes.upper()} has no such weight"
            for own, new in modern.items()
            if new in tensors
        },
        redundant=redundant,
        notes=removed_prefix(prefix),
    )


def _find_config(folder: str, weights_file: str) -> tuple[str, dict[str, Any]]:
    """Returns the path and content of the configuration of a weights file."""
    if is_h5(weights_file) and (content := read_h5_config(weights_file)):
        return weights_file, content
    path = find_beside(folder, CONFIG_NAME, RELEASED_CONFIG_NAME)
    if path is None:
        raise ValueError(f"{folder}: there is no {CONFIG_NAME} beside {weights_file}.")
    return path, read_json(path, dict)


def _adapter(folder: str) -> dict[str, str]:
    has_one = files.exists(files.join_path(folder, "adapter_config.json"))
    return (
        {"adapter_config.json": "a PEFT adapter, which has to be merged before"} if has_one else {}
    )


def without_place(model: PretrainedModel) -> dict[str, str]:
    """Returns the weights that the format cannot hold, such as optimizer state, and the reasons.

    An unused pooler is kept; transformers reports it as unexpected.
    """
    table, reasons = _names_in(model), architecture_of(model.config).without_place
    own_heads = set(find_kind(model.head.kind).heads)
    left = {}
    for name in model.weights:
        if name.startswith(POOLING_WEIGHTS) and model.options:
            continue
        if name not in table:
            reason = next((why for start, why in reasons.items() if name.startswith(start)), "")
            left[name] = reason or "Hugging Face has no such weight"
        elif not own_heads.issuperset(heads_in([name])):
            left[name] = f"{class_of(model)} has no such head"
    return left


def write(model: PretrainedModel, folder: str, overwrite: bool = False) -> None:
    """Writes a model as transformers saves it; raises a ValueError if weights would be lost."""
    names.check_shapes(model.path, model.config, model.weights)
    left = without_place(model)
    if left:
        raise ValueError(
            f"{model.path}: {len(left)} weights have no place in a Hugging Face model: "
            f"{files.some(left)}. Remove them first."
        )
    config = write_config(model)
    with files.new_files(folder, overwrite) as temporary:
        write_safetensors(_tensors_of(model), files.join_path(temporary, SAFETENSORS_NAME))
        write_json(files.join_path(temporary, CONFIG_NAME), config, sort_keys=True)
        write_tokenizer(temporary, model.tokenizer, model.config.longest_sequence)
        if model.options:
            write_modules(model, temporary)
        if model.tokenizer.vocab is not None:
            path = files.join_path(temporary, MAP_NAME)
            write_json(path, special_tokens_map(model.tokenizer), sort_keys=True)


def _names_in(model: PretrainedModel) -> dict[str, str]:
    """Returns our names -> transformers' in the class for a model."""
    return architecture_of(model.config).names(model.config, class_end_of(model))


def _tensors_of(model: PretrainedModel) -> dict[str, np.ndarray]:
    """Returns the weights by transformers' names; a bare encoder's lack the prefix `bert.`."""
    architecture = architecture_of(model.config)
    is_bare = model.head == Head() and class_end_of(model) not in architecture.encoder_heads
    tensors = {
        theirs: _transposed(name, np.asarray(model.weights[name], np.float32))
        for name, theirs in _names_in(model).items()
        if name in model.weights
    }
    tensors |= _identity(architecture, model.config)
    prefix = architecture.prefix if is_bare else ""
    return {name.removeprefix(prefix): value for name, value in tensors.items()}


def _identity(architecture: Architecture, config: BertConfig) -> dict[str, np.ndarray]:
    """Returns the layer from E to H that an architecture has there even if these are equal."""
    width = config.hidden_size
    if not architecture.mapping or config.embedding_size != width:
        return {}
    return {
        f"{architecture.mapping}.weight": np.eye(width, dtype=np.float32),
        f"{architecture.mapping}.bias": np.zeros(width, np.float32),
    }


def _take_identity(
    path: str, tensors: dict[str, np.ndarray], architecture: Architecture, config: BertConfig
) -> dict[str, str]:
    """Removes that layer from `tensors`; returns the reasons. Raises a ValueError for another."""
    redundant = {}
    for name, identity in _identity(architecture, config).items():
        value = tensors.pop(name, None)
        if value is not None and not np.array_equal(value, identity):
            raise ValueError(
                f"{path}: {name} changes the embeddings, though embedding_size is hidden_size, "
                f"{config.hidden_size}. The original has no such layer then: its weight must be "
                "an identity and its bias 0."
            )
        if value is not None:
            redundant[name] = "an identity"
    return redundant


def _transposed(name: str, value: np.ndarray) -> np.ndarray:
    """Converts a weight to the other library's layout, in either direction."""
    return np.ascontiguousarray(value.T) if name.endswith("/kernel") else value


def _modern_names(
    path: str, tensors: Iterable[str], architecture: Architecture
) -> tuple[dict[str, str], str]:
    """Returns own names -> transformers' names of today, and the prefix that was removed."""
    renamed, prefix = names.without_prefix(path, tensors, architecture.prefix.rstrip("."))
    for old, new in (("gamma", "weight"), ("beta", "bias")):  # 2018's converters kept them.
        ends = tuple(f"{norm}.{old}" for norm in ("LayerNorm", "layer_norm1", "layer_norm2"))
        renamed = {
            own: f"{name.removesuffix(old)}{new}" if name.endswith(ends) else name
            for own, name in renamed.items()
        }
    return renamed, prefix


def _take_redundant(
    path: str, tensors: dict[str, np.ndarray], architecture: Architecture, masked_lm_bias: str
) -> dict[str, str]:
    """Removes buffers and copies of tied weights from `tensors`; returns their reasons."""
    redundant = {
        name: reason
        for buffer, reason in _BUFFERS.items()
        if tensors.pop(name := f"{architecture.prefix}embeddings.{buffer}", None) is not None
    }
    for copy, original in (
        (f"{architecture.decoder}.weight", architecture.word_embeddings),
        (f"{architecture.decoder}.bias", masked_lm_bias),
    ):
        value = tensors.pop(copy, None) if copy != original else None
        if value is None:
            continue
        if original not in tensors:  # Some files have only the copy.
            tensors[original] = value
            continue
        if not np.array_equal(value, tensors[original]):
            raise ValueError(
                f"{path}: {copy} is not {original}. The masked-LM decoder must be tied to it."
            )
        redundant[copy] = f"the same as {original}"
    return redundant
