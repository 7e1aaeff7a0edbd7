"""ALBERT's tokenizer agrees with google-research/albert, in Python and in a graph."""

import gzip
import json
import pickle
import random
import subprocess
import sys
import unicodedata

import forked_python
import pytest
import tensorflow as tf
from family_golden import family_file

from bert_tf.text import sentencepiece_tokenization
from bert_tf.text.piece_text import align, normalize
from bert_tf.text.sentencepiece_model import read_pieces
from bert_tf.text.sentencepiece_tokenization import SentencePieceTokenizer
from bert_tf.text.tokenizer import Tokenizer, load_tokenizer

MODEL = str(family_file("albert/spm.model"))
CASES = json.loads(gzip.decompress(family_file("albert/tokenization.json.gz").read_bytes()))
LOWER_CASE = (True, False)
HARD = (
    *(
        "",
        " ",
        "\u2581",
        "a\u2581b",
        'x-y (z) "q" 5.',
        "<pad>[CLS]<unk>",
        "\u0301",
        "e\u0301 \u0301",
    ),
    *(
        "12,000,5, and 7,",
        "\uff11\uff12\uff0c x\u00b2, 3\u2083,",
        "9,,",
        ",9,9,",
        "\u0663\u0664, 5,",
    ),
    *(
        "\u0391\u03a3 \u03a3\u0391\u03a3. \u03a3",
        "\u0130I\u0307\u0131",
        "\ufb01\ufb03 \u00bd \u33a2",
        "\u00b4 \u00a8a\u00b4b",
    ),
    *(
        "\ud55c\uad6d\uc5b4 5, \u1112\u1161\u11ab5,",
        "\u2003a\u3000b\u00a0c\x1fd\x85e\u2028f",
        "\x00\x01\x7f\u200b\u200d\ufeff",
    ),
    *("a" * 300, "\u0301" * 50 + "a", "AbC\u03a3\u0301\u00adD", "\ufffd\U0010ffff\U0001f600"),
)


def hard_texts(count=300, seed=7):
    """Texts of characters that normalization treats differently, numbers and golden words."""
    rng = random.Random(seed)
    alphabets = [
        [chr(x) for x in range(0x250)],
        [chr(x) for x in range(0x110000) if unicodedata.decomposition(chr(x))],
        [chr(x) for x in range(0x110000) if unicodedata.combining(chr(x))],
        [chr(x) for x in range(0x110000) if chr(x).isspace()],
        list("0123456789,,, .-$\u20ac\u2581\u03a3\u03c3\u0130\u00df"),
        [*"abcdefghijklmnopqrstuvwxyz  ,;'"],
    ]
    words = [word for case in CASES for word in case["text"].split()]
    texts = list(HARD)
    while len(texts) < count:
        parts = [
            rng.choice(words) if rng.random() < 0.2 else rng.choice(rng.choice(alphabets))
            for _ in range(rng.randint(1, 40))
        ]
        texts.append("".join(parts).encode("utf-8", "ignore").decode("utf-8"))
    return texts


TEXTS = [*(case["text"] for case in CASES), *hard_texts()]


@pytest.fixture(scope="module")
def tokenizers():
    return {lower: SentencePieceTokenizer(MODEL, lower) for lower in LOWER_CASE}


@pytest.fixture(params=["sentencepiece", "tensorflow-text"])
def library(request, monkeypatch):
    """Both libraries; that of the same name is not always installed."""
    if request.param == "sentencepiece":
        pytest.importorskip("sentencepiece", reason="needs: pip install sentencepiece")
    else:
        monkeypatch.setattr(
            sentencepiece_tokenization, "_divider", sentencepiece_tokenization._of_tensorflow
        )


def test_all_golden_strings_have_the_originals_ids(library):
    uncased, cased = (SentencePieceTokenizer(MODEL, lower) for lower in LOWER_CASE)
    assert len(CASES) == 500
    for case in CASES:
        text = case["text"]
        assert uncased.tokenize(text) == case["pieces"]
        assert uncased.encode(text) == case["uncased"]
        assert cased.encode(text) == case["cased"]
        as_it_is = [piece.text for piece in cased.divide(text)]
        assert cased.convert_tokens_to_ids(as_it_is) == case["raw"]


@pytest.mark.parametrize("lower", LOWER_CASE)
def test_a_graph_gives_the_same_ids_and_offsets(lower, tokenizers):
    tokenizer = tokenizers[lower]
    graph = tokenizer.in_graph()
    ids, starts, ends = graph.tokenize_with_offsets(TEXTS)
    assert graph.tokenize(TEXTS).to_list() == ids.to_list()
    spans = zip(ids.to_list(), starts.to_list(), ends.to_list(), strict=True)
    for text, (row, *of_row) in zip(TEXTS, spans, strict=True):
        pieces, offsets = tokenizer.tokenize_with_offsets(text)
        assert row == tokenizer.convert_tokens_to_ids(pieces) == tokenizer.encode(text), text
        assert list(zip(*of_row, strict=True)) == offsets, text


def test_a_graph_takes_no_texts_and_bytes_that_are_not_utf_8(tokenizers):
    graph = tokenizers[True].in_graph()
    assert graph.tokenize(tf.zeros([0], tf.string)).shape == (0, None)
    text = b"the \xff\xfe cat\xe2\x96"
    assert graph.tokenize([text]).to_list() == [tokenizers[True].encode(text)]


def test_a_saved_model_without_this_package_gives_the_originals_ids(tmp_path, tokenizers):
    folder = tmp_path / "saved"
    tf.saved_model.save(tokenizers[True].in_graph(), str(folder))
    (tmp_path / "texts.json").write_text(json.dumps(TEXTS))
    code = (
        "import json, sys, pathlib, tensorflow as tf, tensorflow_text\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "texts = json.loads((folder / 'texts.json').read_text())\n"
        "ids = tf.saved_model.load(str(folder / 'saved')).tokenize(texts).to_list()\n"
        "(folder / 'ids.json').write_text(json.dumps(ids))\n"
        "assert 'bert_tf' not in sys.modules\n"
    )
    run = forked_python.run([sys.executable, "-c", code, tmp_path], cwd=tmp_path)
    assert run.returncode == 0, run.stderr[-2000:]
    ids = json.loads((tmp_path / "ids.json").read_text())
    assert ids[: len(CASES)] == [case["uncased"] for case in CASES]
    assert ids == [tokenizers[True].encode(text) for text in TEXTS]


@pytest.mark.parametrize("lower", LOWER_CASE)
def test_offsets_are_of_the_original_text(lower, tokenizers):
    tokenizer = tokenizers[lower]
    for text in TEXTS:
        pieces, offsets = tokenizer.tokenize_with_offsets(text)
        assert all(0 <= start <= end <= len(text) for start, end in offsets)
        assert [start for start, _ in offsets] == sorted(start for start, _ in offsets)
        for piece, (start, end) in zip(pieces, offsets, strict=True):
            word = piece.removeprefix("\u2581")
            source = text[start:end]
            if word.isascii() and word.isalnum() and source.isascii() and source.isprintable():
                assert normalize(source, lower) == word


def test_offsets_leave_out_white_space_and_keep_accents(tokenizers):
    pieces, offsets = tokenizers[True].tokenize_with_offsets("  The\tca\u0301t,  12,000, X")
    assert "".join(pieces) == "\u2581the\u2581cat,\u258112,000,\u2581x"
    spans = dict(zip(pieces, offsets, strict=True))
    assert spans["\u2581the"] == (2, 5)
    assert spans["at"] == (7, 10)
    assert spans["000"] == (16, 19)
    assert offsets[-1] == (21, 22)


def test_normalized_characters_keep_their_source():
    text = "\tCafe\u0301  \ufb01n\n"
    for lower in LOWER_CASE:
        characters = align(text, lower)
        assert "".join(char.char for char in characters) == normalize(text, lower)
    assert normalize(text, True) == "cafe fin"
    assert [(c.start, c.end) for c in characters if c.char in "ei"] == [(4, 6), (8, 9)]
    for text in TEXTS:
        assert "".join(c.char for c in align(text, True)) == normalize(text, True)


def test_it_is_a_tokenizer_chosen_by_the_files_name(tokenizers):
    tokenizer = load_tokenizer(MODEL)
    assert isinstance(tokenizer, Tokenizer)
    assert isinstance(tokenizer, SentencePieceTokenizer)
    assert tokenizer.special_ids == (0, 1, 2, 3, 4)
    assert tokenizer.vocab_size == 400
    assert list(tokenizer.vocab.values()) == list(range(400))
    assert not tokenizer.continues_word("\u2581the")
    assert tokenizer.continues_word("the")
    assert tokenizer.split_words(" The\tc\u00e1t ") == ["the", "cat"]
    assert tokenizer.decode(tokenizer.encode("the cat")) == "the cat"
    features = tokenizer(["the cat", "a"], max_length=6)
    assert features["input_ids"][1].tolist()[-1] == 0
    assert tokenizer.decode(features["input_ids"][1]).startswith("[CLS] a [SEP]")
    again = pickle.loads(pickle.dumps(tokenizer))
    assert again.encode("the cat") == tokenizer.encode("the cat")


def test_plain_tokenization_needs_no_tensorflow():
    pytest.importorskip("sentencepiece", reason="needs: pip install sentencepiece")
    code = (
        "import sys\n"
        "from bert_tf.text.tokenizer import load_tokenizer\n"
        f"assert load_tokenizer({MODEL!r}).encode('the cat')\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_damaged_and_other_files_are_refused(tmp_path):
    model = family_file("albert/spm.model").read_bytes()
    path = tmp_path / "x.model"
    for content, message in (
        (model[:5000], "damaged"),
        (b"the\ncat\n", "plain text, where a SentencePiece model is needed"),
        (b"", "an empty file"),
        (b"\x80" * 50, "not a SentencePiece model"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            SentencePieceTokenizer(str(path))
    path.write_bytes(model.replace(b"[MASK]", b"[MUSK]"))
    with pytest.raises(ValueError, match=r"has no piece \[MASK\]"):
        SentencePieceTokenizer(str(path))
    assert len(read_pieces("x", model)) == 400
