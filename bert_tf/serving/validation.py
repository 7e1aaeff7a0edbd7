"""Validates a SavedModel in a process where the package is not installed, and times it.

texts ──> SavedModel, loaded by TensorFlow and TensorFlow Text alone ──> outputs ──┐
  └─────> TextModel, with the reference tokenizer ─────────────────────> answers ──┴─> equal?
"""

import dataclasses
import pickle
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from bert_tf.kinds.length_runner import IDS, by_row
from bert_tf.kinds.table import find_kind
from bert_tf.kinds.text_model import TextModel, largest_difference
from bert_tf.serving import standalone_program

_SENTENCE = b"The leader of the expedition was John Smith (1895-1943), who had been to sea before. "
_NOT_UTF8 = b"caf\xc3\xa9 \xff\xfe broken \xe4\xb8 end \xed\xa0\x80."
_TEXTS = (
    b"",
    b" \n",
    b"A text.",
    _SENTENCE,
    "naïve café, ΟΔΥΣΣΕΎΣ ﬁnds 東京タワー and हिन्दी\u200b — \u202fÅngström’s İstanbul".encode(),
    b"[MASK] " + _SENTENCE,
    "[MASK] [CLS] ##ing \x00 \ufffd ".encode() + b"x" * 250,
    _NOT_UTF8,
    (_SENTENCE * 120)[:10_000],
)
# First texts of pairs.
_FIRST_TEXTS = (b"Who was the leader?", b"", _NOT_UTF8, b"when " * 100)
_BATCH_SIZES = (1, 2, 3, 7, 32, 64)
# Of probabilities, and of other numbers relative to the largest.
TOLERANCE = 1e-4
HALF_TOLERANCE = 2e-2
_NUM_TIMED_CALLS = 20
_THROUGHPUT_BATCH = 32

Example = tuple[bytes | list[bytes], ...]


@dataclasses.dataclass(frozen=True)
class ValidationReport:
    num_calls: int
    num_examples: int
    largest_difference: float  # Between the SavedModel's and Python's numbers.
    latency_ms: float  # Median for one short text, in milliseconds.
    texts_per_second: float  # In batches of 32.

    def __str__(self) -> str:
        return (
            f"{self.num_examples} examples in {self.num_calls} calls answered as by Python, to "
            f"{self.largest_difference:.1e}; {self.latency_ms:.1f} ms for one short text, "
            f"{self.texts_per_second:.0f} texts/s in batches of {_THROUGHPUT_BATCH}"
        )


def validate(folder: str, text_model: TextModel, tolerance: float) -> ValidationReport:
    """Compares the SavedModel in `folder` with the model that was exported.

    Raises a ValueError if an answer differs by more than `tolerance`, or the SavedModel fails.
    """
    inputs = text_model.loaded.inputs
    lists = [name in find_kind(text_model.loaded.kind).list_inputs for name in inputs]
    sample = text_model.sample
    batches = [
        [sample(_example(texts, lists)) for texts in batch] for batch in _batches(len(inputs))
    ]
    short = sample(_example([_SENTENCE] * len(inputs), lists))
    timed = [([short], _NUM_TIMED_CALLS), ([short] * _THROUGHPUT_BATCH, 3)]
    calls = [*((batch, 1) for batch in batches), *timed]
    answers = _ask(folder, [(_columns(inputs, batch), count) for batch, count in calls])
    return _report(
        [len(batch) for batch in batches],
        answers,
        [
            _difference(text_model, batch, outputs, tolerance)
            for batch, (outputs, _) in zip(batches, answers, strict=False)
        ],
    )


def validate_ids(folder: str, text_model: TextModel, tolerance: float) -> ValidationReport:
    """Compares the outputs for ids of the SavedModel in `folder` with those of Python.

    Raises as `validate` does. Words are not compared, as a tie may go either way.
    """
    batches = [_ids_of(text_model, [texts[-1] for texts in batch]) for batch in _batches(1)]
    short = _ids_of(text_model, [_SENTENCE])
    many = {name: np.repeat(rows, _THROUGHPUT_BATCH, axis=0) for name, rows in short.items()}
    timed = [(short, _NUM_TIMED_CALLS), (many, 3)]
    answers = _ask(folder, [*((batch, 1) for batch in batches), *timed])
    differences = []
    for batch, (outputs, _) in zip(batches, answers, strict=False):
        tensors = {name: tf.constant(rows) for name, rows in batch.items()}
        for name, value in text_model.of_ids(tensors).items():
            if value.dtype.is_floating:
                differences.append(largest_difference(value.numpy(), outputs[name]))
                if not differences[-1] <= tolerance:  # True for NaN, too.
                    raise ValueError(
                        f"The SavedModel's {name} of ids differ from Python's by "
                        f"{differences[-1]:.1e}. Allowed: {tolerance}"
                    )
    return _report([len(batch["input_ids"]) for batch in batches], answers, differences)


def _ids_of(text_model: TextModel, texts: Sequence[bytes]) -> dict[str, np.ndarray]:
    """Returns `IDS` of each text before a sentence, int32 [N, L]; [N, 1, L] for choices."""
    loaded = text_model.loaded
    pairs = [*map(_decoded, texts)], [_decoded(_SENTENCE)] * len(texts)
    batch = loaded.tokenizer(*pairs, max_length=loaded.max_seq_length)
    batch["input_ids"][:, 1] = text_model.special.mask  # For a masked LM to fill in.
    has_choices = find_kind(loaded.kind).ids_rank == 3
    return {name: batch[name][:, np.newaxis] if has_choices else batch[name] for name in IDS}


def _report(
    sizes: Sequence[int], answers: Sequence[tuple[Any, list[float]]], differences: Sequence[float]
) -> ValidationReport:
    """Returns the report of batches, of which the last two answers are those that were timed."""
    (_, one), (_, many) = answers[-2:]
    return ValidationReport(
        num_calls=len(sizes),
        num_examples=sum(sizes),
        largest_difference=max(differences),
        latency_ms=1000 * statistics.median(one[1:]),  # The first call prepares the graph.
        texts_per_second=_THROUGHPUT_BATCH / statistics.median(many[1:]),
    )


def _batches(num_inputs: int) -> list[list[tuple[bytes, ...]]]:
    """Returns batches of examples, each `num_inputs` texts."""
    firsts = [()] if num_inputs == 1 else [(text,) for text in _FIRST_TEXTS]
    everything = [(*first, text) for text in _TEXTS for first in firsts]
    short = [texts for texts in everything if len(texts[-1]) < 1000]
    mixed = [[short[i % len(short)] for i in range(size)] for size in _BATCH_SIZES]
    return [everything, *mixed]


def _example(texts: Sequence[bytes], lists: Sequence[bool]) -> Example:
    both = zip(texts, lists, strict=True)
    return tuple([text, b"", _SENTENCE] if is_list else text for text, is_list in both)


def _columns(inputs: Sequence[str], examples: Sequence[Example]) -> dict[str, list]:
    return dict(zip(inputs, map(list, zip(*examples, strict=True)), strict=True))


def _ask(
    folder: str, requests: Sequence[tuple[dict[str, Any], int]]
) -> list[tuple[dict[str, np.ndarray], list[float]]]:
    """Returns outputs and times of a process that has only the SavedModel.

    A request is a pair of inputs and the number of calls.
    """
    program = Path(standalone_program.__file__).read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as place:
        paths = [Path(place, name) for name in ("requests.pickle", "answers.pickle")]
        paths[0].write_bytes(pickle.dumps(list(requests)))
        # A file would be able to import the modules beside it.
        command = [sys.executable, "-c", program, Path(folder).absolute(), *paths]
        run = subprocess.run(command, capture_output=True, text=True, cwd=place, check=False)
        if run.returncode:
            raise ValueError(
                f"{folder}: the SavedModel cannot be used in a process without this package:\n"
                f"{run.stderr[-2000:]}"
            )
        return pickle.loads(paths[1].read_bytes())


def _difference(text_model: TextModel, examples: list[Example], outputs, tolerance) -> float:
    """Returns the largest difference between the outputs of a call and Python's answers."""
    both = zip(map(_decoded, examples), by_row(outputs), strict=True)
    rows = [(texts, row) for texts, row in both if text_model.is_answerable(texts)]
    expected = text_model.predict([texts for texts, _ in rows])
    largest = 0.0
    for (texts, row), answer in zip(rows, expected, strict=True):
        actual = text_model.answer_of(texts, row)
        difference = text_model.difference(answer, actual)
        if not difference <= tolerance:  # True for NaN, too.
            raise ValueError(
                f"The SavedModel's answer is not Python's for {texts!r:.300}: {actual}, "
                f"not {answer}"
            )
        largest = max(largest, difference)
    return largest


def _decoded(texts: Any) -> Any:
    """Decodes texts and nested lists, without bytes that are not UTF-8."""
    if isinstance(texts, bytes):
        return texts.decode("utf-8", "ignore")
    return type(texts)(map(_decoded, texts))
