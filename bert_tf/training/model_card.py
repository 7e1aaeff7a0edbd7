"""Writes README.md beside a model's weights: what it is, how it was made, metrics, use."""

import json
import re
from collections.abc import Sequence
from typing import Any

from bert_tf import files
from bert_tf.config import BertConfig

_NAME, _RESULTS_NAME = "README.md", "eval_results.txt"
# A README without it was written by a person, and stays as it is.
_MARK = (
    "<!-- Written by bert_tf, and again after training: remove this line to keep your changes. -->"
)
_FILES = {
    "bert_config.json": "the shape of the model",
    "config.json": "the shape of the model, for transformers",
    "vocab.txt": "the word pieces, in the order of their ids",
    "tokenizer_config.json": "how text is split into words",
    "task.json": "the task, its labels, and the case of the text",
    "checkpoint": "the name of the newest checkpoint",
    "metrics.jsonl": "the metrics during training",
    "run_settings.json": "all settings of the training",
    "runs.tsv": "the runs of which this is the best, with their settings",
}
# Texts for the code that uses the model, by the names of its inputs.
_EXAMPLES = {
    "text": "The film is a delight.",
    "question": "Who wrote it?",
    "context": "It was written by Ada.",
    "choices": ["Ada is an author.", "It is raining."],
}
_MASKED_TEXT = "The capital of France is [MASK]."
_METRICS = re.compile(r"(?<=## Metrics\n\n).*?(?=\n\n## )", re.DOTALL)


def write_model_card(
    folder: str,
    config: BertConfig,
    made: Sequence[str],
    do_lower_case: bool | None = None,
    kind: str = "masked_lm",
    labels: Sequence[str] = (),
    inputs: Sequence[str] = ("text",),
    results_folder: str | None = None,
    name: str | None = None,
) -> None:
    """Writes README.md, unless a person wrote the one that is there.

    Args:
        made: how the model was made, in sentences.
        kind: one of `bert_tf.kinds.table.KINDS`.
        inputs: the names of the texts that it takes.
        results_folder: where `eval_results.txt` may be, by default `folder`.
        name: the folder's final path, by default `folder`.
    """
    path = files.join_path(folder, _NAME)
    if files.exists(path) and _MARK not in _text(path):
        return
    case = {True: ", lower-cased text", False: ", cased text", None: ""}[do_lower_case]
    there = [
        f"- `{n}`: {what}" for n, what in _FILES.items() if files.exists(files.join_path(folder, n))
    ]
    sections = {
        f"BERT: {kind.replace('_', ' ')}": [
            f"{config.num_hidden_layers} layers, width {config.hidden_size}, "
            f"{config.num_attention_heads} heads, {config.vocab_size:,} word pieces, up to "
            f"{config.longest_sequence} tokens{case}.",
            *([f"Labels: {', '.join(labels)}."] if labels else []),
        ],
        "How it was made": list(made),
        "Metrics": [_metrics(results_folder or folder)],
        "Use": ["```python", *_use(name or folder, kind, inputs), "```"],
        "Files": [*there, "- the weights, under the names of google-research/bert or transformers"],
    }
    blocks = [
        f"{'#' * min(number, 2)} {title}\n\n" + "\n".join(lines)
        for number, (title, lines) in enumerate(sections.items(), start=1)
    ]
    with files.atomic_write(path, "w") as file:
        file.write(_MARK + "\n\n" + "\n\n".join(blocks) + "\n")


def update_metrics(folder: str) -> None:
    """Gives a README.md that `write_model_card` wrote the metrics of a later evaluation."""
    path = files.join_path(folder, _NAME)
    text = _text(path)
    if _MARK in text:
        with files.atomic_write(path, "w") as file:
            file.write(_METRICS.sub(lambda _: _metrics(folder), text, count=1))


def describe_run(settings: Any, num_examples: int, num_steps: int) -> list[str]:
    """Returns how a run made its model, in sentences."""
    start = (
        f"from {settings.init_checkpoint}" if settings.init_checkpoint else "from random weights"
    )
    teacher, learned = getattr(settings, "teacher", ""), []
    if teacher:
        start = f"from layers of {teacher}" if settings.init_from_teacher else start
        learned = [f"Distilled: it learned the outputs of {teacher}{_weights_of_losses(settings)}."]
    return [
        f"Trained {start} for {num_steps:,} steps of {settings.train_batch_size} examples, with a "
        f"learning rate of {settings.learning_rate:g}, on {num_examples:,} examples.",
        *learned,
    ]


def _weights_of_losses(settings: Any) -> str:
    names = [name for name in vars(settings) if name == "temperature" or name.endswith("_weight")]
    return "".join(f", {name} {getattr(settings, name):g}" for name in names)


def _use(folder: str, kind: str, inputs: Sequence[str]) -> list[str]:
    examples = _EXAMPLES | ({"text": _MASKED_TEXT} if kind == "masked_lm" else {})
    example = json.dumps({name: examples.get(name, "Another text.") for name in inputs})
    return [
        "import bert_tf",
        "",
        f"predictor = bert_tf.Predictor({json.dumps(folder)})",
        f"predictor.predict({example})",
    ]


def _metrics(folder: str) -> str:
    """Returns the metrics in `eval_results.txt`, a line each."""
    lines = _text(files.join_path(folder, _RESULTS_NAME)).splitlines()
    pairs = [line.split(" = ", 1) for line in lines if " = " in line]
    listed = "\n".join(f"- {name}: {value}" for name, value in pairs)
    return listed or "None were computed on held-out data."


def _text(path: str) -> str:
    return files.read_bytes(path).decode("utf-8", "replace") if files.exists(path) else ""
