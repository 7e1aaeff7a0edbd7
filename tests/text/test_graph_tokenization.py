"""The tokenizer in the graph gives the ids and the offsets of the Python one, whatever the text."""

import gzip
import json
import random
import sys
import unicodedata
from pathlib import Path

import forked_python
import pytest
import tensorflow as tf

from bert_tf.text.characters import CJK_BLOCKS, is_dropped
from bert_tf.text.graph_tokenization import GraphTokenizer
from bert_tf.text.tokenization import SPECIAL_TOKENS, FullTokenizer

VOCAB = Path(__file__).parents[2] / "vocab"
WAYS = [(True, None), (False, None), (True, False), (False, True)]
SIGMAS = "ΣΣΣσςaA. \u0301'\u00ad\u0345ʰ中1Ⅷ\u200bⓐ\u0300\u05bf"
MARKS = (
    "a\u0301\u0323\u302e\u302f\U00016ff0\U0001d165\U0001d16d\U0001d15f\U0001d160"
    "\u1b44\u0cca\u0941.\u00ad中 "
)
KINDS = [
    "abcABC 12",
    " \t\n\r\u00a0\u3000\u2028\u2029\u0085\x0b\x1c",
    "\x00\x7f\ufffd\u200b\u00ad\u200d\ufeff",
    ".,!-$#[]\u2019\u3002\u037e\u1fef",
    "中国\U00020000\uf900\U0002f800",
    "éÉÅǆǅİſΆЙẞﬁ²",
    SIGMAS,
    MARKS,
    "한국각\u1100\u1161\u11a8がガ\u3099ṩ\u0cca\u0ccb\u0f73\u0344",
    "\ue000\u0378\ufffe\U0010ffff😀€",
]


@pytest.fixture(scope="module")
def hard_vocab(tmp_path_factory) -> str:
    """Nearly every character is a piece, so that words are divided wherever they can be."""
    path = tmp_path_factory.mktemp("vocab") / "vocab.txt"
    text = "".join(KINDS) + "b\u0307\u0131"
    characters = {*text, *text.lower(), *unicodedata.normalize("NFD", text.lower() + text)}
    characters = sorted(x for x in characters if x.strip() and not is_dropped(x))
    words = ["une", "##ab", "bc", "##bc12", "\u1112\u1161", "##中", "## a", "##", "####", "[x]"]
    rows = [*SPECIAL_TOKENS, *characters, *(f"##{x}" for x in characters if x != "2"), *words]
    path.write_text("\n".join(dict.fromkeys(rows)), encoding="utf-8")
    return str(path)


class Both:
    """The two tokenizers of one vocabulary."""

    def __init__(self, vocab_file, do_lower_case=True, strip_accents=None):
        self.python = FullTokenizer(vocab_file, do_lower_case, strip_accents)
        self.graph = GraphTokenizer(vocab_file, do_lower_case, strip_accents)

    def assert_agree(self, texts):
        texts = [text if isinstance(text, bytes) else text.encode() for text in texts]
        ids = self.graph.tokenize(texts)
        spans = self.graph.tokenize_with_offsets(texts)
        assert all(rows.dtype == tf.int32 for rows in (ids, *spans))
        with_offsets, starts, ends = (rows.to_list() for rows in spans)
        for text, *actual in zip(texts, ids.to_list(), with_offsets, starts, ends, strict=True):
            tokens, offsets = self.python.tokenize_with_offsets(text)
            expected = self.python.convert_tokens_to_ids(tokens)
            assert actual[0] == expected, ascii(text.decode("utf-8", "ignore"))
            assert actual[1] == expected, ascii(text.decode("utf-8", "ignore"))
            actual_offsets = list(zip(*actual[2:], strict=True))
            assert actual_offsets == offsets, ascii(text.decode("utf-8", "ignore"))


@pytest.fixture(scope="module", params=WAYS, ids=["uncased", "cased", "lower", "strip"])
def both(request, hard_vocab) -> Both:
    return Both(hard_vocab, *request.param)


def random_texts(generator, kinds, number, longest):
    return [
        "".join(
            generator.choice(generator.choice(kinds)) for _ in range(generator.randrange(longest))
        )
        for _ in range(number)
    ]


def test_random_texts_of_hard_characters_agree(both):
    both.assert_agree(random_texts(random.Random(1), KINDS, 6000, 16))


def test_small_batches_agree(both):
    """Most of them lack what is looked for in a batch, as sigmas, in one combination or another."""
    texts = random_texts(random.Random(2), KINDS, 600, 8)

    for first in range(0, 600, 2):
        both.assert_agree(texts[first : first + 2])


def test_capital_sigmas_agree(both):
    both.assert_agree(["ΟΔΟΣ ΟΔΟΣ. ΣΑΣ", "Σ", "AΣ", "ΣA", "A", "Σ", "AΣ\u00ad", "中Σ", "A.Σ.B"])
    both.assert_agree(random_texts(random.Random(3), [SIGMAS], 6000, 9))


def test_marks_that_unicode_reorders_agree(both):
    both.assert_agree(
        ["a\U0001d16d\U0001d165", "a\U0001d165\u0301\U0001d16d\u302e", "\u302e\u0301a"]
    )
    both.assert_agree(random_texts(random.Random(4), [MARKS], 6000, 12))


def random_bytes(generator, number):
    """Bytes of which many are nearly UTF-8."""
    usual = [*b"\x00 Aa.\x7f\x80\x8f\x90\x9f\xa0\xbb\xbd\xbf\xc0\xc2\xc3\xcc\xce\xdf\xe0\xe2\xe4"]
    usual += [*b"\xed\xef\xf0\xf1\xf4\xf5\xf8\xfc\xfe\xff\xa3\xa9\xb8\xad\x81"]
    return [
        bytes(
            generator.choice(usual) if generator.random() < 0.9 else generator.randrange(256)
            for _ in range(generator.randrange(14))
        )
        for _ in range(number)
    ]


def test_bytes_that_are_not_utf_8_are_left_out_as_in_python(both):
    cut = ["né 中😀 ".encode()[:size] for size in range(12)]
    texts = [*cut, *random_bytes(random.Random(5), 6000)]

    both.assert_agree(texts)
    valid = both.graph.valid_text(texts).numpy().tolist()
    assert valid == [text.decode("utf-8", "ignore").encode() for text in texts]


def test_offsets_select_the_source_in_the_valid_text(both):
    texts = tf.constant(["né Ab\u00adc 中国!".encode() + b"\xff x"])

    _, starts, ends = (x.to_tensor()[0] for x in both.graph.tokenize_with_offsets(texts))
    text = tf.repeat(both.graph.valid_text(texts), tf.size(starts))
    sources = tf.strings.substr(text, starts, ends - starts, unit="UTF8_CHAR").numpy()

    expected, offsets = both.python.tokenize_with_offsets(texts.numpy()[0])
    decoded = texts.numpy()[0].decode("utf-8", "ignore")
    assert len(expected) == len(sources)
    assert [x.decode() for x in sources] == [decoded[start:end] for start, end in offsets]


def test_long_words_and_long_texts_agree(both):
    lengths = [98, 99, 100, 101, 199, 200, 201, 202, 1000]
    texts = [
        letter * length + end for length in lengths for letter in "aÉ한😀." for end in ("", " b")
    ]
    texts += ["é" * 199 + "\u00ad\u0301", "İ" * 100, "İ" * 101, "a" * 10_000, "ab 中é," * 2000]

    both.assert_agree(texts)


def test_texts_that_look_like_tokens_agree(both):
    both.assert_agree(["[MASK]", "[UNK] [PAD]", "##a ##", "a##b", "[no_word_3]", "\ufffd\x00a"])


def test_a_batch_may_be_empty_and_so_may_texts(both):
    assert both.graph.tokenize([]).to_list() == []
    assert [x.to_list() for x in both.graph.tokenize_with_offsets([])] == [[], [], []]
    assert both.graph.valid_text([]).shape == (0,)
    both.assert_agree([""])
    both.assert_agree(["", " \t", "\u200b", "é", "", "a", "\u0301", ""])


def code_points(are_named: bool) -> list[int]:
    """Those with a name, and one of many without; or all others. No surrogates, not in UTF-8."""
    ideographs = {x for first, last in CJK_BLOCKS for x in range(first, last + 1)}

    def is_common(x: int) -> bool:
        category = unicodedata.category(chr(x))
        return x % 97 == 0 or (category not in ("Cn", "Co") and x not in ideographs)

    return [x for x in range(0x110000) if is_common(x) == are_named and not 0xD800 <= x < 0xE000]


def assert_code_points_agree(both, points):
    for first in range(0, len(points), 16_384):
        some = [chr(x) for x in points[first : first + 16_384]]
        both.assert_agree([f"a{x}b {x}c" for x in some])


def test_every_code_point_with_a_name_agrees(both):
    assert_code_points_agree(both, code_points(are_named=True))


@pytest.mark.slow
def test_every_other_code_point_agrees(both):
    assert_code_points_agree(both, code_points(are_named=False))


@pytest.mark.parametrize(
    "pieces", [[], ["."], ["##-", "a-b"], ["", "a"], ["##", "## a", "ab", "##b"], ["a" * 300, "a"]]
)
def test_unusual_vocabularies_agree(write_vocab, pieces):
    Both(write_vocab(pieces)).assert_agree(["ab aab . a-b é", "a" * 98, "ab", "a" * 201, "é a"])


def test_random_vocabularies_agree(write_vocab):
    generator = random.Random(6)
    alphabet = "aabbcAB1#-'[].é中\u0301\x01\t\u3000"
    for trial in range(8):
        pieces = {
            generator.choice(["", "##", "##"]) + "".join(generator.choices(alphabet, k=length))
            for length in generator.choices(range(5), k=30)
        }
        vocab_file = write_vocab(sorted({piece.strip() for piece in pieces}))
        texts = random_texts(generator, [alphabet, "abc  "], 200, 30)
        Both(vocab_file, do_lower_case=trial % 2 == 0).assert_agree(texts)


def test_tokens_may_be_given_instead_of_a_file(write_vocab):
    tokens = ["[UNK]", "un", "##aff", ",", "cafe"]

    assert GraphTokenizer(tokens).tokenize(["Unaff, Café"]).to_list() == [[1, 2, 3, 4]]


def test_broken_vocabularies_are_refused(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("[PAD]\na\n", encoding="utf-8")

    with pytest.raises(ValueError, match=r"vocab\.txt:2: .* without \[UNK\]"):
        GraphTokenizer(str(path))
    with pytest.raises(ValueError, match=r"2 tokens, without \[UNK\], repeated: none"):
        GraphTokenizer(["a", "b"])
    with pytest.raises(ValueError, match=r"3 tokens, with \[UNK\], repeated: \['a'\]"):
        GraphTokenizer(["a", "[UNK]", "a"])


@pytest.fixture(scope="module")
def golden_texts(golden_dir: Path) -> list[dict]:
    with gzip.open(golden_dir / "tokenization" / "cases.json.gz", "rt", encoding="utf-8") as file:
        return json.load(file)


@pytest.mark.parametrize(
    ("name", "lower"), [("english_uncased_2000.txt", True), ("english_cased_30522.txt", False)]
)
def test_ids_and_offsets_of_the_golden_texts_agree(golden_texts, name, lower):
    Both(str(VOCAB / name), lower).assert_agree([case["text"] for case in golden_texts])


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "lower"), [("uncased", True), ("cased", False), ("chinese", True)]
)
def test_google_s_vocabularies_give_the_original_s_ids(data_dir, golden_texts, name, lower):
    tokenizer = GraphTokenizer(str(data_dir / "vocab" / f"bert_base_{name}.txt"), lower)
    texts = [case["text"] for case in golden_texts]

    ids = tokenizer.tokenize([text.encode() for text in texts]).to_list()

    assert ids == [case[name] for case in golden_texts]


@pytest.mark.data
@pytest.mark.parametrize("name", ["novels_eval.txt.gz", "wiki.valid.tokens.gz"])
def test_lines_of_real_text_agree(data_dir, name):
    both = Both(str(data_dir / "vocab" / "bert_base_uncased.txt"))
    with gzip.open(data_dir / "text" / name, "rt", encoding="utf-8") as file:
        lines = list(file)[::3]

    for first in range(0, len(lines), 1024):
        both.assert_agree(lines[first : first + 1024])


def test_it_works_in_a_function_and_in_a_dataset(both):
    texts = ["Abc, é", "中国 a", "", "bca"]
    expected = [both.python.encode(text) for text in texts]
    function = tf.function(
        lambda x: both.graph.tokenize(x), input_signature=[tf.TensorSpec([None], tf.string)]
    )
    dataset = tf.data.Dataset.from_tensor_slices(texts).batch(3).map(both.graph.tokenize)

    assert function(tf.constant(texts)).to_list() == expected
    assert [row for batch in dataset for row in batch.to_list()] == expected


LOADING = """
import json, sys
sys.modules["bert_tf"] = None
import tensorflow as tf
import tensorflow_text
model = tf.saved_model.load(sys.argv[1])
texts = json.loads(sys.argv[2])
spans = model.tokenize_with_offsets(texts)
print(json.dumps([
    model.tokenize(texts).to_list(),
    *(rows.to_list() for rows in spans),
    [text.decode() for text in model.valid_text(texts).numpy()],
    model.tokenize(tf.constant([], tf.string)).to_list(),
]))
"""


def test_it_is_saved_and_loaded_without_this_package(hard_vocab, tmp_path):
    both = Both(hard_vocab)
    texts = ["ΑΒΣ e\u0301, 한\u302e", "", "abc"]
    tf.saved_model.save(both.graph, str(tmp_path))

    run = forked_python.run(
        [sys.executable, "-c", LOADING, str(tmp_path), json.dumps(texts)], timeout=120
    )

    assert run.returncode == 0, run.stderr
    ids, *spans, valid, none = json.loads(run.stdout)
    assert ids == [both.python.encode(text) for text in texts]
    assert spans == [rows.to_list() for rows in both.graph.tokenize_with_offsets(texts)]
    assert valid == texts
    assert none == []
