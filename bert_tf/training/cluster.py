"""Finds the addresses of a run's processes (workers), and connects them."""

import contextlib
import dataclasses
import faulthandler
import json
import logging
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator

import tensorflow as tf

from bert_tf.config import is_address
from bert_tf.settings.devices import DeviceSettings

logger = logging.getLogger(__name__)

# TensorFlow may take three times --worker_timeout and this long to connect processes.
_START_SECONDS = 60


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Lists the addresses of all workers, the chief first."""

    hosts: tuple[str, ...]
    index: int  # Of this process.


def find_cluster(settings: DeviceSettings) -> Cluster | None:
    """Returns the cluster that the settings name, or else the environment's TF_CONFIG."""
    if settings.worker_hosts:
        return Cluster(settings.worker_hosts, settings.task_index)
    text = os.environ.get("TF_CONFIG", "").strip()
    try:
        return _parse_tf_config(json.loads(text)) if text else None
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(
            f"TF_CONFIG cannot be used: {error}. It must name all processes and this one, as in "
            '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, '
            f'"task": {{"type": "worker", "index": 0}}}}. Received: {text}'
        ) from error


def _parse_tf_config(config: dict) -> Cluster | None:
    cluster, task = config.get("cluster") or {}, config.get("task") or {}
    jobs = {job: cluster[job] for job in ("chief", "worker") if cluster.get(job)}
    for job, addresses in jobs.items():
        if not isinstance(addresses, list):
            raise ValueError(f"the addresses of {job} are no list")
    hosts = [host for addresses in jobs.values() for host in addresses]
    for host in hosts:
        if not isinstance(host, str) or not is_address(host):
            raise ValueError(f"an address is host:port (ports to 65535), not {host!r}")
    if not hosts:
        return None
    if len(set(hosts)) < len(hosts):
        raise ValueError("an address is listed twice")
    if len(hosts) > 1 and "index" not in task:
        raise ValueError("it does not say which of them this process is")
    job, index = task.get("type", "worker"), task.get("index", 0)
    if not re.fullmatch(r"\d+", str(index)):  # Some cluster managers write it as a string.
        raise ValueError(f"an index is a whole number, not {index!r}")
    if int(index) >= len(jobs.get(job, ())):
        raise ValueError(f"there is no {job} {index} among its chief and workers")
    return Cluster(tuple(hosts), hosts.index(jobs[job][int(index)]))


def multi_worker_strategy(cluster: Cluster, timeout: int) -> tf.distribute.Strategy:
    """Connects this process with the others. Returns a strategy of all GPUs, or else all CPUs.

    Raises a ValueError if some do not connect within `timeout` seconds. Later, a process that is
    silent for that long counts as lost.
    """
    hosts = ", ".join(cluster.hosts)
    num_gpus = len(tf.config.get_visible_devices("GPU"))
    kinds = tf.distribute.experimental.CommunicationImplementation
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": list(cluster.hosts)}),
        task_type="worker",
        task_id=cluster.index,
        num_accelerators={"GPU": num_gpus},
        rpc_layer="grpc",
    )
    logger.info("Worker %d of %s waits for the others.", cluster.index, hosts)
    try:
        if cluster.index == 0:  # TensorFlow's chief would wait for the others forever.
            _wait_for_others(cluster, timeout)
        _configure_coordination(len(cluster.hosts), timeout)
        with _interruptible(3 * timeout + _START_SECONDS):
            strategy = tf.distribute.MultiWorkerMirroredStrategy(
                cluster_resolver=resolver,
                communication_options=tf.distribute.experimental.CommunicationOptions(
                    implementation=kinds.AUTO if num_gpus else kinds.RING
                ),
            )
    except (tf.errors.OpError, RuntimeError, TimeoutError) as error:
        raise ValueError(
            f"Worker {cluster.index} of {hosts} did not meet the others within {timeout} seconds: "
            f"{error}\nCheck that all have the same addresses and different numbers, that no "
            "firewall closes these ports, and that --worker_timeout is long enough."
        ) from error
    logger.info("%d devices on %s", strategy.num_replicas_in_sync, hosts)
    return strategy


def _wait_for_others(cluster: Cluster, timeout: float) -> None:
    """Waits until all other processes listen at their addresses."""
    end = time.monotonic() + timeout
    missing = cluster.hosts[1:]
    while missing := [host for host in missing if not _listens(host, end - time.monotonic())]:
        if time.monotonic() > end:
            raise TimeoutError(f"nobody answers at {', '.join(missing)}")
        time.sleep(0.2)


def _listens(address: str, seconds_left: float) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), max(seconds_left, 1.0)).close()
    except OSError:
        return False
    return True


def _configure_coordination(num_workers: int, timeout: int) -> None:
    """Sets how long TensorFlow waits for workers (by default an hour, then ten seconds)."""
    # There is no public way to set these.
    from tensorflow.python.eager.context import context

    context().configure_coordination_service(
        service_type="standalone",
        service_leader="/job:worker/task:0",
        cluster_register_timeout_in_ms=1000 * timeout,
        heartbeat_timeout_in_ms=1000 * timeout,
    )
    context().coordination_service.coordinated_job_list.add(name="worker", num_tasks=num_workers)


@contextlib.contextmanager
def _interruptible(seconds: float) -> Iterator[None]:
    """Lets Ctrl-C or a timeout end the process while TensorFlow waits and no Python code runs.

    TensorFlow handles SIGTERM itself.
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
