"""Runs a model over finite streams of batches, and collects its outputs as numpy arrays."""

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from bert_tf.training.distribution import gathers_over_workers
from bert_tf.training.trainer import Batch

# Features of a batch: the number of each row's example, and 0 for padding rows.
NUMBERS = "feature_numbers"
IS_REAL = "is_real_example"
# Pads the outputs of shorter batches: a score that is never chosen, nor the sum of two.
NO_SCORE = -1e9


@dataclasses.dataclass
class OutputCollector:
    """Collects a model's outputs over finite streams of batches, in every process."""

    step: Callable[[Batch], dict[str, tf.Tensor]]  # Of a replica's rows -> name -> float [B, ...].
    strategy: tf.distribute.Strategy

    def __post_init__(self) -> None:
        self._run = tf.function(self._distributed_step, reduce_retracing=True, autograph=False)

    def run(
        self,
        batches: Iterator,
        num_examples: int,
        on_progress: Callable[[int], None] = lambda count: None,
    ) -> dict[str, np.ndarray]:
        """Returns all outputs, name -> float32 [N, ...], in the order of the examples.

        Pads outputs of shorter batches with NO_SCORE. Raises a ValueError if an example is missing.

        Args:
            batches: dicts with NUMBERS, int32 [B], and IS_REAL, float32 [B], in any order.
            on_progress: called with the number of examples just done; may raise to stop.
        """
        parts: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
        is_done = np.zeros(num_examples, bool)
        for batch in batches:
            for outputs in self._run(batch):
                outputs = {name: value.numpy() for name, value in outputs.items()}
                rows = outputs.pop(IS_REAL) > 0
                numbers = outputs.pop(NUMBERS)[rows]
                for name, value in outputs.items():
                    parts.setdefault(name, []).append((numbers, value[rows]))
                is_done[numbers] = True
                on_progress(len(numbers))
        if not is_done.all():
            missing = np.flatnonzero(~is_done)
            raise ValueError(
                f"{len(missing)} of {num_examples} examples were not computed, the first is number "
                f"{missing[0]}: the batches do not belong to these examples."
            )
        return {name: _in_order(num_examples, of_name) for name, of_name in parts.items()}

    def _distributed_step(self, batch: Batch):
        outputs = self.strategy.run(self._replica_step, args=(batch,))
        local = self.strategy.experimental_local_results
        # After an all-gather, every replica has all rows.
        is_gathered = gathers_over_workers(self.strategy)
        num_replicas = 1 if is_gathered else self.strategy.num_replicas_in_sync
        return [
            {name: local(value)[replica] for name, value in outputs.items()}
            for replica in range(num_replicas)
        ]

    def _replica_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        outputs = {name: tf.cast(v, tf.float32) for name, v in self.step(batch).items()}
        outputs |= {NUMBERS: batch[NUMBERS], IS_REAL: batch[IS_REAL]}
        if not gathers_over_workers(self.strategy):
            return outputs
        gather = tf.distribute.get_replica_context().all_gather
        # The identity has a device, which the all-gather needs.
        return {name: gather(tf.identity(value), axis=0) for name, value in outputs.items()}


def _in_order(num_examples: int, parts: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Joins pairs (example numbers, rows), padding shorter rows."""
    shape = np.max([rows.shape[1:] for _, rows in parts], axis=0).astype(int)
    joined = np.full((num_examples, *shape), NO_SCORE, np.float32)
    for numbers, rows in parts:
        joined[(numbers, *map(slice, rows.shape[1:]))] = rows
    return joined
