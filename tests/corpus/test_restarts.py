"""prepare_corpus.py started again: what it goes on with, makes anew, refuses and leaves alone."""

import json
import os

import pytest

from bert_tf.corpus import parts, preparation
from bert_tf.corpus.preparation import prepare_corpus
from bert_tf.settings import CorpusSettings

pytest.importorskip("sentencex", reason="needs: pip install mwparserfromhell sentencex")


def prepare(folder, *input_files, **settings):
    values = {"min_characters": 1, "part_megabytes": 0.001, **settings}
    return prepare_corpus(CorpusSettings(tuple(map(str, input_files)), str(folder), **values))


def write_rows(path, numbers, field="text"):
    rows = [{field: f"Cat {n:04d} is here. It sleeps well."} for n in numbers]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read_corpus(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".json"}


@pytest.fixture
def made_parts(monkeypatch):
    """The numbers of the parts that are made from now on."""
    made = []
    write_part = parts._write_part

    def counting(settings, folder, number, task):
        counts = write_part(settings, folder, number, task)
        made.append(number)
        return counts

    monkeypatch.setattr(parts, "_write_part", counting)
    return made


@pytest.fixture
def unfinished(tmp_path):
    """A folder with all parts of a.jsonl, 300 rows, but no files of the corpus."""
    write_rows(tmp_path / "a.jsonl", range(300))
    with pytest.raises(ValueError, match="300 documents are left"):
        prepare(tmp_path / "out", tmp_path / "a.jsonl", num_shards=301)
    return tmp_path / "out"


def test_when_nothing_is_left_the_command_may_be_mended_as_the_error_says(tmp_path):
    write_rows(tmp_path / "a.jsonl", range(5))
    with pytest.raises(ValueError, match=r"0 documents are left.*See --min_sentences"):
        prepare(tmp_path / "out", tmp_path / "a.jsonl", min_sentences=9)
    prepare(tmp_path / "out", tmp_path / "a.jsonl", min_sentences=2)
    assert len(read_corpus(tmp_path / "out")) == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"num_shards": 3},
        {"gzip": True},
        {"drop_duplicates": False, "sampling_exponent": 0.5},
        {"held_out_share": 0.1},
    ],
)
def test_settings_that_parts_do_not_depend_on_may_be_mended(
    tmp_path, unfinished, made_parts, settings
):
    prepare(unfinished, tmp_path / "a.jsonl", **settings)
    assert not made_parts
    prepare(tmp_path / "fresh", tmp_path / "a.jsonl", **settings)
    assert read_corpus(unfinished) == read_corpus(tmp_path / "fresh")


def test_the_field_that_an_error_asks_for_is_taken_where_nothing_was_made_before(tmp_path):
    path = write_rows(tmp_path / "a.jsonl", range(3), field="body")
    with pytest.raises(ValueError, match="--text_field"):
        prepare(tmp_path / "out", path)
    assert prepare(tmp_path / "out", path, text_field="body").total("documents") == 3


def test_after_a_line_was_mended_only_parts_that_it_changes_are_made_again(tmp_path, made_parts):
    path = write_rows(tmp_path / "a.jsonl", range(300))
    lines = path.read_text().split("\n")
    path.write_text("\n".join([*lines[:200], "{", *lines[200:]]))
    with pytest.raises(ValueError, match=r"a\.jsonl:201: not JSON"):
        prepare(tmp_path / "out", path)
    before = list(made_parts)
    assert len(before) > 3
    path.write_text("\n".join(lines))
    made_parts.clear()
    prepare(tmp_path / "out", path)
    assert set(made_parts).isdisjoint(before)
    prepare(tmp_path / "fresh", path)
    assert read_corpus(tmp_path / "out") == read_corpus(tmp_path / "fresh")


def test_text_that_was_changed_to_as_many_bytes_is_read_again(tmp_path, unfinished, made_parts):
    path = tmp_path / "a.jsonl"
    path.write_text(path.read_text().replace("Cat 0299", "Dog 0299"))
    prepare(unfinished, path)
    assert len(made_parts) == 1
    assert b"Dog 0299 is here." in read_corpus(unfinished)["corpus-00000-of-00001.txt"]


def test_parts_of_a_dump_of_many_streams_are_of_the_file_as_it_was(
    tmp_path, made_parts, articles, make_multistream
):
    pytest.importorskip("mwparserfromhell", reason="needs: pip install mwparserfromhell sentencex")
    path = tmp_path / "a.xml.bz2"
    path.write_bytes(make_multistream(articles(40)))
    for changed, is_made_again in ((None, True), (None, False), (1, True)):
        if changed is not None:
            os.utime(path, ns=(changed, changed))
        made_parts.clear()
        with pytest.raises(ValueError, match="documents are left"):
            prepare(tmp_path / "out", path, num_shards=99)
        assert bool(made_parts) == is_made_again


def test_files_of_other_documents_are_not_taken_for_those_wanted_now(tmp_path, monkeypatch):
    path = write_rows(tmp_path / "a.jsonl", [*range(100), *range(100)])
    make_shard = preparation.shards.make_shard

    def failing(folder, shard):
        make_shard(folder, shard)
        raise OSError(28, "No space left on device", shard.path)

    monkeypatch.setattr(preparation.shards, "make_shard", failing)
    with pytest.raises(OSError, match="No space left"):
        prepare(tmp_path / "out", path)
    monkeypatch.setattr(preparation.shards, "make_shard", make_shard)
    assert prepare(tmp_path / "out", path, drop_duplicates=False).total("documents") == 200


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_sentences": 3}, "min_sentences was 2, now 3"),
        ({"truncate_probability": 0.5}, r"truncate_probability was 0\.0, now 0\.5"),
        ({"part_megabytes": 0.002}, r"part_megabytes was 0\.001, now 0\.002"),
    ],
)
def test_parts_that_were_made_otherwise_are_kept_and_the_folder_to_remove_is_named(
    tmp_path, unfinished, settings, message
):
    there = sorted((unfinished / ".parts").glob("part-*"))
    with pytest.raises(ValueError, match=rf"differently: {message}\. .* remove .*out/\.parts\."):
        prepare(unfinished, tmp_path / "a.jsonl", **settings)
    assert sorted((unfinished / ".parts").glob("part-*")) == there


def test_parts_of_other_inputs_are_kept_and_of_more_inputs_gone_on_with(
    tmp_path, unfinished, made_parts
):
    write_rows(tmp_path / "b.jsonl", range(500, 600))
    with pytest.raises(ValueError, match=r"from other inputs, .*a\.jsonl\. .*remove .*\.parts\."):
        prepare(unfinished, tmp_path / "b.jsonl")
    report = prepare(unfinished, tmp_path / "a.jsonl", tmp_path / "b.jsonl")
    assert report.total("documents") == 400
    assert 0 not in made_parts


def test_a_second_run_in_the_same_folder_is_refused_and_harms_nothing(tmp_path):
    path = write_rows(tmp_path / "a.jsonl", range(3))
    writing = tmp_path / "out" / ".parts" / ".part-000000.txt.0a1b2c3d.tmp"
    with parts.hold_parts(str(tmp_path / "out")):
        writing.write_text("half")
        with pytest.raises(ValueError, match=rf"/out: process {os.getpid()} on .* is wri"):
            prepare(tmp_path / "out", path)
        assert writing.exists()
    prepare(tmp_path / "out", path)
    assert not writing.parent.exists()


def test_only_what_it_has_left_itself_is_removed(tmp_path):
    path = write_rows(tmp_path / "a.jsonl", range(3))
    (tmp_path / "out" / ".parts").mkdir(parents=True)
    foreign = tmp_path / "out" / ".corpus-notes.0a1b2c3d.tmp"
    for each in (foreign, tmp_path / "out" / ".parts" / ".part-000001.index.0a1b2c3d.tmp"):
        each.write_text("x")
    prepare(tmp_path / "out", path)
    assert {each.name for each in (tmp_path / "out").iterdir()} == {
        *("corpus-00000-of-00001.txt", "corpus.json", foreign.name)
    }


def test_a_file_that_is_missing_from_a_finished_corpus_is_made_again(tmp_path):
    path = write_rows(tmp_path / "a.jsonl", range(3))
    prepare(tmp_path / "out", path)
    (tmp_path / "out" / "corpus-00000-of-00001.txt").unlink()
    assert not prepare(tmp_path / "out", path).was_there
    assert (tmp_path / "out" / "corpus-00000-of-00001.txt").exists()


def test_parts_of_a_finished_corpus_that_were_left_behind_are_removed(tmp_path):
    path = write_rows(tmp_path / "a.jsonl", range(3))
    prepare(tmp_path / "out", path)
    (tmp_path / "out" / ".parts").mkdir()
    (tmp_path / "out" / ".parts" / "part-000000.txt").write_text("x")
    assert prepare(tmp_path / "out", path).was_there
    assert not (tmp_path / "out" / ".parts").exists()


@pytest.mark.parametrize(
    "name",
    ["corpus-00000-of-00001.txt", "held_out.txt", "corpus.json", ".parts/part-000000.txt", "a.txt"],
)
def test_an_input_is_never_written_over_nor_removed(tmp_path, name):
    path = tmp_path / "out" / name
    path.parent.mkdir(parents=True)
    if name == "a.txt":  # Which leads to an output.
        path.symlink_to("corpus-00000-of-00001.txt")
    path.write_text("A cat. It sleeps.\n")
    with pytest.raises(ValueError, match=rf"{name}: an input file, .* another --output_dir"):
        prepare(tmp_path / "out", path, source="books", held_out_share=0.1)
    assert path.read_text() == "A cat. It sleeps.\n"


def test_an_input_beside_the_corpus_is_no_harm(tmp_path):
    path = write_rows(tmp_path / "a.jsonl", range(3))
    assert prepare(tmp_path, path).total("documents") == 3
    assert prepare(tmp_path, path).was_there
