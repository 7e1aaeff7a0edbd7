"""A small stand-in for TensorFlow Serving: its REST API, on this machine, for tests.

    with ServingStandIn({"reviews": "exported"}) as server:    # exported/1/saved_model.pb
        status, answer = server.request("/v1/models/reviews:predict", {"instances": ["good"]})

    GET  /v1/models/NAME[/versions/N]               {"model_version_status": [...]}
    GET  /v1/models/NAME[/versions/N]/metadata      {"model_spec": ..., "metadata": ...}
    POST /v1/models/NAME[/versions/N]:predict       {"predictions": ...} or {"outputs": ...}
    POST /v1/models/NAME[/versions/N]:classify      {"results": [[[label, score], ...], ...]}
    POST /v1/models/NAME[/versions/N]:regress       {"results": [number, ...]}

As the server does by default, it loads the highest version of each model and nothing but
TensorFlow and tensorflow-text, asks it by its signatures, and does not look at their method names
(so that models saved by TensorFlow 2 can be classified with). Not here: labels of versions,
batching, warm-up.

Source: https://www.tensorflow.org/tfx/serving/api_rest; tensorflow/serving, model_servers/.
"""

import http.client
import json
import re
import threading
import urllib.parse
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import serving_json
import tensorflow as tf
import tensorflow_text  # noqa: F401  (its ops)
from google.protobuf import json_format
from serving_json import RequestError
from tensorflow.core.protobuf import saved_model_pb2

_PREDICTION = re.compile(
    r"/v1/models/([^/:]+)(?:/versions/(\d+))?:(classify|regress|predict)", re.IGNORECASE
)
_STATUS = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+))?(/metadata)?", re.IGNORECASE)
_DEFAULT_SIGNATURE = "serving_default"
# Python's own functions, which no server has.
_PYTHON_OPS = {"PyFunc", "PyFuncStateless", "EagerPyFunc"}
# Where TensorFlow's codes of errors are no bad requests.
_STATUS_OF_ERROR = {
    tf.errors.NOT_FOUND: 404,
    tf.errors.ALREADY_EXISTS: 409,
    tf.errors.ABORTED: 409,
    tf.errors.RESOURCE_EXHAUSTED: 429,
    tf.errors.UNIMPLEMENTED: 501,
    tf.errors.UNAVAILABLE: 503,
    tf.errors.DEADLINE_EXCEEDED: 504,
    tf.errors.UNKNOWN: 500,
    tf.errors.INTERNAL: 500,
    tf.errors.DATA_LOSS: 500,
}


class ServedVersion:
    """The highest version of a model.

    Args:
        name: the model's.
        base_dir: has a folder for each version, called by its number.

    Raises:
        ValueError: if there is none, or it calls Python.
    """

    def __init__(self, name: str, base_dir: Path):
        versions = {int(path.name): path for path in base_dir.iterdir() if path.name.isdecimal()}
        if not versions:
            raise ValueError(f"{base_dir}: there is no folder whose name is a number.")
        self.name = name
        self.version = max(versions)
        folder = versions[self.version]
        self._loaded = tf.saved_model.load(str(folder))
        saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
        (served,) = (meta for meta in saved.meta_graphs if "serve" in meta.meta_info_def.tags)
        self.signature_defs = served.signature_def
        functions = served.graph_def.library.function
        nodes = [*served.graph_def.node, *(node for f in functions for node in f.node_def)]
        if python_ops := _PYTHON_OPS & {node.op for node in nodes}:
            raise ValueError(f"{folder}: a server does not have {python_ops}.")

    def signature(self, name: str) -> Any:
        """What a signature is called with and returns."""
        name = name or _DEFAULT_SIGNATURE
        if name not in self.signature_defs or name not in self._loaded.signatures:
            raise RequestError(f"There is no signature {name!r} among {sorted(self.signatures)}.")
        return self.signature_defs[name]

    @property
    def signatures(self) -> Mapping[str, Any]:
        """The functions by their names."""
        return self._loaded.signatures

    def run(self, name: str, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """What a signature makes of tensors of the right types."""
        infos = self.signature(name).inputs
        for key, tensor in inputs.items():
            shape = tf.TensorShape(infos[key].tensor_shape)
            if not shape.is_compatible_with(tensor.shape):
                raise RequestError(f"{key!r} must have the shape {shape}. Received: {tensor.shape}")
        try:
            return self.signatures[name or _DEFAULT_SIGNATURE](**inputs)
        except tf.errors.OpError as error:
            status = _STATUS_OF_ERROR.get(error.error_code, 400)
            raise RequestError(error.message, status) from error


def predict(model: ServedVersion, body: bytes) -> bytes:
    """Answers a request to predict."""
    request = serving_json.parse(body)
    name = request.get("signature_name", "")
    infos = model.signature(name).inputs
    types = {key: tf.as_dtype(infos[key].dtype) for key in sorted(infos)}
    inputs, key = serving_json.tensors(request, types)
    return serving_json.response(model.run(name, inputs), key)


def classify(model: ServedVersion, body: bytes) -> bytes:
    """Answers a request for classes, by a signature with classes, scores or both [N, C]."""
    outputs, size = _run_examples(model, body, {"classes": tf.string, "scores": tf.float32})
    classes, scores = (outputs.get(name) for name in ("classes", "scores"))
    shape = (scores if classes is None else classes).shape
    for output in outputs.values():
        if output.shape.rank != 2 or output.shape != shape or output.shape[0] != size:
            raise RequestError(f"The outputs must be [{size}, classes]. Received: {output.shape}")
    results = [[["", 0.0] for _ in range(shape[1])] for _ in range(size)]
    for row, pairs in enumerate(results):
        for column, pair in enumerate(pairs):
            if classes is not None:
                pair[0] = classes.numpy()[row, column].decode("utf-8", "surrogateescape")
            if scores is not None:
                pair[1] = serving_json.decimal(scores.numpy()[row, column])
    return serving_json.dump({"results": results})


def regress(model: ServedVersion, body: bytes) -> bytes:
    """Answers a request for numbers, by a signature with `outputs` [N] or [N, 1]."""
    outputs, size = _run_examples(model, body, {"outputs": tf.float32})
    values = outputs["outputs"]
    if values.shape not in (tf.TensorShape([size]), tf.TensorShape([size, 1])):
        raise RequestError(f"The outputs must be [{size}] or [{size}, 1]. Received: {values.shape}")
    return serving_json.dump({"results": [serving_json.decimal(x) for x in values.numpy().flat]})


def _run_examples(
    model: ServedVersion, body: bytes, wanted: Mapping[str, tf.DType]
) -> tuple[dict[str, tf.Tensor], int]:
    """The outputs of a signature whose one input is called `inputs`: serialized examples."""
    request = serving_json.parse(body)
    examples = serving_json.examples(request)
    name = request.get("signature_name", "")
    signature = model.signature(name)
    outputs = signature.outputs
    if set(signature.inputs) != {"inputs"} or not outputs or not outputs.keys() <= wanted.keys():
        raise RequestError(
            f"The signature must make of 'inputs' one of {sorted(wanted)}, or all. It makes of "
            f"{sorted(signature.inputs)}: {sorted(outputs)}"
        )
    for key, info in outputs.items():
        if info.dtype != wanted[key].as_datatype_enum:
            raise RequestError(f"{key!r} must be {wanted[key].name}.")
    return model.run(name, {"inputs": examples}), int(examples.shape[0])


_METHODS = {"predict": predict, "classify": classify, "regress": regress}


def status(model: ServedVersion) -> bytes:
    """Says that a version can be asked."""
    state = {"error_code": "OK", "error_message": ""}
    version = {"version": str(model.version), "state": "AVAILABLE", "status": state}
    return serving_json.dump({"model_version_status": [version]})


def metadata(model: ServedVersion) -> bytes:
    """Says what can be asked."""
    definitions = {
        name: json_format.MessageToDict(
            definition, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        for name, definition in sorted(model.signature_defs.items())
    }
    spec = {"name": model.name, "signature_name": "", "version": str(model.version)}
    found = {"signature_def": {"signature_def": definitions}}
    return serving_json.dump({"model_spec": spec, "metadata": found})


class ServingStandIn:
    """A server on a free port of this machine, as long as the `with` statement lasts.

    Args:
        models: by their names the folders with their versions.

    Attributes:
        url: `http://127.0.0.1:PORT`.
    """

    def __init__(self, models: Mapping[str, str | Path]):
        self._models = {name: ServedVersion(name, Path(path)) for name, path in models.items()}

    def __enter__(self) -> "ServingStandIn":
        answer = self.answer

        class Handler(_Handler):
            reply = staticmethod(answer)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *_) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def request(self, path: str, body: Any = None) -> tuple[int, Any]:
        """Asks as a client does: a GET without a body, else a POST.

        Args:
            path: `/v1/models/...`.
            body: bytes as they are, all else as JSON.

        Returns: the status, and what the JSON of the response holds.
        """
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self._server.server_port, timeout=60)
        try:
            connection.request("GET" if body is None else "POST", path, body)
            response = connection.getresponse()
            assert response.headers["Content-Type"] == "application/json"
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """The status and the body of the response to a request."""
        path = urllib.parse.urlsplit(path).path
        try:
            if method == "POST" and (match := _PREDICTION.fullmatch(path)):
                serving_json.parse(body)  # What is no JSON is refused before all else.
                model = self._model(match[1], match[2])
                return 200, _METHODS[match[3].lower()](model, body)
            if method == "GET" and (match := _STATUS.fullmatch(path)):
                model = self._model(match[1], match[2])
                return 200, (metadata if match[3] else status)(model)
            raise RequestError(f"There is nothing at {method} {path}.")
        except RequestError as error:
            return error.status, serving_json.error(str(error))

    def _model(self, name: str, version: str | None) -> ServedVersion:
        model = self._models.get(urllib.parse.unquote(name))
        if model is None or (version and int(version) != model.version):
            which = f" version {version} of" if version else ""
            raise RequestError(f"There is no{which} model {name!r}.", 404)
        return model


class _Handler(BaseHTTPRequestHandler):
    """Hands requests on, and logs nothing."""

    protocol_version = "HTTP/1.1"
    reply: Any = None

    def do_GET(self):
        self._respond()

    def do_POST(self):
        self._respond()

    def log_message(self, *_):
        pass

    def _respond(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        code, content = self.reply(self.command, self.path, body)
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
