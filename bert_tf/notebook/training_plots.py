"""Draws the course of training: of `metrics.jsonl` of a run, and of Keras' `fit`."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bert_tf.notebook.figures import BLUE, RED, new_figure

_EVALUATION = "eval_"


def plot_pretraining(output_dir: str, evaluated_on: str = "held-out text") -> Any:
    """Draws loss and masked-LM accuracy of a pre-training run against its steps.

    Args:
        output_dir: the run's folder, with `metrics.jsonl`.
        evaluated_on: what the evaluations read, for the legend.

    Raises a ValueError if the run has written no metrics yet.
    """
    path = Path(output_dir, "metrics.jsonl")
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = [json.loads(line) for line in text.splitlines()]
    if not lines:
        raise ValueError(f"{path}: there are no metrics of a training run.")
    figure, axes = new_figure(1, 2, 10, 3.6)
    for axis, name in zip(axes, ("masked_lm_loss", "masked_lm_accuracy"), strict=True):
        for prefix, label, colour in (("", "training", BLUE), (_EVALUATION, evaluated_on, RED)):
            rows = [line for line in lines if prefix + name in line]
            if rows:
                steps = [line["step"] for line in rows]
                marker = "o" if prefix or len(rows) == 1 else ""
                values = [line[prefix + name] for line in rows]
                axis.plot(steps, values, label=label, color=colour, marker=marker)
        axis.set(xlabel="step", title=name.replace("_", " ").replace("lm", "LM"))
        axis.grid(alpha=0.3)
        axis.legend()
    axes[1].set_ylim(0, None)
    return figure


def plot_history(histories: Mapping[str, Mapping[str, Sequence[float]]]) -> Any:
    """Draws loss and accuracy against epochs.

    Args:
        histories: for each model, by name, the `history` that `fit` returns: `loss`, `accuracy`
            and, if there was validation data, `val_loss` and `val_accuracy`.
    """
    figure, axes = new_figure(1, 2, 10, 3.6)
    for number, (name, history) in enumerate(histories.items()):
        for axis, metric in zip(axes, ("loss", "accuracy"), strict=True):
            for prefix, label, style in (("", "training", "--"), ("val_", "validation", "-")):
                values = history.get(prefix + metric)
                if values is not None:
                    text = f"{name}, {label}" if name else label
                    epochs = range(1, len(values) + 1)
                    axis.plot(epochs, values, style, label=text, color=f"C{number}", marker="o")
    for axis, metric in zip(axes, ("loss", "accuracy"), strict=True):
        axis.set(xlabel="epoch", title=metric)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
        axis.legend()
    axes[1].set_ylim(0, 1.02)
    return figure
