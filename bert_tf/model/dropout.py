"""Dropout whose masks a training step decides: a function of (seed, step, replica, place)."""

import contextlib
import threading
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from bert_tf.model.part import Part, register

_ALGORITHM = "philox"
_scope = threading.local()


@contextlib.contextmanager
def dropout_seeds(fold_in: Callable[[int], object], algorithm: str | None = None) -> Iterator[None]:
    """Has every dropout of this thread, while it is open, draw its mask from `fold_in(place)`.

    `fold_in` returns a seed, an int32 tensor [2], for the number of a place in the model. A
    training step derives it from (seed, step, replica), so that a mask depends on these and on
    nothing that would have to be saved. Outside of it each dropout has a generator of its own, as
    Keras' layers do.

    `algorithm` is that of `tf.random.stateless_uniform`, by default the one of the enclosing
    `dropout_seeds`: outermost Philox, which draws the same everywhere. What TensorFlow chooses by
    itself differs between devices, and under XLA.
    """
    outer = current_seeds()
    _scope.value = fold_in, algorithm or outer[1]
    try:
        yield
    finally:
        _scope.value = outer


def current_seeds() -> tuple[Callable[[int], object] | None, str]:
    """Returns what `dropout_seeds` was last given in this thread."""
    return getattr(_scope, "value", (None, _ALGORITHM))


@register
class Dropout(Part):
    """Sets a fraction `rate` of the values to 0 and scales the rest up, in training only.

    Args:
        rate: a fraction.
        place: number of this dropout in its model; two places never draw the same mask.
    """

    def __init__(self, rate: float, place: int = 0, dtype=None, name: str = "dropout"):
        super().__init__(name=name, dtype=dtype, autocast=False)
        self.rate = rate
        self.place = place
        self.seed_generator = new_generator()

    def build(self, input_shape) -> None:
        """Does nothing: there are no weights."""

    def call(self, inputs, training: bool = False):
        if not training or not self.rate:
            return inputs
        fold_in, algorithm = current_seeds()
        seed = fold_in(self.place) if fold_in else next_seed(self.seed_generator)
        drawn = _draw(inputs, seed, algorithm)
        return ops.where(drawn >= self.rate * 2.0**32, inputs * (1.0 / (1.0 - self.rate)), 0.0)

    def compute_output_shape(self, input_shape):
        return input_shape


def new_generator() -> keras.random.SeedGenerator:
    """Returns a generator for masks that no training step decides.

    `keras.utils.set_random_seed` decides its seed through numpy's global generator: Keras' own
    would give the weights made after it other initial values.
    """
    return keras.random.SeedGenerator(int(np.random.randint(2**31)))


def next_seed(generator: keras.random.SeedGenerator) -> tf.Tensor:
    """Returns an int32 seed [2] that differs from call to call, and from replica to replica."""
    seed = tf.cast(tf.convert_to_tensor(generator.next()), tf.int32)
    context = tf.distribute.get_replica_context()
    if context is not None and context.num_replicas_in_sync > 1:
        seed = tf.random.experimental.stateless_fold_in(
            seed, tf.cast(context.replica_id_in_sync_group, tf.int32), alg=_ALGORITHM
        )
    return seed


def _draw(inputs, seed, algorithm: str) -> tf.Tensor:
    """float32 in the shape of `inputs`: uniform in [0, 2**32].

    Drawn as whole numbers, of which TensorFlow and XLA make fractions in different ways; and not in
    the precision of `inputs`: bfloat16 has a number in each 128th only, and so another rate.
    """
    bits = tf.random.stateless_uniform(
        inputs.shape if inputs.shape.is_fully_defined() else tf.shape(inputs),
        tf.convert_to_tensor(seed),
        minval=None,
        maxval=None,
        dtype=tf.uint32,
        alg=algorithm,
    )
    return tf.cast(bits, tf.float32)
