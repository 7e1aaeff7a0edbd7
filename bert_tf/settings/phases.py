"""The phases of a pre-training run: sequence length, number of steps and records of each.

The paper's run trains on 128 tokens for nine tenths of its steps, as that is cheap, and on 512 for
the rest, so that the positions beyond 128 are learned too:

    seq128:900000:records_128/*.tfrecord,seq512:100000:records_512/*.tfrecord

or, where a phase has more settings of its own, a file whose name ends in .json:

    [{"max_seq_length": 128, "num_steps": 7506, "input_file": "records_128/*.tfrecord",
      "train_batch_size": 61440, "learning_rate": 6e-3, "num_warmup_steps": 2133},
     {"max_seq_length": 512, "max_predictions_per_seq": 80, "num_steps": 1668, ...}]

Flags give what a phase leaves out.
"""

import dataclasses
import math
import re
from typing import Any

from bert_tf.config import check_range, read_json
from bert_tf.settings.setting import check_whole_numbers

_FORM = "seqLENGTH:STEPS:FILES, as in seq128:900000:records_128/*.tfrecord"
_PHASE = re.compile(r"seq([0-9]+)(?:pred([0-9]+))?:([0-9]+)(?::(.*))?", re.DOTALL)
# Among a phase's files, what is no file but a mistyped phase: sec512:100000:FILES.
_LIKE_A_PHASE = re.compile(r"\w*:\d+:.*", re.DOTALL)
# Where the next phase begins: the names of files may have commas in between.
_BETWEEN = re.compile(r",\s*(?=seq\d+(?:pred\d+)?:)")
_COUNTS = ("max_seq_length", "num_steps", "train_batch_size", "gradient_accumulation_steps")


@dataclasses.dataclass(frozen=True)
class Phase:
    """A stretch of a run with one sequence length.

    max_seq_length: tokens in an example, as the records have them.
    num_steps: how many steps it takes.
    input_file: TFRecord files to train on: paths or patterns.
    eval_file: TFRecord files to evaluate on meanwhile.
    max_predictions_per_seq: the most masked tokens in an example; None for as many as the records
        have or, with dynamic masking, for 15 % of the length.
    train_batch_size, gradient_accumulation_steps: instead of the flags'.
    learning_rate, num_warmup_steps: instead of the flags', if each phase has its own schedule.

    Raises:
        ValueError: for values that no run can have.
    """

    max_seq_length: int
    num_steps: int
    input_file: tuple[str, ...] = ()
    eval_file: tuple[str, ...] = ()
    max_predictions_per_seq: int | None = None
    train_batch_size: int | None = None
    gradient_accumulation_steps: int | None = None
    learning_rate: float | None = None
    num_warmup_steps: int | None = None

    def __post_init__(self) -> None:
        lowest = dict.fromkeys(_COUNTS, 1) | {"num_warmup_steps": 0}
        given = {n: low for n, low in lowest.items() if getattr(self, n) is not None}
        check_whole_numbers(self, given)
        predictions = self.max_predictions_per_seq
        if predictions is not None and not 1 <= predictions <= self.max_seq_length:
            raise ValueError(
                f"from 1 to {self.max_seq_length} of {self.max_seq_length} tokens can be masked. "
                f"Received: seq{self.max_seq_length}pred{predictions}"
            )
        if self.learning_rate is not None:
            check_range("learning_rate", self.learning_rate, 0.0, math.inf, True, False)
        if not all((*self.input_file, *self.eval_file)):
            raise ValueError("a file without a name: is there a comma too many?")

    def own_values(self, *names: str) -> dict[str, Any]:
        """Returns the fields among `names` that the phase sets itself."""
        values = {name: getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if value is not None}


def parse_phases(text: str, needs_files: bool = True) -> tuple[Phase, ...]:
    """Returns the phases that `--phases` names.

    Args:
        text: `seq128:900000:FILES,seq512:100000:FILES`, or the name of a .json file. FILES may be
            several, separated by commas. `seq512pred80` sets how many tokens are masked at most.
        needs_files: whether each phase must name its records.

    Raises:
        ValueError: naming the part that is not understood, and the form that is.
    """
    if text.endswith(".json") and not _PHASE.fullmatch(text):
        items = read_json(text)
        if not isinstance(items, list) or not items:
            raise ValueError(f"{text}: it must hold a list of phases, each an object.")
        places = [f"{text}, phase {number}" for number in range(1, len(items) + 1)]
    else:
        parts = _BETWEEN.split(text.strip())
        items = [_item_of_text(part, needs_files) for part in parts]
        places = [f"--phases: {part!r}" for part in parts]
    return tuple(
        _make_phase(place, item, needs_files) for place, item in zip(places, items, strict=True)
    )


def parse_eval_files(patterns: tuple[str, ...]) -> dict[int | None, tuple[str, ...]]:
    """Returns the files to evaluate on by length: `seq128:FILE,FILE,seq512:FILE`.

    Those before any `seqLENGTH:` come under None.
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
    """Raises a ValueError unless the phases take `num_train_steps` steps together."""
    steps = [phase.num_steps for phase in phases]
    if sum(steps) != num_train_steps:
        raise ValueError(
            f"The steps of --phases are {' + '.join(map(str, steps))} = {sum(steps)}, which "
            f"--num_train_steps must be too, or be left out. Received: {num_train_steps}"
        )


def _item_of_text(part: str, needs_files: bool) -> dict[str, Any]:
    """seq512pred80:100000:FILES -> the same phase as an object of the .json file."""
    match = _PHASE.fullmatch(part)
    files = (match and match[4]) or ""
    mistyped = [name for name in files.split(",") if _LIKE_A_PHASE.fullmatch(name)]
    if not match or mistyped or (needs_files and not files):
        form = _FORM if needs_files else "seqLENGTH:STEPS, as in seq128:900000"
        raise ValueError(
            f"--phases: {(mistyped or [part])[0]!r} is no phase. Each is {form}; phases are "
            "separated by commas. A name that ends in .json is a file of phases."
        )
    item = {"max_seq_length": int(match[1]), "num_steps": int(match[3])}
    if match[2] is not None:
        item["max_predictions_per_seq"] = int(match[2])
    return {**item, "input_file": files} if files else item


def _make_phase(place: str, item: Any, needs_files: bool) -> Phase:
    if not isinstance(item, dict):
        raise ValueError(f"{place}: a phase is an object. Received: {item!r}")
    known = [field.name for field in dataclasses.fields(Phase)]
    unknown = sorted(set(item) - set(known))
    needed = ["max_seq_length", "num_steps"] + ["input_file"] * needs_files
    missing = [name for name in needed if name not in item]
    if unknown or missing:
        what = f"{unknown[0]!r} means nothing" if unknown else f"{missing[0]!r} is needed"
        raise ValueError(f"{place}: {what}. A phase may have: {', '.join(known)}.")
    values = dict(item)
    for name in {"input_file", "eval_file"} & set(item):
        files = item[name].split(",") if isinstance(item[name], str) else item[name]
        if not isinstance(files, list) or not all(isinstance(each, str) for each in files):
            raise ValueError(
                f"{place}: {name} is a path or pattern, or a list of them. Received: {item[name]!r}"
            )
        values[name] = tuple(files)
    if needs_files and not any(values["input_file"]):
        raise ValueError(f"{place}: input_file is needed: the records to train on.")
    try:
        return Phase(**values)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error
