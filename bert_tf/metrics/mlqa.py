"""Computes the official metrics of MLQA, in percent: SQuAD 1.1's, with rules for each language.

              articles that do not count            between words
    en        a an the                              spaces
    es        un una unos unas el la los las        spaces
    de        ein eine einen ... der die das ...    spaces
    ar        ال, anywhere                          spaces
    vi        của là cái chiếc những                spaces
    hi        none                                  spaces
    zh        none                                  spaces; each character U+4E00-U+9FA5 is a word

All Unicode punctuation is removed, before the articles: "l'été" is "lété". The language is that of
the answer, so of the context. XQuAD and TyDi QA use SQuAD 1.1's rules (`metrics.squad`) in every
language.

Source: Lewis et al. (2020), "MLQA"; github.com/facebookresearch/MLQA, mlqa_evaluation_v1.py.
"""

import functools
import re
import string
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from bert_tf.metrics.squad import best_scores, percentages, questions_of

LANGUAGES = ("en", "es", "de", "ar", "hi", "vi", "zh")

_ARTICLES = {
    "en": r"\b(a|an|the)\b",
    "es": r"\b(un|una|unos|unas|el|la|los|las)\b",
    "de": r"\b(ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des)\b",
    "ar": "ال",
    "vi": r"\b(của|là|cái|chiếc|những)\b",
}
_CHINESE_WORD = re.compile("[\u4e00-\u9fa5]|[^\u4e00-\u9fa5\\s]+")


def evaluate(
    articles: Sequence[Mapping[str, Any]], predictions: Mapping[str, str], language: str
) -> dict[str, float]:
    """Computes the metrics of the official script.

    Args:
        articles: the list `data` of a file in SQuAD's format.
        predictions: the answers by question id. A missing one scores 0.
        language: one of LANGUAGES, that of the answers.

    Returns: `exact_match` and the equal `exact`, `f1`, and `total`, the number of questions.

    Raises:
        ValueError: for another language, no questions, and a question without id or answers.
    """
    questions = questions_of(articles, predictions)
    scores = [
        best_scores(
            [normalize_answer(answer["text"], language) for answer in question["answers"]],
            normalize_answer(predictions[question["id"]], language),
        )
        for question in questions
        if question["id"] in predictions
    ]
    return percentages(scores, len(questions))


def normalize_answer(text: str, language: str) -> str:
    """Lower-cases, removes punctuation and articles, and puts one space between words.

    normalize_answer("Die Häuser, die wir sahen", "de")    # "häuser wir sahen"
    """
    if language not in LANGUAGES:
        raise ValueError(f"MLQA's languages are {', '.join(LANGUAGES)}. Received: {language!r}")
    text = text.lower().translate(_no_punctuation())
    if language in _ARTICLES:
        text = re.sub(_ARTICLES[language], " ", text)
    return " ".join(_CHINESE_WORD.findall(text) if language == "zh" else text.split())


@functools.cache
def _no_punctuation() -> Mapping[int, None]:
    """Returns the table that deletes Unicode's and ASCII's punctuation, made at the first call."""
    odd = dict.fromkeys(map(ord, string.punctuation))
    codes = range(sys.maxunicode + 1)
    return odd | {code: None for code in codes if unicodedata.category(chr(code))[0] == "P"}
