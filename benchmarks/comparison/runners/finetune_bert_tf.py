"""Fine-tunes a classifier by run_scripts/finetune.py, evaluates it, and scores its answers."""

import shutil
import subprocess
import sys
from pathlib import Path

import finetuning
from reporting import read_settings, report, report_versions

SETTINGS = read_settings()
SCRIPT = Path(__file__).parents[3] / "run_scripts" / "finetune.py"


def main() -> None:
    output = finetuning.output_folder(SETTINGS, "bert_tf")
    shutil.rmtree(output, ignore_errors=True)
    examples = finetuning.examples_folder(SETTINGS)
    first = finetuning.read_lines(examples / "train.jsonl")[0]
    options = {"data_dir": examples, "text_a_column": "text_a", "label_column": "label"}
    if "text_b" in first:
        options["text_b_column"] = "text_b"
    if isinstance(first["label"], float):
        options["regression"] = True
    flags = {
        "task": "tsv",
        "task_options": ",".join(f"{name}={value}" for name, value in options.items()),
        "model": finetuning.model_folder(SETTINGS),
        "output_dir": output,
        "do_train": True,
        "do_eval": bool(SETTINGS.metrics),
        "max_seq_length": SETTINGS.max_seq_length,
        "train_batch_size": SETTINGS.batch_size,
        "eval_batch_size": 64,
        "learning_rate": SETTINGS.learning_rate,
        "num_train_epochs": SETTINGS.epochs,
        "seed": finetuning.seed(SETTINGS),
        "log_steps": finetuning.GROUP,
        "keep_optimizer": False,
    }
    command = [sys.executable, str(SCRIPT), *(f"--{name}={value}" for name, value in flags.items())]
    subprocess.run(command, check=True, stdout=sys.stderr)
    report_versions("tensorflow", "keras")
    report(**finetuning.speed(group_seconds(output), SETTINGS.batch_size))
    if SETTINGS.metrics:
        answers = finetuning.read_lines(output / "eval_predictions.jsonl")
        gold, predicted = ([answer[key] for answer in answers] for key in ("gold", "label"))
        report(**finetuning.scores(SETTINGS.metrics, gold, predicted))
    shutil.rmtree(output)


def group_seconds(output: Path) -> list[float]:
    """Returns the seconds of each group of steps; the last one, if it is smaller, is left out."""
    logged = finetuning.read_lines(output / "metrics.jsonl")
    examples = finetuning.GROUP * SETTINGS.batch_size
    return [
        examples / line["examples_per_second"]
        for line in logged
        if "examples_per_second" in line and line["step"] % finetuning.GROUP == 0
    ]


if __name__ == "__main__":
    main()
