"""Computes a run's fingerprint, everything its weights depend on: it must not change on resume."""

import dataclasses
import os
from typing import Any

from bert_tf.finetuning.task_data import TaskData
from bert_tf.settings import NOT_IN_FINGERPRINT, FinetuningSettings

# Settings that do not affect the trained weights, so they may change on resume.
_NOT_IN_FINGERPRINT = NOT_IN_FINGERPRINT - {"eval_steps"} | {
    *("vocab_file", "do_predict", "predict_batch_size", "keep_optimizer", "num_workers"),
    *("num_restarts", "learning_rates", "train_batch_sizes", "early_stopping_patience"),
}


def settings_fingerprint(settings: FinetuningSettings) -> dict[str, Any]:
    """Returns the settings that the weights depend on."""
    values = dataclasses.asdict(settings)
    return {name: value for name, value in values.items() if name not in _NOT_IN_FINGERPRINT}


def run_fingerprint(data: TaskData) -> dict[str, Any]:
    """Returns the settings, the task's options and the training data, as JSON values."""
    feature_file, _ = data.records("train")
    options = dataclasses.asdict(data.task.options)
    return {
        **settings_fingerprint(data.settings),
        "max_seq_length": data.max_seq_length,
        "length_buckets": data.is_bucketed,
        # Files may be moved, and the file to predict does not affect the weights.
        "task_options": {n: v for n, v in options.items() if not n.endswith(("_file", "_dir"))},
        "data": {
            "files": [os.path.basename(path) for path in data.task.sources("train")],
            "num_examples": feature_file.num_examples,
        },
        "records": feature_file.sha256,
    }
