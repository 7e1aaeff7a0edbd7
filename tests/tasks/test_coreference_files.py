"""Reading and writing documents with coreference, and GAP's table."""

import gzip

import pytest

from bert_tf.tasks.coreference_files import conll_text, mention_column, read_conll
from bert_tf.tasks.gap_files import read_gap

ONTONOTES = """#begin document (bc/x/00/x_0000); part 001
bc/x/00/x_0000  1  0  He    PRP  (S*  -  -  -  Ann  *  (A*)  (3)
bc/x/00/x_0000  1  1  saw   VBD  *    -  -  -  Ann  *  (V*)  -
bc/x/00/x_0000  1  2  his   PRP$ *    -  -  -  Ann  *  (A*   (5|(3)
bc/x/00/x_0000  1  3  son   NN   *)   -  -  -  Ann  *  *)    5)

bc/x/00/x_0000  1  0  Hello UH   *    -  -  -  Bob  *  -     (5)

#end document
"""


def write(folder, text, name="a.conll"):
    path = folder / name
    path.write_text(text)
    return str(path)


def test_ontonotes_columns(tmp_path):
    (document,) = read_conll(write(tmp_path, ONTONOTES))
    assert document.id == "(bc/x/00/x_0000); part 001"
    assert document.sentences == [["He", "saw", "his", "son"], ["Hello"]]
    assert document.speakers == [["Ann"] * 4, ["Bob"]]
    assert document.clusters == [[(0, 0), (2, 2)], [(2, 3), (4, 4)]]


def test_tabs_with_an_empty_last_column_and_gzip(tmp_path):
    rows = [f"d\t0\t{i}\t{word}" + "\t_" * 8 for i, word in enumerate(["Sir", "Walter", "ran"])]
    ends = ["\t(0", "\t0)", "\t"]
    lines = ["#begin document (d); part 0"]
    lines += [row + end for row, end in zip(rows, ends, strict=True)] + ["", "#end document", ""]
    path = tmp_path / "d.conll.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    (document,) = read_conll(str(path))
    assert (document.id, document.clusters) == ("(d); part 0", [[(0, 1)]])
    assert document.speakers == [["-"] * 3]


def test_what_is_written_is_read_again(tmp_path):
    (document,) = read_conll(write(tmp_path, ONTONOTES))
    again = read_conll(write(tmp_path, conll_text([(document, document.clusters)]), "b.conll"))
    assert [each._replace(where="") for each in again] == [document._replace(where="")]


def test_nested_mentions_of_one_entity():
    assert mention_column([[(0, 2), (1, 1), (0, 0)], [(0, 2)]], 4) == [
        *("(1|(0|(0)", "(0)", "0)|1)", "-")
    ]


def test_what_the_format_cannot_express_is_refused():
    with pytest.raises(ValueError, match="overlap at the words 1 to 2"):
        mention_column([[(0, 2), (1, 3)]], 4)
    with pytest.raises(ValueError, match="not inside the document's 4 words"):
        mention_column([[(2, 4)]], 4)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("5)\n", "6)\n", r"a.conll:5: 6\) closes a mention that is not open"),
        ("5)\n", "-\n", r"ends before 5\), which closes the mention that \(5 opens at .*a.conll:4"),
        ("(5|(3)", "(5|3", "a.conll:4: the mentions of a word are written"),
        ("#begin document (bc/x/00/x_0000); part 001\n", "", "a.conll:1: a document must begin"),
        ("#end document\n", "", "has no '#end document'"),
        (
            "bc/x/00/x_0000  1  1  saw   VBD  *    -  -  -  Ann  *  (V*)  -",
            "x 1 1",
            ":3: a line has",
        ),
    ],
)
def test_broken_files_are_refused_with_their_line(tmp_path, old, new, message):
    assert old in ONTONOTES
    with pytest.raises(ValueError, match=message):
        read_conll(write(tmp_path, ONTONOTES.replace(old, new, 1)))


def test_a_document_twice_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"was already at .*a.conll:1"):
        read_conll(write(tmp_path, ONTONOTES * 2))


GAP = "ID\tText\tPronoun\tPronoun-offset\tA\tA-offset\tA-coref\tB\tB-offset\tB-coref\tURL\n"
ROW = "t-1\tMr. Poe met Al Ray. He ran.\tHe\t20\tPoe\t4\tFALSE\tAl Ray\t12\tTRUE\thttp://x\n"


def test_gap_decides_by_the_pronouns_cluster(tmp_path):
    (row,) = read_gap(write(tmp_path, GAP + ROW, "gap.tsv"))
    assert row.sentences == [["Mr", ".", "Poe", "met", "Al", "Ray", "."], ["He", "ran", "."]]
    assert row.decisions([[(4, 5), (7, 7)]]) == (False, True)
    assert row.decisions([[(2, 2), (7, 7)], [(4, 5), (9, 9)]]) == (True, False)
    assert row.decisions([]) == (False, False)
    assert row.row.coreferent == (False, True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ROW, "gap.tsv:1: no column 'ID'"),
        (GAP + ROW.replace("20", "21"), "gap.tsv:2: 'He' is not at the place 21"),
        (GAP + ROW.replace("TRUE", "yes"), "gap.tsv:2: TRUE or FALSE"),
        (GAP + ROW * 2, "gap.tsv:3: the id t-1 was already at .*gap.tsv:2"),
        (GAP, "there are no rows"),
    ],
)
def test_broken_gap_tables_are_refused(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read_gap(write(tmp_path, text, "gap.tsv"))


def test_gap_to_predict_needs_no_answers(tmp_path):
    cells = [line.split("\t") for line in (GAP, ROW)]
    cells = [[*each[:6], *each[7:9], *each[10:]] for each in cells]
    text = "".join("\t".join(each) for each in cells)
    (row,) = read_gap(write(tmp_path, text, "gap.tsv"), needs_answers=False)
    assert (row.row.coreferent, row.row.pronoun) == (None, "He")
    with pytest.raises(ValueError, match=r"gap.tsv:1: no column 'A-coref'"):
        read_gap(write(tmp_path, text, "gap.tsv"))


@pytest.mark.data
def test_all_of_litbank_and_gap_can_be_read(data_dir):
    documents = [
        document
        for path in sorted((data_dir / "litbank" / "coref").glob("*.conll.gz"))
        for document in read_conll(str(path))
    ]
    assert len(documents) == 80
    assert sum(len(document.clusters) for document in documents) == 6304
    assert sum(len(c) for document in documents for c in document.clusters) == 23150
    rows = read_gap(str(data_dir / "gap" / "gap-validation.tsv.gz"))
    assert len(rows) == 454
