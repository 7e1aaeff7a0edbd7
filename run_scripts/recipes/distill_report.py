"""Prints a table of a distillation study: scores over the seeds, sizes and speeds of its models.

    python run_scripts/recipes/distill_report.py study

A row is a folder of `finetune.py --num_restarts`: teacher, student_3_alone, student_3_distilled...
The speed is that of `bert_tf.Predictor` on evaluated texts, on this machine. Writes results.md
and results.json to the folder.
"""

import argparse
import json
import math
import statistics
import time
from pathlib import Path

_ROUNDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("study", type=Path, help="The folder of the study.")
    parser.add_argument("--num_texts", type=int, default=256, help="Texts to measure speed with.")
    arguments = parser.parse_args()
    folders = sorted(path.parent for path in arguments.study.glob("*/runs.json"))
    if not folders:
        parser.error(f"{arguments.study}: no folder in it has a runs.json.")
    rows = [describe(folder, arguments.num_texts) for folder in folders]
    rows.sort(key=lambda row: (-row["weights"], row["model"]))
    text = table(rows)
    (arguments.study / "results.md").write_text(text)
    (arguments.study / "results.json").write_text(json.dumps(rows, indent=2) + "\n")
    print(text, end="")


def describe(folder: Path, num_texts: int) -> dict:
    """Returns the scores of a folder's seeds, and the size and speed of its best model."""
    import bert_tf
    from bert_tf.training.checkpoint import OPTIMIZER_STATE, find_checkpoint, read_shapes

    config = bert_tf.BertConfig.from_json_file(str(folder / "bert_config.json"))
    shapes = read_shapes(find_checkpoint(str(folder)))
    sizes = [math.prod(shape) for name, shape in shapes.items() if not OPTIMIZER_STATE.search(name)]
    runs = json.loads((folder / "runs.json").read_text())
    scores = [run["value"] for run in runs["runs"]]
    predictor = bert_tf.Predictor(str(folder))
    rates = [measure(predictor, texts_of(folder, num_texts)) for _ in range(_ROUNDS + 1)]
    return {
        "model": folder.name,
        "metric": runs["metric"],
        "scores": scores,
        "mean": statistics.fmean(scores),
        "deviation": statistics.stdev(scores) if len(scores) > 1 else 0.0,
        "layers": config.num_hidden_layers,
        "weights": sum(sizes),
        "texts_per_second": statistics.median(rates[1:]),  # The first one makes the graphs.
    }


def texts_of(folder: Path, num_texts: int) -> list:
    """Returns the texts, or pairs, of the evaluation examples."""
    lines = (folder / "eval_predictions.jsonl").read_text().splitlines()[:num_texts]
    records = map(json.loads, lines)
    return [r["text"] if "text" in r else (r["text_a"], r["text_b"]) for r in records]


def measure(predictor, texts: list) -> float:
    started = time.perf_counter()
    predictor.predict(texts)
    return len(texts) / (time.perf_counter() - started)


def table(rows: list[dict]) -> str:
    """Returns the rows as Markdown."""
    lines = [
        f"| model | {rows[0]['metric']}, mean ± deviation | seeds | layers | weights | texts/s |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        seeds = ", ".join(f"{100 * score:.1f}" for score in row["scores"])
        lines.append(
            f"| {row['model']} | {100 * row['mean']:.1f} ± {100 * row['deviation']:.1f} | {seeds} "
            f"| {row['layers']} | {row['weights'] / 1e6:.1f} M | {row['texts_per_second']:,.0f} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
