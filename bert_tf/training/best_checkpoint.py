"""Keeps the best weights that a run evaluated, and decides when to stop early."""

import dataclasses
import logging

import keras
import tensorflow as tf

from bert_tf import files
from bert_tf.files.checkpoints import BEST_FOLDER
from bert_tf.training.checkpoint import NumberedCheckpoints, named_variables, newest_step
from bert_tf.training.run_directory import METRICS_NAME, read_metrics

logger = logging.getLogger(__name__)


@dataclasses.dataclass
class BestCheckpoint:
    """Keeps the weights with the highest metric in `OUTPUT_DIR/best`, without optimizer state."""

    output_dir: str
    model: keras.Model
    metric: str  # As `metrics.jsonl` names it; higher is better.
    patience: int = 0  # Evaluations without a better one after which training ends; 0 for never.
    is_writer: bool = True

    def __post_init__(self) -> None:
        self.best_folder = files.join_path(self.output_dir, BEST_FOLDER)
        self._step = tf.Variable(0, dtype=tf.int64, trainable=False)
        variables = {**named_variables(self.model), "global_step": self._step}
        self._checkpoints = NumberedCheckpoints(self.best_folder, variables, keep=1)
        self._values: list[float] = []

    def resume(self, step: int) -> None:
        """Reads evaluations up to `step`, for early stopping; removes half-written checkpoints."""
        if self.is_writer:
            self._checkpoints.remove_unfinished()
        lines = read_metrics(files.join_path(self.output_dir, METRICS_NAME))
        values = [line.get(self.metric) for line in lines if line["step"] <= step]
        self._values = [value for value in values if value is not None]

    def note(self, step: int, value: float) -> None:
        """Adds an evaluation of the current weights, and saves them if they are the best."""
        is_best = value > max(self._values, default=float("-inf"))
        self._values.append(value)
        if is_best and self.is_writer:
            self._step.assign(step)
            files.make_directories(self.best_folder)
            self._checkpoints.save(step)
            logger.info("Best %s so far: %.4f at step %d", self.metric, value, step)

    def is_over(self) -> bool:
        """Returns whether the best evaluation is at least `patience` evaluations ago."""
        if not self.patience or not self._values:
            return False
        return len(self._values) - 1 - self._values.index(max(self._values)) >= self.patience

    def is_there(self) -> bool:
        """Returns whether any weights are saved."""
        return newest_step(self.best_folder) is not None

    def restore(self) -> int | None:
        """Loads the best weights. Returns their step, or None if none are saved."""
        if not self.is_there():
            return None
        logger.info("Using the best checkpoint, %s", self._checkpoints.restore())
        return int(self._step)
