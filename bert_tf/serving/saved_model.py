"""Writes a SavedModel with a description of it.

EXPORT_DIR/3/saved_model.pb, variables/     what TensorFlow Serving loads
EXPORT_DIR/3/assets.extra/serving.json      what the model is, its signatures and outputs
EXPORT_DIR/3/assets.extra/vocab.txt, bert_config.json
EXPORT_DIR/3/assets.extra/tf_serving_warmup_requests
"""

import json
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf
import tensorflow_text

from bert_tf import files
from bert_tf.inference.versions import DESCRIPTION
from bert_tf.kinds.graph import ServedGraph
from bert_tf.kinds.loaded_model import LoadedModel
from bert_tf.kinds.table import find_kind
from bert_tf.version import __version__


def write_saved_model(folder: str, loaded: LoadedModel, graph: ServedGraph) -> dict[str, Any]:
    """Writes a SavedModel, and beside it what describes it.

    Args:
        folder: a new folder.

    Returns: the description.
    """
    signatures = graph.signatures()
    tf.saved_model.save(graph, folder, signatures=signatures)
    description = describe(loaded, graph, signatures)
    extra = files.join_path(folder, "assets.extra")
    files.make_directories(extra)
    contents = {
        files.join_path(folder, DESCRIPTION): json.dumps(description, indent=2, ensure_ascii=False),
        files.join_path(extra, "vocab.txt"): "\n".join(loaded.tokenizer.exact.vocab),
        files.join_path(extra, "bert_config.json"): loaded.config.to_json_string().rstrip(),
    }
    for path, content in contents.items():
        with files.open_file(path, "w") as file:
            file.write(content + "\n")
    return description


def describe(
    loaded: LoadedModel, graph: ServedGraph, signatures: Mapping[str, Any]
) -> dict[str, Any]:
    """What the SavedModel is, for people and for `SavedModelPredictor`."""
    basic = loaded.tokenizer.exact.basic_tokenizer
    heads = ["bert/pooler"] if loaded.has_pooler else []
    heads += [h.rstrip("/") for h in find_kind(loaded.kind).heads if loaded.has_head(h)]
    return {
        "kind": loaded.kind,
        "inputs": list(loaded.inputs),
        "labels": list(loaded.labels),
        "outputs": graph.outputs,
        "signatures": {name: _described(function) for name, function in signatures.items()},
        "max_seq_length": loaded.max_seq_length,
        "do_lower_case": basic.do_lower_case,
        "strip_accents": basic.strip_accents,
        "top_k": getattr(graph, "top_k", 0),
        "pooling": getattr(graph, "pooling", ""),
        "heads": heads,
        "precision": "float16" if graph.weights.half else "float32",
        "versions": {
            "bert_tf": __version__,
            "tensorflow": tf.__version__,
            "tensorflow_text": tensorflow_text.__version__,
            "keras": keras.__version__,
        },
    }


def _described(function) -> dict[str, dict[str, str]]:
    inputs, _ = function.structured_input_signature
    outputs = function.structured_outputs
    return {
        "inputs": {spec.name: _spec(spec) for spec in inputs},
        "outputs": {name: _spec(spec) for name, spec in outputs.items()},
    }


def _spec(spec) -> str:
    shape = ", ".join("?" if size is None else str(size) for size in spec.shape)
    return f"{spec.dtype.name} [{shape}]"
