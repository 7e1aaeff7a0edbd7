"""Counting words: right, as the tokenizer makes them, and in bounded memory."""

import gzip
import random
from collections import Counter

import pytest

from bert_tf.text import word_counts
from bert_tf.text.tokenization import BasicTokenizer
from bert_tf.text.word_counts import count_words

WORDS = ["The", "the", "Café", "cafe", "don't", "中国", "so\u00adft", "naïve,", "x" * 200, "\u2028"]


@pytest.fixture
def text_file(tmp_path):
    generator = random.Random(7)
    lines = [" ".join(generator.choices(WORDS, k=generator.randrange(60))) for _ in range(200)]
    lines += ["a" * 201, "b" * 150 + "-" + "c" * 150, "b" * 300 + "." + "d" * 3 + " d", ""]
    path = tmp_path / "text.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("lower", [True, False])
def test_words_are_counted_as_the_tokenizer_makes_them(text_file, lower):
    basic = BasicTokenizer(lower)
    expected = Counter(basic.tokenize(text_file.read_text(encoding="utf-8")))
    expected = Counter({word: count for word, count in expected.items() if len(word) <= 200})

    assert count_words([text_file], lower) == expected
    assert expected["d" * 3] == 1
    assert expected["b" * 150] == 1


@pytest.mark.parametrize("limit", [1, 2, 5, 20])
def test_a_small_store_of_stretches_changes_no_count(text_file, monkeypatch, limit):
    expected = count_words([text_file], True)
    monkeypatch.setattr(word_counts, "_MAX_CHUNKS", limit)

    assert count_words([text_file], True) == expected


def test_several_files_are_counted_together(text_file, tmp_path):
    packed = tmp_path / "text.txt.gz"
    packed.write_bytes(gzip.compress(text_file.read_bytes()))
    read = []

    both = count_words([text_file, packed], True, read.append)

    once = count_words([text_file], True)
    assert both == Counter({word: 2 * count for word, count in once.items()})
    assert sum(read) == text_file.stat().st_size + packed.stat().st_size


def test_where_words_are_too_many_the_rarest_go(tmp_path, monkeypatch):
    monkeypatch.setattr(word_counts, "_MAX_CHUNKS", 30)
    monkeypatch.setattr(word_counts, "_MAX_WORDS", 40)
    path = tmp_path / "text.txt"
    rare = [f"rare{number}" for number in range(500)]
    path.write_text("\n".join(f"common {word} usual common" for word in rare), encoding="utf-8")

    counts = count_words([path], True)

    assert len(counts) <= 40 + 31
    assert counts["common"] == 1000
    assert counts["usual"] == 500


def test_a_file_that_is_not_utf_8_is_named_with_its_line(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes(b"one\ntwo\xff\n")

    with pytest.raises(ValueError, match=r"text\.txt:2: not UTF-8"):
        count_words([path], True)
