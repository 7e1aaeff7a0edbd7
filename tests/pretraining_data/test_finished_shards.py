"""A run that is started again makes what is missing, and nothing else."""

import json
import os
import shutil
from pathlib import Path

import pytest

from bert_tf.pretraining_data import record_files
from bert_tf.pretraining_data import shards as pretraining_shards
from bert_tf.pretraining_data.program import create_pretraining_data
from bert_tf.pretraining_data.shards import note_path, text_folder
from bert_tf.settings import PretrainingDataSettings

NAMES = [f"pretraining-{number:05d}-of-00004.tfrecord" for number in range(4)]


@pytest.fixture
def run(tmp_path, toy_vocab, write_text, monkeypatch):
    """Makes four shards in `o`; gives the report and the numbers of the shards that were made."""
    text = write_text("text", 30)
    make, write_note = record_files.make_records, record_files.write_note

    def run(stop_before=None, stop_at_name_of=None, **values):
        made = []

        def note_and_make(settings, tokenizer, shard, start_progress):
            number = NAMES.index(Path(shard.output_files[0]).name)
            if number == stop_before:
                raise KeyboardInterrupt
            made.append(number)
            return make(settings, tokenizer, shard, start_progress)

        def write_note_and_stop(path, entry):
            write_note(path, entry)
            if entry["name"] == NAMES[stop_at_name_of]:
                raise KeyboardInterrupt

        monkeypatch.setattr(record_files, "make_records", note_and_make)
        if stop_at_name_of is not None:
            monkeypatch.setattr(record_files, "write_note", write_note_and_stop)
        else:
            monkeypatch.setattr(record_files, "write_note", write_note)
        values = {"dupe_factor": 2, "num_shards": 4, "output_dir": str(tmp_path / "o"), **values}
        settings = PretrainingDataSettings(
            values.pop("input_file", text), values.pop("vocab_file", toy_vocab), **values
        )
        if stop_before is stop_at_name_of is None:
            return create_pretraining_data(settings), made
        with pytest.raises(KeyboardInterrupt):
            create_pretraining_data(settings)
        return None, made

    return run


def contents(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def test_a_run_that_was_interrupted_goes_on_and_ends_as_if_it_had_not_been(tmp_path, run):
    whole, _ = run()
    expected = contents(tmp_path / "o")
    assert sorted(expected) == ["manifest.json", *NAMES]
    shutil.rmtree(tmp_path / "o")
    assert run(stop_before=2)[1] == [0, 1]
    names = {path.name for path in (tmp_path / "o").iterdir()}
    assert names == {*NAMES[:2], *(f".{name}.made.json" for name in NAMES[:2])}
    report, made = run()
    assert made == [2, 3]
    assert contents(tmp_path / "o") == expected
    assert report.statistics == whole.statistics
    assert report.num_kept == 2
    assert "2 of them were whole already" in report.lines()[-1]
    assert report.problems == whole.problems


def test_nothing_is_made_when_all_is_there(tmp_path, run):
    first, _ = run()
    before = contents(tmp_path / "o")
    report, made = run()
    assert made == []
    assert contents(tmp_path / "o") == before
    assert report.statistics == first.statistics
    assert (report.num_kept, report.examples_kept) == (4, first.statistics.examples)
    (entry,) = json.loads(before["manifest.json"])["runs"]
    assert (
        sum(file["statistics"]["examples"] for file in entry["files"])
        == (entry["statistics"]["examples"])
    )


def test_a_single_shard_is_kept_too(tmp_path, run, toy_vocab, write_text):
    settings = PretrainingDataSettings(
        write_text("text", 5), toy_vocab, output_dir=str(tmp_path / "single")
    )
    first, again = create_pretraining_data(settings), create_pretraining_data(settings)
    assert (first.num_kept, again.num_kept) == (0, 1)
    assert again.statistics == first.statistics


@pytest.mark.parametrize("number", [0, 3])
def test_a_shard_that_is_gone_or_cut_off_is_made_again(tmp_path, run, number):
    run()
    before = contents(tmp_path / "o")
    (tmp_path / "o" / NAMES[number]).unlink()
    assert run()[1] == [number]
    assert contents(tmp_path / "o") == before
    os.truncate(tmp_path / "o" / NAMES[number], 100)
    assert run()[1] == [number]
    assert contents(tmp_path / "o") == before


CHANGES = {
    "seed": {"random_seed": 7},
    "passes": {"dupe_factor": 3},
    "length": {"max_seq_length": 64},
    "kind of masking": {"masking": "dynamic"},
    "case": {"do_lower_case": False},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_shards_that_were_made_otherwise_are_made_anew(run, change):
    run(stop_before=3)
    assert run(**change)[1] == [0, 1, 2, 3]
    assert run(**change)[1] == []


def test_shards_of_other_text_or_another_vocabulary_are_made_anew(tmp_path, run, toy_vocab):
    run()
    text = tmp_path / "text"
    old = text.read_text()
    text.write_text(old.replace("a", "b", 1))  # Of the same size.
    os.utime(text, ns=(0, 0))
    assert run()[1] == [0, 1, 2, 3]
    assert run()[1] == []
    with open(toy_vocab, "a") as file:
        file.write("more\n")
    assert run()[1] == [0, 1, 2, 3]
    (tmp_path / "more").write_text(old)
    assert run(input_file=f"{text},{tmp_path / 'more'}")[1] == [0, 1, 2, 3]


def test_what_does_not_change_the_records_is_no_reason_to_make_them(
    tmp_path, run, toy_vocab, monkeypatch
):
    run(stop_before=2)
    shutil.copy(toy_vocab, tmp_path / "vocab")
    monkeypatch.chdir(tmp_path)
    values = {"input_file": "./te*t", "vocab_file": "vocab", "output_dir": "o"}
    assert run(**values)[1] == [2, 3]


def test_ended_between_its_note_and_its_name_a_shard_is_made_again(tmp_path, run):
    run()
    before = contents(tmp_path / "o")
    assert run(random_seed=7, stop_at_name_of=0)[1] == [0]
    assert Path(note_path(str(tmp_path / "o" / NAMES[0]))).exists()
    assert not (tmp_path / "o" / NAMES[0]).exists()  # Not the old one, which the note is not about.
    assert run(random_seed=7)[1] == [0, 1, 2, 3]
    assert run()[1] == [0, 1, 2, 3]
    assert contents(tmp_path / "o") == before


def test_a_damaged_note_counts_as_none(tmp_path, run):
    run(stop_before=2)
    Path(note_path(str(tmp_path / "o" / NAMES[0]))).write_text("{")
    assert run()[1] == [0, 2, 3]


def test_two_runs_do_not_make_the_shards_of_one_folder_at_the_same_time(tmp_path, run):
    (tmp_path / "o").mkdir()
    with (
        text_folder(str(tmp_path / "o")),
        pytest.raises(ValueError, match=rf"/o: process {os.getpid()} on .* is writing there"),
    ):
        run()
    assert run()[1] == [0, 1, 2, 3]


def test_what_a_killed_run_has_left_is_removed_and_nothing_else(tmp_path, run):
    text = tmp_path / "o" / pretraining_shards._TEXT_FOLDER
    text.mkdir(parents=True)
    (text / "shard-00000.txt").write_text("\nabc\n")
    for name in (f".{NAMES[1]}", f"..{NAMES[1]}.made.json", ".pretraining-00000-of-00007.tfrecord"):
        (tmp_path / "o" / f"{name}.0123abcd.tmp").write_text("half")
    (tmp_path / "o" / ".pretraining-of-somebody.tmp").write_text("whole")
    run()
    assert sorted(os.listdir(tmp_path / "o")) == [
        ".pretraining-of-somebody.tmp",
        "manifest.json",
        *NAMES,
    ]
