"""The devices and hosts that compute: DeviceSettings."""

import dataclasses

from bert_tf.config import is_address
from bert_tf.settings.setting import check_choices, check_whole_numbers, setting

STRATEGIES = ("auto", "one_device", "mirrored", "multi_worker", "tpu")

_LOWEST = {"num_tpu_cores": 1, "num_gpus": 0, "num_virtual_devices": 0, "worker_timeout": 1}


@dataclasses.dataclass(frozen=True)
class DeviceSettings:
    """The devices: the original's six flags for TPUs, and flags for GPUs and several hosts.

    They change results only by rounding, and by which dropout masks are drawn.

    Raises:
        ValueError: for values that contradict each other.
    """

    use_tpu: bool = setting(
        False, "Whether to compute on a TPU: the same as --distribution_strategy=tpu."
    )
    tpu_name: str | None = setting(
        None, "The Cloud TPU: its name, a grpc:// address, or local on a TPU VM."
    )
    tpu_zone: str | None = setting(
        None, "The TPU's Google Cloud zone; that of this machine if empty."
    )
    gcp_project: str | None = setting(
        None, "The TPU's Google Cloud project; that of this machine if empty."
    )
    master: str | None = setting(None, "The TPU's grpc:// address, where there is no --tpu_name.")
    num_tpu_cores: int = setting(8, "Cores that the TPU is expected to have.")
    # Beyond the original.
    distribution_strategy: str = setting(
        "auto",
        "one_device; mirrored: all GPUs of this machine; multi_worker: several hosts, see "
        "--worker_hosts; tpu. auto: several hosts if they are named, else a TPU if one answers, "
        "else all GPUs if there are several, else one device.",
    )
    num_gpus: int = setting(0, "How many GPUs of this machine are used at most; 0 for all.")
    num_virtual_devices: int = setting(
        0,
        "Splits this machine's CPU into so many virtual devices, to try out what several GPUs "
        "would do. 0 for none.",
    )
    worker_hosts: tuple[str, ...] = setting(
        (),
        "For multi_worker: host:port,host:port of all processes, the same list for each. By "
        "default from the environment variable TF_CONFIG.",
    )
    task_index: int | None = setting(
        None, "For multi_worker: this process's place in --worker_hosts, from 0."
    )
    worker_timeout: int = setting(
        60, "For multi_worker: seconds until a process that does not answer counts as lost."
    )

    def __post_init__(self) -> None:
        check_whole_numbers(self, _LOWEST)
        check_choices(self, {"distribution_strategy": STRATEGIES})
        strategy = self.distribution_strategy
        if self.use_tpu and strategy not in ("auto", "tpu"):
            raise ValueError(
                f"--use_tpu is --distribution_strategy=tpu. Received: {strategy!r} beside it."
            )
        if self.num_virtual_devices and (self.use_tpu or strategy not in ("auto", "mirrored")):
            raise ValueError(
                "--num_virtual_devices is for --distribution_strategy=mirrored. Received: "
                f"{strategy!r}"
            )
        self._check_workers()

    def _check_workers(self) -> None:
        hosts, index = self.worker_hosts, self.task_index
        if not hosts and index is None:
            return
        if self.use_tpu or self.distribution_strategy not in ("auto", "multi_worker"):
            raise ValueError(
                "--worker_hosts and --task_index are for --distribution_strategy=multi_worker. "
                f"Received: {self.distribution_strategy!r}"
            )
        wrong = [host for host in hosts if not is_address(host)]
        if wrong or len(set(hosts)) < len(hosts):
            raise ValueError(
                "--worker_hosts takes host:port of each process (ports to 65535), with commas "
                f"between them and each once. Received: {','.join(hosts)!r}"
            )
        if not hosts or index is None or not 0 <= index < len(hosts):
            raise ValueError(
                f"--task_index is this process's place in --worker_hosts, from 0 to "
                f"{max(len(hosts) - 1, 0)}, and both are needed. Received: {index!r} and "
                f"{','.join(hosts)!r}"
            )
