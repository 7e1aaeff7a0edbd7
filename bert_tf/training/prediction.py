"""Runs a model over finite streams of batches: mean metrics, or all outputs as numpy arrays."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from bert_tf.training.distribution import gathers_over_workers
from bert_tf.training.trainer import Batch

# Features of a batch: the number of each row's example, and 0 for rows that only fill the batch.
NUMBERS = "feature_numbers"
IS_REAL = "is_real_example"
# Fills up the outputs of shorter batches: a score that is never chosen. Two of them can be added.
NO_SCORE = -1e9


class Evaluator:
    """Computes weighted means over finite streams of batches.

    Args:
        step: a batch -> sums over this replica's part of it, in whatever structure.
        metrics: these sums over the whole batch -> name -> (sum, weight).
        strategy: the devices.
    """

    def __init__(
        self,
        step: Callable[[Batch], Any],
        metrics: Callable[[Any], dict[str, tuple[tf.Tensor, tf.Tensor]]],
        strategy: tf.distribute.Strategy,
    ):
        self._step = step
        self._metrics = metrics
        self._strategy = strategy
        self._run = tf.function(self._distributed_step, reduce_retracing=True)

    def run(
        self, batches: Iterator, on_progress: Callable[[int], None] = lambda count: None
    ) -> dict[str, float]:
        """Returns each metric over all batches: the sum of its sums / the sum of its weights.

        A mean over nothing is 0. `on_progress` is given the number of batches just done, and may
        raise to end the evaluation.
        """
        sums: dict[str, float] = {}
        weights: dict[str, float] = {}
        for batch in batches:
            for name, (value, weight) in self._run(batch).items():
                sums[name] = sums.get(name, 0.0) + float(value)
                weights[name] = weights.get(name, 0.0) + float(weight)
            on_progress(1)
        return {name: sums[name] / weights[name] if weights[name] else 0.0 for name in sums}

    def _distributed_step(self, batch: Batch):
        totals = self._strategy.run(self._replica_step, args=(batch,))
        return tf.nest.map_structure(
            lambda x: self._strategy.experimental_local_results(x)[0], totals
        )

    def _replica_step(self, batch: Batch):
        context = tf.distribute.get_replica_context()
        return self._metrics(context.all_reduce(tf.distribute.ReduceOp.SUM, self._step(batch)))


class OutputCollector:
    """Runs a model over finite streams of batches, and collects its outputs.

    Args:
        step: a batch -> name -> float [B, ...], of this replica's part of it.
        strategy: the devices. If they are in several processes, each process collects all outputs.
    """

    def __init__(
        self, step: Callable[[Batch], dict[str, tf.Tensor]], strategy: tf.distribute.Strategy
    ):
        self._step = step
        self._strategy = strategy
        self._run = tf.function(self._distributed_step, reduce_retracing=True)

    def run(
        self,
        batches: Iterator,
        num_examples: int,
        on_progress: Callable[[int], None] = lambda count: None,
    ) -> dict[str, np.ndarray]:
        """Returns all outputs in the order of the examples, whatever the order of the batches.

        Args:
            batches: dicts with NUMBERS, int32 [B]: the number of each row's example; and IS_REAL,
                float32 [B]: 0 for rows that only fill the batch.
            num_examples: N.
            on_progress: given the number of examples just done; may raise to end it.

        Returns: name -> float32 [N, ...]. If batches have different lengths, shorter ones are
            filled up with NO_SCORE.

        Raises:
            ValueError: if an example is missing.
        """
        collected: dict[str, np.ndarray] = {}
        is_done = np.zeros(num_examples, bool)
        for batch in batches:
            for outputs in self._run(batch):
                outputs = {name: value.numpy() for name, value in outputs.items()}
                rows = outputs.pop(IS_REAL) > 0
                numbers = outputs.pop(NUMBERS)[rows]
                for name, value in outputs.items():
                    collected[name] = _room(collected.get(name), value.shape[1:], num_examples)
                    places = (numbers, *(slice(size) for size in value.shape[1:]))
                    collected[name][places] = value[rows]
                is_done[numbers] = True
                on_progress(len(numbers))
        if not is_done.all():
            missing = np.flatnonzero(~is_done)
            raise ValueError(
                f"{len(missing)} of {num_examples} examples were not computed, the first is number "
                f"{missing[0]}: the batches do not belong to these examples."
            )
        return collected

    def _distributed_step(self, batch: Batch):
        outputs = self._strategy.run(self._replica_step, args=(batch,))
        local = self._strategy.experimental_local_results
        # After an all-gather, every replica has all rows.
        is_gathered = gathers_over_workers(self._strategy)
        num_replicas = 1 if is_gathered else len(local(outputs[NUMBERS]))
        return [
            {name: local(value)[replica] for name, value in outputs.items()}
            for replica in range(num_replicas)
        ]

    def _replica_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        outputs = {name: tf.cast(v, tf.float32) for name, v in self._step(batch).items()}
        outputs |= {NUMBERS: batch[NUMBERS], IS_REAL: batch[IS_REAL]}
        if not gathers_over_workers(self._strategy):
            return outputs
        context = tf.distribute.get_replica_context()
        # Only a tensor made here has a device, which the all-gather needs.
        return {
            name: context.all_gather(tf.identity(value), axis=0) for name, value in outputs.items()
        }


def _room(array: np.ndarray | None, shape: tuple[int, ...], num_examples: int) -> np.ndarray:
    """Returns `array`, enlarged if rows of `shape` do not fit."""
    if array is None:
        return np.full((num_examples, *shape), NO_SCORE, np.float32)
    larger = tuple(np.maximum(array.shape[1:], shape))
    if larger == array.shape[1:]:
        return array
    grown = np.full((num_examples, *larger), NO_SCORE, np.float32)
    grown[tuple(slice(size) for size in array.shape)] = array
    return grown
