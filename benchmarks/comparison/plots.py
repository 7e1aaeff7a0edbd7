"""Draws how speed and memory grow, one file for each axis that points of a suite lie on."""

from collections.abc import Iterator
from pathlib import Path

from comparison.case import CEILINGS, is_rate
from comparison.names import label_of, name_of
from comparison.results import median

_SIZE = (8.0, 3.0)  # Inches.


def draw_growth(suite: str, cases: list[dict], folder: Path) -> Iterator[tuple[str, Path]]:
    """Draws the plots of a suite. Yields (title, path of the SVG file).

    Raises a ValueError without matplotlib.
    """
    axes = dict.fromkeys(axis for case in cases for axis, _ in case["growth"])
    for axis in axes:
        points = {at: case for case in cases for name, at in case["growth"] if name == axis}
        if len(points) < 2:
            continue
        path = folder / f"{suite}_{axis.replace(' ', '_')}.svg"
        _draw(axis.replace("_", " "), points, path)
        yield f"Speed and memory against {axis.replace('_', ' ')}", path


def _draw(axis: str, points: dict[float, dict], path: Path) -> None:
    try:
        import matplotlib
    except ModuleNotFoundError as error:
        raise ValueError("--report draws plots with matplotlib: pip install matplotlib") from error
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "bert_tf"  # The same figures give the same file.
    matplotlib.rcParams["svg.fonttype"] = "none"
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=_SIZE, layout="constrained")
    case = next(iter(points.values()))
    rate = next(measure for measure in case["measures"] if is_rate(measure))
    for panel, measure in zip(panels, (rate, "peak_mb"), strict=True):
        for name, line in _lines(points, measure).items():
            panel.plot(*zip(*sorted(line.items()), strict=True), marker="o", label=name_of(name))
        panel.set(xlabel=axis, xticks=sorted(points), ylabel=label_of(measure), ylim=(0, None))
    panels[0].legend(fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _lines(points: dict[float, dict], measure: str) -> dict[str, dict[float, float]]:
    """A figure of each contestant with at least two points, by place."""
    lines: dict[str, dict[float, float]] = {}
    for at, case in points.items():
        for name in case["runs"].keys() - CEILINGS.keys():
            value = median(case["runs"][name], measure)
            if value is not None:
                lines.setdefault(name, {})[at] = value
    return {name: lines[name] for name in sorted(lines) if len(lines[name]) > 1}
