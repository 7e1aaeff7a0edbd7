"""Sets up the devices that a run's settings ask for, once in a process.

TF_CONFIG or --worker_hosts    all devices of all workers
a TPU that answers             the TPU
several GPUs                   all of them
anything else                  one GPU, or the CPU
"""

import dataclasses
import functools
import logging

import tensorflow as tf

from bert_tf.settings.devices import DeviceSettings
from bert_tf.training import distribution
from bert_tf.training.cluster import Cluster, find_cluster

logger = logging.getLogger(__name__)


def make_strategy(settings: DeviceSettings) -> tf.distribute.Strategy:
    """Returns the strategy that settings ask for; the same object for the same devices.

    To be called before TensorFlow's first operation, as some devices can only be set up then.

    Raises:
        ValueError: if they are not available, with what to check.
    """
    fields = dataclasses.fields(DeviceSettings)
    return _strategy(DeviceSettings(**{f.name: getattr(settings, f.name) for f in fields}))


@functools.cache
def _strategy(devices: DeviceSettings) -> tf.distribute.Strategy:
    if devices.num_gpus:
        distribution.limit_gpus(devices.num_gpus)
    if devices.use_tpu:
        return _tpu(devices)
    return _STRATEGIES[devices.distribution_strategy](devices)


def _auto(devices: DeviceSettings) -> tf.distribute.Strategy:
    cluster = find_cluster(devices.worker_hosts, devices.task_index)
    if cluster is not None and len(cluster.hosts) > 1:
        return distribution.multi_worker_strategy(cluster, devices.worker_timeout)
    if devices.num_virtual_devices:
        return _mirrored(devices)
    if devices.tpu_name or distribution.has_tpu():
        try:
            return _tpu(devices)
        except ValueError as error:
            logger.warning("%s\nGoing on without a TPU.", error)
    if len(tf.config.get_visible_devices("GPU")) > 1:
        return distribution.mirrored_strategy()
    return distribution.one_device_strategy()


def _one_device(devices: DeviceSettings) -> tf.distribute.Strategy:
    return distribution.one_device_strategy()


def _mirrored(devices: DeviceSettings) -> tf.distribute.Strategy:
    if devices.num_virtual_devices:
        names = distribution.make_virtual_devices(devices.num_virtual_devices)
        return distribution.mirrored_strategy(names)
    if not tf.config.get_visible_devices("GPU"):
        names = distribution.logical_cpus()
        if len(names) > 1:  # The program that runs this has split its CPU.
            return distribution.mirrored_strategy(names)
        raise ValueError(
            "--distribution_strategy=mirrored uses all GPUs of this machine, and TensorFlow sees "
            "none. Check the driver and that TensorFlow was installed with its CUDA libraries "
            "(tensorflow[and-cuda]), or leave it at auto."
        )
    return distribution.mirrored_strategy()


def _multi_worker(devices: DeviceSettings) -> tf.distribute.Strategy:
    cluster: Cluster | None = find_cluster(devices.worker_hosts, devices.task_index)
    if cluster is None:
        raise ValueError(
            "--distribution_strategy=multi_worker needs the addresses of all workers: "
            "--worker_hosts=host1:2222,host2:2222 with --task_index=0 on the first and 1 on the "
            "second, or the environment's TF_CONFIG."
        )
    return distribution.multi_worker_strategy(cluster, devices.worker_timeout)


def _tpu(devices: DeviceSettings) -> tf.distribute.Strategy:
    return distribution.tpu_strategy(
        devices.tpu_name,
        devices.tpu_zone,
        devices.gcp_project,
        devices.master,
        devices.num_tpu_cores,
    )


_STRATEGIES = {
    "auto": _auto,
    "one_device": _one_device,
    "mirrored": _mirrored,
    "multi_worker": _multi_worker,
    "tpu": _tpu,
}
