"""The files that predicted classes and numbers are written to.

    test_results.tsv         0.0218   0.9782                     the original release's
    predictions.jsonl        {"id": "test-1", "label": "1", "probabilities": {"0": 0.0218, ...}}
    submission/MRPC.tsv      0   1                               what a benchmark's server wants

Source: google-research/bert, run_classifier.py; https://gluebenchmark.com/faq.
"""

import dataclasses
import itertools
import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from bert_tf import files
from bert_tf.tasks.text_examples import TextAnswer, TextExample


@dataclasses.dataclass(frozen=True)
class Submission:
    """The files that a benchmark's server wants, in `<folder>/submission/`.

        index   prediction
        0       entailment

    Args:
        names: pairs of a split and its file's name.
        lowest, highest: numbers beyond these are moved to them.
    """

    names: tuple[tuple[str, str], ...]
    lowest: float = -math.inf
    highest: float = math.inf

    def name(self, split: str) -> str | None:
        """The name of the file for a split, if there is one."""
        return dict(self.names).get(split)

    def word(self, answer: TextAnswer) -> str:
        """An answer as the server wants it: the class, or a number with three decimals."""
        if isinstance(answer.label, str):
            return answer.label
        number = min(max(answer.label, self.lowest), self.highest)
        return f"{round(number, 3) + 0.0:.3f}"  # + 0.0: nothing is -0.000.


def write_predictions(
    split: str,
    examples: Sequence[TextExample],
    answers: Sequence[TextAnswer],
    labels: Sequence[str],
    submission: Submission | None,
    folder: str,
) -> list[str]:
    """Writes `test_results.tsv`, `predictions.jsonl` and, if there is one, the submission's file.

    `test_results.tsv` is the original's: a line an example, in their order, of probabilities in the
    order of the labels, with tabs between them; no header. A regression's numbers stand there
    alone. The names of what is not the split `predict` tell which: `test_results_mismatched.tsv`.

    Returns: the paths.
    """
    files.make_directories(folder)
    suffix = split.removeprefix("predict").removeprefix("_")
    suffix = f"_{suffix}" if suffix else ""
    rows = (
        json.dumps(_as_json(example, answer, labels), ensure_ascii=False)
        for example, answer in zip(examples, answers, strict=True)
    )
    paths = [
        _write_lines(
            files.join_path(folder, f"test_results{suffix}.tsv"), map(_results_line, answers)
        ),
        _write_lines(files.join_path(folder, f"predictions{suffix}.jsonl"), rows),
    ]
    name = submission.name(split) if submission else None
    if name:
        submission_folder = files.join_path(folder, "submission")
        files.make_directories(submission_folder)
        lines = (f"{index}\t{submission.word(answer)}" for index, answer in enumerate(answers))
        path = files.join_path(submission_folder, name)
        paths.append(_write_lines(path, itertools.chain(["index\tprediction"], lines)))
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
    """With as many digits as float32 has."""
    return float(str(np.float32(number)))


def _write_lines(path: str, lines: Iterable[str]) -> str:
    with files.atomic_write(path, "w") as file:
        file.write("".join(f"{line}\n" for line in lines))
    return path
