"""Other ways to run an encoder's blocks: recomputed for the gradient, or by one graph for all."""

import functools
import operator
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from bert_tf.model.dropout import current_seeds, dropout_seeds, next_seed


def sharing_graph(blocks: Sequence[keras.layers.Layer]) -> list[Callable]:
    """Returns functions that run blocks of one form in inference, by a graph that is made once.

    Making the graph of every block takes most of a second for BERT-Base.
    """

    @tf.function(autograph=False)
    def run_first(weights, hidden, context):
        with keras.StatelessScope(zip(blocks[0].weights, weights, strict=True)):
            return blocks[0](hidden, context)

    def run(block, hidden, context, training: bool):
        return run_first([tf.convert_to_tensor(w.value) for w in block.weights], hidden, context)

    # The last one may be asked for less.
    return [*(functools.partial(run, block) for block in blocks[:-1]), blocks[-1]]


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
