"""Questions in other languages: by hand, and against the official scripts of MLQA and SQuAD."""

import gzip
import json

import pytest

from bert_tf.metrics import mlqa, squad


def load_golden(golden_dir):
    with gzip.open(golden_dir / "xlingual_qa" / "scores.json.gz") as file:
        return json.load(file)


@pytest.mark.parametrize(
    ("language", "text", "normalized"),
    [
        ("en", "The  U.S., an end", "us end"),
        ("es", "¿El río?", "río"),
        ("de", "Die Häuser, die wir sahen", "häuser wir sahen"),
        ("ar", "الكتاب خيال", "كتاب خي"),
        ("hi", "राजा।", "राजा"),
        ("vi", "Những con sông", "con sông"),
        ("zh", "1957年，iPhone 的", "1957 年 iphone 的"),
    ],
)
def test_each_language_has_its_articles_and_words(language, text, normalized):
    assert mlqa.normalize_answer(text, language) == normalized


def test_other_languages_are_refused():
    with pytest.raises(ValueError, match=r"languages are en, es, .* Received: 'fr'"):
        mlqa.normalize_answer("le", "fr")


def test_figures_and_normalized_answers_equal_the_official_scripts(golden_dir):
    groups = load_golden(golden_dir)
    assert len(groups) == 12
    for group in groups:
        questions, language = group["questions"], group["language"]
        answers = {each["id"]: [{"text": text} for text in each["answers"]] for each in questions}
        qas = [{"id": name, "answers": texts} for name, texts in answers.items()]
        data = [{"paragraphs": [{"qas": qas}]}]
        given = {e["id"]: e["prediction"] for e in questions if e["prediction"] is not None}
        found = {"squad": squad.evaluate(data, given)}
        if "mlqa_official" in group:
            found["mlqa"] = mlqa.evaluate(data, given, language)
        for script, figures in found.items():
            official = group[f"{script}_official"]
            assert {name: figures[name] for name in official} == pytest.approx(official, rel=1e-9)
        for each in questions:
            if "mlqa_normalized" in each:
                normalized = mlqa.normalize_answer(each["prediction"], language)
                assert normalized == each["mlqa_normalized"]
