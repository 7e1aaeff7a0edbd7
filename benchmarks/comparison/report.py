"""Draws tables and plots of all results into docs/performance.md.

What lies between `<!-- SUITE -->` and `<!-- end of SUITE -->` is replaced.
"""

import json
import statistics
import textwrap
from pathlib import Path
from typing import Any

from comparison import plots
from comparison.case import CEILINGS, OURS, is_rate
from comparison.names import label_of, name_of, number_of
from comparison.results import by_round, median, ratio

_PAGE = Path(__file__).parents[2] / "docs" / "performance.md"


def write_report(results_dir: str) -> str:
    """Writes the tables and plots of every suite that has results. Returns the page's path.

    Raises a ValueError if the page has no place for a suite.
    """
    page = _PAGE.read_text(encoding="utf-8")
    for path in sorted(Path(results_dir).glob("*.json")):
        cases = json.loads(path.read_text(encoding="utf-8"))["cases"].values()
        page = _with_section(page, path.stem, [case for case in cases if case["runs"]])
    _PAGE.write_text(page, encoding="utf-8")
    return str(_PAGE)


def _with_section(page: str, suite: str, cases: list[dict]) -> str:
    """Returns the page with what it says of a suite replaced."""
    begin, end = f"<!-- {suite} -->", f"<!-- end of {suite} -->"
    before, found, rest = page.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found or not found_end:
        raise ValueError(f"{_PAGE} has no {begin} and {end}.")
    return "\n".join([f"{before}{begin}", *_lines(suite, cases), "", f"{end}{after}"])


def _lines(suite: str, cases: list[dict]) -> list[str]:
    lines = []
    for case in cases:
        if case.get("table", True):
            lines += ["", f"**{case['title']}**", "", *_table(case)]
    for title, path in plots.draw_growth(suite, cases, _PAGE.parent / "images"):
        lines += ["", f"![{title}]({path.relative_to(_PAGE.parent)})"]
    return [*lines, *_origin(cases)]


def _table(case: dict) -> list[str]:
    """One row a figure, one column a contestant; then what matrix products alone reach."""
    runs = case["runs"]
    names = [name for name in case["contestants"] if name in runs]
    lines = [f"| | {' | '.join(map(name_of, names))} |", "|---" * (len(names) + 1) + "|"]
    for measure in case["measures"]:
        cells = [_cell(measure, name, runs) for name in names]
        lines.append(f"| {label_of(measure)} | {' | '.join(cells)} |")
    ceilings = _ceilings(case)
    if ceilings:
        best = max(ceilings.values())
        shares = [_percent(median(runs[name], "gflops"), best) for name in names]
        lines.append(f"| share of the ceiling | {' | '.join(shares)} |")
        told = ", ".join(f"{number_of(value)} by {name}" for name, value in ceilings.items())
        lines += ["", f"GFLOP/s of matrix products alone: {told}; the larger is the ceiling."]
    return lines


def _cell(measure: str, name: str, runs: dict[str, list[dict]]) -> str:
    """A figure of all rounds. With it, of time, memory and speed, the ratio of ours to it."""
    texts = {str(run[measure])[:8] for run in runs[name] if isinstance(run.get(measure), str)}
    if texts:
        return ", ".join(sorted(texts))
    value = median(runs[name], measure)
    if value is None:
        return ""
    if measure.endswith("_score"):
        return mean_and_deviation(runs[name], measure)
    compared = is_cost(measure) and name != OURS and ratio(runs.get(OURS, []), runs[name], measure)
    if not compared:
        return number_of(value)
    spread = f", {compared.lowest:.2f}-{compared.highest:.2f}" if len(runs[name]) > 1 else ""
    return f"{number_of(value)} ({compared.of_medians:.2f}{spread})"


def mean_and_deviation(runs: list[dict], measure: str) -> str:
    """Returns a score's mean and standard deviation over the rounds."""
    scores = list(by_round(runs, measure).values())
    deviation = f" ± {statistics.stdev(scores):.1f}" if len(scores) > 1 else ""
    return f"{statistics.fmean(scores):.1f}{deviation}"


def is_cost(measure: str) -> bool:
    """Returns whether a figure is one of time, memory or speed."""
    return is_rate(measure) or measure.endswith(("seconds", "_ms", "_mb"))


def _percent(value: float | None, whole: float) -> str:
    return "" if value is None else f"{100 * value / whole:.0f} %"


def _ceilings(case: dict) -> dict[str, float]:
    """GFLOP/s of matrix products alone, by library, in the precision of the case."""
    measure = f"{case['settings'].get('precision') or 'float32'}_gflops"
    found = {name: median(case["runs"].get(name, []), measure) for name in CEILINGS}
    return {name_of(name): value for name, value in found.items() if value is not None}


def _origin(cases: list[dict]) -> list[str]:
    """When, on what, and with which versions."""
    machines = {json.dumps(case["machine"], sort_keys=True): case["machine"] for case in cases}
    lines = [
        f"{m['date']}, {m['cores']} cores of {m['processor']} ({m['vector_instructions']}), "
        f"{m['memory_gb']} GB, {m['system']}, commit {m['commit']}."
        for m in machines.values()
    ]
    told = [*dict.fromkeys(lines), f"Versions: {_versions(cases)}."]
    return ["", textwrap.fill(" ".join(told), 100)] if cases else []


def _versions(cases: list[dict[str, Any]]) -> str:
    all_runs = [run for case in cases for runs in case["runs"].values() for run in runs]
    found = sorted({pair for run in all_runs for pair in run.get("versions", {}).items()})
    return ", ".join(f"{name} {version}" for name, version in found)
