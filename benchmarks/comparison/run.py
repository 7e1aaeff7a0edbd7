"""Runs the contestants of a case in turn, each in a process of its own."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import machine

from comparison.case import CEILINGS, OURS, Case, package_of, variant_of
from comparison.environments import python_of
from comparison.settings import ComparisonSettings

_RUNNERS = Path(__file__).parent / "runners"
_REPOSITORY = _RUNNERS.parents[2]
_SHOWN_LINES = 30  # Of what a failed runner wrote.


def contestants(case: Case, peers: tuple[str, ...]) -> list[str]:
    """Returns ours and those of the chosen peers that can do the work, then the ceilings."""
    names = (*case.contestants, *(CEILINGS if case.ceilings else ()))
    return [name for name in names if package_of(name) in (OURS, *peers)]


def runner_of(case: Case, contestant: str) -> str:
    """Returns the name of the program that does a contestant's work."""
    if contestant in CEILINGS:
        return CEILINGS[contestant][0]
    return f"{case.work}_{package_of(contestant)}"


def prepare(case: Case, chosen: list[str], settings: ComparisonSettings) -> None:
    """Makes what runners need, such as a model. It is kept for later runs.

    Ours are made where this program runs, which may have more than our environment.
    """
    packages = {OURS, *map(package_of, chosen)}
    for runner in case.preparations:
        package = next((name for name in packages if runner.endswith(f"_{name}")), None)
        if package:
            told = _told(case, settings, round_number=0)
            python = sys.executable if package == OURS else None
            run_program(runner, package, told, settings, (), python)


def run_rounds(
    case: Case,
    chosen: list[str],
    rounds: range,
    settings: ComparisonSettings,
    is_done: Callable[[str, int], bool],
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields (contestant, figures) of each run, in the order A B A B."""
    cores = machine.cores()[: case.cores or None]
    for number in rounds:
        for name in chosen:
            if is_done(name, number):
                continue
            told = {**_told(case, settings, number), "variant": variant_of(name)}
            figures = run_program(runner_of(case, name), package_of(name), told, settings, cores)
            yield name, {"round": number, **figures}


def run_program(
    runner: str,
    package: str,
    told: dict,
    settings: ComparisonSettings,
    cores: tuple | list,
    python: str | None = None,
) -> dict[str, Any]:
    """Runs one runner. Returns what it printed as JSON, with its time and its peak of memory.

    Raises a ValueError with the end of its messages, if it fails.

    Args:
        python: by default the one of the package's environment.
    """
    python = python or python_of(package, settings.environments_dir)
    told = {**told, "started": time.time()}
    command = [python, str(_RUNNERS / f"{runner}.py"), json.dumps(told)]
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as messages:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=messages,
            text=True,
            env=_environment(package),
            preexec_fn=(lambda: os.sched_setaffinity(0, cores)) if cores else None,
        )
        figures: dict[str, Any] = {}
        for line in process.stdout:
            if line.startswith("{"):
                figures.update(json.loads(line))
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            messages.seek(0)
            end = "".join(messages.readlines()[-_SHOWN_LINES:])
            raise ValueError(f"{runner} failed with status {process.returncode}:\n{end}")
    seconds = time.perf_counter() - start
    used = {"processor_seconds": usage.ru_utime + usage.ru_stime}
    peak = machine.peak_megabytes(usage)
    return {"process_seconds": seconds, **used, "peak_mb": peak, **figures}


def _told(case: Case, settings: ComparisonSettings, round_number: int) -> dict[str, Any]:
    """What a runner gets as JSON."""
    work_dir = Path(settings.work_dir).absolute()
    work_dir.mkdir(parents=True, exist_ok=True)
    return {
        **case.settings,
        "round": round_number,
        "work_dir": str(work_dir),
        "data_dir": settings.data_dir and str(Path(settings.data_dir).absolute()),
    }


def _environment(package: str) -> dict[str, str]:
    """The system's variables: a peer sees nothing of this package's."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ours = {"PYTHONPATH": str(_REPOSITORY)} if package == OURS else {}
    offline = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "true"}
    return {"TF_CPP_MIN_LOG_LEVEL": "3", **offline, **variables, **ours}
