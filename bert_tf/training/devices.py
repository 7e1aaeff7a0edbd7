"""Sets up the devices that the settings name, before TensorFlow's first operation."""

import contextlib
import dataclasses
import functools
import glob
import importlib.metadata
import importlib.util
import logging
import socket
from collections.abc import Sequence

import tensorflow as tf

from bert_tf.settings.devices import DeviceSettings
from bert_tf.training.cluster import find_cluster, multi_worker_strategy
from bert_tf.training.distribution import is_tpu

logger = logging.getLogger(__name__)

_TPU_PORT = 8470
_CONNECT_SECONDS = 20
# The device files of TPU VMs: up to v4, and later ones.
_TPU_DEVICES = ("/dev/accel[0-9]*", "/dev/vfio/[0-9]*")
# What tells that a processor multiplies matrices of bfloat16 faster than of float32.
_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}  # Of a CPU, in Linux' list.
_BFLOAT16_CAPABILITY = (8, 0)  # Compute capability of NVIDIA's GPUs.


def make_strategy(settings: DeviceSettings) -> tf.distribute.Strategy:
    """Returns the one strategy of the settings' devices; a ValueError if they are not available."""
    fields = dataclasses.fields(DeviceSettings)
    return _strategy(DeviceSettings(**{f.name: getattr(settings, f.name) for f in fields}))


@functools.cache
def _strategy(settings: DeviceSettings) -> tf.distribute.Strategy:
    if settings.num_gpus:
        limit_gpus(settings.num_gpus)
    name = "tpu" if settings.use_tpu else settings.distribution_strategy
    if name in ("auto", "multi_worker"):
        cluster = find_cluster(settings)
        if cluster is not None and (name == "multi_worker" or len(cluster.hosts) > 1):
            return multi_worker_strategy(cluster, settings.worker_timeout)
        if name == "multi_worker":
            raise ValueError(
                "--distribution_strategy=multi_worker needs the addresses of all workers: "
                "--worker_hosts=host1:2222,host2:2222 and --task_index, or TF_CONFIG."
            )
    if name == "tpu":
        return tpu_strategy(settings)
    if settings.num_virtual_devices:
        return mirrored_strategy(make_virtual_devices(settings.num_virtual_devices))
    if name == "mirrored":
        return mirrored_strategy(None if tf.config.get_visible_devices("GPU") else _split_cpu())
    return _best_of_this_machine(settings) if name == "auto" else tf.distribute.get_strategy()


def _best_of_this_machine(settings: DeviceSettings) -> tf.distribute.Strategy:
    if settings.tpu_name or has_tpu():
        try:
            return tpu_strategy(settings)
        except ValueError as error:
            logger.warning("%s\nContinuing without a TPU.", error)
    has_several = len(tf.config.get_visible_devices("GPU")) > 1
    return mirrored_strategy() if has_several else tf.distribute.get_strategy()


def limit_gpus(num_gpus: int) -> None:
    """Hides all GPUs of this machine but the first `num_gpus`."""
    gpus = tf.config.list_physical_devices("GPU")
    if len(gpus) < num_gpus:
        logger.warning("There are %d GPUs, not the %d of --num_gpus.", len(gpus), num_gpus)
    try:
        tf.config.set_visible_devices(gpus[:num_gpus], "GPU")
    except RuntimeError as error:
        raise ValueError(f"--num_gpus comes too late: {error}") from error


def make_virtual_devices(num_devices: int) -> list[str]:
    """Splits the CPU into virtual devices. Returns their names."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    configuration = [tf.config.LogicalDeviceConfiguration()] * num_devices
    try:
        tf.config.set_logical_device_configuration(cpu, configuration)
    except RuntimeError as error:
        if len(tf.config.list_logical_devices("CPU")) != num_devices:
            raise ValueError(
                f"--num_virtual_devices={num_devices} comes too late: {error}"
            ) from error
    return [f"CPU:{index}" for index in range(num_devices)]


def _split_cpu() -> list[str]:
    """Returns the names of the virtual devices into which the program has split its CPU."""
    num_devices = len(tf.config.list_logical_devices("CPU"))
    if num_devices == 1:
        raise ValueError(
            "--distribution_strategy=mirrored uses all GPUs of this machine, but TensorFlow sees "
            "none. Check the driver and the CUDA libraries (tensorflow[and-cuda]), or use auto."
        )
    return [f"CPU:{index}" for index in range(num_devices)]


def mirrored_strategy(devices: Sequence[str] | None = None) -> tf.distribute.Strategy:
    """Returns a strategy of the named devices, or of all GPUs of this machine."""
    strategy = tf.distribute.MirroredStrategy(devices)
    logger.info("%d devices of this machine share each batch.", strategy.num_replicas_in_sync)
    return strategy


def is_faster_in_bfloat16(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether training is faster with --mixed_precision=bfloat16, as far as is known."""
    if is_tpu(strategy):
        return True
    if gpus := tf.config.get_visible_devices("GPU"):
        details = map(tf.config.experimental.get_device_details, gpus)
        return all(d.get("compute_capability", (0, 0)) >= _BFLOAT16_CAPABILITY for d in details)
    return not _BFLOAT16_FLAGS.isdisjoint(_cpu_flags())


def _cpu_flags(path: str = "/proc/cpuinfo") -> list[str]:
    """Returns the instruction sets of the CPU; [] where the system does not list them."""
    with contextlib.suppress(OSError), open(path, encoding="utf-8") as file:
        return next((line.split() for line in file if line.startswith("flags")), [])
    return []


def has_tpu() -> bool:
    """Returns whether this machine is a TPU VM with the TPU library."""
    devices = [path for pattern in _TPU_DEVICES for path in glob.glob(pattern)]
    return bool(devices) and importlib.util.find_spec("libtpu") is not None


def _installed() -> str:
    """Returns what to say of the installed TensorFlow, which often is the cause."""
    versions = {}
    for name in ("tensorflow", "tensorflow-cpu", "tensorflow-tpu", "libtpu"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    found = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"Installed: {found}. A TPU needs tensorflow-tpu alone and its libtpu: pip uninstall -y "
        "tensorflow tensorflow-cpu; pip install tensorflow-tpu==2.19.1; pip install --no-deps "
        "tensorflow-text==2.19.0 (Python 3.10 to 3.12; docs/tpu.md)."
    )


def tpu_strategy(settings: DeviceSettings) -> tf.distribute.Strategy:
    """Connects to a TPU and initializes it; raises a ValueError if none answers."""
    address = settings.tpu_name or settings.master or "local"
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(
            tpu=address, zone=settings.tpu_zone, project=settings.gcp_project
        )
        if address.startswith("grpc://"):  # TensorFlow itself would try forever.
            host, _, port = address.removeprefix("grpc://").partition(":")
            socket.create_connection((host, int(port or _TPU_PORT)), _CONNECT_SECONDS).close()
        if address != "local":
            tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        strategy = tf.distribute.TPUStrategy(resolver)
    except Exception as error:  # The resolver raises whatever its transport does.
        raise ValueError(
            f"No TPU answers at {address!r} (zone {settings.tpu_zone or 'of this machine'}, "
            f"project {settings.gcp_project or 'of this machine'}): {error}\n{_installed()} Then "
            "check the TPU's name, zone and project, that its state is READY, that its TensorFlow "
            f"version is this program's ({tf.__version__}), and, on a TPU VM, that no other "
            "process holds it. Without a TPU, leave out --use_tpu, or use "
            "--distribution_strategy=auto."
        ) from error
    if strategy.num_replicas_in_sync != settings.num_tpu_cores:
        message = "The TPU has %d cores, not the %d of --num_tpu_cores; all of them are used."
        logger.warning(message, strategy.num_replicas_in_sync, settings.num_tpu_cores)
    return strategy
