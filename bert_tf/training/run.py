"""Runs training in an output directory: starts or resumes it, saves checkpoints, stops cleanly.

Pre-training and fine-tuning have this in common:

    run = TrainingRun(settings, model, objective, plan, strategy, random_scope)
    step = run.begin(fingerprint)
    with run.events(batches, log) as events:
        for event in events:
            ...  # loop.Log, loop.Evaluate or loop.Save
"""

import contextlib
import dataclasses
import functools
import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TextIO

import keras
import numpy as np
import tensorflow as tf

from bert_tf import files
from bert_tf.progress import Progress
from bert_tf.settings import TrainingSettings
from bert_tf.training import distribution, loop, run_directory
from bert_tf.training.checkpoint import NumberedCheckpoints, load_checkpoint, named_variables
from bert_tf.training.interruption import EvaluationLeft, Interrupted, StopRequest
from bert_tf.training.optimizer import LossScale, make_optimizer
from bert_tf.training.schedule import TrainingPlan
from bert_tf.training.trainer import Objective, Trainer, check_weights
from bert_tf.training.workers import StallWatch, Workers

logger = logging.getLogger(__name__)


class TrainingRun:
    """One training in `settings.output_dir`.

    Args:
        settings: how to train.
        model: a model whose `config` is its BertConfig.
        objective: the loss, in terms.
        plan: how many steps, and the learning rate.
        strategy: the devices.
        random_scope: see `Trainer`; also takes `algorithm`, see `dropout_seeds`.
        is_trained: whether the weight of a name is trained; all are by default.
        stream: where progress is shown.

    Attributes:
        shown: metrics that the progress bar shows beside the loss, by name.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        model: keras.Model,
        objective: Objective,
        plan: TrainingPlan,
        strategy: tf.distribute.Strategy,
        random_scope: Callable[..., contextlib.AbstractContextManager],
        is_trained: Callable[[str], bool] = lambda name: True,
        stream: TextIO | None = None,
    ):
        self.settings = settings
        self.model = model
        self.plan = plan
        self.workers = Workers(strategy)
        self.stream = self.workers.stream(stream)
        self.shown: dict[str, float] = {}
        model.encoder.recompute_activations = settings.recompute_activations
        is_tpu = distribution.is_tpu(strategy)
        with strategy.scope():
            weights = {n: v for n, v in named_variables(model).items() if is_trained(n)}
            self.optimizer = make_optimizer(
                settings.optimizer, weights, plan.schedule, settings.bias_correction, plan.restarts
            )
            loss_scale = LossScale() if settings.mixed_precision == "float16" else None
        self._make_trainer = functools.partial(
            Trainer,
            model=model,
            objective=objective,
            optimizer=self.optimizer,
            seed=settings.seed,
            # A TPU has a fast way of its own to draw; elsewhere all devices draw alike.
            random_scope=functools.partial(
                random_scope, algorithm="auto_select" if is_tpu else None
            ),
            loss_scale=loss_scale,
            jit_compile=settings.xla and not is_tpu,  # A TPU always compiles.
            strategy=strategy,
        )
        self.checkpoints = NumberedCheckpoints(
            settings.output_dir,
            {**named_variables(model), **self._make_trainer().state()},
            settings.keep_checkpoint_max,
        )

    @property
    def step(self) -> int:
        """The number of training steps done."""
        return int(self.optimizer.step.numpy())

    def begin(self, fingerprint: Mapping[str, Any], new_heads: bool = False) -> int:
        """Sets the weights and the step: from the newest checkpoint, or else the initial one.

        Args:
            fingerprint: all that the trained weights depend on, as JSON values.
            new_heads: whether a head of the initial checkpoint that has another shape, as that of
                another task, is left out.

        Returns: the step at which training starts or resumes.

        Raises:
            ValueError: if the directory's run has another fingerprint, or its checkpoints are
                unusable.
        """
        settings = self.settings
        self.workers.check_same(fingerprint)
        run_directory.check_settings(
            settings.output_dir,
            fingerprint,
            settings.allow_changed_settings,
            {field.name: field.default for field in dataclasses.fields(settings)},
        )
        self.workers.wait()  # What others are still writing is not unfinished.
        if self.workers.is_chief:
            self.checkpoints.remove_unfinished()
        restored = self.checkpoints.restore()
        if restored:
            logger.info("Resuming from %s", restored)
        elif settings.init_checkpoint:
            report = load_checkpoint(
                self.model,
                settings.init_checkpoint,
                allow_other_shape=self.model.may_lack if new_heads else None,
            )
            logger.info("%s", report)
        self.workers.check_same_step(self.step, settings.output_dir)
        if self.workers.count > 1:  # The initial checkpoint may be another one on each host.
            self.workers.check_same({"the initial weights": self._digest()})
        if self.step < self.plan.num_steps and self.workers.is_chief:
            config = self.model.config.to_json_string()
            run_directory.write_run(settings.output_dir, config, fingerprint)
        return self.step

    def _digest(self) -> str:
        digest = hashlib.sha256()
        for _, weight in sorted(named_variables(self.model).items()):
            digest.update(tf.convert_to_tensor(weight).numpy().tobytes())
        return digest.hexdigest()[:12]

    @contextlib.contextmanager
    def events(
        self,
        batches: Iterator,
        log: run_directory.MetricsLog,
        settings: TrainingSettings | None = None,
        last_step: int | None = None,
        evaluate_last: bool = False,
    ) -> Iterator[Iterator[loop.Event]]:
        """Within it, the events that it yields train the model, up to `last_step`.

        They are `loop.Log`, `loop.Evaluate` (to be answered by metrics written to the log) and
        `loop.Save` (by `save`). SIGTERM and Ctrl-C end them after a save.

        Args:
            batches: from the present step on.
            log: where metrics are written.
            settings: of this part of the run; only its batch size, gradient accumulation, and
                periods may differ from the run's.
            last_step: where this part of the run ends; by default where the whole run does.
            evaluate_last: whether to evaluate at the last step, too.

        Raises:
            Interrupted: after SIGTERM or Ctrl-C, once everything is saved.
            NonFiniteLoss: naming the step.
        """
        settings = settings or self.settings
        self._last_step = last_step or self.plan.num_steps
        num_steps = self.plan.num_steps
        progress = Progress(num_steps, "steps", self.stream, label="train", initial=self.step)
        self._watch = StallWatch(self.workers, settings.worker_timeout)
        self._is_over = False
        with progress, StopRequest() as self._stop, self._watch:
            yield self._events(batches, log, settings, evaluate_last, progress)
            # One worker's signal ends all; they leave when everything is written.
            signal_number = int(self.workers.exchange(self._stop.signal_number or 0).max())
            if signal_number and self.step < num_steps and not self._is_over:
                raise Interrupted(
                    signal_number,
                    f"Stopped by signal {signal_number} at step {self.step}, which is saved. The "
                    "same command resumes from there.",
                )

    def _events(self, batches, log, settings, evaluate_last, progress) -> Iterator[loop.Event]:
        if settings.eval_steps and self._lacks_evaluation(settings.eval_steps, log):
            yield loop.Evaluate(self.step)
        periods = loop.Periods(
            log=settings.log_steps,
            save=settings.save_checkpoints_steps,
            max_steps_per_call=settings.iterations_per_loop,
            evaluate=settings.eval_steps,
            evaluate_last=evaluate_last,
        )
        trainer = self._make_trainer(accumulation_steps=settings.gradient_accumulation_steps)
        for event in loop.train(trainer, batches, self._last_step, periods, self._agree):
            self._watch.goes_on()
            if isinstance(event, loop.Steps):
                rates = _rates(event.metrics, settings.train_batch_size)
                progress.update(
                    event.count,
                    loss=event.metrics["loss"],
                    **self.shown,
                    examples_per_s=rates["examples_per_second"],
                )
                continue
            if isinstance(event, loop.Log):
                rates = _rates(event.metrics, settings.train_batch_size)
                kept = {k: v for k, v in event.metrics.items() if k not in ("seconds", "tokens")}
                event = loop.Log(event.step, {**kept, **rates})
            yield event
            self._watch.goes_on()

    def _agree(self, num_steps: int) -> int:
        stops, num_steps = self.workers.agree(bool(self._stop) or self._is_over, num_steps)
        return 0 if stops else num_steps

    def _lacks_evaluation(self, eval_steps: int, log: run_directory.MetricsLog) -> bool:
        """Returns whether the present step's evaluation was ended by a signal."""
        step = self.step
        if not step or step % eval_steps:
            return False
        by_worker = self.workers.exchange(float(not log.has(step, run_directory.EVALUATION)))
        return bool(by_worker[0, 0])  # Only the chief has a log.

    def save(self, step: int) -> None:
        """Saves the checkpoint of a step, if its weights are finite numbers."""
        check_weights(self.optimizer)
        if self.workers.is_chief:
            self.checkpoints.save(step)

    def end_early(self) -> None:
        """Ends the events after the next save, as at their last step."""
        self._is_over = True

    def between_batches(self) -> None:
        """To be called between two batches of an evaluation, as that may take long.

        Raises:
            EvaluationLeft: after SIGTERM or Ctrl-C. The evaluation is done again on resume; that of
                the last step, which no later start would do, is finished.
        """
        self._watch.goes_on()
        if self.step < self._last_step and self.workers.agree(bool(self._stop), 1)[0]:
            raise EvaluationLeft

    def describe(self, num_examples: int) -> str:
        """Returns a line for the log: how many weights, steps and epochs, which learning rates."""
        plan, batch_size = self.plan, self.settings.train_batch_size
        num_weights = sum(int(np.prod(weight.shape)) for weight in self.model.weights)
        num_trained = sum(int(np.prod(v.shape)) for v in self.optimizer.variables.values())
        epochs = plan.num_steps * batch_size / num_examples
        steps = sorted({0, plan.num_warmup_steps, plan.num_steps // 2})
        rates = ", ".join(
            f"{float(plan.schedule(tf.constant(step))):.3g} at step {step}" for step in steps
        )
        trained = "" if num_trained == num_weights else f", {num_trained:,} of them trained"
        return (
            f"{num_weights:,} weights{trained}; {plan.num_steps:,} steps of {batch_size} examples "
            f"are {epochs:.2f} epochs of {num_examples:,}; learning rate {rates}, 0 at step "
            f"{plan.num_steps}"
        )


def _rates(metrics: Mapping[str, float], batch_size: int) -> dict[str, float]:
    seconds = max(metrics["seconds"], 1e-9)
    return {
        "examples_per_second": batch_size / seconds,
        "tokens_per_second": metrics["tokens"] / seconds,
    }


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
        heads = [name for name in report.missing if not name.startswith(model.encoder.prefix)]
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
