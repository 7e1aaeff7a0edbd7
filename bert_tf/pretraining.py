"""Pre-training: masked LM and next sentence prediction, from records to a checkpoint.

    run_pretraining(settings)
        checks everything -> model, optimizer -> restore or initialize -> train -> evaluate

Source: google-research/bert, run_pretraining.py.
"""

import contextlib
import dataclasses
import logging
import os
from typing import Any, TextIO

import keras
import tensorflow as tf

from bert_tf import files
from bert_tf.config import BertConfig
from bert_tf.data.record_set import RecordSet, open_record_set
from bert_tf.model.heads import PretrainingModel
from bert_tf.pretraining_objective import PretrainingObjective, evaluation_sums
from bert_tf.progress import Progress
from bert_tf.settings import NOT_THE_COURSE, PretrainingSettings
from bert_tf.training import distribution, loop, run_directory
from bert_tf.training_run import (
    TrainingRun,
    check_length,
    make_strategy,
    precision,
    restore_weights,
    write_eval_results,
)

logger = logging.getLogger(__name__)

# Of its own settings, what may change between a kill and the next start.
_NOT_THE_COURSE = NOT_THE_COURSE | {"input_file", "eval_file", "max_eval_steps"}


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
    check_length(settings.max_seq_length, config.max_position_embeddings, settings.bert_config_file)
    run_directory.prepare_folder(settings.output_dir)
    run_directory.check_model(settings.output_dir, config.to_json_string())
    strategy = make_strategy(settings)
    training_records, eval_records = _all_records(settings, config)
    with strategy.scope(), precision(settings.mixed_precision):
        keras.utils.set_random_seed(settings.seed % 2**32)
        model = PretrainingModel(config)
    run = _Run(settings, model, strategy, eval_records, stream)
    if settings.do_train:
        training = TrainingRun(
            settings,
            model,
            PretrainingObjective(),
            settings.num_train_steps,
            settings.num_warmup_steps,
            strategy,
            stream=stream,
        )
        run.train(training, training_records)
    else:
        run.step = restore_weights(model, settings.output_dir, settings.init_checkpoint) or 0
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

    def train(self, run: TrainingRun, records: RecordSet) -> None:
        """Trains to the last step, from the newest checkpoint or else from the beginning."""
        settings = self.settings
        self.step = run.begin(_course(settings, records))
        if self.step >= settings.num_train_steps:
            logger.info("Training is complete at step %d; there is nothing to train.", self.step)
            return
        logger.info("%s", run.describe(records.num_examples))
        batches = distribution.distribute(
            self.strategy,
            lambda num_hosts, host_index: records.training_batches(
                settings.train_batch_size, settings.seed, self.step, num_hosts, host_index
            ),
            settings.train_batch_size,
        )
        log = run_directory.MetricsLog(settings.output_dir, self.step)
        with contextlib.closing(log), records.named_corruption():
            self.step = run.train(batches, log, self.evaluate)

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
        figures = self.evaluate(self.step)
        log = run_directory.MetricsLog(self.settings.output_dir)
        with contextlib.closing(log):
            if not log.has(self.step, "eval_loss"):
                log.write(self.step, figures, prefix="eval_")
        results = {"global_step": self.step, **figures}
        write_eval_results(files.join_path(self.settings.output_dir, "eval_results.txt"), results)
        return results


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


def _course(settings: PretrainingSettings, records: RecordSet) -> dict[str, Any]:
    """All that the trained weights depend on, to compare a run with the one it goes on from."""
    values = dataclasses.asdict(settings)
    course = {name: value for name, value in values.items() if name not in _NOT_THE_COURSE}
    names = [os.path.basename(path) for path in records.index.paths]
    return {**course, "records": {"files": names, "num_examples": records.num_examples}}
