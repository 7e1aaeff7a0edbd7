"""Processes that train, alone or together: started, signalled, waited for."""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import forked_python


class WorkerProcess:
    """One of them; what it writes goes to a file, as a pipe that nobody reads would stop it.

    largest_file: bytes that a file may have, as if the disk were full then.
    forked: whether it is forked from a process that has TensorFlow imported.
    """

    def __init__(
        self,
        command: list[str],
        log: Path,
        environment: dict[str, str] | None = None,
        largest_file: int | None = None,
        forked: bool = False,
    ):
        self.log = log
        if largest_file is not None:
            command = ["bash", "-c", f'ulimit -f {largest_file // 1024}; exec "$@"', "-", *command]
        with open(log, "w") as output:
            start = forked_python.start if forked else subprocess.Popen
            environment = {**os.environ, **(environment or {})}
            self.process = start(command, stdout=output, stderr=output, env=environment)

    @property
    def output(self) -> str:
        return self.log.read_text()

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, timeout: float = 240) -> int:
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"It does not end:\n{self.output}") from None


def free_addresses(count: int) -> list[str]:
    """Addresses of this machine where nobody listens."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for free in sockets:
            free.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{free.getsockname()[1]}" for free in sockets]
    finally:
        for free in sockets:
            free.close()


def start_workers(
    command: Callable[[str, int], list[str]],
    count: int,
    folder: Path,
    largest_file: int | None = None,
) -> list[WorkerProcess]:
    """Starts `command(hosts, index)` for each."""
    hosts = ",".join(free_addresses(count))
    return [
        WorkerProcess(
            command(hosts, index), folder / f"worker-{index}.log", largest_file=largest_file
        )
        for index in range(count)
    ]


def end(workers: list[WorkerProcess]) -> None:
    """Kills whatever of them is left."""
    for worker in workers:
        if worker.process.poll() is None:
            worker.send(signal.SIGKILL)
            worker.process.wait()


def newest_step(folder: Path) -> int:
    """Of the checkpoint that the file `checkpoint` names; -1 without one."""
    try:
        text = (folder / "checkpoint").read_text()
    except FileNotFoundError:
        return -1
    return int(re.search(r'^model_checkpoint_path: "model\.ckpt-(\d+)"', text).group(1))


def wait_until(is_true: Callable[[], bool], workers: list[WorkerProcess], seconds=240) -> None:
    """Returns when something is true; fails if a worker ends before."""
    deadline = time.monotonic() + seconds
    while not is_true():
        for worker in workers:
            assert worker.process.poll() is None, worker.output
        assert time.monotonic() < deadline, "\n".join(worker.output for worker in workers)
        time.sleep(0.001)


def flip_a_byte(path: Path) -> None:
    """Damages a file as a bad disk does, near its middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(bytes(data))
