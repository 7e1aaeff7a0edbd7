"""Which devices compute, and on how many hosts: DeviceSettings."""

import dataclasses

from bert_tf.config import is_address
from bert_tf.settings.setting import check_choices, check_whole_numbers, setting

STRATEGIES = ("auto", "one_device", "mirrored", "multi_worker", "tpu")

_LOWEST = {"num_tpu_cores": 1, "num_gpus": 0, "num_virtual_devices": 0, "worker_timeout": 1}


@dataclasses.dataclass(frozen=True)
class DeviceSettings:
    """The devices: the original's six flags for TPUs, and what it lacked.

    None of them changes what is computed but by rounding, and by which dropout masks are drawn.

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
        "--worker_hosts; tpu. auto: several hosts where they are named, else a TPU where one "
        "answers, all GPUs where there are several, else one device.",
    )
    num_gpus: int = setting(0, "GPUs of this machine that are used at most; 0 for all.")
    num_virtual_devices: int = setting(
        0,
        "Computes on so many pretended devices that share this machine's CPU: to try what several "
        "GPUs would do. 0 for none.",
    )
    worker_hosts: tuple[str, ...] = setting(
        (),
        "Of multi_worker: host:port,host:port of all processes, the same list for each. Without "
        "it, the environment's TF_CONFIG says.",
    )
    task_index: int | None = setting(
        None, "Of multi_worker: this process's place in --worker_hosts, from 0."
    )
    worker_timeout: int = setting(
        60, "Of multi_worker: seconds after which a process that does not answer counts as lost."
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
                "--num_virtual_devices pretends that there are several devices, which only "
                f"--distribution_strategy=mirrored uses. Received: {strategy!r}"
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
