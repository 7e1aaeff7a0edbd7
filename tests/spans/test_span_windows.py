"""Passages in windows, and answers in them: by hand, and beside the obvious algorithm."""

import pytest
from span_questions import VOCAB, load

from bert_tf.spans.windows import (
    PassageTokenizer,
    answer_tokens,
    answer_words,
    best_windows,
    divide_passage,
    split_words,
)
from bert_tf.text.tokenization import FullTokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return FullTokenizer(str(VOCAB))


@pytest.fixture(scope="module")
def straightforward():
    return load("straightforward_squad_features")


@pytest.mark.parametrize("num_tokens", [1, 7, 8, 30, 301])
@pytest.mark.parametrize("stride", [1, 3, 8, 100])
def test_windows_cover_the_passage_and_each_token_has_one_best_window(
    num_tokens, stride, straightforward
):
    windows = divide_passage(num_tokens, 2, 13, stride)
    shown = [set(range(start, start + length)) for start, length in windows]
    assert set.union(*shown) == set(range(num_tokens))
    best = best_windows(windows)
    assert best.shape == (num_tokens,)
    for token, window in enumerate(best):
        assert token in shown[window]
        assert window == straightforward.best_window(windows, token)


def test_the_best_window_shows_most_of_what_is_around_a_token():
    windows = divide_passage(10, 1, 10, 2)
    assert windows == ((0, 6), (2, 6), (4, 6))
    assert best_windows(windows).tolist() == [0, 0, 0, 0, 1, 1, 2, 2, 2, 2]


def test_words_stand_between_the_originals_white_space_only():
    assert split_words(" a\tb\r\nc\u202fd  e\u00a0f\u3000g\u2028h ") == [
        *("a", "b", "c", "d", "e\u00a0f\u3000g\u2028h")
    ]
    assert split_words(" \n") == []


@pytest.mark.parametrize(
    ("answer", "start", "words"),
    [
        ("John Smith", 15, (3, 4)),
        ("1895", 27, (5, 5)),
        ("was  John", 11, (2, 3)),  # White space does not count.
        ("Smith was", 20, None),  # Not in these words.
        ("Smith", 0, None),
        ("1943", 40, None),  # Outside of the passage: an IndexError in the original.
        ("John", 400, None),
        (".", -1, None),  # Counted from the end in the original.
        ("", 15, None),  # All of the passage in the original, as the next one.
        (" \u200b", 10, None),
    ],
)
def test_an_answer_is_found_again_in_its_words_or_left_out(answer, start, words):
    assert answer_words("The leader was John Smith (1895-1943).", answer, start) == words


def test_no_answer_is_found_in_a_passage_without_words():
    assert answer_words("", "", 0) is None
    assert answer_words(" \n", " ", 0) is None


def tokens_of_answer(tokenizer, context, answer):
    passage = PassageTokenizer(tokenizer).tokens(context)
    words = answer_words(context, answer, context.index(answer))
    start, end = answer_tokens(passage, *words, tokenizer.encode(answer))
    return tokenizer.convert_ids_to_tokens(passage.ids[start : end + 1])


def test_an_answer_that_is_a_part_of_a_word_gets_its_own_tokens(tokenizer):
    context = "The leader was John Smith (1895-1943)."
    assert tokens_of_answer(tokenizer, context, "1895") == tokenizer.tokenize("1895")
    assert tokens_of_answer(tokenizer, context, "1895-1943") == tokenizer.tokenize("1895-1943")
    # "japan" is no piece of "japanese": it stays whole.
    assert tokens_of_answer(tokenizer, "The Japanese do.", "apan") == tokenizer.tokenize("Japanese")


def test_words_and_passages_are_cached_within_limits(tokenizer, monkeypatch):
    monkeypatch.setattr("bert_tf.spans.windows._MAX_CACHED_TEXT", 30)
    monkeypatch.setattr("bert_tf.spans.windows._MAX_CACHED_WORDS", 10)
    passages = PassageTokenizer(tokenizer)
    texts = [f"some words {number}" for number in range(9)]
    for text in texts * 2:
        tokens = passages.tokens(text)
        assert tokens.ids == tokenizer.encode(text)
        assert passages.tokens(text) is tokens
        assert len(passages._passages) <= 2
        assert sum(map(len, passages._part_ids)) <= 10


def test_the_word_of_a_token_is_known_where_words_vanish(tokenizer):
    # A zero-width space is no token.
    tokens = PassageTokenizer(tokenizer).tokens("\u200b who was \u200b he?\u200b \u200b")
    assert tokenizer.convert_ids_to_tokens(tokens.ids) == ["who", "was", "he", "?"]
    assert [tokens.word_of(place) for place in range(4)] == [1, 2, 4, 4]
    assert tokens.word_starts.tolist() == [0, 0, 1, 2, 2, 4, 4]


def test_a_question_that_fills_the_sequence_is_refused():
    with pytest.raises(ValueError, match="A question of 9 tokens leaves no room"):
        divide_passage(10, 9, 12, 2)
    assert divide_passage(0, 9, 12, 2) == ()
