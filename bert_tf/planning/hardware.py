"""Lists accelerators with their peak rates, memory, and the fraction of the peak that BERT reaches.

Values are per chip (TPU) or card (GPU). Rates are listed by the value of --mixed_precision; "" is
float32, which TensorFlow multiplies in TF32 on Ampere and later, and a TPU in bfloat16 passes.
"""

import dataclasses
import difflib
import os
import timeit
from collections.abc import Mapping

import numpy as np

GIB = 2.0**30
TERA = 1e12
CPU = "cpu"  # This machine's processor, which is measured.
# The fraction of its measured rate that training reached: benchmarks/results/plan_pretraining.md.
CPU_EFFICIENCY = 0.75


@dataclasses.dataclass(frozen=True)
class Rate:
    """The speed of matrix products at one precision."""

    peak: float  # FLOP/s of a chip for dense products.
    # The fraction of the peak that a pre-training step reaches in products with weights, which all
    # other work of the step is counted as: see `plan.step_seconds`.
    efficiency: float
    source: str  # Where the efficiency was published, or how it was derived.


@dataclasses.dataclass(frozen=True)
class Hardware:
    """Describes an accelerator, or this machine's processor."""

    name: str  # The value of --hardware.
    description: str
    memory_bytes: float
    bandwidth: float  # Of the memory, bytes/s.
    rates: Mapping[str, Rate]
    source: str  # Where peak, memory and bandwidth were published.
    devices_per_chip: int = 1  # Replicas that share a chip.
    always_compiles: bool = False  # Whether XLA compiles steps even without --xla.

    def rate(self, mixed_precision: str) -> Rate:
        """Returns the rate for a value of --mixed_precision, or raises a ValueError."""
        if mixed_precision not in self.rates:
            known = ", ".join(repr(precision) for precision in self.rates)
            raise ValueError(
                f"--mixed_precision on {self.name} must be one of {known}. "
                f"Received: {mixed_precision!r}"
            )
        return self.rates[mixed_precision]


_V2_BERT = "Devlin et al. 2019, appendix A.2: BERT-Base, 1M steps of 256 in 4 days on 16 TPU chips"
_V2_SOURCE = "Norrie et al. 2021, The Design Process for Google's Training Chips"
_V3_BERT = (
    "You et al. 2019 (arXiv 1904.00962), table 1: BERT-Large, 1M steps of 512 in 81.4 hours on 16 "
    "TPU v3"
)
_LIKE_V3 = "no comparable BERT run was found: as TPU v3"
# Llama 2 70B reaches 43.8 % on v6e and 65.4 % on v5p (maxtext.readthedocs.io, "Optimized models
# tiering").
_LIKE_V5P = (
    "no comparable BERT run was found: TPU v3's efficiency times 0.67, the ratio of v6e to v5p in "
    "MaxText's tables"
)
# NVIDIA's TensorFlow 2 code: XLA, LAMB, gradient accumulation.
_NVIDIA = (
    "NVIDIA DeepLearningExamples, TensorFlow2/LanguageModeling/BERT/README.md, BERT-Large at 128 "
    "tokens on one GPU: "
)
# The same code and 1.3B model (512 tokens, 8 GPUs, bfloat16) reaches 43.21 % on H100, 60.68 % on
# A100.
_LIKE_A100 = (
    "no comparable BERT run was found: the A100's efficiency times 0.71, the ratio of the two in "
    "mosaicml/llm-foundry, scripts/train/benchmarking/README.md, 1.3B model, 512 tokens"
)


def _tpu(
    version: str,
    peak: float,
    memory: float,
    bandwidth: float,
    efficiency: tuple[float, str],
    devices_per_chip: int = 1,
    source: str = "",
) -> Hardware:
    """Returns a TPU chip, which multiplies in bfloat16 whatever the model's precision is."""
    rate = Rate(peak, *efficiency)
    return Hardware(
        *(f"tpu_{version}", f"Google TPU {version} chip", memory, bandwidth),
        rates={"": rate, "bfloat16": rate},
        source=source or f"cloud.google.com/tpu/docs/{version}",
        devices_per_chip=devices_per_chip,
        always_compiles=True,
    )


def _rates(float32: Rate, half: Rate) -> dict[str, Rate]:
    return {"": float32, "bfloat16": half, "float16": half}


_A100_RATES = _rates(
    Rate(156 * TERA, 0.47, _NVIDIA + "282.98 examples/s in TF32"),
    Rate(312 * TERA, 0.40, _NVIDIA + "485.59 examples/s in float16"),
)
_HOPPER_RATES = _rates(Rate(494.5 * TERA, 0.33, _LIKE_A100), Rate(989.5 * TERA, 0.28, _LIKE_A100))
_SPARSITY = "data sheet; half of its rates, which assume sparsity"

HARDWARE = (
    _tpu("v2", 46 * TERA, 16 * GIB, 700e9, (0.114, _V2_BERT), 2, _V2_SOURCE),
    _tpu("v3", 123 * TERA, 32 * GIB, 900e9, (0.35, _V3_BERT), 2),
    _tpu("v4", 275 * TERA, 32 * GIB, 1200e9, (0.35, _LIKE_V3)),
    _tpu("v5e", 197 * TERA, 16e9, 819e9, (0.35, _LIKE_V3)),
    _tpu("v5p", 459 * TERA, 95e9, 2765e9, (0.35, _LIKE_V3)),
    _tpu("v6e", 918 * TERA, 32e9, 1638e9, (0.23, _LIKE_V5P)),
    Hardware(
        *("v100", "NVIDIA V100 SXM2, 32 GB", 32 * GIB, 900e9),
        {
            "": Rate(15.7 * TERA, 0.81, _NVIDIA + "49.97 examples/s in float32"),
            "float16": Rate(125 * TERA, 0.43, _NVIDIA + "206.5 examples/s in float16"),
        },
        "NVIDIA's V100 data sheet",
    ),
    Hardware(
        *("a100", "NVIDIA A100 SXM4, 80 GB", 80 * GIB, 2039e9, _A100_RATES),
        "NVIDIA's A100 data sheet",
    ),
    Hardware(
        *("h100", "NVIDIA H100 SXM5, 80 GB", 80 * GIB, 3350e9, _HOPPER_RATES),
        f"NVIDIA's H100 {_SPARSITY}",
    ),
    Hardware(
        *("h200", "NVIDIA H200 SXM, 141 GB", 141e9, 4800e9, _HOPPER_RATES),
        f"NVIDIA's H200 {_SPARSITY}",
    ),
)


def find_hardware(name: str, cpu_peak: float | None = None) -> Hardware:
    """Finds hardware by name, in any case, with `-` or `_`.

    `cpu` is this machine's processor; `cpu_peak` is its FLOP/s, measured if None.
    """
    key = name.lower().replace("-", "_")
    if key == CPU:
        return measure_cpu(cpu_peak)
    by_name = {hardware.name: hardware for hardware in HARDWARE}
    if key in by_name:
        return by_name[key]
    names = [*by_name, CPU]
    hint = "".join(f" (close: {match})" for match in difflib.get_close_matches(key, names, n=1))
    raise ValueError(f"--hardware must be one of {', '.join(names)}. Received: {name!r}{hint}")


def measure_cpu(peak: float | None = None, repeats: int = 8) -> Hardware:
    """Measures this machine's processor with all cores available to this process.

    `peak` (FLOP/s) is measured if None. The best of `repeats` measurements counts.
    """
    size, num_copied = 2048, 32 * 2**20
    if peak is None:
        left = np.random.default_rng(0).random((size, size), dtype=np.float32)
        right, product = left.T.copy(), np.empty((size, size), np.float32)
        multiply = timeit.Timer(lambda: np.matmul(left, right, out=product))
        peak = 2.0 * size**3 / min(multiply.repeat(repeats, number=1))
    source, target = np.ones(num_copied, np.float32), np.zeros(num_copied, np.float32)
    copy = timeit.Timer(lambda: np.copyto(target, source))
    bandwidth = 2.0 * source.nbytes / min(copy.repeat(repeats, number=1))
    memory = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Hardware(
        *(CPU, f"this machine's processor, {cores} cores", memory, bandwidth),
        {"": Rate(peak, CPU_EFFICIENCY, "benchmarks/results/plan_pretraining.md")},
        "measured by multiplying 2048 x 2048 matrices and copying 128 MB",
    )
