"""Opens the phases of a pre-training run, each with its own records, settings and learning rate.

A run without --phases has one phase. Steps are counted over all phases, and a phase's position in
its records is the number of steps since its start:

    step       0                          900,000      1,000,000
    phase      |-------- seq128 ------------|-- seq512 --|
    records    from example 0, by epochs    from example 0 of others

So the step alone determines the phase and the examples, and a run can resume anywhere.
"""

import dataclasses
import logging
import os
from typing import Any

from bert_tf import files
from bert_tf.config import BertConfig
from bert_tf.data.record_set import RecordSet, find_max_predictions, open_record_set
from bert_tf.pretraining.objective import PretrainingObjective
from bert_tf.settings import PretrainingSettings
from bert_tf.settings.phases import parse_phases

logger = logging.getLogger(__name__)

# Settings of each phase.
_OF_PHASE = (
    *("max_seq_length", "max_predictions_per_seq", "train_batch_size", "learning_rate"),
    "num_warmup_steps",
)


@dataclasses.dataclass(frozen=True)
class RunPhase:
    """Describes a phase of a run, with its records."""

    name: str  # Such as `1_seq128`; empty if it is the only one.
    start: int  # Its first step.
    end: int  # The step after its last.
    settings: PretrainingSettings  # Of a run with only this phase.
    records: RecordSet | None  # To train on; None without training.
    eval_records: RecordSet | None  # None without evaluation.


def open_phases(
    settings: PretrainingSettings, config: BertConfig, objective: PretrainingObjective
) -> tuple[RunPhase, ...]:
    """Returns all phases of a run; raises a ValueError if their records do not fit the model."""
    by_phase = settings.by_phase()
    named = parse_phases(settings.phases) if settings.phases else ()
    phases, start = [], 0
    for number, (num_steps, own) in enumerate(by_phase, start=1):
        if named and not settings.given_max_predictions(named[number - 1]):
            found = find_max_predictions(own.input_file) or own.max_predictions_per_seq
            own = dataclasses.replace(own, max_predictions_per_seq=found)
        # Each phase has its own order of examples and dynamic masks.
        own = dataclasses.replace(own, seed=settings.seed + number - 1)
        suffix = f"_{number}" if number > 1 else ""
        records, eval_records = _open_records(own, config, objective, suffix)
        name = f"{number}_seq{own.max_seq_length}" if len(by_phase) > 1 else ""
        phases.append(RunPhase(name, start, start + num_steps, own, records, eval_records))
        start += num_steps
    return tuple(phases)


def fingerprint(settings: PretrainingSettings, phases: tuple[RunPhase, ...]) -> dict[str, Any]:
    """Returns everything that the trained weights depend on, as JSON values."""
    known = settings.fingerprint()
    if not settings.phases:
        return {**known, "records": describe_records(phases[0].records)}
    of_run = {name: value for name, value in known.items() if name not in _OF_PHASE}
    of_phases = [
        {
            "num_steps": phase.end - phase.start,
            **{name: getattr(phase.settings, name) for name in _OF_PHASE},
            "records": describe_records(phase.records),
        }
        for phase in phases
    ]
    return {**of_run, "num_train_steps": phases[-1].end, "phases": of_phases}


def describe_records(records: RecordSet | None) -> dict[str, Any] | None:
    """Returns the names and the size of records, as JSON."""
    if records is None:
        return None
    names = [os.path.basename(path) for path in records.index.paths]
    return {"files": names, "num_examples": records.num_examples}


def _open_records(
    settings: PretrainingSettings, config: BertConfig, objective: PretrainingObjective, suffix: str
) -> tuple[RecordSet | None, RecordSet | None]:
    """Opens the records for training and evaluation that are needed."""

    def open_files(patterns: tuple[str, ...], cache_name: str) -> RecordSet:
        return open_record_set(
            patterns,
            settings.max_seq_length,
            settings.max_predictions_per_seq,
            config.vocab_size,
            config.type_vocab_size,
            objective,
            settings.on_corrupt,
            files.join_path(settings.output_dir, cache_name),
        )

    evaluates = settings.do_eval or (settings.do_train and settings.eval_steps > 0)
    training = evaluation = None
    if settings.do_train or (evaluates and not settings.eval_file):
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
