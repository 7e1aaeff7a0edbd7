"""The batch that every package trains on, and how its steps are timed. Numpy only."""

import time
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
from ceiling_shapes import step_flops
from reporting import report


def make_batch(settings: SimpleNamespace) -> dict[str, np.ndarray]:
    """Random tokens without padding, 15 % of them masked; int32 but for the float32 weights."""
    rng = np.random.default_rng(0)
    rows, length, vocab_size = settings.batch_size, settings.length, settings.vocab_size
    masked = max(1, round(0.15 * length))
    positions = [rng.permutation(np.arange(1, length))[:masked] for _ in range(rows)]
    integers = {
        "input_ids": rng.integers(5, vocab_size, (rows, length)),
        "input_mask": np.ones((rows, length)),
        "segment_ids": np.broadcast_to(np.arange(length) > length // 2, (rows, length)),
        "masked_lm_positions": np.sort(positions, axis=1),
        "masked_lm_ids": rng.integers(5, vocab_size, (rows, masked)),
        "next_sentence_labels": rng.integers(0, 2, (rows, 1)),
    }
    batch = {name: np.array(value, np.int32) for name, value in integers.items()}
    return {**batch, "masked_lm_weights": np.ones((rows, masked), np.float32)}


def time_steps(step: Callable[[], float], settings: SimpleNamespace) -> None:
    """Runs warm-up steps and timed ones; reports their median, and the first step's loss."""
    start = time.perf_counter()
    losses = [float(step())]
    report(start_to_first_step_seconds=time.time() - settings.started)
    losses += [float(step()) for _ in range(settings.warmup_steps - 1)]
    first = time.perf_counter() - start
    seconds = []
    for _ in range(settings.steps):
        start = time.perf_counter()
        losses.append(float(step()))
        seconds.append(time.perf_counter() - start)
    median = float(np.median(seconds))
    report(
        step_seconds=median,
        examples_per_second=settings.batch_size / median,
        gflops=step_flops(settings) / median / 1e9,
        warmup_seconds=first,
        first_loss=losses[0],
        last_loss=losses[-1],
    )
