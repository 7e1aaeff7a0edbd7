"""Runs training in an output directory: starts or resumes it, saves checkpoints, stops cleanly.

step = run.begin(fingerprint)
for event in run.events(batches, log):
    ...  # loop.Log, loop.Evaluate or loop.Save
"""

import contextlib
import dataclasses
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TextIO

import keras
import numpy as np
import tensorflow as tf

from bert_tf import files
from bert_tf.config import BertConfig
from bert_tf.model.lookup_rows import LookupRows
from bert_tf.progress import Progress
from bert_tf.settings import TrainingSettings
from bert_tf.training import distribution, loop, run_directory
from bert_tf.training.checkpoint import (
    NumberedCheckpoints,
    load_checkpoint,
    named_variables,
    weights_digest,
)
from bert_tf.training.devices import is_faster_in_bfloat16
from bert_tf.training.finite import check_weights
from bert_tf.training.interruption import EvaluationLeft, Interrupted, StopRequest
from bert_tf.training.loss_scale import LossScale
from bert_tf.training.optimizer import AdamWeightDecay
from bert_tf.training.schedule import Schedule
from bert_tf.training.trainer import Objective, Trainer
from bert_tf.training.workers import StallWatch, Workers

logger = logging.getLogger(__name__)


@dataclasses.dataclass
class TrainingRun:
    """Trains a model in `settings.output_dir`."""

    settings: TrainingSettings
    model: keras.Model
    objective: Objective
    num_steps: int  # The step at which training ends.
    schedule: Schedule
    strategy: tf.distribute.Strategy
    is_trained: Callable[[str], bool]  # Whether the weight of a name is trained.
    stream: TextIO | None = None  # Where progress is shown.
    # Factors of the learning rate by name of a weight; see `AdamWeightDecay`.
    rate_scales: Mapping[str, float] = dataclasses.field(default_factory=dict)
    # Sets initial weights and returns what it did, for the log; instead of an initial checkpoint.
    initialize: Callable[[], Any] | None = None

    def __post_init__(self) -> None:
        settings, model, strategy = self.settings, self.model, self.strategy
        self.workers = Workers(strategy)
        self.shown: dict[str, float] = {}  # What the progress bar shows beside the loss.
        self._is_over = False
        model.encoder.recompute_activations = settings.recompute_activations
        is_tpu = distribution.is_tpu(strategy)
        jit_compile = settings.xla and not is_tpu  # A TPU always compiles.
        # XLA takes longer to compile shared graphs than TensorFlow needs to make separate ones.
        model.encoder.shares_graph = not (jit_compile or is_tpu)
        with strategy.scope():
            weights = {n: v for n, v in named_variables(model).items() if self.is_trained(n)}
            self.optimizer = AdamWeightDecay(
                weights,
                self.schedule,
                settings.bias_correction or settings.optimizer == "lamb",
                lamb=settings.optimizer != "adam",
                rate_scales=self.rate_scales,
                epsilon=settings.adam_epsilon,
                beta_2=settings.adam_beta_2,
                weight_decay_rate=settings.weight_decay_rate,
            )
            loss_scale = LossScale() if settings.mixed_precision == "float16" else None
        self._trainer = Trainer(
            model,
            self.objective,
            self.optimizer,
            settings.seed,
            clip_norm=settings.clip_norm,
            lookups=LookupRows.of(model) if settings.gradient_norm == "rows" else None,
            # A TPU draws fast in its own way; all other devices draw alike.
            dropout_algorithm="auto_select" if is_tpu else None,
            loss_scale=loss_scale,
            jit_compile=jit_compile,
            strategy=strategy,
        )
        self.checkpoints = NumberedCheckpoints(
            settings.output_dir,
            {**named_variables(model), **self._trainer.state()},
            settings.keep_checkpoint_max,
        )

    @property
    def step(self) -> int:
        """The number of training steps done."""
        return int(self.optimizer.step.numpy())

    def begin(self, fingerprint: Mapping[str, Any]) -> int:
        """Loads the newest checkpoint, or else the initial one without heads of other shapes.

        Returns the step. Raises a ValueError if the directory's run has another fingerprint.
        """
        settings, workers = self.settings, self.workers
        workers.check_same(fingerprint)
        run_directory.check_settings(settings, fingerprint)
        workers.wait()  # Until nobody writes any more.
        if workers.is_chief:
            self.checkpoints.remove_unfinished()
        restored = self.checkpoints.restore()
        if restored:
            logger.info("Resuming from %s", restored)
        elif settings.init_checkpoint:
            _load_initial(self.model, settings.init_checkpoint)
        elif self.initialize:
            logger.info("%s", self.initialize())
        else:
            logger.warning(
                "No --init_checkpoint: training starts from random weights, as pre-training from "
                "scratch does. A model that is fine-tuned from them is poor."
            )
        if not (restored or settings.mixed_precision) and is_faster_in_bfloat16(self.strategy):
            logger.info(
                "This machine multiplies bfloat16 faster than float32: --mixed_precision=bfloat16 "
                "would make training faster, with much the same result (docs/training.md)."
            )
        step = self.step
        if workers.count > 1:  # Each host may have another initial checkpoint.
            workers.check_same(
                {"the newest checkpoint's step": step, "weights": weights_digest(self.model)[:12]}
            )
        if step < self.num_steps and workers.is_chief:
            config = self.model.config.to_json_string()
            run_directory.write_run(settings.output_dir, config, fingerprint)
        return step

    def events(
        self,
        batches: Iterator,
        log: run_directory.MetricsLog,
        settings: TrainingSettings | None = None,
        last_step: int | None = None,
        evaluate_last: bool = False,
    ) -> Iterator[loop.Log | loop.Evaluate | loop.Save]:
        """Trains, and yields the events that are due. SIGTERM and Ctrl-C end it after a save.

        Args:
            batches: from the current step on.
            log: where the caller writes all metrics.
            settings, last_step: of this part of the run; by default the whole run's.

        Raises:
            Interrupted: after SIGTERM or Ctrl-C, once everything is saved.
            NonFiniteLoss: naming the step.
        """
        settings = self._with_more_logs(settings or self.settings)
        self._last_step = last_step or self.num_steps
        parts = settings.gradient_accumulation_steps
        trainer = dataclasses.replace(self._trainer, accumulation_steps=parts)
        stream = self.workers.stream(self.stream)
        progress = Progress(self.num_steps, "steps", stream, label="train", initial=self.step)
        self._stop = StopRequest()
        self._watch = StallWatch(self.workers, settings.worker_timeout)
        with progress, self._stop, self._watch:
            if self._lacks_evaluation(settings.eval_steps, log):
                yield loop.Evaluate(self.step)
            for event in loop.train(
                trainer, batches, self._last_step, settings, evaluate_last, self._agree
            ):
                self._watch.progressed()
                if isinstance(event, loop.Steps):
                    progress.update(event.count, loss=event.metrics["loss"], **self.shown)
                else:
                    yield event
                    self._watch.progressed()
            # One worker's signal ends all, once everything is written.
            signal_number = int(self.workers.exchange(self._stop.signal_number).max())
            if signal_number and self.step < self.num_steps and not self._is_over:
                raise Interrupted(signal_number, self.step)

    def _with_more_logs(self, settings: TrainingSettings) -> TrainingSettings:
        """Returns settings with which a run shorter than ten default periods is logged ten times.

        So that it has a curve.
        """
        if settings.log_steps != TrainingSettings.log_steps:
            return settings
        log_steps = min(settings.log_steps, max(self.num_steps // 10, 1))
        return dataclasses.replace(settings, log_steps=log_steps)

    def _agree(self, num_steps: int) -> int:
        return self.workers.agree(bool(self._stop.signal_number) or self._is_over, num_steps)

    def _lacks_evaluation(self, eval_steps: int, log: run_directory.MetricsLog) -> bool:
        """Returns whether a signal ended the current step's evaluation."""
        step = self.step
        if not eval_steps or not step or step % eval_steps:
            return False
        # Only the chief has a log.
        return bool(self.workers.exchange(float(log.evaluation(step) is None))[0, 0])

    def save(self, step: int) -> None:
        """Saves the checkpoint of a step; raises NonFiniteLoss if a weight is not finite."""
        check_weights(self.optimizer)
        if self.workers.is_chief:
            self.checkpoints.save(step)

    def end_early(self) -> None:
        """Ends training after the next save, as at the last step."""
        self._is_over = True

    def between_batches(self) -> None:
        """Raises EvaluationLeft after SIGTERM or Ctrl-C: the evaluation is repeated on resume.

        That of the last step would not be, and is finished.
        """
        self._watch.progressed()
        is_stopped = bool(self._stop.signal_number)
        if self.step < self._last_step and not self.workers.agree(is_stopped, 1):
            raise EvaluationLeft


def _load_initial(model: keras.Model, path: str) -> None:
    """Loads what training starts from. A pooler that the checkpoint lacks keeps its drawn values.

    Files of masked LMs have none, such as SpanBERT's. A config of fewer blocks gives a warning.
    """
    pooler = model.encoder.pooler_prefix
    report = load_checkpoint(
        model,
        path,
        allow_missing=lambda name: model.may_lack(name) or name.startswith(pooler),
        allow_other_shape=model.may_lack,
    )
    logger.info("%s", report)
    if drawn := [name for name in report.missing if not model.may_lack(name)]:
        logger.warning("%s has no %s: these start from initial values.", path, ", ".join(drawn))
    if left := [name for name in report.unused if name.startswith(model.encoder.prefix)]:
        advice = "They are left out. Does the config belong to this checkpoint?"
        message = "%s has %d weights for which the encoder has no place: %s. %s"
        logger.warning(message, path, len(left), files.some(left), advice)


def describe_steps(num_steps: int, batch_size: int, num_examples: int) -> str:
    """Describes the length of training, for the log."""
    epochs = num_steps * batch_size / num_examples
    return f"{num_steps:,} steps of {batch_size} examples: {epochs:.2f} epochs of {num_examples:,}"


def restore_weights(model: keras.Model, settings: TrainingSettings, workers: Workers) -> int:
    """Loads a run's newest checkpoint, or else the initial one. Returns the step, or else 0.

    Raises a ValueError if weights are in neither, unless `settings.untrained`.
    """
    folder, init_checkpoint = settings.output_dir, settings.init_checkpoint
    step = tf.Variable(0, dtype=tf.int64, trainable=False)
    variables = {**named_variables(model), "global_step": step}
    restored = NumberedCheckpoints(folder, variables).restore()
    workers.check_same({"the newest checkpoint's step": int(step)})
    if restored:
        return int(step)
    if not init_checkpoint:
        _take_random(f"There is no checkpoint in {folder}, and no --init_checkpoint", settings)
        return 0
    report = load_checkpoint(model, init_checkpoint)
    logger.info("%s", report)
    if random := [name for name in report.missing if not model.is_unneeded(name)]:
        _take_random(f"{init_checkpoint} has no {', '.join(random)}", settings)
    return 0


def _take_random(problem: str, settings: TrainingSettings) -> None:
    message = f"{problem}: these weights are random, and so are the model's answers."
    if not settings.untrained:
        raise ValueError(
            f"{message} Train first (--do_train), or give a trained model's --init_checkpoint or "
            "--output_dir. To see what random weights answer, give --untrained."
        )
    logger.warning("%s", message)


def write_eval_results(path: str, results: Mapping[str, float]) -> None:
    """Writes metrics as the original does: `name = value` per line, sorted by name."""
    lines = []
    for name in sorted(results):
        value = results[name] if name == "global_step" else np.float32(results[name])
        lines.append(f"{name} = {value!s}")  # The original's digits: those of a float32.
        logger.info("  %s", lines[-1])
    with files.atomic_write(path, "w") as file:
        file.write("".join(f"{line}\n" for line in lines))


@contextlib.contextmanager
def precision(mixed_precision: str) -> Iterator[None]:
    """Makes new layers compute in `mixed_precision` (float32 if empty); weights stay float32."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(f"mixed_{mixed_precision}" if mixed_precision else "float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def check_batch_size(settings: TrainingSettings, strategy: tf.distribute.Strategy) -> None:
    """Raises a ValueError if a training batch cannot be split evenly over the devices."""
    num_replicas = strategy.num_replicas_in_sync
    parts = settings.gradient_accumulation_steps
    multiple = num_replicas * parts
    if settings.train_batch_size % multiple:
        raise ValueError(
            f"--train_batch_size={settings.train_batch_size} cannot be split evenly over "
            f"{num_replicas} devices with --gradient_accumulation_steps={parts}: it must be a "
            f"multiple of {multiple}."
        )


def check_length(max_seq_length: int, config: BertConfig, bert_config_file: str) -> None:
    """Raises a ValueError if sequences are longer than the longest one that the model can read."""
    if max_seq_length > (longest := config.longest_sequence):
        rows = config.max_position_embeddings
        usable = f", of which {longest} are for tokens" if longest < rows else ""
        raise ValueError(
            f"--max_seq_length={max_seq_length} is more than the model's position table holds: "
            f"max_position_embeddings is {rows} in {bert_config_file}{usable}."
        )
