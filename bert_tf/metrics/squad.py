"""Computes the official metrics of SQuAD 1.1 and 2.0, in percent.

    exact    the answer equals a correct one, up to case, punctuation, articles and spaces
    f1       the word overlap with the most similar correct answer

The two official scripts differ in some details; each is reproduced to the last digit:

    version                 1.1                       2.0
    an answer without words F1 is 0 against anything  F1 is 1 if both have none, or else 0
    correct answers         all in the file           those with words; "" if there are none
    a repeated id           counts twice              counts once

Between words there must be spaces. In scripts without, such as Chinese or Thai, F1 is little more
than the exact match; `character_f1` then takes each character of these scripts as a word.

Source: rajpurkar.github.io/SQuAD-explorer, evaluate-v1.1.py and evaluate-v2.0.py.
"""

import functools
import logging
import re
import string
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

logger = logging.getLogger(__name__)

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")
# Thai, Lao, Tibetan, Burmese, Khmer, Tai, Javanese; Kana and ideographs.
_NO_SPACES = (
    "\u0e00-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf\ua980-\ua9df"
    "\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
    "\U00020000-\U0003ffff"
)
_LETTER_WITHOUT_SPACES = re.compile(f"[{_NO_SPACES}]")
_CHARACTERS = re.compile(f"[{_NO_SPACES}]|[^{_NO_SPACES}\\s]+")
_MAX_WITHOUT_SPACES = 0.1  # The fraction of such questions above which F1 needs a warning.


def evaluate(
    articles: Sequence[Mapping[str, Any]],
    predictions: Mapping[str, str],
    null_odds: Mapping[str, float] | None = None,
    na_prob_thresh: float = 1.0,
) -> dict[str, float]:
    """Computes the metrics of the official script for the version of the data.

    The version is 2.0 if there are null odds, or a question with `is_impossible` or no answers.

    Args:
        articles: the list `data` of a SQuAD file.
        predictions: the answers by question id, "" for none. A missing one scores 0.
        null_odds: by question id, how likely the question has no answer, on any scale.
        na_prob_thresh: null odds above this turn an answer into "".

    Returns: `exact_match` and the equal `exact`, `f1`, and `total`, the number of questions. For
        2.0 also `HasAns_exact`, ... and `NoAns_exact`, ... of questions with and without an answer;
        with null odds, `best_exact` and `best_f1` at the best thresholds, `best_exact_thresh` and
        `best_f1_thresh`. If answers are in a script without spaces, also `character_f1`.

    Raises a ValueError for no questions, a question without id or answers, and missing null odds.
    """
    questions = questions_of(articles, predictions)
    extra = _character_f1(questions, predictions)
    is_version_2 = any("is_impossible" in qa or not qa["answers"] for qa in questions)
    if is_version_2 or null_odds is not None:
        return _evaluate_version_2(questions, predictions, null_odds, na_prob_thresh) | extra
    answered = [question for question in questions if question["id"] in predictions]
    scores = [_scores(question, predictions[question["id"]]) for question in answered]
    return percentages(scores, len(questions)) | extra


def normalize_answer(text: str) -> str:
    """Lower-cases, and removes ASCII punctuation, articles and repeated spaces.

    normalize_answer("The  Beatles' song!")    # "beatles song"
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def questions_of(
    articles: Iterable[Mapping[str, Any]], predictions: Mapping[str, str]
) -> list[Mapping[str, Any]]:
    """Returns the questions, and warns of those without a prediction.

    Raises a ValueError if there are none, or one has no id or no answers.
    """
    questions = list(_questions(articles))
    if not questions:
        raise ValueError("There are no questions to evaluate.")
    missing = [question["id"] for question in questions if question["id"] not in predictions]
    if missing:
        logger.warning(
            "%d of %d questions have no prediction and score 0, such as %s",
            *(len(missing), len(questions), missing[:3]),
        )
    return questions


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


def lacks_spaces(answers: Iterable[str]) -> bool:
    """Returns whether answers are in scripts without spaces, and warns of F1 once if they are."""
    answers = list(filter(None, answers))
    num_odd = sum(map(bool, map(_LETTER_WITHOUT_SPACES.search, answers)))
    if num_odd <= _MAX_WITHOUT_SPACES * len(answers):
        return False
    _warn_of_f1(num_odd, len(answers))
    return True


@functools.lru_cache
def _warn_of_f1(num_odd: int, num_answered: int) -> None:
    logger.warning(
        "%d of %d correct answers are in a script without spaces (Chinese, Japanese, Thai, ...). "
        "f1 takes words between spaces, so it is little more than the exact match: use "
        "character_f1, where each such character is a word.",
        *(num_odd, num_answered),
    )


def _character_f1(
    questions: Sequence[Mapping[str, Any]], predictions: Mapping[str, str]
) -> dict[str, float]:
    """Returns `character_f1` if answers are in scripts without spaces."""
    if not lacks_spaces("".join(each["text"] for each in qa["answers"]) for qa in questions):
        return {}
    by_id = {question["id"]: question for question in questions}
    scores = [
        _scores(question, predictions[name], True, _CHARACTERS.findall)
        for name, question in by_id.items()
        if name in predictions
    ]
    return {"character_f1": percentages(scores, len(by_id))["f1"]}


def _evaluate_version_2(
    questions: Sequence[Mapping[str, Any]],
    predictions: Mapping[str, str],
    null_odds: Mapping[str, float] | None,
    na_prob_thresh: float,
) -> dict[str, float]:
    by_id = {question["id"]: question for question in questions}
    has_answer = {name: bool(question["answers"]) for name, question in by_id.items()}
    raw = {
        name: _scores(question, predictions[name], is_version_2=True)
        for name, question in by_id.items()
        if name in predictions
    }
    scores = dict(raw)
    if null_odds is not None:
        absent = [name for name in raw if name not in null_odds]
        if absent:
            raise ValueError(f"{len(absent)} predictions have no null odds, as of {absent[0]!r}.")
        for name in raw:
            if null_odds[name] > na_prob_thresh:
                scores[name] = (float(not has_answer[name]),) * 2
    metrics = percentages(scores.values(), len(by_id))
    for prefix, wanted in (("HasAns", True), ("NoAns", False)):
        total = list(has_answer.values()).count(wanted)
        if total:
            part = percentages(
                [s for name, s in scores.items() if has_answer[name] == wanted], total
            )
            metrics |= {f"{prefix}_{key}": part[key] for key in ("exact", "f1", "total")}
    if null_odds is not None:
        for index, key in enumerate(("exact", "f1")):
            of_key = {name: pair[index] for name, pair in raw.items()}
            best, threshold = _best_threshold(of_key, predictions, null_odds, has_answer)
            metrics |= {f"best_{key}": best, f"best_{key}_thresh": threshold}
    return metrics


def percentages(scores: Collection[tuple[float, float]], total: int) -> dict[str, float]:
    """Returns the sums of pairs of exact match and F1, in percent of `total` questions."""
    exact, f1 = (100.0 * sum(pair[index] for pair in scores) / total for index in range(2))
    return {"exact_match": exact, "exact": exact, "f1": f1, "total": total}


def _best_threshold(
    scores: Mapping[str, float],
    predictions: Mapping[str, str],
    null_odds: Mapping[str, float],
    has_answer: Mapping[str, bool],
) -> tuple[float, float]:
    """Returns the best score in percent over all thresholds of the null odds, and the threshold.

    Starts with all answers "", then adds the answers one by one, in order of their null odds.
    """
    score: float = sum(1 for name in scores if not has_answer[name])
    best_score, best_threshold = score, 0.0
    for name in sorted(null_odds, key=lambda name: null_odds[name]):
        if name not in scores:
            continue
        if has_answer[name]:
            score += scores[name]
        elif predictions[name]:
            score -= 1
        if score > best_score:
            best_score, best_threshold = score, null_odds[name]
    return 100.0 * best_score / len(has_answer), best_threshold


def _scores(
    question: Mapping[str, Any],
    prediction: str,
    is_version_2: bool = False,
    split: Callable[[str], list[str]] = str.split,
) -> tuple[float, float]:
    """Returns the best exact match and F1 with any correct answer, from 0 to 1."""
    correct = [normalize_answer(answer["text"]) for answer in question["answers"]]
    if is_version_2:
        correct = list(filter(None, correct)) or [""]
    return best_scores(correct, normalize_answer(prediction), split, is_version_2)


def best_scores(
    correct: Sequence[str],
    predicted: str,
    split: Callable[[str], list[str]] = str.split,
    is_version_2: bool = False,
) -> tuple[float, float]:
    """Returns the best exact match and F1 of an answer with any correct one, all normalized."""
    exact = max(float(answer == predicted) for answer in correct)
    return exact, max(_f1(split(answer), split(predicted), is_version_2) for answer in correct)


def _f1(answer: list[str], predicted: list[str], is_version_2: bool) -> float:
    if not answer or not predicted:
        return float(is_version_2 and answer == predicted)
    num_shared = sum((Counter(answer) & Counter(predicted)).values())
    if not num_shared:
        return 0.0
    precision = num_shared / len(predicted)
    recall = num_shared / len(answer)
    return (2 * precision * recall) / (precision + recall)
