"""Loads the teacher of a fine-tuning run, and computes its outputs once, or in each step.

    train.tf_record       the features that both models read
    train.teacher.npz     the teacher's outputs for each of them, and from what they were made

The outputs are computed again for other features, weights or precision.
"""

import io
import json
import logging
import re
import zipfile
from typing import Any

import numpy as np
import tensorflow as tf

from bert_tf import files
from bert_tf.distillation.layers import LayerwiseModel, ObservedLayers
from bert_tf.distillation.teacher import Teacher, check_vocabularies, find_teacher
from bert_tf.finetuning.task_data import TaskData
from bert_tf.model.feature_model import named_outputs
from bert_tf.released.model_folder import ModelDescription, check_model_folder
from bert_tf.settings import FinetuningSettings
from bert_tf.tasks.task import Task
from bert_tf.training.checkpoint import weights_digest
from bert_tf.training.prediction import NO_SCORE, OutputCollector
from bert_tf.training.trainer import Batch

logger = logging.getLogger(__name__)

PREFIX = "teacher_"  # Of the names of a teacher's outputs in a batch.
_FORMAT = 1
_MADE_FROM = "made_from"
_LABEL_OF_OTHERS = re.compile(r"LABEL_\d+")  # Where another library's file does not name them.
# Kinds of tasks whose outputs have an axis of tokens, [B, L, ...].
_PER_TOKEN = ("tagging", "span")


class TaskTeacher:
    """A model fine-tuned for a task, which answers for the examples of another.

    Create it in the scope of the strategy and with the precision of the run.

    Args:
        task: the student's; its head is the teacher's too.
        description: the student's `task.json`.

    Raises:
        ValueError: if it was trained for another task, labels, vocabulary or case, or lacks the
            head.
    """

    def __init__(self, settings: FinetuningSettings, task: Task, description: ModelDescription):
        self.teacher = find_teacher(settings.teacher, description.max_seq_length)
        _check(self.teacher, description, settings)
        self.model = self.teacher.load(task.head)
        self.digest = weights_digest(self.model)
        self._per_token = task.kind in _PER_TOKEN

    def outputs(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Returns the outputs by name, float32, as the head computes them without dropout."""
        outputs = self.model(self.model.select_features(batch), training=False)
        return {name: tf.cast(x, tf.float32) for name, x in named_outputs(outputs).items()}

    def outputs_and_layers(self, batch: Batch) -> tuple[dict[str, tf.Tensor], ObservedLayers]:
        """Returns `outputs`, and what all layers computed."""
        inputs = self.model.select_features(batch)
        outputs, layers = LayerwiseModel(self.model)(inputs, training=False)
        return {n: tf.cast(x, tf.float32) for n, x in named_outputs(outputs).items()}, layers

    def add_outputs(self, data: TaskData, strategy: tf.distribute.Strategy) -> None:
        """Adds the outputs to the batches of training examples, under names with PREFIX.

        They are computed, or read if an earlier run has computed them.
        """
        feature_file, records = data.records("train")
        path = files.join_path(data.folder, "train.teacher.npz")
        made_from = {
            "format": _FORMAT,
            "records": feature_file.sha256,
            "teacher": self.digest,
            "precision": data.settings.mixed_precision or "float32",
        }
        found = _read(path, made_from)
        data.workers.wait()  # Until all have looked.
        if found is None:
            found = self._compute(data, strategy)
            if data.workers.is_chief:
                _write(path, made_from, found)
            logger.info("Wrote the teacher's outputs to %s", path)
        else:
            logger.info("Reusing the teacher's outputs in %s", path)
        records.add_columns({f"{PREFIX}{name}": values for name, values in found.items()})

    def _compute(self, data: TaskData, strategy: tf.distribute.Strategy) -> dict[str, np.ndarray]:
        collector = OutputCollector(self.outputs, strategy)
        found = data.outputs("train", collector, data.settings.train_batch_size, "teacher")
        if not self._per_token:
            return found
        # Batches of training may be longer than these.
        return {name: _widened(x, data.max_seq_length) for name, x in found.items()}


def _check(teacher: Teacher, description: ModelDescription, settings: FinetuningSettings) -> None:
    """Raises a ValueError if a teacher's task, labels, case or vocabulary are not the student's."""
    vocab_file = settings.vocab_file
    check_vocabularies(teacher, vocab_file, teacher.config.vocab_size)
    if not teacher.files.vocab_file:
        raise ValueError(
            f"--teacher={teacher.name} has no vocabulary. Put the vocab.txt that it was trained "
            f"with into {teacher.folders[0]}: the student must have the same."
        )
    if teacher.files.do_lower_case not in (None, description.do_lower_case):
        raise ValueError(
            f"--teacher={teacher.name} was trained with "
            f"--do_lower_case={teacher.files.do_lower_case}. Received: {description.do_lower_case}"
        )
    theirs = teacher.description
    if theirs is None:
        return
    if theirs.task:  # "" for a model of another library.
        folder = next(f for f in teacher.folders if files.exists(files.join_path(f, "task.json")))
        try:
            check_model_folder(folder, description, vocab_file)
        except ValueError as error:
            raise ValueError(f"--teacher={teacher.name}: {error}") from error
    is_named = not all(map(_LABEL_OF_OTHERS.fullmatch, theirs.labels))
    if (is_named and theirs.labels != description.labels) or theirs.kind != description.kind:
        raise ValueError(
            f"--teacher={teacher.name} answers with {_described(theirs)}; the student with "
            f"{_described(description)}, in this order. Both must be the same."
        )


def _described(description: ModelDescription) -> str:
    return f"{description.kind} ({', '.join(description.labels) or 'no labels'})"


def _widened(values: np.ndarray, max_seq_length: int) -> np.ndarray:
    """Pads the axis of tokens, [F, l, ...] -> [F, L, ...]."""
    padding = [(0, 0), (0, max_seq_length - values.shape[1]), *[(0, 0)] * (values.ndim - 2)]
    return np.pad(values, padding, constant_values=NO_SCORE)


def _read(path: str, made_from: dict[str, Any]) -> dict[str, np.ndarray] | None:
    """Returns a file's outputs; None if there is none, or it was made from something else."""
    if not files.exists(path):
        return None
    try:
        with np.load(io.BytesIO(files.read_bytes(path))) as arrays:
            if json.loads(str(arrays[_MADE_FROM])) != made_from:
                return None
            return {name: arrays[name] for name in arrays.files if name != _MADE_FROM}
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile):  # It is damaged.
        return None


def _write(path: str, made_from: dict[str, Any], outputs: dict[str, np.ndarray]) -> None:
    with files.atomic_write(path) as file:
        content = io.BytesIO()
        np.savez(content, **{_MADE_FROM: np.array(json.dumps(made_from))}, **outputs)
        file.write(content.getvalue())
