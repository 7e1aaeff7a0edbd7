"""Initial weights: drawn from a truncated normal, or 0 where a checkpoint overwrites them."""

import contextlib
import contextvars
from collections.abc import Iterator

import keras

_draws = contextvars.ContextVar("draws", default=True)


@contextlib.contextmanager
def undrawn_weights() -> Iterator[None]:
    """Makes new layers' weights 0 in this thread, as those that a checkpoint overwrites may be.

    Drawing the weights of BERT-Base takes a second.
    """
    token = _draws.set(False)
    try:
        yield
    finally:
        _draws.reset(token)


def truncated_normal(stddev: float) -> keras.initializers.Initializer:
    """Returns a new initializer: a shared one would give equal values to weights of equal shape."""
    drawn = keras.initializers.TruncatedNormal(stddev=stddev)  # It takes a seed in any case.
    return drawn if _draws.get() else keras.initializers.Zeros()
