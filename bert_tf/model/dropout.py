"""Dropout whose masks in training depend only on (seed, step, replica, place in the model)."""

import contextlib
import threading
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from bert_tf.model import processors
from bert_tf.model.part import MadePart

_ALGORITHM = "philox"
_scope = threading.local()


@contextlib.contextmanager
def dropout_seeds(fold_in: Callable[[int], object], algorithm: str | None = None) -> Iterator[None]:
    """Makes all dropout layers of this thread seed their masks by `fold_in(place)`.

    Outside this context each layer uses its own generator, as in Keras.

    Args:
        fold_in: returns a seed, int32 [2], for the number of a place in the model.
        algorithm: of `tf.random.stateless_uniform`; by default the enclosing context's, or else
            Philox, as TensorFlow's own choice differs between devices and under XLA.
    """
    outer = current_seeds()
    _scope.value = fold_in, algorithm or outer[1]
    try:
        yield
    finally:
        _scope.value = outer


@contextlib.contextmanager
def later_places(count) -> Iterator[None]:
    """Adds `count` to the numbers of places that `dropout_seeds`, if given, have in this context.

    Elsewhere each layer has a generator, which never draws a mask twice.
    """
    fold_in, algorithm = current_seeds()
    if fold_in is None:
        yield
        return
    with dropout_seeds(lambda place: fold_in(place + count), algorithm):
        yield


def current_seeds() -> tuple[Callable[[int], object] | None, str]:
    """Returns `fold_in`, or None, and `algorithm` of this thread's `dropout_seeds`."""
    return getattr(_scope, "value", (None, _ALGORITHM))


class Dropout(MadePart):
    """Sets a fraction `rate` of the values to 0 and scales the rest up, in training only.

    `place` is the number of this layer in its model; no two places draw the same mask.
    """

    def __init__(self, rate: float, place: int = 0, dtype=None, name: str = "dropout"):
        super().__init__(dtype, name)
        self.seed_generator = new_generator()

    def call(self, inputs, training: bool = False):
        if not training or not self.rate:
            return inputs
        return self._dropped(inputs, self._is_kept(inputs))

    def product(self, inputs, values, training: bool = False):
        """Returns `self(inputs) @ values`. On a CPU only the inputs are kept for the gradient."""
        if not training or not self.rate or not processors.is_one_cpu():
            return ops.matmul(self(inputs, training=training), values)
        is_kept = self._is_kept(inputs)

        @tf.custom_gradient
        def compute(inputs, values):
            def gradient(upstream):
                # Without the dependency TensorFlow would keep the equal tensor of the forward pass.
                with tf.control_dependencies([upstream]):
                    dropped = self._dropped(inputs, is_kept)
                of_dropped = tf.matmul(upstream, values, transpose_b=True)
                of_values = tf.matmul(dropped, upstream, transpose_a=True)
                return self._dropped(of_dropped, is_kept), of_values

            return tf.matmul(self._dropped(inputs, is_kept), values), gradient

        return compute(inputs, values)

    def _is_kept(self, inputs) -> tf.Tensor:
        fold_in, algorithm = current_seeds()
        seed = fold_in(self.place) if fold_in else next_seed(self.seed_generator)
        return _draw(inputs, seed, algorithm) >= round(self.rate * 2**16)

    def _dropped(self, inputs, is_kept):
        return ops.where(is_kept, inputs * (1.0 / (1.0 - self.rate)), 0.0)


def new_generator() -> keras.random.SeedGenerator:
    """Returns a generator for masks outside of `dropout_seeds`."""
    # Seeded by numpy's global generator, which `keras.utils.set_random_seed` seeds: drawing from
    # Keras' generator would change the initial values of the weights made after it.
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
    """Draws uint16 numbers in the shape of `inputs`, uniform in [0, 2**16)."""
    # Two numbers from each of the generator's, as drawing is most of dropout's time. As integers,
    # which TensorFlow and XLA turn into fractions in different ways.
    size = inputs.shape.num_elements() or tf.size(inputs)
    pairs = tf.random.stateless_uniform(
        [(size + 1) // 2],
        tf.convert_to_tensor(seed),
        minval=None,
        maxval=None,
        dtype=tf.uint32,
        alg=algorithm,
    )
    numbers = tf.reshape(tf.bitcast(pairs, tf.uint16), [-1])[:size]
    return tf.reshape(numbers, tf.shape(inputs))
