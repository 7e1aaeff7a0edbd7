"""The tokenizer protocol: what takes a tokenizer works with another class than `FullTokenizer`."""

import numpy as np
import pytest
from offset_passage import OffsetPassage
from toy_tokenizers import ToyTokenizer

from bert_tf.data.records import first_records
from bert_tf.data.schema import parse_examples, pretraining_features
from bert_tf.pretraining_data.record_files import make_records
from bert_tf.pretraining_data.shards import Shard
from bert_tf.settings import PretrainingDataSettings
from bert_tf.text.packing import pack_truncated
from bert_tf.text.tokenizer import Tokenizer, load_tokenizer

TEXT = "Nothing of him that doth fade\nbut doth suffer a sea change\ninto something rich\n"


@pytest.fixture
def toy():
    return ToyTokenizer(TEXT)


def test_both_tokenizers_follow_the_protocol(toy, write_vocab):
    full = load_tokenizer(write_vocab(["sea", "##side"]))
    for tokenizer in (toy, full):
        assert isinstance(tokenizer, Tokenizer)
        assert tokenizer.vocab_size == len(tokenizer.vocab)
    assert full.special_ids == (0, 1, 2, 3, 4)
    assert [full.continues_word(token) for token in ("sea", "##side")] == [False, True]
    assert full.split_words("Sea, side") == ["sea", ",", "side"]
    assert full.join_tokens(["sea", "##side", "sea"]) == "seaside sea"


def tokenizers(toy, write_vocab):
    return toy, load_tokenizer(write_vocab(["sea", "##side", "a", "of", "him", "doth"]))


TEXTS, PAIRS = ["of him", "a seaside", ""], ["that doth doth doth", "", "a"]


@pytest.mark.parametrize("max_length", [3, 6, None])
def test_a_call_packs_as_the_original_does(toy, write_vocab, max_length):
    for tokenizer in tokenizers(toy, write_vocab):
        special = tokenizer.special_ids
        for pairs in (None, PAIRS):
            expected = [
                pack_truncated(
                    *map(tokenizer.encode, both), special.cls, special.sep, max_length or 99
                )
                for both in zip(TEXTS, pairs or [""] * 3, strict=True)
            ]
            lists = tokenizer(TEXTS, pairs, max_length, padding=False)
            assert list(zip(lists["input_ids"], lists["segment_ids"], strict=True)) == expected
            arrays = tokenizer(np.array(TEXTS), pairs, max_length)
            longest = max(len(ids) for ids, _ in expected)
            for number, (ids, segments) in enumerate(expected):
                rest = longest - len(ids)
                assert [*arrays["input_ids"][number]] == [*ids, *[special.pad] * rest]
                assert [*arrays["input_mask"][number]] == [1] * len(ids) + [0] * rest
                assert [*arrays["segment_ids"][number]] == [*segments, *[0] * rest]
            assert {array.dtype for array in arrays.values()} == {np.dtype("int32")}


def test_a_text_alone_has_one_row_and_rows_may_have_a_given_length(toy, write_vocab):
    _, full = tokenizers(toy, write_vocab)
    assert full("seaside")["input_ids"].tolist() == [2, 5, 6, 3]
    assert full("seaside", "a", padding=False)["segment_ids"] == [0, 0, 0, 0, 1, 1]
    assert full(["sea", "a"], max_length=7, padding="max_length")["input_ids"].shape == (2, 7)
    assert full([])["input_ids"].shape == (0, 0)
    assert full(b"sea")["input_ids"].tolist() == [2, 5, 3]


def test_ids_are_decoded_to_text(toy, write_vocab):
    toy, full = tokenizers(toy, write_vocab)
    ids = full(["Seaside, of", "a"])["input_ids"]
    assert full.decode(ids) == ["[CLS] seaside [UNK] of [SEP]", "[CLS] a [SEP] [PAD] [PAD] [PAD]"]
    assert full.decode(ids, skip_special_tokens=True) == ["seaside [UNK] of", "a"]
    assert full.decode(ids[1, 1:2]) == full.decode(iter([7])) == "a"
    assert full.decode([]) == ""
    assert toy.decode(toy("rich")["input_ids"], True) == "rich"
    for wrong in (99, -1):
        with pytest.raises(ValueError, match=f"from 0 to 10. Received: {wrong}"):
            full.decode([5, wrong])
    with pytest.raises(ValueError, match="list of token ids is needed"):
        full.decode(5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["a", None],), "Text 1 must be str or bytes. Received: None"),
        (({"text": "a"},), "A text or a list of texts is needed. Received: dict"),
        ((None,), "Received: NoneType"),
        ((["a", "b"], ["c"]), "Received: 2 and 1"),
        (("a", ["b"], 2), "max_length must be 3 or more"),
        (("a", None, None, "longest"), "padding must be"),
        (("a", None, None, "max_length"), "padding must be"),
    ],
)
def test_a_call_without_texts_is_refused(write_vocab, arguments, message):
    with pytest.raises(ValueError, match=message):
        load_tokenizer(write_vocab(["a"]))(*arguments)


def test_texts_that_are_no_single_text_are_refused_with_what_takes_them(write_vocab):
    tokenizer = load_tokenizer(write_vocab(["a"]))
    for method in (tokenizer.tokenize, tokenizer.encode, tokenizer.tokenize_with_offsets):
        with pytest.raises(ValueError, match="Call the tokenizer itself with several texts"):
            method(["a"])


@pytest.mark.parametrize("whole_words", [False, True])
def test_pretraining_records_are_made_with_another_tokenizer(tmp_path, toy, whole_words):
    text, records = tmp_path / "text", tmp_path / "records"
    text.write_text(f"{TEXT}\n{TEXT}\n")
    settings = PretrainingDataSettings(
        *(str(text), "none", str(records)),
        do_whole_word_mask=whole_words,
        mend_quirks=True,
        max_seq_length=32,
    )
    make_records(settings, toy, Shard("text", [str(text)], [str(records)], seed=1))
    batch = parse_examples(first_records(str(records), 1000), pretraining_features(32, 20))
    for number, ids in enumerate(batch["input_ids"].numpy()):
        length = batch["input_mask"].numpy()[number].sum()
        shown = toy.convert_ids_to_tokens(ids[:length])
        assert (shown[0], shown[-1], shown.count("</s>")) == ("<s>", "</s>", 2)
        is_hidden = batch["masked_lm_weights"].numpy()[number] > 0
        positions = batch["masked_lm_positions"].numpy()[number][is_hidden]
        hidden = toy.convert_ids_to_tokens(batch["masked_lm_ids"].numpy()[number][is_hidden])
        assert hidden
        assert not {"<s>", "</s>"} & set(hidden)
        for position, token in zip(positions, hidden, strict=True):
            shown[position] = token
        words = toy.join_tokens(token for token in shown if token not in ("<s>", "</s>")).split()
        assert len(words) > 1
        if whole_words:  # No word is masked in part.
            rest = [shown[place] for place in positions + 1 if place not in positions]
            assert not any(map(toy.continues_word, rest))
    assert "<mask>" in toy.convert_ids_to_tokens(batch["input_ids"].numpy().flatten())


def test_texts_are_packed_with_the_special_tokens_of_the_tokenizer(toy):
    special = toy.special_ids
    ids, segment_ids = pack_truncated(
        *(toy.encode("him that"), toy.encode("doth")), special.cls, special.sep, 8
    )
    expected = ["<s>", "Ġhi", "m", "Ġth", "</s>", "Ġdo", "th", "</s>"]
    assert toy.convert_ids_to_tokens(ids) == expected
    assert segment_ids == [0] * 5 + [1] * 3


def test_answers_are_cut_out_of_a_passage_by_the_offsets_of_the_tokenizer(toy):
    passage = OffsetPassage("doth suffer  a sea", toy)
    assert toy.convert_ids_to_tokens(passage.ids)[2:5] == ["Ġsu", "ff", "er"]
    assert passage.text(2, 5) == "suffer  a"
