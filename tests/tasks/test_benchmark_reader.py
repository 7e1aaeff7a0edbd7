"""Rows of tables: where they are, what they hold, and what is refused."""

import gzip

import pytest

from bert_tf.tasks.benchmark_reader import Layout, read_columns
from bert_tf.tasks.tables import Row
from bert_tf.tasks.task import find_file

# Names that a header may have, and the usual place.
A, B = (("a", "first"), 1), (("b",), 2)


def write(path, text):
    path.write_bytes(text.encode("utf-8"))
    return str(path)


def read_table(path):
    """All rows, of which only the first cell is needed."""
    return [row for row, _ in read_columns(path, [()], Layout((), (0,), has_header=False))]


def test_a_quote_is_a_letter_like_any_other_between_tabs(tmp_path):
    path = write(tmp_path / "x.tsv", 'a\tb\n"x\ty"\n"\t\n')
    assert list(read_table(path)) == [
        Row(0, f"{path}:1", ["a", "b"]),
        Row(1, f"{path}:2", ['"x', 'y"']),
        Row(2, f"{path}:3", ['"', ""]),
    ]


def test_carriage_returns_a_byte_order_mark_and_blank_rows_are_no_cells(tmp_path):
    path = write(tmp_path / "x.tsv", "\ufeffa\tb\r\n\r\n1\t2\u2028\r\n\n")
    assert list(read_table(path)) == [
        Row(0, f"{path}:1", ["a", "b"]),
        Row(2, f"{path}:3", ["1", "2\u2028"]),
    ]


def test_csv_has_quotes_commas_in_them_and_rows_of_several_lines(tmp_path):
    path = write(tmp_path / "x.csv", '\ufeff"a, ""b""",c\n"two\nlines",d\ne,f\n')
    assert list(read_table(path)) == [
        Row(0, f"{path}:1", ['a, "b"', "c"]),
        Row(1, f"{path}:2", ["two\nlines", "d"]),
        Row(2, f"{path}:4", ["e", "f"]),
    ]


@pytest.mark.parametrize("text", ['a,b\n"c"d,e\n', 'a,b\n"c,d\n'])
def test_broken_csv_is_refused_with_its_line(tmp_path, text):
    path = write(tmp_path / "x.csv", text)
    with pytest.raises(ValueError, match=r"x\.csv:2: invalid CSV"):
        list(read_table(path))


@pytest.mark.parametrize("name", ["x.tsv", "x.csv"])
def test_a_gzipped_file_is_found_and_read_like_any_other(tmp_path, name):
    separator = "," if name == "x.csv" else "\t"
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(f"a{separator}b\n".encode()))
    path = find_file(str(tmp_path), name)
    assert path == str(tmp_path / f"{name}.gz")
    assert list(read_table(path)) == [Row(0, f"{path}:1", ["a", "b"])]
    write(tmp_path / name, "")
    assert find_file(str(tmp_path), name) == str(tmp_path / name)
    assert find_file(str(tmp_path), "y.tsv") is None


def cells(path, *columns, has_header=True, **options):
    names, places = zip(*columns, strict=True)
    layout = Layout((), places, has_header)
    return [found for _, found in read_columns(path, names, layout, **options)]


def test_columns_are_found_by_any_of_their_names(tmp_path):
    path = write(tmp_path / "x.tsv", "B\tid\t First\n1\t2\t3\n")
    assert cells(path, A, B) == [["3", "1"]]


def test_columns_are_where_they_always_are_if_the_header_has_other_names(tmp_path):
    path = write(tmp_path / "x.tsv", "one header\n0\t1\t2\n0\t1\t2\t3\n")
    assert cells(path, A, B) == [["1", "2"], ["1", "2"]]
    assert cells(path, A, (("z",), -1)) == [["1", "2"], ["1", "3"]]


def test_a_header_with_some_of_the_names_must_have_them_in_their_places(tmp_path):
    path = write(tmp_path / "x.tsv", "id\ta\tc\n0\t1\t2\n")
    assert cells(path, A, B) == [["1", "2"]]
    path = write(tmp_path / "y.tsv", "a\tid\tc\n0\t1\t2\n")
    with pytest.raises(ValueError, match=r"y\.tsv:1: no column is named 'b'.*a, id, c"):
        cells(path, A, B)


def test_two_columns_of_one_name_are_refused(tmp_path):
    path = write(tmp_path / "x.tsv", "a\tb\tA\n0\t1\t2\n")
    with pytest.raises(ValueError, match=r"x\.tsv:1: several columns are named 'a'.*a, b, A"):
        cells(path, A, B)


def test_a_file_without_a_header_may_yet_have_one_that_names_every_column(tmp_path):
    path = write(tmp_path / "x.tsv", "0\t1\t2\n")
    assert cells(path, A, B, has_header=False) == [["1", "2"]]
    path = write(tmp_path / "y.tsv", "b\ta\n0\t1\n")
    assert cells(path, A, B, has_header=False) == [["1", "0"]]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("id\ta\tb\n0\t1\t2\n0\t1\n", 3, "at least 3 columns are needed.*Received: 2"),
        ("a\tb\tid\n0\n", 2, "at least 2 columns are needed.*Received: 1"),
        ("header\n0\t1\n", 2, "at least 3 columns are needed.*Received: 2"),
    ],
)
def test_a_row_that_lacks_a_column_is_refused_with_its_line(tmp_path, text, line, message):
    path = write(tmp_path / "x.tsv", text)
    with pytest.raises(ValueError, match=rf"x\.tsv:{line}: {message}"):
        cells(path, A, B)


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("id\ta\tb\n0\t1\t2\n0\t1\t2\t3\n", 3),  # The original reads it, too.
        ("a\tb\tid\n1\t2\n", 2),
    ],
)
def test_a_row_with_more_or_fewer_columns_is_read_with_a_warning(tmp_path, caplog, text, row):
    path = write(tmp_path / "x.tsv", text)
    assert cells(path, A, B)[-1] == ["1", "2"]
    assert f"x.tsv:{row}: 1 rows have more or fewer columns" in caplog.text


def test_the_last_column_is_the_last_one_of_a_longer_row_too(tmp_path):
    path = write(tmp_path / "x.tsv", "id\ta\tb\tz\n0\t1\t2\t3\t4\n")
    assert cells(path, A, (("z",), -1)) == [["1", "4"]]


def test_without_a_header_every_row_needs_its_columns(tmp_path):
    path = write(tmp_path / "y.tsv", "0\t1\n")
    with pytest.raises(ValueError, match=r"y\.tsv:1: at least 3 columns"):
        cells(path, A, B, has_header=False)


def test_short_rows_can_be_left_out(tmp_path):
    path = write(tmp_path / "x.tsv", "id\ta\tb\n0\t1\n0\t1\t2\n")
    short = []
    assert cells(path, A, B, short_rows=short) == [["1", "2"]]
    assert [row.where for row in short] == [f"{path}:2"]


def test_an_empty_file_has_no_rows(tmp_path):
    assert cells(write(tmp_path / "x.tsv", ""), A, B) == []
