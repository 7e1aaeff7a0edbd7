"""The manifest: runs are added, files replaced, and nothing of others is overwritten."""

import json
import os
import subprocess
import sys

import pytest

from bert_tf.data.manifest import (
    check_manifest_can_be_written,
    described_files,
    forget_files,
    read_manifest,
    write_manifest,
)


def make_run(seed, *names):
    return {
        "settings": {"random_seed": seed},
        "files": [{"name": name, "examples": seed} for name in names],
    }


def test_a_folder_without_a_manifest_has_none(tmp_path):
    assert read_manifest(str(tmp_path)) is None


def test_a_run_is_read_as_it_was_written(tmp_path):
    write_manifest(str(tmp_path), make_run(1, "a", "é"))
    assert read_manifest(str(tmp_path)) == {"format": 1, "runs": [make_run(1, "a", "é")]}
    assert os.listdir(tmp_path) == ["manifest.json"]


def test_what_a_killed_process_left_of_a_manifest_is_removed(tmp_path):
    (tmp_path / ".manifest.json.0123abcd.tmp").write_text("{")
    write_manifest(str(tmp_path), make_run(1, "a"))
    assert os.listdir(tmp_path) == ["manifest.json"]


def test_a_later_run_takes_over_the_files_that_it_wrote_again(tmp_path):
    write_manifest(str(tmp_path), make_run(1, "a", "b"))
    write_manifest(str(tmp_path), make_run(2, "c"))
    write_manifest(str(tmp_path), make_run(3, "b", "c", "d"))
    manifest = read_manifest(str(tmp_path))
    assert manifest["runs"] == [make_run(1, "a"), make_run(3, "b", "c", "d")]
    described = described_files(str(tmp_path))
    assert described["a"] == (make_run(1, "a"), make_run(1, "a")["files"][0])
    assert described["c"] == (make_run(3, "b", "c", "d"), make_run(3, "c")["files"][0])
    assert "e" not in described


def test_files_that_are_about_to_be_replaced_are_forgotten(tmp_path):
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    for folder in (one, two):
        os.mkdir(folder)
        write_manifest(folder, make_run(1, "a", "b"))
        write_manifest(folder, make_run(2, "c"))
    forget_files([f"{one}/a", f"{one}/c", f"{two}/new", str(tmp_path / "d")])
    assert read_manifest(one)["runs"] == [make_run(1, "b")]
    assert read_manifest(two)["runs"] == [make_run(1, "a", "b"), make_run(2, "c")]
    assert sorted(os.listdir(tmp_path)) == ["one", "two"]


@pytest.mark.parametrize("content", ['{"name": "an app", "icons": []}', "{", '{"runs": []}'])
def test_nothing_is_forgotten_where_there_is_no_manifest_of_records(tmp_path, content):
    (tmp_path / "manifest.json").write_text(content)
    forget_files([str(tmp_path / "a")])
    assert (tmp_path / "manifest.json").read_text() == content


def test_runs_that_end_at_the_same_time_all_have_their_entry(tmp_path):
    write = (
        "import sys; from bert_tf.data.manifest import write_manifest\n"
        "for n in range(20): write_manifest(sys.argv[1], "
        "{'files': [{'name': f'{sys.argv[2]}-{n}'}]})"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", write, str(tmp_path), str(number)])
        for number in range(3)
    ]
    assert [process.wait() for process in processes] == [0, 0, 0]
    names = [run["files"][0]["name"] for run in read_manifest(str(tmp_path))["runs"]]
    assert sorted(names) == sorted(f"{p}-{n}" for p in range(3) for n in range(20))


@pytest.mark.parametrize("content", ["{}", "[]", '{"name": "an app", "icons": []}'])
def test_a_manifest_of_something_else_counts_as_none_and_is_not_overwritten(tmp_path, content):
    path = tmp_path / "manifest.json"
    path.write_text(content)
    assert read_manifest(str(tmp_path)) is None
    with pytest.raises(ValueError, match="not a manifest of pre-training records"):
        check_manifest_can_be_written(str(tmp_path))
    with pytest.raises(ValueError, match="not a manifest of pre-training records"):
        write_manifest(str(tmp_path), make_run(1, "a"))
    assert path.read_text() == content


def test_a_damaged_manifest_is_refused_with_its_path_and_line(tmp_path):
    (tmp_path / "manifest.json").write_text('{"format": 1,\n "runs": [')
    with pytest.raises(ValueError, match=r"manifest\.json:2: not JSON"):
        read_manifest(str(tmp_path))


def test_a_manifest_of_a_later_format_is_refused(tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps({"format": 2, "runs": []}))
    with pytest.raises(ValueError, match=r"reads manifests of format 1\. Received: 2"):
        read_manifest(str(tmp_path))


def test_a_manifest_can_lie_on_another_file_system():
    write_manifest("ram://bert_tf_test_manifest", make_run(1, "a"))
    write_manifest("ram://bert_tf_test_manifest", make_run(2, "b"))
    manifest = read_manifest("ram://bert_tf_test_manifest")
    assert manifest["runs"] == [make_run(1, "a"), make_run(2, "b")]
