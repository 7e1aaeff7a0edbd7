"""Splits batches over the replicas of a strategy."""

from collections.abc import Callable, Iterator

import tensorflow as tf


def is_tpu(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether the devices are TPUs, for which every shape must be static."""
    return isinstance(strategy, tf.distribute.TPUStrategy)


def gathers_over_workers(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether some replicas' outputs are in other processes."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def padded_batch_size(strategy: tf.distribute.Strategy, batch_size: int) -> int:
    """Returns `batch_size` rounded up to a multiple of the number of replicas."""
    num_replicas = strategy.num_replicas_in_sync
    return -(-batch_size // num_replicas) * num_replicas


def distribute(
    strategy: tf.distribute.Strategy,
    make_dataset: Callable[[int, int], tf.data.Dataset],
    global_batch_size: int,
) -> Iterator:
    """Returns an iterator over global batches that are split evenly over the replicas.

    `make_dataset` (number of hosts, this host's number) returns a dataset of this host's share of
    each global batch, in the order of the examples.
    """
    if strategy.num_replicas_in_sync == 1:
        return iter(make_dataset(1, 0))
    per_replica = global_batch_size // strategy.num_replicas_in_sync

    def deal(x: tf.Tensor) -> tf.Tensor:
        shape = tf.concat([[-1, per_replica], tf.shape(x)[1:]], axis=0)
        # Keeps the static part of the shape, as batches may differ in length.
        return tf.ensure_shape(tf.reshape(x, shape), [None, per_replica, *x.shape[1:]])

    def of_host(context: tf.distribute.InputContext) -> tf.data.Dataset:
        dataset = make_dataset(context.num_input_pipelines, context.input_pipeline_id)
        return dataset.map(lambda batch: tf.nest.map_structure(deal, batch)).unbatch()

    return iter(strategy.distribute_datasets_from_function(of_host))


def replicated_variable(initial_value: tf.Tensor, name: str) -> tf.Variable:
    """Returns a variable, not a weight, to which every replica assigns the same values."""
    return tf.Variable(
        initial_value,
        trainable=False,
        name=name,
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    )
