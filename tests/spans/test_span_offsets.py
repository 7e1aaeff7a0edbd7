"""Answers that are cut out of a passage by the places of their characters."""

import random
import sys

import numpy as np
import pytest
from span_questions import VOCAB, random_text

from bert_tf.spans.answers import EMPTY, QuestionScores, find_answer
from bert_tf.spans.offsets import OffsetPassage
from bert_tf.spans.options import SpanOptions
from bert_tf.spans.windows import PassageTokenizer
from bert_tf.text.packing import Window
from bert_tf.text.tokenization import FullTokenizer

# White space of all kinds, what is taken for it and is not, and what looks at its neighbours.
SPECIAL = [
    *(" ", "\t", "\n", "\r", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x1f", "\x85", "\xa0"),
    *("\u1680", "\u2000", "\u200a", "\u200b", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"),
    *("\ufeff", "\ufffd", "\x00", "\xad", "\u180e", "\u200d", "\ue000", "\U000e0020"),
    *(
        "Σ",
        "a",
        "B",
        "ΑΣ",
        "\u0301",
        "e\u0301",
        "\u0130",
        "ǅ",
        "한",
        "東",
        "0",
        "'",
        "-",
        "…",
        "##",
    ),
]


@pytest.fixture(scope="module", params=[True, False], ids=["uncased", "cased"])
def tokenizer(request):
    return FullTokenizer(str(VOCAB), do_lower_case=request.param)


def scores_of(passage, starts, ends, null=(0.0, 0.0)):
    """One window with the whole passage: 0, but for some tokens' scores of starts and ends."""
    length = len(passage.ids)
    logits = np.zeros((2, 1, length + 4), np.float32)
    logits[:, 0, 0] = null
    for side, scores in enumerate((starts, ends)):
        for token, score in scores.items():
            logits[side, 0, 3 + token] = score
    return QuestionScores((Window(0, length),), 3, *logits)


def test_a_text_is_what_its_tokens_were_made_from():
    tokenizer = FullTokenizer(str(VOCAB))
    passage = OffsetPassage("The leader was Cafe\u0301 (1895-1943).", tokenizer)
    tokens = [passage.text(token, token) for token in range(len(passage.ids))]
    assert tokens[:4] == ["The", "lead", "er", "was"]
    assert tokens[-1] == "."
    brackets = tokens.index("("), tokens.index(")")
    assert passage.text(*brackets) == "(1895-1943)"
    assert passage.span(*brackets) == (21, 32)
    assert passage.text(4, brackets[0] - 1) == "Cafe\u0301"
    assert passage.span(-1, -1) == (-1, -1)


@pytest.mark.parametrize("seed", range(4))
def test_its_tokens_are_those_of_the_passage_tokenizer_whatever_the_text(seed, tokenizer):
    rng = random.Random(seed)
    passages = PassageTokenizer(tokenizer)
    for _ in range(1000):
        context = "".join(rng.choice(SPECIAL) for _ in range(rng.randrange(30)))
        assert OffsetPassage(context, tokenizer).ids == passages.tokens(context).ids, repr(context)
        context = random_text(rng, rng.randrange(12))
        assert OffsetPassage(context, tokenizer).ids == passages.tokens(context).ids, repr(context)


@pytest.mark.parametrize("pattern", ["{}", "aΣ{}Σb", "({}) {}1"])
def test_its_tokens_are_those_of_the_passage_tokenizer_for_every_character(pattern, tokenizer):
    passages = PassageTokenizer(tokenizer)
    # All of the plane in which the white space is, and some of the others.
    for code_point in [*range(0x10000), *range(0x10000, sys.maxunicode, 499)]:
        if not 0xD800 <= code_point < 0xE000:
            context = pattern.replace("{}", chr(code_point))
            ids = OffsetPassage(context, tokenizer).ids
            # Nothing is remembered, so that memory stays small.
            assert ids == passages._tokenize(context).ids, repr(context)


def test_no_text_is_empty(tokenizer):
    rng = random.Random(7)
    for _ in range(300):
        passage = OffsetPassage(random_text(rng, 8), tokenizer)
        for first in range(len(passage.ids)):
            last = rng.randrange(first, len(passage.ids))
            assert passage.text(first, last)


def test_answers_come_with_their_tokens_and_so_with_their_characters():
    passage = OffsetPassage("a b, a c", FullTokenizer(str(VOCAB)))
    # Twice the text "a": the one with the higher score tells where it is.
    scores = scores_of(passage, {0: 2.0, 3: 3.0}, {0: 2.0, 3: 2.0, 1: 1.5})
    options = SpanOptions(n_best_size=3, max_answer_length=2, mask_padding=True)
    answer = find_answer(options, scores, passage.text)
    assert [entry.text for entry in answer.nbest] == ["a", "a b"]
    assert answer.spans == ((3, 3), (0, 1))
    assert [passage.span(*span) for span in answer.spans] == [(5, 6), (0, 3)]
    assert (answer.text, answer.place) == ("a", 0)


@pytest.mark.parametrize(("threshold", "text", "place"), [(0.0, "", 0), (5.0, "b", 1)])
def test_no_answer_is_at_no_place(threshold, text, place):
    passage = OffsetPassage("a b", FullTokenizer(str(VOCAB)))
    options = SpanOptions(
        version_2_with_negative=True, null_score_diff_threshold=threshold, mask_padding=True
    )
    scores = scores_of(passage, {1: 2.0}, {1: 1.0}, null=(3.0, 3.0))
    answer = find_answer(options, scores, passage.text)
    assert answer.spans[:2] == ((-1, -1), (1, 1))
    assert (answer.text, answer.place) == (text, place)


@pytest.mark.parametrize("empty", [EMPTY, "", "?"])
def test_where_there_is_nothing_to_choose_from_the_answer_is_what_it_shall_be(empty):
    passage = OffsetPassage(" \n", FullTokenizer(str(VOCAB)))
    scores = QuestionScores((), 3, *np.zeros((2, 0, 3), np.float32))
    answer = find_answer(SpanOptions(mask_padding=True), scores, passage.text, empty)
    assert (answer.text, answer.place, answer.spans) == (empty, 0, ((-1, -1),))
    assert answer.nbest == ((empty, 1.0, 0.0, 0.0),)
