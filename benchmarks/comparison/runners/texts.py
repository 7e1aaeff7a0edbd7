"""The sentences that every package classifies, and how it is timed. Only Python's own library."""

import random
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

from reporting import report

# Words a sentence of SST-2 has, at every tenth of the distribution; for made-up sentences.
_LENGTHS = (5, 9, 12, 15, 18, 20, 23, 26, 31, 38)
_WORDS = ("the", "film", "is", "a", "good", "story", "of", "one", "man", "who", "never", "found")
_TYPICAL_CALLS, _MIXED_CALLS = 60, 60


def read_texts(settings: SimpleNamespace) -> list[str]:
    """Returns sentences of SST-2's development set, or made-up ones without `data_dir`."""
    path = settings.data_dir and Path(settings.data_dir) / "glue" / "SST-2" / "dev.tsv"
    if path and path.exists():
        lines = path.read_text(encoding="utf-8").splitlines()[1:]
        return [line.split("\t")[0] for line in lines][: settings.texts]
    rng = random.Random(0)
    lengths = [_LENGTHS[number % len(_LENGTHS)] for number in range(settings.texts)]
    return [" ".join(rng.choices(_WORDS, k=length)) for length in lengths]


def time_answers(
    load: Callable[[], Callable[[Sequence[str]], Sequence[float]]], settings: SimpleNamespace
) -> None:
    """Reports how long a package takes to load, to answer first, one by one, and in bulk.

    `load` returns a function from texts to the probability of the second class.
    """
    texts = read_texts(settings)
    typical = sorted(texts, key=lambda text: len(text.split()))[len(texts) // 2]
    predict = load()
    loaded = time.time()
    predict([typical])
    answered = time.time()
    report(
        load_seconds=loaded - settings.started,
        first_answer_seconds=answered - loaded,
        start_to_answer_seconds=answered - settings.started,
    )
    _report_latency("one", predict, [typical] * min(_TYPICAL_CALLS, len(texts)))
    _report_latency("mixed", predict, texts[:_MIXED_CALLS])
    rates = []
    for _ in range(settings.passes):
        start = time.perf_counter()
        probabilities = predict(texts)
        rates.append(len(texts) / (time.perf_counter() - start))
    report(first_texts_per_second=rates[0], texts_per_second=rates[-1])
    report(mean_probability=statistics.fmean(float(value) for value in probabilities))


def _report_latency(name: str, predict: Callable, texts: Sequence[str]) -> None:
    milliseconds = []
    for text in texts:
        start = time.perf_counter()
        predict([text])
        milliseconds.append(1000 * (time.perf_counter() - start))
    milliseconds.sort()
    p99 = milliseconds[min(len(texts) - 1, round(0.99 * len(texts)))]
    p50 = statistics.median(milliseconds)
    report(**{f"{name}_p50_ms": p50, f"{name}_p99_ms": p99})


def in_batches(
    predict_batch: Callable[[Sequence[str]], Sequence[float]], size: int
) -> Callable[[Sequence[str]], list[float]]:
    """Returns a function of any number of texts: batches of similar length, answers in order."""

    def predict(texts: Sequence[str]) -> list[float]:
        order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
        answers = [0.0] * len(texts)
        for start in range(0, len(texts), size):
            chosen = order[start : start + size]
            found = predict_batch([texts[number] for number in chosen])
            for number, answer in zip(chosen, found, strict=True):
                answers[number] = answer
        return answers

    return predict
