"""Which devices compute: the only file that knows of TPUs.

A strategy is made here, and a host's share of a dataset is dealt to its replicas here. Whoever
trains sees neither.
"""

import logging
import socket
from collections.abc import Callable, Iterator

import tensorflow as tf

logger = logging.getLogger(__name__)

_TPU_PORT = 8470
_CONNECT_SECONDS = 20


def one_device_strategy() -> tf.distribute.Strategy:
    """The default: everything on the first GPU, or else on the CPU."""
    return tf.distribute.get_strategy()


def tpu_strategy(
    tpu_name: str | None = None,
    tpu_zone: str | None = None,
    gcp_project: str | None = None,
    master: str | None = None,
    num_tpu_cores: int = 8,
) -> tf.distribute.Strategy:
    """Connects to a TPU and initializes it.

    Args:
        tpu_name: the Cloud TPU's name, a `grpc://` address, or `local` on a TPU VM (also the
            meaning of no name).
        tpu_zone: its Google Cloud zone; None for that of this machine.
        gcp_project: its Google Cloud project; None for that of this machine.
        master: a `grpc://` address, used where there is no `tpu_name`.
        num_tpu_cores: how many cores the TPU is expected to have. Another number is only reported,
            as the program uses all there are.

    Raises:
        ValueError: if no TPU answers, with what to check.
    """
    address = tpu_name or master or "local"
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(
            tpu=address, zone=tpu_zone, project=gcp_project
        )
        if address.startswith("grpc://"):
            _check_reachable(address)
        if address != "local":
            tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        strategy = tf.distribute.TPUStrategy(resolver)
    except Exception as error:  # The resolver raises whatever its transport does.
        raise ValueError(
            f"No TPU answers at {address!r} (zone {tpu_zone or 'of this machine'}, project "
            f"{gcp_project or 'of this machine'}): {error}\nCheck that the TPU's name, zone and "
            "project are right and its state is READY, that the TensorFlow version of the TPU is "
            f"this program's ({tf.__version__}), and, on a TPU VM, that no other process holds "
            "the TPU. Without a TPU, leave out --use_tpu."
        ) from error
    if strategy.num_replicas_in_sync != num_tpu_cores:
        logger.warning(
            "The TPU has %d cores, not the %d of --num_tpu_cores; all of them are used.",
            strategy.num_replicas_in_sync,
            num_tpu_cores,
        )
    return strategy


def _check_reachable(address: str) -> None:
    """Raises an OSError where nobody listens; TensorFlow itself would try for ever."""
    host, _, port = address.removeprefix("grpc://").partition(":")
    socket.create_connection((host, int(port or _TPU_PORT)), timeout=_CONNECT_SECONDS).close()


def distribute(
    strategy: tf.distribute.Strategy,
    make_dataset: Callable[[int, int], tf.data.Dataset],
    global_batch_size: int,
) -> Iterator:
    """An iterator over batches that are dealt to the strategy's replicas.

    Args:
        make_dataset: (number of hosts, this host's number) -> a dataset of this host's share of
            each global batch, in the order of the examples.
        global_batch_size: examples in a batch over all replicas.

    Raises:
        ValueError: if the batch cannot be dealt evenly.
    """
    num_replicas = strategy.num_replicas_in_sync
    if global_batch_size % num_replicas:
        raise ValueError(
            f"A batch of {global_batch_size} examples cannot be dealt evenly to {num_replicas} "
            f"replicas. Use a multiple of {num_replicas}."
        )
    if num_replicas == 1:
        return iter(make_dataset(1, 0))
    per_replica = global_batch_size // num_replicas

    def deal(x: tf.Tensor) -> tf.Tensor:
        shape = tf.concat([[-1, per_replica], tf.shape(x)[1:]], axis=0)
        # A batch's length may be its own: what is known of the shape beforehand stays known.
        return tf.ensure_shape(tf.reshape(x, shape), [None, per_replica, *x.shape[1:]])

    def of_host(context: tf.distribute.InputContext) -> tf.data.Dataset:
        dataset = make_dataset(context.num_input_pipelines, context.input_pipeline_id)
        return dataset.map(lambda batch: tf.nest.map_structure(deal, batch)).unbatch()

    return iter(strategy.distribute_datasets_from_function(of_host))
