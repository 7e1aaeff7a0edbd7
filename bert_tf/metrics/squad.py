"""The official metrics of SQuAD 1.1 and 2.0, in percent.

    exact    the answer equals a correct one, up to case, punctuation, articles and spaces
    f1       the word overlap with the most similar correct answer

The two official scripts differ in some details; each is reproduced to the last digit:

    version                 1.1                       2.0
    an answer without words F1 is 0 against anything  F1 is 1 if both have none, or else 0
    correct answers         all that the file has     those with words; "" if there are none
    a repeated id           counts twice              counts once

Source: rajpurkar.github.io/SQuAD-explorer, evaluate-v1.1.py and evaluate-v2.0.py.
"""

import logging
import re
import string
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

logger = logging.getLogger(__name__)

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def evaluate(
    articles: Sequence[Mapping[str, Any]],
    predictions: Mapping[str, str],
    null_odds: Mapping[str, float] | None = None,
    na_prob_thresh: float = 1.0,
) -> dict[str, float]:
    """Computes the metrics of the official script for the version of the data.

    Data are of version 2.0 if a question has `is_impossible` or no correct answer. With null odds
    2.0's metrics are computed in any case.

    Args:
        articles: the list `data` of a SQuAD file: dicts with `paragraphs`, these with `qas`, and
            these with `id`, `answers` (dicts with `text`) and, in 2.0, `is_impossible`.
        predictions: by question id, the answer's text, "" for none. A missing one scores 0.
        null_odds: by question id, how likely the question has no answer, on any scale.
        na_prob_thresh: null odds above this turn an answer into "", as the official script's
            `--na-prob-thresh`. Only used with null odds.

    Returns:
        `exact_match` and the same number as `exact`; `f1`; `total`, the number of questions.
        For 2.0 also `HasAns_exact`, `HasAns_f1`, `HasAns_total` of questions with an answer and
        `NoAns_...` of those without, if there are any; and with null odds `best_exact` and
        `best_f1`, which the thresholds `best_exact_thresh` and `best_f1_thresh` would give.

    Raises:
        ValueError: if there is no question, `answers` or `id` is missing, or a prediction has no
            null odds.
    """
    questions = list(_questions(articles))
    if not questions:
        raise ValueError("There are no questions to evaluate.")
    missing = [question["id"] for question in questions if question["id"] not in predictions]
    if missing:
        logger.warning(
            "%d of %d questions have no prediction and score 0: %s%s",
            *(len(missing), len(questions), ", ".join(map(str, missing[:3]))),
            ", ..." if len(missing) > 3 else "",
        )
    is_version_2 = any("is_impossible" in qa or not qa["answers"] for qa in questions)
    if is_version_2 or null_odds is not None:
        return _evaluate_version_2(questions, predictions, null_odds, na_prob_thresh)
    return _evaluate_version_1(questions, predictions)


def normalize_answer(text: str) -> str:
    """Lower-cases, and removes ASCII punctuation, articles and repeated spaces.

    normalize_answer("The  Beatles' song!")    # "beatles song"
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def _questions(articles: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for number, article in enumerate(articles):
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                absent = {"id", "answers"} - set(question)
                if absent:
                    raise ValueError(
                        f"Question {question.get('id', '?')} of article {number} has no "
                        f"{' and no '.join(sorted(absent))}, which scoring needs."
                    )
                yield question


def _evaluate_version_1(
    questions: Sequence[Mapping[str, Any]], predictions: Mapping[str, str]
) -> dict[str, float]:
    exact: list[float] = []
    f1: list[float] = []
    for question in questions:
        if question["id"] in predictions:
            prediction = predictions[question["id"]]
            correct = [answer["text"] for answer in question["answers"]]
            exact.append(max(_exact(answer, prediction) for answer in correct))
            f1.append(max(_f1(answer, prediction, if_no_words=_never) for answer in correct))
    return _metrics(exact, f1, len(questions))


def _evaluate_version_2(
    questions: Sequence[Mapping[str, Any]],
    predictions: Mapping[str, str],
    null_odds: Mapping[str, float] | None,
    na_prob_thresh: float,
) -> dict[str, float]:
    answerable = {question["id"]: bool(question["answers"]) for question in questions}
    raw_exact: dict[str, float] = {}
    raw_f1: dict[str, float] = {}
    for question in questions:
        name = question["id"]
        if name in predictions:
            correct = [a["text"] for a in question["answers"] if normalize_answer(a["text"])]
            pairs = [(answer, predictions[name]) for answer in correct or [""]]
            raw_exact[name] = max(_exact(*pair) for pair in pairs)
            raw_f1[name] = max(_f1(*pair, if_no_words=_are_equal) for pair in pairs)
    exact, f1 = raw_exact, raw_f1
    if null_odds is not None:
        absent = [name for name in raw_exact if name not in null_odds]
        if absent:
            raise ValueError(f"{len(absent)} predictions have no null odds, as of {absent[0]!r}.")
        is_null = {name for name in raw_exact if null_odds[name] > na_prob_thresh}
        exact, f1 = (
            {name: float(not answerable[name]) if name in is_null else s for name, s in raw.items()}
            for raw in (raw_exact, raw_f1)
        )
    metrics = _metrics(exact.values(), f1.values(), len(answerable))
    for prefix, wanted in (("HasAns", True), ("NoAns", False)):
        names = [name for name, has_answer in answerable.items() if has_answer == wanted]
        if names:
            part = _metrics(*([s.get(n, 0.0) for n in names] for s in (exact, f1)), len(names))
            metrics |= {f"{prefix}_{key}": part[key] for key in ("exact", "f1", "total")}
    if null_odds is not None:
        for key, raw in (("exact", raw_exact), ("f1", raw_f1)):
            best, threshold = _best_threshold(raw, predictions, null_odds, answerable)
            metrics |= {f"best_{key}": best, f"best_{key}_thresh": threshold}
    return metrics


def _metrics(exact: Iterable[float], f1: Iterable[float], total: int) -> dict[str, float]:
    exact_match = 100.0 * sum(exact) / total
    return {
        "exact_match": exact_match,
        "exact": exact_match,
        "f1": 100.0 * sum(f1) / total,
        "total": total,
    }


def _best_threshold(
    scores: Mapping[str, float],
    predictions: Mapping[str, str],
    null_odds: Mapping[str, float],
    answerable: Mapping[str, bool],
) -> tuple[float, float]:
    """The best score in percent that a threshold of the null odds gives, and the threshold.

    At first all answers are "", which is correct for questions without an answer. Then answers are
    added one by one, those with the lowest null odds first.
    """
    score: float = sum(1 for name in scores if not answerable[name])
    best_score, best_threshold = score, 0.0
    for name in sorted(null_odds, key=lambda name: null_odds[name]):
        if name not in scores:
            continue
        if answerable[name]:
            score += scores[name]
        elif predictions[name]:
            score -= 1
        if score > best_score:
            best_score, best_threshold = score, null_odds[name]
    return 100.0 * best_score / len(answerable), best_threshold


def _exact(answer: str, prediction: str) -> float:
    return float(normalize_answer(answer) == normalize_answer(prediction))


def _f1(answer: str, prediction: str, if_no_words: Callable[[list[str], list[str]], bool]) -> float:
    """The F1 of the words that both texts have."""
    answer_words = normalize_answer(answer).split()
    predicted_words = normalize_answer(prediction).split()
    if not answer_words or not predicted_words:
        return float(if_no_words(answer_words, predicted_words))
    num_shared = sum((Counter(answer_words) & Counter(predicted_words)).values())
    if not num_shared:
        return 0.0
    precision = 1.0 * num_shared / len(predicted_words)
    recall = 1.0 * num_shared / len(answer_words)
    return (2 * precision * recall) / (precision + recall)


def _never(_a: list[str], _b: list[str]) -> bool:
    return False


def _are_equal(words_a: list[str], words_b: list[str]) -> bool:
    return words_a == words_b
