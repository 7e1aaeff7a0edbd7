"""Finds out which processes train together, and which of them this one is.

    --worker_hosts=10.0.0.1:2222,10.0.0.2:2222 --task_index=1

or, in the environment, as TensorFlow's own programs read it:

    TF_CONFIG={"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]},
               "task": {"type": "worker", "index": 1}}

A `chief` of TF_CONFIG is the first of the workers, whose number is then 0.
"""

import dataclasses
import json
import os
import re
import socket
import time
from collections.abc import Sequence
from typing import Any

from bert_tf.config import is_address

_VARIABLE = "TF_CONFIG"
_JOBS = ("chief", "worker")
_SECONDS_BETWEEN_TRIES = 0.2


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The processes of a run.

    jobs: (job, its addresses), in the order in which the processes are numbered.
    job, task: this process's job, and its index there.
    """

    jobs: tuple[tuple[str, tuple[str, ...]], ...]
    job: str
    task: int

    @property
    def hosts(self) -> list[str]:
        """All addresses, in the order of the processes."""
        return [host for _, hosts in self.jobs for host in hosts]

    @property
    def index(self) -> int:
        """This process's number; the chief is 0."""
        before = [job for job, _ in self.jobs]
        return sum(len(hosts) for _, hosts in self.jobs[: before.index(self.job)]) + self.task


def find_cluster(worker_hosts: Sequence[str], task_index: int | None) -> Cluster | None:
    """Returns the cluster that the flags name, or else TF_CONFIG; None if neither does.

    Raises:
        ValueError: if TF_CONFIG cannot be understood.
    """
    if worker_hosts:
        return Cluster((("worker", tuple(worker_hosts)),), "worker", int(task_index or 0))
    text = os.environ.get(_VARIABLE, "").strip()
    if not text:
        return None
    try:
        config = json.loads(text)
        cluster, task = config.get("cluster") or {}, config.get("task") or {}
        jobs = tuple((job, _addresses(job, cluster[job])) for job in _JOBS if cluster.get(job))
        job, index = task.get("type", "worker"), task.get("index", 0)
    except (AttributeError, TypeError, ValueError) as error:
        raise _refusal(text, str(error)) from error
    if not jobs:
        return None
    hosts = [host for _, its in jobs for host in its]
    if len(set(hosts)) < len(hosts):
        raise _refusal(text, "an address stands there twice")
    if len(hosts) > 1 and "index" not in task:
        raise _refusal(text, "it does not say which of them this process is")
    if not re.fullmatch(r"\d+", str(index)):  # Some cluster managers write it as a string.
        raise _refusal(text, f"an index is a whole number, not {index!r}")
    index = int(index)
    if job not in dict(jobs) or not 0 <= index < len(dict(jobs)[job]):
        raise _refusal(text, f"there is no {job} {index} among its chief and workers")
    return Cluster(jobs, job, index)


def wait_for_others(cluster: Cluster, timeout: float) -> None:
    """Waits until all other processes listen at their addresses.

    Args:
        cluster: the processes.
        timeout: in seconds.

    Raises:
        TimeoutError: naming those that do not listen in time.
    """
    end = time.monotonic() + timeout
    missing = [host for index, host in enumerate(cluster.hosts) if index != cluster.index]
    while True:
        missing = [host for host in missing if not _listens(host, max(end - time.monotonic(), 1.0))]
        if not missing:
            return
        if time.monotonic() > end:
            raise TimeoutError(f"nobody answers at {', '.join(missing)}")
        time.sleep(_SECONDS_BETWEEN_TRIES)


def _listens(address: str, timeout: float) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout).close()
    except OSError:
        return False
    return True


def _addresses(job: str, hosts: Any) -> tuple[str, ...]:
    if not isinstance(hosts, list):
        raise ValueError(f"the addresses of {job} are no list")
    wrong = [host for host in hosts if not isinstance(host, str) or not is_address(host)]
    if wrong:
        raise ValueError(f"an address is host:port (ports to 65535), not {wrong[0]!r}")
    return tuple(hosts)


def _refusal(text: Any, reason: str) -> ValueError:
    return ValueError(
        f"TF_CONFIG cannot be used: {reason}. It names the addresses of all processes and which of "
        'them this one is, as in {"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": '
        f'{{"type": "worker", "index": 0}}}}. Received: {text}'
    )
