"""Vocabulary files: what is read, what is refused, and the check against a checkpoint's name."""

import gzip
from pathlib import Path

import pytest

from bert_tf.text import vocabulary
from bert_tf.text.tokenization import FullTokenizer

SPECIAL = b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"


@pytest.fixture
def load(tmp_path):
    def load_bytes(content: bytes):
        path = tmp_path / "vocab.txt"
        path.write_bytes(content)
        return vocabulary.load_vocab(path)

    return load_bytes


def test_a_token_s_id_is_its_line_counted_from_zero(load):
    vocab = load(SPECIAL + "cat\n##s\n##ñ\n".encode())

    assert list(vocab.items())[4:] == [("[MASK]", 4), ("cat", 5), ("##s", 6), ("##ñ", 7)]


def test_the_last_line_needs_no_line_feed(load):
    assert load(SPECIAL + b"cat") == load(SPECIAL + b"cat\n")


def test_only_a_line_feed_ends_a_line(load):
    vocab = load(SPECIAL + "a\u2028b\n##\x0b\x0cc\n".encode())

    assert list(vocab)[5:] == ["a\u2028b", "##\x0b\x0cc"]


def test_a_file_whose_lines_end_with_carriage_returns_is_refused_with_that_reason(load):
    with pytest.raises(ValueError, match=r":1: a carriage return within the line.*tr '"):
        load((SPECIAL + b"cat\n").replace(b"\n", b"\r"))


def test_white_space_round_a_token_is_no_part_of_it(load):
    assert list(load(SPECIAL + " cat\t\n##\u2028\n".encode()))[5:] == ["cat", "##"]


def test_windows_line_ends_and_a_byte_order_mark_are_no_part_of_a_token(load):
    assert load(b"\xef\xbb\xbf" + SPECIAL.replace(b"\n", b"\r\n") + b"cat\r\n") == load(
        SPECIAL + b"cat\n"
    )


def test_a_blank_line_keeps_its_id(load):
    assert load(SPECIAL + b"\ncat\n")["cat"] == 6


def test_a_gzipped_vocabulary_is_read(tmp_path):
    path = tmp_path / "vocab.txt.gz"
    path.write_bytes(gzip.compress(SPECIAL + b"cat\n"))

    assert vocabulary.load_vocab(str(path))["cat"] == 5


def test_an_empty_file_is_refused(load):
    with pytest.raises(ValueError, match=r"vocab\.txt:1: the vocabulary is empty"):
        load(b"")


def test_a_token_that_stands_twice_is_refused_with_both_lines(load):
    with pytest.raises(ValueError, match=r"vocab\.txt:8: the token 'cat' stands in line 6 already"):
        load(SPECIAL + b"cat\ndog\ncat\n")


def test_tokens_that_differ_in_white_space_only_are_the_same(load):
    with pytest.raises(ValueError, match=r"vocab\.txt:7: the token 'cat' stands in line 6 already"):
        load(SPECIAL + b"cat\ncat \n")


@pytest.mark.parametrize("token", vocabulary.SPECIAL_TOKENS)
def test_a_missing_special_token_is_refused_with_the_last_line(load, token):
    content = SPECIAL.replace(token.encode() + b"\n", b"") + b"cat\n"

    with pytest.raises(ValueError, match=r"vocab\.txt:5: .* without \[") as error:
        load(content)
    assert f"without {token}." in str(error.value)


def test_bytes_that_are_not_utf_8_are_refused_with_their_line(load):
    with pytest.raises(ValueError, match=r"vocab\.txt:7: not UTF-8: byte 0xe9 at byte 3"):
        load(SPECIAL + b"cat\ncaf\xe9\n")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.txt"):
        vocabulary.load_vocab(str(tmp_path / "nowhere.txt"))


def test_the_tokenizer_refuses_a_broken_vocabulary_too(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_bytes(SPECIAL + b"a\na\n")

    with pytest.raises(ValueError, match=r"vocab\.txt:7: the token 'a'"):
        FullTokenizer(str(path))


def test_every_broken_byte_sequence_names_its_line(load):
    for broken in (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xe2\x82", b"\xf5\x80\x80\x80"):
        with pytest.raises(ValueError, match=r"vocab\.txt:6: not UTF-8"):
            load(SPECIAL + broken + b"\nx\n")


def test_converting_looks_up_every_item():
    assert vocabulary.convert_by_vocab({"a": 3, "b": 5}, ["b", "a", "b"]) == [5, 3, 5]
    assert vocabulary.convert_tokens_to_ids({"a": 3}, ["a"]) == [3]
    assert vocabulary.convert_ids_to_tokens({3: "a"}, [3]) == ["a"]


def test_converting_an_unknown_item_is_an_error():
    with pytest.raises(KeyError, match="c"):
        vocabulary.convert_by_vocab({"a": 3}, ["a", "c"])


UNCASED = ["uncased_L-12_H-768_A-12", "wwm_uncased_L-24_H-1024_A-16", "uncased_L-2_H-128_A-2"]
UNCASED += ["multilingual_L-12_H-768_A-12", "chinese_L-12_H-768_A-12"]
CASED = ["cased_L-12_H-768_A-12", "wwm_cased_L-24_H-1024_A-16", "multi_cased_L-12_H-768_A-12"]


@pytest.mark.parametrize(
    ("name", "is_uncased"), [(n, True) for n in UNCASED] + [(n, False) for n in CASED]
)
def test_a_case_that_does_not_fit_the_released_model_is_refused(name, is_uncased):
    path = f"gs://models/{name}/bert_model.ckpt"
    vocabulary.validate_case_matches_checkpoint(is_uncased, path)

    with pytest.raises(ValueError, match=f"Pass --do_lower_case={is_uncased}"):
        vocabulary.validate_case_matches_checkpoint(not is_uncased, path)


@pytest.mark.parametrize(
    "path",
    [None, "", "model.ckpt-100", "mine/bert_model.ckpt", "my_cased_L-2/bert_model.ckpt", "cased_L"],
)
def test_the_case_of_an_unknown_checkpoint_is_the_user_s_business(path):
    vocabulary.validate_case_matches_checkpoint(True, path)
    vocabulary.validate_case_matches_checkpoint(False, path)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "size"),
    [("bert_base_uncased", 30522), ("bert_base_cased", 28996), ("bert_base_chinese", 21128)],
)
def test_google_s_vocabularies_load(data_dir: Path, name, size):
    vocab = vocabulary.load_vocab(str(data_dir / "vocab" / f"{name}.txt"))

    assert len(vocab) == size
    assert list(vocab.values()) == list(range(size))
    assert [vocab[token] for token in vocabulary.SPECIAL_TOKENS] == [0, 100, 101, 102, 103]


@pytest.mark.parametrize(
    ("words", "do_lower_case", "message"),
    [
        (["Apple", "pear"], True, "cased model. Pass --do_lower_case=False"),
        (["apple", "pear"], False, "uncased model. Pass --do_lower_case=True"),
        (["Apple", "pear"], False, None),
        (["apple", "pear"], True, None),
    ],
)
def test_a_vocabulary_tells_whether_it_is_cased(words, do_lower_case, message):
    vocab = {f"{word}{i}": i for i in range(1000) for word in words}
    if message is None:
        vocabulary.check_vocabulary(vocab, "vocab.txt", do_lower_case)
    else:
        with pytest.raises(ValueError, match=message):
            vocabulary.check_vocabulary(vocab, "vocab.txt", do_lower_case)


def test_a_small_vocabulary_tells_nothing():
    vocabulary.check_vocabulary({"Apple": 0}, "vocab.txt", do_lower_case=True)


def test_an_empty_line_of_a_vocabulary_is_a_token_and_no_word():
    vocab = {"": 0, **{f"apple{i}": i + 1 for i in range(1000)}}
    vocabulary.check_vocabulary(vocab, "vocab.txt", do_lower_case=True)
