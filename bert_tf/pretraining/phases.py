"""The phases of a pre-training run: records, settings and learning rate of each stretch of steps.

A run without --phases has one phase. The steps of several are counted together, and a phase's place
in its records is the number of steps since its start:

    step       0                          900,000      1,000,000
    phase      |-------- seq128 ------------|-- seq512 --|
    records    from example 0, by epochs    from example 0 of others

so that the step alone determines the phase and the examples, and a run can resume anywhere.
"""

import dataclasses
import logging
import os
from typing import Any

from bert_tf import files
from bert_tf.config import BertConfig
from bert_tf.data.record_set import RecordSet, find_max_predictions, open_record_set
from bert_tf.pretraining.objective import PretrainingObjective
from bert_tf.settings import NOT_IN_FINGERPRINT, PretrainingSettings
from bert_tf.settings.phases import parse_phases
from bert_tf.training.run import check_length
from bert_tf.training.schedule import TrainingPlan, make_plan, schedules_in_turn

logger = logging.getLogger(__name__)

# Settings that may change on resume. The fingerprint holds what --phases means, not its text.
_NOT_IN_FINGERPRINT = NOT_IN_FINGERPRINT | {"input_file", "eval_file", "max_eval_steps", "phases"}
# Settings that each phase has of its own.
_OF_PHASE = (
    *("max_seq_length", "max_predictions_per_seq", "train_batch_size"),
    *("learning_rate", "num_warmup_steps"),
)


@dataclasses.dataclass(frozen=True)
class RunPhase:
    """A phase of a run, with its records.

    name: such as `1_seq128`; empty if it is the only one.
    start, end: its first step, and the step after its last.
    settings: those of a run that consists of this phase.
    records: to train on; None without training.
    eval_records: to evaluate on; None without evaluation.
    """

    name: str
    start: int
    end: int
    settings: PretrainingSettings
    records: RecordSet | None
    eval_records: RecordSet | None

    def describe(self) -> str:
        """Returns a line for the log."""
        settings, num_examples = self.settings, self.records.num_examples
        epochs = (self.end - self.start) * settings.train_batch_size / num_examples
        return (
            f"Phase {self.name}: steps {self.start:,} to {self.end:,} of "
            f"{settings.train_batch_size} examples are {epochs:.2f} epochs of {num_examples:,}"
        )


def check_lengths(settings: PretrainingSettings, config: BertConfig) -> None:
    """Raises a ValueError if a phase's sequences are longer than the model's position table."""
    for _, own in settings.by_phase():
        check_length(own.max_seq_length, config.max_position_embeddings, own.bert_config_file)


def open_phases(
    settings: PretrainingSettings, config: BertConfig, objective: PretrainingObjective
) -> tuple[RunPhase, ...]:
    """Returns all phases of a run with their records, checked before the first step.

    Raises:
        ValueError: for files that do not exist, or do not fit the phase or the model.
    """
    stretches = settings.by_phase()
    named = parse_phases(settings.phases) if settings.phases else ()
    phases, start = [], 0
    for number, (num_steps, own) in enumerate(stretches, start=1):
        if named and not settings.given_max_predictions(named[number - 1]):
            found = find_max_predictions(own.input_file) or own.max_predictions_per_seq
            own = dataclasses.replace(own, max_predictions_per_seq=found)
        # A seed of its own for the order of examples and their dynamic masks.
        own = dataclasses.replace(own, seed=settings.seed + number - 1)
        suffix = f"_{number}" if number > 1 else ""
        records, eval_records = _open_records(own, config, objective, suffix)
        phases.append(
            RunPhase(
                name=f"{number}_seq{own.max_seq_length}" if len(stretches) > 1 else "",
                start=start,
                end=start + num_steps,
                settings=own,
                records=records,
                eval_records=eval_records,
            )
        )
        start += num_steps
    return tuple(phases)


def phase_that_reached(phases: tuple[RunPhase, ...], step: int) -> RunPhase:
    """Returns the phase whose training led to this step; the last one for later steps."""
    return next((phase for phase in phases if step <= phase.end), phases[-1])


def training_plan(settings: PretrainingSettings, phases: tuple[RunPhase, ...]) -> TrainingPlan:
    """Returns the steps and the learning rate of a whole run."""
    num_steps = phases[-1].end
    if settings.phase_schedule == "one" or len(phases) == 1:
        own = phases[0].settings if len(phases) == 1 else settings
        return make_plan(own, own.num_warmup_steps, num_steps)
    plans = [
        make_plan(phase.settings, phase.settings.num_warmup_steps, phase.end - phase.start)
        for phase in phases
    ]
    starts = [phase.start for phase in phases]
    schedule = schedules_in_turn(starts, [plan.schedule for plan in plans])
    return TrainingPlan(num_steps, settings.num_warmup_steps, schedule, tuple(starts[1:]))


def fingerprint(settings: PretrainingSettings, phases: tuple[RunPhase, ...]) -> dict[str, Any]:
    """Returns all that the trained weights depend on, to compare a run with the one it resumes."""
    values = dataclasses.asdict(settings)
    known = {name: value for name, value in values.items() if name not in _NOT_IN_FINGERPRINT}
    if not settings.phases:
        return {**known, "records": _named(phases[0].records)}
    for name in _OF_PHASE:
        known.pop(name)
    known["num_train_steps"] = phases[-1].end
    own = [
        {
            "num_steps": phase.end - phase.start,
            **{name: getattr(phase.settings, name) for name in _OF_PHASE},
            "records": _named(phase.records),
        }
        for phase in phases
    ]
    return {**known, "phases": own}


def describe_records(phases: tuple[RunPhase, ...]) -> dict[str, Any]:
    """Returns names and sizes of all records, to compare them between workers."""
    return {
        f"the {purpose} records of phase {number}": None if records is None else _named(records)
        for number, phase in enumerate(phases, start=1)
        for purpose, records in (("training", phase.records), ("evaluation", phase.eval_records))
    }


def _named(records: RecordSet) -> dict[str, Any]:
    names = [os.path.basename(path) for path in records.index.paths]
    return {"files": names, "num_examples": records.num_examples}


def _open_records(
    settings: PretrainingSettings,
    config: BertConfig,
    objective: PretrainingObjective,
    suffix: str,
) -> tuple[RecordSet | None, RecordSet | None]:
    """Opens the records for training and for evaluation, those that are needed."""
    evaluates = settings.do_eval or (settings.do_train and settings.eval_steps > 0)
    needs_training_files = settings.do_train or (evaluates and not settings.eval_file)
    training = evaluation = None

    def open_files(patterns: tuple[str, ...], cache_name: str) -> RecordSet:
        return open_record_set(
            patterns,
            settings.max_seq_length,
            settings.max_predictions_per_seq,
            config.vocab_size,
            config.type_vocab_size,
            settings.on_corrupt,
            cache_file=files.join_path(settings.output_dir, cache_name),
            next_sentence=objective.needs_next_sentence,
            masks_tokens=objective.masks_tokens,
            prepare=objective.prepare,
        )

    if needs_training_files:
        training = open_files(settings.input_file, f"record_index{suffix}.json")
    if evaluates and settings.eval_file:
        evaluation = open_files(settings.eval_file, f"eval_record_index{suffix}.json")
    elif evaluates:
        logger.warning(
            "No --eval_file: evaluating on the training records, as the original does. The metrics "
            "show how well the model has memorized them, not how well it generalizes."
        )
        evaluation = training
    return training, evaluation
