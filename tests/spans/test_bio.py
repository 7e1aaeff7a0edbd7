"""BIO tags, spans and brackets, and the decoding of tags, equal AllenNLP's."""

import gzip
import json

import numpy as np
import pytest

from bert_tf.spans.bio import (
    brackets_of_spans,
    spans_of_brackets,
    spans_of_tags,
    tags_of_pieces,
    tags_of_spans,
    viterbi,
)


def golden(golden_dir, name):
    return json.loads(gzip.decompress((golden_dir / "semantic_roles" / name).read_bytes()))


def test_tags_become_the_brackets_of_the_original_and_back(golden_dir):
    cases = golden(golden_dir, "conversions.json.gz")
    for case in (*cases["well_formed"], *cases["broken"]):
        tags, num_words = case["tags"], len(case["tags"])
        assert brackets_of_spans(spans_of_tags(tags), num_words) == case["brackets"]
        read = spans_of_brackets(case["brackets"])
        assert tags_of_spans(read, num_words) == case.get("tags_read_back", tags)


def test_the_pieces_of_a_word_continue_its_tag(golden_dir):
    for case in golden(golden_dir, "conversions.json.gz")["pieces"]:
        spread = tags_of_pieces(case["tags"], case["pieces_per_word"])
        assert ["O", *spread, "O"] == case["piece_tags"]


def test_the_best_valid_path_is_that_of_the_original(golden_dir):
    cases = golden(golden_dir, "viterbi.json.gz")
    assert len(cases) == 24
    for case in cases:
        labels, scores = case["labels"], np.array(case["scores"])
        probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        for name, values in (
            ("scores", scores),
            ("probabilities", probabilities),
            ("log_probabilities", np.log(probabilities)),
        ):
            expected = case[f"on_{name}"]
            path, score = viterbi(values, labels)
            assert score == pytest.approx(expected["score"], rel=1e-6, abs=1e-5)
            if expected["unique"]:
                assert [labels[i] for i in path] == expected["tags"]


def test_a_path_never_continues_what_has_not_begun():
    labels = ("O", "B-A0", "I-A0", "B-A1", "I-A1")
    scores = np.array([[0, 0, 9, 1, 0], [0, 0, 2, 0, 3.0]])
    path, score = viterbi(scores, labels)
    assert [labels[i] for i in path] == ["B-A1", "I-A1"]
    assert score == 4.0
    assert viterbi(np.zeros((0, 5)), labels) == ([], 0.0)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["(A0*", "(A1*)", "*)"], "word 1: one role at a time"),
        (["*)"], "word 0: nothing is open here"),
        (["(A0*", "*"], "the role A0 is never closed"),
        (["A0"], "word 0: brackets are"),
        (["(*)"], "word 0: one role at a time"),
    ],
)
def test_broken_brackets_are_refused(cells, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        spans_of_brackets(cells)
