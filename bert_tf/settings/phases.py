"""Parses the phases of a pre-training run: sequence length, number of steps and records of each.

The paper's run has 128 tokens for nine tenths of its steps, which is cheap, then 512, to train the
positions beyond 128 too:

    seq128:900000:records_128/*.tfrecord,seq512:100000:records_512/*.tfrecord

or, where a phase has more settings of its own, a file whose name ends in .json:

    [{"max_seq_length": 128, "num_steps": 7506, "input_file": "records_128/*.tfrecord",
      "train_batch_size": 61440, "learning_rate": 6e-3, "num_warmup_steps": 2133},
     {"max_seq_length": 512, "max_predictions_per_seq": 80, "num_steps": 1668, ...}]
"""

import dataclasses
import re
from typing import Any

from bert_tf.config import read_json
from bert_tf.settings.setting import Settings, setting

_PHASE = re.compile(
    r"(?s)seq(?P<max_seq_length>[0-9]+)(?:pred(?P<max_predictions_per_seq>[0-9]+))?"
    r":(?P<num_steps>[0-9]+)(?::(?P<input_file>.*))?"
)
# A mistyped phase among a phase's files, such as sec512:100000:FILES.
_LIKE_A_PHASE = re.compile(r"\w*:\d+:.*", re.DOTALL)
# Where the next phase begins; the names of files may have commas.
_BETWEEN = re.compile(r",\s*(?=seq\d+(?:pred\d+)?:)")


@dataclasses.dataclass(frozen=True)
class Phase(Settings):
    """Describes a part of a run with one sequence length; None means the run's flag."""

    max_seq_length: int = setting(0, "Tokens in an example, as the records have them.", at_least=1)
    num_steps: int = setting(0, "Number of steps.", at_least=1)
    input_file: tuple[str, ...] = setting((), "TFRecord files to train on: paths or patterns.")
    eval_file: tuple[str, ...] = setting((), "TFRecord files to evaluate on.")
    max_predictions_per_seq: int | None = setting(None, "Masked tokens in an example at most.")
    train_batch_size: int | None = setting(None, "Examples in a step.", at_least=1)
    gradient_accumulation_steps: int | None = setting(None, "Parts of a batch.", at_least=1)
    learning_rate: float | None = setting(None, "Peak of its own schedule.", interval="[0, inf)")
    num_warmup_steps: int | None = setting(None, "Warm-up of its own schedule.", at_least=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        predictions = self.max_predictions_per_seq
        if predictions is not None and not 1 <= predictions <= self.max_seq_length:
            raise ValueError(
                f"from 1 to {self.max_seq_length} of {self.max_seq_length} tokens can be masked. "
                f"Received: seq{self.max_seq_length}pred{predictions}"
            )
        if not all((*self.input_file, *self.eval_file)):
            raise ValueError("a file without a name: is there a comma too many?")


def parse_phases(text: str) -> tuple[Phase, ...]:
    """Parses the value of `--phases`; see the top of this file.

    `seq512pred80` sets `max_predictions_per_seq` too. Planning needs no files.

    Raises a ValueError for an invalid phase.
    """
    is_file = text.endswith(".json") and not _PHASE.fullmatch(text)
    items = read_json(text) if is_file else _BETWEEN.split(text.strip())
    if not isinstance(items, list) or not items:
        raise ValueError(f"{text}: it must hold a list of phases, each an object.")
    phases = []
    for number, item in enumerate(items, start=1):
        try:
            phases.append(_make_phase(item if is_file else _parse_text(item)))
        except ValueError as error:
            place = f"{text}, phase {number}" if is_file else f"--phases: {item!r}"
            raise ValueError(f"{place}: {error}") from error
    return tuple(phases)


def parse_eval_files(patterns: tuple[str, ...]) -> dict[int | None, tuple[str, ...]]:
    """Returns the evaluation files by sequence length: `seq128:FILE,FILE,seq512:FILE`.

    Files before any `seqLENGTH:` are for all lengths, under None.
    """
    by_length: dict[int | None, tuple[str, ...]] = {}
    length = None
    for pattern in patterns:
        if match := re.fullmatch(r"seq(\d+):(.*)", pattern, re.DOTALL):
            length, pattern = int(match[1]), match[2]
        by_length[length] = (*by_length.get(length, ()), pattern)
    return by_length


def check_sum_of_steps(phases: tuple[Phase, ...], num_train_steps: int) -> None:
    """Raises a ValueError unless the phases have `num_train_steps` steps in total."""
    steps = [phase.num_steps for phase in phases]
    if sum(steps) != num_train_steps:
        raise ValueError(
            f"The steps of --phases are {' + '.join(map(str, steps))} = {sum(steps)}, which "
            f"--num_train_steps must be too, or be left out. Received: {num_train_steps}"
        )


def _make_phase(item: Any) -> Phase:
    if not isinstance(item, dict):
        raise ValueError(f"a phase is an object. Received: {item!r}")
    known = [field.name for field in dataclasses.fields(Phase)]
    unknown = sorted(set(item) - set(known))
    if unknown:
        raise ValueError(f"{unknown[0]!r} is unknown. A phase may have: {', '.join(known)}.")
    values = dict(item)
    for name in {"input_file", "eval_file"} & set(values):
        given = values[name]
        files = given.split(",") if isinstance(given, str) else given
        if not isinstance(files, list) or not all(isinstance(each, str) for each in files):
            raise ValueError(f"{name} is a path or pattern, or a list of them. Received: {given!r}")
        values[name] = tuple(files)
    return Phase(**values)


def _parse_text(text: str) -> dict[str, Any]:
    match = _PHASE.fullmatch(text)
    if not match or any(map(_LIKE_A_PHASE.fullmatch, (match["input_file"] or "").split(","))):
        raise ValueError(
            "a phase is seqLENGTH:STEPS:FILES, as in seq128:900000:records_128/*.tfrecord, or in "
            "a plan seqLENGTH:STEPS. Phases are separated by commas; a name that ends in .json is "
            "a file of phases."
        )
    given = {name: value for name, value in match.groupdict().items() if value}
    return {name: value if name == "input_file" else int(value) for name, value in given.items()}
