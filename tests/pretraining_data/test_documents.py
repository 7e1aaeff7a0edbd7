"""Documents: lines become sentences, blank lines end documents, files do not."""

import itertools

import pytest

from bert_tf.pretraining_data.documents import Documents, read_lines
from bert_tf.pretraining_data.statistics import CorpusStatistics


def read(tmp_path, *contents):
    """Documents as lists of sentences of ids, and counts; a letter is its place in the alphabet."""
    paths = []
    for number, content in enumerate(contents):
        paths.append(tmp_path / f"text{number}")
        paths[-1].write_bytes(content.encode() if isinstance(content, str) else content)
    counts = CorpusStatistics()
    documents = Documents(
        read_lines(paths, counts),
        lambda line: [ord(letter) - 96 for letter in line if letter.isalpha()],
    )
    starts = documents.sentence_starts
    sentences = [documents.tokens[start:end] for start, end in itertools.pairwise(starts)]
    return [sentences[first:past] for first, past in documents.documents], counts


def test_a_line_is_a_sentence_and_a_blank_line_ends_a_document(tmp_path):
    documents, counts = read(tmp_path, "ab\nc\n\nd\n")
    assert documents == [[[1, 2], [3]], [[4]]]
    assert (counts.lines, counts.blank_lines) == (4, 1)


@pytest.mark.parametrize("blank", ["\n", "\n\n", " \t\n", "\u3000\n", "\r\n", "\x0c\n", "\x85\n"])
def test_any_number_of_lines_of_white_space_end_a_document(tmp_path, blank):
    assert read(tmp_path, f"{blank}a\n{blank}{blank}b{blank}")[0] == [[[1]], [[2]]]


def test_a_line_without_tokens_is_passed_over_and_ends_nothing(tmp_path):
    documents, counts = read(tmp_path, "a\n...\n\u200b\nb\n\n...\n\nc")
    assert documents == [[[1], [2]], [[3]]]
    assert counts.blank_lines == 2


def test_the_end_of_a_file_does_not_end_a_document(tmp_path):
    documents, counts = read(tmp_path, "a\n\nb", "c\n\n", "", "d\n", "\n", "e")
    assert documents == [[[1]], [[2], [3]], [[4]], [[5]]]
    assert counts.unclosed_files == 1  # The first. The fourth is closed by the fifth.
    assert counts.empty_files == 2


def test_a_document_over_three_files_leaves_two_unclosed(tmp_path):
    documents, counts = read(tmp_path, "a\n", "b\n", "c\n")
    assert documents == [[[1], [2], [3]]]
    assert counts.unclosed_files == 2


def test_carriage_returns_within_lines_are_dropped_as_in_the_original_and_counted(tmp_path):
    documents, counts = read(tmp_path, "a\rb\r\n\rc\r\n")
    assert documents == [[[1, 2], [3]]]
    assert counts.carriage_returns == 2


def test_lines_of_markup_are_counted_and_the_first_is_shown(tmp_path):
    _, counts = read(tmp_path, "It is.\n<p>It was.</p>\n\nQ&amp;A\n")
    assert counts.markup_lines == 2
    assert counts.markup_example == f"tags in {tmp_path / 'text0'}: '<p>It was.</p>'"


def test_text_without_tokens_has_no_documents(tmp_path):
    assert read(tmp_path, "\n\n...\n")[0] == []
    assert read(tmp_path, "")[0] == []
