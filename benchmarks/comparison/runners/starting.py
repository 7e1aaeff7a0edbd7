"""What runners that start scripts share: how long `--help` and a wrong flag take."""

import subprocess
import sys
import time

from reporting import report


def time_starts(programs: dict[str, list[str]]) -> None:
    """Reports the seconds of the slowest script, given what Python is called with for each."""
    for name, argument in (("help", "--help"), ("wrong_flag", "--no_such_flag=1")):
        seconds = {script: _seconds([*call, argument]) for script, call in programs.items()}
        slowest = max(seconds, key=seconds.get)
        report(**{f"{name}_seconds": seconds[slowest], f"{name}_slowest": slowest})


def _seconds(call: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *call], capture_output=True, check=False)
    return time.perf_counter() - start
