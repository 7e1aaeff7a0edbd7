"""Writes a SavedModel with all that is beside it, see `inference.versions`.

assets.extra/serving.json                       its description
assets.extra/tf_serving_warmup_requests         what TensorFlow Serving runs before it is ready
batching_params.pbtxt                           read with --enable_per_model_batching_parameters
"""

import importlib.util
import json
import logging
from typing import Any

import keras
import tensorflow as tf
import tensorflow_text

from bert_tf import files
from bert_tf.inference.versions import DESCRIPTION
from bert_tf.kinds.graph import ServedGraph
from bert_tf.kinds.length_runner import IDS
from bert_tf.kinds.table import find_kind
from bert_tf.kinds.text_model import LoadedModel
from bert_tf.version import __version__

logger = logging.getLogger(__name__)

_WARMUP_REQUESTS = "assets.extra/tf_serving_warmup_requests"
_BATCHING = "batching_params.pbtxt"
BATCH_SIZES = (1, 2, 4, 8, 16, 32)  # To which the server fills up what it combines.
_README = """# A BERT model for {kind}, as a SavedModel

Written by bert-tf {version} with TensorFlow {tensorflow}. It takes {what} ({inputs}). To call it
from this folder, TensorFlow and TensorFlow Text of the same version are enough:

```python
import tensorflow as tf
import tensorflow_text  # The tokenizer's operations; without it, loading fails.

call = tf.saved_model.load(".").signatures["serving_default"]
outputs = call({arguments})
```

{outputs}

`assets.extra/serving.json` describes all signatures. TensorFlow Serving needs no further files.
"""
_TEXT = "The leader of the expedition was John Smith (1895-1943), who had been to sea before. "


def write_saved_model(folder: str, loaded: LoadedModel, graph: ServedGraph) -> dict[str, Any]:
    """Writes a SavedModel into a new folder, and returns its description."""
    signatures = graph.signatures()
    tf.saved_model.save(graph, folder, signatures=signatures)
    description = _description(loaded, graph, signatures)
    extra = files.join_path(folder, "assets.extra")
    files.make_directories(extra)
    contents = {
        files.join_path(folder, DESCRIPTION): json.dumps(description, indent=2, ensure_ascii=False),
        files.join_path(folder, "README.md"): _readme(description, loaded).rstrip(),
        files.join_path(extra, "bert_config.json"): loaded.config.to_json_string().rstrip(),
    }
    if graph.tokenizer:  # Rows of ids are not padded with zeros by the server.
        contents[files.join_path(folder, _BATCHING)] = _batching()
    for path, content in contents.items():
        with files.open_file(path, "w") as file:
            file.write(content + "\n")
    tokenizer = loaded.tokenizer
    with files.open_file(files.join_path(extra, tokenizer.vocabulary_name), "wb") as file:
        file.write(tokenizer.vocabulary_content())
    return description


def _batching() -> str:
    """Returns parameters for online requests; the number of threads is the server's own."""
    return "\n".join(
        [
            f"max_batch_size {{ value: {BATCH_SIZES[-1]} }}",
            "batch_timeout_micros { value: 1000 }",
            *(f"allowed_batch_sizes: {size}" for size in BATCH_SIZES),
        ]
    )


def _description(
    loaded: LoadedModel, graph: ServedGraph, signatures: dict[str, Any]
) -> dict[str, Any]:
    pooler = ["bert/pooler"] if loaded.has_pooler else []
    return {
        "kind": loaded.kind,
        "inputs": list(loaded.inputs if graph.tokenizer else IDS),
        "labels": list(loaded.labels),
        "outputs": graph.text_model.outputs,
        "signatures": {name: _signature(call) for name, call in signatures.items()},
        "max_seq_length": loaded.max_seq_length,
        "do_lower_case": loaded.tokenizer.do_lower_case,
        "strip_accents": loaded.tokenizer.strips_accents,
        "top_k": getattr(graph.text_model, "top_k", 0),
        "pooling": getattr(graph.text_model, "pooling", ""),
        "heads": pooler + [head.rstrip("/") for head in loaded.heads],
        "precision": "float16" if graph.half else "float32",
        "versions": {
            "bert_tf": __version__,
            "tensorflow": tf.__version__,
            "tensorflow_text": tensorflow_text.__version__,
            "keras": keras.__version__,
        },
    }


def _readme(description: dict[str, Any], loaded: LoadedModel) -> str:
    kind, special = find_kind(description["kind"]), loaded.tokenizer.special_ids
    takes_ids = tuple(description["inputs"]) == IDS
    if takes_ids:  # Of an empty text.
        rows = dict(zip(IDS, ([int(special.cls), int(special.sep)], [1, 1], [0, 0]), strict=True))
        values = {name: [[row]] if kind.ids_rank == 3 else [row] for name, row in rows.items()}
    else:
        lists = kind.list_inputs
        values = {n: [["A", "B"]] if n in lists else ["A text."] for n in description["inputs"]}
    arguments = (f"{name}=tf.constant({value})" for name, value in values.items())
    return _README.format(
        kind=description["kind"],
        version=__version__,
        tensorflow=tf.__version__,
        what="ids of tokens" if takes_ids else "raw text",
        inputs=", ".join(description["inputs"]),
        arguments=", ".join(arguments),
        outputs="\n".join(f"- `{n}`: {text}" for n, text in description["outputs"].items()),
    )


def _signature(call: tf.types.experimental.ConcreteFunction) -> dict[str, dict[str, str]]:
    def described(spec) -> str:
        shape = ", ".join("?" if size is None else str(size) for size in spec.shape)
        return f"{spec.dtype.name} [{shape}]"

    inputs, _ = call.structured_input_signature
    return {
        "inputs": {spec.name: described(spec) for spec in inputs},
        "outputs": {name: described(spec) for name, spec in call.structured_outputs.items()},
    }


def write_warmup_requests(folder: str, model_name: str, loaded: LoadedModel) -> int:
    """Writes a request of each of BATCH_SIZES, as the first of each takes longer.

    Returns their number; 0 without the extra `serving`.
    """
    if importlib.util.find_spec("tensorflow_serving") is None:
        logger.info(
            "No warm-up requests: they need pip install 'tensorflow-serving-api==%s.*'",
            tf.__version__.rpartition(".")[0],
        )
        return 0
    from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_log_pb2

    lists = find_kind(loaded.kind).list_inputs
    # Of different lengths.
    batches = [[_TEXT * (1 + number % 8) for number in range(size)] for size in BATCH_SIZES]
    with tf.io.TFRecordWriter(files.join_path(folder, _WARMUP_REQUESTS)) as writer:
        for texts in batches:
            request = predict_pb2.PredictRequest(
                model_spec=model_pb2.ModelSpec(name=model_name, signature_name="serving_default"),
                inputs={
                    name: tf.make_tensor_proto([[t, t] for t in texts] if name in lists else texts)
                    for name in loaded.inputs
                },
            )
            predict_log = prediction_log_pb2.PredictLog(request=request)
            log = prediction_log_pb2.PredictionLog(predict_log=predict_log)
            writer.write(log.SerializeToString())
    return len(batches)
