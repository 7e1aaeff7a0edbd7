import gzip
import json
from pathlib import Path

import pytest

from bert_tf.data import schema, validation
from bert_tf.data.record_index import FileIndex, RecordIndex, build_record_index
from bert_tf.data.record_set import RecordSet
from bert_tf.data.records import scan_file
from bert_tf.data.validation import check_manifests, check_records, find_corrupt_record

FEATURES = schema.pretraining_features(max_seq_length=6, max_predictions_per_seq=2)


def example(number=0, **changed):
    """A valid record of 6 tokens, whose second token is `number`."""
    arrays = {
        "input_ids": [2, number, 6, 3, 7, 3],
        "input_mask": [1, 1, 1, 1, 1, 1],
        "segment_ids": [0, 0, 0, 0, 1, 1],
        "masked_lm_positions": [2, 0],
        "masked_lm_ids": [8, 0],
        "masked_lm_weights": [1.0, 0.0],
        "next_sentence_labels": [1],
        **changed,
    }
    return schema.encode_example({k: v for k, v in arrays.items() if v is not None})


@pytest.fixture
def write(write_records, build_index):
    """Writes 20 valid records, some of them changed; returns the index of the file."""

    def write_changed(name="a.tfrecord", changed=None):
        records = [(changed or {}).get(n, example(n)) for n in range(20)]
        path = write_records(name, records)
        return build_index([path], per_block=6, per_compressed_block=6)

    return write_changed


def check(index, features=FEATURES, vocab_size=30, type_vocab_size=2, **settings):
    return check_records(index, features, vocab_size, type_vocab_size, **settings)


def numbers_left(index):
    batches = RecordSet(index, FEATURES).evaluation_batches(100)
    (batch,) = batches
    return batch["input_ids"].numpy()[batch["is_real_example"].numpy() == 1, 1].tolist()


def damage_record(index, number, byte=20):
    """Flips a bit in the contents of a record."""
    path = index.paths[0]
    offset = scan_file(path, "", 1).block_offsets[number] + byte
    data = bytearray(Path(path).read_bytes())
    data[offset] ^= 1
    Path(path).write_bytes(data)


def test_valid_records_pass(write):
    index = write()
    assert numbers_left(check(index)) == list(range(20))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input_ids": [2, 30, 6, 3, 7, 3]}, r"input_ids .* 0 and 29 .*=30\).*: 30"),
        ({"input_ids": [2, -1, 6, 3, 7, 3]}, "input_ids .* Received: -1"),
        ({"input_ids": [2, 2**32 + 5, 6, 3, 7, 3]}, "Received: 4294967301"),
        ({"input_mask": [1, 1, 1, 1, 1, 2]}, "input_mask .* between 0 and 1 .* Received: 2"),
        ({"segment_ids": [0, 0, 0, 0, 2, 1]}, "segment_ids .*type_vocab_size=2.* Received: 2"),
        ({"masked_lm_positions": [6, 0]}, "masked_lm_positions .*0 and 5.* Received: 6"),
        ({"masked_lm_ids": [30, 0]}, "masked_lm_ids .*vocab_size=30.* Received: 30"),
        ({"masked_lm_weights": [float("nan"), 0.0]}, "masked_lm_weights .* Received: nan"),
        ({"next_sentence_labels": [2]}, "next_sentence_labels .* Received: 2"),
        ({"segment_ids": None}, "no feature segment_ids. Received: input_ids, input_mask,"),
        ({"input_mask": [1.0] * 6}, "input_mask must have 6 int64 values. Received: 0"),
        ({"masked_lm_ids": []}, r"masked_lm_ids must have 2 int64 values. Received: 0"),
        (
            {"next_sentence_labels": [1, 1]},
            "next_sentence_labels must have 1 int64 values. Received: 2",
        ),
    ],
)
def test_a_record_that_does_not_suit_the_model_is_named(write, changes, message):
    index = write(changed={13: example(**changes)})
    for skips_corrupt in (False, True):
        with pytest.raises(ValueError, match=rf"a\.tfrecord: record 13: .*{message}"):
            check(index, skips_corrupt=skips_corrupt)


def test_a_model_without_segments_takes_any_records_of_pairs(write):
    assert numbers_left(check(write(), type_vocab_size=0)) == list(range(20))
    changed = write("b.tfrecord", {13: example(segment_ids=[0, 0, 0, 0, 2, 1])})
    with pytest.raises(ValueError, match=r"segment_ids .* between 0 and 1 .* Received: 2"):
        check(changed, type_vocab_size=0)


def test_a_record_that_is_no_example_is_named(write):
    with pytest.raises(ValueError, match=r"record 3: it is not a tf\.train\.Example"):
        check(write(changed={3: b"\xff\xff\xff"}))


def test_a_wrong_sequence_length_says_which_flag_would_do(write):
    features = schema.pretraining_features(max_seq_length=8, max_predictions_per_seq=2)
    message = r"input_ids must have 8 int64 values. Give --max_seq_length=6, .*Received: 6"
    with pytest.raises(ValueError, match=message):
        check(write(), features)


def test_a_wrong_number_of_predictions_says_which_flag_would_do(write):
    features = schema.pretraining_features(max_seq_length=6, max_predictions_per_seq=3)
    message = (
        r"masked_lm_positions must have 3 int64 .*Give --max_predictions_per_seq=2, .*Received: 2"
    )
    with pytest.raises(ValueError, match=message):
        check(write(), features)


def test_records_without_masks_need_their_manifest(write):
    unmasked = example(
        masked_lm_positions=None, masked_lm_ids=None, masked_lm_weights=None, word_ids=[0] * 6
    )
    with pytest.raises(ValueError, match=r"made with --masking=dynamic .*manifest\.json"):
        check(write(changed=dict.fromkeys(range(20), unmasked)))


def test_word_ids_are_checked_against_the_length(write):
    features = schema.unmasked_pretraining_features(max_seq_length=6)
    good = example(word_ids=[0, 1, 2, 0, 6, 0])
    assert check(write(changed=dict.fromkeys(range(20), good)), features).num_examples == 20
    bad = example(word_ids=[0, 1, 2, 0, 7, 0])
    with pytest.raises(ValueError, match=r"record 19: word_ids .*0 and 6 .*Received: 7"):
        check(write(changed={**dict.fromkeys(range(20), good), 19: bad}), features)


@pytest.mark.parametrize("name", ["a.tfrecord", "a.tfrecord.gz"])
def test_the_original_releases_records_suit(golden_dir, tmp_path, name):
    source = golden_dir / "pretraining_data" / "wwm.tfrecord"
    data = source.read_bytes()
    if name.endswith(".gz"):
        data = gzip.compress(data)
    (tmp_path / name).write_bytes(data)
    index = build_record_index([str(tmp_path / name)])
    features = schema.pretraining_features(max_seq_length=64, max_predictions_per_seq=10)
    assert check(index, features, vocab_size=30522) is not None
    with pytest.raises(ValueError, match="Give --max_seq_length=64"):
        check(index, schema.pretraining_features(128, 10), vocab_size=30522)


def test_a_record_that_does_not_fit_its_checksum_is_named(write):
    index = write()
    damage_record(index, 9)
    message = r"a\.tfrecord: record 9, byte [\d,]+: .*checksum.*--on_corrupt=skip"
    with pytest.raises(ValueError, match=message):
        check(index)
    with pytest.raises(ValueError, match=message):
        find_corrupt_record(index)


def test_nothing_is_raised_where_all_records_can_be_read(write):
    find_corrupt_record(write(changed={3: b"not an example"}))


def test_corrupt_records_are_left_out_one_by_one_and_counted(write, caplog):
    index = write()
    for number in (0, 7, 8, 19):
        damage_record(index, number)
    left = check(index, skips_corrupt=True)
    expected = [n for n in range(20) if n not in (0, 7, 8, 19)]
    assert numbers_left(left) == expected
    assert left.num_examples == 16
    assert [fault.record for fault in left.faults] == [0, 7, 8, 19]
    assert sum("Left out" in line and "one record" in line for line in caplog.messages) == 4


def test_the_last_corrupt_record_is_found_though_only_a_sample_is_asked_for(write):
    index = write()
    damage_record(index, 10)
    assert check(index, skips_corrupt=True, max_examples=1).num_examples == 19


def test_a_corrupt_file_does_not_change_the_others(write, write_records):
    first = write("a.tfrecord").files[0]
    second = write("b.tfrecord").files[0]
    damage_record(RecordIndex((second,)), 2)
    left = check(RecordIndex((first, second, first)), skips_corrupt=True)
    assert [file.blocks["size"].sum() for file in left.files] == [20, 19, 20]


def test_nothing_left_is_an_error(write_records):
    index = build_record_index([write_records("a.tfrecord", [example()])])
    damage_record(index, 0)
    with pytest.raises(ValueError, match="No record is left of"):
        check(index, skips_corrupt=True)


def test_a_header_that_was_damaged_after_indexing_is_found(write):
    index = write()
    damage_record(index, 9, byte=1)
    with pytest.raises(ValueError, match=r"record 9, byte [\d,]+: the record's length"):
        check(index)
    assert numbers_left(check(index, skips_corrupt=True)) == list(range(9))


def test_records_beside_a_damaged_header_are_not_parsed_one_by_one(write, monkeypatch):
    index, parsed = write(), []
    damage_record(index, 17, byte=1)
    monkeypatch.setattr(validation._ContentRules, "explain", lambda *each: parsed.append(each))
    assert numbers_left(check(index, skips_corrupt=True)) == list(range(17))
    assert not parsed


def test_a_file_that_shrank_after_indexing_is_found(write):
    index = write()
    path = Path(index.paths[0])
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ValueError, match=r"record 19, byte [\d,]+: .*truncated"):
        find_corrupt_record(index)


def test_a_file_that_was_replaced_by_one_of_its_size_is_refused(write):
    (file,) = write().files
    blocks = file.blocks.copy()
    blocks["offset"] += 1
    wrong = FileIndex(file.path, "", {}, blocks)
    with pytest.raises(ValueError, match=r"a\.tfrecord: .*manifest\.json.* was replaced"):
        check(RecordIndex((wrong,)))


@pytest.mark.parametrize("byte", [40, -6])
def test_a_damaged_gzip_file_that_its_manifest_describes_is_found(write, write_records, byte):
    whole = write("whole.tfrecord")
    path = Path(write_records("a.tfrecord.gz", [example(n) for n in range(20)]))
    data = bytearray(path.read_bytes())
    data[byte] ^= 1  # In the packed records, or in gzip's own checksum of them.
    path.write_bytes(data)
    entry = {"name": path.name, "bytes": len(data), "examples": 20, "block_offsets": None}
    run = {"settings": {}, "files": [entry]}
    (path.parent / "manifest.json").write_text(json.dumps({"format": 1, "runs": [run]}))
    index = build_record_index([str(path), *whole.paths])
    assert index.num_examples == 40
    with pytest.raises(ValueError, match=r"a\.tfrecord\.gz: .*gzip data"):
        check(index)
    left = check(index, skips_corrupt=True)
    assert left.num_examples == 20
    assert [fault.path for fault in left.faults] == [str(path)]


def test_of_many_records_the_ends_of_every_file_and_a_sample_are_checked(write, monkeypatch):
    files = [write(f"{name}.tfrecord").files[0] for name in "abc"]  # Blocks of 6, 6, 6 and 2.
    seen = []

    def remember(index, blocks, *_):
        seen.append(blocks.tolist())
        return index

    monkeypatch.setattr("bert_tf.data.validation._check_blocks", remember)
    index = RecordIndex(tuple(files))
    for max_examples in (1, 17, 24, 40, 60):
        check(index, max_examples=max_examples)
    one, some_ends, ends, more, everything = seen
    assert len(one) == 1
    assert set(one) < set(some_ends) < set(ends)
    assert ends == [0, 3, 4, 7, 8, 11]
    assert set(ends) < set(more)
    assert len(more) == 8
    assert everything == list(range(12))


def with_run(index, **settings):
    """The index as if a manifest described its file."""
    run = {
        "settings": {"max_seq_length": 6, "max_predictions_per_seq": 2, **settings},
        "vocabulary": {"file": "vocab.txt", "size": 30},
    }
    (file,) = index.files
    return RecordIndex((FileIndex(file.path, "", run, file.blocks),))


def test_settings_of_the_manifest_are_compared_with_those_of_the_run(write):
    index = with_run(write(), masking="static")
    check_manifests(index, 6, 2, 30)
    check_manifests(index, 6, 2, 64)  # A table somewhat larger than the vocabulary does no harm.
    with pytest.raises(ValueError, match=r"vocabulary .* has 30 rows, .* have 2000"):
        check_manifests(index, 6, 2, 2000)
    with pytest.raises(
        ValueError,
        match=r"Give --max_seq_length=6 \(in --phases: seq6\), .*Received: max_seq_length=8",
    ):
        check_manifests(index, 8, 2, 30)
    with pytest.raises(
        ValueError, match=r"Give --max_predictions_per_seq=2 \(in --phases: pred2\), .*=3"
    ):
        check_manifests(index, 6, 3, 30)
    with pytest.raises(ValueError, match=r"vocabulary .* has 30 rows, .* have 29"):
        check_manifests(index, 6, 2, 29)


def test_dynamic_masks_may_have_any_number_of_predictions(write):
    check_manifests(with_run(write(), masking="dynamic"), 6, 3, 30)


def test_records_without_a_manifest_pass_the_comparison(write):
    check_manifests(write(), 1, 1, 1)


def test_reading_a_part_of_a_compressed_file_finds_its_records(write):
    index = write("a.tfrecord.gz")
    assert numbers_left(check(index)) == list(range(20))
    assert index.blocks["size"].tolist() == [6, 6, 6, 2]


def test_a_corrupt_record_that_was_compressed_is_left_out(write):
    index = write()
    damage_record(index, 9)
    data = Path(index.paths[0]).read_bytes()
    path = Path(index.paths[0] + ".gz")
    path.write_bytes(gzip.compress(data))
    packed = build_record_index([str(path)])
    with pytest.raises(ValueError, match=r"record 9, .*checksum"):
        check(packed)
    assert numbers_left(check(packed, skips_corrupt=True)) == [n for n in range(20) if n != 9]
