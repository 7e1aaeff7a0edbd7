"""--next_sentence=false: records of one segment, by an independent algorithm and by properties."""

import random
from pathlib import Path

import pytest

from bert_tf.data.manifest import read_manifest
from bert_tf.data.records import first_records
from bert_tf.data.schema import parse_examples, pretraining_features, unmasked_pretraining_features
from bert_tf.pretraining_data.program import create_pretraining_data
from bert_tf.settings import PretrainingDataSettings


def create(vocab_file, text, output_file=(), **values):
    return create_pretraining_data(
        PretrainingDataSettings(text, vocab_file, output_file, next_sentence=False, **values)
    )


def tokens_of(vocab_file):
    return Path(vocab_file).read_text("utf-8").splitlines()


def read(path, features):
    del features["next_sentence_labels"]
    return {
        name: tensor.numpy()
        for name, tensor in parse_examples(first_records(path, 10**6), features).items()
    }


def tokenized(straightforward, vocab_file, text):
    vocab = {token: index for index, token in enumerate(tokens_of(vocab_file))}
    tokenize = straightforward("tokenizer").tokenize
    lines = Path(text).read_text("utf-8").splitlines()
    return straightforward("pretraining_data").split_into_documents(
        lines, lambda line: tokenize(line, vocab, True)
    )


def packed(document, wanted):
    """Lists of tokens: sentences as long as they fit; longer ones in pieces, the rest goes on."""
    segments, segment = [], []
    for sentence in document:
        if segment and len(segment) + len(sentence) > wanted:
            segments.append(segment)
            segment = []
        segment = segment + sentence
        while len(segment) > wanted:
            segments.append(segment[:wanted])
            segment = segment[wanted:]
    return [*segments, segment]


@pytest.mark.parametrize(
    "values",
    [
        {"dupe_factor": 3},
        {"dupe_factor": 2, "max_seq_length": 5, "max_predictions_per_seq": 1},
        {"dupe_factor": 2, "max_seq_length": 24, "do_whole_word_mask": True, "short_seq_prob": 0.5},
    ],
)
def test_records_are_those_of_an_independent_implementation(
    tmp_path, toy_vocab, write_text, straightforward, values
):
    text = write_text("text", 25)
    create(toy_vocab, text, str(tmp_path / "records"), **values)
    settings = PretrainingDataSettings(text, toy_vocab, "x", **values)
    module, rng = straightforward("pretraining_data"), random.Random(12345)
    documents, words = tokenized(straightforward, toy_vocab, text), tokens_of(toy_vocab)
    vocab = {token: index for index, token in enumerate(words)}
    rng.shuffle(documents)
    examples = []
    for document in documents * settings.dupe_factor:
        room = settings.max_seq_length - 2
        wanted = rng.randint(2, room) if rng.random() < settings.short_seq_prob else room
        for segment in packed(document, wanted):
            tokens = ["[CLS]", *segment, "[SEP]"]
            hidden = module.hide(
                tokens,
                settings.max_predictions_per_seq,
                settings.masked_lm_prob,
                settings.do_whole_word_mask,
                words,
                rng,
            )
            examples.append({"segments": [0] * len(tokens), "label": 0, **hidden})
    rng.shuffle(examples)
    length, predictions = settings.max_seq_length, settings.max_predictions_per_seq
    expected = [module.arrays_of(example, vocab, length, predictions) for example in examples]
    batch = read(str(tmp_path / "records"), pretraining_features(length, predictions))
    assert len(batch["input_ids"]) == len(expected) > 50
    for name, rows in batch.items():
        assert rows.tolist() == [example[name] for example in expected]


def test_segments_of_the_full_length_hold_each_token_of_the_text_once(
    tmp_path, toy_vocab, write_text, straightforward
):
    text = write_text("text", 20, max_sentences=40)
    report = create(
        *(toy_vocab, text, str(tmp_path / "records")),
        masking="dynamic",
        max_seq_length=64,
        short_seq_prob=0.0,
        do_whole_word_mask=True,
    )
    batch = read(str(tmp_path / "records"), unmasked_pretraining_features(64))
    names = tokens_of(toy_vocab)
    found = []
    for ids, words in zip(batch["input_ids"], batch["word_ids"], strict=True):
        shown = [names[index] for index in ids if names[index] != "[PAD]"]
        assert (shown[0], shown[-1], shown.count("[SEP]")) == ("[CLS]", "[SEP]", 1)
        assert (words[0], words[len(shown) - 1]) == (0, 0)
        assert all(words[1 : len(shown) - 1])
        assert not any(words[len(shown) :])
        found += shown[1:-1]
    documents = tokenized(straightforward, toy_vocab, text)
    assert sorted(found) == sorted(
        token for document in documents for sentence in document for token in sentence
    )
    assert not batch["segment_ids"].any()
    assert not any("random" in line for line in report.lines())


def test_every_token_has_a_number_of_its_own_without_whole_word_masking(
    tmp_path, toy_vocab, write_text
):
    create(toy_vocab, write_text("text", 5), str(tmp_path / "records"), masking="dynamic")
    batch = read(str(tmp_path / "records"), unmasked_pretraining_features(128))
    for mask, words in zip(batch["input_mask"], batch["word_ids"], strict=True):
        inner = mask.sum() - 2
        assert words.tolist() == [0, *range(1, inner + 1), *[0] * (127 - inner)]


def test_shards_do_not_depend_on_the_workers_and_are_kept(tmp_path, toy_vocab, write_text):
    text = write_text("text", 12)
    folders = [str(tmp_path / name) for name in ("one", "two")]
    for num_workers, folder in enumerate(folders, start=1):
        create(toy_vocab, text, output_dir=folder, num_shards=3, num_workers=num_workers)
    for path in sorted(Path(folders[0]).glob("pretraining-*")):
        assert path.read_bytes() == Path(folders[1], path.name).read_bytes()
    assert create(toy_vocab, text, output_dir=folders[0], num_shards=3).num_kept == 3
    (run,) = read_manifest(folders[0])["runs"]
    assert run["settings"]["next_sentence"] is False
    pairs = PretrainingDataSettings(text, toy_vocab, output_dir=folders[0], num_shards=3)
    assert create_pretraining_data(pairs).num_kept == 0


def test_one_document_is_no_problem_without_next_sentences(tmp_path, toy_vocab):
    text = tmp_path / "text"
    text.write_text("a b c.\n\n")
    report = create(toy_vocab, str(text), str(tmp_path / "records"))
    assert report.problems == []
