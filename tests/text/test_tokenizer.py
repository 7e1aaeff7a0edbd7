"""The tokenizer protocol: what takes a tokenizer works with another class than `FullTokenizer`."""

import pytest
from toy_tokenizers import ToyTokenizer

from bert_tf.data.records import first_records
from bert_tf.data.schema import parse_examples, pretraining_features
from bert_tf.pretraining_data.record_files import make_records
from bert_tf.pretraining_data.shards import Shard
from bert_tf.settings import PretrainingDataSettings
from bert_tf.spans.offsets import OffsetPassage
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
