"""The fast way for batches gives the ids of the exact tokenizer, whatever text and vocabulary."""

import gzip
import json
import random
import string
from pathlib import Path

import pytest

from bert_tf.text.batch_tokenization import BatchTokenizer, is_plain

SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = "aabbcAB1#-'[].,!~^"
UNUSUAL = LETTERS + " é中\u0301\x01\t\u3000\u00ad"


@pytest.fixture
def vocab_file(write_vocab):
    characters = string.ascii_letters + string.digits + string.punctuation + "é中"
    pieces = ["the", "##ing", "##er", "in", "In"]
    return write_vocab([*characters, *(f"##{x}" for x in characters if x not in "#xX9"), *pieces])


@pytest.mark.parametrize(
    "text",
    ["", " ", "The king's men, in 1066.", "a\tb\r\n", "~!@#$%^&*()_+`[MASK]", "a" * 99, "a b" * 99],
)
def test_lines_of_ascii_are_plain(text):
    assert is_plain(text)


@pytest.mark.parametrize(
    "text",
    ["é", "a\u00a0b", "a\x00b", "a\x0bb", "a\x7f", "a" * 100, "b " + "a" * 100 + " b", "“a”"],
)
def test_lines_that_the_fast_tokenizer_takes_otherwise_are_not_plain(text):
    assert not is_plain(text)


@pytest.mark.parametrize("lower", [True, False])
def test_plain_and_other_texts_come_back_in_their_order(vocab_file, lower):
    texts = ["The king.", "Café 中国", "", "in\x0bing \u2028 x", "a" * 99, "a" * 100, "a" * 201]
    tokenizer = BatchTokenizer(vocab_file, lower)

    ids = tokenizer.encode_batch(texts * 400)

    assert ids == [tokenizer.exact.encode(text) for text in texts] * 400
    assert all(type(x) is int for row in ids for x in row)


def test_an_empty_batch_is_an_empty_list(vocab_file):
    assert BatchTokenizer(vocab_file).encode_batch([]) == []


def test_the_fast_tokenizer_does_the_plain_lines(vocab_file, monkeypatch):
    tokenizer = BatchTokenizer(vocab_file)
    asked = []
    monkeypatch.setattr(tokenizer.exact, "encode", lambda text: asked.append(text) or [7])

    ids = tokenizer.encode_batch(["the king", "café", "in"])

    assert asked == ["café"]
    assert ids[1] == [7]
    assert ids[0] != [7]


@pytest.mark.parametrize("lower", [True, False])
def test_every_ascii_character_and_every_length_of_word_agree(vocab_file, lower):
    tokenizer = BatchTokenizer(vocab_file, lower)
    characters = [chr(x) for x in range(128)]
    texts = [f"a{x}b {x}{x} B{x}" for x in characters]
    texts += [f"{'a' * length}{end}" for length in range(220) for end in ("", ".", " b", "x")]

    assert tokenizer.encode_batch(texts) == [tokenizer.exact.encode(text) for text in texts]


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("strip", [True, False])
def test_random_texts_agree(vocab_file, lower, strip):
    tokenizer = BatchTokenizer(vocab_file, lower, strip)
    generator = random.Random(5)
    printable = [*map(chr, range(32, 127)), *" " * 20]
    texts = [
        "".join(generator.choices(printable if index % 7 else UNUSUAL, k=generator.randrange(150)))
        for index in range(3000)
    ]

    assert tokenizer.encode_batch(texts) == [tokenizer.exact.encode(text) for text in texts]


@pytest.mark.parametrize("alphabet", ["abcAB1", LETTERS, UNUSUAL])
def test_random_vocabularies_agree(tmp_path, alphabet):
    generator = random.Random(6)
    for trial in range(60):
        pieces = {
            generator.choice(["", "##", "##"]) + "".join(generator.choices(alphabet, k=length))
            for length in generator.choices(range(5), k=30)
        }
        rows = [*SPECIAL_TOKENS, *sorted({piece.strip() for piece in pieces})]
        path = tmp_path / "vocab.txt"
        path.write_text("\n".join(rows) + "\n", encoding="utf-8")
        tokenizer = BatchTokenizer(str(path), do_lower_case=trial % 2 == 0)
        texts = [
            "".join(generator.choices(LETTERS + "   \t\n", k=generator.randrange(40)))
            for _ in range(100)
        ]
        assert tokenizer.encode_batch(texts) == [tokenizer.exact.encode(text) for text in texts]


@pytest.mark.parametrize(
    "pieces", [[], ["."], ["##-", "a-b"], ["", "a"], ["##", "## a", "ab", "##b"], ["a" * 300, "a"]]
)
def test_unusual_vocabularies_agree(write_vocab, pieces):
    tokenizer = BatchTokenizer(write_vocab(pieces))
    texts = ["ab aab . a-b", "a" * 98, "a" * 201, "é a"]

    assert tokenizer.encode_batch(texts) == [tokenizer.exact.encode(text) for text in texts]


def test_a_broken_vocabulary_is_refused(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("[PAD]\na\n", encoding="utf-8")

    with pytest.raises(ValueError, match=r"vocab\.txt:2: .* without \[UNK\]"):
        BatchTokenizer(str(path))


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "lower"), [("uncased", True), ("cased", False), ("chinese", True)]
)
def test_google_s_vocabularies_agree_on_the_golden_texts_and_on_novels(
    data_dir: Path, golden_dir: Path, name, lower
):
    tokenizer = BatchTokenizer(str(data_dir / "vocab" / f"bert_base_{name}.txt"), lower)
    with gzip.open(golden_dir / "tokenization" / "cases.json.gz", "rt", encoding="utf-8") as file:
        cases = json.load(file)
    with gzip.open(data_dir / "text" / "novels_eval.txt.gz", "rt", encoding="utf-8") as file:
        lines = list(file)

    assert tokenizer.encode_batch([case["text"] for case in cases]) == [x[name] for x in cases]
    assert tokenizer.encode_batch(lines) == [tokenizer.exact.encode(line) for line in lines]
