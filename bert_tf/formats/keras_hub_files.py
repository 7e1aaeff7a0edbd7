"""Reads the files of keras-hub's models: preset folders, `.keras` archives, HDF5 files, shards.

    preset folder                                  .keras archive (a zip)
      config.json          BertBackbone              config.json          of a backbone or a task
      model.weights.h5     or model.weights.json     model.weights.h5
                           and its shards            assets/.../vocabulary.txt
      task.json            BertTextClassifier, ...
      task.weights.h5      the head
      tokenizer.json, assets/tokenizer/vocabulary.txt

All of them give the same result: Keras' configs, and arrays by their paths.
"""

import dataclasses
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import h5py
import ml_dtypes
import numpy as np

from bert_tf import files
from bert_tf.config import read_json
from bert_tf.formats.source import TokenizerFiles

CONFIG_NAME = "config.json"
WEIGHTS_NAME, SHARDS_NAME = "model.weights.h5", "model.weights.json"
TASK_WEIGHTS_NAME = "task.weights.h5"
BACKBONE = "BertBackbone"
_CLASSIFIERS = ("BertTextClassifier", "BertClassifier")  # The second is its older name.
_TASKS = (*_CLASSIFIERS, "BertMaskedLM", "BertTextEmbedder")
_VOCABULARIES = (
    "assets/tokenizer/vocabulary.txt",
    "assets/preprocessor/tokenizer/vocabulary.txt",
)
_ARCHIVE_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, EOFError, json.JSONDecodeError, UnicodeDecodeError),
)


@dataclasses.dataclass(frozen=True)
class KerasFiles:
    """Holds the content of a model's files."""

    path: str  # The weights file or the archive, for messages.
    backbone: Mapping[str, Any]  # The serialized Keras object.
    task: Mapping[str, Any]  # Likewise; {} for a bare backbone.
    arrays: Mapping[str, np.ndarray]  # By path; those of `task.weights.h5` begin with its name.
    tokenizer: TokenizerFiles

    @property
    def is_classifier(self) -> bool:
        """Whether the task is a classifier of texts."""
        return self.task.get("class_name") in _CLASSIFIERS

    @property
    def activation(self) -> Any:
        """A classifier's activation: its name, None, or Keras' description of a function."""
        return self.task["config"].get("activation") if self.task else None


def read_archive(path: str) -> KerasFiles:
    """Reads a `.keras` archive.

    Raises:
        ValueError: if it is damaged, lacks a file, or holds another model.
    """
    try:
        with files.open_file(path) as file, zipfile.ZipFile(file) as archive:
            members = set(archive.namelist())
            missing = {CONFIG_NAME, WEIGHTS_NAME} - members
            if missing:
                raise ValueError(f"{path}: there is no {', '.join(sorted(missing))} in it.")
            description = json.loads(archive.read(CONFIG_NAME))
            arrays = _read_arrays(path, io.BytesIO(archive.read(WEIGHTS_NAME)))
            vocabulary = next((name for name in _VOCABULARIES if name in members), None)
            vocab = vocabulary and _vocab(f"{path}: {vocabulary}", archive.read(vocabulary))
    except _ARCHIVE_DAMAGE as error:
        raise ValueError(f"{path}: the archive is damaged: {error}") from error
    backbone, task = _backbone_and_task(path, description)
    preprocessor = (task.get("config", {}).get("preprocessor") or {}).get("config", {})
    tokenizer = _tokenizer(preprocessor.get("tokenizer"), vocab)
    return KerasFiles(path, backbone, task, arrays, tokenizer)


def read_folder(path: str) -> KerasFiles:
    """Reads a preset folder, given by its path or that of a weights file in it.

    Raises:
        ValueError: if a file is damaged, missing, or another model's.
    """
    folder, name = (path, WEIGHTS_NAME) if files.is_directory(path) else files.split_path(path)
    if name == TASK_WEIGHTS_NAME:
        name = WEIGHTS_NAME
    if name == WEIGHTS_NAME and not files.exists(files.join_path(folder, name)):
        name = SHARDS_NAME
    config, weights = (files.join_path(folder, n) for n in (CONFIG_NAME, name))
    for needed in (config, weights):
        if not files.exists(needed):
            raise ValueError(
                f"{needed}: there is no such file. A keras-hub preset has {CONFIG_NAME} and "
                f"{WEIGHTS_NAME} (or {SHARDS_NAME}) in one folder."
            )
    backbone, task = _backbone_and_task(config, read_json(config))
    if task_file := _existing(folder, "task.json"):
        task = _backbone_and_task(task_file, read_json(task_file))[1]
    arrays = _read_weights(weights)
    if task_weights := _existing(folder, TASK_WEIGHTS_NAME):
        more = _read_weights(task_weights)
        arrays |= {f"{TASK_WEIGHTS_NAME}/{variable}": value for variable, value in more.items()}
    vocabulary = _existing(folder, *_VOCABULARIES)
    vocab = vocabulary and _vocab(vocabulary, _read_bytes(vocabulary))
    tokenizer = _existing(folder, "tokenizer.json")
    description = read_json(tokenizer) if tokenizer else None
    return KerasFiles(weights, backbone, task, arrays, _tokenizer(description, vocab))


def _existing(folder: str, *names: str) -> str | None:
    """Returns the path of the first of these files that exists."""
    paths = (files.join_path(folder, name) for name in names)
    return next((path for path in paths if files.exists(path)), None)


def _backbone_and_task(path: str, description: Any) -> tuple[dict, dict]:
    """Splits a serialized Keras object into backbone and task; {} is the task of a bare backbone.

    Raises:
        ValueError: if it is neither a BertBackbone nor a task with one.
    """
    is_task = isinstance(description, dict) and description.get("class_name") in _TASKS
    backbone = description.get("config", {}).get("backbone") if is_task else description
    name = backbone.get("class_name") if isinstance(backbone, dict) else None
    if name != BACKBONE:
        raise ValueError(
            f"{path}: not a BERT of keras-hub: the class must be {BACKBONE}, or one of "
            f"{', '.join(_TASKS)} with such a backbone. Received: {name!r}"
        )
    return backbone, description if is_task else {}


def _read_weights(path: str) -> dict[str, np.ndarray]:
    """Reads the arrays of a `.weights.h5` file, or of the shards that a `.weights.json` lists."""
    if not path.endswith(".json"):
        return _read_arrays(path, io.BytesIO(_read_bytes(path)) if files.is_remote(path) else path)
    content = read_json(path)
    weight_map = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(weight_map, dict):
        raise ValueError(
            f"{path}: a JSON object with weight_map is needed. Received: {content!r:.80}"
        )
    shards = {
        s for value in weight_map.values() for s in ([value] if isinstance(value, str) else value)
    }
    arrays: dict[str, np.ndarray] = {}
    for shard in sorted(shards):
        shard_path = _existing(files.split_path(path)[0], shard)
        if "/" in shard or shard_path is None:
            raise ValueError(f"{path}: there is no shard {shard!r} beside it.")
        arrays |= _read_weights(shard_path)
    return arrays


def _read_arrays(path: str, file: str | io.BytesIO) -> dict[str, np.ndarray]:
    """Returns every array of an HDF5 file by its path; 16-bit arrays stay 16-bit."""
    arrays: dict[str, np.ndarray] = {}

    def add(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            value = np.asarray(item)
            is_bfloat16 = item.attrs.get("dtype") == "bfloat16"
            # Keras 2.13 has another name for the layers.
            name = name.replace("_layer_checkpoint_dependencies", "layers")
            arrays[name] = value.view(ml_dtypes.bfloat16) if is_bfloat16 else value

    try:
        with h5py.File(file, "r") as content:
            content.visititems(add)
    except (OSError, RuntimeError, KeyError) as error:
        raise ValueError(f"{path}: its weights cannot be read: {error}") from error
    return arrays


def _tokenizer(description: Any, vocab: tuple[str, ...] | None) -> TokenizerFiles:
    """Reads a serialized BertTokenizer; keys that it lacks have keras-hub's defaults."""
    if not description:
        return TokenizerFiles(vocab)
    values = description.get("config", {})
    if vocab is None and isinstance(values.get("vocabulary"), list):
        vocab = tuple(values["vocabulary"])
    return TokenizerFiles(
        vocab, bool(values.get("lowercase", False)), bool(values.get("strip_accents", False))
    )


def _vocab(where: str, content: bytes) -> tuple[str, ...]:
    try:
        lines = content.decode("utf-8").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{where}: not UTF-8 at byte {error.start}.") from error
    return tuple(line.rstrip() for line in lines)


def _read_bytes(path: str) -> bytes:
    with files.open_file(path) as file:
        return file.read()
