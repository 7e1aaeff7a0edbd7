"""SuperGLUE's figures: by hand, and against those of the authors' toolkit and scikit-learn."""

import gzip
import json

import pytest

from bert_tf.metrics import classification, superglue


@pytest.fixture(scope="module")
def golden(golden_dir):
    with gzip.open(golden_dir / "superglue" / "scores.json.gz") as file:
        return json.load(file)


def test_multirc_counts_candidates_and_whole_questions():
    # Two questions: one candidate of the second is wrongly taken.
    found = superglue.multirc([1, 0, 0, 1], [1, 0, 1, 1], ["q", "q", "r", "r"])
    # 2 of 3 taken are right, and 2 of 2 right ones taken; of the second question 1 of 2, 1 of 1.
    assert found["f1a"] == pytest.approx(0.8)
    assert found["em"] == 0.5
    assert found["score"] == pytest.approx(0.65)
    assert found["f1m"] == pytest.approx((1 + 2 / 3) / 2)


def test_a_class_that_never_occurs_counts_as_0_in_cb():
    found = superglue.commitment_bank(["a", "b"], ["a", "b"], ("a", "b", "c"))
    assert found == {"accuracy": 1.0, "f1": pytest.approx(2 / 3), "score": pytest.approx(5 / 6)}


def test_record_takes_the_most_similar_answer():
    found = superglue.record([["The US", "Team"], ["Barack Obama"]], ["us", "Obama"])
    assert found == {"em": 0.5, "f1": pytest.approx((1 + 2 / 3) / 2), "score": pytest.approx(2 / 3)}


def test_parity_needs_whole_pairs():
    assert superglue.gender_parity(["x", "x", "x", "y"]) == 0.5
    for rows in ([], ["x"], ["x", "x", "y"]):
        with pytest.raises(ValueError, match="pairs of rows"):
            superglue.gender_parity(rows)


def test_queries_without_answers_are_refused():
    for answers, predictions in (([], []), ([["a"]], []), ([[]], ["a"])):
        with pytest.raises(ValueError, match="each with correct answers and a prediction"):
            superglue.record(answers, predictions)


def assert_percent(actual, expected):
    assert 100 * actual == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_multirc_equals_the_authors_figures(golden):
    for case in golden["multirc"]:
        candidates = [
            (label, found, (question["passage"], question["question"]))
            for question in case["questions"]
            for label, found in zip(question["labels"], question["predictions"], strict=True)
        ]
        found = superglue.multirc(*zip(*candidates, strict=True))
        for ours, theirs in (("f1a", "f1_a"), ("em", "em"), ("score", "score"), ("f1m", "f1_m")):
            assert_percent(found[ours], case[theirs])


def test_record_equals_the_authors_figures(golden):
    for case in golden["record"]:
        pairs = [(each["answers"], each["prediction"]) for each in case["questions"]]
        found = superglue.record(*zip(*pairs, strict=True))
        for name in ("f1", "em", "score"):
            assert_percent(found[name], case[name])


def test_cb_and_the_diagnostics_equal_scikit_learn(golden):
    for case in golden["cb"]:
        found = superglue.commitment_bank(case["labels"], case["predictions"], (0, 1, 2))
        assert_percent(found["f1"], case["f1_macro_all_three_classes"])
        assert_percent(found["score"], case["score"])
    for case in golden["ax_b"]:
        pair = case["labels"], case["predictions"]
        assert_percent(classification.matthews(*pair), case["matthews"])
    for case in golden["ax_g"]:
        predictions = [row["prediction"] for row in case["rows"]]
        assert_percent(superglue.gender_parity(predictions), case["gender_parity"])
