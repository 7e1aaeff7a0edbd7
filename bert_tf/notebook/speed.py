"""Measures how long a model takes for batches of different sizes."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Speed:
    """Seconds of a call with `batch_size` texts: the median, and between what 90 % lie."""

    batch_size: int
    median: float
    fastest: float  # The 5th percentile.
    slowest: float  # The 95th percentile.

    @property
    def texts_per_second(self) -> float:
        return self.batch_size / self.median


def measure_speed(
    call: Callable[[list[str]], Any],
    texts: Sequence[str],
    batch_sizes: Sequence[int] = (1, 2, 4, 8, 16, 32),
    seconds: float = 2.0,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Speed]:
    """Calls a model with batches of texts, and returns the speed for each size.

    The first call of each size, which may trace a graph, does not count.

    Args:
        call: takes a list of texts.
        texts: taken in turn, and again from the start.
        seconds: how long each size is measured, at least three calls.
        clock: returns seconds; for tests.

    Raises a ValueError without texts or sizes.
    """
    if not texts or not batch_sizes or min(batch_sizes) < 1:
        raise ValueError(
            "Texts and batch sizes of 1 or more are needed. Received: "
            f"{len(texts)} texts, sizes {list(batch_sizes)}"
        )
    speeds = []
    for size in batch_sizes:
        batch = [texts[number % len(texts)] for number in range(size)]
        call(batch)
        times: list[float] = []
        while sum(times) < seconds or len(times) < 3:
            start = clock()
            call(batch)
            times.append(clock() - start)
        fastest, median, slowest = np.percentile(times, [5, 50, 95]).tolist()
        speeds.append(Speed(size, median, fastest, slowest))
    return speeds
