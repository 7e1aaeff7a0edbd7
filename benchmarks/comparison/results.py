"""Keeps the figures of a suite in one JSON file, and computes medians and ratios from them.

{"cases": {"base-8x128-float32": {
    "title": ..., "measures": [...], "settings": {...}, "machine": {...},
    "runs": {"bert_tf": [{"round": 0, "step_seconds": 3.9, "peak_mb": 5800, ...}, ...]}}}}
"""

import dataclasses
import json
import statistics
from pathlib import Path
from typing import Any

import machine

from comparison.case import Case


class Results:
    """The figures of one suite; each run is written at once, so that a kill loses none."""

    def __init__(self, results_dir: str, suite: str):
        self.path = Path(results_dir) / f"{suite}.json"
        self.cases: dict[str, dict[str, Any]] = {}
        if self.path.exists():
            self.cases = json.loads(self.path.read_text(encoding="utf-8"))["cases"]

    def start(self, case: Case, keep_runs: bool) -> None:
        """Describes a case, and forgets its runs unless they are of the same work and kept."""
        described = json.loads(json.dumps(dataclasses.asdict(case)))  # Tuples become lists.
        before = self.cases.get(case.name, {})
        is_same = all(before.get(name) == described[name] for name in ("settings", "cores"))
        runs = before.get("runs", {}) if keep_runs and is_same else {}
        self.cases[case.name] = {**described, "machine": machine.description(), "runs": runs}

    def has(self, case: str, contestant: str, round_number: int) -> bool:
        """Returns whether a run is there already."""
        runs = self.cases[case]["runs"].get(contestant, [])
        return any(run["round"] == round_number for run in runs)

    def add(self, case: str, contestant: str, figures: dict[str, Any]) -> None:
        """Adds a run and writes the file."""
        rounded = {name: _rounded(value) for name, value in figures.items()}
        self.cases[case]["runs"].setdefault(contestant, []).append(rounded)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"cases": self.cases}, indent=1)
        partial = self.path.with_suffix(".partial")
        partial.write_text(f"{text}\n", encoding="utf-8")
        partial.replace(self.path)


def _rounded(value: Any) -> Any:
    return float(f"{value:.5g}") if isinstance(value, float) else value


def by_round(runs: list[dict[str, Any]], measure: str) -> dict[int, float]:
    """Returns a figure of all runs that have it, by their rounds."""
    return {run["round"]: run[measure] for run in runs if run.get(measure) is not None}


def median(runs: list[dict[str, Any]], measure: str) -> float | None:
    """Returns a figure's median; None if no run has it."""
    found = by_round(runs, measure).values()
    return statistics.median(found) if found else None


@dataclasses.dataclass(frozen=True)
class Ratio:
    """How many times the figure of one contestant is that of another."""

    of_medians: float
    lowest: float  # Of the rounds, each compared with the same round of the other.
    highest: float


def ratio(runs: list[dict], others: list[dict], measure: str) -> Ratio | None:
    """Returns the ratio of `runs` to `others`; None if one of them lacks the figure."""
    mine, theirs = by_round(runs, measure), by_round(others, measure)
    shared = sorted(mine.keys() & theirs.keys())
    if not shared or not all(theirs.values()):
        return None
    rounds = [mine[number] / theirs[number] for number in shared]
    medians = statistics.median(mine.values()) / statistics.median(theirs.values())
    return Ratio(medians, min(*rounds, medians), max(*rounds, medians))
