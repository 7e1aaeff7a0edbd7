"""Chinese words: which characters are masked together, whoever finds the words."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from bert_tf.data.schema import parse_examples, pretraining_features, unmasked_pretraining_features
from bert_tf.pretraining_data.program import create_pretraining_data
from bert_tf.pretraining_data.segmentation import continues_word, find_segmenter
from bert_tf.settings import PretrainingDataSettings
from bert_tf.text.tokenization import FullTokenizer

TEXT = "使用语言模型来预测"
LENGTH = 32


@pytest.fixture
def vocab_file(tmp_path):
    """Without 型 and 预, which are [UNK]."""
    pieces = ["bert", "model", "##ing", ".", "20", "##18", *"使用语言模来测词"]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *pieces]
    (tmp_path / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    return str(tmp_path / "vocab.txt")


@pytest.fixture
def words_file(tmp_path):
    (tmp_path / "words.txt").write_text(
        "语言 100 n\n模型\n语言模型\n预测\n使用\n", encoding="utf-8"
    )
    return str(tmp_path / "words.txt")


def words_of(name, text, tokenizer):
    """The text's words, with + between tokens that are masked together."""
    _, spans = tokenizer.tokenize_with_offsets(text)
    flags = continues_word(text, spans, find_segmenter(name)(text))
    parts = zip(spans, flags, strict=True)
    return "".join(f"{'+' if flag else ' '}{text[slice(*span)]}" for span, flag in parts)[1:]


def test_spaces_in_the_text_end_words(vocab_file):
    tokenizer = FullTokenizer(vocab_file)
    found = words_of("spaces", "使用 语言 模型 来bert modeling 预测.20", tokenizer)
    assert found == "使+用 语+言 模+型 来 bert model ing 预+测 . 20"


def test_the_longest_word_of_a_list_is_taken_from_the_left(vocab_file, words_file):
    tokenizer = FullTokenizer(vocab_file)
    assert words_of(words_file, TEXT, tokenizer) == "使+用 语+言+模+型 来 预+测"
    # Not joined over a space or a dropped character, though the list has the word.
    assert words_of(words_file, "预 测预\x00测", tokenizer) == "预 测 预 测"


def test_jieba_finds_words(vocab_file):
    pytest.importorskip("jieba", reason="needs: pip install jieba")
    tokenizer = FullTokenizer(vocab_file)
    found = words_of("jieba", "使用语言模型bert 预测。", tokenizer)
    assert found == "使+用 语+言 模+型 bert 预+测 。"


def make_records(tmp_path, vocab_file, name, features, **settings):
    """The features of all records of a text of a document a line."""
    text = tmp_path / "text.txt"
    text.write_text("".join("使用语言模型modeling.\n来预测 2018\n\n" for _ in range(12)))
    path = str(tmp_path / name)
    create_pretraining_data(
        PretrainingDataSettings(
            input_file=str(text),
            vocab_file=vocab_file,
            output_file=path,
            max_seq_length=LENGTH,
            do_whole_word_mask=True,
            short_seq_prob=0.0,
            **settings,
        )
    )
    records = list(tf.data.TFRecordDataset(path).as_numpy_iterator())
    parsed = parse_examples(records, features)
    return {name: value.numpy() for name, value in parsed.items()}


def test_ids_stay_and_the_words_of_dynamic_masking_are_the_segmenters(
    tmp_path, vocab_file, words_file
):
    features = unmasked_pretraining_features(LENGTH)
    found = {
        name: make_records(
            tmp_path, vocab_file, "a", features, masking="dynamic", word_segmenter=name
        )
        for name in ("", words_file)
    }
    np.testing.assert_array_equal(found[""]["input_ids"], found[words_file]["input_ids"])
    first, *_ = found[words_file]["word_ids"]
    (plain, *_) = found[""]["word_ids"]
    # [CLS] 使 用 语 言 模 型 model ##ing . [SEP] ...
    sentence = [1, 1, 2, 2, 2, 2, 3, 3, 4]
    other = [1, 2, 2, 3, 3]
    assert first[1:10].tolist() in (sentence, other + first[6:10].tolist())
    assert plain[1:5].tolist() == [1, 2, 3, 4]
    assert first.max() < plain.max()


def test_static_masks_take_all_characters_of_a_word(tmp_path, vocab_file, words_file):
    features = pretraining_features(LENGTH, 20)
    found = make_records(
        tmp_path,
        vocab_file,
        "b",
        features,
        word_segmenter=words_file,
        masked_lm_prob=0.5,
        masking_mix="100,0,0",
        dupe_factor=4,
    )
    ids = FullTokenizer(vocab_file).vocab
    num_parted = num_whole = 0
    for row in range(len(found["input_ids"])):
        weights = found["masked_lm_weights"][row] > 0
        positions = found["masked_lm_positions"][row][weights]
        original = found["input_ids"][row].copy()
        original[positions] = found["masked_lm_ids"][row][weights]
        for start in np.flatnonzero(original == ids["使"]):
            if original[start + 1] != ids["用"]:
                continue  # Truncated.
            masked = [place in positions for place in (start, start + 1)]
            num_whole += all(masked)
            num_parted += any(masked) and not all(masked)
    assert num_whole > 5
    assert num_parted == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"word_segmenter": "spaces"}, "--word_segmenter needs --do_whole_word_mask"),
        ({"word_segmenter": "none.txt", "do_whole_word_mask": True}, r"none\.txt"),
    ],
)
def test_settings_that_do_not_fit_are_refused(tmp_path, vocab_file, settings, message):
    (tmp_path / "text.txt").write_text("来\n")
    with pytest.raises((ValueError, OSError), match=message):
        create_pretraining_data(
            PretrainingDataSettings(
                input_file=str(tmp_path / "text.txt"),
                vocab_file=vocab_file,
                output_file=str(tmp_path / "out"),
                **settings,
            )
        )


def test_a_list_without_words_is_refused(tmp_path):
    (tmp_path / "words.txt").write_text("\n \n")
    with pytest.raises(ValueError, match=r"words\.txt: no words"):
        find_segmenter(str(tmp_path / "words.txt"))


def test_jieba_that_is_not_installed_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "jieba", None)
    with pytest.raises(ValueError, match="pip install jieba"):
        find_segmenter("jieba")
