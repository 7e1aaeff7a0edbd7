"""From text files to record files: the original's bytes, shards, manifests and bad input."""

import dataclasses
import gzip
import hashlib
import io
import os
import random
from pathlib import Path

import pytest

from bert_tf.data.manifest import described_files, read_manifest
from bert_tf.data.schema import parse_examples, pretraining_features, unmasked_pretraining_features
from bert_tf.pretraining_data import record_files
from bert_tf.pretraining_data.program import create_pretraining_data
from bert_tf.pretraining_data.shards import shard_seed
from bert_tf.settings import PretrainingDataSettings


def create(vocab_file, input_file, output_file=(), **values):
    return create_pretraining_data(
        PretrainingDataSettings(input_file, vocab_file, output_file, **values)
    )


def lines_of(*paths):
    return [line for path in paths for line in Path(path).read_text("utf-8").splitlines()]


@pytest.fixture
def create_straightforwardly(straightforward, tmp_path):
    """Makes the records by the algorithm as it was published, through protobuf."""

    def create(vocab_file, lines, num_files, do_lower_case=True, **values):
        vocab = {token: index for index, token in enumerate(lines_of(vocab_file))}
        tokenizer = straightforward("tokenizer")
        paths = [str(tmp_path / f"straightforward-{number}") for number in range(num_files)]
        straightforward("pretraining_data").create(
            lines,
            lambda line: tokenizer.tokenize(line, vocab, do_lower_case),
            vocab,
            paths,
            **values,
        )
        return [Path(path).read_bytes() for path in paths]

    return create


def read_records(path, features, compression=""):
    import tensorflow as tf

    records = list(tf.data.TFRecordDataset(str(path), compression).as_numpy_iterator())
    return {name: tensor.numpy() for name, tensor in parse_examples(records, features).items()}


SPECIAL = ("[UNK]", "[CLS]", "[SEP]", "[MASK]")
CASES = {
    "defaults": {},
    "another seed": {"random_seed": 7, "dupe_factor": 3},
    "whole words": {"do_whole_word_mask": True, "max_seq_length": 32, "dupe_factor": 2},
    "short": {"max_seq_length": 5, "max_predictions_per_seq": 1, "dupe_factor": 2},
    "many masks": {"masked_lm_prob": 0.9, "max_predictions_per_seq": 60, "dupe_factor": 2},
    "cased": {"do_lower_case": False, "short_seq_prob": 0.5, "dupe_factor": 2},
    "long": {"max_seq_length": 200, "max_predictions_per_seq": 30, "dupe_factor": 2},
}


@pytest.mark.parametrize("values", CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize("num_files", [1, 3])
def test_records_are_the_originals(
    tmp_path, toy_vocab, write_text, create_straightforwardly, num_files, values
):
    texts = [write_text("a.txt", 9, seed=1), write_text("b.txt", 4, seed=2)]
    paths = [str(tmp_path / f"records-{number}") for number in range(num_files)]
    report = create(toy_vocab, texts, paths, **values)
    made = [Path(path).read_bytes() for path in paths]
    assert made == create_straightforwardly(toy_vocab, lines_of(*texts), num_files, **values)
    assert report.paths == paths


@pytest.mark.parametrize("do_whole_word_mask", [False, True])
def test_records_of_many_small_corpora_are_the_originals(
    tmp_path, toy_vocab, write_text, create_straightforwardly, do_whole_word_mask
):
    for seed in range(15):
        rng = random.Random(seed)
        text = write_text("text", rng.randint(1, 5), seed, max_sentences=rng.choice([1, 3, 12]))
        values = {
            "random_seed": seed,
            "dupe_factor": rng.choice([1, 2, 7]),
            "max_seq_length": rng.choice([8, 24, 128]),
            "max_predictions_per_seq": rng.choice([2, 20]),
            "masked_lm_prob": rng.choice([0.15, 0.4]),
            "do_whole_word_mask": do_whole_word_mask,
        }
        create(toy_vocab, text, str(tmp_path / "ours"), **values)
        (expected,) = create_straightforwardly(toy_vocab, lines_of(text), 1, **values)
        assert (tmp_path / "ours").read_bytes() == expected, values


def test_patterns_are_expanded_sorted_and_a_file_named_twice_is_read_twice(
    tmp_path, toy_vocab, write_text, create_straightforwardly
):
    a, b = write_text("x-1.txt", 3, seed=1), write_text("x-0.txt", 3, seed=2)
    create(toy_vocab, f"{tmp_path}/x-*.txt,{a}", str(tmp_path / "ours"), dupe_factor=1)
    lines = lines_of(b, a, a)
    (expected,) = create_straightforwardly(toy_vocab, lines, 1, dupe_factor=1)
    assert (tmp_path / "ours").read_bytes() == expected


GOLDEN = {
    "default": (
        ["text_a.txt", "text_b.txt"],
        "uncased",
        ["default-0.tfrecord", "default-1.tfrecord"],
        {"dupe_factor": 2},
    ),
    "whole words": (
        ["text_b.txt"],
        "uncased",
        ["wwm.tfrecord"],
        {
            "do_whole_word_mask": True,
            "dupe_factor": 3,
            "max_seq_length": 64,
            "max_predictions_per_seq": 10,
            "random_seed": 7,
        },
    ),
    "cased": (
        ["text_b.txt"],
        "cased",
        ["cased.tfrecord"],
        {
            "do_lower_case": False,
            "dupe_factor": 2,
            "max_seq_length": 48,
            "max_predictions_per_seq": 5,
            "masked_lm_prob": 0.2,
            "short_seq_prob": 0.5,
        },
    ),
}


@pytest.mark.data
@pytest.mark.parametrize("case", GOLDEN.values(), ids=GOLDEN.keys())
def test_files_have_the_bytes_that_the_original_release_wrote(tmp_path, golden_dir, data_dir, case):
    texts, vocab, names, values = case
    golden = golden_dir / "pretraining_data"
    vocab_file = str(data_dir / "vocab" / f"bert_base_{vocab}.txt")
    paths = [str(tmp_path / name) for name in names]
    create(vocab_file, [str(golden / text) for text in texts], paths, **values)
    for name in names:
        assert (tmp_path / name).read_bytes() == (golden / name).read_bytes(), name


def test_gzipped_text_gives_the_records_of_the_plain_one(tmp_path, toy_vocab, write_text):
    text = Path(write_text("text", 5))
    (tmp_path / "text.gz").write_bytes(gzip.compress(text.read_bytes()))
    create(toy_vocab, str(text), str(tmp_path / "plain"))
    create(toy_vocab, f"{text}.gz", str(tmp_path / "packed"))
    assert (tmp_path / "plain").read_bytes() == (tmp_path / "packed").read_bytes()


def test_gzipped_records_are_the_plain_ones(tmp_path, toy_vocab, write_text):
    text = write_text("text", 5)
    create(toy_vocab, text, str(tmp_path / "plain"))
    create(toy_vocab, text, str(tmp_path / "packed.gz"), gzip=True)
    packed = (tmp_path / "packed.gz").read_bytes()
    assert gzip.decompress(packed) == (tmp_path / "plain").read_bytes()
    create(toy_vocab, text, str(tmp_path / "packed.gz"), gzip=True)
    assert (tmp_path / "packed.gz").read_bytes() == packed


def shards_in(folder):
    """The record files of a folder, by name."""
    return {path.name: path.read_bytes() for path in sorted(Path(folder).glob("*.tfrecord*"))}


def test_shards_do_not_depend_on_the_number_of_workers(tmp_path, toy_vocab, write_text):
    texts = [write_text("a", 10, seed=1), write_text("b", 13, seed=2)]
    for workers in (1, 2, 3):
        folder = str(tmp_path / f"by-{workers}")
        create(toy_vocab, texts, output_dir=folder, num_shards=4, num_workers=workers)
    shards = shards_in(tmp_path / "by-1")
    assert list(shards) == [f"pretraining-{n:05d}-of-00004.tfrecord" for n in range(4)]
    assert all(shards.values())
    assert shards_in(tmp_path / "by-2") == shards
    assert shards_in(tmp_path / "by-3") == shards
    assert len(os.listdir(tmp_path / "by-3")) == 5  # The manifest, and nothing else.
    manifests = [read_manifest(str(tmp_path / f"by-{n}"))["runs"][0] for n in (1, 2)]
    assert manifests[0]["files"] == manifests[1]["files"]
    assert manifests[0]["statistics"] == manifests[1]["statistics"]


def test_a_shard_is_the_corpus_of_its_documents_made_with_its_own_seed(
    tmp_path, toy_vocab, write_text
):
    text = write_text("text", 10)
    create(toy_vocab, text, output_dir=str(tmp_path / "shards"), num_shards=3)
    documents = Path(text).read_text().strip().split("\n\n")
    assert len(documents) == 10
    for shard, content in enumerate(shards_in(tmp_path / "shards").values()):
        part = tmp_path / "part"
        part.write_text("\n\n".join(documents[shard::3]))
        seed = shard_seed(12345, shard)
        create(toy_vocab, str(part), str(tmp_path / "alone"), random_seed=seed)
        assert (tmp_path / "alone").read_bytes() == content


def test_one_shard_has_the_original_records(tmp_path, toy_vocab, write_text):
    text = write_text("text", 5)
    create(toy_vocab, text, str(tmp_path / "file"))
    create(toy_vocab, text, output_dir=str(tmp_path / "folder"))
    folder = shards_in(tmp_path / "folder")
    assert folder == {"pretraining-00000-of-00001.tfrecord": (tmp_path / "file").read_bytes()}


def test_no_two_shards_of_any_seed_share_their_chance():
    seeds = {shard_seed(seed, shard) for seed in range(-5, 50) for shard in range(100)}
    assert len(seeds) == 55 * 100
    assert shard_seed(12345, 0) == 12345
    assert shard_seed(12345, 3) == shard_seed(12345, 3)


def test_shards_of_another_run_are_not_mixed_with_new_ones(tmp_path, toy_vocab, write_text):
    text = write_text("text", 5)
    folder = str(tmp_path / "shards")
    create(toy_vocab, text, output_dir=folder, num_shards=2)
    before = shards_in(folder)
    with pytest.raises(ValueError, match=r"holds shards of another run.*num_shards=3.*of-00002"):
        create(toy_vocab, text, output_dir=folder, num_shards=3)
    with pytest.raises(ValueError, match="holds shards of another run"):
        create(toy_vocab, text, output_dir=folder, num_shards=2, gzip=True)
    assert shards_in(folder) == before
    create(toy_vocab, text, output_dir=folder, num_shards=2)
    assert shards_in(folder) == before


def test_a_run_that_is_ended_leaves_no_entry_that_is_about_an_older_file(
    tmp_path, toy_vocab, write_text, monkeypatch
):
    text = write_text("text", 6)
    folder = str(tmp_path / "shards")
    create(toy_vocab, text, output_dir=folder, num_shards=3)
    before = shards_in(folder)
    make, calls = record_files.make_records, []

    def ended_at_the_second(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return make(*arguments)

    monkeypatch.setattr(record_files, "make_records", ended_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        create(toy_vocab, text, output_dir=folder, num_shards=3, random_seed=7)
    after, names = shards_in(folder), list(before)
    assert after[names[0]] != before[names[0]]
    assert [after[name] for name in names[1:]] == [before[name] for name in names[1:]]
    (run,) = read_manifest(folder)["runs"]
    assert [entry["name"] for entry in run["files"]] == names[1:]


@pytest.mark.parametrize("text", ["", "a\n\udcff\n"])
def test_a_run_that_fails_before_its_files_are_whole_leaves_the_manifest(
    tmp_path, toy_vocab, write_text, text
):
    create(toy_vocab, write_text("good", 3), str(tmp_path / "records"))
    before = (tmp_path / "manifest.json").read_bytes()
    (tmp_path / "bad").write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(ValueError, match=r"no text|not UTF-8"):
        create(toy_vocab, str(tmp_path / "bad"), str(tmp_path / "records"))
    assert (tmp_path / "manifest.json").read_bytes() == before


def test_more_shards_than_documents_are_refused_and_nothing_is_left(
    tmp_path, toy_vocab, write_text
):
    with pytest.raises(ValueError, match="num_shards=6, and text with 5 documents"):
        create(toy_vocab, write_text("text", 5), output_dir=str(tmp_path / "o"), num_shards=6)
    assert os.listdir(tmp_path / "o") == []


def test_a_record_holds_a_pair_with_hidden_tokens(tmp_path, toy_vocab, write_text):
    create(toy_vocab, write_text("text", 20), str(tmp_path / "records"), max_seq_length=48)
    batch = read_records(tmp_path / "records", pretraining_features(48, 20))
    vocab = {token: index for index, token in enumerate(lines_of(toy_vocab))}
    ids, lengths = batch["input_ids"], batch["input_mask"].sum(axis=1)
    assert (ids[:, 0] == vocab["[CLS]"]).all()
    assert (ids[range(len(ids)), lengths - 1] == vocab["[SEP]"]).all()
    counts = batch["masked_lm_weights"].sum(axis=1)
    assert counts.min() >= 1
    assert set(batch["next_sentence_labels"].ravel()) == {0, 1}
    share = (ids == vocab["[MASK]"]).sum() / counts.sum()
    assert 0.75 < share < 0.85


def test_records_for_dynamic_masking_are_the_unmasked_pairs(tmp_path, toy_vocab, write_text):
    text = write_text("text", 20)
    values = {"max_seq_length": 48, "do_whole_word_mask": True}
    report = create(toy_vocab, text, str(tmp_path / "a"), masking="dynamic", **values)
    batch = read_records(tmp_path / "a", unmasked_pretraining_features(48))
    tokens = lines_of(toy_vocab)
    assert tokens.index("[MASK]") not in batch["input_ids"]
    for ids, words in zip(batch["input_ids"], batch["word_ids"], strict=True):
        names = [tokens[index] for index in ids]
        for place, word in enumerate(words):
            assert (word == 0) == (names[place] in ("[CLS]", "[SEP]", "[PAD]"))
            if word and names[place].startswith("##") and words[place - 1]:
                assert word == words[place - 1]
    # Stored once, where static masks need ten copies.
    static = create(toy_vocab, text, str(tmp_path / "b"), **values)
    assert 8 < static.statistics.examples / report.statistics.examples < 12
    twice = create(toy_vocab, text, str(tmp_path / "c"), masking="dynamic", dupe_factor=2, **values)
    assert twice.statistics.examples > 1.5 * report.statistics.examples


def test_the_manifest_says_what_was_made(tmp_path, toy_vocab, write_text):
    text = write_text("text", 30)
    paths = [str(tmp_path / "one" / "a"), str(tmp_path / "two" / "b"), str(tmp_path / "one" / "c")]
    settings = PretrainingDataSettings(text, toy_vocab, paths, max_seq_length=32)
    report = create_pretraining_data(settings)
    one, two = read_manifest(str(tmp_path / "one")), read_manifest(str(tmp_path / "two"))
    assert [file["name"] for file in one["runs"][0]["files"]] == ["a", "c"]
    assert [file["name"] for file in two["runs"][0]["files"]] == ["b"]
    run, _ = described_files(str(tmp_path / "one"))["c"]
    assert PretrainingDataSettings(**run["settings"]) == settings
    assert run["vocabulary"] == {
        "file": "toy_vocab.txt",
        "size": len(lines_of(toy_vocab)),
        "sha256": hashlib.sha256(Path(toy_vocab).read_bytes()).hexdigest(),
    }
    assert run["masking"] == {"mask_id": 6, "replacement_ranges": [[0, len(lines_of(toy_vocab))]]}
    assert run["statistics"] == dataclasses.asdict(report.statistics)
    entries = [*one["runs"][0]["files"], *two["runs"][0]["files"]]
    assert sum(entry["examples"] for entry in entries) == report.statistics.examples
    assert sum(entry["tokens"] for entry in entries) == report.statistics.example_tokens
    for path in paths:
        content = Path(path).read_bytes()
        (entry,) = (entry for entry in entries if entry["name"] == Path(path).name)
        assert entry["bytes"] == len(content)
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()


def test_the_manifest_of_mended_records_leaves_out_rows_that_are_no_words(
    tmp_path, toy_vocab, write_text
):
    create(toy_vocab, write_text("text", 3), str(tmp_path / "a"), mend_quirks=True)
    (run,) = read_manifest(str(tmp_path))["runs"]
    tokens = lines_of(toy_vocab)
    drawn = [
        tokens[i] for low, high in run["masking"]["replacement_ranges"] for i in range(low, high)
    ]
    assert drawn == [token for token in tokens if not token.startswith("[")]


def test_the_statistics_are_those_of_the_text_and_the_records(tmp_path, toy_vocab):
    (tmp_path / "text").write_text("abcd ab.\nx a\n\na!\n\n\nh\n", encoding="utf-8")
    statistics = create(toy_vocab, str(tmp_path / "text"), str(tmp_path / "r")).statistics
    # abc ##d ab . | [UNK] a | a ! | h
    assert (statistics.documents, statistics.sentences, statistics.tokens) == (3, 4, 9)
    assert (statistics.unknown_tokens, statistics.lines, statistics.blank_lines) == (1, 7, 3)
    batch = read_records(tmp_path / "r", pretraining_features(128, 20))
    assert statistics.examples == len(batch["input_ids"])
    assert statistics.example_tokens == batch["input_mask"].sum()
    assert statistics.padding_tokens == (1 - batch["input_mask"]).sum()
    assert statistics.random_next == batch["next_sentence_labels"].sum()
    assert statistics.masked_tokens == batch["masked_lm_weights"].sum()


def test_the_statistics_of_shards_are_those_of_the_whole_text(tmp_path, toy_vocab, write_text):
    text = write_text("text", 12)
    whole = create(toy_vocab, text, str(tmp_path / "whole")).statistics
    parts = create(toy_vocab, text, output_dir=str(tmp_path / "parts"), num_shards=3).statistics
    for name in ("documents", "sentences", "tokens", "unknown_tokens", "lines", "blank_lines"):
        assert getattr(parts, name) == getattr(whole, name), name
    assert parts.characters == whole.characters
    assert parts.single_document_shards == parts.unclosed_files == parts.empty_files == 0


def test_progress_is_shown_for_every_stage(tmp_path, toy_vocab, write_text):
    text = write_text("text", 5)
    for values, stages in (
        ({"output_file": str(tmp_path / "a")}, ["reading", "making pairs", "writing"]),
        ({"output_dir": str(tmp_path / "b"), "num_shards": 3}, ["dealing", "making records"]),
    ):
        stream = io.StringIO()
        create_pretraining_data(PretrainingDataSettings(text, toy_vocab, **values), stream)
        lines = stream.getvalue().splitlines()
        assert len(lines) == len(stages)
        for line, stage in zip(lines, stages, strict=True):
            assert line.startswith(stage)
            assert "100 %" in line


def test_everything_may_lie_on_another_file_system(tmp_path, toy_vocab, write_text):
    import tensorflow as tf

    text = write_text("text", 6)
    folder = "ram://bert_tf_test_pretraining_files"
    tf.io.gfile.makedirs(folder)
    tf.io.gfile.copy(text, f"{folder}/text", overwrite=True)
    tf.io.gfile.copy(toy_vocab, f"{folder}/vocab", overwrite=True)
    create(f"{folder}/vocab", f"{folder}/te*", output_dir=f"{folder}/records", num_shards=2)
    create(toy_vocab, text, output_dir=str(tmp_path / "records"), num_shards=2)
    for name, content in shards_in(tmp_path / "records").items():
        with tf.io.gfile.GFile(f"{folder}/records/{name}", "rb") as file:
            assert file.read() == content
    assert len(read_manifest(f"{folder}/records")["runs"][0]["files"]) == 2


@pytest.mark.parametrize(("text", "count"), [("ab ab .", 0), ("abcd ab .", 1)])
def test_the_pieces_that_whole_word_masking_is_about_are_counted(tmp_path, text, count):
    (tmp_path / "vocab").write_text("\n".join(["[PAD]", *SPECIAL, ".", "ab", "##cd"]))
    (tmp_path / "text").write_text(f"{text}\n" * 2)
    made = [str(tmp_path / name) for name in ("vocab", "text", "records")]
    report = create(*made, do_whole_word_mask=True)
    assert report.statistics.continuing_tokens == 2 * count
    assert any("continue a word" in each for each in report.problems) == (count == 0)


@pytest.mark.parametrize("text", ["", "\n\n", " \n\t\n", "\u200b\n\x00\n"])
def test_a_file_without_text_is_refused_with_its_name(tmp_path, toy_vocab, text):
    (tmp_path / "empty.txt").write_text(text, encoding="utf-8")
    (tmp_path / "records").write_text("old")
    for values in ({"output_file": str(tmp_path / "records")}, {"output_dir": str(tmp_path)}):
        settings = PretrainingDataSettings(str(tmp_path / "empty.txt"), toy_vocab, **values)
        with pytest.raises(ValueError, match=r"empty\.txt: there is no text to make examples of"):
            create_pretraining_data(settings)
    assert sorted(os.listdir(tmp_path)) == ["empty.txt", "records", "toy_vocab.txt"]
    assert (tmp_path / "records").read_text() == "old"


def test_text_that_is_not_utf8_is_refused_with_file_and_line_in_shards_too(
    tmp_path, toy_vocab, write_text
):
    Path(tmp_path / "bad.txt").write_bytes(b"a b\n\nc d\n\xff\n")
    inputs = [write_text("good.txt", 3), str(tmp_path / "bad.txt")]
    for values in (
        {"output_file": str(tmp_path / "records")},
        {"output_dir": str(tmp_path / "records"), "num_shards": 2, "num_workers": 2},
    ):
        settings = PretrainingDataSettings(inputs, toy_vocab, **values)
        with pytest.raises(ValueError, match=r"bad\.txt:4: not UTF-8"):
            create_pretraining_data(settings)
    assert os.listdir(tmp_path / "records") == []


def test_a_document_of_one_sentence_makes_an_example(tmp_path, toy_vocab):
    (tmp_path / "text").write_text("abc\n\nfgh ab\nab\n")
    report = create(toy_vocab, str(tmp_path / "text"), str(tmp_path / "records"), dupe_factor=1)
    assert report.statistics.examples >= 2
    assert report.problems == []


def test_a_corpus_of_one_document_makes_examples_with_a_warning(tmp_path, toy_vocab):
    (tmp_path / "text").write_text("abc\n")
    report = create(toy_vocab, str(tmp_path / "text"), str(tmp_path / "records"), dupe_factor=4)
    assert report.statistics.examples == report.statistics.random_next == 4
    assert "There is one document only" in report.problems[0]


@pytest.mark.parametrize("missing", ["[CLS]", "[SEP]", "[MASK]", "[UNK]"])
def test_a_vocabulary_without_a_special_token_is_refused(tmp_path, toy_vocab, write_text, missing):
    text = Path(toy_vocab).read_text().replace(missing, "other")
    (tmp_path / "vocab").write_text(text)
    with pytest.raises(
        ValueError, match=rf"vocab:\d+: the vocabulary ends here without \{missing}"
    ):
        create(str(tmp_path / "vocab"), write_text("text", 3), str(tmp_path / "records"))
    assert not (tmp_path / "records").exists()


def test_an_input_is_not_overwritten(tmp_path, toy_vocab, write_text):
    text = write_text("text", 3)
    for path in (text, toy_vocab):
        with pytest.raises(ValueError, match="an input file; its records need a file of their own"):
            create(toy_vocab, text, path)


def test_an_input_is_not_overwritten_under_another_spelling(
    tmp_path, toy_vocab, write_text, monkeypatch
):
    before = Path(write_text("own.txt", 3)).read_bytes()
    (tmp_path / "link").symlink_to("own.txt")
    monkeypatch.chdir(tmp_path)
    for given, path in (
        ("own.txt", "./own.txt"),
        ("own.txt", str(tmp_path / "own.txt")),
        ("own.txt", "link"),
        ("link", "own.txt"),
        ("own.txt", "./toy_vocab.txt"),
    ):
        with pytest.raises(ValueError, match="an input file; its records need a file of their own"):
            create(toy_vocab, given, path)
    assert (tmp_path / "own.txt").read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["link", "own.txt", "toy_vocab.txt"]


def test_a_manifest_of_something_else_is_met_before_the_work(tmp_path, toy_vocab, write_text):
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "manifest.json").write_text('{"name": "an app"}')
    for values in (
        {"output_dir": str(tmp_path / "o")},
        {"output_file": str(tmp_path / "o" / "records"), "masking": "dynamic"},
    ):
        with pytest.raises(ValueError, match="is not a manifest of pre-training records"):
            create(toy_vocab, write_text("text", 3), **values)
    assert os.listdir(tmp_path / "o") == ["manifest.json"]


@pytest.mark.parametrize("content", ['{"name": "an app"}', "no JSON", '{"format": 9, "runs": []}'])
def test_the_originals_records_are_made_beside_a_manifest_of_something_else(
    tmp_path, toy_vocab, write_text, caplog, content
):
    text = write_text("text", 3)
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "manifest.json").write_text(content)
    create(toy_vocab, text, [str(tmp_path / "o" / "a"), str(tmp_path / "b")])
    assert sorted(os.listdir(tmp_path / "o")) == ["a", "manifest.json"]
    assert (tmp_path / "o" / "manifest.json").read_text() == content
    assert [file["name"] for file in read_manifest(str(tmp_path))["runs"][0]["files"]] == ["b"]
    (warning,) = caplog.records
    assert warning.levelname == "WARNING"
    assert "The records get no manifest." in warning.getMessage()
    assert str(tmp_path / "o" / "manifest.json") in warning.getMessage()
