"""Answers that are cut out of a passage by the places of their characters."""

import random
import sys

import pytest
from offset_passage import OffsetPassage
from span_questions import VOCAB, random_text

from bert_tf.spans.windows import PassageTokenizer
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
