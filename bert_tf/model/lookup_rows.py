"""The norm of gradients that the originals clip by off TPUs: it counts a lookup's rows one by one.

There the gradient of a table that is only read by `tf.gather` is a list of rows, one for each token
of the batch, and `clip_by_global_norm` squares these rows without adding those of the same id:

    ids 7 9 7    rows a b c    dense norm² = |a + c|² + |b|²    norm² = |a|² + |b|² + |c|²

A table that other parts read too, as a masked-LM head reads the word embeddings, has a dense one.

Source: TensorFlow's `clip_by_global_norm`, in google-research/bert and /albert, `create_optimizer`.
"""

import contextlib
import dataclasses
import threading
from collections.abc import Iterator, Mapping, Sequence

import keras
import tensorflow as tf

_scope = threading.local()


@dataclasses.dataclass(frozen=True)
class LookupRows:
    """Counts the rows of tables that a model reads by lookups only.

    Raises a ValueError if the model has no such table, so that its norms are the same.
    """

    tables: frozenset[str]  # Names of weights.

    @classmethod
    def of(cls, model: keras.Model) -> "LookupRows":
        """Returns those of a model with an encoder."""
        encoder = model.encoder
        names = [*encoder.looked_up]
        if hasattr(model, "masked_lm"):  # Its output weights are the word embeddings.
            names = [name for name in names if name != "word_embeddings"]
        tables = frozenset(encoder.embeddings_prefix + name for name in names)
        if not tables:
            raise ValueError(
                "--gradient_norm=rows changes nothing here: no table is only read by lookups. "
                "Leave it out."
            )
        return cls(tables)

    @contextlib.contextmanager
    def counting(self, probe: tf.Tensor) -> Iterator[None]:
        """Makes the gradient of `probe`, a float32 0, the sum of the squares of the rows.

        It holds for embeddings that this thread computes within this context.
        """
        _scope.probe = probe
        try:
            yield
        finally:
            _scope.probe = None

    def measured(self, gradients: Mapping[str, tf.Tensor], squares: tf.Tensor) -> Sequence:
        """Returns tensors of which the global norm is the original's of these gradients.

        `squares` is the gradient of the probe, summed over the parts of a batch.
        """
        of_rows = tf.sqrt(squares)
        return [of_rows if name in self.tables else value for name, value in gradients.items()]


def counted(rows: tf.Tensor) -> tf.Tensor:
    """Returns `rows`, the sum of lookups [B, L, E], for whose gradient the context has a probe."""
    probe = getattr(_scope, "probe", None)
    return rows if probe is None else _counted(rows, probe)


@tf.custom_gradient
def _counted(rows, probe):
    return tf.identity(rows), lambda upstream: (upstream, tf.reduce_sum(tf.square(upstream)))
