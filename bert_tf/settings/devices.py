"""Defines DeviceSettings: the devices and hosts that compute."""

import dataclasses

from bert_tf.config import is_address
from bert_tf.settings.setting import Settings, setting


@dataclasses.dataclass(frozen=True)
class DeviceSettings(Settings):
    """Selects devices: the original's six flags for TPUs, and flags for GPUs and several hosts.

    They affect results only through rounding and dropout masks.
    """

    use_tpu: bool = setting(False, "Whether to compute on a TPU: --distribution_strategy=tpu.")
    tpu_name: str | None = setting(None, "The Cloud TPU: a name, a grpc:// address, or local.")
    tpu_zone: str | None = setting(None, "The TPU's Google Cloud zone, by default this machine's.")
    gcp_project: str | None = setting(None, "The TPU's Google Cloud project, by default this one.")
    master: str | None = setting(None, "The TPU's grpc:// address, where there is no --tpu_name.")
    num_tpu_cores: int = setting(8, "Cores that the TPU is expected to have.", at_least=1)
    # Beyond the original.
    distribution_strategy: str = setting(
        "auto",
        "mirrored: all GPUs. multi_worker: --worker_hosts. auto: hosts, else a TPU, else all GPUs.",
        choices=("auto", "one_device", "mirrored", "multi_worker", "tpu"),
    )
    num_gpus: int = setting(0, "GPUs of this machine that are used at most; 0: all.", at_least=0)
    num_virtual_devices: int = setting(
        0, "Devices to split the CPU into, to try out several GPUs; 0: none.", at_least=0
    )
    worker_hosts: tuple[str, ...] = setting(
        (), "All processes of multi_worker, host:port,host:port. Default: from TF_CONFIG."
    )
    task_index: int | None = setting(None, "This process's place in --worker_hosts, from 0.")
    worker_timeout: int = setting(60, "Seconds until a silent worker is lost.", at_least=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        strategy = self.distribution_strategy
        if self.use_tpu and strategy not in ("auto", "tpu"):
            raise ValueError(
                f"--use_tpu is --distribution_strategy=tpu. Received: {strategy!r} beside it."
            )
        if self.num_virtual_devices and (self.use_tpu or strategy not in ("auto", "mirrored")):
            raise ValueError(
                f"--num_virtual_devices is for --distribution_strategy=mirrored. Received: "
                f"{strategy!r}"
            )
        if self.worker_hosts or self.task_index is not None:
            self._check_workers()

    def _check_workers(self) -> None:
        hosts, index = self.worker_hosts, self.task_index
        if self.use_tpu or self.distribution_strategy not in ("auto", "multi_worker"):
            raise ValueError(
                f"--worker_hosts and --task_index are for --distribution_strategy=multi_worker. "
                f"Received: {self.distribution_strategy!r}"
            )
        if not all(map(is_address, hosts)) or len(set(hosts)) < len(hosts):
            raise ValueError(
                f"--worker_hosts takes host:port of each process (ports to 65535), with commas "
                f"between them and each once. Received: {','.join(hosts)!r}"
            )
        if index not in range(len(hosts)):
            raise ValueError(
                f"--task_index is this process's place in --worker_hosts, from 0, and both are "
                f"needed. Received: {index!r} and {','.join(hosts)!r}"
            )
