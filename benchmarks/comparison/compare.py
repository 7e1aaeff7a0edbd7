"""Runs the chosen cases of the chosen suites, and tells how they go."""

import fnmatch
import functools
import importlib
from collections.abc import Iterator
from typing import Any

from comparison import results, run
from comparison.case import CEILINGS, OURS, Case, is_rate, package_of
from comparison.environments import python_of
from comparison.settings import ComparisonSettings


def chosen_cases(suite: str, settings: ComparisonSettings) -> list[Case]:
    """Returns the cases of a suite whose names match --cases."""
    cases = importlib.import_module(f"comparison.suites.{suite}").cases(settings)
    patterns = settings.cases or ("*",)
    return [c for c in cases if any(fnmatch.fnmatch(c.name, pattern) for pattern in patterns)]


def list_cases(settings: ComparisonSettings) -> list[str]:
    """Returns a line for each case."""
    return [
        f"{suite:10} {case.name:32} {', '.join(case.contestants)}"
        for suite in settings.suite
        for case in chosen_cases(suite, settings)
    ]


def compare(settings: ComparisonSettings) -> Iterator[str]:
    """Runs everything; yields lines that tell of each run, and of each case at its end.

    Raises a ValueError if a peer has no environment, no case has one of the names, or a runner
    fails. What ran before is kept.
    """
    cases = [(suite, case) for suite in settings.suite for case in chosen_cases(suite, settings)]
    if settings.suite and not cases:
        raise ValueError(f"--cases={','.join(settings.cases)}: no case matches; see --list.")
    for _, case in cases:
        for name in run.contestants(case, settings.peers):
            python_of(package_of(name), settings.environments_dir)
    for number, (suite, case) in enumerate(cases, 1):
        yield f"[{number}/{len(cases)}] {suite}: {case.title}"
        yield from _compare_case(suite, case, settings)


def _compare_case(suite: str, case: Case, settings: ComparisonSettings) -> Iterator[str]:
    kept = results.Results(settings.results_dir, suite)
    kept.start(case, settings.resume)
    names = run.contestants(case, settings.peers)
    run.prepare(case, names, settings)
    rounds = range(settings.rounds or (1 if settings.quick else 2))
    is_done = functools.partial(kept.has, case.name)
    for name, figures in run.run_rounds(case, names, rounds, settings, is_done):
        kept.add(case.name, name, figures)
        measures = [name for name in case.measures if name in figures] or list(figures)
        shown = ", ".join(_shown(measure, figures[measure]) for measure in measures)
        yield f"  round {figures['round'] + 1}, {name}: {shown}"
    runs = kept.cases[case.name]["runs"]
    for name in [name for name in names[1:] if name not in CEILINGS]:
        yield f"  {_comparison(case.measures[0], name, runs)}"


def _shown(measure: str, value: Any) -> str:
    return f"{measure} {value:.4g}" if isinstance(value, (int, float)) else f"{measure} {value}"


def _comparison(measure: str, name: str, runs: dict[str, list[dict]]) -> str:
    """Ours against one other, in words."""
    found = results.ratio(runs.get(OURS, []), runs.get(name, []), measure)
    if found is None:
        return f"{name}: nothing to compare"
    better = "more is better" if is_rate(measure) else "less is better"
    ours = results.median(runs[OURS], measure)
    return (
        f"{measure}: {OURS} {ours:.4g}, {found.of_medians:.2f} times {name}'s "
        f"({found.lowest:.2f}-{found.highest:.2f}; {better})"
    )
