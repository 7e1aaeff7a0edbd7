"""Writes predicted classes and numbers.

    test_results.tsv         0.0218   0.9782                     the original release's file
    predictions.jsonl        {"id": "test-1", "label": "1", "probabilities": {"0": 0.0218, ...}}
    submission/MRPC.tsv      0   1                               for a benchmark's server

Source: google-research/bert, run_classifier.py; https://gluebenchmark.com/faq.
"""

import dataclasses
import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from bert_tf import files
from bert_tf.tasks.text_examples import TextAnswer, TextExample


@dataclasses.dataclass(frozen=True)
class Submission:
    """The files that a benchmark's server expects, in `<folder>/submission/`.

        index   prediction
        0       entailment

    Args:
        names: pairs of a split and its file's name.
        lowest, highest: numbers are clipped to this range.
    """

    names: tuple[tuple[str, str], ...]
    lowest: float = -math.inf
    highest: float = math.inf

    def word(self, answer: TextAnswer) -> str:
        """An answer as the server expects it: the class, or a number with three decimals."""
        if isinstance(answer.label, str):
            return answer.label
        number = min(max(answer.label, self.lowest), self.highest)
        return f"{round(number, 3) + 0.0:.3f}"  # + 0.0 turns -0.0 into 0.0.


def write_predictions(
    split: str,
    examples: Sequence[TextExample],
    answers: Sequence[TextAnswer],
    labels: Sequence[str],
    submission: Submission | None,
    folder: str,
) -> list[str]:
    """Writes `test_results.tsv`, `predictions.jsonl` and the submission file, if there is one.

    `test_results.tsv` is the original's: a line per example with its tab-separated probabilities in
    the order of the labels (for a regression, the number), without a header. The file names of
    other splits than `predict` say which: `test_results_mismatched.tsv`.

    Returns: the paths.
    """
    suffix = split.removeprefix("predict").removeprefix("_")
    suffix = f"_{suffix}" if suffix else ""
    pairs = list(zip(examples, answers, strict=True))
    contents: dict[str, Iterable[str]] = {
        f"test_results{suffix}.tsv": map(_results_line, answers),
        f"predictions{suffix}.jsonl": (
            json.dumps(_as_json(*pair, labels), ensure_ascii=False) for pair in pairs
        ),
    }
    name = dict(submission.names).get(split) if submission else None
    if name:
        words = (f"{index}\t{submission.word(answer)}" for index, answer in enumerate(answers))
        contents[files.join_path("submission", name)] = ["index\tprediction", *words]
        files.make_directories(files.join_path(folder, "submission"))
    files.make_directories(folder)
    paths = []
    for name, lines in contents.items():
        paths.append(files.join_path(folder, name))
        with files.atomic_write(paths[-1], "w") as file:
            file.write("".join(f"{line}\n" for line in lines))
    return paths


def _results_line(answer: TextAnswer) -> str:
    """As the original writes it: `str` of float32, which has at most nine digits."""
    return "\t".join(map(str, answer.probabilities or (np.float32(answer.label),)))


def _as_json(example: TextExample, answer: TextAnswer, labels: Sequence[str]) -> dict[str, Any]:
    if not labels:
        return {"id": example.guid, "label": _short(answer.label)}
    probabilities = dict(zip(labels, map(_short, answer.probabilities), strict=True))
    return {"id": example.guid, "label": answer.label, "probabilities": probabilities}


def _short(number: float) -> float:
    """The number with as many digits as float32 has."""
    return float(str(np.float32(number)))
