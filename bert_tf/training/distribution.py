"""Makes strategies of devices, and distributes datasets over them: the only file about TPUs.

Everything that names devices must come before TensorFlow's first operation.
"""

import contextlib
import faulthandler
import glob
import importlib.util
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence

import tensorflow as tf

from bert_tf.training.cluster import Cluster, wait_for_others

logger = logging.getLogger(__name__)

_TPU_PORT = 8470
_CONNECT_SECONDS = 20
# TensorFlow may take three times --worker_timeout, and this long, to connect processes.
_START_SECONDS = 60
# The device files of TPU VMs: up to v4, and later ones.
_TPU_DEVICES = ("/dev/accel[0-9]*", "/dev/vfio/[0-9]*")


def one_device_strategy() -> tf.distribute.Strategy:
    """Returns the default strategy: everything on the first GPU, or else on the CPU."""
    return tf.distribute.get_strategy()


def limit_gpus(num_gpus: int) -> None:
    """Hides all GPUs of this machine but the first `num_gpus`.

    Raises:
        ValueError: if TensorFlow has started already.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if len(gpus) < num_gpus:
        logger.warning("There are %d GPUs, not the %d of --num_gpus.", len(gpus), num_gpus)
    try:
        tf.config.set_visible_devices(gpus[:num_gpus], "GPU")
    except RuntimeError as error:
        raise ValueError(f"--num_gpus comes too late: {error}") from error


def make_virtual_devices(num_devices: int) -> list[str]:
    """Splits the CPU into virtual devices. Returns their names.

    Raises:
        ValueError: if TensorFlow has started already, with another number of them.
    """
    cpu = tf.config.list_physical_devices("CPU")[0]
    configuration = [tf.config.LogicalDeviceConfiguration()] * num_devices
    try:
        tf.config.set_logical_device_configuration(cpu, configuration)
    except RuntimeError as error:
        if len(tf.config.list_logical_devices("CPU")) != num_devices:
            raise ValueError(
                f"--num_virtual_devices={num_devices} comes too late, as TensorFlow has started: "
                f"{error}"
            ) from error
    return [f"CPU:{index}" for index in range(num_devices)]


def logical_cpus() -> list[str]:
    """Returns the names of the virtual devices of this process's CPU; one if it is not split."""
    return [f"CPU:{index}" for index in range(len(tf.config.list_logical_devices("CPU")))]


def mirrored_strategy(devices: Sequence[str] | None = None) -> tf.distribute.Strategy:
    """Returns a strategy of several devices of this machine: those named, or all its GPUs."""
    strategy = tf.distribute.MirroredStrategy(devices)
    logger.info("%d devices of this machine share each batch.", strategy.num_replicas_in_sync)
    return strategy


def multi_worker_strategy(cluster: Cluster, worker_timeout: int) -> tf.distribute.Strategy:
    """Returns a strategy of the GPUs, or else the CPU, of all processes of a cluster.

    Args:
        cluster: the processes.
        worker_timeout: seconds that a process may take to connect, or may be silent.

    Raises:
        ValueError: if some do not connect, or TensorFlow has started already.
    """
    hosts = ", ".join(cluster.hosts)
    num_gpus = len(tf.config.get_visible_devices("GPU"))
    kinds = tf.distribute.experimental.CommunicationImplementation
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({job: list(addresses) for job, addresses in cluster.jobs}),
        task_type=cluster.job,
        task_id=cluster.task,
        num_accelerators={"GPU": num_gpus},
        rpc_layer="grpc",
    )
    logger.info("Worker %d of %s waits for the others.", cluster.index, hosts)
    try:
        if cluster.index == 0:  # TensorFlow's chief would wait for the others for ever.
            wait_for_others(cluster, worker_timeout)
        _configure_coordination(cluster, worker_timeout)
        with _interruptible(3 * worker_timeout + _START_SECONDS):
            strategy = tf.distribute.MultiWorkerMirroredStrategy(
                cluster_resolver=resolver,
                communication_options=tf.distribute.experimental.CommunicationOptions(
                    implementation=kinds.AUTO if num_gpus else kinds.RING
                ),
            )
    except (tf.errors.OpError, RuntimeError, TimeoutError) as error:
        raise ValueError(
            f"Worker {cluster.index} of {hosts} did not meet the others within {worker_timeout} "
            f"seconds: {error}\nCheck that all are started, each with the same addresses and a "
            "number of its own, that these ports are free and no firewall closes them, and that "
            "--worker_timeout is long enough."
        ) from error
    logger.info("%d devices on %s", strategy.num_replicas_in_sync, hosts)
    return strategy


def _configure_coordination(cluster: Cluster, worker_timeout: int) -> None:
    """Sets how long TensorFlow waits for workers; its own limits are an hour and ten seconds."""
    # There is no public way to set these.
    from tensorflow.python.eager.context import context

    context().configure_coordination_service(
        service_type="standalone",
        service_leader=f"/job:{cluster.jobs[0][0]}/task:0",
        cluster_register_timeout_in_ms=1000 * worker_timeout,
        heartbeat_timeout_in_ms=1000 * worker_timeout,
    )
    for job, hosts in cluster.jobs:
        context().coordination_service.coordinated_job_list.add(name=job, num_tasks=len(hosts))


@contextlib.contextmanager
def _interruptible(seconds: float) -> Iterator[None]:
    """Within it, Ctrl-C ends the process, and so does a timeout of `seconds`.

    While TensorFlow waits for other processes, no Python code runs: no signal handler, no thread.
    (It handles SIGTERM itself.)
    """
    is_main = threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGINT, signal.SIG_DFL) if is_main else None
    if sys.__stderr__ is not None:
        faulthandler.dump_traceback_later(seconds, exit=True, file=sys.__stderr__)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        if is_main:
            signal.signal(signal.SIGINT, handler)


def has_tpu() -> bool:
    """Returns whether this machine is a TPU VM with the library that drives its TPU."""
    devices = [path for pattern in _TPU_DEVICES for path in glob.glob(pattern)]
    return bool(devices) and importlib.util.find_spec("libtpu") is not None


def is_tpu(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether the devices are TPUs, for which every shape must be static."""
    return isinstance(strategy, tf.distribute.TPUStrategy)


def gathers_over_workers(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether some replicas' outputs are in other processes."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


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
        num_tpu_cores: how many cores the TPU is expected to have. All are used; another number only
            gives a warning.

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
            "the TPU. Without a TPU, leave out --use_tpu, or say --distribution_strategy=auto."
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


def padded_batch_size(strategy: tf.distribute.Strategy, batch_size: int) -> int:
    """Returns the smallest number of rows, at least `batch_size`, that replicas share evenly.

    Evaluation and prediction fill up their batches to it, with rows that do not count.
    """
    num_replicas = strategy.num_replicas_in_sync
    return -(-batch_size // num_replicas) * num_replicas


def distribute(
    strategy: tf.distribute.Strategy,
    make_dataset: Callable[[int, int], tf.data.Dataset],
    global_batch_size: int,
) -> Iterator:
    """Returns an iterator over batches that are split over the strategy's replicas.

    Args:
        make_dataset: (number of hosts, this host's number) -> a dataset of this host's share of
            each global batch, in the order of the examples.
        global_batch_size: examples in a batch over all replicas.

    Raises:
        ValueError: if the batch cannot be split evenly.
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
        # Batches may differ in length: keeps what is static of their shape.
        return tf.ensure_shape(tf.reshape(x, shape), [None, per_replica, *x.shape[1:]])

    def of_host(context: tf.distribute.InputContext) -> tf.data.Dataset:
        dataset = make_dataset(context.num_input_pipelines, context.input_pipeline_id)
        return dataset.map(lambda batch: tf.nest.map_structure(deal, batch)).unbatch()

    return iter(strategy.distribute_datasets_from_function(of_host))
