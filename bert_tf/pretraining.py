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
from keras import ops

from bert_tf import files
from bert_tf.config import BertConfig
from bert_tf.data import schema
from bert_tf.data.dynamic_masking import MaskingSettings, masking_from_manifest
from bert_tf.data.input_pipeline import build_eval_dataset, build_training_dataset
from bert_tf.data.record_index import RecordIndex, build_record_index
from bert_tf.data.validation import check_manifests, check_records, find_corrupt_record
from bert_tf.model.heads import PretrainingModel
from bert_tf.model.layers import dropout_seeds
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


class PretrainingObjective:
    """Masked-LM loss plus next-sentence loss, as sums over a batch and what to divide them by."""

    # Keeps a batch without hidden tokens from dividing by zero; the original's number.
    epsilons = {"masked_lm_loss": 1e-5}  # noqa: RUF012

    def weights(self, batch: loop.Batch) -> dict[str, tf.Tensor]:
        return {
            "masked_lm_loss": tf.reduce_sum(batch["masked_lm_weights"]),
            "next_sentence_loss": tf.reduce_sum(_example_weights(batch)),
        }

    def sums(self, batch: loop.Batch, outputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        masked_lm = _cross_entropy(batch["masked_lm_ids"], outputs["masked_lm_logits"])
        next_sentence = _cross_entropy(
            tf.reshape(batch["next_sentence_labels"], [-1]), outputs["next_sentence_logits"]
        )
        return {
            "masked_lm_loss": tf.reduce_sum(masked_lm * batch["masked_lm_weights"]),
            "next_sentence_loss": tf.reduce_sum(next_sentence * _example_weights(batch)),
        }

    def counts(self, batch: loop.Batch) -> dict[str, tf.Tensor]:
        return {"tokens": tf.cast(tf.reduce_sum(batch["input_mask"]), tf.float32)}


def _cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    return ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)


def _example_weights(batch: loop.Batch) -> tf.Tensor:
    """float32 [B]: 0 for the rows that only fill up the last batch of an evaluation."""
    rows = tf.ones([tf.shape(batch["input_ids"])[0]], tf.float32)
    return batch.get("is_real_example", rows)


@dataclasses.dataclass(frozen=True)
class Records:
    """A checked set of records, and how a batch is made of it."""

    index: RecordIndex
    features: dict[str, schema.Feature]
    masking: MaskingSettings | None


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
    training_records, eval_records = _all_records(settings, config, stream)
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
        eval_records: Records | None,
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

    def train(self, trainer: loop.Trainer, records: Records) -> None:
        """Trains to the last step, from the newest checkpoint or else from the beginning."""
        settings = self.settings
        run_directory.check_settings(
            settings.output_dir, _course(settings, records.index), settings.allow_changed_settings
        )
        checkpoints = NumberedCheckpoints(
            settings.output_dir, trainer.state(), settings.keep_checkpoint_max
        )
        restored = checkpoints.restore()
        if restored:
            logger.info("Going on from %s", restored)
        elif settings.init_checkpoint:
            logger.info("%s", load_checkpoint(self.model, settings.init_checkpoint))
        self.step = int(trainer.optimizer.step)
        if self.step >= settings.num_train_steps:
            logger.info("Training is complete at step %d; there is nothing to train.", self.step)
            return
        logger.info("%s", _describe_training(settings, records.index, self.model))
        iterator = distribution.distribute(
            self.strategy,
            lambda num_hosts, host_index: build_training_dataset(
                records.index,
                records.features,
                settings.train_batch_size,
                settings.seed,
                start_step=self.step,
                num_hosts=num_hosts,
                host_index=host_index,
                masking=records.masking,
            ),
            settings.train_batch_size,
        )
        log = run_directory.MetricsLog(settings.output_dir, self.step)
        progress = Progress(
            settings.num_train_steps, "steps", self.stream, label="train", initial=self.step
        )
        with contextlib.closing(log), progress, StopRequest() as stop, _named_corruption(records):
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
        iterator = distribution.distribute(
            self.strategy,
            lambda num_hosts, host_index: build_eval_dataset(
                records.index,
                records.features,
                settings.eval_batch_size,
                max_batches=settings.max_eval_steps or None,
                repeat=not settings.eval_file and settings.max_eval_steps > 0,
                num_hosts=num_hosts,
                host_index=host_index,
                masking=records.masking,
            ),
            settings.eval_batch_size,
        )
        num_batches = -(-records.index.num_examples // settings.eval_batch_size)
        if settings.max_eval_steps:
            repeats = not settings.eval_file
            num_batches = (
                settings.max_eval_steps if repeats else min(num_batches, settings.max_eval_steps)
            )
        with (
            Progress(num_batches, "batches", self.stream, label="eval") as progress,
            _named_corruption(records),
        ):
            return self.evaluator.run(iterator, progress.update)

    def _eval_step(self, batch: loop.Batch) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
        outputs = self.model(batch, training=False)
        objective = PretrainingObjective()
        sums, weights = objective.sums(batch, outputs), objective.weights(batch)
        is_real, is_hidden = _example_weights(batch), batch["masked_lm_weights"]
        words = tf.argmax(outputs["masked_lm_logits"], -1, tf.int32) == batch["masked_lm_ids"]
        labels = tf.reshape(batch["next_sentence_labels"], [-1])
        kinds = tf.argmax(outputs["next_sentence_logits"], -1, tf.int32) == labels
        num_real = weights["next_sentence_loss"]
        # The mean of the batches' losses, as the original reports it.
        loss = sum(
            sums[name] / (weights[name] + objective.epsilons.get(name, 0.0)) for name in sums
        )
        return {
            "loss": (loss * num_real, num_real),
            "masked_lm_accuracy": (
                tf.reduce_sum(tf.cast(words, tf.float32) * is_hidden),
                weights["masked_lm_loss"],
            ),
            "masked_lm_loss": (sums["masked_lm_loss"], weights["masked_lm_loss"]),
            "next_sentence_accuracy": (
                tf.reduce_sum(tf.cast(kinds, tf.float32) * is_real),
                num_real,
            ),
            "next_sentence_loss": (sums["next_sentence_loss"], num_real),
        }

    def evaluate_and_write(self) -> dict[str, float]:
        """Evaluates, and writes `eval_results.txt` as the original does."""
        results = {"global_step": self.step, **self.evaluate(self.step)}
        lines = []
        for name in sorted(results):
            value = results[name] if name == "global_step" else np.float32(results[name])
            lines.append(f"{name} = {value!s}")  # As a float32 is printed: the original's digits.
            logger.info("  %s", lines[-1])
        log = run_directory.MetricsLog(self.settings.output_dir, self.step)
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
    settings: PretrainingSettings, config: BertConfig, stream: TextIO | None
) -> tuple[Records | None, Records | None]:
    """The records for training and for evaluation, as far as they are needed."""
    evaluates = settings.do_eval or (settings.do_train and settings.eval_steps > 0)
    needs_training_files = settings.do_train or (evaluates and not settings.eval_file)
    training = evaluation = None
    if needs_training_files:
        training = _records(settings, settings.input_file, config, "records")
    if evaluates and settings.eval_file:
        evaluation = _records(settings, settings.eval_file, config, "eval records")
    elif evaluates:
        logger.warning(
            "No --eval_file: evaluating on the training records, as the original does. The figures "
            "say how well the model remembers them, not how well it reads."
        )
        evaluation = training
    return training, evaluation


def _records(
    settings: PretrainingSettings, patterns: tuple[str, ...], config: BertConfig, label: str
) -> Records:
    paths = files.expand_input_files(patterns)
    index = build_record_index(paths, settings.on_corrupt)
    check_manifests(
        index, settings.max_seq_length, settings.max_predictions_per_seq, config.vocab_size
    )
    masking = masking_from_manifest(index, settings.max_predictions_per_seq)
    if masking is None:
        features = schema.pretraining_features(
            settings.max_seq_length, settings.max_predictions_per_seq
        )
    else:
        features = schema.unmasked_pretraining_features(settings.max_seq_length)
    index = check_records(
        index, features, config.vocab_size, config.type_vocab_size, settings.on_corrupt
    )
    logger.info(
        "%s: %d examples in %d files%s",
        label,
        index.num_examples,
        len(paths),
        f"; {len(index.faults)} damaged places left out" if index.faults else "",
    )
    return Records(index, features, masking)


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


@contextlib.contextmanager
def _named_corruption(records: Records) -> Iterator[None]:
    """Turns TensorFlow's report of a damaged record into one that names the file."""
    try:
        yield
    except tf.errors.DataLossError as error:
        find_corrupt_record(records.index)
        raise ValueError(f"A record cannot be read: {error.message}") from error


def _course(settings: PretrainingSettings, index: RecordIndex) -> dict[str, Any]:
    """All that the trained weights depend on, to compare a run with the one it goes on from."""
    values = dataclasses.asdict(settings)
    course = {name: value for name, value in values.items() if name not in _NOT_THE_COURSE}
    names = [os.path.basename(path) for path in index.paths]
    return {**course, "records": {"files": names, "num_examples": index.num_examples}}


def _describe_training(
    settings: PretrainingSettings, index: RecordIndex, model: PretrainingModel
) -> str:
    num_weights = sum(int(np.prod(weight.shape)) for weight in model.weights)
    epochs = settings.num_train_steps * settings.train_batch_size / index.num_examples
    rate: Callable = SCHEDULES[settings.learning_rate_schedule](
        settings.learning_rate, settings.num_warmup_steps, settings.num_train_steps
    )
    steps = sorted({0, settings.num_warmup_steps, settings.num_train_steps // 2})
    rates = ", ".join(f"{float(rate(tf.constant(step))):.3g} at step {step}" for step in steps)
    return (
        f"{num_weights:,} weights; {settings.num_train_steps:,} steps of "
        f"{settings.train_batch_size} examples are {epochs:.2f} times all {index.num_examples:,}; "
        f"learning rate {rates}, 0 at step {settings.num_train_steps}"
    )
