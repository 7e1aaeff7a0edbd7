"""Describes a model that is read from or written to any format, and finds the format of files.

    folder or file ──> google.read, huggingface.read, ... ──> PretrainedModel
    PretrainedModel ──> google.write, huggingface.write ──> folder

A format is a module of this package with `recognizes(path) -> bool` and `read(path)`, which raises
a ValueError for missing or damaged files and for other models than BERT. Formats that can be
written also have `write(model, folder, overwrite)`, after which either all files are there or none,
and `without_place(model)`: the weights that the format cannot hold, each with the reason.
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
# The modules of the formats, in the order in which they are tried.
FORMATS = ("google", "huggingface", "keras_hub", "tensorflow_models")


@dataclasses.dataclass(frozen=True)
class Head:
    """A model's head, as far as its files say."""

    kind: str = "encoder"  # One of `bert_tf.kinds.table.KINDS`.
    labels: tuple[str, ...] = ()  # The classes in the order of the outputs.


@dataclasses.dataclass(frozen=True)
class TokenizerFiles:
    """A model's vocabulary and how text is normalized; None where its files do not say."""

    vocab: tuple[str, ...] | None = None  # The tokens in the order of their ids.
    do_lower_case: bool | None = None
    strip_accents: bool | None = None


@dataclasses.dataclass(frozen=True)
class PretrainedModel:
    """Holds everything that was read from a model's files."""

    format: str  # One of FORMATS.
    path: str  # Where it was read, for messages.
    config: BertConfig
    # Names and layout are google-research's; with `adam_m`, `adam_v` and `global_step` if the files
    # have them.
    weights: Mapping[str, np.ndarray]
    head: Head = Head()
    tokenizer: TokenizerFiles = TokenizerFiles()
    # Names in the files -> why they were not read; or, for copies and constants, what they are.
    dropped: Mapping[str, str] = dataclasses.field(default_factory=dict)
    redundant: Mapping[str, str] = dataclasses.field(default_factory=dict)


def detect_format(path: str) -> str:
    """Returns which of FORMATS the files at `path` have."""
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
    """Reads a model of any known format; see the formats' modules for the files that each needs."""
    return _module(format or detect_format(path)).read(path)


def _module(name: str):
    return importlib.import_module(f"bert_tf.formats.{name}")


def find_prefix(path: str) -> str | None:
    """Returns the prefix of the TensorFlow checkpoint at `path`; None if there is none.

    `path` is a prefix (`.../bert_model.ckpt`), one of its files, or a folder. In a folder the one
    that the file `checkpoint` names comes first, then `bert_model.ckpt`, then the newest
    `model.ckpt-STEP`, then the only checkpoint.
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
    """Returns whether a checkpoint is a graph of objects, and not variables by name."""
    with files.open_file(f"{prefix}.index") as file:
        return OBJECT_GRAPH.encode() in file.read()
