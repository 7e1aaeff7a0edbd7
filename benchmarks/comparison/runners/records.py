"""What runners that make pre-training records share: the flags, and how the process is measured."""

import hashlib
import resource
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

from plain_text import VOCAB, text_file
from reporting import report


def run(settings: SimpleNamespace, program: list[str], flags: dict[str, str]) -> None:
    """Runs a program with the flags that both packages have, and reports its time."""
    flags = {
        "input_file": str(text_file(settings)),
        "vocab_file": VOCAB,
        "dupe_factor": settings.dupe_factor,
        **flags,
    }
    start = time.perf_counter()
    command = [sys.executable, *program, *(f"--{name}={value}" for name, value in flags.items())]
    subprocess.run(command, check=True, stdout=sys.stderr)
    seconds = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    megabytes = text_file(settings).stat().st_size / 1e6
    report(
        seconds=seconds,
        processor_seconds=used.ru_utime + used.ru_stime,
        megabytes_per_second=megabytes / seconds,
    )


def output_file(settings: SimpleNamespace, package: str) -> Path:
    """Returns the file of the records."""
    return Path(settings.work_dir) / f"records-{package}.tfrecord"


def report_digest(path: Path, normal: Callable[[bytes], bytes] = bytes) -> None:
    """Reports a digest of the records, as `normal` makes them, and deletes them."""
    digest, data, place = hashlib.sha256(), path.read_bytes(), 0
    while place < len(data):
        (size,) = struct.unpack_from("<Q", data, place)
        place += 12  # Beyond the size and its checksum.
        digest.update(normal(data[place : place + size]))
        place += size + 4
    report(records_digest=digest.hexdigest()[:12])
    path.unlink()
