"""Segments of documents, and clusters of spans, against what the original computes."""

import gzip
import json

import numpy as np
import pytest

from bert_tf.spans.coreference import (
    PieceDocument,
    divide_document,
    genre_number,
    predicted_clusters,
    speaker_numbers,
)
from bert_tf.spans.sentences import sentence_ends


@pytest.fixture(scope="module")
def functions(golden_dir):
    return json.loads(gzip.open(golden_dir / "coreference" / "functions.json.gz").read())


def pieces(word):
    """The pieces of 3 letters that the golden cases have."""
    return [word[start : start + 3] for start in range(0, len(word), 3)]


def test_segments_and_maps_of_difficult_documents(functions):
    for case in functions["segmenting_edges"]:
        words = [[pieces(word) for word, _ in sentence] for sentence in case["sentences"]]
        if "error" in case:
            with pytest.raises(ValueError, match="more than 4 word pieces"):
                PieceDocument.of_words(words, case["segment_length"])
            continue
        document = PieceDocument.of_words(words, case["segment_length"])
        tokens = [
            [piece.removeprefix("##") for piece in segment[1:-1]] for segment in case["segments"]
        ]
        assert [document.ids[start:end] for start, end in document.segments] == tokens
        assert document.word_of_token() == case["subtoken_map"]
        assert [s for row in document.sentence_maps() for s in row] == case["sentence_map"]


@pytest.mark.parametrize("seed", range(5))
def test_segments_cover_the_document_and_are_as_long_as_possible(seed):
    rng = np.random.default_rng(seed)
    word_ends = rng.random(200) < 0.6
    word_ends[[*range(4, 200, 5), 199]] = True
    sentence_ends = word_ends & (rng.random(200) < 0.2)
    segments = divide_document(sentence_ends, word_ends, 12)
    assert [start for start, _ in segments] == [0, *(end for _, end in segments[:-1])]
    assert segments[-1].end == 200
    for start, end in segments:
        assert 0 < end - start <= 10
        inside = sentence_ends[start : start + 10]
        assert sentence_ends[end - 1] or not inside.any() or end == 200


def test_clusters_of_given_scores(functions):
    for case in functions["antecedents_and_loss"]:
        scores = np.array(
            [[-1e9 if s is None else s for s in row] for row in case["scores_with_dummy"]]
        )
        spans = 2 * np.arange(len(scores))
        clusters = predicted_clusters(spans, spans + 1, np.array(case["antecedents"]), scores)
        expected = [[tuple(m) for m in cluster] for cluster in case["predicted_clusters"]]
        assert clusters == expected


def test_speakers_and_genres():
    assert speaker_numbers(["Ann", "Bob", "Ann"]) == [2, 3, 2]
    many = [f"person {number}" for number in range(20)]
    assert speaker_numbers(many) == [*range(2, 20), 3, 3]
    assert [genre_number(name) for name in ("bc/cctv", "wb/x", "novel")] == [0, 6, 0]


def test_sentences_end_at_points_but_not_at_those_of_abbreviations():
    words = ["Mr", ".", "Poe", "ran", ".", '"', "Go", "!", '"', "he", "said", "."]
    ends = [number for number, is_end in enumerate(sentence_ends(words)) if is_end]
    assert ends == [5, 8, 11]
