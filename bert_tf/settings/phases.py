"""The phases of one pre-training: how long the sequences are, for how many steps, on which records.

The paper's run trains on 128 tokens for nine tenths of its steps, as that is cheap, and on 512 for
the rest, so that the positions beyond are learned too:

    seq128:900000:records_128/*.tfrecord,seq512:100000:records_512/*.tfrecord

or, where a phase has more of its own, a file whose name ends in .json:

    [{"max_seq_length": 128, "num_steps": 7506, "input_file": "records_128/*.tfrecord",
      "train_batch_size": 61440, "learning_rate": 6e-3, "num_warmup_steps": 2133},
     {"max_seq_length": 512, "max_predictions_per_seq": 80, "num_steps": 1668, ...}]

What a phase leaves out is as the flags say.
"""

import dataclasses
import math
import re
from typing import Any

from bert_tf.config import check_range, read_json
from bert_tf.settings.setting import check_whole_numbers

_FORM = "seqLENGTH:STEPS:FILES, as in seq128:900000:records_128/*.tfrecord"
_PHASE = re.compile(r"seq([0-9]+)(?:pred([0-9]+))?:([0-9]+)(?::(.*))?", re.DOTALL)
# What is no file's name, but a phase that was not written as one is: sec512:100000:FILES.
_LIKE_A_PHASE = re.compile(r"\w*:\d+:.*", re.DOTALL)
# Where the next phase begins: the names of files may have commas in between.
_BETWEEN = re.compile(r",\s*(?=seq\d+(?:pred\d+)?:)")
_OPTIONAL_COUNTS = ("max_predictions_per_seq", "train_batch_size", "gradient_accumulation_steps")
_OWN_SCHEDULE = ("learning_rate", "num_warmup_steps")


@dataclasses.dataclass(frozen=True)
class Phase:
    """A stretch of a run that has one length of sequence.

    max_seq_length: tokens in an example, as the records have them.
    num_steps: how long it is.
    input_file: TFRecord files to train on: paths or patterns.
    eval_file: TFRecord files to evaluate on while it lasts.
    max_predictions_per_seq: hidden tokens in an example at most; None for as many as the records
        have, or, where masks are drawn in training, for 15 % of the length.
    train_batch_size, gradient_accumulation_steps: instead of the flags'.
    learning_rate, num_warmup_steps: instead of the flags', where each phase has its own schedule.

    Raises:
        ValueError: for values that no run can have, naming the phase.
    """

    max_seq_length: int
    num_steps: int
    input_file: tuple[str, ...]
    eval_file: tuple[str, ...] = ()
    max_predictions_per_seq: int | None = None
    train_batch_size: int | None = None
    gradient_accumulation_steps: int | None = None
    learning_rate: float | None = None
    num_warmup_steps: int | None = None

    def __post_init__(self) -> None:
        lowest = {"max_seq_length": 1, "num_steps": 1}
        for name in _OPTIONAL_COUNTS:
            if getattr(self, name) is not None:
                lowest[name] = 1
        if self.num_warmup_steps is not None:
            lowest["num_warmup_steps"] = 0
        check_whole_numbers(self, lowest)
        if self.max_predictions_per_seq is not None:
            check_max_predictions(self.max_predictions_per_seq, self.max_seq_length)
        if self.learning_rate is not None:
            check_range("learning_rate", self.learning_rate, 0.0, math.inf, True, False)
        if not any(self.input_file):
            raise ValueError("input_file is needed: the records to train on.")
        if not all((*self.input_file, *self.eval_file)):
            raise ValueError("a file without a name: is there a comma too many?")

    @property
    def has_own_schedule(self) -> bool:
        """Whether it says something about the learning rate."""
        return any(getattr(self, name) is not None for name in _OWN_SCHEDULE)


def check_max_predictions(max_predictions: int, max_seq_length: int) -> None:
    """Raises a ValueError unless so many of a sequence's tokens can be hidden."""
    if not 1 <= max_predictions <= max_seq_length:
        raise ValueError(
            f"from 1 to {max_seq_length} of {max_seq_length} tokens can be hidden. Received: "
            f"seq{max_seq_length}pred{max_predictions}"
        )


def parse_phases(text: str) -> tuple[Phase, ...]:
    """The phases that `--phases` names.

    Args:
        text: `seq128:900000:FILES,seq512:100000:FILES`, or the name of a .json file. FILES may be
            several, with commas between them. `seq512pred80` says how many tokens are hidden at
            most.

    Raises:
        ValueError: naming the part that is not understood, and the form that is.
    """
    if names_file(text):
        return _phases_of_file(text)
    return tuple(_parse_phase(part) for part in split_phases(text))


def names_file(text: str) -> bool:
    """Whether it is the name of a file of phases, and not the phases themselves."""
    return text.endswith(".json") and not _PHASE.fullmatch(text)


def split_phases(text: str) -> list[str]:
    """seq128:900000:a,b,seq512:100000:c -> one text for each."""
    return _BETWEEN.split(text.strip())


def match_phase(part: str) -> tuple[int, int | None, int, str | None] | None:
    """seq512pred80:100000:FILES -> (512, 80, 100000, FILES); None for what is no phase."""
    match = _PHASE.fullmatch(part)
    if not match:
        return None
    length, predictions, num_steps, files = match.groups()
    return int(length), None if predictions is None else int(predictions), int(num_steps), files


def parse_eval_files(patterns: tuple[str, ...]) -> dict[int | None, tuple[str, ...]]:
    """The files to evaluate on by length: `seq128:FILE,FILE,seq512:FILE`.

    Returns: length -> patterns; those before any `seqLENGTH:` under None.
    """
    by_length: dict[int | None, list[str]] = {}
    length = None
    for pattern in patterns:
        match = re.fullmatch(r"seq(\d+):(.*)", pattern, re.DOTALL)
        if match:
            length, pattern = int(match.group(1)), match.group(2)
        by_length.setdefault(length, []).append(pattern)
    return {length: tuple(found) for length, found in by_length.items()}


def check_sum_of_steps(phases: tuple[Phase, ...], num_train_steps: int) -> None:
    """Raises a ValueError unless the phases are together `num_train_steps` long."""
    steps = [phase.num_steps for phase in phases]
    if sum(steps) != num_train_steps:
        raise ValueError(
            f"The steps of --phases are {' + '.join(map(str, steps))} = {sum(steps)}, which "
            f"--num_train_steps must be too, or be left out. Received: {num_train_steps}"
        )


def _parse_phase(part: str) -> Phase:
    matched = match_phase(part)
    if not matched or not matched[3]:
        raise _no_phase(part)
    length, predictions, num_steps, files = matched
    for name in files.split(","):
        if _LIKE_A_PHASE.fullmatch(name):
            raise _no_phase(name)
    try:
        return Phase(
            max_seq_length=length,
            num_steps=num_steps,
            input_file=tuple(files.split(",")),
            max_predictions_per_seq=predictions,
        )
    except ValueError as error:
        raise ValueError(f"--phases: {part!r}: {error}") from error


def _no_phase(text: str) -> ValueError:
    return ValueError(
        f"--phases: {text!r} is no phase. Each is {_FORM}; phases have commas between them. "
        "A name that ends in .json is a file of phases."
    )


def _phases_of_file(path: str) -> tuple[Phase, ...]:
    content = read_json(path)
    if not isinstance(content, list) or not content:
        raise ValueError(f"{path}: it must hold a list of phases, each an object.")
    return tuple(_phase_of_json(f"{path}, phase {i}", item) for i, item in enumerate(content, 1))


def _phase_of_json(place: str, item: Any) -> Phase:
    known = {field.name: field for field in dataclasses.fields(Phase)}
    if not isinstance(item, dict):
        raise ValueError(f"{place}: a phase is an object. Received: {item!r}")
    unknown = sorted(set(item) - set(known))
    needed = [n for n in ("max_seq_length", "num_steps", "input_file") if n not in item]
    if unknown or needed:
        what = f"{unknown[0]!r} means nothing" if unknown else f"{needed[0]!r} is needed"
        raise ValueError(f"{place}: {what}. A phase may have: {', '.join(known)}.")
    values = dict(item)
    for name in ("input_file", "eval_file"):
        if name in values:
            given = values[name].split(",") if isinstance(values[name], str) else values[name]
            if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
                raise ValueError(
                    f"{place}: {name} is a path or pattern, or a list of them. Received: "
                    f"{values[name]!r}"
                )
            values[name] = tuple(given)
    try:
        return Phase(**values)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error
