"""Defines Case: one piece of work that several packages do, and what is measured of it."""

import dataclasses
from typing import Any

OURS = "bert_tf"

# How fast matrix products alone are -> the runner that measures it, and in whose environment.
CEILINGS = {
    "ceiling:tensorflow": ("ceiling_tensorflow", OURS),
    "ceiling:torch": ("ceiling_torch", "huggingface"),
}


@dataclasses.dataclass(frozen=True)
class Case:
    """One piece of work. `runners/WORK_PACKAGE.py` does it, in a process of its own.

    A contestant is a package, or `package:variant` where a package can do the work in several
    ways; its runner gets the variant as a setting.
    """

    name: str  # Unique in its suite, such as "base-8x128-float32".
    title: str  # For readers, such as "BERT-Base, 8 x 128 tokens, float32".
    work: str  # The first part of the runners' names, such as "train".
    contestants: tuple[str, ...]  # Ours first.
    measures: tuple[str, ...]  # Names of figures in the table; the first is the one of the ratio.
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)  # What runners are told.
    preparations: tuple[str, ...] = ()  # Runners ("WORK_PACKAGE") to run before, not measured.
    cores: int = 0  # How many cores the runners may use; 0: all.
    growth: tuple[tuple[str, float], ...] = ()  # Axes and places on them: points in plots.
    table: bool = True  # Whether it has a table of its own in docs/performance.md.
    ceilings: bool = False  # Whether to measure matrix products alone, in the same rounds.


def package_of(contestant: str) -> str:
    """Returns the package in whose environment a contestant runs."""
    if contestant in CEILINGS:
        return CEILINGS[contestant][1]
    return contestant.partition(":")[0]


def variant_of(contestant: str) -> str:
    """Returns `variant` of `package:variant`; empty without one."""
    return contestant.partition(":")[2]


def is_rate(measure: str) -> bool:
    """Returns whether more is better; less is better of all other figures."""
    return measure.endswith(("_per_second", "_share", "_score", "gflops"))
