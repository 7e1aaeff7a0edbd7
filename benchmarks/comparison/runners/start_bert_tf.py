"""Starts every script of run_scripts/ with --help and with a wrong flag."""

from pathlib import Path

from reporting import report_versions
from starting import time_starts

FOLDER = Path(__file__).parents[3] / "run_scripts"
SCRIPTS = [
    path for path in sorted(FOLDER.glob("*.py")) if "command_line.run" in path.read_text("utf-8")
]

time_starts({path.stem: [str(path)] for path in SCRIPTS})
report_versions("absl-py")
