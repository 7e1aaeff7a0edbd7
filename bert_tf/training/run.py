"""A training run in its folder: begun or gone on with, saved, evaluated, shown, ended by signals.

What pre-training and fine-tuning have in common, between their settings and the training loop.
"""

import contextlib
import dataclasses
import functools
import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TextIO

import keras
import numpy as np
import tensorflow as tf

from bert_tf import files
from bert_tf.data.validation import MAX_UNUSED_ROWS
from bert_tf.model.layers import dropout_seeds
from bert_tf.progress import Progress
from bert_tf.settings import TrainingSettings
from bert_tf.training import distribution, loop, run_directory
from bert_tf.training.checkpoint import HEADS, NumberedCheckpoints, load_checkpoint, named_variables
from bert_tf.training.interruption import EvaluationLeft, Interrupted, StopRequest
from bert_tf.training.lamb import make_optimizer
from bert_tf.training.optimizer import SCHEDULES, LossScale, Schedule
from bert_tf.training.workers import StallWatch, Workers

logger = logging.getLogger(__name__)


class TrainingRun:
    """One training in `settings.output_dir`.

    Args:
        settings: how to train.
        model: a model whose `config` is its BertConfig.
        objective: the loss, in parts.
        num_steps: the step at which training ends.
        num_warmup_steps: steps over which the learning rate rises.
        strategy: the devices.
        is_trained: whether the weight of a name is trained; all are by default.
        stream: where progress is shown.
        schedule: step -> learning rate, where it is not the one that the settings name.
        restarts: steps at which the optimizer's averages begin anew.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        model: keras.Model,
        objective: loop.Objective,
        num_steps: int,
        num_warmup_steps: int,
        strategy: tf.distribute.Strategy,
        is_trained: Callable[[str], bool] = lambda name: True,
        stream: TextIO | None = None,
        schedule: Schedule | None = None,
        restarts: Sequence[int] = (),
    ):
        self.settings = settings
        self.model = model
        self.num_steps = self.until = num_steps
        self.workers = Workers(strategy)
        self.stream = self.workers.stream(stream)
        self.schedule = schedule or make_schedule(settings, num_warmup_steps, num_steps)
        model.encoder.recompute_activations = settings.recompute_activations
        self.num_warmup_steps = num_warmup_steps
        is_tpu = distribution.is_tpu(strategy)
        with strategy.scope():
            weights = {n: v for n, v in named_variables(model).items() if is_trained(n)}
            self.trainer = loop.Trainer(
                model=model,
                objective=objective,
                optimizer=make_optimizer(
                    settings.optimizer, weights, self.schedule, settings.bias_correction, restarts
                ),
                seed=settings.seed,
                # A TPU has a fast way of its own to draw; elsewhere all draw alike.
                random_scope=functools.partial(
                    dropout_seeds, algorithm="auto_select" if is_tpu else None
                ),
                accumulation_steps=settings.gradient_accumulation_steps,
                loss_scale=LossScale() if settings.mixed_precision == "float16" else None,
                jit_compile=settings.xla and not is_tpu,  # It always is.
                strategy=strategy,
            )
        self.checkpoints = NumberedCheckpoints(
            settings.output_dir,
            {**named_variables(model), **self.trainer.state()},
            settings.keep_checkpoint_max,
        )

    @property
    def step(self) -> int:
        """Training steps done."""
        return int(self.trainer.optimizer.step.numpy())

    def begin(self, course: Mapping[str, Any], new_heads: bool = False) -> int:
        """Sets the weights and the step: from the newest checkpoint, or else as at the beginning.

        Args:
            course: all that the trained weights depend on, as JSON values.
            new_heads: whether a head of the initial checkpoint that has another shape, as one of
                another task, is passed over.

        Returns: the step at which training goes on.

        Raises:
            ValueError: if the folder's run has another course, or its checkpoints are unusable.
        """
        settings = self.settings
        self.workers.check_same(course)
        run_directory.check_settings(
            settings.output_dir,
            course,
            settings.allow_changed_settings,
            {field.name: field.default for field in dataclasses.fields(settings)},
        )
        self.workers.wait()  # What others are still writing is not unfinished.
        if self.workers.is_chief:
            self.checkpoints.remove_unfinished()
        restored = self.checkpoints.restore()
        if restored:
            logger.info("Going on from %s", restored)
        elif settings.init_checkpoint:
            report = load_checkpoint(
                self.model,
                settings.init_checkpoint,
                allow_other_shape=HEADS if new_heads else None,
            )
            logger.info("%s", report)
        self.workers.check_same_step(self.step, settings.output_dir)
        if self.workers.count > 1:  # The initial checkpoint may be another one on each host.
            self.workers.check_same({"the weights to begin with": self._digest()})
        if self.step < self.num_steps and self.workers.is_chief:
            run_directory.write_run(settings.output_dir, self.model.config.to_json_string(), course)
        return self.step

    def _digest(self) -> str:
        digest = hashlib.sha256()
        for _, weight in sorted(named_variables(self.model).items()):
            digest.update(tf.convert_to_tensor(weight).numpy().tobytes())
        return digest.hexdigest()[:12]

    def enter(self, settings: TrainingSettings, until: int) -> None:
        """Has training go on to the step `until` only, with another batch size and other parts.

        Of the settings these two, and what concerns checkpoints, logs and evaluation, may be
        others than at first.
        """
        self.settings, self.until = settings, until
        parts = settings.gradient_accumulation_steps
        if parts != self.trainer.accumulation_steps:
            self.trainer = dataclasses.replace(self.trainer, accumulation_steps=parts)

    def train(
        self,
        batches: Iterator,
        log: run_directory.MetricsLog | run_directory.NoLog,
        evaluate: Callable[[int, Callable[[], None]], Mapping[str, float]] | None = None,
        is_over: Callable[[], bool] = lambda: False,
        metric: str | None = None,
    ) -> int:
        """Trains to the last step, or that of `enter`, saving and evaluating as the settings say.

        Args:
            batches: from the present step on.
            log: where figures are written.
            evaluate: given a step, the figures to be logged for it. Also given what it calls
                between two batches; that raises EvaluationLeft where a signal has come, as there
                may be no time to finish.
            is_over: asked now and then; training ends where it is true.
            metric: the evaluation's figure that is shown beside the loss.

        Returns: the step that was reached, whose checkpoint is saved.

        Raises:
            Interrupted: after SIGTERM or Ctrl-C, when all is saved.
            loop.NonFiniteLoss: naming the step.
        """
        progress = Progress(self.num_steps, "steps", self.stream, label="train", initial=self.step)
        watch = StallWatch(self.workers, self.settings.worker_timeout)
        with progress, StopRequest() as stop, watch:
            return self._loop(batches, log, evaluate, is_over, metric, progress, stop, watch)

    def _loop(
        self,
        batches,
        log,
        evaluate,
        is_over,
        metric,
        progress: Progress,
        stop: StopRequest,
        watch: StallWatch,
    ) -> int:
        settings, trainer, workers = self.settings, self.trainer, self.workers
        saved_step = self.step
        latest: dict[str, float] = {}

        def save(step: int) -> None:
            nonlocal saved_step
            trainer.check_weights()
            if workers.is_chief:
                self.checkpoints.save(step)
            saved_step = step

        def evaluate_and_log(step: int) -> None:
            def between_batches() -> None:
                watch.goes_on()
                # That of the last weights is finished: no later start would do it.
                if step < self.until and workers.agree(bool(stop), 1)[0]:
                    raise EvaluationLeft

            try:
                figures = evaluate(step, between_batches)
            except EvaluationLeft:
                return
            log.write(step, figures, prefix=run_directory.EVALUATION)
            if metric:
                latest[f"eval_{metric}"] = figures[metric]

        def show(count: int, figures: dict[str, float]) -> None:
            rates = self._rates(figures)
            progress.update(
                count,
                loss=figures["loss"],
                **latest,
                examples_per_s=rates["examples_per_second"],
            )

        def write(step: int, figures: dict[str, float]) -> None:
            shown = {k: v for k, v in figures.items() if k not in ("seconds", "tokens")}
            log.write(step, {**shown, **self._rates(figures)})

        # What is evaluated is known before the step is saved: a run killed in between does both
        # again.
        events = [(settings.save_checkpoints_steps, save)]
        if settings.eval_steps and evaluate is not None:
            events.insert(0, (settings.eval_steps, evaluate_and_log))
            if metric and self.until % settings.eval_steps:  # The last weights may be the best.
                events.insert(0, (self.until, evaluate_and_log))
            if self._lacks_evaluation(saved_step, log):
                evaluate_and_log(saved_step)
        step = loop.train(
            trainer,
            batches,
            self.until,
            events=events,
            log_steps=settings.log_steps,
            on_log=write,
            on_progress=show,
            should_stop=lambda: bool(stop) or is_over(),
            max_steps_per_call=settings.iterations_per_loop,
            agree=workers.agree,
            watched=watch.call,
        )
        if saved_step != step:
            save(step)
        # One worker's signal ends all; they leave when all is written.
        signal_number = int(workers.exchange(stop.signal_number or 0).max())
        if signal_number and step < self.num_steps and not is_over():
            raise Interrupted(
                signal_number,
                f"Stopped by signal {signal_number} at step {step}, which is saved. The same "
                "command goes on from there.",
            )
        return step

    def _lacks_evaluation(
        self, step: int, log: run_directory.MetricsLog | run_directory.NoLog
    ) -> bool:
        """Whether a step should have been evaluated, and a signal ended that."""
        if not step or step % self.settings.eval_steps:
            return False
        by_worker = self.workers.exchange(float(not log.has_evaluation(step)))
        return bool(by_worker[0, 0])  # Only the chief has a log.

    def _rates(self, figures: Mapping[str, float]) -> dict[str, float]:
        seconds = max(figures["seconds"], 1e-9)
        return {
            "examples_per_second": self.settings.train_batch_size / seconds,
            "tokens_per_second": figures["tokens"] / seconds,
        }

    def describe(self, num_examples: int) -> str:
        """A line for the log: how large, how long, how fast."""
        settings = self.settings
        num_weights = sum(int(np.prod(weight.shape)) for weight in self.model.weights)
        num_trained = sum(int(np.prod(v.shape)) for v in self.trainer.optimizer.variables.values())
        epochs = self.num_steps * settings.train_batch_size / num_examples
        steps = sorted({0, self.num_warmup_steps, self.num_steps // 2})
        rates = ", ".join(
            f"{float(self.schedule(tf.constant(step))):.3g} at step {step}" for step in steps
        )
        trained = "" if num_trained == num_weights else f", {num_trained:,} of them trained"
        return (
            f"{num_weights:,} weights{trained}; {self.num_steps:,} steps of "
            f"{settings.train_batch_size} examples are {epochs:.2f} times all "
            f"{num_examples:,}; learning rate {rates}, 0 at step {self.num_steps}"
        )


def make_schedule(settings: TrainingSettings, num_warmup_steps: int, num_steps: int) -> Schedule:
    """The learning rate of a training of `num_steps` steps, as the settings say."""
    return SCHEDULES[settings.learning_rate_schedule](
        settings.learning_rate, num_warmup_steps, num_steps, settings.learning_rate_power
    )


def restore_weights(
    model: keras.Model, folder: str, init_checkpoint: str | None, workers: Workers
) -> int | None:
    """Loads the newest checkpoint of a run's folder, or else the initial one.

    Returns: the step that the weights have; None if they are the initial ones.
    """
    step = tf.Variable(0, dtype=tf.int64, trainable=False)
    variables = {**named_variables(model), "global_step": step}
    restored = NumberedCheckpoints(folder, variables).restore()
    workers.check_same_step(int(step), folder)
    if restored:
        return int(step)
    if init_checkpoint:
        report = load_checkpoint(model, init_checkpoint)
        logger.info("%s", report)
        heads = [name for name in report.missing if not name.startswith("bert/")]
        if heads:
            logger.warning(
                "%s has no %s: these weights are random, and so are the model's answers.",
                init_checkpoint,
                ", ".join(heads),
            )
    else:
        logger.warning("No checkpoint in %s: using initial weights.", folder)
    return None


def write_eval_results(path: str, results: Mapping[str, float]) -> None:
    """Writes figures as the original does: `name = value` a line, in the order of the names."""
    lines = []
    for name in sorted(results):
        value = results[name] if name == "global_step" else np.float32(results[name])
        lines.append(f"{name} = {value!s}")  # As a float32 is printed: the original's digits.
        logger.info("  %s", lines[-1])
    with files.atomic_write(path, "w") as file:
        file.write("\n".join(lines) + "\n")


@contextlib.contextmanager
def precision(mixed_precision: str) -> Iterator[None]:
    """Within it, layers compute in `mixed_precision` and keep their weights in float32."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(f"mixed_{mixed_precision}" if mixed_precision else "float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def check_batch_size(settings: TrainingSettings, strategy: tf.distribute.Strategy) -> None:
    """Raises a ValueError if a training batch cannot be shared by the devices, in equal parts."""
    num_replicas = strategy.num_replicas_in_sync
    parts = settings.gradient_accumulation_steps
    if settings.train_batch_size % (num_replicas * parts):
        by_parts = f" in --gradient_accumulation_steps={parts} parts" if parts > 1 else ""
        multiple = num_replicas * parts
        below = settings.train_batch_size // multiple * multiple
        raise ValueError(
            f"--train_batch_size={settings.train_batch_size} cannot be dealt evenly to "
            f"{num_replicas} device{'s' * (num_replicas > 1)}{by_parts}: it must be a multiple of "
            f"{multiple}, such as {below or multiple}."
        )


def check_length(max_seq_length: int, max_position_embeddings: int, bert_config_file: str) -> None:
    """Raises a ValueError if sequences are longer than the model's position table."""
    if max_seq_length > max_position_embeddings:
        raise ValueError(
            f"--max_seq_length={max_seq_length} is more than the model's position table "
            f"holds: max_position_embeddings is {max_position_embeddings} in "
            f"{bert_config_file}."
        )


def check_vocabulary_size(
    num_tokens: int, vocab_file: str, vocab_size: int, bert_config_file: str
) -> None:
    """Raises a ValueError if a vocabulary is not that of the model's word embeddings.

    Models may have some rows that no token has, up to a round number.
    """
    if not vocab_size - MAX_UNUSED_ROWS <= num_tokens <= vocab_size:
        raise ValueError(
            f"{vocab_file} has {num_tokens} rows, the model's word embeddings have {vocab_size} "
            f"(vocab_size in {bert_config_file}): the model was trained with another vocabulary."
        )
