"""ServedGraph: what a SavedModel consists of, the signatures of a `TextModel`.

It has all that it needs, its tokenizer too, and is loaded where this package is not installed.
"""

from typing import Any

import keras
import tensorflow as tf

from bert_tf.kinds.length_runner import Batch
from bert_tf.kinds.table import find_kind
from bert_tf.kinds.text_model import LoadedModel
from bert_tf.model.feature_model import named_outputs


class ServedGraph(tf.Module):
    """The signatures of a model, and the variables and tables that they use.

    Args:
        loaded: the model.
        half: whether its weights are saved as float16. Its layers are then those of a model made
            under the policy `mixed_float16`, which multiplies matrices in float16.
        arguments: those of its `TextModel`, such as `top_k`.
    """

    def __init__(self, loaded: LoadedModel, half: bool = False, **arguments: Any):
        super().__init__()
        # Imports tensorflow_text, which takes a while, and is for graphs only.
        from bert_tf.text.graph_tokenization import GraphTokenizer

        exact = loaded.tokenizer.exact
        basic = exact.basic_tokenizer
        self.tokenizer = GraphTokenizer(list(exact.vocab), basic.do_lower_case, basic.strip_accents)
        self.half = half
        model = loaded.model
        weights = [weight.value for weight in model.weights]
        self.values = list(map(_half_copy, weights)) if half else weights

        @tf.function(autograph=False)  # All signatures share one graph of it.
        def compute(batch: Batch) -> Batch:
            values = zip(model.weights, self.values, strict=True)
            state = [(weight, tf.cast(value, weight.dtype)) for weight, value in values]
            with keras.StatelessScope(state):
                return named_outputs(model(model.select_features(batch), training=False))

        text_model = find_kind(loaded.kind).text_model_class(loaded.inputs)
        # Hidden in functions and objects: layers that are attributes would be saved, too.
        self.text_model = text_model(loaded, compute=lambda batch: compute(batch), **arguments)

    def signatures(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """Returns the concrete functions by the name of their signature."""
        return {
            name: tf.function(call, autograph=False).get_concrete_function(*specs)
            for name, (call, specs) in self.text_model.signatures(self.tokenizer).items()
        }


def _half_copy(weight: tf.Variable) -> tf.Variable:
    value = tf.cast(weight, tf.float16) if weight.dtype.is_floating else weight
    return tf.Variable(value, trainable=False)
