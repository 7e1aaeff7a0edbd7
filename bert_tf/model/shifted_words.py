"""Moves the word vectors that a model looks up, to differentiate its outputs by them."""

import contextlib
import threading
from collections.abc import Iterator

import tensorflow as tf

_scope = threading.local()


@contextlib.contextmanager
def shifted_words(shift: tf.Tensor) -> Iterator[None]:
    """Adds `shift`, float32 [B, L, E], to the word vectors that this thread looks up.

    The gradient of `shift` is that of the word vectors of each token.
    """
    _scope.shift = shift
    try:
        yield
    finally:
        _scope.shift = None


def shifted(vectors: tf.Tensor) -> tf.Tensor:
    """Returns vectors [B, L, E] with the shift of the context, if there is one."""
    shift = getattr(_scope, "shift", None)
    return vectors if shift is None else vectors + shift
