"""Speed by batch size, the curve of thresholds, and the vectors of a word."""

import numpy as np
import pytest

from bert_tf import notebook
from bert_tf.kinds.span import Answer, AnswerSpan
from bert_tf.text.tokenization import FullTokenizer


class Clock:
    """A clock that a call of the model moves on."""

    def __init__(self):
        self.now, self.sizes = 0.0, []

    def __call__(self):
        return self.now

    def model(self, texts):
        self.sizes.append(len(texts))
        self.now += 0.1 * len(texts)


def test_speed_is_measured_without_the_first_call_and_for_three_calls_at_least():
    clock = Clock()
    one, four = notebook.measure_speed(clock.model, ["a", "b"], [1, 4], 0.5, clock)
    assert clock.sizes.count(1) in (6, 7)  # The first, and as many as take half a second.
    assert clock.sizes.count(4) == 4
    assert one.median == pytest.approx(0.1)
    assert four.fastest == pytest.approx(four.slowest) == pytest.approx(0.4)
    assert four.texts_per_second == pytest.approx(10.0)


@pytest.mark.parametrize(("texts", "sizes"), [([], [1]), (["a"], []), (["a"], [0])])
def test_texts_and_sizes_are_needed(texts, sizes):
    with pytest.raises(ValueError, match="batch sizes of 1 or more are needed"):
        notebook.measure_speed(len, texts, sizes)


def answer(text, null_odds):
    nbest = (AnswerSpan("", 0.6, -1, -1), AnswerSpan(text, 0.4, 0, len(text)))
    return Answer("", 0.6, -1, -1, nbest, null_odds)


def question(name, *texts):
    answers = [{"text": text, "answer_start": 0} for text in texts]
    return {"id": name, "question": "?", "answers": answers, "is_impossible": not texts}


ARTICLES = [{"paragraphs": [{"qas": [question("1", "yes"), question("2", "yes"), question("3")]}]}]


def test_a_threshold_between_the_questions_with_and_without_an_answer_is_best():
    answers = {"1": answer("yes", -2.0), "2": answer("yes", -1.0), "3": answer("no", 3.0)}
    curve = notebook.threshold_curve(ARTICLES, answers, num_thresholds=50)
    assert len(curve.thresholds) == 50
    assert curve.thresholds[0] < -2.0 < 3.0 < curve.thresholds[-1]
    # At the lowest nothing is answered; at the highest, all is.
    assert (curve.f1_answerable[0], curve.f1_unanswerable[0]) == (0.0, 100.0)
    assert (curve.f1_answerable[-1], curve.f1_unanswerable[-1]) == (100.0, 0.0)
    assert (curve.best_threshold, curve.best_f1) == (-1.0, 100.0)
    assert curve.f1[curve.thresholds.index(-1.0)] == 100.0


def test_a_curve_needs_null_odds_and_both_kinds_of_questions():
    answers = {"1": answer("yes", None)}
    with pytest.raises(ValueError, match="The answer to 1 has no null odds"):
        notebook.threshold_curve(ARTICLES, answers)
    only = [{"paragraphs": [{"qas": [question("1", "yes")]}]}]
    with pytest.raises(ValueError, match="with and without an answer"):
        notebook.threshold_curve(only, {"1": answer("yes", 0.0)})


class Counting:
    """A predictor whose vector of a token is its place, [CLS] being 0."""

    @staticmethod
    def embed(texts, pool):
        assert pool == "tokens"
        return [np.arange(10, dtype=np.float32)[:, np.newaxis] for _ in texts]


@pytest.fixture
def tokenizer(tmp_path):
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "ba", "##nk", "shut", "."]
    (tmp_path / "vocab.txt").write_text("\n".join(tokens), encoding="utf-8")
    return FullTokenizer(str(tmp_path / "vocab.txt"), do_lower_case=True)


def test_a_word_of_several_pieces_has_their_mean(tokenizer):
    sentences = ["The bank shut.", "Bank."]
    vectors = notebook.word_vectors(Counting(), tokenizer, sentences, "bank")
    assert vectors.tolist() == [[2.5], [1.5]]


def test_a_sentence_without_the_word_is_named(tokenizer):
    with pytest.raises(ValueError, match=r"no word 'bank' in 'The banker shut\.'"):
        notebook.word_vectors(Counting(), tokenizer, ["The banker shut."], "bank")
