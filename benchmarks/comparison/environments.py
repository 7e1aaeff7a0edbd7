"""Finds the Python of each package."""

import sys
from pathlib import Path

from comparison.case import OURS


def python_of(package: str, environments_dir: str) -> str:
    """Returns the path of the Python in a package's environment. Without one, ours is what runs.

    Raises a ValueError that names the command which makes the environment, if there is none.
    """
    python = Path(environments_dir) / package / "bin" / "python"
    if not python.exists():
        if package == OURS:
            return sys.executable
        raise ValueError(
            f"{package} has no environment at {python.parent.parent}. Make it by: "
            f"bash benchmarks/environments/make_environment.sh {package} {environments_dir}"
        )
    return str(python.absolute())  # Not resolved: a link to another Python would lose its packages.
