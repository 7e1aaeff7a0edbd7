"""Converts a model to TensorFlow Lite, using its built-in operations only.

Inputs are `input_ids`, `input_mask`, `segment_ids` int32 [1, L]. A classifier returns
`probabilities` [1, C], a regression `value` [1], an encoder `sequence_output` [1, L, H] and, if it
has a pooler, `pooled_output` [1, H].

In int8, each weight matrix is rounded to 255 steps when it is written, and the numbers that it is
multiplied by when the model runs (dynamic-range quantization): no examples are needed.
"""

import math
import warnings

import numpy as np
import tensorflow as tf

from bert_tf import files
from bert_tf.kinds.length_runner import IDS
from bert_tf.kinds.text_model import TextModel

_TOLERANCE = 1e-3


def write_tflite(text_model: TextModel, path: str, seq_length: int, int8: bool = False) -> float:
    """Writes a model of a kind that `has_tflite`; returns the largest difference of its outputs.

    Raises a ValueError if they differ by more than 0.001; in int8, if one is not a number.
    """
    specs = [tf.TensorSpec([1, seq_length], tf.int32, name) for name in IDS]
    module = tf.Module()
    module.weights = [weight.value for weight in text_model.loaded.model.weights]
    module.run = run = tf.function(
        lambda *rows: text_model.tflite_outputs(dict(zip(IDS, rows, strict=True))), autograph=False
    ).get_concrete_function(*specs)
    # Passing the module keeps the names of inputs and outputs.
    converter = tf.lite.TFLiteConverter.from_concrete_functions([run], module)
    converter.optimizations = [tf.lite.Optimize.DEFAULT] if int8 else []
    content = converter.convert()
    difference = _largest_difference(content, run, text_model.loaded.config.vocab_size, seq_length)
    if not difference <= (math.inf if int8 else _TOLERANCE):  # True for NaN, too.
        raise ValueError(f"{path}: the TFLite model's outputs are off by {difference:.2g}.")
    with files.atomic_write(path) as file:
        file.write(content)
    return difference


def _largest_difference(content: bytes, run, vocab_size: int, seq_length: int) -> float:
    num_tokens = max(3, seq_length // 2)
    ids, mask, segments = np.zeros((3, 1, seq_length), np.int32)
    ids[0, :num_tokens] = np.random.default_rng(0).integers(0, vocab_size, num_tokens)
    mask[0, :num_tokens] = 1
    segments[0, num_tokens // 2 : num_tokens] = 1
    rows = dict(zip(IDS, (ids, mask, segments), strict=True))
    with warnings.catch_warnings():  # The interpreter is moving to another package.
        warnings.simplefilter("ignore")
        interpreter = tf.lite.Interpreter(model_content=content)
    actual = interpreter.get_signature_runner()(**rows)
    expected = run(**{name: tf.constant(row) for name, row in rows.items()})
    return max(float(np.abs(actual[name] - expected[name].numpy()).max()) for name in expected)
