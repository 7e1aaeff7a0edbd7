"""SQuAD's figures: by hand, and by a second computation that looks at a question alone."""

import gzip
import json
import logging
import random

import pytest

from bert_tf.metrics.squad import _warn_of_f1, evaluate, normalize_answer


def article(*questions, **keys):
    """An article of questions (id, right answers...); `keys` go to every question."""
    qas = [
        {"id": name, "answers": [{"text": text, "answer_start": 0} for text in texts], **keys}
        for name, *texts in questions
    ]
    return {"title": "t", "paragraphs": [{"context": "c", "qas": qas}]}


def test_case_punctuation_articles_and_spaces_do_not_count():
    assert normalize_answer(" The  Beatles' a-song,\tan end. ") == "beatles asong end"
    assert normalize_answer("Theatre, lathe") == "theatre lathe"  # Articles are whole words.
    assert normalize_answer("«L’été»") == "«l’été»"  # Only ASCII punctuation goes.
    assert normalize_answer("The.") == ""


def test_version_1_takes_the_best_of_the_right_answers():
    data = [article(("q", "Denver Broncos", "The Denver Broncos team"))]
    assert evaluate(data, {"q": "denver broncos."}) == {
        "exact_match": 100.0,
        "exact": 100.0,
        "f1": 100.0,
        "total": 1,
    }
    # "broncos team": of "denver broncos" 1 of 2 words, of the longer one 2 of 3 and 2 of 2.
    figures = evaluate(data, {"q": "Broncos team"})
    assert figures["exact_match"] == 0.0
    assert figures["f1"] == pytest.approx(100 * 2 * (1 * 2 / 3) / (1 + 2 / 3))


def test_a_word_counts_as_often_as_both_have_it():
    figures = evaluate([article(("q", "to be or not to be"))], {"q": "to be to be to"})
    assert figures["f1"] == pytest.approx(100 * 2 * (4 / 5 * 4 / 6) / (4 / 5 + 4 / 6))


def test_the_versions_do_not_agree_on_answers_without_words():
    questions = [("q", "The", "x")]
    version_1 = evaluate([article(*questions)], {"q": "a"})
    assert (version_1["exact"], version_1["f1"]) == (100.0, 0.0)
    # In 2.0 an answer that is only an article is none: "x" is the right one.
    version_2 = evaluate([article(*questions, is_impossible=False)], {"q": "a"})
    assert (version_2["exact"], version_2["f1"]) == (0.0, 0.0)
    version_2 = evaluate([article(("q", "The"), is_impossible=False)], {"q": "an"})
    assert (version_2["exact"], version_2["f1"]) == (100.0, 100.0)


@pytest.mark.parametrize("keys", [{}, {"is_impossible": False}])
def test_a_missing_prediction_scores_0_and_is_reported(keys, caplog):
    data = [article(("q1", "x"), ("q2", "y"), **keys)]
    with caplog.at_level(logging.WARNING):
        figures = evaluate(data, {"q1": "x"})
    assert (figures["exact"], figures["f1"], figures["total"]) == (50.0, 50.0, 2)
    assert [record.getMessage() for record in caplog.records] == [
        "1 of 2 questions have no prediction and score 0, such as ['q2']"
    ]


def test_questions_without_answer_make_it_version_2():
    data = [article(("q1", "x"), ("q2",))]
    assert evaluate(data, {"q1": "x", "q2": ""}) == {
        "exact_match": 100.0,
        "exact": 100.0,
        "f1": 100.0,
        "total": 2,
        "HasAns_exact": 100.0,
        "HasAns_f1": 100.0,
        "HasAns_total": 1,
        "NoAns_exact": 100.0,
        "NoAns_f1": 100.0,
        "NoAns_total": 1,
    }
    figures = evaluate(data, {"q1": "", "q2": "y"})
    assert (figures["HasAns_exact"], figures["NoAns_f1"]) == (0.0, 0.0)


def test_null_odds_above_the_threshold_make_an_answer_empty():
    data = [article(("q1", "x"), ("q2",), is_impossible=False)]
    predictions, null_odds = {"q1": "x", "q2": "y"}, {"q1": 0.5, "q2": 1.5}
    figures = evaluate(data, predictions, null_odds)
    assert (figures["HasAns_exact"], figures["NoAns_exact"]) == (100.0, 100.0)
    figures = evaluate(data, predictions, null_odds, na_prob_thresh=2.0)
    assert (figures["HasAns_exact"], figures["NoAns_exact"]) == (100.0, 0.0)
    # Exactly at the threshold the answer stands.
    figures = evaluate(data, predictions, null_odds, na_prob_thresh=0.5)
    assert (figures["HasAns_exact"], figures["NoAns_exact"]) == (100.0, 100.0)


def test_the_best_threshold_by_hand():
    data = [article(("right", "x"), ("wrong", "x"), ("none-1",), ("none-2",))]
    predictions = {"right": "x", "wrong": "y", "none-1": "z", "none-2": "z"}
    null_odds = {"right": -1.0, "wrong": -3.0, "none-1": 0.0, "none-2": 5.0}
    figures = evaluate(data, predictions, null_odds, na_prob_thresh=9.0)
    # Without any answer 2 of 4 are right; with those up to -1.0 also the first: 3 of 4.
    assert (figures["exact"], figures["best_exact"], figures["best_exact_thresh"]) == (25, 75, -1.0)
    assert (figures["best_f1"], figures["best_f1_thresh"]) == (75, -1.0)
    nothing_better = evaluate(data, {**predictions, "right": "y"}, null_odds)
    assert (nothing_better["best_exact"], nothing_better["best_exact_thresh"]) == (50, 0.0)


def test_without_null_odds_there_is_no_best_threshold():
    assert not [key for key in evaluate([article(("q",))], {"q": ""}) if key.startswith("best")]


def test_what_cannot_be_evaluated_is_refused():
    with pytest.raises(ValueError, match="no questions"):
        evaluate([], {})
    with pytest.raises(ValueError, match="Question q of article 0 has no answers"):
        evaluate([{"paragraphs": [{"qas": [{"id": "q"}]}]}], {"q": ""})
    with pytest.raises(ValueError, match="1 predictions have no null odds, as of 'q'"):
        evaluate([article(("q",))], {"q": ""}, {})


def words_of(text):
    kept = "".join(char for char in text.lower() if not (char.isascii() and is_mark(char)))
    return [word for word in kept.split() if word not in ("a", "an", "the")]


def is_mark(char):
    return char.isprintable() and not char.isalnum() and char != " "


def one_question(right, given):
    """(exact, F1) of 2.0, word by word."""
    scores = []
    for text in [text for text in right if words_of(text)] or [""]:
        left, same = words_of(text), 0
        for word in words_of(given):
            if word in left:
                left.remove(word)
                same += 1
        sizes = len(words_of(text)), len(words_of(given))
        if not all(sizes):
            f1 = float(sizes == (0, 0))
        else:
            f1 = 2 * same / sum(sizes)
        scores.append((float(words_of(text) == words_of(given)), f1))
    return max(exact for exact, _ in scores), max(f1 for _, f1 in scores)


@pytest.mark.parametrize("seed", range(20))
def test_version_2_agrees_with_a_second_computation(seed):
    rng = random.Random(seed)
    texts = ["The", "a cat", "cat", "the cat's", "cat, dog", "dog cat cat", "", "!", "mouse"]
    right = {f"q{i}": rng.sample(texts[:6], rng.randrange(4)) for i in range(40)}
    right["q0"], right["q1"] = [], ["cat"]
    given = {name: rng.choice(texts) for name in right}
    odds = {name: rng.choice([-2.0, -0.5, 0.0, 0.5, 1.0, 1.5, 7.0]) for name in right}
    data = [article(*((name, *answers) for name, answers in right.items()))]

    def average(scores):
        return 100 * sum(scores) / len(scores)

    for null_odds in (None, odds):
        figures = evaluate(data, given, null_odds)
        for place, key in enumerate(("exact", "f1")):
            raw = {name: one_question(right[name], given[name])[place] for name in right}
            scores = dict(raw)
            if null_odds:
                scores.update({n: float(not right[n]) for n in right if odds[n] > 1.0})
            assert figures[key] == pytest.approx(average(list(scores.values())))
            for prefix, wanted in (("HasAns", True), ("NoAns", False)):
                part = [scores[name] for name in right if bool(right[name]) == wanted]
                assert figures[f"{prefix}_{key}"] == pytest.approx(average(part))
                assert figures[f"{prefix}_total"] == len(part)
            if null_odds:
                check_best(figures, key, right, given, odds, raw)


def check_best(figures, key, right, given, odds, raw):
    """Every cut of the order by null odds is tried; equal odds stay in the file's order."""
    order = sorted(odds, key=odds.get)
    totals = []
    for cut in range(len(order) + 1):
        answered = set(order[:cut])
        # An answer "" to a question without one is right; any other is not, with or without words.
        total = sum(
            raw[n]
            if n in answered and right[n]
            else not right[n] and (n not in answered or not given[n])
            for n in right
        )
        totals.append(total)
    assert figures[f"best_{key}"] == pytest.approx(100 * max(totals) / len(right))
    first = min(cut for cut, total in enumerate(totals) if total == pytest.approx(max(totals)))
    assert figures[f"best_{key}_thresh"] == (odds[order[first - 1]] if first else 0.0)


@pytest.mark.data
def test_googles_submitted_answers_get_their_published_figures(data_dir):
    def read(name):
        with gzip.open(data_dir / "squad" / name, "rt", encoding="utf-8") as file:
            return json.load(file)

    figures = evaluate(read("dev-v1.1.json.gz")["data"], read("dev-v1.1.BERT_ensemble.json.gz"))
    assert round(figures["exact_match"], 3) == 86.206
    assert round(figures["f1"], 3) == 92.196
    assert figures["total"] == 10570


@pytest.mark.data
def test_no_answer_at_all_scores_the_share_of_unanswerable_questions(data_dir):
    with gzip.open(data_dir / "squad" / "dev-v2.0.json.gz", "rt", encoding="utf-8") as file:
        data = json.load(file)["data"]
    ids = [q["id"] for a in data for p in a["paragraphs"] for q in p["qas"]]
    figures = evaluate(data, dict.fromkeys(ids, ""), dict.fromkeys(ids, 0.0))
    assert figures["exact"] == figures["f1"] == figures["best_f1"] == 100 * 5945 / 11873
    assert (figures["HasAns_total"], figures["NoAns_total"]) == (5928, 5945)


@pytest.mark.parametrize(
    ("gold", "predicted", "f1"),
    [
        ("中华人民共和国", "人民共和国", 2 * 5 / 12),
        ("東京タワー", "東京", 2 * 2 / 7),
        ("ประเทศไทย", "ไทย", 2 * 3 / 12),
        ("人民 1949", "1949", 2 * 1 / 4),
    ],
)
@pytest.mark.parametrize("version_2", [False, True])
def test_words_of_scripts_without_spaces_are_counted_by_character_with_a_warning(
    caplog, gold, predicted, f1, version_2
):
    _warn_of_f1.cache_clear()
    questions = [("1", gold), ("2",)][: 1 + version_2]
    metrics = evaluate([article(*questions)], {"1": predicted, "2": ""})
    share = 1 + version_2
    assert metrics["character_f1"] == pytest.approx(100 * (f1 + version_2) / share)
    assert "1 of 1 correct answers are in a script without spaces" in caplog.text
    assert "use character_f1" in caplog.text
    caplog.clear()
    evaluate([article(*questions)], {"1": predicted, "2": ""})
    assert not caplog.text  # Once is enough.


@pytest.mark.parametrize("gold", ["John Smith", "서울 특별시", "Москва", "القاهرة"])
def test_words_between_spaces_need_no_warning(caplog, gold):
    assert "character_f1" not in evaluate([article(("1", gold))], {"1": gold})
    assert not caplog.text
