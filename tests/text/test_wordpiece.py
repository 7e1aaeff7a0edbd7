"""Learned vocabularies: exact in size, fitting the tokenizer, the same on every run."""

import io
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

from bert_tf.text import wordpiece
from bert_tf.text.tokenization import BasicTokenizer, FullTokenizer, WordpieceTokenizer, load_vocab
from bert_tf.text.wordpiece import learn_pieces, learn_vocab, special_rows

SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


@pytest.fixture(scope="module")
def text_file(tmp_path_factory):
    """English that is at hand, with accents and ideographs."""
    path = tmp_path_factory.mktemp("text") / "text.txt"
    text = (Path(__file__).parents[2] / "LICENSE").read_text(encoding="utf-8")
    text += "\nThe Café sold naïve 中国 résumés.\n" * 3
    path.write_text(text, encoding="utf-8")
    return path


def learn(text_file, output, size, **options):
    rows = learn_vocab(str(text_file), str(output), size, **options)
    assert output.read_text(encoding="utf-8") == "".join(f"{row}\n" for row in rows)
    return rows


@pytest.mark.parametrize("size", [300, 351, 420])
@pytest.mark.parametrize("lower", [True, False])
def test_a_vocabulary_has_the_rows_asked_for_and_fits_the_tokenizer(
    text_file, tmp_path, size, lower
):
    rows = learn(text_file, tmp_path / "vocab.txt", size, do_lower_case=lower)

    assert len(rows) == len(set(rows)) == size
    assert rows[:5] == SPECIAL_TOKENS
    tokenizer = FullTokenizer(str(tmp_path / "vocab.txt"), lower)
    assert list(tokenizer.vocab) == rows
    tokens = Counter(tokenizer.tokenize(text_file.read_text(encoding="utf-8")))
    assert "[UNK]" not in tokens
    # Every piece longer than a character is the tokenizer's choice somewhere, or nearly so.
    longer = [row for row in rows[5:] if len(row.removeprefix("##")) > 1]
    assert sum(row in tokens for row in longer) > 0.95 * len(longer)


@pytest.mark.parametrize("lower", [True, False])
def test_every_piece_can_come_out_of_the_tokenizer(text_file, tmp_path, lower):
    rows = learn(text_file, tmp_path / "vocab.txt", 600, do_lower_case=lower)
    basic = BasicTokenizer(lower)
    tokenizer = WordpieceTokenizer(dict.fromkeys(rows))

    for row in rows[5:]:
        word = row.removeprefix("##")
        assert basic.tokenize(word) == [word]
        if row == word:
            assert tokenizer.split_word(word) == [word]
        else:
            starts = [x for x in rows[5:] if not x.startswith("##")]
            assert any(tokenizer.split_word(start + word)[1:] == [row] for start in starts), row


def test_single_characters_come_first_then_pieces_as_they_were_learned(tmp_path):
    counts = {"ab": 10, "abc": 5, "bx": 1, "!": 2}

    pieces = learn_pieces(counts, 20)

    assert pieces == ["!", "a", "b", "c", "x", "##b", "##c", "##x", "ab", "abc", "bx"]


def test_the_pieces_used_most_are_kept():
    # "abc" cannot be learned before "ab", which no word is split into in the end.
    counts = {"abc": 10, "de": 4}

    assert learn_pieces(counts, 11) == [
        "a",
        "b",
        "c",
        "d",
        "e",
        "##b",
        "##c",
        "##e",
        "ab",
        "abc",
        "de",
    ]
    assert learn_pieces(counts, 10)[8:] == ["abc", "de"]


def test_characters_that_are_too_rare_are_left_out_with_their_words():
    common = "".join(map(chr, range(ord("a"), ord("z") + 1)))
    rare = {chr(0x4E00 + number): 1 for number in range(2000)}
    counts = {**{letter + other: 5000 for letter in common for other in common}, **rare, "a一": 1}

    pieces = learn_pieces(counts, 500)

    assert len(pieces) == 500
    assert [x for x in pieces if len(x) == 1 and x in common] == list(common)
    assert sum(len(x.removeprefix("##")) == 1 for x in pieces) == 250  # Half of the rows.
    known = {x for x in pieces if len(x) == 1}
    assert all(known.issuperset(x.removeprefix("##")) for x in pieces)


def test_a_language_of_many_characters_gets_more_than_the_usual_thousand():
    counts = {chr(0x4E00 + number): 100 for number in range(3000)}

    assert len(learn_pieces(counts, 4000)) == 2997  # 99.9 %


def test_characters_that_do_not_fit_are_an_error():
    counts = {chr(0x4E00 + number): 100 for number in range(300)}

    with pytest.raises(
        ValueError, match=r"vocab_size is too small: of the 300 .* than the 200 rows"
    ):
        learn_pieces(counts, 200)


def test_counts_that_are_too_large_are_scaled(monkeypatch):
    counts = {f"{x}{y}{z}": 7 for x in "abc" for y in "abcde" for z in "xyz"}
    counts |= {"the": 9000, "cat": 3000, "rare": 1}
    expected = learn_pieces({word: 100 * count for word, count in counts.items()}, 60)
    monkeypatch.setattr(wordpiece, "_MAX_WORDS_TOLD", 10_000)

    pieces = learn_pieces({word: 10**12 * count for word, count in counts.items()}, 60)

    assert {"the", "cat"} <= set(pieces)
    assert len(pieces) == len(expected) == 60


def test_counts_do_not_depend_on_the_order_of_the_words():
    counts = Counter({f"{x}{y}{z}": 3 for x in "abcde" for y in "fghij" for z in "klm"})
    backwards = dict(reversed(counts.items()))

    assert learn_pieces(counts, 70) == learn_pieces(backwards, 70)


def test_special_rows_lie_where_google_s_do():
    assert special_rows(0) == SPECIAL_TOKENS
    assert special_rows(2) == ["[PAD]", "[unused0]", "[unused1]", *SPECIAL_TOKENS[1:]]
    rows = special_rows(994)
    assert rows[:2] + rows[99:105] + rows[-1:] == [
        *["[PAD]", "[unused0]", "[unused98]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
        *["[unused99]", "[unused993]"],
    ]


@pytest.mark.data
def test_special_rows_are_those_of_google_s_uncased_vocabulary(data_dir):
    vocab = load_vocab(str(data_dir / "vocab" / "bert_base_uncased.txt"))

    assert special_rows(994) == list(vocab)[:999]


@pytest.mark.parametrize(
    ("size", "lower", "asked", "unused"),
    [
        (19_999, True, None, 0),
        (20_000, True, None, 994),
        (20_000, False, None, 101),
        (999, True, 7, 7),
    ],
)
def test_unused_rows_are_google_s_number_in_large_vocabularies(
    text_file, tmp_path, monkeypatch, size, lower, asked, unused
):
    monkeypatch.setattr(wordpiece, "learn_pieces", lambda counts, n, stream: ["x"] * n)

    rows = learn(text_file, tmp_path / "vocab.txt", size, do_lower_case=lower, num_unused=asked)

    assert len(rows) == size
    assert sum(row.startswith("[unused") for row in rows) == unused


def test_progress_is_shown(text_file, tmp_path):
    stream = io.StringIO()

    learn(text_file, tmp_path / "vocab.txt", 300, stream=stream)

    assert re.search(r"reading +100 %.* MB/s", stream.getvalue())
    assert re.search(r"learning +100 %.* words/s", stream.getvalue())


def check_refused(tmp_path, text, size, message, **options):
    path, output = tmp_path / "text.txt", tmp_path / "out" / "vocab.txt"
    path.write_bytes(text)
    output.parent.mkdir()
    output.write_text("what was there", encoding="utf-8")

    with pytest.raises(ValueError, match=message):
        learn_vocab(str(path), str(output), size, **options)
    assert output.read_text(encoding="utf-8") == "what was there"
    assert list(output.parent.iterdir()) == [output]


def test_a_text_that_is_too_small_is_refused_with_what_can_be_had(tmp_path):
    message = (
        r"too small for vocab_size=100: its 2 different words give 11 pieces, .* "
        r"make 16 rows\. Give more text, or at most --vocab_size=16\."
    )

    check_refused(tmp_path, b"abc de\nabc\n", 100, message)
    assert len(learn_vocab(str(tmp_path / "text.txt"), str(tmp_path / "v.txt"), 16)) == 16


def test_a_text_without_words_is_refused(tmp_path):
    check_refused(tmp_path, b"\n \n\x00\n", 100, r"no words in .*text\.txt")


def test_an_empty_file_is_refused(tmp_path):
    check_refused(tmp_path, b"", 100, r"no words in .*text\.txt")


def test_a_text_that_is_not_utf_8_is_refused(tmp_path):
    check_refused(tmp_path, b"abc\n\xe9\n", 100, r"text\.txt:2: not UTF-8")


@pytest.mark.parametrize("output", ["text.txt", "./text.txt", "link"])
def test_the_text_is_not_overwritten(tmp_path, monkeypatch, output):
    (tmp_path / "text.txt").write_text("abc de\nabc\n")
    (tmp_path / "link").symlink_to("text.txt")
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ValueError, match="an input file; the vocabulary needs a file of its own"):
        learn_vocab("text.txt", output, 16)
    assert (tmp_path / "text.txt").read_text() == "abc de\nabc\n"


def test_no_room_for_pieces_is_refused(tmp_path):
    message = "15 rows .* Received: vocab_size=15, num_unused=10"

    check_refused(tmp_path, b"abc", 15, message, num_unused=10)


def test_a_negative_number_of_unused_rows_is_refused(tmp_path):
    check_refused(tmp_path, b"abc", 15, "num_unused=-1", num_unused=-1)


def test_no_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"No file matches .*nothing\*\.txt"):
        learn_vocab(str(tmp_path / "nothing*.txt"), str(tmp_path / "vocab.txt"), 100)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_known_before_the_text_is_read(
    text_file, tmp_path, monkeypatch
):
    monkeypatch.setattr(wordpiece, "count_words", lambda *_: pytest.fail("read the text"))

    with pytest.raises(FileNotFoundError, match="nowhere"):
        learn_vocab(str(text_file), str(tmp_path / "nowhere" / "vocab.txt"), 300)


def test_the_missing_library_is_named(text_file, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ValueError, match="pip install tokenizers"):
        learn_vocab(str(text_file), str(tmp_path / "vocab.txt"), 300)
