"""Prints what a model lost and gained by pre-training on a domain, as a table.

    python run_scripts/recipes/domain_report.py domain_bert

The folder is one of pretrain_on_domain.sh: before_domain, after_domain and, if there was general
text, before_general and after_general have an eval_results.txt. Writes results.md and results.json
there.
"""

import argparse
import json
import math
from pathlib import Path

_DOMAINS = {"domain": "the domain", "general": "general text"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="The folder of the recipe.")
    folder = parser.parse_args().folder
    found = {name: results_of(folder, name) for name in _DOMAINS}
    rows = [{"domain": name, **times} for name, times in found.items() if times]
    if not rows:
        parser.error(f"{folder}: it has no before_domain/eval_results.txt and after_domain's.")
    text = table(rows)
    (folder / "results.md").write_text(text)
    (folder / "results.json").write_text(json.dumps(rows, indent=2) + "\n")
    print(text, end="")


def results_of(folder: Path, domain: str) -> dict[str, dict[str, float]]:
    """Returns the metrics before and after of a domain; {} if one of them is missing."""
    paths = {time: folder / f"{time}_{domain}" / "eval_results.txt" for time in ("before", "after")}
    if not all(path.exists() for path in paths.values()):
        return {}
    return {time: read_metrics(path) for time, path in paths.items()}


def read_metrics(path: Path) -> dict[str, float]:
    """Returns the metrics of an `eval_results.txt`: loss and accuracy of the masked tokens."""
    pairs = dict(line.split(" = ") for line in path.read_text().splitlines())
    return {name: float(pairs[name]) for name in ("masked_lm_loss", "masked_lm_accuracy")}


def table(rows: list[dict]) -> str:
    """Returns the rows as Markdown; the perplexity is e to the power of the loss."""
    lines = [
        "| held-out text | masked-LM loss before | after | perplexity before | after "
        "| accuracy before | after |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        before, after = row["before"], row["after"]
        losses = [times["masked_lm_loss"] for times in (before, after)]
        cells = [f"{loss:.3f}" for loss in losses]
        cells += [f"{math.exp(loss):.1f}" for loss in losses]
        cells += [f"{times['masked_lm_accuracy']:.1%}" for times in (before, after)]
        lines.append(f"| {_DOMAINS[row['domain']]} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
