"""Requests with which TensorFlow Serving warms a model up before it answers anybody.

A model's first call takes seconds. The server sends itself these before it says that it is ready.
Needs the extra `serving`.
"""

import importlib.util

import tensorflow as tf

from bert_tf import files
from bert_tf.kinds.loaded_model import LoadedModel
from bert_tf.kinds.table import find_kind

WARMUP_REQUESTS = "assets.extra/tf_serving_warmup_requests"
_TEXT = "The leader of the expedition was John Smith (1895-1943), who had been to sea before."


def can_write() -> bool:
    """Whether the extra `serving` is installed."""
    return importlib.util.find_spec("tensorflow_serving") is not None


def write_warmup_requests(folder: str, model_name: str, loaded: LoadedModel) -> int:
    """Writes requests for `serving_default`: one text, and eight of different lengths.

    Args:
        folder: the SavedModel.
        model_name: the model's name on the server.
        loaded: the model.

    Returns: how many.
    """
    from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_log_pb2

    lists = find_kind(loaded.kind).list_inputs
    batches = [[_TEXT], [" ".join([_TEXT] * number) for number in range(1, 9)]]
    with tf.io.TFRecordWriter(files.join_path(folder, WARMUP_REQUESTS)) as writer:
        for texts in batches:
            request = predict_pb2.PredictRequest(
                model_spec=model_pb2.ModelSpec(name=model_name, signature_name="serving_default"),
                inputs={
                    name: tf.make_tensor_proto([[t, t] for t in texts] if name in lists else texts)
                    for name in loaded.inputs
                },
            )
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(request=request)
            )
            writer.write(log.SerializeToString())
    return len(batches)
