"""Reads and writes `task.json`, which describes a fine-tuned model, and the files beside it."""

import dataclasses
import logging
from collections.abc import Sequence
from typing import Any

from bert_tf import files
from bert_tf.config import BertConfig, read_json, write_json
from bert_tf.formats.source import CONFIG_NAME, PretrainedModel, folders_of
from bert_tf.kinds.table import find_kind
from bert_tf.tasks.task import Task

logger = logging.getLogger(__name__)

TASK_NAME = "task.json"
# The other tasks that a task's models are for, such as sets without training examples.
_ALSO_FOR = {
    "glue:mnli": ("glue:ax",),
    "superglue:rte": ("superglue:axb", "superglue:axg"),
    **dict.fromkeys(("squad", "xquad", "mlqa"), ("squad", "xquad", "mlqa")),
}
_FORM = {
    "task": str,
    "kind": str,
    "inputs": [str],
    "labels": [str],
    "options": dict,
    "max_seq_length": int,
    "do_lower_case": bool,
    "strip_accents": bool | None,
}


@dataclasses.dataclass(frozen=True)
class ModelDescription:
    """The content of a fine-tuned model's `task.json`."""

    task: str  # The task's name; "" for a model of another library.
    kind: str  # See `bert_tf.kinds.table`.
    inputs: tuple[str, ...]  # The names of its texts, such as text_a and text_b.
    labels: tuple[str, ...]  # The classes in the order of its outputs; () if it has none.
    options: dict[str, Any]  # The task's options.
    max_seq_length: int  # In training, in tokens.
    do_lower_case: bool
    strip_accents: bool | None = None


def describe_task(task: Task, do_lower_case: bool, max_seq_length: int) -> ModelDescription:
    """Returns the description of a model fine-tuned for a task."""
    return ModelDescription(
        task=task.name,
        kind=task.kind,
        inputs=task.inputs,
        labels=task.labels,
        options=dataclasses.asdict(task.options) | getattr(task, "model_options", {}),
        max_seq_length=max_seq_length,
        do_lower_case=do_lower_case,
    )


def write_model_folder(
    folder: str, description: ModelDescription, config: BertConfig, vocab_file: str
) -> None:
    """Writes `task.json`, `bert_config.json` and a copy of `vocab_file`."""
    write_description(folder, description)
    with files.atomic_write(files.join_path(folder, CONFIG_NAME), "w") as file:
        file.write(config.to_json_string())
    files.copy_vocabulary(vocab_file, folder)


def needs_description(model: PretrainedModel) -> bool:
    """Returns whether a model is more than its encoder or pre-training heads."""
    return find_kind(model.head.kind).is_finetuned or bool(model.options)


def description_of(model: PretrainedModel, inputs: Sequence[str] = ()) -> ModelDescription:
    """Returns the description of another library's fine-tuned model, with defaults for gaps.

    `inputs` are the names of a classifier's texts, which no format stores; one text by default.
    """
    kind, do_lower_case = find_kind(model.head.kind), model.tokenizer.do_lower_case
    labels = model.head.labels
    if not labels and kind.has_labels:
        labels = tuple(f"LABEL_{i}" for i in range(len(model.weights["output_bias"])))
    return ModelDescription(
        task="",
        kind=kind.name,
        inputs=tuple(inputs) if tuple(inputs) in kind.inputs else kind.inputs[0],
        labels=labels,
        options=dict(model.options),
        max_seq_length=min(model.max_seq_length or 512, model.config.longest_sequence),
        do_lower_case=True if do_lower_case is None else do_lower_case,
        strip_accents=model.tokenizer.strip_accents,
    )


def write_description(folder: str, description: ModelDescription) -> None:
    """Writes `task.json`."""
    write_json(files.join_path(folder, TASK_NAME), dataclasses.asdict(description))


def read_description(folder: str) -> ModelDescription | None:
    """Reads `task.json`; returns None if there is none."""
    path = files.join_path(folder, TASK_NAME)
    if not files.exists(path):
        return None
    content = read_json(path, _FORM)
    with files.naming_damage(path):
        find_kind(content["kind"])
        for name in ("inputs", "labels"):
            content[name] = tuple(content[name])
        if len(set(content["labels"])) != len(content["labels"]):
            raise ValueError(f"{path}: a label is there twice: {', '.join(content['labels'])}")
        return ModelDescription(**content)


def description_beside(prefix: str) -> ModelDescription | None:
    """Reads the `task.json` of a checkpoint, which may be in a run's folder `best`; or None."""
    return next(filter(None, map(read_description, folders_of(prefix))), None)


def check_model_folder(folder: str, description: ModelDescription, vocab_file: str) -> None:
    """Raises a ValueError if a folder's model has another task, vocabulary or case."""
    trained = read_description(folder)
    if trained is None:  # The original writes none.
        return
    if description.task not in (trained.task, *_ALSO_FOR.get(trained.task, ())):
        raise ValueError(
            f"{folder}: its model was trained for the task {trained.task}. "
            f"Received: {description.task}"
        )
    if trained.do_lower_case != description.do_lower_case:
        raise ValueError(
            f"{folder}: its model was trained with --do_lower_case={trained.do_lower_case}. "
            f"Received: {description.do_lower_case}"
        )
    for source, name in files.vocabulary_copies(vocab_file).items():
        copy = files.join_path(folder, name)
        if files.exists(copy) and files.read_bytes(copy) != files.read_bytes(source):
            raise ValueError(
                f"{folder}: its model was trained with the vocabulary {copy}. {source} differs."
            )
    if trained.max_seq_length != description.max_seq_length:
        logger.warning(
            "%s: its model was trained with sequences of %d tokens; these have %d.",
            *(folder, trained.max_seq_length, description.max_seq_length),
        )
