"""A model of ids for TensorFlow Lite, with its built-in operations only.

Inputs `input_ids`, `input_mask`, `segment_ids` int32 [1, L]. Outputs of a classifier
`probabilities` [1, C], of a regression `value` [1], of an encoder `sequence_output` [1, L, H] and
`pooled_output` [1, H]. Tokens come from the vocabulary as everywhere else.
"""

import warnings

import numpy as np
import tensorflow as tf

from bert_tf import files
from bert_tf.inference.loaded_model import ServedModel
from bert_tf.serving.signatures import IDS

_TOLERANCE = 1e-3


def _classes(served: ServedModel, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    return {"probabilities": tf.nn.softmax(served.model(batch, training=False))}


def _number(served: ServedModel, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    return {"value": served.model(batch, training=False)[:, 0]}


def _vectors(served: ServedModel, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    outputs = served.encoder(batch, training=False)
    names = ["sequence_output"] + (["pooled_output"] if served.has("bert/pooler") else [])
    return {name: outputs[name] for name in names}


_OUTPUTS = {"classification": _classes, "regression": _number, "encoder": _vectors}


def write_tflite(served: ServedModel, path: str, seq_length: int) -> float:
    """Converts the model, compares the result with it, and writes it.

    Args:
        served: an encoder, a classifier or a regression.
        path: the file.
        seq_length: L.

    Returns: the largest difference between the two models' outputs.

    Raises:
        ValueError: if it is another kind of model, or the results differ.
    """
    if served.kind not in _OUTPUTS:
        raise ValueError(
            f"A TFLite model is made of an encoder, a classifier or a regression, not of one for "
            f"{served.kind}. With --kind=encoder its encoder is exported."
        )
    compute = _OUTPUTS[served.kind]
    specs = [tf.TensorSpec([1, seq_length], tf.int32, name) for name in IDS]

    module = tf.Module()
    module.weights = [weight.value for weight in served.model.weights]
    module.run = run = tf.function(
        lambda *rows: compute(served, dict(zip(IDS, rows, strict=True))), autograph=False
    ).get_concrete_function(*specs)
    # With the module the model keeps the names of its inputs and outputs.
    converter = tf.lite.TFLiteConverter.from_concrete_functions([run], module)
    content = converter.convert()
    difference = _largest_difference(content, run, served.config.vocab_size, seq_length)
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
