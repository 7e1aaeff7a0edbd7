"""Scripts as real processes: run, killed, compared."""

import json
import sys
from pathlib import Path

import forked_python
import numpy as np
import tensorflow as tf
from worker_processes import WorkerProcess, wait_until


class Script:
    """A script with its usual flags, to be run as a user runs it.

    Args:
        program: the script.
        folder: where it writes, in a folder of its own for each `output`.
        flags: the usual ones; a call may change them, and None leaves one out.
    """

    def __init__(self, program: Path, folder: Path, flags: dict):
        self.program = str(program)
        self.folder = folder
        self.flags = flags

    def command(self, *arguments: str, output: str = "out", **flags) -> list[str]:
        flags = {**self.flags, "output_dir": self.folder / output, **flags}
        return [
            sys.executable,
            self.program,
            *arguments,
            *(f"--{name}={value}" for name, value in flags.items() if value is not None),
        ]

    def run(self, *arguments: str, output: str = "out", fresh: bool = False, **flags):
        """Runs it to its end. Returns: a `subprocess.CompletedProcess`."""
        command = self.command(*arguments, output=output, **flags)
        return forked_python.run(command, timeout=600, fresh=fresh)

    def start(self, *arguments: str, output: str = "out", **flags) -> WorkerProcess:
        command = self.command(*arguments, output=output, **flags)
        return WorkerProcess(command, self.folder / f"{output}.log", forked=True)

    def checkpoint(self, step: int, output: str = "out") -> dict[str, np.ndarray]:
        reader = tf.train.load_checkpoint(str(self.folder / output / f"model.ckpt-{step}"))
        return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}

    def metrics(self, output: str = "out") -> list[dict]:
        lines = (self.folder / output / "metrics.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]


def assert_same_weights(actual: dict, expected: dict) -> None:
    assert set(actual) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(actual[name], value, err_msg=name)


def wait_for_file(path: Path, process: WorkerProcess) -> None:
    wait_until(path.exists, [process])
