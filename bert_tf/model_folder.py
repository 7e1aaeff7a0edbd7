"""What stands beside a fine-tuned model's weights, for whoever uses it later.

task.json           the task, its options, its labels in the order of the model's outputs
bert_config.json    the shape of the model
vocab.txt           its vocabulary
"""

import dataclasses
import json
import logging
from typing import Any

from bert_tf import files
from bert_tf.config import BertConfig, read_json
from bert_tf.tasks.task import Task
from bert_tf.training.run_directory import CONFIG_NAME

logger = logging.getLogger(__name__)

TASK_NAME = "task.json"
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
        content = _content(vocab_file)
        with files.atomic_write(copy) as file:
            file.write(content)


def check_model_folder(
    folder: str, task_name: str, vocab_file: str, do_lower_case: bool, max_seq_length: int
) -> None:
    """Refuses to use a folder's model for another task, or with another vocabulary or case.

    Raises:
        ValueError: with what the model was trained for.
    """
    there = read_task_description(folder)
    if there is None:  # Trained by the original, say.
        return
    # The diagnostic set is there for models of MNLI.
    if there["task"] != task_name and (there["task"], task_name) != ("glue:mnli", "glue:ax"):
        raise ValueError(
            f"{folder}: its model was trained for the task {there['task']}. Received: {task_name}"
        )
    if there["do_lower_case"] != do_lower_case:
        raise ValueError(
            f"{folder}: its model was trained with --do_lower_case={there['do_lower_case']}. "
            f"Received: {do_lower_case}"
        )
    copy = files.join_path(folder, VOCAB_NAME)
    if files.exists(copy) and _content(copy) != _content(vocab_file):
        raise ValueError(
            f"{folder}: its model was trained with the vocabulary {copy}, which {vocab_file} is "
            "not."
        )
    if there["max_seq_length"] != max_seq_length:
        logger.warning(
            "%s: its model was trained with sequences of %d tokens; these have %d.",
            *(folder, there["max_seq_length"], max_seq_length),
        )


def _content(path: str) -> bytes:
    with files.open_file(path) as file:
        return file.read()


def read_task_description(folder: str) -> dict[str, Any] | None:
    """What `task.json` says; None if there is none."""
    path = files.join_path(folder, TASK_NAME)
    return read_json(path) if files.exists(path) else None
