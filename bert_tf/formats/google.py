"""Reads and writes google-research's checkpoints.

    bert_model.ckpt.index, .data-00000-of-00001     every variable by its name, with Adam's moments
                                                    and `global_step`
    bert_config.json                                the configuration
    vocab.txt                                       the vocabulary
    tokenizer_config.json                           whether text is lower-cased, if known; the
                                                    original does not read it

A released model's folder, a training run's output directory (`model.ckpt-STEP`) and a checkpoint's
prefix can all be read. The weights keep their names.
"""

import dataclasses
import re

import numpy as np
import tensorflow as tf

from bert_tf import files
from bert_tf.config import BertConfig
from bert_tf.formats import names
from bert_tf.formats.source import Head, PretrainedModel
from bert_tf.formats.staging import new_files
from bert_tf.formats.tokenizer_files import case_of_folder, read_tokenizer, write_tokenizer
from bert_tf.kinds.table import kind_of_weights
from bert_tf.training.checkpoint import DamagedCheckpoint, find_checkpoint, write_tensors

CHECKPOINT_NAME = "bert_model.ckpt"
CONFIG_NAME = "bert_config.json"
# The files that are written, except the weights' data.
FILE_NAMES = (f"{CHECKPOINT_NAME}.index", CONFIG_NAME, "vocab.txt", "tokenizer_config.json")

# Object-based checkpoints (Keras, tensorflow/models) have it, name-based ones do not.
_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_SUFFIX = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})$")


def recognizes(path: str) -> bool:
    """Returns whether `path` is or contains a name-based checkpoint."""
    prefix = _find(str(path))
    if prefix is None:
        return False
    try:
        return not tf.train.load_checkpoint(prefix).has_tensor(_OBJECT_GRAPH)
    except (tf.errors.OpError, RuntimeError, ValueError, IndexError):
        return True  # It is damaged, which `read` will report.


def read(path: str) -> PretrainedModel:
    """Reads a checkpoint and the files beside it.

    Args:
        path: a checkpoint's prefix (`.../bert_model.ckpt`), one of its files, or a folder. In a
            folder `bert_model.ckpt` is preferred, then the newest `model.ckpt-STEP`, then the only
            checkpoint.

    Raises:
        ValueError: if there is no checkpoint, it is damaged, or its `bert_config.json` is missing
            or another model's.
    """
    prefix = _find(str(path)) or find_checkpoint(str(path))
    folder = files.split_path(prefix)[0]
    config_file = files.join_path(folder, CONFIG_NAME)
    if not files.exists(config_file):
        raise ValueError(
            f"{folder}: there is no {CONFIG_NAME} beside the checkpoint {prefix}. Put it there: "
            "the weights do not show the number of attention heads."
        )
    config = BertConfig.from_json_file(config_file)
    weights = read_weights(prefix)
    names.check_shapes(prefix, config, weights)
    tokenizer, dropped = read_tokenizer(folder, config.vocab_size)
    if tokenizer.do_lower_case is None:
        tokenizer = dataclasses.replace(tokenizer, do_lower_case=case_of_folder(folder))
    return PretrainedModel(
        format="google",
        path=prefix,
        config=config,
        weights=weights,
        head=Head(kind_of_weights(weights)),
        tokenizer=tokenizer,
        dropped=dropped,
    )


def read_weights(prefix: str) -> dict[str, np.ndarray]:
    """Returns all tensors of a checkpoint by name, the optimizer's too; 16-bit ones as float32.

    Raises:
        DamagedCheckpoint: if its files are truncated or altered.
    """
    try:
        reader = tf.train.load_checkpoint(prefix)
        weights = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    except (tf.errors.OpError, RuntimeError, ValueError, IndexError) as error:
        raise DamagedCheckpoint(f"{prefix}: the checkpoint cannot be read: {error}") from error
    return {name: _widened(weights[name]) for name in sorted(weights)}


def without_place(model: PretrainedModel) -> dict[str, str]:
    """Returns the weights that a checkpoint cannot hold: none, as any name is possible."""
    return {}


def write(model: PretrainedModel, folder: str, overwrite: bool = False) -> None:
    """Writes a model as the original's files; either all files appear or none.

    `hidden_act` is written unchanged. The original does not know `gelu_erf` and refuses it.

    Args:
        model: the model; all its weights are written, with the optimizer's state if it has any.
        folder: the folder to write to; it need not exist.
        overwrite: whether existing files may be overwritten.

    Raises:
        ValueError: if files exist and `overwrite` is not set, or weights do not fit the config.
    """
    names.check_shapes(model.path, model.config, model.weights)
    with new_files(folder, overwrite) as temporary:
        tensors = {name: tf.constant(value) for name, value in model.weights.items()}
        write_tensors(files.join_path(temporary, CHECKPOINT_NAME), tensors)
        with files.open_file(files.join_path(temporary, CONFIG_NAME), "w") as file:
            file.write(model.config.to_json_string())
        write_tokenizer(temporary, model.tokenizer, model.config.max_position_embeddings)


def _find(path: str) -> str | None:
    """Returns the prefix of the checkpoint at `path`; None if there is none."""
    prefix = _SUFFIX.sub("", path)
    if files.exists(prefix + ".index"):
        return prefix
    if not files.is_directory(path):
        return None
    released = files.join_path(path, CHECKPOINT_NAME)
    if files.exists(released + ".index"):
        return released
    indices = [name for name in tf.io.gfile.listdir(path) if name.endswith(".index")]
    has_newest = files.exists(files.join_path(path, "checkpoint"))  # It names the newest.
    numbered = any(re.match(r"model\.ckpt-\d+\.", name) for name in indices)
    if len(indices) > 1 and not has_newest and not numbered:
        raise ValueError(
            f"{path}: there are {len(indices)} checkpoints. Name one of them: "
            f"{', '.join(sorted(name.removesuffix('.index') for name in indices))}"
        )
    return find_checkpoint(path) if indices else None


def _widened(value: np.ndarray) -> np.ndarray:
    value = np.asarray(value)
    is_half = value.dtype.itemsize == 2 and value.dtype.kind in "fV"
    return value.astype(np.float32) if is_half else value
