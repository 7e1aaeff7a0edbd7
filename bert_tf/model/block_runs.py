"""Other ways to run an encoder's blocks: recomputed for the gradient, or by one graph for all."""

import functools
import operator
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from bert_tf.model.dropout import Dropout, current_seeds, dropout_seeds, later_places, next_seed


def sharing_graph(blocks: Sequence[keras.layers.Layer], training: bool) -> list[Callable]:
    """Returns functions that run blocks of one form, by a graph that is made once.

    In training it needs `dropout_seeds`. Making the graph of every block takes most of a second for
    BERT-Base; in training, with its gradient, several.
    """

    @tf.function(autograph=False)
    def run_first(weights, hidden, context, places_before):
        scope = keras.StatelessScope(zip(blocks[0].weights, weights, strict=True))
        with scope, later_places(places_before):
            return blocks[0](hidden, context, training=training)

    def run(block, hidden, context, training: bool):
        weights = [tf.convert_to_tensor(weight.value) for weight in block.weights]
        places_before = tf.constant(_first_place(block) - _first_place(blocks[0]), tf.int64)
        return run_first(weights, hidden, context, places_before)

    # The last one may be asked for less.
    return [*(functools.partial(run, block) for block in blocks[:-1]), blocks[-1]]


def _first_place(block: keras.layers.Layer) -> int:
    layers = block._flatten_layers()
    first = min((layer.place for layer in layers if isinstance(layer, Dropout)), default=0)
    return first + getattr(block, "places_before", 0)  # Of a block that layers share.


def recomputed(block: keras.layers.Layer, generator: keras.random.SeedGenerator) -> Callable:
    """Returns a function like `block` that keeps only its input and recomputes the rest.

    Both passes draw the same dropout masks, seeded by `dropout_seeds` or else by `generator`.
    Raises a ValueError if Keras is too old.

    Source: Chen et al. 2016, Training Deep Nets with Sublinear Memory Cost.
    """
    if not hasattr(keras, "remat"):
        raise ValueError(
            f"--recompute_activations needs Keras 3.9 or later. Received: Keras {keras.__version__}"
        )

    def call(hidden, context, **options):
        fold_in = current_seeds()[0] or functools.partial(operator.add, next_seed(generator))

        def compute(hidden):
            with dropout_seeds(fold_in):
                return block(hidden, context, **options)

        return keras.remat(compute)(hidden)

    return call
