"""The metrics of semantic roles equal what `srl-eval.pl` and `eval09.pl` printed."""

import gzip
import json

import pytest

from bert_tf.metrics.semantic_roles import (
    Counts,
    Predicate,
    arguments_of,
    score_dependencies,
    score_spans,
    sense_of,
)
from bert_tf.spans.bio import spans_of_tags


def golden(golden_dir, name):
    return json.loads(gzip.decompress((golden_dir / "semantic_roles" / name).read_bytes()))


def check(counts: Counts, official: dict) -> None:
    numbers = (counts.correct, counts.predicted - counts.correct, counts.gold - counts.correct)
    assert numbers == tuple(official[name] for name in ("correct", "excess", "missed"))
    for name in ("precision", "recall", "f1"):
        assert getattr(counts, name) == pytest.approx(official[name], abs=0.005001)


def propositions(sentence, side):
    return [
        Predicate(each["position"], each["verb"], "", spans_of_tags(each["tags"]))
        for each in sentence[side]
    ]


def test_spans_are_scored_as_by_srl_eval(golden_dir):
    cases = golden(golden_dir, "conll2005.json.gz")
    assert len(cases) == 60
    for case in cases:
        sides = ([propositions(s, side) for s in case["sentences"]] for side in SIDES)
        scores, official = score_spans(*sides), case["official"]
        check(scores.overall, official["overall"])
        assert scores.propositions.gold == official["propositions"]
        perfect = official["perfect_propositions_percent"]
        assert scores.propositions.recall == pytest.approx(perfect, abs=0.005001)
        labels = {**official["labels"], **official["excluded"]}
        for role, expected in labels.items():
            check(scores.roles.get(role, Counts()), expected)
        assert set(scores.roles) <= set(labels)


SIDES = ("gold", "predicted")


def predicates(sentence, side):
    return [
        Predicate(each["position"], "", each["sense"], [(r, i, i) for r, i in each["arguments"]])
        for each in sentence[side]
    ]


def check_dependencies(scores, official) -> None:
    for name, total in (("labeled", scores.labeled), ("unlabeled", scores.unlabeled)):
        for part in ("arguments", "predicates"):
            counts = getattr(scores, f"{name}_{part}")
            for field in ("correct", "predicted", "gold"):
                assert getattr(counts, field) == official[name][f"{field}_{part}"]
        for figure in ("precision", "recall", "f1"):
            assert getattr(total, figure) == pytest.approx(official[name][figure], abs=0.005001)


def test_dependencies_are_scored_as_by_eval09(golden_dir):
    cases = golden(golden_dir, "conll2009.json.gz")["synthetic"]
    assert len(cases) == 40
    for case in cases:
        sides = ([predicates(s, side) for s in case["sentences"]] for side in SIDES)
        check_dependencies(score_dependencies(*sides), case["official"])


def test_the_words_of_a_bracket_column_are_the_arguments_that_srl_eval_sees(golden_dir):
    cases = golden(golden_dir, "conversions.json.gz")
    for case in (*cases["well_formed"], *cases["broken"]):
        found = arguments_of(spans_of_tags(case["tags"]))
        expected = [(role, tuple(map(tuple, pieces))) for role, pieces in case["arguments"]]
        assert sorted(found) == sorted(expected)


def test_a_continuation_belongs_to_the_last_such_role_before_it():
    spans = [("A1", 0, 1), ("A1", 3, 3), ("C-A1", 5, 6), ("C-A2", 8, 8)]
    expected = [("A1", ((0, 1),)), ("A1", ((3, 3), (5, 6))), ("A2", ((8, 8),))]
    assert arguments_of(spans) == expected


def test_missing_predicates_cost_recall_and_further_ones_nothing():
    gold = [[Predicate(1, "eat", "", [("A0", 0, 0), ("V", 1, 1), ("A1", 2, 3)])]]
    other = [[Predicate(1, "ate", "", gold[0][0].roles), Predicate(2, "the", "", [("A0", 0, 0)])]]
    assert score_spans(gold, other).overall == Counts(0, 0, 2)
    half = [[Predicate(1, "eat", "", [("A0", 0, 0), ("A1", 2, 2)])]]
    scores = score_spans(gold, half)
    assert scores.overall == Counts(1, 2, 2)
    assert scores.overall.f1 == 50.0
    assert scores.roles["V"] == Counts(0, 0, 1)
    assert scores.propositions == Counts(0, 1, 1)


def test_a_sense_is_what_follows_the_only_dot():
    senses = ["go.01", "run.1", "01", "a.b.01", "go", "x.²"]
    assert [sense_of(sense) for sense in senses] == ["1", "1", "1", "a.b.01", "go", "²"]
    gold = [[Predicate(1, "", "go.01", [("A0", 0, 0)])]]
    predicted = [[Predicate(1, "", "run.1", [("A1", 0, 0)])]]
    scores = score_dependencies(gold, predicted)
    assert scores.labeled == Counts(1, 2, 2)
    assert scores.unlabeled == Counts(2, 2, 2)
    assert scores.roles == {"A0": Counts(0, 0, 1), "A1": Counts(0, 1, 0)}
