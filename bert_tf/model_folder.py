"""What stands beside a fine-tuned model's weights, for whoever uses it later.

task.json           the task, its options, its labels in the order of the model's outputs
bert_config.json    the shape of the model
vocab.txt           its vocabulary
"""

import dataclasses
import json
from typing import Any

from bert_tf import files
from bert_tf.config import BertConfig, read_json
from bert_tf.tasks.task import Task

TASK_NAME = "task.json"
CONFIG_NAME = "bert_config.json"
VOCAB_NAME = "vocab.txt"


def write_model_folder(
    folder: str,
    task: Task,
    config: BertConfig,
    vocab_file: str,
    do_lower_case: bool,
    max_seq_length: int,
) -> None:
    """Writes the three files."""
    description = {
        "task": task.name,
        "options": dataclasses.asdict(task.options),
        "labels": list(task.labels),
        "max_seq_length": max_seq_length,
        "do_lower_case": do_lower_case,
    }
    with files.atomic_write(files.join_path(folder, TASK_NAME), "w") as file:
        file.write(json.dumps(description, indent=2, ensure_ascii=False) + "\n")
    with files.atomic_write(files.join_path(folder, CONFIG_NAME), "w") as file:
        file.write(config.to_json_string())
    copy = files.join_path(folder, VOCAB_NAME)
    if files.resolve_path(copy) != files.resolve_path(vocab_file):
        with files.open_file(vocab_file) as source:
            content = source.read()
        with files.atomic_write(copy) as file:
            file.write(content)


def read_task_description(folder: str) -> dict[str, Any] | None:
    """What `task.json` says; None if there is none."""
    path = files.join_path(folder, TASK_NAME)
    return read_json(path) if files.exists(path) else None
