"""Holds a SavedModel to Python's answers, in a fresh process that has not this package.

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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bert_tf.inference.mask_filler import MASK
from bert_tf.inference.model_predictor import ModelPredictor
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

Example = tuple[bytes, ...]


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
    served = predictor.served
    if served.kind == "masked_lm" and not served.has("cls/predictions"):
        calls = [(examples, ("text_a", "text_b"), "next_sentence") for examples in _pairs()]
    else:
        calls = [
            (examples, served.inputs, "serving_default") for examples in _calls(predictor.inputs)
        ]
    requests = [_request(*call) for call in calls]
    short = [(_SENTENCE.encode(),) * len(calls[0][1])]
    timed = [
        {**_request(short * size, *calls[0][1:]), "times": _TIMES if size == 1 else 3}
        for size in (1, _THROUGHPUT_BATCH)
    ]
    answers = _ask(folder, [*requests, *timed])
    compare = _Comparison(predictor, tolerance)
    for (examples, _, signature), answer in zip(calls, answers, strict=False):
        outputs = {name: decoded(value) for name, value in answer["outputs"].items()}
        compare.call(examples, signature, outputs)
    one, many = (answer["seconds"] for answer in answers[len(calls) :])
    return ValidationReport(
        num_calls=len(calls),
        num_examples=sum(len(examples) for examples, _, _ in calls),
        largest_difference=compare.largest,
        latency_ms=1000 * statistics.median(one[1:]),  # The first call prepares the graph.
        texts_per_second=_THROUGHPUT_BATCH / statistics.median(many[1:]),
    )


def _calls(inputs: Sequence[str]) -> list[list[Example]]:
    """Batches of examples, each a tuple with a text for every input."""
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


def _request(examples: Sequence[Example], names: Sequence[str], signature: str) -> dict[str, Any]:
    columns = zip(*examples, strict=True)
    return {
        "signature": signature,
        "inputs": {
            name: [base64.b64encode(text).decode("ascii") for text in column]
            for name, column in zip(names, columns, strict=True)
        },
        "times": 1,
    }


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


class _Comparison:
    """Compares outputs with what Python says."""

    def __init__(self, predictor: ModelPredictor, tolerance: float):
        self.predictor = predictor
        self.tolerance = tolerance
        self.largest = 0.0

    def call(
        self, examples: Sequence[Example], signature: str, outputs: dict[str, np.ndarray]
    ) -> None:
        """All examples of a call."""
        texts = [tuple(text.decode("utf-8", "ignore") for text in example) for example in examples]
        compare = self._next_sentence if signature == "next_sentence" else self._by_kind()
        for text, problem in zip(texts, compare(texts, outputs), strict=True):
            if problem:
                raise ValueError(
                    f"The SavedModel's answer is not Python's for {text!r:.300}: {problem}"
                )

    def _by_kind(self) -> Callable[[list, dict], list[str]]:
        return {
            "classification": self._classes,
            "regression": self._numbers,
            "tagging": self._words,
            "span": self._answers,
            "masked_lm": self._fillings,
            "encoder": self._vectors,
        }[self.predictor.kind]

    def _is_far(self, actual, expected, scale: float = 1.0) -> bool:
        difference = float(np.max(np.abs(np.subtract(actual, expected)), initial=0.0)) / scale
        self.largest = max(self.largest, difference)
        return not difference <= self.tolerance

    def _classes(self, texts: list, outputs: dict[str, np.ndarray]) -> list[str]:
        problems = []
        for answer, label, row in zip(
            self.predictor.classify(texts), outputs["label"], outputs["probabilities"], strict=True
        ):
            far = self._is_far(row, list(answer.probabilities.values()))
            # Of classes that are as likely as each other either may be the likeliest.
            likely = answer.probabilities[label.decode("utf-8")]
            wrong = far or answer.probability - likely > self.tolerance
            problems.append(f"{row.tolist()}, not {answer}" if wrong else "")
        return problems

    def _numbers(self, texts: list, outputs: dict[str, np.ndarray]) -> list[str]:
        expected = self.predictor.rate(texts)
        scale = max(1.0, *map(abs, expected))
        return [
            f"{value}, not {number}" if self._is_far(value, number, scale) else ""
            for value, number in zip(outputs["value"], expected, strict=True)
        ]

    def _words(self, texts: list, outputs: dict[str, np.ndarray]) -> list[str]:
        problems = []
        for number, words in enumerate(self.predictor.tag([text for (text,) in texts])):
            row = {name: value[number] for name, value in outputs.items()}
            is_word = row["starts"] >= 0
            actual = [
                (word.decode("utf-8"), start, end)
                for word, start, end in zip(
                    row["words"][is_word], row["starts"][is_word], row["ends"][is_word], strict=True
                )
            ]
            expected = [(word.word, word.start, word.end) for word in words]
            far = actual != expected or self._is_far(
                row["probabilities"][is_word], [word.probability for word in words]
            )
            problems.append(f"{actual}, not {words}" if far else "")
        return problems

    def _answers(self, texts: list, outputs: dict[str, np.ndarray]) -> list[str]:
        problems = []
        for number, answer in enumerate(self.predictor.answer(texts)):
            text = outputs["answer"][number].decode("utf-8")
            likely = {entry.text: entry.probability for entry in answer.nbest}.get(text, 0.0)
            far = self._is_far(outputs["probability"][number], likely)
            # Of two that are as likely either may be the best.
            wrong = far or abs(answer.probability - likely) > self.tolerance
            problems.append(f"{text!r}, not {answer}" if wrong else "")
        return problems

    def _fillings(self, texts: list, outputs: dict[str, np.ndarray]) -> list[str]:
        problems = [""] * len(texts)
        places = [number for number, (text,) in enumerate(texts) if MASK in text]
        top_k = outputs["candidates"].shape[-1]
        filled = self.predictor.fill([texts[place][0] for place in places], top_k)
        for place, sentence in zip(places, filled, strict=True):
            expected = [[c.probability for c in mask] for mask in sentence.candidates]
            actual = outputs["probabilities"][place][: len(expected)]
            tokens = [t.decode("utf-8") for t in outputs["tokens"][place] if t]
            if tokens != list(sentence.tokens) or self._is_far(actual, expected):
                problems[place] = f"{actual.tolist()}, not {sentence}"
        return problems

    def _vectors(self, texts: list, outputs: dict[str, np.ndarray]) -> list[str]:
        pool = "tokens" if outputs["embedding"].ndim == 3 else self.predictor.pool
        problems = []
        for number, vectors in enumerate(self.predictor.embed([t for (t,) in texts], pool)):
            actual = outputs["embedding"][number]
            actual = actual[: len(vectors)] if pool == "tokens" else actual
            far = self._is_far(actual, vectors, max(1.0, float(np.abs(vectors).max())))
            problems.append("another vector" if far else "")
        return problems

    def _next_sentence(self, texts: list, outputs: dict[str, np.ndarray]) -> list[str]:
        expected = self.predictor.next_sentence(texts)
        return [
            f"{actual}, not {probability}" if self._is_far(actual, probability) else ""
            for actual, probability in zip(outputs["probability"], expected, strict=True)
        ]
