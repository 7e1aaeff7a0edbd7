"""Compares a SavedModel with Python's answers, in a process where the package is not installed.

    texts ──> SavedModel, loaded by TensorFlow and TensorFlow Text alone ──> outputs ──┐
      └─────> ModelPredictor, with the reference tokenizer ──────────────> answers ────┴─> equal?

The texts: none at all, 10,000 characters, bytes that are not UTF-8, many scripts; one text up to 64
of different lengths in a call. Then one text is asked about again and again, and 32: how long it
takes.
"""

import base64
import dataclasses
import json
import logging
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bert_tf.inference.model_predictor import ModelPredictor
from bert_tf.kinds.mask_filler import MASK
from bert_tf.kinds.table import find_kind
from bert_tf.serving import standalone_check

logger = logging.getLogger(__name__)

_SENTENCE = "The leader of the expedition was John Smith (1895-1943), who had been to sea before. "
_TEXTS = (
    "",
    " \n",
    "A text.",
    _SENTENCE,
    "naïve café, ΟΔΥΣΣΕΎΣ ﬁnds 東京タワー and हिन्दी\u200b — \u202fÅngström’s İstanbul",
    "[MASK] [CLS] ##ing \x00 \ufffd " + "x" * 250,
)
_NOT_UTF8 = b"caf\xc3\xa9 \xff\xfe broken \xe4\xb8 end \xed\xa0\x80."
_LONG = (_SENTENCE * 120)[:10_000]
_BATCH_SIZES = (1, 2, 3, 7, 32, 64)
# Differences of probabilities, and of numbers relative to the largest one.
TOLERANCE = 1e-4
HALF_TOLERANCE = 2e-2
_TIMES = 20
_THROUGHPUT_BATCH = 32

Example = tuple[bytes | list[bytes], ...]


@dataclasses.dataclass(frozen=True)
class ValidationReport:
    """What a validation found.

    num_calls, num_examples: how much was asked.
    largest_difference: between probabilities or numbers of the SavedModel and Python.
    latency_ms: the median of a call with one short text, in milliseconds.
    texts_per_second: in calls of 32 of them.
    """

    num_calls: int
    num_examples: int
    largest_difference: float
    latency_ms: float
    texts_per_second: float

    def __str__(self) -> str:
        return (
            f"{self.num_examples} examples in {self.num_calls} calls answered as by Python, to "
            f"{self.largest_difference:.1e}; {self.latency_ms:.1f} ms for one short text, "
            f"{self.texts_per_second:.0f} texts/s in batches of {_THROUGHPUT_BATCH}"
        )


def validate(folder: str, predictor: ModelPredictor, tolerance: float) -> ValidationReport:
    """Compares the SavedModel in `folder` with the model that it was made from.

    Args:
        folder: the SavedModel.
        predictor: the model, asked in Python.
        tolerance: how far probabilities, and numbers relative to the largest, may be apart.

    Raises:
        ValueError: if an answer differs, with the text; or if the SavedModel cannot be loaded or
            asked, with what that process said.
    """
    inputs = predictor.inputs
    list_inputs = find_kind(predictor.kind).list_inputs
    calls = _calls(inputs, list_inputs)
    requests = [_request(examples, inputs) for examples in calls]
    sentence = _SENTENCE.encode()
    short = [tuple([sentence] * 2 if name in list_inputs else sentence for name in inputs)]
    timed = [
        {**_request(short * size, inputs), "times": _TIMES if size == 1 else 3}
        for size in (1, _THROUGHPUT_BATCH)
    ]
    answers = _ask(folder, [*requests, *timed])
    largest = 0.0
    for examples, answer in zip(calls, answers, strict=False):
        outputs = {name: decoded(value) for name, value in answer["outputs"].items()}
        largest = max(largest, _compare(predictor, examples, outputs, tolerance))
    one, many = (answer["seconds"] for answer in answers[len(calls) :])
    return ValidationReport(
        num_calls=len(calls),
        num_examples=sum(map(len, calls)),
        largest_difference=largest,
        latency_ms=1000 * statistics.median(one[1:]),  # The first call prepares the graph.
        texts_per_second=_THROUGHPUT_BATCH / statistics.median(many[1:]),
    )


def _calls(inputs: Sequence[str], list_inputs: Sequence[str]) -> list[list[Example]]:
    """Returns batches of examples, each a tuple with a text for every input."""
    if list_inputs:
        return [
            [
                tuple(
                    [t, b"", _SENTENCE.encode()] if name in list_inputs else t
                    for name, t in zip(inputs, texts, strict=True)
                )
                for texts in batch
            ]
            for batch in _pairs()
        ]
    texts = [text.encode("utf-8") for text in _TEXTS] + [_NOT_UTF8]
    if inputs == ("question", "context"):
        questions = [b"Who was the leader?", b"", _NOT_UTF8, b"when " * 100]
        pairs = [(question, text) for text in [*texts, _LONG.encode()] for question in questions]
        batches = [pairs, [pairs[0]], [(questions[0], _LONG.encode())]]
        return batches + [_mixed(pairs, size) for size in _BATCH_SIZES]
    if len(inputs) == 2:
        return _pairs()
    singles = [(text,) for text in [*texts, _LONG.encode(), MASK.encode() + b" " + texts[3]]]
    return [singles, *([single] for single in singles[:1])] + [
        _mixed(singles[:-2], size) for size in _BATCH_SIZES
    ]


def _pairs() -> list[list[Example]]:
    texts = [text.encode("utf-8") for text in (*_TEXTS, _LONG)] + [_NOT_UTF8]
    pairs = [(a, b) for a in texts for b in (texts[0], texts[3], texts[4], texts[6])]
    return [pairs] + [_mixed(pairs[::3], size) for size in _BATCH_SIZES]


def _mixed(examples: Sequence[Example], size: int) -> list[Example]:
    """`size` examples, the short ones of those given, again and again."""
    short = [example for example in examples if sum(map(len, example)) < 1000]
    return [short[place % len(short)] for place in range(size)]


def _request(examples: Sequence[Example], names: Sequence[str]) -> dict[str, Any]:
    columns = zip(*examples, strict=True)
    return {
        "signature": "serving_default",
        "inputs": {
            name: [_in_base64(text) for text in column]
            for name, column in zip(names, columns, strict=True)
        },
        "times": 1,
    }


def _in_base64(text: bytes | list[bytes]) -> str | list[str]:
    if isinstance(text, list):
        return [_in_base64(each) for each in text]
    return base64.b64encode(text).decode("ascii")


def _ask(folder: str, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The answers of a process that has only the SavedModel."""
    program = Path(standalone_check.__file__).read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as place:
        paths = [str(Path(place, name)) for name in ("requests.json", "answers.json")]
        Path(paths[0]).write_text(json.dumps(requests), encoding="utf-8")
        # Not as a file, beside which it would find this package's modules.
        command = [sys.executable, "-c", program, str(Path(folder).absolute()), *paths]
        run = subprocess.run(command, capture_output=True, text=True, cwd=place, check=False)
        if run.returncode:
            raise ValueError(
                f"{folder}: the SavedModel cannot be used in a process without this package:\n"
                f"{run.stderr[-2000:]}"
            )
        return json.loads(Path(paths[1]).read_text(encoding="utf-8"))


def decoded(value: Mapping[str, Any]) -> np.ndarray:
    """An array from the JSON values of `standalone_check`."""
    values = value["values"]
    if value["is_text"]:
        values = [base64.b64decode(text) for text in values]
    return np.array(values, object if value["is_text"] else None).reshape(value["shape"])


def _compare(
    predictor: ModelPredictor,
    examples: Sequence[Example],
    outputs: Mapping[str, np.ndarray],
    tolerance: float,
) -> float:
    """Returns the largest difference between the outputs of a call and Python's answers."""
    module = find_kind(predictor.kind).module
    texts = [tuple(map(_valid_text, example)) for example in examples]
    places = [place for place, text in enumerate(texts) if predictor.is_answerable(text)]
    expected = predictor.predict([texts[place] for place in places]) if places else []
    largest = 0.0
    for place, answer in zip(places, expected, strict=True):
        row = {name: value[place] for name, value in outputs.items()}
        actual = module.answer_of(texts[place], row)
        difference = module.difference(answer, actual)
        if not difference <= tolerance:  # Nor if it is not a number.
            raise ValueError(
                f"The SavedModel's answer is not Python's for {texts[place]!r:.300}: {actual}, not "
                f"{answer}"
            )
        largest = max(largest, difference)
    return largest


def _valid_text(text: bytes | list[bytes]) -> str | list[str]:
    return (
        [_valid_text(t) for t in text] if isinstance(text, list) else text.decode("utf-8", "ignore")
    )
