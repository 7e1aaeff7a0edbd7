"""Reads keras-hub's BERT models from their files; keras-hub need not be installed.

    preset folder                                  .keras archive (a zip)
      config.json          BertBackbone              config.json          of a backbone or a task
      model.weights.h5                               model.weights.h5
      task.json            BertTextClassifier, ...   assets/.../vocabulary.txt
      task.weights.h5      the head
      tokenizer.json, assets/tokenizer/vocabulary.txt

Groups in a .weights.h5 file are named by class and number (`layers/dense_1`), or by attribute in
older Keras versions. The encoder and classifiers compute the same as google-research's; the
masked-LM head is dropped, as it has the exact gelu and a LayerNorm epsilon of 1e-5.
"""

import dataclasses
import io
import re
import zipfile
from collections.abc import Mapping
from typing import Any

import h5py
import ml_dtypes
import numpy as np

from bert_tf import files
from bert_tf.config import BertConfig, check_form, parse_json, read_json
from bert_tf.formats import names
from bert_tf.formats.source import Head, PretrainedModel, TokenizerFiles, check_growth, find_beside
from bert_tf.kinds.table import CLASSIFIER, kind_of_weights

_CONFIG_NAME = "config.json"
_WEIGHTS_NAME, _TASK_WEIGHTS_NAME = "model.weights.h5", "task.weights.h5"
_BACKBONE = "BertBackbone"
_CLASSIFIERS = ("BertTextClassifier", "BertClassifier")  # The second is its older name.
_TASKS = (*_CLASSIFIERS, "BertMaskedLM", "BertTextEmbedder")
_VOCABULARIES = ("assets/tokenizer/vocabulary.txt", "assets/preprocessor/tokenizer/vocabulary.txt")
# Places in a file of weights, by class and by attribute, -> google-research's names.
_NAMES: names.Rules = (
    (r"^(layers|transformer_layers)/transformer_encoder/", "bert/encoder/layer_0/"),
    (r"^(layers|transformer_layers)/transformer_encoder_(\d+)/", r"bert/encoder/layer_\2/"),
    (r"/_self_attention_layer/_?(query|key|value)_dense/", r"/attention/self/\1/"),
    (r"/_self_attention_layer/_?output_dense/", "/attention/output/dense/"),
    (r"/_self_attention_layer_norm/", "/attention/output/LayerNorm/"),
    (r"/_feedforward_intermediate_dense/", "/intermediate/dense/"),
    (r"/_feedforward_output_dense/", "/output/dense/"),
    (r"/_feedforward_layer_norm/", "/output/LayerNorm/"),
    (r"^(layers/reversible|token)_embedding/vars/0$", names.WORD_EMBEDDINGS),
    (r"^(layers/)?position_embedding/vars/0$", "bert/embeddings/position_embeddings"),
    (r"^(layers/|segment_)embedding/vars/0$", "bert/embeddings/token_type_embeddings"),
    (r"^(layers/layer_normalization|embeddings_layer_norm)/", "bert/embeddings/LayerNorm/"),
    (r"^(layers/dense|pooled_dense)/", "bert/pooler/dense/"),
    (r"/LayerNorm/vars/0$", "/LayerNorm/gamma"),
    (r"/LayerNorm/vars/1$", "/LayerNorm/beta"),
    (r"/vars/0$", "/kernel"),
    (r"/vars/1$", "/bias"),
)
# Paths of the backbone, a classifier's scores and the masked-LM head.
_BACKBONE_PREFIXES = ("layers/bert_backbone/", "backbone/", "")
_SCORES = ("layers/dense", "output_dense")
_MASKED_LM = re.compile(r"(layers/|)masked_lm_head/")
# A classifier's activations that leave its weights usable for logits.
_LOGITS = (None, "linear", "softmax")


@dataclasses.dataclass(frozen=True)
class _Files:
    path: str  # The weights file or the archive, for messages.
    backbone: Mapping[str, Any]  # The serialized Keras object.
    task: Mapping[str, Any]  # Likewise; {} for a bare backbone.
    arrays: Mapping[str, np.ndarray]  # By path; those of `task.weights.h5` begin with its name.
    tokenizer: TokenizerFiles

    @property
    def is_classifier(self) -> bool:
        return self.task.get("class_name") in _CLASSIFIERS

    @property
    def activation(self) -> Any:
        return self.task["config"].get("activation") if self.task else None


def recognizes(path: str) -> bool:
    """Returns whether `path` is a preset's folder, a `.keras` archive or a `.weights.h5` file."""
    path = str(path)
    if files.is_directory(path):
        needed = (files.join_path(path, name) for name in (_CONFIG_NAME, _WEIGHTS_NAME))
        return all(map(files.exists, needed))
    return path.endswith((".keras", ".weights.h5")) and files.exists(path)


def read(path: str) -> PretrainedModel:
    """Reads a backbone, a classifier, or another task's backbone; for `path` see `recognizes`."""
    path = str(path)
    found = _read_archive(path) if path.endswith(".keras") else _read_folder(path)
    config = _config(found)
    weights, used = _read_weights(found, config)
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


def _read_weights(found: _Files, config: BertConfig) -> tuple[dict[str, np.ndarray], set[str]]:
    """Returns the weights of the encoder and a classifier, and their paths in the file."""
    starts = [p for p in _BACKBONE_PREFIXES if any(n.startswith(p) for n in found.arrays)]
    if not starts:
        raise ValueError(f"{found.path}: there are no weights in it.")
    prefix = starts[0]
    ours = {
        names.renamed(place.removeprefix(prefix), _NAMES): place
        for place in found.arrays
        if place.startswith(prefix)
    }
    num_layers = len({name.split("/")[2] for name in ours if name.startswith("bert/encoder/")})
    if num_layers > config.num_hidden_layers:
        raise ValueError(
            f"{found.path}: the file has {num_layers} layers, the config has "
            f"num_layers={config.num_hidden_layers}. Does the config belong to these weights?"
        )
    # In a file of a bare backbone, `layers/dense` is the pooler.
    scores_prefix = "" if prefix else f"{_TASK_WEIGHTS_NAME}/"
    heads = (CLASSIFIER,) if found.is_classifier and found.activation in _LOGITS else ()
    num_classes = found.task["config"].get("num_classes") if heads else None
    for number, name in enumerate(("output_weights", "output_bias")):
        places = (f"{scores_prefix}{layer}/vars/{number}" for layer in _SCORES)
        for place in filter(found.arrays.__contains__, places):
            ours[name] = place
    weights = {}
    for name, shape in names.weight_shapes(config, heads, num_classes).items():
        if name not in ours:
            raise ValueError(
                f"{found.path}: the weight that google-research names {name} is missing. Found: "
                f"{files.some(sorted(found.arrays))}"
            )
        variable = ours[name]
        where, value = f"{found.path}: {variable}", found.arrays[variable]
        weights[name] = names.from_keras(where, value, name, shape, config.num_attention_heads)
    return weights, {ours[name] for name in weights}


def _config(found: _Files) -> BertConfig:
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
        raise ValueError(f"{found.path}: the config of {_BACKBONE} lacks {error}.") from error
    except ValueError as error:
        raise ValueError(f"{found.path}: {error}") from error


def _reason(found: _Files, variable: str) -> str:
    place = variable.removeprefix(f"{_TASK_WEIGHTS_NAME}/")
    if _MASKED_LM.match(place):
        return "a masked-LM head with the exact gelu and a LayerNorm epsilon of 1e-5, unlike BERT's"
    if place.startswith("optimizer/"):
        return "state of a Keras optimizer, which differs from BERT's"
    if place.startswith(_SCORES) and found.is_classifier:
        return f"scores with the activation {found.activation!r} are not logits"
    return "not a part of BERT's encoder or of a supported head"


def _read_archive(path: str) -> _Files:
    with files.naming_damage(path), files.open_file(path) as file, zipfile.ZipFile(file) as archive:
        members = set(archive.namelist())
        check_growth(path, archive)
        missing = {_CONFIG_NAME, _WEIGHTS_NAME} - members
        if missing:
            raise ValueError(f"{path}: there is no {', '.join(sorted(missing))} in it.")
        description = parse_json(f"{path}: {_CONFIG_NAME}", archive.read(_CONFIG_NAME))
        arrays = _read_arrays(path, archive.read(_WEIGHTS_NAME))
        vocabulary = next((name for name in _VOCABULARIES if name in members), None)
        vocab = vocabulary and _vocab(f"{path}: {vocabulary}", archive.read(vocabulary))
    backbone, task = _backbone_and_task(path, description)
    preprocessor = (task.get("config", {}).get("preprocessor") or {}).get("config", {})
    tokenizer = _tokenizer(preprocessor.get("tokenizer"), vocab)
    return _Files(path, backbone, task, arrays, tokenizer)


def _read_folder(path: str) -> _Files:
    """Reads a preset folder; `path` is the folder or a weights file in it."""
    folder, name = (path, _WEIGHTS_NAME) if files.is_directory(path) else files.split_path(path)
    if name == _TASK_WEIGHTS_NAME:
        name = _WEIGHTS_NAME
    config, weights = (files.join_path(folder, n) for n in (_CONFIG_NAME, name))
    for needed in (config, weights):
        if not files.exists(needed):
            raise ValueError(f"{needed}: there is no such file, which a keras-hub preset has.")
    backbone, task = _backbone_and_task(config, read_json(config))
    if task_file := find_beside(folder, "task.json"):
        task = _backbone_and_task(task_file, read_json(task_file))[1]
    files.refuse_other_kinds(weights, "HDF5")
    arrays = _read_arrays(weights)
    if task_weights := find_beside(folder, _TASK_WEIGHTS_NAME):
        more = _read_arrays(task_weights)
        arrays |= {f"{_TASK_WEIGHTS_NAME}/{variable}": value for variable, value in more.items()}
    vocabulary = find_beside(folder, *_VOCABULARIES)
    vocab = vocabulary and _vocab(vocabulary, files.read_bytes(vocabulary))
    tokenizer = find_beside(folder, "tokenizer.json")
    description = read_json(tokenizer) if tokenizer else None
    return _Files(weights, backbone, task, arrays, _tokenizer(description, vocab))


def _backbone_and_task(path: str, description: Any) -> tuple[dict, dict]:
    """Splits a serialized Keras object into backbone and task ({} for a bare backbone)."""
    is_task = isinstance(description, dict) and description.get("class_name") in _TASKS
    check_form(path, description, {"config": dict} if is_task else dict)
    backbone = description["config"].get("backbone") if is_task else description
    name = backbone.get("class_name") if isinstance(backbone, dict) else None
    if name != _BACKBONE:
        raise ValueError(
            f"{path}: not a BERT of keras-hub: the class must be {_BACKBONE}, or one of "
            f"{', '.join(_TASKS)} with such a backbone. Received: {name!r}"
        )
    return backbone, description if is_task else {}


def _read_arrays(path: str, content: bytes | None = None) -> dict[str, np.ndarray]:
    """Returns the arrays of an HDF5 file by path, 16-bit ones unchanged.

    `content` is needed if the file is in an archive. What the file takes from other files is
    refused: any file of the user could become weights.
    """
    if content is None and files.is_remote(path):
        content = files.read_bytes(path)
    arrays: dict[str, np.ndarray] = {}
    left = files.max_unpacked_bytes(files.file_size(path) if content is None else len(content))

    def add(name: str, item: h5py.Group | h5py.Dataset) -> None:
        nonlocal left
        if isinstance(item, h5py.Group):
            links = {f"{name}/{key}": item.get(key, getlink=True) for key in item}
            _refuse(path, [n for n, link in links.items() if not isinstance(link, h5py.HardLink)])
            return
        _refuse(path, [name] if item.is_virtual or item.external else [])
        left -= item.nbytes
        if left < 0:
            raise ValueError(f"{path}: {name} grows beyond measure when read: {item.shape}.")
        value = np.asarray(item)
        is_bfloat16 = item.attrs.get("dtype") == "bfloat16"
        # Keras 2.13 has another name for the layers.
        name = name.replace("_layer_checkpoint_dependencies", "layers")
        arrays[name] = value.view(ml_dtypes.bfloat16) if is_bfloat16 else value

    with files.naming_damage(path):
        try:
            with h5py.File(path if content is None else io.BytesIO(content), "r") as file:
                add("", file)
                file.visititems(add)
        except OSError as error:  # HDF5 gives damage the numbers of the system's errors.
            raise ValueError(f"{path}: its weights cannot be read: {error}") from error
    return arrays


def _refuse(path: str, names_outside: list[str]) -> None:
    if names_outside:
        raise ValueError(
            f"{path}: refused: {names_outside[0].lstrip('/')} is a link, or its data lies in other "
            "files. All weights must be in this file."
        )


def _tokenizer(description: Any, vocab: tuple[str, ...] | None) -> TokenizerFiles:
    """Reads a serialized BertTokenizer with keras-hub's defaults."""
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
