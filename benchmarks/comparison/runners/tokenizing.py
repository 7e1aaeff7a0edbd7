"""Times a tokenizer on the lines of a text, and compares its ids with the right ones."""

import time
from collections.abc import Callable, Iterable
from types import SimpleNamespace

from plain_text import batches, different_lines, read_lines, text_file
from reporting import report

Rows = Iterable[list[int]]


def measure(settings: SimpleNamespace, encode: Callable[[list[list[str]]], list[Rows]]) -> None:
    """Reports the speed of `encode`, which gives the ids of the lines of batches."""
    lines = read_lines(settings)
    encode([["warm up", "Once."]])
    start, computed = time.perf_counter(), time.process_time()
    encoded = encode(batches(lines))
    seconds, processor_seconds = time.perf_counter() - start, time.process_time() - computed
    report(
        megabytes_per_second=text_file(settings).stat().st_size / 1e6 / seconds,
        seconds=seconds,
        processor_seconds=processor_seconds,
        different_lines=different_lines(settings, (row for rows in encoded for row in rows)),
        lines=len(lines),
    )


def one_by_one(encode: Callable[[list[str]], Rows]) -> Callable[[list[list[str]]], list[Rows]]:
    """Returns a function of batches, made of one of a batch."""
    return lambda batches: [encode(batch) for batch in batches]
