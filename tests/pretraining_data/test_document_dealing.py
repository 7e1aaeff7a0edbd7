"""Documents are dealt whole, in turn."""

from pathlib import Path

import pytest

from bert_tf.pretraining_data import documents
from bert_tf.pretraining_data.documents import read_lines
from bert_tf.pretraining_data.statistics import CorpusStatistics


def documents_in(path):
    """A file's documents, each a list of lines."""
    text = Path(path).read_text(encoding="utf-8")
    return [document.split("\n") for document in text.strip("\n").split("\n\n")]


def deal(folder, lines, num_shards):
    """Deals documents, and returns the paths of the shards' texts."""
    paths = [str(folder / f"shard-{number}") for number in range(num_shards)]
    documents.deal_documents(lines, num_shards, dict(enumerate(paths)))
    return paths


LINES = ["", "a", "b", "", "", "c", "", "d", "e", "", "f"]


def test_documents_go_to_the_shards_in_turns(tmp_path):
    paths = deal(tmp_path, LINES, 3)
    assert [documents_in(path) for path in paths] == [[["a", "b"], ["f"]], [["c"]], [["d", "e"]]]


@pytest.mark.parametrize("buffered", [0, 1, 3, 100])
def test_it_does_not_matter_how_much_is_held_in_memory(tmp_path, monkeypatch, buffered):
    monkeypatch.setattr(documents, "_BUFFERED_CHARACTERS", buffered)
    paths = deal(tmp_path, LINES, 2)
    assert [documents_in(path) for path in paths] == [[["a", "b"], ["d", "e"]], [["c"], ["f"]]]


def test_a_shard_has_its_lines_again_whatever_characters_are_in_them(tmp_path):
    lines = ["a\u2028b\x0bc\x1cd\x85e", "", "\U0001f600", "f"]
    paths = deal(tmp_path, lines, 2)
    assert [line for line in read_lines(paths[:1], CorpusStatistics()) if line] == lines[:1]
    assert [line for line in read_lines(paths[1:], CorpusStatistics()) if line] == lines[2:]


def test_more_shards_than_files_may_be_open_are_no_problem(tmp_path):
    lines = [line for number in range(3000) for line in (f"text {number}", "")]
    paths = deal(tmp_path, lines, 3000)
    assert documents_in(paths[2999]) == [["text 2999"]]


@pytest.mark.parametrize(("lines", "number"), [(LINES, 4), ([], 0), (["", ""], 0), (["a"], 1)])
def test_more_shards_than_documents_are_refused(tmp_path, lines, number):
    with pytest.raises(ValueError, match=rf"num_shards=5, and text with {number} documents"):
        deal(tmp_path, lines, 5)
