"""read_records: rows of TSV, CSV and JSON lines with their lines, and what is refused."""

import csv
import gzip
import json

import pytest

from bert_tf.tasks.tables import TableLayout, read_records

NAMED = TableLayout()
NUMBERED = TableLayout(has_header=False)


@pytest.fixture
def write(tmp_path):
    def write(name: str, content: str | bytes) -> str:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write


def read(path: str, columns: list[str], layout: TableLayout = NAMED) -> list[tuple[int, list]]:
    """Line numbers and values."""
    rows = list(read_records(path, layout, columns))
    assert all(where.rpartition(":")[0] == path for where, _ in rows)
    return [(int(where.rpartition(":")[2]), values) for where, values in rows]


def refusal(path: str, columns: list[str], layout: TableLayout = NAMED) -> str:
    """The message of the error, without the folder."""
    with pytest.raises(ValueError, match=r"\S") as error:
        list(read_records(path, layout, columns))
    return str(error.value).replace(path, path.rpartition("/")[2])


def test_columns_are_found_by_name_in_any_order_and_by_number(write):
    path = write("a.tsv", "id\ttext\tlabel\n7\tgood film\t1\n8\tbad film\t0\n")
    assert read(path, ["label", "text"]) == [(2, ["1", "good film"]), (3, ["0", "bad film"])]
    assert read(path, ["0", "label"]) == [(2, ["7", "1"]), (3, ["8", "0"])]
    assert read(path, ["1"], NUMBERED)[0] == (1, ["text"])


def test_the_column_without_a_name_has_no_value(write):
    path = write("a.tsv", "text\tlabel\ngood\t1\n")
    assert read(path, ["text", "", "label"]) == [(2, ["good", None, "1"])]
    assert read(write("a.jsonl", '{"text": "good"}\n'), ["text", ""]) == [(1, ["good", None])]


def test_quotes_are_letters_in_tsv(write):
    path = write("a.tsv", 'text\tlabel\n"good\t1\nsay "it", twice""\t0\n')
    assert read(path, ["text"]) == [(2, ['"good']), (3, ['say "it", twice""'])]


def test_csv_fields_hold_commas_quotes_and_lines_and_a_row_is_where_it_begins(write):
    content = 'text,label\n"Good, but\nslow, ""they"" say.\n",4\nplain,2\n"\n\n",1\nlast,3\n'
    assert read(write("a.csv", content), ["label", "text"]) == [
        (2, ["4", 'Good, but\nslow, "they" say.\n']),
        (5, ["2", "plain"]),
        (6, ["1", "\n\n"]),
        (9, ["3", "last"]),
    ]


def test_what_the_csv_module_writes_is_read(write, tmp_path):
    texts = ['a "b"', "c,d", "e\nf", " g ", "", "é\t終", "'h'", '"', "\n"]
    with (tmp_path / "a.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["text", "label"], *([text, "x"] for text in texts)])
    rows = read(str(tmp_path / "a.csv"), ["text", "label"])
    assert [values for _, values in rows] == [[text, "x"] for text in texts]


def test_json_lines_are_read_by_key_and_numbers_become_their_text(write):
    rows = [
        {"text": "good\nfilm é", "label": 1},
        {"label": 2.5, "text": "a\tb", "more": [1]},
        {"text": "c", "label": True},
        {"text": "d", "label": None},
    ]
    path = write("a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    assert read(path, ["text", "label"]) == [
        (1, ["good\nfilm é", "1"]),
        (2, ["a\tb", "2.5"]),
        (3, ["c", "true"]),
        (4, ["d", None]),
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tsv", "text\tn\na good\rfilm\fof\x85it\t1\n"),
        ("a.csv", 'text,n\n"a good\rfilm\vof\x0bit",1\r\n'),
        ("a.jsonl", '{"text": "a good\\rfilm\\u000bof\\u0085it", "n": 1}\n'),
        ("b.tsv", "text\tn\ra good film of it\t1\r"),
        ("b.csv", "text,n\ra good film of it,1"),
        ("b.jsonl", '{"text": "a good film of it", "n": 1}\r'),
    ],
)
def test_what_separates_words_or_rows_is_not_dropped(write, name, content):
    (row,) = read(write(name, content), ["text", "n"])
    assert row[1] == ["a good film of it", "1"]


@pytest.mark.parametrize("ending", [".tsv", ".csv", ".jsonl", ".ndjson", ".json"])
def test_a_gzipped_file_is_read_as_what_it_holds(write, ending):
    contents = {".tsv": "text\tn\na b\t1\n", ".csv": 'text,n\n"a b",1\n'}
    content = contents.get(ending, '{"text": "a b", "n": "1"}\n')
    path = write("A" + ending.upper() + ".gz", gzip.compress(content.encode()))
    assert [values for _, values in read(path, ["n", "text"])] == [["1", "a b"]]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tsv", "text\tn\r\na\t1\r\n"),
        ("a.csv", '"text",n\r\na,1\r\n'),
        ("a.json", '{"text": "a", "n": 1}\r\n'),
    ],
)
def test_a_byte_order_mark_and_carriage_returns_are_dropped(write, name, content):
    path = write(name, b"\xef\xbb\xbf" + content.encode())
    assert [values for _, values in read(path, ["text", "n"])] == [["a", "1"]]


def test_a_last_line_without_an_end_counts_and_empty_lines_at_the_end_do_not(write):
    assert read(write("a.tsv", "text\na\nb"), ["text"]) == [(2, ["a"]), (3, ["b"])]
    assert read(write("b.tsv", "text\na\n\n\n"), ["text"]) == [(2, ["a"])]
    assert read(write("b.csv", "text\na\n\n\n"), ["text"]) == [(2, ["a"])]
    assert read(write("b.jsonl", '{"text": "a"}\n\n \n'), ["text"]) == [(1, ["a"])]


def test_an_empty_file_and_one_of_a_header_alone_have_no_rows(write):
    for name in ("a.tsv", "a.csv", "a.jsonl"):
        assert read(write(name, ""), ["text"]) == []
    assert read(write("a.csv", "text,label\n"), ["text"]) == []


def test_an_empty_line_before_the_end_is_refused(write):
    assert refusal(write("a.tsv", "text\na\n\nb\n"), ["text"]).startswith("a.tsv:3: an empty line")
    assert refusal(write("a.csv", "text\na\n\nb\n"), ["text"]).startswith("a.csv:3: an empty line")
    path = write("a.jsonl", '{"text": "a"}\n\n\n{"text": "b"}\n')
    assert refusal(path, ["text"]).startswith("a.jsonl:2: an empty line")


def test_a_delimiter_is_a_character_or_its_name(write):
    for delimiter, character in (("semicolon", ";"), (";", ";"), ("|", "|"), ("space", " ")):
        path = write("a.csv", f'text{character}label\n"a{character}b"{character}1\n')
        layout = TableLayout(delimiter=delimiter)
        assert read(path, ["text", "label"], layout) == [(2, [f"a{character}b", "1"])]
    path = write("a.txt", 'text\tlabel\n"a\tb"\t1\n')
    for delimiter in ("tab", "\\t", "\t"):
        layout = TableLayout("csv", delimiter)
        assert read(path, ["text", "label"], layout) == [(2, ["a\tb", "1"])]
    path = write("a.txt", 'text,label\n"a",1\n')
    assert read(path, ["text"], TableLayout("tsv", "comma")) == [(2, ['"a"'])]


@pytest.mark.parametrize("layout", [("xls",), ("auto", "tabs"), ("csv", '"'), ("csv", "")])
def test_an_unknown_format_or_delimiter_is_refused(layout):
    with pytest.raises(ValueError, match=r"--(format|delimiter) must be one"):
        TableLayout(*layout)


def test_a_name_that_does_not_tell_the_format_is_refused(write):
    assert "--format=tsv" in refusal(write("train.txt.gz", "a\tb\n"), ["0"])
    assert read(write("train.txt", "a\tb\n"), ["0"], TableLayout("tsv", has_header=False))


def test_a_row_with_more_or_fewer_columns_is_refused_with_its_line(write):
    path = write("a.tsv", "text\tlabel\ngood\t1\nbad\n")
    message = refusal(path, ["text"])
    assert message.startswith("a.tsv:3: each row needs as many columns as the first one, 2.")
    assert "Received: 1." in message
    assert r"--format=csv --delimiter='\t'" in message
    message = refusal(write("a.csv", 'text,label\n"a\nb",1\nbad, really,0\n'), ["text"])
    assert message.startswith("a.csv:4:")
    assert "Received: 3." in message
    assert message.endswith("needs quotes around it")
    assert refusal(write("b.tsv", "a\tb\na\tb\tc\n"), ["0"], NUMBERED).startswith("b.tsv:2:")


def test_a_missing_column_is_refused_with_those_that_there_are(write):
    path = write("a.tsv", " text \tlabel\ngood\t1\n")
    assert read(path, ["text"])
    assert refusal(path, ["Text"]) == (
        "a.tsv:1: no column 'Text'. The header is 'text', 'label'; columns can also be "
        "given by number, 0 to 1."
    )
    assert "no column '2'" in refusal(path, ["2"])
    assert "There is no header" in refusal(path, ["text"], NUMBERED)
    assert "several columns 'a'" in refusal(write("b.tsv", "a\ta\n1\t2\n"), ["a"])
    message = refusal(write("a.jsonl", '{"text": "a"}\n{"txt": "b", "n": 1}\n'), ["text"])
    assert message == "a.jsonl:2: no key 'text'. There are: 'txt', 'n'."


def test_what_is_not_csv_is_refused_where_the_row_begins(write):
    message = refusal(write("a.csv", 'text,n\na,1\n"open,2\nb,3\n'), ["text"])
    assert message.startswith("a.csv:3: invalid CSV")
    assert "--format=tsv --delimiter=','" in message
    assert refusal(write("b.csv", 'text,n\n"a" b,1\n'), ["text"]).startswith("b.csv:2: invalid CSV")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"text": "a"', "must be a JSON object"),
        ('[{"text": "a"}]', "jq -c '.[]'"),
        ('"a"', "must be a JSON object"),
        ('{"text": ["a", "b"]}', "'text' must be a string or a number"),
    ],
)
def test_a_line_that_is_no_json_object_is_refused(write, line, words):
    message = refusal(write("a.jsonl", f'{{"text": "a"}}\n{line}\n'), ["text"])
    assert message.startswith("a.jsonl:2: ")
    assert words in message


def test_bytes_that_are_not_utf8_are_refused_with_their_line(write):
    for name in ("a.tsv", "a.csv", "a.jsonl"):
        first = '{"text": "a"}' if name == "a.jsonl" else "text"
        path = write(name, f"{first}\n".encode() + b"caf\xe9\n")
        assert refusal(path, ["text"]).startswith(f"{name}:2: not UTF-8")


def test_a_field_may_be_longer_than_the_csv_module_allows_and_its_limit_stays(write):
    limit = csv.field_size_limit()
    text = "word " * 100_000
    path = write("a.csv", f'text,label\n"{text}",1\n')
    assert read(path, ["text", "label"]) == [(2, [text, "1"])]
    assert csv.field_size_limit() == limit < len(text)


def test_a_number_and_a_text_under_one_key_are_both_texts_with_their_places(write, caplog):
    path = write("a.jsonl", '{"label": 1}\n{"label": null}\n{"label": "1"}\n{"label": NaN}\n')
    rows = list(read_records(path, TableLayout(), ["label"]))
    assert [cells for _, cells in rows] == [["1"], [None], ["1"], [None]]
    assert f"'label' is a text at {path}:3 and a number at {path}:1" in caplog.text


def test_a_key_that_is_there_twice_is_refused_with_its_line(write):
    path = write("a.jsonl", '{"text": "a"}\n{"text": "a", "text": "b"}\n')
    assert refusal(path, ["text"]) == "a.jsonl:2: an object has the key 'text' twice: 'a' and 'b'."


def test_the_separator_is_suspected_if_there_is_one_column(write):
    path = write("a.csv", "text;label\ngood;1\n")
    assert "If ',' is not what separates columns, give --delimiter" in refusal(path, ["text"])
