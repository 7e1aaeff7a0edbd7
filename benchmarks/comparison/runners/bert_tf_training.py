"""Runs run_scripts/finetune.py with the settings of a comparison."""

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import finetuning
from reporting import report, report_versions

SCRIPT = Path(__file__).parents[3] / "run_scripts" / "finetune.py"


@contextlib.contextmanager
def trained(settings: SimpleNamespace, task: str, options: dict[str, Any]) -> Iterator[Path]:
    """Trains, evaluates if there are metrics, reports the speed; gives the output folder.

    The variant is the precision of matrix products: `bfloat16`, or none for float32.
    """
    output = finetuning.output_folder(settings, "bert_tf")
    shutil.rmtree(output, ignore_errors=True)
    flags = {
        "task": task,
        "task_options": ",".join(f"{name}={value}" for name, value in options.items()),
        "model": finetuning.model_folder(settings),
        "output_dir": output,
        "do_train": True,
        "do_eval": bool(settings.metrics),
        "max_seq_length": settings.max_seq_length,
        "train_batch_size": settings.batch_size,
        "eval_batch_size": 64,
        "learning_rate": settings.learning_rate,
        "num_train_epochs": settings.epochs,
        "seed": finetuning.seed(settings),
        "log_steps": finetuning.GROUP,
        "keep_optimizer": False,
        "mixed_precision": settings.variant,
    }
    command = [sys.executable, str(SCRIPT), *(f"--{name}={value}" for name, value in flags.items())]
    subprocess.run(command, check=True, stdout=sys.stderr)
    report_versions("tensorflow", "keras")
    report(**finetuning.speed(_group_seconds(output, settings.batch_size), settings.batch_size))
    yield output
    shutil.rmtree(output)


def _group_seconds(output: Path, batch_size: int) -> list[float]:
    """Returns the seconds of each group of steps; the last one, if it is smaller, is left out."""
    return [
        finetuning.GROUP * batch_size / line["examples_per_second"]
        for line in finetuning.read_lines(output / "metrics.jsonl")
        if "examples_per_second" in line and line["step"] % finetuning.GROUP == 0
    ]
