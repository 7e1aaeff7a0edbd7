"""The reference tokenizer against the same rules written a second time, and against the original.

Offsets have their own file, test_offsets.py.
"""

import gzip
import json
import pickle
import random
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from bert_tf.text import tokenization
from bert_tf.text.tokenization import BasicTokenizer, FullTokenizer, WordpieceTokenizer

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ.,;'-!éèñßжя中日"
GOLDEN_VOCABULARIES = {
    "uncased": ("bert_base_uncased.txt", True),
    "cased": ("bert_base_cased.txt", False),
    "chinese": ("bert_base_chinese.txt", True),
}
# A few characters of every kind that the rules know, and a few that they do not.
KINDS = [
    "abzABZ 019",
    " \t\n\r\u00a0\u2003\u3000\u2028\u2029\u0085\x0b\x0c\x1c\x1f",
    "\x00\ufffd\u200b\u00ad\u200d\ufeff\u0007\u007f\U000e0041",
    ".,!?-_$^`~<|>\u2019\u201c\u3002\u061f\u037e\u0387\u1fef\u2e2e",
    "中国字\U00020000\uf900\U0002f800\u3400豈",
    "éÉñÅǆǅİıſKÅßẞﬁΣςσΑΆЙёѐ",
    "\u0301\u0323\u0308\u0327\u0345\u093f\u0941\u302a\u302e\U0001d165\U0001d16d\u0cbe",
    "한국어각\u1100\u1161\u11a8ひらガばカ\u3099ไทยहिन्दीעִבְרִית",
    "\ud800\udfff\ue000\U000f0000\u0378\U0010ffff😀👩🏽€²½™",
]


def random_text(generator: random.Random, length: int) -> str:
    return "".join(generator.choice(generator.choice(KINDS)) for _ in range(length))


@pytest.fixture(scope="module")
def small_vocab(tmp_path_factory):
    """Single letters and pairs, so that words have several pieces and some have none."""
    path = tmp_path_factory.mktemp("vocab") / "vocab.txt"
    letters = sorted({*LETTERS, *"\u1112\u1161\u11ab\u0301\u0c95", *LETTERS.lower()})
    pairs = ["th", "he", "##th", "##he", "##ab", "ab", "\u1112\u1161", "##\u11ab", "##中"]
    rows = [*tokenization.SPECIAL_TOKENS, *letters, *(f"##{x}" for x in letters[::2]), *pairs]
    path.write_text("\n".join(dict.fromkeys(rows)), encoding="utf-8")
    return str(path)


# Words


def test_words_are_lower_cased_without_accents_and_apart_from_punctuation():
    words = BasicTokenizer().tokenize(" \tHeLLo!how  \n Are yoU?  Café-crème ")

    assert words == ["hello", "!", "how", "are", "you", "?", "cafe", "-", "creme"]


def test_case_and_accents_stay_without_lower_casing():
    words = BasicTokenizer(do_lower_case=False).tokenize("HeLLo, Café cafe\u0301")

    assert words == ["HeLLo", ",", "Café", "cafe\u0301"]


def test_accents_can_be_kept_when_lower_casing():
    words = BasicTokenizer(True, strip_accents=False).tokenize("CAFÉ İS")

    assert words == ["café", "i\u0307s"]


def test_accents_can_be_stripped_without_lower_casing():
    assert BasicTokenizer(False, strip_accents=True).tokenize("CAFÉ Ñandú") == ["CAFE", "Nandu"]


def test_ideographs_are_words_but_kana_and_hangul_are_not():
    words = BasicTokenizer(do_lower_case=False).tokenize("ah博推zz ひらがな 한국어")

    assert words == ["ah", "博", "推", "zz", "ひらがな", "한국어"]


def test_control_characters_vanish_inside_words():
    assert BasicTokenizer().tokenize("so\u00adft\x00 a\u200bb\ufffdc \x0b") == ["soft", "abc"]


def test_every_kind_of_space_parts_words():
    spaces = [chr(x) for x in range(0x110000) if unicodedata.category(chr(x)) == "Zs"]

    for space in [*spaces, "\t", "\n", "\r", "\u2028", "\u2029"]:
        assert BasicTokenizer().tokenize(f"a{space}b") == ["a", "b"]


def test_a_final_sigma_is_lower_cased_by_its_place_in_the_word():
    assert BasicTokenizer().tokenize("ΟΔΟΣ ΟΔΟΣ. ΣΑΣ") == ["οδος", "οδος", ".", "σας"]


def test_bytes_are_text_and_other_things_are_not():
    assert BasicTokenizer().tokenize("Caf\u00e9".encode() + b"\xff!") == ["cafe", "!"]
    with pytest.raises(ValueError, match=r"str or bytes\. Received: int"):
        BasicTokenizer().tokenize(7)


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("are_assigned", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_every_code_point_agrees_with_the_rules(straightforward, lower, are_assigned):
    basic = BasicTokenizer(lower)
    characters = [
        char
        for char in map(chr, range(0x110000))
        if (unicodedata.category(char) not in ("Cn", "Co")) == are_assigned
    ]

    for first in range(0, len(characters), 128):
        text = "".join(f" a{char}B {char}" for char in characters[first : first + 128])
        assert basic.tokenize(text) == straightforward.split_into_words(text, lower, lower), text


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("strip", [True, False])
def test_random_texts_agree_with_the_rules(straightforward, lower, strip):
    generator = random.Random(1)
    basic = BasicTokenizer(lower, strip)

    for _ in range(1500):
        text = random_text(generator, generator.randrange(30))
        assert basic.tokenize(text) == straightforward.split_into_words(text, lower, strip)


# Word pieces


def test_the_longest_piece_is_taken_first():
    wordpiece = WordpieceTokenizer(dict.fromkeys(["un", "##aff", "##able", "##af", "u", "[UNK]"]))

    assert wordpiece.tokenize("") == []
    assert wordpiece.tokenize("unaffable") == ["un", "##aff", "##able"]
    assert wordpiece.tokenize("unaffable unaffablex un") == [
        *["un", "##aff", "##able"],
        "[UNK]",
        "un",
    ]


def test_a_word_that_a_greedy_split_does_not_finish_is_unknown():
    wordpiece = WordpieceTokenizer(dict.fromkeys(["abc", "ab", "##cd"]), unk_token="<?>")

    assert wordpiece.tokenize("abcd") == ["<?>"]


def test_a_word_of_more_than_200_characters_is_unknown():
    wordpiece = WordpieceTokenizer({"a": 0, "##a": 1, "[UNK]": 2})

    assert wordpiece.tokenize("a" * 200) == ["a", *["##a"] * 199]
    assert wordpiece.tokenize("a" * 201) == ["[UNK]"]


def test_the_longest_word_can_be_set():
    wordpiece = WordpieceTokenizer({"a": 0, "##a": 1}, "[UNK]", max_input_chars_per_word=2)

    assert wordpiece.tokenize("aa aaa") == ["a", "##a", "[UNK]"]


def test_a_piece_that_looks_like_a_continuation_can_start_a_word():
    # Only WordpieceTokenizer by itself meets this: BasicTokenizer sets "#" apart.
    wordpiece = WordpieceTokenizer(dict.fromkeys(["##a", "##b", "#"]))

    assert wordpiece.tokenize("##a ##ab") == ["##a", "##a", "##b"]
    assert wordpiece.tokenize("#a") == ["#", "##a"]


# From text to ids


def test_text_becomes_pieces_and_ids_and_pieces_again(write_vocab):
    tokenizer = FullTokenizer(
        write_vocab(["want", "##want", "##ed", "wa", "un", "runn", "##ing", ","])
    )

    tokens = tokenizer.tokenize("UNwant\u00e9d,running")

    assert tokens == ["un", "##want", "##ed", ",", "runn", "##ing"]
    assert tokenizer.convert_tokens_to_ids(tokens) == [9, 6, 7, 12, 10, 11]
    assert tokenizer.encode("UNwant\u00e9d,running") == [9, 6, 7, 12, 10, 11]
    assert tokenizer.convert_ids_to_tokens([9, 6, 7, 12, 10, 11]) == tokens


def test_special_tokens_in_the_text_are_plain_text(write_vocab):
    tokenizer = FullTokenizer(write_vocab(["[", "]", "mask"]))

    assert tokenizer.tokenize("[MASK]") == ["[", "mask", "]"]


def test_the_original_s_attributes_are_there(write_vocab):
    tokenizer = FullTokenizer(write_vocab(["a"]), do_lower_case=False)

    assert tokenizer.vocab["a"] == 5
    assert tokenizer.inv_vocab[5] == "a"
    assert tokenizer.basic_tokenizer.do_lower_case is False
    assert tokenizer.wordpiece_tokenizer.max_input_chars_per_word == 200


@pytest.mark.parametrize("lower", [True, False])
def test_ids_of_random_texts_agree_with_the_rules(straightforward, small_vocab, lower):
    generator = random.Random(2)
    tokenizer = FullTokenizer(small_vocab, lower)

    for _ in range(1500):
        text = random_text(generator, generator.randrange(25))
        text += "".join(generator.choice(LETTERS + "  ") for _ in range(generator.randrange(40)))
        pieces = straightforward.tokenize(text, tokenizer.vocab, lower)
        assert tokenizer.tokenize(text) == pieces
        assert tokenizer.encode(text) == tokenizer.convert_tokens_to_ids(pieces)


def test_a_full_cache_changes_nothing(straightforward, small_vocab, monkeypatch):
    monkeypatch.setattr(tokenization, "_MAX_CACHED_CHUNKS", 20)
    monkeypatch.setattr(tokenization, "_MAX_CACHED_CHARACTERS", 6)
    tokenizer = FullTokenizer(small_vocab)
    generator = random.Random(3)
    words = ["".join(generator.choices(LETTERS, k=generator.randrange(1, 10))) for _ in range(300)]

    for word in generator.choices(words, k=2000):
        assert tokenizer.tokenize(word) == straightforward.tokenize(word, tokenizer.vocab, True)
        tokenizer.encode(word)
    assert 0 < len(tokenizer._ids) <= 20
    assert max(map(len, tokenizer._ids)) <= 6


def test_a_tokenizer_can_be_sent_to_another_process(small_vocab):
    tokenizer = FullTokenizer(small_vocab)
    ids = tokenizer.encode("the thief, 中 é")

    copy = pickle.loads(pickle.dumps(tokenizer))

    assert len(copy._ids) == 0
    assert copy.encode("the thief, 中 é") == ids


def test_the_tokenizer_does_not_import_tensorflow():
    program = "import sys, bert_tf.text.tokenization; sys.exit('tensorflow' in sys.modules)"

    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.data
@pytest.mark.parametrize("name", GOLDEN_VOCABULARIES)
def test_ids_agree_with_the_original_s(data_dir: Path, golden_dir: Path, name):
    vocab_file, do_lower_case = GOLDEN_VOCABULARIES[name]
    tokenizer = FullTokenizer(str(data_dir / "vocab" / vocab_file), do_lower_case)
    with gzip.open(golden_dir / "tokenization" / "cases.json.gz", "rt", encoding="utf-8") as file:
        cases = json.load(file)

    assert len(cases) == 2000
    for case in cases:
        assert tokenizer.encode(case["text"]) == case[name], case["text"]
        tokens, offsets = tokenizer.tokenize_with_offsets(case["text"])
        assert tokenizer.convert_tokens_to_ids(tokens) == case[name], case["text"]
        assert len(tokens) == len(offsets)


@pytest.mark.parametrize("lower", [True, False])
def test_ids_of_the_golden_texts_agree_with_the_rules(straightforward, golden_dir: Path, lower):
    name = f"english_{'uncased' if lower else 'cased'}_30522.txt"
    tokenizer = FullTokenizer(str(golden_dir.parents[1] / "vocab" / name), lower)
    with gzip.open(golden_dir / "tokenization" / "cases.json.gz", "rt", encoding="utf-8") as file:
        texts = [case["text"] for case in json.load(file)]

    for text in texts:
        pieces = straightforward.tokenize(text, tokenizer.vocab, lower)
        assert tokenizer.tokenize(text) == pieces
        assert tokenizer.encode(text) == [tokenizer.vocab[piece] for piece in pieces]


def test_words_of_the_golden_texts_agree_with_the_rules(straightforward, golden_dir: Path):
    with gzip.open(golden_dir / "tokenization" / "cases.json.gz", "rt", encoding="utf-8") as file:
        texts = [case["text"] for case in json.load(file)]

    for lower in (True, False):
        basic = BasicTokenizer(lower)
        for text in texts:
            assert basic.tokenize(text) == straightforward.split_into_words(text, lower, lower)
