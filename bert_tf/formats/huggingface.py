"""Reads and writes BERT models in Hugging Face's format, as transformers saves and loads them.

    config.json                     configuration, head and labels: `huggingface_config`
    model.safetensors               weights, named as in `huggingface_names`; pytorch_model.bin and
                                    sharded files can be read too: `huggingface_tensors`
    vocab.txt, tokenizer.json       `tokenizer_files`

`AutoModel...from_pretrained(folder)` and `AutoTokenizer.from_pretrained(folder)` load the folders
that are written here.
"""

import json
import re
from collections.abc import Mapping

import numpy as np

from bert_tf import files
from bert_tf.config import read_json_object
from bert_tf.formats import names
from bert_tf.formats.huggingface_config import (
    architecture_of,
    read_config,
    read_head,
    write_config,
)
from bert_tf.formats.huggingface_names import (
    BUFFERS,
    DECODER,
    DECODER_BIAS,
    MASKED_LM_BIAS,
    WORD_EMBEDDINGS,
    modern_name,
    name_table,
    transposed,
)
from bert_tf.formats.huggingface_tensors import (
    SAFETENSORS_NAME,
    find_weights,
    read_tensors,
    write_safetensors,
)
from bert_tf.formats.source import Head, PretrainedModel
from bert_tf.formats.staging import new_files
from bert_tf.formats.tokenizer_files import read_tokenizer, special_tokens_map, write_tokenizer
from bert_tf.kinds.table import find_kind

CONFIG_NAME = "config.json"
# The files that are written.
FILE_NAMES = (SAFETENSORS_NAME, CONFIG_NAME, "vocab.txt", "tokenizer_config.json")


def recognizes(path: str) -> bool:
    """Returns whether `path` is a weights file of transformers, or a folder with one."""
    return find_weights(str(path)) is not None


def read(path: str) -> PretrainedModel:
    """Reads a model.

    Args:
        path: a folder with config.json and weights, or its weights file.

    Raises:
        ValueError: if a file is missing or damaged, the model is not a BERT, or a library that its
            files need is not installed.
    """
    weights_file = find_weights(str(path))
    if weights_file is None:
        raise ValueError(f"{path}: there is neither {SAFETENSORS_NAME} nor pytorch_model.bin.")
    folder = files.split_path(weights_file)[0]
    config_file = files.join_path(folder, CONFIG_NAME)
    if not files.exists(config_file):
        raise ValueError(f"{folder}: there is no {CONFIG_NAME} beside {weights_file}.")
    content = read_json_object(config_file)
    config = read_config(config_file, content)
    tokenizer, dropped = read_tokenizer(folder, config.vocab_size)
    tensors = _under_modern_names(weights_file, read_tensors(weights_file))
    redundant = _take_redundant(weights_file, tensors)
    ours = {theirs: name for name, theirs in name_table(config.num_hidden_layers).items()}
    dropped |= {name: "this BERT has no such weight" for name in tensors if name not in ours}
    weights = {ours[n]: transposed(ours[n], value) for n, value in tensors.items() if n in ours}
    _check_types(weights_file, weights)
    names.check_shapes(weights_file, config, weights)
    return PretrainedModel(
        format="huggingface",
        path=weights_file,
        config=config,
        weights=dict(sorted(weights.items())),
        head=read_head(config_file, content, weights),
        tokenizer=tokenizer,
        dropped=dropped,
        redundant=redundant,
    )


def without_place(model: PretrainedModel) -> dict[str, str]:
    """Returns the weights that Hugging Face's format cannot hold, each with the reason.

    A Hugging Face model has one head and no optimizer state. A pooler that the head does not use is
    kept; transformers then reports it as unexpected.
    """
    table = name_table(model.config.num_hidden_layers)
    own = set()
    for prefix in find_kind(model.head.kind).heads:
        own |= set(names.head_shapes(model.config, prefix))
    left = {}
    for name in model.weights:
        if name not in table:
            left[name] = "Hugging Face has no such weight"
        elif not name.startswith("bert/") and name not in own:
            architecture = architecture_of(model.head, model.weights)
            left[name] = f"{architecture} has no such head"
    return left


def write(model: PretrainedModel, folder: str, overwrite: bool = False) -> None:
    """Writes a model as transformers saves it; either all files appear or none.

    Args:
        model: a model without weights that the format cannot hold; see `without_place`.
        folder: the folder to write to; it need not exist.
        overwrite: whether existing files may be overwritten.

    Raises:
        ValueError: if files exist and `overwrite` is not set, if weights do not fit the config or
            have no place, or if safetensors is not installed.
    """
    names.check_shapes(model.path, model.config, model.weights)
    left = without_place(model)
    if left:
        raise ValueError(
            f"{model.path}: {len(left)} weights have no place in a Hugging Face model: "
            f"{names.some(left)}. Remove them first."
        )
    with new_files(folder, overwrite) as temporary:
        write_safetensors(tensors_of(model), files.join_path(temporary, SAFETENSORS_NAME))
        vocab = model.tokenizer.vocab or ("[PAD]",)
        content = write_config(model.config, model.head, model.weights, vocab.index("[PAD]"))
        contents = {CONFIG_NAME: json.dumps(content, indent=2, sort_keys=True) + "\n"}
        if model.tokenizer.vocab is not None:
            contents["special_tokens_map.json"] = special_tokens_map()
        write_tokenizer(temporary, model.tokenizer, model.config.max_position_embeddings)
        for name, text in contents.items():
            with files.open_file(files.join_path(temporary, name), "w") as file:
                file.write(text)


def tensors_of(model: PretrainedModel) -> dict[str, np.ndarray]:
    """Returns the weights under transformers' names, for a bare encoder without `bert.`."""
    table = name_table(model.config.num_hidden_layers)
    prefix = "" if model.head == Head() else "bert."
    return {
        re.sub(r"^bert\.", prefix, theirs): transposed(
            name, np.asarray(model.weights[name], np.float32)
        )
        for name, theirs in table.items()
        if name in model.weights
    }


def _under_modern_names(path: str, tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    renamed = {modern_name(name): value for name, value in tensors.items()}
    if len(renamed) != len(tensors):
        raise ValueError(f"{path}: two of its tensors have names of the same weight.")
    return renamed


def _take_redundant(path: str, tensors: dict[str, np.ndarray]) -> dict[str, str]:
    """Removes buffers and copies of tied weights from `tensors`, and returns what they are.

    Raises:
        ValueError: if the masked-LM decoder is not tied to the word embeddings.
    """
    redundant = {
        name: reason for name, reason in BUFFERS.items() if tensors.pop(name, None) is not None
    }
    # Some files have only the copy of the bias.
    if MASKED_LM_BIAS not in tensors and DECODER_BIAS in tensors:
        tensors[MASKED_LM_BIAS] = tensors.pop(DECODER_BIAS)
    for copy, original in ((DECODER, WORD_EMBEDDINGS), (DECODER_BIAS, MASKED_LM_BIAS)):
        value = tensors.pop(copy, None)
        if value is None:
            continue
        if original not in tensors or not np.array_equal(value, tensors[original]):
            raise ValueError(
                f"{path}: {copy} is not {original}. The masked-LM decoder must be tied to the word "
                "embeddings and have one bias, as in the original."
            )
        redundant[copy] = f"the same as {original}"
    return redundant


def _check_types(path: str, weights: Mapping[str, np.ndarray]) -> None:
    others = [name for name, value in weights.items() if value.dtype != np.float32]
    if others:
        raise ValueError(f"{path}: {names.some(others)} hold integers. Are they quantized?")
