"""The JSON of TensorFlow Serving's REST API: requests to tensors, tensors to responses.

    {"instances": [{"text": "good"}, {"text": "bad"}]}    rows: an item for each example
    {"inputs": {"text": ["good", "bad"]}}                 columns: a value for each tensor
    {"examples": [{"text": "good"}, {"text": ["bad"]}]}   of classify and regress: tf.Example

What is accepted, refused and returned is what the server's own sources do (util/json_tensor.cc);
the sentences of the errors are not the server's.

Source: https://www.tensorflow.org/tfx/serving/api_rest
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

ROWS, COLUMNS = "predictions", "outputs"


class RequestError(Exception):
    """A request that is answered with an error."""

    def __init__(self, message: str, status: int = 400):
        super().__init__(message)
        self.status = status


def parse(body: bytes) -> dict[str, Any]:
    """The object that a request is; NaN and Infinity are numbers there."""
    try:
        request = json.loads(body.decode("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise RequestError(f"The request is no JSON: {error}") from error
    if not isinstance(request, dict):
        raise RequestError(f"The request must be a JSON object. Received: {_kind(request)}")
    if not isinstance(request.get("signature_name", ""), str):
        raise RequestError("'signature_name' must be a string.")
    return request


def tensors(
    request: dict[str, Any], inputs: Mapping[str, tf.DType]
) -> tuple[dict[str, tf.Tensor], str]:
    """The tensors of a predict request, and where its response puts what comes out."""
    given = [name for name in ("instances", "inputs") if name in request]
    if len(given) != 1:
        raise RequestError(f"There must be one of 'instances' and 'inputs'. Received: {given}")
    if given == ["instances"]:
        return _from_rows(request["instances"], inputs), ROWS
    return _from_columns(request["inputs"], inputs), COLUMNS


def _from_rows(rows: Any, inputs: Mapping[str, tf.DType]) -> dict[str, tf.Tensor]:
    if not isinstance(rows, list) or not rows:
        raise RequestError(f"'instances' must be a list that is not empty. Received: {rows!r:.60}")
    is_named = _is_object(rows[0])
    if not is_named and len(inputs) > 1:
        raise RequestError(f"There are several inputs: each instance must be {sorted(inputs)}.")
    columns: dict[str, list] = {name: [] for name in inputs}
    for number, row in enumerate(rows):
        if _is_object(row) != is_named:
            raise RequestError(f"Instance {number} is not of the same kind as the first one.")
        if is_named and row.keys() != inputs.keys():
            raise RequestError(
                f"Instance {number} must have the keys {sorted(inputs)}. Received: {sorted(row)}"
            )
        for name, values in columns.items():
            values.append(row[name] if is_named else row)
    return {name: tensor(name, values, inputs[name]) for name, values in columns.items()}


def _from_columns(columns: Any, inputs: Mapping[str, tf.DType]) -> dict[str, tf.Tensor]:
    """Keys that are no inputs are passed over, as the server does."""
    if not _is_object(columns):
        if len(inputs) > 1:
            raise RequestError(f"There are several inputs: 'inputs' must be {sorted(inputs)}.")
        return {name: tensor(name, columns, dtype) for name, dtype in inputs.items()}
    for name in inputs:
        if name not in columns:
            raise RequestError(f"'inputs' lacks {name!r}. Received: {sorted(columns)}")
    return {name: tensor(name, columns[name], dtype) for name, dtype in inputs.items()}


def tensor(name: str, value: Any, dtype: tf.DType) -> tf.Tensor:
    """A value, or nested lists of values that are as long as each other, as a tensor."""
    shape = []
    first = value
    while isinstance(first, list):
        shape.append(len(first))
        first = first[0] if first else None
    leaves: list[Any] = []
    _collect(name, value, shape, dtype, leaves)
    if dtype == tf.string:
        return tf.reshape(tf.constant(leaves, tf.string), shape)
    return tf.constant(np.array(leaves, dtype.as_numpy_dtype).reshape(shape))


def _collect(name: str, value: Any, shape: list[int], dtype: tf.DType, leaves: list) -> None:
    """Appends all single values of nested lists of that shape."""
    if isinstance(value, list):
        if not shape or len(value) != shape[0]:
            raise RequestError(f"The lists of {name!r} are not as long or deep as each other.")
        for item in value:
            _collect(name, item, shape[1:], dtype, leaves)
        return
    if shape:
        raise RequestError(f"{name!r} has the single value {value!r:.60} in place of a list.")
    if dtype == tf.string and isinstance(value, dict):
        leaves.append(_bytes_of(value))
    elif _is_of_type(value, dtype):
        leaves.append(_utf8(value) if dtype == tf.string else value)
    else:
        raise RequestError(f"{name!r} must be {dtype.name}. Received: {value!r:.60}")


def _is_of_type(value: Any, dtype: tf.DType) -> bool:
    """A whole number is a decimal one too, but not the other way round."""
    if dtype == tf.string:
        return isinstance(value, str)
    if dtype == tf.bool or isinstance(value, bool):
        return dtype == tf.bool and isinstance(value, bool)
    if dtype.is_floating:
        return isinstance(value, (int, float))
    return dtype.is_integer and isinstance(value, int) and dtype.min <= value <= dtype.max


def _kind(value: Any) -> str:
    return type(value).__name__


def _is_bytes(value: Any) -> bool:
    """Whether it is an object that stands for bytes."""
    return isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and not _is_bytes(value)


def _bytes_of(value: dict) -> bytes:
    if not _is_bytes(value):
        raise RequestError(f'Bytes must be {{"b64": "..."}}. Received: {value!r:.60}')
    try:
        return base64.b64decode(value["b64"], validate=True)
    except binascii.Error as error:
        raise RequestError(f"This is not base64: {error}") from error


def _utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:  # Half of a surrogate pair.
        raise RequestError("A string has half of a surrogate pair.") from error


def response(outputs: Mapping[str, tf.Tensor], key: str) -> bytes:
    """What is answered to a predict request."""
    if key == COLUMNS:
        columns = {name: _values(name, output) for name, output in outputs.items()}
        return dump({key: columns if len(columns) > 1 else next(iter(columns.values()))})
    sizes = {tuple(output.shape[:1]) for output in outputs.values()}
    if len(sizes) != 1 or sizes <= {(), (0,)}:
        raise RequestError(f"The outputs are not one or more rows each: {sorted(sizes)}")
    columns = {name: _values(name, output) for name, output in outputs.items()}
    if len(columns) == 1:
        return dump({key: next(iter(columns.values()))})
    rows = zip(*columns.values(), strict=True)
    return dump({key: [dict(zip(columns, row, strict=True)) for row in rows]})


def dump(value: Any) -> bytes:
    """JSON in UTF-8. Bytes of a text that are none go out as they are, as the server has it."""
    return json.dumps(value, ensure_ascii=False, indent=4).encode("utf-8", "surrogateescape")


def error(message: str) -> bytes:
    """What is answered instead of a result."""
    return dump({"error": message})


def _values(name: str, output: tf.Tensor) -> Any:
    """Nested lists, or one value; of strings bytes where the name says so."""
    array = output.numpy()
    if output.dtype == tf.string and name.endswith("_bytes"):
        return _nested(array, lambda value: {"b64": base64.b64encode(value).decode()})
    if output.dtype == tf.string:
        return _nested(array, lambda value: value.decode("utf-8", "surrogateescape"))
    if output.dtype in (tf.float32, tf.float64):
        return _nested(array, decimal)
    if output.dtype.is_integer or output.dtype == tf.bool:
        return array.tolist()
    raise RequestError(f"There is no JSON for {name!r} of type {output.dtype.name}.")


def _nested(array: Any, write: Any) -> Any:
    if isinstance(array, np.ndarray):
        return [_nested(part, write) for part in array]
    return write(array)


def decimal(value: np.floating) -> float:
    """A number in as few digits as tell it from others of its type: 0.2, not 0.20000000298."""
    return float(str(value))


def examples(request: dict[str, Any]) -> tf.Tensor:
    """The serialized examples of a classify or regress request, string [N]."""
    rows = request.get("examples")
    if not isinstance(rows, list) or not rows:
        raise RequestError(f"'examples' must be a list that is not empty. Received: {rows!r:.60}")
    context = _example(request.get("context", {}))
    serialized = []
    for row in rows:
        example = tf.train.Example()
        example.CopyFrom(context)
        for name, feature in _example(row).features.feature.items():
            example.features.feature[name].CopyFrom(feature)
        serialized.append(example.SerializeToString(deterministic=True))
    return tf.constant(serialized)


def _example(row: Any) -> tf.train.Example:
    if not isinstance(row, dict):
        raise RequestError(f"An example must be a JSON object. Received: {_kind(row)}")
    features = {}
    for name, content in row.items():
        values = content if isinstance(content, list) else [content]
        features[name] = _feature(name, values)
    return tf.train.Example(features=tf.train.Features(feature=features))


def _feature(name: str, values: list) -> tf.train.Feature:
    """Whole numbers and truths are int64, decimal ones float, texts and b64 bytes; not mixed."""
    lists: dict[str, list] = {}
    for value in values:
        if isinstance(value, float):
            lists.setdefault("float_list", []).append(value)
        elif isinstance(value, int):
            lists.setdefault("int64_list", []).append(int(value))
        elif isinstance(value, str) or _is_bytes(value):
            leaf = _utf8(value) if isinstance(value, str) else _bytes_of(value)
            lists.setdefault("bytes_list", []).append(leaf)
        else:
            raise RequestError(f"Feature {name!r} has a value of type {_kind(value)}.")
    if len(lists) > 1:
        raise RequestError(f"Feature {name!r} has values of several types.")
    kinds = {
        "float_list": tf.train.FloatList,
        "int64_list": tf.train.Int64List,
        "bytes_list": tf.train.BytesList,
    }
    return tf.train.Feature(**{kind: kinds[kind](value=lists[kind]) for kind in lists})
