"""What the figures of a benchmark were measured on."""

import datetime
import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
from pathlib import Path

# Instructions that decide how fast matrix products are.
_VECTOR_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimd")


def processor() -> str:
    """The processor's name, as the system gives it."""
    return _line_of("/proc/cpuinfo", "model name") or platform.processor()


def cores() -> list[int]:
    """The numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def peak_megabytes(usage: resource.struct_rusage | None = None) -> float:
    """The most memory that a process held, from its resource usage; by default this process's."""
    usage = usage or resource.getrusage(resource.RUSAGE_SELF)
    unit = 1 if sys.platform == "darwin" else 1024
    return usage.ru_maxrss * unit / 1e6


def summary(*packages: str) -> str:
    """Returns the machine and the versions of Python and some packages, in one line."""
    versions = [f"{name} {importlib.metadata.version(name)}" for name in packages]
    python = f"Python {platform.python_version()}"
    return ", ".join([f"{len(cores())} cores of {processor()}", python, *versions])


def description() -> dict[str, str | int | float]:
    """Returns what a reader needs in order to compare figures, for JSON."""
    known = _line_of("/proc/cpuinfo", "flags").split()
    memory = _line_of("/proc/meminfo", "MemTotal").split()
    return {
        "date": datetime.date.today().isoformat(),
        "processor": processor(),
        "vector_instructions": " ".join(flag for flag in _VECTOR_FLAGS if flag in known),
        "cores": len(cores()),
        "memory_gb": round(int(memory[0]) * 1024 / 1e9, 1) if memory else 0,
        "system": f"{platform.system()} {platform.machine()}",
        "commit": _commit(),
    }


def _line_of(path: str, name: str) -> str:
    """The value in a line `name: value`; empty without such a file or line."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def _commit() -> str:
    """The commit of the checkout that this file lies in; empty without git."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""
