#!/usr/bin/env python3
"""Writes tables of the paper's results beside those of the recipes: Markdown, JSON and plots.

    python run_scripts/recipes/compare_with_paper.py --tables=table_5,table_8 ablations

The folder holds what ablations.sh and paper.sh leave, for each row, seed and task:

    ablations/runs/ROW/seed-SEED/TASK/eval_results.txt

Writes comparison.md, comparison.json and, if matplotlib is installed, TABLE.png there, and prints
the tables. A cell has the mean of the seeds, their standard deviation if there are several, and in
parentheses the paper's figure. Rows without any figure of ours or of the paper's are left out.
"""

import argparse
import json
import math
import statistics
from pathlib import Path

RESULTS = "eval_results.txt"
FACTS = json.loads((Path(__file__).parent / "paper_tables.json").read_text(encoding="utf-8"))


def read_metric(path: Path, metric: str) -> float | None:
    """Returns a metric of an `eval_results.txt`, None without the file or the metric."""
    if not path.exists():
        return None
    pairs = (line.split(" = ") for line in path.read_text(encoding="utf-8").splitlines() if line)
    return {name.strip(): float(value) for name, value in pairs}.get(metric)


def values_of(runs: Path, row: str, task: str, metric: str, scale, file: str = RESULTS) -> list:
    """Returns a cell's values, one per seed: multiplied by `scale`, or e to their power."""
    paths = sorted(runs.glob(f"{row}/seed-*/{task}/{file}")) if row else []
    found = [value for value in (read_metric(path, metric) for path in paths) if value is not None]
    return [math.exp(value) if scale == "exp" else scale * value for value in found]


def make_table(name: str, runs: Path) -> dict:
    """Returns a table's rows: for each column our values and the published one."""
    facts, rows = FACTS[name], {}
    for title, (row, published) in facts["rows"].items():
        published = published + [None] * (len(facts["columns"]) - len(published))
        cells = {
            column: {"values": values_of(runs, row, *place), "published": figure}
            for (column, place), figure in zip(facts["columns"].items(), published, strict=True)
        }
        if any(cell["values"] or cell["published"] is not None for cell in cells.values()):
            rows[title] = cells
    return {"name": name, "title": facts["title"], "columns": list(facts["columns"]), "rows": rows}


def cell_text(cell: dict) -> str:
    """Returns "81.2 ± 0.4 (84.4)"."""
    values, published = cell["values"], cell["published"]
    ours = f"{statistics.fmean(values):.1f}" if values else "-"
    if len(values) > 1:
        ours += f" ± {statistics.stdev(values):.1f}"
    return ours if published is None else f"{ours} ({published})"


def markdown(table: dict) -> str:
    """Returns a table in Markdown."""
    heading = table["name"].replace("_", " ").capitalize()
    lines = [f"**{heading}. {table['title']}**", ""]
    lines.append("| | " + " | ".join(table["columns"]) + " |")
    lines.append("|---|" + "---|" * len(table["columns"]))
    for title, cells in table["rows"].items():
        lines.append(f"| {title} | " + " | ".join(map(cell_text, cells.values())) + " |")
    return "\n".join(lines) + "\n"


def plot(table: dict, path: Path) -> None:
    """Draws a table's columns side by side: bars of ours, diamonds of the paper's."""
    from matplotlib.figure import Figure

    columns = table["columns"]
    size = (3.2 * len(columns) + 2, 0.4 * len(table["rows"]) + 1.6)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    for axis, column in zip(axes, columns, strict=True):
        for place, cells in enumerate(table["rows"].values()):
            values, published = cells[column]["values"], cells[column]["published"]
            if values:
                error = statistics.stdev(values) if len(values) > 1 else 0
                axis.barh(place, statistics.fmean(values), xerr=error, color="tab:blue")
            if published is not None:
                axis.plot(published, place, "D", color="tab:orange")
        axis.set_title(column)
        axis.grid(axis="x", alpha=0.3)
    axes[0].set_yticks(range(len(table["rows"])), list(table["rows"]))
    axes[0].invert_yaxis()
    figure.suptitle("bars: this package; diamonds: the paper", fontsize="small")
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="the OUTPUT of ablations.sh or paper.sh")
    known = [name for name in FACTS if name != "source"]
    parser.add_argument("--tables", default=",".join(known), help=f"of: {', '.join(known)}")
    arguments = parser.parse_args()
    names = arguments.tables.split(",")
    if unknown := sorted({*names} - {*known}):
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(known)}")
    if not (arguments.folder / "runs").is_dir():
        parser.error(f"{arguments.folder} has no folder runs/: it is no output of these recipes")
    tables = [make_table(name, arguments.folder / "runs") for name in names]
    text = "\n".join(map(markdown, tables)) + f"\nPublished: {FACTS['source']}.\n"
    (arguments.folder / "comparison.md").write_text(text, encoding="utf-8")
    (arguments.folder / "comparison.json").write_text(json.dumps(tables, indent=1) + "\n")
    print(text)
    try:
        for table in tables:
            plot(table, arguments.folder / f"{table['name']}.png")
    except ImportError:
        print("No plots: pip install matplotlib")


if __name__ == "__main__":
    main()
