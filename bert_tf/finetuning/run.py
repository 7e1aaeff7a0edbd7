"""Fine-tunes a model on a task in an output directory, or resumes."""

import contextlib
import dataclasses
import logging
from collections.abc import Iterator
from typing import Any, TextIO

import keras
import tensorflow as tf

from bert_tf import files
from bert_tf.config import BertConfig
from bert_tf.distillation.layers import LayerwiseModel
from bert_tf.distillation.student import CopyReport, copy_weights
from bert_tf.finetuning.distillation import DistillationObjective, check_student
from bert_tf.finetuning.evaluation import TaskEvaluator
from bert_tf.finetuning.feature_records import FeatureRecords
from bert_tf.finetuning.objective import TaskObjective
from bert_tf.finetuning.task_data import TaskData
from bert_tf.finetuning.teacher import TaskTeacher
from bert_tf.model.encoders import make_encoder
from bert_tf.model.layer_rates import frozen_prefixes, layer_rate_scales
from bert_tf.released.model_folder import (
    check_model_folder,
    describe_task,
    read_description,
    write_description,
    write_model_folder,
)
from bert_tf.settings import FinetuningSettings
from bert_tf.tasks.task import Task
from bert_tf.text.tokenizer import load_tokenizer_of_model
from bert_tf.training import distribution, loop, run_directory
from bert_tf.training.best_checkpoint import BestCheckpoint
from bert_tf.training.checkpoint import (
    NumberedCheckpoints,
    find_checkpoint,
    has_encoder,
    named_variables,
    newest_has_optimizer,
    newest_step,
    remove_checkpoints,
)
from bert_tf.training.devices import make_strategy
from bert_tf.training.interruption import EvaluationLeft
from bert_tf.training.model_card import describe_run, write_model_card
from bert_tf.training.run import (
    TrainingRun,
    check_batch_size,
    check_length,
    describe_steps,
    precision,
    restore_weights,
)
from bert_tf.training.run_directory import EVALUATION, MetricsLog
from bert_tf.training.schedule import make_schedule
from bert_tf.training.trainer import Objective

logger = logging.getLogger(__name__)


@dataclasses.dataclass
class FinetuningRun:
    """Trains a task's model in an output directory, evaluates it and predicts.

    Raises a ValueError for inconsistent settings, vocabulary, config and checkpoint.
    """

    settings: FinetuningSettings
    task: Task
    feature_dir: str = ""  # Of feature files that runs may share; by default the output directory.
    stream: TextIO | None = None

    def __post_init__(self) -> None:
        settings, task = self.settings, self.task
        self.config = BertConfig.from_json_file(settings.bert_config_file)
        if settings.bilstm_layers:
            self.config = dataclasses.replace(self.config, bilstm_layers=settings.bilstm_layers)
        max_seq_length = settings.max_seq_length or task.default_seq_length
        check_length(max_seq_length, self.config, settings.bert_config_file)
        tokenizer = load_tokenizer_of_model(settings, self.config)
        self.strategy = make_strategy(settings)
        if settings.do_train:
            check_batch_size(settings, self.strategy)
        with self.strategy.scope(), precision(settings.mixed_precision):
            keras.utils.set_random_seed(settings.seed % 2**32)
            is_loaded = has_encoder(settings.init_checkpoint)
            self.model = task.head(make_encoder(self.config, will_be_loaded=is_loaded))
        self._frozen = frozen_prefixes(settings.freeze, self.model.encoder)
        self.description = describe_task(task, settings.do_lower_case, max_seq_length)
        self._teacher = self._load_teacher() if settings.teacher and settings.do_train else None
        output_dir = settings.output_dir
        run_directory.prepare_folder(output_dir)
        run_directory.check_model(output_dir, self.config.to_json_string())
        if settings.do_train and settings.init_checkpoint and newest_step(output_dir) is None:
            find_checkpoint(settings.init_checkpoint)  # Before features are made.
        feature_dir, strategy = self.feature_dir or output_dir, self.strategy
        self.data = TaskData(settings, task, max_seq_length, feature_dir, strategy, self.stream)
        self.workers = self.data.workers
        self.evaluator = TaskEvaluator(self.data, self.model, tokenizer)
        self.best = BestCheckpoint(
            output_dir,
            self.model,
            f"eval_{task.metric}",
            settings.early_stopping_patience,
            is_writer=self.workers.is_chief,
        )

    def train(self) -> None:
        """Trains to the end, from the newest checkpoint if there is one.

        Afterwards the model has the best weights if it was evaluated during training, or else the
        last ones. Raises Interrupted after SIGTERM or Ctrl-C, once everything is saved.
        """
        settings = self.settings
        if settings.eval_steps:
            self.task.splits("eval")  # Missing evaluation files are reported now.
        feature_file, records = self.data.records("train")
        num_examples = feature_file.num_examples
        if getattr(self.task, "counts_windows", False):
            num_examples = feature_file.num_features
        num_steps = num_train_steps(settings, num_examples)
        fingerprint = self.data.fingerprint()
        if self._teacher:
            fingerprint["teacher_weights"] = self._teacher.digest
        if self._is_complete(fingerprint, num_steps):
            self.restore()
            return
        run = TrainingRun(
            settings,
            *self._model_and_objective(),
            num_steps,
            make_schedule(settings, num_steps, num_steps * settings.warmup_proportion),
            self.strategy,
            is_trained=self._is_trained,
            stream=self.stream,
            rate_scales=self._rate_scales(),
            initialize=self._copy_teacher if settings.init_from_teacher else None,
        )
        step = run.begin(fingerprint)
        self.best.resume(step)
        if self.workers.is_chief:
            self._write_model_folders()
        logger.info("%s", describe_steps(num_steps, settings.train_batch_size, num_examples))
        with MetricsLog(settings.output_dir, step, self.workers.is_chief) as log:
            log.hyperparameters(settings)
            for event in run.events(self._batches(records, step), log, evaluate_last=True):
                match event:
                    case loop.Log(step, metrics):
                        log.write(step, metrics)
                    case loop.Evaluate(step):
                        with contextlib.suppress(EvaluationLeft):
                            log.write(step, self._evaluate(run, step), EVALUATION)
                    case loop.Save(step):
                        run.save(step)
        self.evaluator.weights_changed(run.step)
        if not settings.keep_optimizer:
            self._drop_optimizer()
        if settings.eval_steps:
            self.restore()

    def restore(self) -> None:
        """Loads the best, newest or initial checkpoint; a ValueError for one of another task."""
        settings = self.settings
        if newest_step(settings.output_dir) is not None or self.best.is_there():
            check_model_folder(settings.output_dir, self.description, settings.vocab_file)
        step = self.best.restore()
        if step is None:
            step = restore_weights(self.model, settings, self.workers)
        self.evaluator.weights_changed(step)

    def calibrate(self) -> None:
        """Lets the task choose options by its evaluation examples, and saves them."""
        if not getattr(self.task, "needs_calibration", False):
            return
        split = self.task.splits("eval")[0]
        answers = self.evaluator.answers(split).answers
        chosen = self.task.calibrated(self.data.examples(split), answers)
        self.task = self.data.task = self.evaluator.task = chosen
        self.evaluator.weights_changed(self.evaluator.step)
        self.description = dataclasses.replace(
            self.description, options=dataclasses.asdict(chosen.options)
        )
        for folder in (self.settings.output_dir, self.best.best_folder):
            if self.workers.is_chief and read_description(folder):
                write_description(folder, self.description)

    def write_model_folder(self, folder: str) -> None:
        """Writes the files that the model needs beside its weights."""
        write_model_folder(folder, self.description, self.config, self.settings.vocab_file)

    def write_card(self, folder: str) -> None:
        """Writes README.md, with the metrics of the evaluation."""
        num_examples, described = self.data.records("train")[0].num_examples, self.description
        made = describe_run(self.settings, num_examples, self.evaluator.step)
        made = [f"Fine-tuned for the task {self.task.name}.", *made]
        about = (described.do_lower_case, described.kind, described.labels, described.inputs)
        write_model_card(folder, self.config, made, *about)

    def _load_teacher(self) -> TaskTeacher:
        settings = self.settings
        with self.strategy.scope(), precision(settings.mixed_precision):
            teacher = TaskTeacher(settings, self.task, self.description)
        check_student(self.task, self.model, teacher.model, settings)
        return teacher

    def _copy_teacher(self) -> CopyReport:
        return copy_weights(self.model, self._teacher.model)

    def _model_and_objective(self) -> tuple[Any, Objective]:
        """Returns what is trained and its loss, with the outputs of the teacher if there is one."""
        if not self._teacher:
            return self.model, TaskObjective(self.task, self.settings.loss_reduction)
        objective = DistillationObjective(self.task, self._teacher, self.settings)
        if not (self.settings.teacher_in_each_step or objective.needs_layers):
            self._teacher.add_outputs(self.data, self.strategy)
        return LayerwiseModel(self.model) if objective.needs_layers else self.model, objective

    def _is_trained(self, name: str) -> bool:
        return not (self.model.is_unneeded(name) or name.startswith(self._frozen))

    def _rate_scales(self) -> dict[str, float]:
        """Returns the factors of the learning rate of weights that have another."""
        settings, encoder, scales = self.settings, self.model.encoder, {}
        names = named_variables(self.model)
        if settings.layer_wise_decay < 1.0:
            scales = layer_rate_scales(names, encoder, settings.layer_wise_decay)
        if settings.head_learning_rate:
            scale = settings.head_learning_rate / settings.learning_rate
            scales |= {name: scale for name in names if not name.startswith(encoder.prefix)}
        return scales

    def _is_complete(self, fingerprint: dict[str, Any], num_steps: int) -> bool:
        """Returns whether training is complete; refuses the output directory of another run."""
        settings = self.settings
        run_directory.check_settings(settings, fingerprint)
        done = newest_step(settings.output_dir)
        self.best.resume(-1 if done is None else done)
        if done is None or not (done >= num_steps or self.best.is_over()):
            return False
        logger.info("Training is complete at step %d; there is nothing to train.", done)
        drops = not settings.keep_optimizer and newest_has_optimizer(settings.output_dir)
        self.workers.wait()  # Until all have seen the folder as it was.
        if drops:
            restore_weights(self.model, settings, self.workers)
            self.evaluator.weights_changed(done)
            self._drop_optimizer()
        return True

    def _batches(self, records: FeatureRecords, step: int) -> Iterator:
        """Returns the training batches after a step."""
        size, seed = self.settings.train_batch_size, self.settings.seed
        return distribution.distribute(
            self.strategy,
            lambda num_hosts, host_index: records.training_batches(
                size, seed, step, num_hosts, host_index, self.data.is_bucketed
            ),
            size,
        )

    def _evaluate(self, run: TrainingRun, step: int) -> dict[str, float]:
        """Returns the current metrics, keeps the weights if they are the best, or stops early."""
        self.evaluator.weights_changed(step)
        metrics = self.evaluator.metrics(run.between_batches)
        value = metrics[self.task.metric]
        self.best.note(step, value)
        run.shown[f"eval_{self.task.metric}"] = value
        if self.best.is_over():
            run.end_early()
        return metrics

    def _drop_optimizer(self) -> None:
        """Rewrites the last checkpoint without the optimizer's state, and removes the others."""
        step = self.evaluator.step
        variables = {**named_variables(self.model), "global_step": tf.constant(step, tf.int64)}
        for keep in (2, 1):  # The previous one is kept until this one is complete.
            if self.workers.is_chief:
                NumberedCheckpoints(self.settings.output_dir, variables, keep).save(step)
        self.workers.wait()

    def _write_model_folders(self) -> None:
        self.write_model_folder(self.settings.output_dir)
        if self.settings.eval_steps:
            files.make_directories(self.best.best_folder)
            self.write_model_folder(self.best.best_folder)
        else:
            remove_checkpoints(self.best.best_folder)


def num_train_steps(settings: FinetuningSettings, num_examples: int) -> int:
    """Returns the steps of training, counted as in the original; a ValueError if there are none."""
    num_steps = int(num_examples / settings.train_batch_size * settings.num_train_epochs)
    if not num_steps:
        raise ValueError(
            f"{num_examples} training examples in {settings.num_train_epochs} epochs do not fill "
            f"one batch of {settings.train_batch_size}. Use a smaller --train_batch_size or a "
            "larger --num_train_epochs."
        )
    return num_steps
