"""Finds the Python of each package: ours is the one that runs, a peer has an environment."""

import sys
from pathlib import Path

from comparison.case import OURS


def python_of(package: str, environments_dir: str) -> str:
    """Returns the path of a package's Python.

    Raises a ValueError that names the command which makes the environment, if there is none.
    """
    if package == OURS:
        return sys.executable
    python = Path(environments_dir) / package / "bin" / "python"
    if not python.exists():
        raise ValueError(
            f"{package} has no environment at {python.parent.parent}. Make it by: "
            f"bash benchmarks/peers/make_environment.sh {package} {environments_dir}"
        )
    return str(python.absolute())  # Not resolved: a link to another Python would lose its packages.
