"""Lists accelerators with their peak rates, memory, and the fraction of the peak that BERT reaches.

    hardware = find_hardware("a100")
    hardware.rates["bfloat16"].peak          # 312e12 FLOP/s, from the data sheet
    hardware.rates["bfloat16"].efficiency    # 0.40, from a published run

Values are per chip (TPU) or card (GPU). Rates are listed by the value of --mixed_precision. The
rate for "" is that of float32 models: on Ampere and later TensorFlow multiplies float32 in TF32,
and a TPU in bfloat16 passes. If no comparable BERT run has been published, `source` says how the
efficiency was derived.
"""

import dataclasses
import difflib
import functools
import math
import os
import time
from collections.abc import Callable, Mapping

import numpy as np

GIB = 2.0**30
TERA = 1e12


@dataclasses.dataclass(frozen=True)
class Rate:
    """The speed of matrix products at one precision.

    peak: FLOP/s of a chip for dense products.
    efficiency: the fraction of the peak that a pre-training step reaches in products with weights,
        if all other work of the step counts as part of them (see `plan.step_seconds`).
    source: where the efficiency was published, or how it was derived.
    """

    peak: float
    efficiency: float
    source: str


@dataclasses.dataclass(frozen=True)
class Hardware:
    """An accelerator, or this machine's processor.

    name: its value for --hardware.
    description: the full name, for people.
    memory_bytes: memory of a chip.
    bandwidth: memory bandwidth of a chip, bytes/s.
    rates: by the value of --mixed_precision.
    source: where peak, memory and bandwidth were published.
    devices_per_chip: the number of replicas that share a chip.
    always_compiles: whether XLA compiles steps even without --xla.
    """

    name: str
    description: str
    memory_bytes: float
    bandwidth: float
    rates: Mapping[str, Rate]
    source: str
    devices_per_chip: int = 1
    always_compiles: bool = False

    def rate(self, mixed_precision: str) -> Rate:
        """Returns the rate for a value of --mixed_precision.

        Raises:
            ValueError: if no rate is known for it.
        """
        if mixed_precision not in self.rates:
            known = ", ".join(repr(precision) for precision in self.rates)
            raise ValueError(
                f"--mixed_precision on {self.name} must be one of {known}: no rate is known for "
                f"others. Received: {mixed_precision!r}"
            )
        return self.rates[mixed_precision]


# Measured by NVIDIA with its TensorFlow 2 code: XLA, LAMB, gradient accumulation.
_NVIDIA = (
    "NVIDIA DeepLearningExamples, TensorFlow2/LanguageModeling/BERT/README.md, BERT-Large at 128 "
    "tokens on one GPU: "
)
_V2_BERT = "Devlin et al. 2019, appendix A.2: BERT-Base, 1M steps of 256 in 4 days on 16 TPU chips"
_V3_BERT = (
    "You et al. 2019 (arXiv 1904.00962), table 1: BERT-Large, 1M steps of 512 in 81.4 hours on 16 "
    "TPU v3"
)
_LIKE_V3 = "no comparable BERT run was found: as TPU v3"
# Model FLOPs utilization of one code and one 1.3B model (512 tokens, 8 GPUs, bfloat16): 43.21 % on
# H100, 60.68 % on A100 (mosaicml/llm-foundry, scripts/train/benchmarking/README.md).
_H100_TO_A100 = 43.21 / 60.68
_LIKE_A100 = (
    "no comparable BERT run was found: the A100's efficiency times 0.71, the ratio of the two in "
    "mosaicml/llm-foundry, scripts/train/benchmarking/README.md, 1.3B model, 512 tokens"
)
# Likewise for Llama 2 70B: 43.8 % on v6e, 65.4 % on v5p (maxtext.readthedocs.io, "Optimized models
# tiering").
_V6E_TO_V5P = 43.8 / 65.4
_LIKE_V5P = (
    "no comparable BERT run was found: TPU v3's efficiency times 0.67, the ratio of v6e to v5p in "
    "MaxText's tables"
)
_V3_EFFICIENCY = 0.35
_A100_EFFICIENCY, _A100_TF32_EFFICIENCY = 0.40, 0.47


def _tpu(
    name: str,
    peak: float,
    memory: float,
    bandwidth: float,
    efficiency: float,
    efficiency_source: str,
    source: str,
    devices_per_chip: int = 1,
) -> Hardware:
    """Returns a TPU chip, which multiplies in bfloat16 whatever the model's precision is."""
    rate = Rate(peak, efficiency, efficiency_source)
    description = f"Google TPU {name.removeprefix('tpu_')} chip"
    rates = {"": rate, "bfloat16": rate}
    return Hardware(
        *(name, description, memory, bandwidth, rates, source, devices_per_chip),
        always_compiles=True,
    )


def _halves(rate: Rate) -> dict[str, Rate]:
    return {"bfloat16": rate, "float16": rate}


def _hopper(name: str, description: str, memory: float, bandwidth: float, page: str) -> Hardware:
    half = Rate(989.5 * TERA, round(_A100_EFFICIENCY * _H100_TO_A100, 2), _LIKE_A100)
    tf32 = Rate(494.5 * TERA, round(_A100_TF32_EFFICIENCY * _H100_TO_A100, 2), _LIKE_A100)
    source = f"{page}; half of its rates, which assume sparsity"
    return Hardware(name, description, memory, bandwidth, {"": tf32, **_halves(half)}, source)


HARDWARE = (
    _tpu(
        *("tpu_v2", 46 * TERA, 16 * GIB, 700e9, 0.114, _V2_BERT),
        source="Norrie et al. 2021, The Design Process for Google's Training Chips",
        devices_per_chip=2,
    ),
    _tpu(
        *("tpu_v3", 123 * TERA, 32 * GIB, 900e9, _V3_EFFICIENCY, _V3_BERT),
        source="cloud.google.com/tpu/docs/v3",
        devices_per_chip=2,
    ),
    _tpu(
        *("tpu_v4", 275 * TERA, 32 * GIB, 1200e9, _V3_EFFICIENCY, _LIKE_V3),
        source="cloud.google.com/tpu/docs/v4",
    ),
    _tpu(
        *("tpu_v5e", 197 * TERA, 16e9, 819e9, _V3_EFFICIENCY, _LIKE_V3),
        source="cloud.google.com/tpu/docs/v5e",
    ),
    _tpu(
        *("tpu_v5p", 459 * TERA, 95e9, 2765e9, _V3_EFFICIENCY, _LIKE_V3),
        source="cloud.google.com/tpu/docs/v5p",
    ),
    _tpu(
        *("tpu_v6e", 918 * TERA, 32e9, 1638e9, round(_V3_EFFICIENCY * _V6E_TO_V5P, 2), _LIKE_V5P),
        source="cloud.google.com/tpu/docs/v6e",
    ),
    Hardware(
        *("v100", "NVIDIA V100 SXM2, 32 GB", 32 * GIB, 900e9),
        {
            "": Rate(15.7 * TERA, 0.81, _NVIDIA + "49.97 examples/s in float32"),
            "float16": Rate(125 * TERA, 0.43, _NVIDIA + "206.5 examples/s in float16"),
        },
        "NVIDIA's V100 data sheet",
    ),
    Hardware(
        *("a100", "NVIDIA A100 SXM4, 80 GB", 80 * GIB, 2039e9),
        {
            "": Rate(156 * TERA, _A100_TF32_EFFICIENCY, _NVIDIA + "282.98 examples/s in TF32"),
            **_halves(Rate(312 * TERA, _A100_EFFICIENCY, _NVIDIA + "485.59 examples/s in float16")),
        },
        "NVIDIA's A100 data sheet",
    ),
    _hopper("h100", "NVIDIA H100 SXM5, 80 GB", 80 * GIB, 3350e9, "NVIDIA's H100 data sheet"),
    _hopper("h200", "NVIDIA H200 SXM, 141 GB", 141e9, 4800e9, "NVIDIA's H200 data sheet"),
)
# This machine's processor, which is measured and so not in the table.
CPU = "cpu"
# The fraction of `measure_cpu`'s rate that training reached (see
# benchmarks/results/plan_pretraining.md).
CPU_EFFICIENCY = 0.75


def hardware_names() -> list[str]:
    """Returns all names that `find_hardware` accepts."""
    return [hardware.name for hardware in HARDWARE] + [CPU]


def find_hardware(name: str, cpu_peak: float | None = None) -> Hardware:
    """Looks hardware up by name; `cpu` is this machine's processor.

    Args:
        name: a name in HARDWARE, in any case and with `-` for `_`.
        cpu_peak: FLOP/s of `cpu`; measured if None.

    Raises:
        ValueError: if the name is unknown.
    """
    key = name.lower().replace("-", "_")
    if key == CPU:
        return measure_cpu(cpu_peak)
    for hardware in HARDWARE:
        if hardware.name == key:
            return hardware
    close = difflib.get_close_matches(key, hardware_names(), n=1)
    raise ValueError(
        f"--hardware must be one of {', '.join(hardware_names())}. Received: {name!r}"
        + (f" (close: {close[0]})" if close else "")
    )


def measure_cpu(peak: float | None = None, seconds: float = 1.0) -> Hardware:
    """Measures this machine's processor, using all cores available to this process.

    Args:
        peak: FLOP/s of float32 matrix products; measured if None.
        seconds: duration of a measurement.
    """
    if peak is None:
        size = 2048
        left = np.random.default_rng(0).random((size, size), dtype=np.float32)
        right, product = left.T.copy(), np.empty((size, size), np.float32)
        multiply = functools.partial(np.matmul, left, right, out=product)
        peak = 2.0 * size**3 / _shortest_seconds(multiply, seconds)
    source, target = np.ones(32 * 2**20, np.float32), np.zeros(32 * 2**20, np.float32)
    copy = functools.partial(np.copyto, target, source)
    bandwidth = 2.0 * source.nbytes / _shortest_seconds(copy, seconds / 2)
    memory = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Hardware(
        *(CPU, f"this machine's processor, {cores} cores", memory, bandwidth),
        {"": Rate(peak, CPU_EFFICIENCY, "benchmarks/results/plan_pretraining.md")},
        "measured by multiplying 2048 x 2048 matrices and copying 128 MB",
    )


def _shortest_seconds(call: Callable[[], object], seconds: float) -> float:
    """Returns the shortest duration of repeated calls: other processes can only slow them down."""
    shortest, end = math.inf, time.perf_counter() + seconds
    while True:
        start = time.perf_counter()
        call()
        now = time.perf_counter()
        shortest = min(shortest, now - start)
        if now >= end:
            return shortest
