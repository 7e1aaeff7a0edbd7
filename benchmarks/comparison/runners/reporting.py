"""What runners share: their settings, and how they print figures. Only Python's own library.

A runner is started as `PYTHON runners/WORK_PACKAGE.py '{"batch_size": 8, ...}'`.
"""

import importlib.metadata
import json
import os
import platform
import sys
from types import SimpleNamespace


def read_settings() -> SimpleNamespace:
    """Returns the settings that the program was started with, as attributes."""
    return SimpleNamespace(**json.loads(sys.argv[1]))


def report(**figures) -> None:
    """Prints figures for the program that compares. A later one of the same name replaces it."""
    print(json.dumps(figures), flush=True)


def report_versions(*packages: str) -> None:
    """Prints the versions of Python and of some packages."""
    versions = {name: importlib.metadata.version(name) for name in packages}
    report(versions={"python": platform.python_version(), **versions})


def num_threads() -> int:
    """Returns how many cores this process may use, and so how many threads a package shall."""
    has_affinity = hasattr(os, "sched_getaffinity")
    return len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
