"""Requests with which TensorFlow Serving warms a model up before it answers anybody.

A model's first call takes seconds. The server sends itself these before it says that it is ready.
Needs the extra `serving`.
"""

import importlib.util

import tensorflow as tf

from bert_tf import files

WARMUP_REQUESTS = "assets.extra/tf_serving_warmup_requests"
_TEXT = "The leader of the expedition was John Smith (1895-1943), who had been to sea before."


def can_write() -> bool:
    """Whether the extra `serving` is installed."""
    return importlib.util.find_spec("tensorflow_serving") is not None


def write_warmup_requests(folder: str, name: str, inputs: tuple[str, ...]) -> int:
    """Writes requests for `serving_default`: one text, and eight of different lengths.

    Args:
        folder: the SavedModel.
        name: the model's, as the server is told it.
        inputs: what its texts are called.

    Returns: how many.
    """
    from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_log_pb2

    batches = [[_TEXT], [" ".join([_TEXT] * number) for number in range(1, 9)]]
    with tf.io.TFRecordWriter(files.join_path(folder, WARMUP_REQUESTS)) as writer:
        for texts in batches:
            request = predict_pb2.PredictRequest(
                model_spec=model_pb2.ModelSpec(name=name, signature_name="serving_default"),
                inputs={input_name: tf.make_tensor_proto(texts) for input_name in inputs},
            )
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(request=request)
            )
            writer.write(log.SerializeToString())
    return len(batches)
