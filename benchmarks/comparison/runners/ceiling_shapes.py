"""The matrix products of a model's step: their shapes, and how fast a library computes them."""

import time
from collections.abc import Callable
from types import SimpleNamespace

from reporting import report

_SECONDS = 0.4  # A shape's products are repeated this long; the best of them counts.


def products(settings: SimpleNamespace) -> dict[tuple[int, int, int], float]:
    """Returns (rows, inner, columns) -> how many such products a forward pass takes.

    Without those of queries with keys and of probabilities with values.
    """
    rows, width = settings.batch_size * settings.length, settings.hidden_size
    layers, inner = settings.num_hidden_layers, 4 * width
    masked = settings.batch_size * max(1, round(0.15 * settings.length))
    return {
        (rows, width, width): 4 * layers,
        (rows, width, inner): layers,
        (rows, inner, width): layers,
        (masked, width, settings.vocab_size): 1,
    }


def step_flops(settings: SimpleNamespace) -> float:
    """Returns the floating-point operations of a training step's matrix products.

    The backward pass takes twice as many as the forward pass.
    """
    forward = sum(2.0 * r * i * c * count for (r, i, c), count in products(settings).items())
    rows, length = settings.batch_size, settings.length
    attention = 4.0 * rows * length**2 * settings.hidden_size * settings.num_hidden_layers
    return 3.0 * (forward + attention)


def measure_products(
    make_product: Callable[[int, int, int, str], Callable[[], object]], settings: SimpleNamespace
) -> None:
    """Reports the GFLOP/s of the products in the proportions of a step."""
    for precision in ("float32", "bfloat16"):
        flops = seconds = 0.0
        for (rows, inner, columns), count in products(settings).items():
            flops += 2 * rows * inner * columns * count
            seconds += _fastest(make_product(rows, inner, columns, precision)) * count
        report(**{f"{precision}_gflops": flops / seconds / 1e9})


def _fastest(product: Callable[[], object]) -> float:
    """The seconds of the fastest run."""
    best, end = float("inf"), time.perf_counter() + _SECONDS
    product()
    while time.perf_counter() < end:
        start = time.perf_counter()
        product()
        best = min(best, time.perf_counter() - start)
    return best
