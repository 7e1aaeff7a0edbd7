"""Examples of full sentences across documents, in settings, records and their masks."""

import random

import numpy as np
import pytest
import tensorflow as tf
from family_golden import family_file

from bert_tf.pretraining_data.documents import Documents
from bert_tf.pretraining_data.full_sentences import FullSentenceMaker
from bert_tf.pretraining_data.program import create_pretraining_data
from bert_tf.settings import PretrainingDataSettings
from bert_tf.text.tokenizer import load_tokenizer

SEP = 2
WORDS = ["the", "thing", "where", "he", "suffered", "2578", "é", "(Mr.)", "usual"]


def settings(**changes):
    values = {
        "input_file": ("text.txt",),
        "vocab_file": str(family_file("roberta/vocab.json")),
        "output_file": ("out.tfrecord",),
        "do_lower_case": False,
        "max_seq_length": 24,
        "max_predictions_per_seq": 4,
        "full_sentences": True,
    }
    return PretrainingDataSettings(**{**values, **changes})


@pytest.fixture(scope="module")
def tokenizer():
    pytest.importorskip("tokenizers", reason="needs: pip install '.[bpe]'")
    return load_tokenizer(str(family_file("roberta/vocab.json")), do_lower_case=False)


@pytest.fixture(scope="module")
def lines():
    rng = random.Random(5)
    lines = []
    for _ in range(12):
        for _ in range(rng.randint(1, 5)):
            lines.append(" ".join(rng.choices(WORDS, k=rng.randint(1, 14))))
        lines.append("")
    return lines


def instances(tokenizer, lines, **changes):
    made = settings(**changes)
    documents = Documents(lines, lambda line: tokenizer.encode(f" {line}"))
    maker = FullSentenceMaker(made, tokenizer, range(tokenizer.vocab_size))
    return list(maker.make(documents, random.Random(3), lambda: None)), documents


def test_all_text_is_there_once_with_a_separator_between_documents(tokenizer, lines):
    found, documents = instances(tokenizer, lines, masking="dynamic")
    starts = documents.sentence_starts
    texts = [documents.tokens[starts[a] : starts[b]] for a, b in documents.documents]
    joined = [instance.tokens[1:-1] for instance in found]
    assert [t for text in joined for t in text if t != SEP] == [t for text in texts for t in text]
    ends = {sum(map(len, texts[:count])) for count in range(1, len(texts))}
    place, separators = 0, 0
    for text in joined:
        assert 0 < len(text) <= 22
        assert SEP not in (text[0], text[-1])
        for token in text:
            separators += token == SEP
            assert token != SEP or place in ends
            place += token != SEP
    assert separators > 1
    assert np.mean([len(text) for text in joined]) > 14


@pytest.mark.parametrize("whole_words", [False, True])
def test_masks_leave_out_separators_and_draw_no_special_tokens(whole_words, tokenizer, lines):
    changes = {"do_whole_word_mask": whole_words, "dupe_factor": 20, "masking_mix": "0,0,100"}
    found, _ = instances(tokenizer, lines, **changes)
    replaced = []
    for instance in found:
        assert len(instance.positions) <= 4
        for place, label in zip(instance.positions, instance.labels, strict=True):
            assert label != SEP
            replaced.append(instance.tokens[place])
    assert len(replaced) > 300
    assert not set(replaced) & set(tokenizer.special_ids)
    assert len(set(replaced)) > 100


def test_whole_words_begin_where_a_space_does(tokenizer, lines):
    found, _ = instances(tokenizer, lines, masking="dynamic", do_whole_word_mask=True)
    for instance in found:
        for place in range(1, len(instance.tokens) - 1):
            token, ids = tokenizer.inv_vocab[instance.tokens[place]], instance.word_ids
            if instance.tokens[place] == SEP:
                assert ids[place] == 0
            elif token.startswith("Ġ"):
                assert ids[place] not in (0, ids[place - 1])
            elif instance.tokens[place - 1] not in (0, SEP):
                assert ids[place] == ids[place - 1]
        numbers = [number for number in instance.word_ids if number]
        assert sorted(set(numbers)) == list(range(1, max(numbers) + 1))


def test_a_sentence_longer_than_an_example_is_divided(tokenizer):
    line = " ".join(["the"] * 50)
    found, _ = instances(tokenizer, [line, "where", "", "usual"], masking="dynamic")
    assert [len(instance.tokens) for instance in found].count(24) >= 2
    assert sum(len(instance.tokens) - 2 for instance in found) == 51 + 1 + len(
        tokenizer.encode(" usual")
    )


@pytest.mark.parametrize("masking", ["static", "dynamic"])
def test_records_have_one_segment_and_no_label(masking, lines, tmp_path):
    pytest.importorskip("tokenizers", reason="needs: pip install '.[bpe]'")
    (tmp_path / "text.txt").write_text("\n".join(lines), encoding="utf-8")
    made = settings(
        input_file=(str(tmp_path / "text.txt"),),
        output_file=(str(tmp_path / "out.tfrecord"),),
        masking=masking,
    )
    create_pretraining_data(made)
    records = [
        tf.train.Example.FromString(record.numpy()).features.feature
        for record in tf.data.TFRecordDataset(str(tmp_path / "out.tfrecord"))
    ]
    assert len(records) > 5
    for features in records:
        assert "next_sentence_labels" not in features
        assert not any(features["segment_ids"].int64_list.value)
        ids = features["input_ids"].int64_list.value
        length = sum(features["input_mask"].int64_list.value)
        assert (ids[0], ids[length - 1]) == (0, SEP)


@pytest.mark.parametrize("changes", [{"ngram": 3}, {"do_span_mask": True}, {"packing": "electra"}])
def test_other_ways_of_making_examples_are_refused(changes):
    with pytest.raises(ValueError, match=f"cannot be combined with|{next(iter(changes))}"):
        settings(**changes)


def test_it_sets_what_it_needs():
    made = settings()
    assert (made.next_sentence, made.mend_quirks, made.short_seq_prob) == (False, True, 0.0)
