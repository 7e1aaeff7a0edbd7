"""Holds a model read from any format, and detects the format of files.

    folder or file ──> google.read, huggingface.read, ... ──> PretrainedModel
    PretrainedModel ──> google.write, huggingface.write ──> folder

A format is a module with `recognizes(path) -> bool` and `read(path)`, which raises a ValueError for
missing or damaged files and for models other than BERT. Some also have `write(model, folder,
overwrite)`, which writes all files or none, and `without_place(model)`: the weights that the format
cannot hold, with the reasons.
"""

import dataclasses
import importlib
import re
from collections.abc import Mapping

import numpy as np

from bert_tf import files
from bert_tf.config import BertConfig

# google-research's names.
CONFIG_NAME, CHECKPOINT_NAME = "bert_config.json", "bert_model.ckpt"
# Object-based checkpoints (Keras, tensorflow/models) have it, name-based ones do not.
OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_SUFFIX = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})$")
# Modules, in the order in which they are tried.
FORMATS = ("google", "huggingface", "keras_hub", "tensorflow_models")


@dataclasses.dataclass(frozen=True)
class Head:
    """A model's head."""

    kind: str = "encoder"  # One of `bert_tf.kinds.table.KINDS`.
    labels: tuple[str, ...] = ()  # The classes in the order of the outputs.


@dataclasses.dataclass(frozen=True)
class TokenizerFiles:
    """A model's vocabulary and text normalization; None where unknown."""

    vocab: tuple[str, ...] | None = None  # The tokens in the order of their ids.
    do_lower_case: bool | None = None
    strip_accents: bool | None = None


@dataclasses.dataclass(frozen=True)
class PretrainedModel:
    """The contents of a model's files."""

    format: str  # One of FORMATS.
    path: str  # Where it was read, for messages.
    config: BertConfig
    # With google-research's names and layout, and any `adam_m`, `adam_v` and `global_step`.
    weights: Mapping[str, np.ndarray]
    head: Head = Head()
    tokenizer: TokenizerFiles = TokenizerFiles()
    # Names of unread weights -> reasons; `redundant` are copies and constants.
    dropped: Mapping[str, str] = dataclasses.field(default_factory=dict)
    redundant: Mapping[str, str] = dataclasses.field(default_factory=dict)


def detect_format(path: str) -> str:
    """Returns which of FORMATS `path` has; raises a ValueError if none."""
    for name in FORMATS:
        if _module(name).recognizes(path):
            return name
    raise ValueError(
        f"{path}: no model of a known format. Supported: a google-research checkpoint "
        "(bert_config.json and bert_model.ckpt.index, or a zip of these), a Hugging Face folder "
        "(config.json and model.safetensors or pytorch_model.bin), a keras-hub preset (config.json "
        "and *.weights.h5, or a .keras file), a tensorflow/models checkpoint (.index)."
    )


def read_pretrained(path: str, format: str | None = None) -> PretrainedModel:
    """Reads a model of any known format; each format's module lists its files."""
    return _module(format or detect_format(path)).read(path)


def _module(name: str):
    return importlib.import_module(f"bert_tf.formats.{name}")


def find_prefix(path: str) -> str | None:
    """Returns the prefix of the TensorFlow checkpoint at `path`; None if there is none.

    `path` is a prefix (`.../bert_model.ckpt`), one of its files, or a folder, where the order is:
    the one named in the file `checkpoint`, `bert_model.ckpt`, the newest `model.ckpt-STEP`, the
    only checkpoint. Several others raise a ValueError.
    """
    prefix = _SUFFIX.sub("", path)
    if files.exists(f"{prefix}.index"):
        return prefix
    if not files.is_directory(path):
        return None
    has_newest = files.exists(files.join_path(path, "checkpoint"))
    released = files.join_path(path, CHECKPOINT_NAME)
    if files.exists(f"{released}.index") and not has_newest:
        return released
    import tensorflow as tf  # Not needed to find a released model.

    from bert_tf.training.checkpoint import find_checkpoint

    indices = [name for name in tf.io.gfile.listdir(path) if name.endswith(".index")]
    numbered = any(re.match(r"model\.ckpt-\d+\.", name) for name in indices)
    if len(indices) > 1 and not has_newest and not numbered:
        raise ValueError(
            f"{path}: there are {len(indices)} checkpoints. Name one of them: "
            f"{', '.join(sorted(name.removesuffix('.index') for name in indices))}"
        )
    return find_checkpoint(path) if indices else None


def is_object_based(prefix: str) -> bool:
    """Returns whether a checkpoint is object-based, not name-based."""
    with files.open_file(f"{prefix}.index") as file:
        return OBJECT_GRAPH.encode() in file.read()
