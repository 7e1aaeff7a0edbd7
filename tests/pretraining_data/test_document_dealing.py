"""Documents are dealt whole, round and round."""

from pathlib import Path

import pytest

from bert_tf.pretraining_data import document_dealing
from bert_tf.pretraining_data.document_dealing import deal_documents
from bert_tf.pretraining_data.documents import TextLines


def documents_in(path):
    """A file's documents, each a list of lines."""
    text = Path(path).read_text(encoding="utf-8")
    return [document.split("\n") for document in text.strip("\n").split("\n\n")]


LINES = ["", "a", "b", "", "", "c", "", "d", "e", "", "f"]


def test_documents_go_to_the_shards_in_turns(tmp_path):
    paths = deal_documents(LINES, 3, str(tmp_path))
    assert [documents_in(path) for path in paths] == [[["a", "b"], ["f"]], [["c"]], [["d", "e"]]]


@pytest.mark.parametrize("buffered", [0, 1, 3, 100])
def test_it_does_not_matter_how_much_is_held_in_memory(tmp_path, monkeypatch, buffered):
    monkeypatch.setattr(document_dealing, "_BUFFERED_CHARACTERS", buffered)
    paths = deal_documents(LINES, 2, str(tmp_path))
    assert [documents_in(path) for path in paths] == [[["a", "b"], ["d", "e"]], [["c"], ["f"]]]


def test_a_shard_has_its_lines_again_whatever_characters_are_in_them(tmp_path):
    lines = ["a\u2028b\x0bc\x1cd\x85e", "", "\U0001f600", "f"]
    paths = deal_documents(lines, 2, str(tmp_path))
    assert [line for line in TextLines(paths[:1]) if line] == lines[:1]
    assert [line for line in TextLines(paths[1:]) if line] == lines[2:]


def test_more_shards_than_files_may_be_open_are_no_problem(tmp_path):
    lines = [line for number in range(3000) for line in (f"text {number}", "")]
    paths = deal_documents(lines, 3000, str(tmp_path))
    assert documents_in(paths[2999]) == [["text 2999"]]


@pytest.mark.parametrize(("lines", "number"), [(LINES, 4), ([], 0), (["", ""], 0), (["a"], 1)])
def test_more_shards_than_documents_are_refused(tmp_path, lines, number):
    with pytest.raises(ValueError, match=rf"num_shards=5, and text with {number} documents"):
        deal_documents(lines, 5, str(tmp_path))
