"""Byte-level BPE against OpenAI's encoder and Hugging Face's tokenizer of RoBERTa."""

import gzip
import json
import pickle
from pathlib import Path

import pytest

from bert_tf.text.byte_bpe import ByteBpeTokenizer
from bert_tf.text.tokenizer import load_tokenizer

pytest.importorskip("tokenizers", reason="needs: pip install '.[bpe]'")
FOLDER = Path(__file__).parents[1] / "golden/family/roberta"
CASES = json.loads(gzip.decompress((FOLDER / "cases.json.gz").read_bytes()))


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(str(FOLDER / "vocab.json"), do_lower_case=False)


def test_ids_are_those_of_the_original(tokenizer):
    texts = [case for case in CASES if "original" in case]
    assert len(texts) > 250
    assert [tokenizer.encode(case["text"]) for case in texts] == [c["original"] for c in texts]


def test_tokens_and_text_are_found_again(tokenizer):
    for case in CASES:
        ids = tokenizer.encode(case["text"])
        tokens = tokenizer.tokenize(case["text"])
        assert tokenizer.convert_tokens_to_ids(tokens) == ids
        assert tokenizer.decode(ids) == case["text"]


def test_offsets_cover_the_text_but_white_space(tokenizer):
    for case in CASES:
        text = case["text"]
        tokens, offsets = tokenizer.tokenize_with_offsets(text)
        assert tokens == tokenizer.tokenize(text)
        covered = {place for start, end in offsets for place in range(start, end)}
        assert all(text[place].isspace() for place in set(range(len(text))) - covered)
        assert offsets == sorted(offsets)


def test_offsets_of_words():
    tokenizer = ByteBpeTokenizer(str(FOLDER / "vocab.json"))
    text = "the  thing é"
    tokens, offsets = tokenizer.tokenize_with_offsets(text)
    words = [text[start:end] for start, end in offsets]
    assert "".join(words[:-2]) == "thething"
    assert offsets[-2:] == [(11, 12)] * 2  # Two bytes of one character.
    assert [tokenizer.continues_word(token) for token in tokens[-3:]][-1]


def test_special_tokens_are_known_and_text_has_none(tokenizer):
    assert tokenizer.special_ids == (1, 3, 0, 2, 595)
    assert 595 not in tokenizer.encode("a <mask> b")
    assert tokenizer.decode([0, 595, 2]) == "<s><mask></s>"
    assert not tokenizer.continues_word("<mask>")


def test_a_tokenizer_goes_to_other_processes(tokenizer):
    tokenizer.encode("a text")
    again = pickle.loads(pickle.dumps(tokenizer))
    assert again.encode("a text") == tokenizer.encode("a text")


def test_half_a_surrogate_pair_is_the_replacement_character(tokenizer):
    assert tokenizer.encode("a\ud800b") == tokenizer.encode("a\ufffdb")


def test_tokenizer_json_holds_the_same(tokenizer, tmp_path):
    merges = (FOLDER / "merges.txt").read_text(encoding="utf-8").splitlines()[1:]
    vocab = dict(tokenizer.vocab)
    added = [{"content": name, "id": vocab.pop(name)} for name in ("<mask>",)]
    for form in (str, list):
        pairs = [merge if form is str else merge.split(" ") for merge in merges]
        content = {"model": {"vocab": vocab, "merges": pairs}, "added_tokens": added}
        path = tmp_path / "tokenizer.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        other = ByteBpeTokenizer(str(path))
        assert other.vocab == tokenizer.vocab
        assert other.encode("the thing was there") == tokenizer.encode("the thing was there")


def _copy(folder, change_vocab=None, change_merges=None):
    vocab = json.loads((FOLDER / "vocab.json").read_text(encoding="utf-8"))
    lines = (FOLDER / "merges.txt").read_text(encoding="utf-8").splitlines()
    if change_vocab:
        change_vocab(vocab)
    if change_merges:
        change_merges(lines)
    (folder / "vocab.json").write_text(json.dumps(vocab), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(folder / "vocab.json")


@pytest.mark.parametrize(
    ("change_vocab", "change_merges", "message"),
    [
        (lambda v: v.pop("<mask>"), None, "vocab.json: the vocabulary has no <mask>"),
        (lambda v: v.update({"more": 5}), None, "the ids of its 597 tokens must be 0 to 596"),
        (lambda v: v.update({"more": "5"}), None, "more must be a whole number. Received: '5'"),
        (lambda v: v.update({"xyz": v.pop("a")}), None, "It lacks a"),
        (None, lambda lines: lines.insert(3, "a b c"), "merges.txt:4: a merge is two tokens"),
        (None, lambda lines: lines.insert(3, "Ġwhe Ġwhe"), "merges.txt:4: .*concatenation"),
    ],
)
def test_broken_files_are_refused(change_vocab, change_merges, message, tmp_path):
    path = _copy(tmp_path, change_vocab, change_merges)
    with pytest.raises(ValueError, match=message):
        ByteBpeTokenizer(path)


def test_files_that_are_missing_are_named(tmp_path):
    path = _copy(tmp_path)
    (tmp_path / "merges.txt").unlink()
    with pytest.raises(ValueError, match=r"there is no merges.txt beside it"):
        ByteBpeTokenizer(path)


def test_what_it_cannot_do_is_refused():
    path = str(FOLDER / "vocab.json")
    with pytest.raises(ValueError, match="text is not lower-cased"):
        ByteBpeTokenizer(path, do_lower_case=True)
    with pytest.raises(ValueError, match="TensorFlow's graphs cannot"):
        ByteBpeTokenizer(path).in_graph()
