"""Every token's place in the original text."""

import gzip
import random
import unicodedata
from itertools import pairwise
from pathlib import Path

import pytest

from bert_tf.text.characters import is_dropped, is_whitespace
from bert_tf.text.offsets import CHUNK
from bert_tf.text.tokenization import SPECIAL_TOKENS, FullTokenizer

KINDS = [
    "abcABC 12",
    " \t\n\u00a0\u3000\u2028\u0085\x0b\x1c",
    "\x00\ufffd\u200b\u00ad\u200d\ufeff",
    ".,!-$\u2019\u3002\u037e",
    "中国\U00020000\uf900\U0002f800",
    "éÉÅǆǅİSſΣςσΆЙẞ",
    "\u0301\u0301\u0323\u0308\u0345\u093f\u302a\u302e\u302f\U0001d165\U0001d16d\U00016ff0",
    "한국각\u1100\u1161\u11a8がガ\u3099ṩ\U0001d15f\U0001d160",
    "\ud800\ue000\u0378😀€²",
]
EVERY_CHARACTER = sorted({part for kind in KINDS for part in unicodedata.normalize("NFD", kind)})


@pytest.fixture(scope="module")
def vocab_file(tmp_path_factory):
    """Nearly every character is a piece, so that words are divided wherever they can be."""
    path = tmp_path_factory.mktemp("vocab") / "vocab.txt"
    characters = {*"".join(EVERY_CHARACTER + KINDS), *"".join(KINDS).lower(), "\u0307", "\u0131"}
    characters = sorted(x for x in characters if x.strip() and not is_dropped(x) and x != "\ud800")
    words = ["une", "resume", "##ab", "bc", "##bc12", "\u1112\u1161", "##中"]
    rows = [*SPECIAL_TOKENS, *characters, *(f"##{x}" for x in characters if x != "2"), *words]
    path.write_text("\n".join(dict.fromkeys(rows)), encoding="utf-8")
    return str(path)


def random_text(generator: random.Random, length: int) -> str:
    return "".join(generator.choice(generator.choice(KINDS)) for _ in range(length))


EXAMPLES = {
    "plain": ("une bc, C", ["une", "bc", ",", "c"], ["une", "bc", ",", "C"]),
    "upper case": ("RESUME", ["resume"], ["RESUME"]),
    "accents": ("Re\u0301sume\u0301.", ["resume", "."], ["Re\u0301sume\u0301", "."]),
    "one-character accents": ("RÉSUMÉ", ["resume"], ["RÉSUMÉ"]),
    "accent between pieces": ("ze\u0301\u0323b", ["[UNK]"], ["ze\u0301\u0323b"]),
    "accent inside an unknown piece": ("ae\u0301b", ["a", "##e", "##b"], ["a", "e\u0301", "b"]),
    "accent at the start": ("\u0301ab", ["a", "##b"], ["a", "b"]),
    "accent on punctuation": ("!\u0301a", ["!", "a"], ["!\u0301", "a"]),
    "accent on an ideograph": ("中\u0301国", ["中", "国"], ["中\u0301", "国"]),
    "accent after a space": ("a \u0301b", ["a", "b"], ["a", "b"]),
    "accent alone": ("\u0301 \u0323", [], []),
    "longer in lower case": ("aİc", ["a", "##i", "##c"], ["a", "İ", "c"]),
    "ideographs": ("a中国b", ["a", "中", "国", "b"], ["a", "中", "国", "b"]),
    "decomposed": ("한", ["\u1112\u1161", "##\u11ab"], ["한", "한"]),
    "control inside a piece": ("u\u00adn\x00e", ["une"], ["u\u00adn\x00e"]),
    "control between pieces": ("a\u200bc", ["a", "##c"], ["a", "c"]),
    "control at the edges": ("\ufeffune\u200b", ["une"], ["une"]),
    "control between letter and accent": ("e\u200d\u0301", ["e"], ["e\u200d\u0301"]),
    "only a space for Python": ("a\x1cc\x85", ["a", "##c"], ["a", "c"]),
    "line separator": ("a\u2028b", ["a", "b"], ["a", "b"]),
    "unknown word": ("une a2b\u0301!", ["une", "[UNK]", "!"], ["une", "a2b\u0301", "!"]),
    "too long a word": ("a" * 201 + " b", ["[UNK]", "b"], ["a" * 201, "b"]),
    "marks out of order": (
        "a\U0001d16d\U0001d165",  # 216 sorts before 226
        ["a", "##\U0001d165", "##\U0001d16d"],
        ["a", "\U0001d16d\U0001d165", "\U0001d16d\U0001d165"],
    ),
    "nothing": (" \t\u200b", [], []),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_offsets_select_the_source_of_each_token(vocab_file, name):
    text, expected_tokens, expected_sources = EXAMPLES[name]

    tokens, offsets = FullTokenizer(vocab_file).tokenize_with_offsets(text)

    assert tokens == expected_tokens
    assert [text[start:end] for start, end in offsets] == expected_sources


def test_offsets_count_from_the_start_of_the_text(vocab_file):
    tokenizer = FullTokenizer(vocab_file)

    assert tokenizer.tokenize_with_offsets("Une re\u0301sume\u0301!") == (
        ["une", "resume", "!"],
        [(0, 3), (4, 12), (12, 13)],
    )
    assert tokenizer.tokenize_with_offsets(" é \u3000中") == (["e", "中"], [(1, 2), (4, 5)])


def test_offsets_of_accents_that_stay(vocab_file):
    tokenizer = FullTokenizer(vocab_file, do_lower_case=False)

    tokens, offsets = tokenizer.tokenize_with_offsets("\u0301A\u0301 中\u0323É")

    assert tokens == ["\u0301", "##A", "##\u0301", "中", "\u0323", "##É"]
    assert offsets == [(0, 1), (1, 2), (2, 3), (4, 5), (5, 6), (6, 7)]


def test_both_halves_of_a_character_that_lower_casing_doubles_have_it_for_their_source(vocab_file):
    tokenizer = FullTokenizer(vocab_file, do_lower_case=True, strip_accents=False)

    assert tokenizer.tokenize_with_offsets("İb") == (
        ["i", "##\u0307", "##b"],
        [(0, 1), (0, 1), (1, 2)],
    )


def test_offsets_of_bytes_are_those_of_the_decoded_text(vocab_file):
    assert FullTokenizer(vocab_file).tokenize_with_offsets("é a".encode()) == (
        ["e", "a"],
        [(0, 1), (2, 3)],
    )


def test_chunks_end_at_white_space_that_the_tokenizer_sees():
    for char in map(chr, range(0x110000)):
        splits = is_whitespace(char) or (char.isspace() and not is_dropped(char))
        assert (CHUNK.fullmatch(char) is None) == splits, hex(ord(char))


def check_tokens_and_order(tokenizer, text):
    tokens, offsets = tokenizer.tokenize_with_offsets(text)
    assert tokens == tokenizer.tokenize(text)
    assert len(tokens) == len(offsets)
    assert all(0 <= start < end <= len(text) for start, end in offsets)
    for (start, end), (next_start, next_end) in pairwise(offsets):
        assert start <= next_start
        assert end <= next_end
        shared = text[next_start:end]
        assert len(shared) <= 1 or is_one_character_with_marks(shared), (text, shared)
    return tokens, offsets


def is_one_character_with_marks(text):
    return all(unicodedata.category(char)[0] == "M" or is_dropped(char) for char in text[1:])


def check_sources(straightforward, basic, text, tokens, offsets):
    """A token that shares its source with no other one comes out of its source again."""
    shared = {span for pair in pairwise(offsets) if pair[1][0] < pair[0][1] for span in pair}
    for token, (start, end) in zip(tokens, offsets, strict=True):
        words = straightforward.split_into_words(
            text[start:end], basic.do_lower_case, basic.strip_accents
        )
        if (start, end) in shared:
            continue
        assert len(words) == 1, (text, token)
        if token != "[UNK]":  # Alone, a final sigma is none.
            assert words[0].replace("ς", "σ") == token.removeprefix("##").replace("ς", "σ")


def check_nothing_is_lost(straightforward, basic, text, offsets):
    """What lies in no token gives no word."""
    ends = [0, *(end for _, end in offsets)]
    starts = [*(start for start, _ in offsets), len(text)]
    for end, start in zip(ends, starts, strict=True):
        between = text[end:start]
        words = straightforward.split_into_words(between, basic.do_lower_case, basic.strip_accents)
        assert words == [], (text, between)


@pytest.mark.parametrize(
    ("lower", "strip"), [(True, None), (False, None), (True, False), (False, True)]
)
def test_offsets_of_random_texts_keep_the_rules(straightforward, vocab_file, lower, strip):
    tokenizer = FullTokenizer(vocab_file, lower, strip)
    generator = random.Random(4)

    for _ in range(4000):
        text = random_text(generator, generator.randrange(16))
        tokens, offsets = check_tokens_and_order(tokenizer, text)
        check_sources(straightforward, tokenizer.basic_tokenizer, text, tokens, offsets)
        check_nothing_is_lost(straightforward, tokenizer.basic_tokenizer, text, offsets)


@pytest.mark.parametrize("lower", [True, False])
def test_offsets_of_every_code_point_keep_the_rules(vocab_file, lower):
    tokenizer = FullTokenizer(vocab_file, lower)
    points = [x for x in range(0x110000) if unicodedata.category(chr(x)) not in ("Cn", "Co")]

    for first in range(0, len(points), 64):
        text = "".join(f" a{char}B {char}" for char in map(chr, points[first : first + 64]))
        check_tokens_and_order(tokenizer, text)


@pytest.mark.data
@pytest.mark.parametrize(("name", "lower"), [("uncased", True), ("cased", False)])
def test_offsets_in_novels_give_the_tokens_again(data_dir: Path, straightforward, name, lower):
    tokenizer = FullTokenizer(str(data_dir / "vocab" / f"bert_base_{name}.txt"), lower)
    with gzip.open(data_dir / "text" / "novels_eval.txt.gz", "rt", encoding="utf-8") as file:
        for line in list(file)[::20]:
            tokens, offsets = check_tokens_and_order(tokenizer, line)
            check_sources(straightforward, tokenizer.basic_tokenizer, line, tokens, offsets)
