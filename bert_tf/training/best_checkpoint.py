"""Keeps the best weights that a run evaluated, and says when to stop early."""

import logging

import keras
import tensorflow as tf

from bert_tf import files
from bert_tf.training.checkpoint import (
    NumberedCheckpoints,
    named_variables,
    newest_step,
    remove_checkpoints,
)
from bert_tf.training.run_directory import METRICS_NAME, read_metrics

logger = logging.getLogger(__name__)

FOLDER = "best"


class BestCheckpoint:
    """Keeps, in `FOLDER/best`, the weights with the highest metric, without optimizer state.

    Earlier evaluations are read from the run's `metrics.jsonl`, so that a resumed run stops where
    an uninterrupted one would have.

    Args:
        folder: the output directory.
        model: whose weights are kept.
        metric: as `metrics.jsonl` names it; higher is better.
        patience: training ends after so many evaluations without a better one; 0 for never.
        is_writer: whether this process is the one that writes.
    """

    def __init__(
        self,
        folder: str,
        model: keras.Model,
        metric: str,
        patience: int = 0,
        is_writer: bool = True,
    ):
        self.metric = metric
        self.is_writer = is_writer
        self.patience = patience
        self.best_folder = files.join_path(folder, FOLDER)
        self._metrics_path = files.join_path(folder, METRICS_NAME)
        self._step = tf.Variable(0, dtype=tf.int64, trainable=False)
        variables = {**named_variables(model), "global_step": self._step}
        self._checkpoints = NumberedCheckpoints(self.best_folder, variables, keep=1)
        self._values: list[tuple[int, float]] = []

    def resume(self, step: int) -> None:
        """Reads the evaluations of a run up to `step`, and removes half-written checkpoints."""
        if self.is_writer:
            self._checkpoints.remove_unfinished()
        self._values = [v for v in self._logged_values() if v[0] <= step]

    def note(self, step: int, value: float) -> None:
        """Keeps the present weights if this is the best value so far."""
        is_best = value > max((v for _, v in self._values), default=float("-inf"))
        self._values.append((step, value))
        if is_best and self.is_writer:
            self._step.assign(step)
            files.make_directories(self.best_folder)
            self._checkpoints.save(step)
            self._remove_others(step)
            logger.info("Best %s so far: %.4f at step %d", self.metric, value, step)

    def remove(self) -> None:
        """Removes what an earlier run kept."""
        remove_checkpoints(self.best_folder)

    def is_over(self) -> bool:
        """Returns whether none of the last `patience` evaluations was better than those before."""
        if not self.patience or not self._values:
            return False
        values = [value for _, value in self._values]
        return len(values) - 1 - values.index(max(values)) >= self.patience

    def is_there(self) -> bool:
        """Returns whether weights are kept."""
        return newest_step(self.best_folder) is not None

    def restore(self) -> int | None:
        """Loads the best weights. Returns their step, or None if none are kept."""
        if not self.is_there():
            return None
        prefix = self._checkpoints.restore()
        logger.info("Using the best checkpoint, %s", prefix)
        return int(self._step)

    def _remove_others(self, step: int) -> None:
        # A checkpoint of a later step may be left from before a kill, or from another run.
        for path in files.glob_files(files.join_path(self.best_folder, "model.ckpt-*")):
            if not path.split("model.ckpt-")[-1].startswith(f"{step}."):
                files.remove_file(path)

    def _logged_values(self) -> list[tuple[int, float]]:
        return [
            (line["step"], line[self.metric])
            for _, line in read_metrics(self._metrics_path)
            if line.get(self.metric) is not None
        ]
