"""ELECTRA's tokenizer: the ids of google-research/electra, in Python and in graphs."""

import gzip
import json

import pytest
from family_golden import family_file

import bert_tf
from bert_tf.text.characters import is_dropped, is_dropped_by_electra
from bert_tf.text.electra_tokenization import ElectraBasicTokenizer
from bert_tf.text.tokenizer import load_tokenizer

RULES = {"uncased": (True, True), "uncased_keep_accents": (True, False), "cased": (False, False)}


@pytest.fixture(scope="module")
def vocab_file():
    return str(family_file("electra/vocab.txt"))


@pytest.fixture(scope="module")
def cases():
    with gzip.open(family_file("electra/tokenization.json.gz"), "rt") as file:
        return json.load(file)


@pytest.mark.parametrize("name", RULES)
def test_ids_are_the_originals(vocab_file, cases, name):
    tokenizer = load_tokenizer(vocab_file, *RULES[name], "electra")
    assert len(cases) == 300
    for case in cases:
        assert tokenizer.encode(case["text"]) == case[name], repr(case["text"])
        pieces, spans = tokenizer.tokenize_with_offsets(case["text"])
        assert tokenizer.convert_tokens_to_ids(pieces) == case[name]
        assert all(0 <= start < end <= len(case["text"]) for start, end in spans)


@pytest.mark.parametrize("name", RULES)
def test_a_graph_gives_the_same_ids_and_spans(vocab_file, cases, name):
    tokenizer = load_tokenizer(vocab_file, *RULES[name], "electra")
    texts = [case["text"] for case in cases]
    texts = [text for text in texts if text == text.encode("utf-8", "ignore").decode()]
    assert len(texts) > 290
    graph = tokenizer.in_graph()
    assert graph.tokenize(texts).to_list() == [tokenizer.encode(text) for text in texts]
    ids, starts, ends = (part.to_list() for part in graph.tokenize_with_offsets(texts))
    for number, text in enumerate(texts):
        pieces, spans = tokenizer.tokenize_with_offsets(text)
        assert ids[number] == tokenizer.convert_tokens_to_ids(pieces)
        assert list(zip(starts[number], ends[number], strict=True)) == spans


def test_unassigned_and_private_characters_are_dropped_and_not_by_bert(vocab_file):
    text = "a\u0378b \ue000c \U000e0080 \U0010ffffd\t\x07e\ufffd"
    basic = ElectraBasicTokenizer()
    assert basic.tokenize(text) == ["ab", "c", "d", "e"]
    assert bert_tf.BasicTokenizer().tokenize(text) != basic.tokenize(text)
    differ = [x for x in map(chr, range(0x110000)) if is_dropped(x) != is_dropped_by_electra(x)]
    assert {"\u0378", "\ue000"} < set(differ)
    assert not set("\t\n\r \u00ad\x00") & set(differ)


def test_capital_sigmas_beside_dropped_characters_are_alike_in_a_graph(vocab_file):
    tokenizer = load_tokenizer(vocab_file, True, None, "electra")
    texts = ["ΑΣ\ue000", "Α\u0378Σ\u0378 b", "ΑΣ\ue000Α", "\ue000Σ"]
    graph = tokenizer.in_graph()
    assert graph.tokenize(texts).to_list() == [tokenizer.encode(text) for text in texts]


def test_the_preprocessor_keeps_the_rule(vocab_file):
    tokenizer = load_tokenizer(vocab_file, True, None, "electra")
    layer = bert_tf.TextPreprocessor(list(tokenizer.vocab), True, drops_unassigned=True)
    again = bert_tf.TextPreprocessor.from_config(layer.get_config())
    expected = tokenizer("the\ue000 man", max_length=128, padding="max_length")["input_ids"]
    assert again("the\ue000 man")["input_ids"].numpy().tolist() == expected.tolist()
