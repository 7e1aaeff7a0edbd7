"""Writes predicted classes and numbers.

    test_results.tsv         0.0218   0.9782                     the original release's file
    predictions.jsonl        {"id": "test-1", "label": "1", "probabilities": {"0": 0.0218, ...}}
    submission/MRPC.tsv      0   1                               for a benchmark's server

The file names of other splits than `predict` say which: `test_results_mismatched.tsv`.

Source: google-research/bert, run_classifier.py; https://gluebenchmark.com/faq.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bert_tf import files
from bert_tf.tasks.text_examples import TextAnswer, TextExample


def write_predictions(
    split: str,
    examples: Sequence[TextExample],
    answers: Sequence[TextAnswer],
    labels: Sequence[str],
    submissions: Mapping[str, str],
    folder: str,
) -> list[str]:
    """Writes the files of a split, and returns their paths.

    Args:
        labels: () for a regression.
        submissions: the name of the submission file for each split that has one.
    """
    suffix = split.removeprefix("predict").removeprefix("_")
    suffix = f"_{suffix}" if suffix else ""
    records = [_as_json(*pair, labels) for pair in zip(examples, answers, strict=True)]
    contents = {
        f"test_results{suffix}.tsv": list(map(_results_line, answers)),
        f"predictions{suffix}.jsonl": [json.dumps(each, ensure_ascii=False) for each in records],
    }
    if split in submissions:
        lines = [f"{index}\t{_submitted(answer)}" for index, answer in enumerate(answers)]
        contents[f"submission/{submissions[split]}"] = ["index\tprediction", *lines]
        files.make_directories(files.join_path(folder, "submission"))
    files.make_directories(folder)
    paths = [files.join_path(folder, name) for name in contents]
    for path, lines in zip(paths, contents.values(), strict=True):
        with files.atomic_write(path, "w") as file:
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


def _submitted(answer: TextAnswer) -> str:
    """The class, or a number from 0 to 5 (STS-B, the only regression) with three decimals."""
    if isinstance(answer.label, str):
        return answer.label
    return f"{round(min(max(answer.label, 0.0), 5.0), 3) + 0.0:.3f}"  # + 0.0 turns -0.0 into 0.0.
