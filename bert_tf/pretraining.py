"""Pre-training: masked LM and next sentence prediction, from records to a checkpoint.

    run_pretraining(settings)
        checks everything -> model, optimizer -> restore or initialize -> train -> evaluate

Source: google-research/bert, run_pretraining.py.
"""

import contextlib
import dataclasses
import logging
import os
from collections.abc import Callable, Iterator
from typing import Any, TextIO

import keras
import numpy as np
import tensorflow as tf

from bert_tf import files
from bert_tf.config import BertConfig
from bert_tf.data.record_set import RecordSet, open_record_set
from bert_tf.model.heads import PretrainingModel
from bert_tf.model.layers import dropout_seeds
from bert_tf.pretraining_objective import PretrainingObjective, evaluation_sums
from bert_tf.progress import Progress
from bert_tf.settings import PretrainingSettings
from bert_tf.training import distribution, loop, run_directory
from bert_tf.training.checkpoint import NumberedCheckpoints, load_checkpoint, named_variables
from bert_tf.training.interruption import Interrupted, StopRequest
from bert_tf.training.optimizer import SCHEDULES, AdamWeightDecay, LossScale

logger = logging.getLogger(__name__)

# What a run does besides training, or how; it may change between a kill and the next start.
_NOT_THE_COURSE = frozenset(
    {
        *("bert_config_file", "input_file", "output_dir", "do_train", "do_eval", "eval_batch_size"),
        *("save_checkpoints_steps", "iterations_per_loop", "max_eval_steps", "use_tpu", "tpu_name"),
        *("tpu_zone", "gcp_project", "master", "num_tpu_cores", "eval_file", "eval_steps", "xla"),
        *("gradient_accumulation_steps", "log_steps", "keep_checkpoint_max"),
        "allow_changed_settings",
    }
)


def run_pretraining(
    settings: PretrainingSettings, stream: TextIO | None = None
) -> dict[str, float] | None:
    """Trains and evaluates as the settings say; started again, it goes on where it was.

    Args:
        settings: the run.
        stream: where progress is shown.

    Returns: the evaluation's figures, which are also written to `eval_results.txt`; None without
        `do_eval`.

    Raises:
        ValueError: for settings, records, config and checkpoints that do not fit each other, before
            the first step.
        loop.NonFiniteLoss: naming the step.
        Interrupted: after SIGTERM or Ctrl-C, when all is saved.
    """
    config = BertConfig.from_json_file(settings.bert_config_file)
    _check_length(settings, config)
    run_directory.prepare_folder(settings.output_dir)
    run_directory.check_model(settings.output_dir, config.to_json_string())
    strategy = _strategy(settings)
    training_records, eval_records = _all_records(settings, config)
    with strategy.scope(), _dtype_policy(settings.mixed_precision):
        keras.utils.set_random_seed(settings.seed % 2**32)
        model = PretrainingModel(config)
        trainer = _trainer(settings, model, strategy) if settings.do_train else None
    run = _Run(settings, model, strategy, eval_records, stream)
    if trainer is not None:
        run.train(trainer, training_records)
    elif not run.restore_weights():
        logger.warning("No checkpoint in %s: evaluating initial weights.", settings.output_dir)
    return run.evaluate_and_write() if settings.do_eval else None


class _Run:
    """What the steps of a run share."""

    def __init__(
        self,
        settings: PretrainingSettings,
        model: PretrainingModel,
        strategy: tf.distribute.Strategy,
        eval_records: RecordSet | None,
        stream: TextIO | None,
    ):
        self.settings = settings
        self.model = model
        self.strategy = strategy
        self.eval_records = eval_records
        self.evaluator = loop.Evaluator(self._eval_step, strategy)
        self.stream = stream
        self.step = 0
        self._evaluated: tuple[int, dict[str, float]] | None = None

    def train(self, trainer: loop.Trainer, records: RecordSet) -> None:
        """Trains to the last step, from the newest checkpoint or else from the beginning."""
        settings = self.settings
        course = _course(settings, records)
        run_directory.check_settings(settings.output_dir, course, settings.allow_changed_settings)
        checkpoints = NumberedCheckpoints(
            settings.output_dir, trainer.state(), settings.keep_checkpoint_max
        )
        checkpoints.remove_unfinished()
        restored = checkpoints.restore()
        if restored:
            logger.info("Going on from %s", restored)
        elif settings.init_checkpoint:
            logger.info("%s", load_checkpoint(self.model, settings.init_checkpoint))
        self.step = int(trainer.optimizer.step)
        if self.step >= settings.num_train_steps:
            logger.info("Training is complete at step %d; there is nothing to train.", self.step)
            return
        run_directory.write_run(settings.output_dir, self.model.config.to_json_string(), course)
        logger.info("%s", _describe_training(settings, records, self.model))
        iterator = distribution.distribute(
            self.strategy,
            lambda num_hosts, host_index: records.training_batches(
                settings.train_batch_size, settings.seed, self.step, num_hosts, host_index
            ),
            settings.train_batch_size,
        )
        log = run_directory.MetricsLog(settings.output_dir, self.step)
        progress = Progress(
            settings.num_train_steps, "steps", self.stream, label="train", initial=self.step
        )
        with contextlib.closing(log), progress, StopRequest() as stop, records.named_corruption():
            self._loop(trainer, iterator, checkpoints, log, progress, stop)

    def _loop(
        self,
        trainer: loop.Trainer,
        iterator: Iterator,
        checkpoints: NumberedCheckpoints,
        log: run_directory.MetricsLog,
        progress: Progress,
        stop: StopRequest,
    ) -> None:
        settings = self.settings
        saved_step = self.step

        def save(step: int) -> None:
            nonlocal saved_step
            trainer.check_weights()
            checkpoints.save(step)
            saved_step = step

        def evaluate(step: int) -> None:
            log.write(step, self.evaluate(step), prefix="eval_")

        def show(count: int, figures: dict[str, float]) -> None:
            rates = self._rates(figures)
            progress.update(
                count, loss=figures["loss"], examples_per_s=rates["examples_per_second"]
            )

        def write(step: int, figures: dict[str, float]) -> None:
            rates = self._rates(figures)
            shown = {k: v for k, v in figures.items() if k not in ("seconds", "tokens")}
            log.write(step, {**shown, **rates})

        events = [(settings.save_checkpoints_steps, save)]
        if settings.eval_steps:
            events.append((settings.eval_steps, evaluate))
        self.step = loop.train(
            trainer,
            iterator,
            settings.num_train_steps,
            events=events,
            log_steps=settings.log_steps,
            on_log=write,
            on_progress=show,
            should_stop=lambda: bool(stop),
            max_steps_per_call=settings.iterations_per_loop,
        )
        if saved_step != self.step:
            save(self.step)
        if stop and self.step < settings.num_train_steps:
            raise Interrupted(
                stop.signal_number,
                f"Stopped by signal {stop.signal_number} at step {self.step}, which is saved. The "
                "same command goes on from there.",
            )

    def _rates(self, figures: dict[str, float]) -> dict[str, float]:
        seconds = max(figures["seconds"], 1e-9)
        return {
            "examples_per_second": self.settings.train_batch_size / seconds,
            "tokens_per_second": figures["tokens"] / seconds,
        }

    def restore_weights(self) -> bool:
        """Loads the newest checkpoint of the folder, or the initial one; False without any."""
        settings = self.settings
        step = tf.Variable(0, dtype=tf.int64, trainable=False)
        variables = {**named_variables(self.model), "global_step": step}
        if NumberedCheckpoints(settings.output_dir, variables).restore():
            self.step = int(step)
            return True
        if settings.init_checkpoint:
            logger.info("%s", load_checkpoint(self.model, settings.init_checkpoint))
        return bool(settings.init_checkpoint)

    def evaluate(self, step: int) -> dict[str, float]:
        """Loss and accuracy of both tasks on the evaluation records, with the present weights."""
        if self._evaluated is None or self._evaluated[0] != step:
            self._evaluated = (step, self._evaluate())
        return self._evaluated[1]

    def _evaluate(self) -> dict[str, float]:
        settings, records = self.settings, self.eval_records
        max_batches = settings.max_eval_steps or None
        # The original goes over the training files again until it has its number of batches.
        repeats = not settings.eval_file and max_batches is not None
        iterator = distribution.distribute(
            self.strategy,
            lambda num_hosts, host_index: records.evaluation_batches(
                settings.eval_batch_size, max_batches, repeats, num_hosts, host_index
            ),
            settings.eval_batch_size,
        )
        num_batches = -(-records.num_examples // settings.eval_batch_size)
        if max_batches is not None:
            num_batches = max_batches if repeats else min(num_batches, max_batches)
        with (
            Progress(num_batches, "batches", self.stream, label="eval") as progress,
            records.named_corruption(),
        ):
            return self.evaluator.run(iterator, progress.update)

    def _eval_step(self, batch: loop.Batch) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
        return evaluation_sums(batch, self.model(batch, training=False))

    def evaluate_and_write(self) -> dict[str, float]:
        """Evaluates, and writes `eval_results.txt` as the original does."""
        results = {"global_step": self.step, **self.evaluate(self.step)}
        lines = []
        for name in sorted(results):
            value = results[name] if name == "global_step" else np.float32(results[name])
            lines.append(f"{name} = {value!s}")  # As a float32 is printed: the original's digits.
            logger.info("  %s", lines[-1])
        log = run_directory.MetricsLog(self.settings.output_dir)
        with contextlib.closing(log):
            if not log.has(self.step, "eval_loss"):
                log.write(self.step, self.evaluate(self.step), prefix="eval_")
        path = files.join_path(self.settings.output_dir, "eval_results.txt")
        with files.atomic_write(path, "w") as file:
            file.write("\n".join(lines) + "\n")
        return results


def _check_length(settings: PretrainingSettings, config: BertConfig) -> None:
    if settings.max_seq_length > config.max_position_embeddings:
        raise ValueError(
            f"--max_seq_length={settings.max_seq_length} is more than the model's position table "
            f"holds: max_position_embeddings is {config.max_position_embeddings} in "
            f"{settings.bert_config_file}."
        )


def _strategy(settings: PretrainingSettings) -> tf.distribute.Strategy:
    if not settings.use_tpu:
        return distribution.one_device_strategy()
    return distribution.tpu_strategy(
        settings.tpu_name,
        settings.tpu_zone,
        settings.gcp_project,
        settings.master,
        settings.num_tpu_cores,
    )


def _all_records(
    settings: PretrainingSettings, config: BertConfig
) -> tuple[RecordSet | None, RecordSet | None]:
    """The records for training and for evaluation, as far as they are needed."""
    evaluates = settings.do_eval or (settings.do_train and settings.eval_steps > 0)
    needs_training_files = settings.do_train or (evaluates and not settings.eval_file)
    training = evaluation = None
    if needs_training_files:
        training = _open(settings, settings.input_file, config, "record_index.json")
    if evaluates and settings.eval_file:
        evaluation = _open(settings, settings.eval_file, config, "eval_record_index.json")
    elif evaluates:
        logger.warning(
            "No --eval_file: evaluating on the training records, as the original does. The figures "
            "say how well the model remembers them, not how well it reads."
        )
        evaluation = training
    return training, evaluation


def _open(
    settings: PretrainingSettings, patterns: tuple[str, ...], config: BertConfig, cache_name: str
) -> RecordSet:
    return open_record_set(
        patterns,
        settings.max_seq_length,
        settings.max_predictions_per_seq,
        config.vocab_size,
        config.type_vocab_size,
        settings.on_corrupt,
        cache_file=files.join_path(settings.output_dir, cache_name),
    )


def _trainer(
    settings: PretrainingSettings, model: PretrainingModel, strategy: tf.distribute.Strategy
) -> loop.Trainer:
    schedule = SCHEDULES[settings.learning_rate_schedule](
        settings.learning_rate, settings.num_warmup_steps, settings.num_train_steps
    )
    return loop.Trainer(
        model=model,
        objective=PretrainingObjective(),
        optimizer=AdamWeightDecay(
            named_variables(model), schedule, bias_correction=settings.bias_correction
        ),
        seed=settings.seed,
        random_scope=dropout_seeds,
        accumulation_steps=settings.gradient_accumulation_steps,
        loss_scale=LossScale() if settings.mixed_precision == "float16" else None,
        jit_compile=settings.xla,
        strategy=strategy,
    )


@contextlib.contextmanager
def _dtype_policy(mixed_precision: str) -> Iterator[None]:
    """Within it, layers compute in `mixed_precision` and keep their weights in float32."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(f"mixed_{mixed_precision}" if mixed_precision else "float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _course(settings: PretrainingSettings, records: RecordSet) -> dict[str, Any]:
    """All that the trained weights depend on, to compare a run with the one it goes on from."""
    values = dataclasses.asdict(settings)
    course = {name: value for name, value in values.items() if name not in _NOT_THE_COURSE}
    names = [os.path.basename(path) for path in records.index.paths]
    return {**course, "records": {"files": names, "num_examples": records.num_examples}}


def _describe_training(
    settings: PretrainingSettings, records: RecordSet, model: PretrainingModel
) -> str:
    num_weights = sum(int(np.prod(weight.shape)) for weight in model.weights)
    epochs = settings.num_train_steps * settings.train_batch_size / records.num_examples
    rate: Callable = SCHEDULES[settings.learning_rate_schedule](
        settings.learning_rate, settings.num_warmup_steps, settings.num_train_steps
    )
    steps = sorted({0, settings.num_warmup_steps, settings.num_train_steps // 2})
    rates = ", ".join(f"{float(rate(tf.constant(step))):.3g} at step {step}" for step in steps)
    return (
        f"{num_weights:,} weights; {settings.num_train_steps:,} steps of "
        f"{settings.train_batch_size} examples are {epochs:.2f} times all "
        f"{records.num_examples:,}; learning rate {rates}, 0 at step {settings.num_train_steps}"
    )
