"""Holds a model read from any format, and detects the format of files.

    folder or file ──> google.read, huggingface.read, ... ──> PretrainedModel
    PretrainedModel ──> google.write, huggingface.write ──> folder

A format is a module with `recognizes(path) -> bool` and `read(path)`, which raises a ValueError for
missing or damaged files and for models other than BERT. Some also have `write(model, folder,
overwrite)`, which writes all files or none, and `without_place(model)`: the weights that the format
cannot hold, with the reasons.
"""

import dataclasses
import fnmatch
import importlib
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from bert_tf import files
from bert_tf.config import BertConfig
from bert_tf.files.checkpoints import BEST_FOLDER

# google-research's names.
CONFIG_NAME = "bert_config.json"
CONFIG_NAMES = (CONFIG_NAME, "albert_config.json")  # As released; the first is written.
# Object-based checkpoints (Keras, tensorflow/models) have it, name-based ones do not.
OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
# Modules, in the order in which they are tried.
FORMATS = ("google", "huggingface", "keras_hub", "tensorflow_models")

_SAVE = (
    "from_pretrained(FOLDER{}).save_pretrained(NEW_FOLDER) there writes files that are read here."
)
# Pattern of a file's name -> what it is, and the step to a format that is read.
_ONE_STEP_AWAY = {
    "flax_model*.msgpack": "weights of transformers 4 with Flax. AutoModel."
    + _SAVE.format(", from_flax=True"),
    "adapter_*": "a PEFT adapter without its base model. AutoPeftModel.from_pretrained(FOLDER)"
    ".merge_and_unload().save_pretrained(NEW_FOLDER) writes both as one model.",
    "*.onnx": "an ONNX graph, made for inference. Give the model from which it was exported.",
    "*.gguf": "a GGUF file of llama.cpp, made for inference. Give the model it was made from.",
    "*.tflite": "a TFLite file, made for inference. Give the model from which it was exported.",
    "openvino_model.*": "a model of OpenVINO. Give the model from which it was exported.",
    "rust_model.ot": "weights of rust-bert. Give the folder from which they were converted.",
    "model.mar": "an archive of TorchServe. Unpack it (unzip) and give the folder.",
    "saved_model.pb": "a SavedModel. Predictor runs those that were exported here; for training, "
    "give the model from which it was exported.",
    "*.tar*": "an archive. Unpack it (tar -xf) and give the folder.",
    "*.tgz": "an archive. Unpack it (tar -xf) and give the folder.",
    "*.zip": "an archive. Give its path, or unpack it.",
    "pytorch_model.bin.*": "a part of a download. Put the parts together, or download it again.",
}


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
    # The content of a SentencePiece model, or a tokenizer.json, whose tokens `vocab` has.
    model: bytes | None = None

    @property
    def is_byte_bpe(self) -> bool:
        return self.model is not None and self.model.startswith(b"{")


@dataclasses.dataclass(frozen=True)
class PretrainedModel:
    """The contents of a model's files; its vocabulary must not exceed the word embeddings."""

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
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # Of its kind, by name.
    max_seq_length: int | None = None  # In tokens, if the files say.
    notes: tuple[str, ...] = ()  # What the reader found or assumed, in sentences.

    def __post_init__(self) -> None:
        num_tokens, num_rows = len(self.tokenizer.vocab or ()), self.config.vocab_size
        if num_tokens > num_rows:
            raise ValueError(
                f"{self.path}: the vocabulary has {num_tokens} tokens, the model's word embeddings "
                f"have {num_rows} rows. Is it another model's vocabulary?"
            )


def detect_format(path: str) -> str:
    """Returns which of FORMATS `path` has; raises a ValueError if none."""
    for name in FORMATS:
        if _module(name).recognizes(path):
            return name
    listed = files.list_folder(path)
    inside = [files.join_path(path, name) for name in listed]
    seen = _steps(listed or [files.split_path(path)[1]])
    if seen:
        pass
    elif models := [sub for sub in inside if any(_module(n).recognizes(sub) for n in FORMATS)]:
        seen = [f"A model lies in {files.some(models, ' and in ')}: give that path."]
    elif files.is_directory(path):
        below = [f"{name}/{sub}" for name in listed for sub in files.list_folder(f"{path}/{name}")]
        seen = _steps(below) or [f"In the folder: {files.some(listed) or 'nothing'}."]
    elif files.exists(path):
        kind = files.kind_of(path)
        remedy = files.remedy_for(path, kind)
        seen = [f"It is {kind}{f' ({remedy})' if remedy else ''}."]
    raise ValueError(
        f"{path}: no model of a known format. {' '.join([*seen, ''])}Supported: a google-research "
        "checkpoint (bert_config.json and bert_model.ckpt.index, or a zip of these), a TF-Hub "
        "module (saved_model.pb and variables), a Hugging Face folder (config.json and "
        "model.safetensors, pytorch_model.bin or tf_model.h5), a Keras model with a TFBertModel "
        "(.h5), a keras-hub preset (config.json and *.weights.h5, or a .keras file), a "
        "tensorflow/models checkpoint (.index)."
    )


def _steps(names: Iterable[str]) -> list[str]:
    """Returns, of files in layouts one step from one that is read, what they are and the step."""
    return [
        f"{name}: {what}"
        for name in names
        for pattern, what in _ONE_STEP_AWAY.items()
        if fnmatch.fnmatch(files.split_path(name)[1], pattern)
    ]


def read_pretrained(path: str, format: str | None = None) -> PretrainedModel:
    """Reads a model of any known format; each format's module lists its files."""
    with files.naming_damage(path):
        return _module(format or detect_format(path)).read(path)


def _module(name: str):
    return importlib.import_module(f"bert_tf.formats.{name}")


def check_growth(path: str, archive: zipfile.ZipFile) -> None:
    """Raises a ValueError if a file in a zip was made to fill the memory or the disk."""
    for member in archive.infolist():
        if member.file_size > files.max_unpacked_bytes(member.compress_size):
            raise ValueError(
                f"{path}: refused: {member.filename!r} in the zip grows from "
                f"{member.compress_size:,} to {member.file_size:,} bytes."
            )


def folders_of(prefix: str) -> list[str]:
    """Returns the folders in which the files of a checkpoint's model may be."""
    folder, name = files.split_path(prefix)
    parent, folder_name = files.split_path(folder)
    if name == "variables":  # A TF-Hub module.
        return [folder, parent, files.join_path(parent, "assets")]
    return [folder, parent] if folder_name == BEST_FOLDER else [folder]


def find_beside(folder: str, *names: str) -> str | None:
    """Returns the path of the first of these files that a folder has, or None."""
    paths = (files.join_path(folder, name) for name in names)
    return next((path for path in paths if files.exists(path)), None)


def find_config(folder: str) -> str | None:
    """Returns the path of google-research's configuration in a folder, or None."""
    return find_beside(folder, *CONFIG_NAMES)


def removed_prefix(prefix: str) -> tuple[str, ...]:
    """Returns the note about a prefix that a reader removed from all names, if any."""
    return (f"{prefix!r} was removed from the names of its weights.",) if prefix else ()


def is_object_based(prefix: str) -> bool:
    """Returns whether a checkpoint is object-based, not name-based."""
    return OBJECT_GRAPH.encode() in files.read_bytes(f"{prefix}.index")
