"""Reads the HDF5 files that transformers 4 wrote with TensorFlow; transformers is not needed.

tf_model.h5    `save_pretrained` of a TFBert... class; or shards, tf_model-00001-of-00003.h5
NAME.h5        `save` or `save_weights` of a Keras model with a TFBert... layer

    bert/tf_bert_for_pre_training/bert/encoder/layer_._0/output/dense/kernel:0    in the file
    tf_bert_for_pre_training.bert.encoder.layer.0.output.dense.weight             returned

The first part is Keras' layer; shards lack it and the class. `save` also keeps the model's graph,
in which a dense layer on the pooled output is the classifier of `BertForSequenceClassification`.

Source: transformers 4.49, modeling_tf_utils.py and modeling_tf_pytorch_utils.py.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np

from bert_tf import files
from bert_tf.config import check_form

SUFFIX, INDEX_SUFFIX = ".h5", ".h5.index.json"
WEIGHTS_NAMES = ("tf_model.h5", "tf_model.h5.index.json")
_LAST_PARTS = {"kernel": "weight", "gamma": "weight", "embeddings": "weight", "beta": "bias"}
_LAYER_CLASS = re.compile(r"(?:Custom>|\w+>)?TF(\w+?)(Model|MainLayer)")
_POOLED_OUTPUT = 1  # The place of `pooler_output` among the outputs of such a layer.
_MODEL_FORM = {"config": {"layers": [{"class_name": str, "config": dict}]}}


def is_h5(path: str) -> bool:
    """Returns whether a path has the name of such a file, and not of one of Keras 3."""
    return path.endswith(SUFFIX) and not path.endswith(".weights.h5")


def read_h5(path: str) -> dict[str, np.ndarray]:
    """Returns the weights of a file by PyTorch's names and in its layout, [out, in]."""
    files.refuse_other_kinds(path, "HDF5")
    arrays: dict[str, np.ndarray] = {}

    def add(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset) and not name.startswith("optimizer_weights/"):
            arrays[name.removeprefix("model_weights/")] = node[()]

    with files.naming_damage(path), files.open_file(path) as file, h5py.File(file) as content:
        content.visititems(add)
        if "keras_version" in content.attrs or "model_weights" in content:  # Not a shard.
            arrays = {name.partition("/")[2]: value for name, value in arrays.items()}
        classifier = _classifier(path, content.attrs.get("model_config"))
    tensors = {}
    for name, value in arrays.items():
        new = torch_name(name)
        # Keras' `trainable_weights` of a layer within a layer are stored with each: equal copies.
        is_kernel = name.removesuffix(":0").endswith("/kernel")
        tensors[new] = np.ascontiguousarray(value.T) if is_kernel else value
    for name in [name for name in tensors if name.endswith(".decoder.bias")]:
        # ALBERT has two biases there, of which it adds this one.
        tensors[name.replace(".decoder.", ".")] = tensors[name]
    for part in ("weight", "bias") if classifier else ():
        tensors[f"classifier.{part}"] = tensors.pop(f"{classifier}.{part}")
    return tensors


def torch_name(name: str) -> str:
    """Returns the name that transformers gives a weight of TensorFlow in PyTorch."""
    name = name.removesuffix(":0").replace("_._", "/")
    *parts, last = [part.rpartition("___")[2] for part in name.split("/")]  # mlm___cls is cls.
    return ".".join([*parts, _LAST_PARTS.get(last, last)])


def read_h5_config(path: str) -> dict[str, Any] | None:
    """Returns the content of a config.json for the encoder in a whole Keras model; None of others.

    `architectures` names a classifier if the model has one that is read, else the encoder.
    """
    with files.naming_damage(path), files.open_file(path) as file, h5py.File(file) as content:
        graph = content.attrs.get("model_config")
    encoder = _encoder(path, graph)
    if encoder is None:
        return None
    settings = encoder["config"]
    settings = settings.get("config", settings)  # A main layer's are one level deeper.
    end = "ForSequenceClassification" if _classifier(path, graph) else "Model"
    name = _LAYER_CLASS.fullmatch(encoder["class_name"])[1]
    labels = {"id2label", "label2id", "problem_type"}  # Of an unused classifier.
    kept = {key: value for key, value in settings.items() if key not in labels}
    return {**kept, "architectures": [f"{name}{end}"]}


def _layers(path: str, graph: str | bytes | None) -> list[Mapping[str, Any]]:
    if graph is None:
        return []
    model = json.loads(graph)
    check_form(f"{path}: model_config", model, _MODEL_FORM)
    return model["config"]["layers"]


def _encoder(path: str, graph: str | bytes | None) -> Mapping[str, Any] | None:
    layers = _layers(path, graph)
    found = [layer for layer in layers if _LAYER_CLASS.fullmatch(layer["class_name"])]
    if layers and len(found) != 1:
        classes = sorted({layer["class_name"] for layer in layers})
        raise ValueError(
            f"{path}: a Keras model with one TFBertModel or TFBertMainLayer among its layers is "
            f"needed. It has {len(found)}; its layers: {files.some(classes)}."
        )
    return found[0] if found else None


def _classifier(path: str, graph: str | bytes | None) -> str | None:
    """Returns the name of a dense layer that scores the pooled output, if the model ends in one."""
    encoder = _encoder(path, graph)
    settings = encoder["config"].get("config", encoder["config"]) if encoder else {}
    if settings.get("model_type") not in ("bert", "albert"):  # Others have no such classifier.
        return None
    sources = {}
    for layer in _layers(path, graph):
        nodes = layer.get("inbound_nodes")
        if nodes and isinstance(nodes[0], list) and isinstance(nodes[0][0], list):
            sources[layer["config"].get("name")] = nodes[0][0][:3]
    for layer in _layers(path, graph):
        config, name = layer["config"], layer["config"].get("name")
        if layer["class_name"] != "Dense" or config.get("activation") not in ("linear", "softmax"):
            continue
        source, _, output = sources.get(name, (None, 0, 0))
        dropouts = {
            d["config"]["name"] for d in _layers(path, graph) if d["class_name"] == "Dropout"
        }
        while source in dropouts:
            source, _, output = sources.get(source, (None, 0, 0))
        if (source, output) == (encoder.get("name"), _POOLED_OUTPUT) and config.get("use_bias"):
            return name
    return None
