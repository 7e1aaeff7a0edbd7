"""Writes a model of ids for TensorFlow Lite, with its built-in operations only.

Inputs `input_ids`, `input_mask`, `segment_ids` int32 [1, L]. Outputs of a classifier
`probabilities` [1, C], of a regression `value` [1], of an encoder `sequence_output` [1, L, H] and
`pooled_output` [1, H]. Tokens come from the vocabulary as everywhere else.
"""

import warnings

import numpy as np
import tensorflow as tf

from bert_tf import files
from bert_tf.kinds.graph import IDS
from bert_tf.kinds.loaded_model import LoadedModel
from bert_tf.kinds.table import KINDS, find_kind

_TOLERANCE = 1e-3


def write_tflite(loaded: LoadedModel, path: str, seq_length: int) -> float:
    """Converts the model, compares the result with it, and writes it.

    Args:
        loaded: an encoder, a classifier or a regression.
        path: the file.
        seq_length: L.

    Returns: the largest difference between the two models' outputs.

    Raises:
        ValueError: if it is another kind of model, or the results differ.
    """
    kind = find_kind(loaded.kind)
    if not kind.has_tflite:
        possible = ", ".join(name for name, row in KINDS.items() if row.has_tflite)
        raise ValueError(
            f"A TFLite model is made of one for {possible}, not of one for {kind.name}. With "
            "--kind=encoder its encoder is exported."
        )
    compute = kind.module.tflite_outputs
    specs = [tf.TensorSpec([1, seq_length], tf.int32, name) for name in IDS]

    module = tf.Module()
    module.weights = [weight.value for weight in loaded.model.weights]
    module.run = run = tf.function(
        lambda *rows: compute(loaded, dict(zip(IDS, rows, strict=True))), autograph=False
    ).get_concrete_function(*specs)
    # With the module the model keeps the names of its inputs and outputs.
    converter = tf.lite.TFLiteConverter.from_concrete_functions([run], module)
    content = converter.convert()
    difference = _largest_difference(content, run, loaded.config.vocab_size, seq_length)
    if not difference <= _TOLERANCE:
        raise ValueError(f"{path}: the TFLite model's outputs are off by {difference:.2g}.")
    with files.atomic_write(path) as file:
        file.write(content)
    return difference


def _largest_difference(content: bytes, run, vocab_size: int, seq_length: int) -> float:
    rng = np.random.default_rng(0)
    num_tokens = max(3, seq_length // 2)
    ids = np.zeros((1, seq_length), np.int32)
    ids[0, :num_tokens] = rng.integers(0, vocab_size, num_tokens)
    segments = np.zeros_like(ids)
    segments[0, num_tokens // 2 : num_tokens] = 1
    rows = dict(zip(IDS, (ids, (np.arange(seq_length) < num_tokens)[None], segments), strict=True))
    rows["input_mask"] = rows["input_mask"].astype(np.int32)
    with warnings.catch_warnings():  # That the interpreter is to become a package of its own.
        warnings.simplefilter("ignore")
        interpreter = tf.lite.Interpreter(model_content=content)
    actual = interpreter.get_signature_runner()(**rows)
    expected = run(**{name: tf.constant(row) for name, row in rows.items()})
    return max(float(np.abs(actual[name] - expected[name].numpy()).max()) for name in expected)
