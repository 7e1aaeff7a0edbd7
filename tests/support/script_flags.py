"""Which flags a script has, as its own help says."""

import functools
import re
import subprocess
import sys
from pathlib import Path


@functools.cache
def flags_of(script: Path) -> frozenset[str]:
    """The names of all flags that a script's --helpfull lists; a switch has two, as in `nohelp`."""
    command = [sys.executable, str(script), "--helpfull"]
    text = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = re.findall(r"^\s+(?:-\w,)?--(\[no\])?(\w+)", text, re.MULTILINE)
    return frozenset({name for _, name in found} | {f"no{name}" for no, name in found if no})
