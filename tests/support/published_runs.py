"""Compares published pre-training runs and batch sizes with what the planner predicts for them.

    for run in PUBLISHED_RUNS:
        run.deviation    # 0.14: the prediction is 14 % too high

An efficiency in `hardware.HARDWARE` or ATTENTION_WEIGHT was fitted to each run with `is_fitted`, so
its deviation is rounding only. The other runs validate the planner.
"""

import dataclasses
from collections.abc import Mapping

from bert_tf.planning.memory import MemoryModel
from bert_tf.planning.plan import make_plan
from bert_tf.released.models import find_released_model
from bert_tf.settings import PlanningSettings

_PAPER = "Devlin et al. 2019, appendix A.2"
_README = "google-research/bert, README.md"
_LAMB = "You et al. 2019, table 1"
_NVIDIA = "NVIDIA DeepLearningExamples, TensorFlow2/LanguageModeling/BERT/README.md"


@dataclasses.dataclass(frozen=True)
class PublishedRun:
    """A published run and its duration or speed.

    name: as in the table of docs/planning.md.
    source: where it was published.
    settings: the run.
    measured: the published value, in `unit`.
    unit: `days` for all phases, or `examples/s` in the first.
    is_fitted: whether one of the planner's constants was fitted to it.
    """

    name: str
    source: str
    settings: PlanningSettings
    measured: float
    unit: str
    is_fitted: bool = False

    @property
    def predicted(self) -> float:
        """The planner's value, in `unit`."""
        plan = make_plan(self.settings)
        return plan.days if self.unit == "days" else plan.phases[0].examples_per_second

    @property
    def deviation(self) -> float:
        """Relative error of the prediction: 0.1 if it is 10 % too high."""
        return self.predicted / self.measured - 1.0


def _days(
    name: str,
    source: str,
    days: float,
    model: str,
    hardware: str,
    num_chips: int,
    batch: int,
    phases: tuple[str, ...] = ("seq128:900000", "seq512:100000"),
    is_fitted: bool = False,
) -> PublishedRun:
    settings = PlanningSettings(
        model=model,
        hardware=hardware,
        num_chips=num_chips,
        train_batch_size=batch,
        phases=phases,
        memory_margin=0.0,  # On a TPU the compiler knows every allocation beforehand.
    )
    return PublishedRun(name, source, settings, days, "days", is_fitted)


def _nvidia(
    hardware: str,
    precision: str,
    num_chips: int,
    batch: int,
    length: int,
    measured: float,
    is_fitted: bool = False,
) -> PublishedRun:
    """A run of BERT-Large; `batch` is the global batch, with gradient accumulation."""
    settings = PlanningSettings(
        model="bert_large_uncased",
        hardware=hardware,
        num_chips=num_chips,
        mixed_precision=precision,
        train_batch_size=batch,
        phases=(f"seq{length}:1",),
        xla=True,
    )
    how = precision or {"a100": "TF32", "v100": "float32"}[hardware]
    name = f"Large, {length} tokens, {num_chips} {hardware.upper()}, {how}"
    return PublishedRun(name, _NVIDIA, settings, measured, "examples/s", is_fitted)


_BASE, _LARGE = "bert_base_uncased", "bert_large_uncased"

PUBLISHED_RUNS = (
    _days(
        "Base, paper's schedule, 16 TPU v2 chips",
        _PAPER,
        4,
        _BASE,
        "tpu_v2",
        16,
        256,
        is_fitted=True,
    ),
    _days("Large, paper's schedule, 64 TPU v2 chips", _PAPER, 4, _LARGE, "tpu_v2", 64, 256),
    _days(
        "Base, paper's schedule, one Cloud TPU v2 (4 chips)", _README, 14, _BASE, "tpu_v2", 4, 256
    ),
    _days(
        "Large, batch 512, 16 TPU v3 chips",
        _LAMB,
        81.4 / 24,
        _LARGE,
        "tpu_v3",
        16,
        512,
        is_fitted=True,
    ),
    _days(
        *("Large, LAMB, batch 32,768, 1,024 TPU v3 chips", _LAMB, 101.2 / 1440),
        *(_LARGE, "tpu_v3", 1024, 32_768, ("seq128:14063", "seq512:1562")),
    ),
    _nvidia("v100", "float16", 1, 61_440, 128, 206.5, is_fitted=True),
    _nvidia("v100", "float16", 1, 30_720, 512, 40.95, is_fitted=True),
    _nvidia("v100", "float16", 16, 61_440, 128, 3077.99),
    _nvidia("v100", "float16", 16, 30_720, 512, 614.94),
    _nvidia("v100", "", 1, 65_536, 128, 49.97, is_fitted=True),
    _nvidia("v100", "", 1, 30_720, 512, 11.06),
    _nvidia("a100", "float16", 1, 79_872, 128, 485.59, is_fitted=True),
    _nvidia("a100", "float16", 1, 30_720, 512, 96.52),
    _nvidia("a100", "float16", 8, 79_872, 128, 3799.24),
    _nvidia("a100", "float16", 8, 30_720, 512, 649.69),
    _nvidia("a100", "float16", 256, 79_872, 128, 110_280.73),
    _nvidia("a100", "float16", 256, 30_720, 512, 22_506.23),
    _nvidia("a100", "", 1, 90_112, 128, 282.98, is_fitted=True),
    _nvidia("a100", "", 1, 33_792, 512, 54.92),
)


@dataclasses.dataclass(frozen=True)
class PublishedBatch:
    """A published batch size that fits into a device's memory.

    name: model, length and device.
    source: where it was published.
    model: the memory model of its training step.
    device_memory: in bytes.
    batch: examples per forward pass.
    accumulates: whether gradients were accumulated.
    """

    name: str
    source: str
    model: MemoryModel
    device_memory: float
    batch: int
    accumulates: bool = False

    @property
    def predicted(self) -> int:
        """The largest batch that the planner predicts, with a tenth of the memory kept free."""
        return self.model.largest_batch(0.9 * self.device_memory, self.accumulates)


def _titan(model: str, batches: Mapping[int, int]) -> list[PublishedBatch]:
    """Fine-tuning in float32 with the original code: its table of batch sizes for 12 GB."""
    config = find_released_model(model).config
    return [
        PublishedBatch(
            f"{'Large' if 'large' in model else 'Base'}, {length} tokens, Titan X 12 GB, float32",
            f"{_README}, Out-of-memory issues",
            MemoryModel(config, length, max_predictions=0),
            12e9,
            batch,
        )
        for length, batch in batches.items()
    ]


def _nvidia_batches(
    hardware: str, memory: float, batches: Mapping[str, Mapping[int, int]]
) -> list[PublishedBatch]:
    """Batch sizes that NVIDIA ran, by precision and length."""
    config = find_released_model(_LARGE).config
    return [
        PublishedBatch(
            f"Large, {length} tokens, {hardware}, {precision}",
            _NVIDIA,
            MemoryModel(
                *(config, length, {128: 20, 512: 77}[length]),
                is_half=precision == "float16",
                is_compiled=True,
            ),
            *(memory * 2**30, batch, True),
        )
        for precision, of_length in batches.items()
        for length, batch in of_length.items()
    ]


PUBLISHED_BATCHES = (
    *_titan(_BASE, {64: 64, 128: 32, 256: 16, 320: 14, 384: 12, 512: 6}),
    *_titan(_LARGE, {64: 12, 128: 6, 256: 2, 320: 1, 384: 0, 512: 0}),
    *_nvidia_batches(
        *("V100 32 GB", 32, {"float16": {128: 60, 512: 10}, "float32": {128: 32, 512: 6}})
    ),
    *_nvidia_batches(
        *("A100 80 GB", 80, {"float16": {128: 312, 512: 40}, "TF32": {128: 176, 512: 22}})
    ),
)
