"""ServedGraph: the content of a SavedModel, which runs where this package is not installed."""

from typing import Any

import keras
import tensorflow as tf

from bert_tf.kinds.length_runner import Batch
from bert_tf.kinds.table import find_kind
from bert_tf.kinds.text_model import LoadedModel
from bert_tf.model.feature_model import named_outputs


class ServedGraph(tf.Module):
    """Holds a model's signatures with their tokenizer, variables and tables.

    Args:
        half: saves weights as float16; the model must have the Keras policy `mixed_float16`.
        only_ids: leaves out the tokenizer and all signatures for texts.
        arguments: further arguments of its `TextModel`, such as `top_k`.
    """

    def __init__(
        self, loaded: LoadedModel, half: bool = False, only_ids: bool = False, **arguments: Any
    ):
        super().__init__()
        self.tokenizer = None if only_ids else loaded.tokenizer.in_graph()
        self.half = half
        model = loaded.model
        weights = [weight.value for weight in model.weights]
        self.values = list(map(_half_copy, weights)) if half else weights

        @tf.function(autograph=False)  # All signatures share its graph.
        def compute(batch: Batch) -> Batch:
            values = zip(model.weights, self.values, strict=True)
            state = [(weight, tf.cast(value, weight.dtype)) for weight, value in values]
            with keras.StatelessScope(state):
                return named_outputs(model(model.select_features(batch), training=False))

        text_model = find_kind(loaded.kind).text_model_class(loaded.inputs)
        # Inside functions and plain objects Keras layers are not tracked, so not saved.
        self.text_model = text_model(loaded, compute=lambda batch: compute(batch), **arguments)

    def signatures(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """Returns the concrete functions by the name of their signature."""
        if self.tokenizer is None:
            calls = self.text_model.id_signatures()
            calls["serving_default"] = calls["ids"]
        else:
            calls = self.text_model.signatures(self.tokenizer)
        return {
            name: tf.function(call, autograph=False).get_concrete_function(*specs)
            for name, (call, specs) in calls.items()
        }


def _half_copy(weight: tf.Variable) -> tf.Variable:
    value = tf.cast(weight, tf.float16) if weight.dtype.is_floating else weight
    return tf.Variable(value, trainable=False)
