"""What runners of fine-tuning share: where the examples are, speed, and one scorer for all."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

sys.path.append(str(Path(__file__).parents[3]))  # Last, so that a peer's own packages come first.
from bert_tf.metrics import classification, squad

GROUP = 10  # Steps that are timed together.
# Hugging Face sorts the examples of so many steps by length, the longest first: only the speed of
# all of them together is the speed of training. Ours mixes long and short batches.
CYCLE = 50


def model_folder(settings: SimpleNamespace) -> Path:
    """Returns the folder of the pre-trained model, in Hugging Face's format."""
    return Path(settings.work_dir) / settings.model


def examples_folder(settings: SimpleNamespace) -> Path:
    """Returns the folder with train.jsonl and dev.jsonl."""
    sizes = f"{settings.max_train_examples}-{settings.max_dev_examples}"
    return Path(settings.work_dir) / f"{settings.task}-{sizes}"


def output_folder(settings: SimpleNamespace, package: str) -> Path:
    """Returns a folder for what is trained."""
    return Path(settings.work_dir) / "trained" / f"{settings.task}-{package}-{settings.round}"


def seed(settings: SimpleNamespace) -> int:
    """Returns the seed of a round."""
    return 1001 + settings.round


def read_lines(path: Path) -> list[dict]:
    """Returns the objects of a file of JSON lines."""
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def speed(seconds: list[float], batch_size: int) -> dict[str, float | list[float]]:
    """Returns the examples per second of the first 20 steps and of the last 50.

    Args:
        seconds: of each group of 10 steps, in order.
    """
    first, last = seconds[:2], seconds[-CYCLE // GROUP :]
    return {
        "examples_per_second": GROUP * batch_size * len(last) / sum(last),
        "first_examples_per_second": GROUP * batch_size * len(first) / sum(first),
        "seconds_of_10_steps": seconds,
    }


def scores(names: list[str], gold: list, predicted: list) -> dict[str, float]:
    """Returns metrics in percent, as `accuracy_score` and so on."""
    if "f1" in names or "matthews" in names or "accuracy" in names:
        gold, predicted = list(map(str, gold)), list(map(str, predicted))
    found = {
        "accuracy": classification.accuracy,
        "f1": lambda *values: classification.f1(*values, positive="1"),
        "matthews": classification.matthews,
        "pearson": classification.pearson,
        "spearman": classification.spearman,
    }
    return {f"{name}_score": 100 * found[name](gold, predicted) for name in names}


def read_questions(path: Path) -> list[dict]:
    """Returns the questions of a SQuAD file, each with its `context`."""
    articles = json.loads(path.read_text(encoding="utf-8"))["data"]
    return [
        {**question, "context": paragraph["context"]}
        for article in articles
        for paragraph in article["paragraphs"]
        for question in paragraph["qas"]
    ]


def squad_scores(path: Path, answers: dict[str, str]) -> dict[str, float]:
    """Returns SQuAD's official metrics of the answers to a file's questions."""
    found = squad.evaluate(json.loads(path.read_text(encoding="utf-8"))["data"], answers)
    return {"f1_score": found["f1"], "exact_score": found["exact_match"]}
