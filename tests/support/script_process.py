"""Scripts as real processes: run, killed, compared."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import tensorflow as tf


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

    def run(self, *arguments: str, output: str = "out", **flags) -> subprocess.CompletedProcess:
        return subprocess.run(
            self.command(*arguments, output=output, **flags),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def start(self, *arguments: str, output: str = "out", **flags) -> subprocess.Popen:
        return subprocess.Popen(
            self.command(*arguments, output=output, **flags),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

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


def wait_for_file(path: Path, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.002)
