"""The vocabularies in vocab/: whole, as their README says, and learned by the command there."""

import hashlib
from pathlib import Path

import pytest

from bert_tf.text.tokenization import BasicTokenizer, FullTokenizer, load_vocab
from bert_tf.text.wordpiece import learn_vocab, special_rows

FOLDER = Path(__file__).resolve().parents[2] / "vocab"
LARGE = {"english_uncased_30522": (True, 994), "english_cased_30522": (False, 101)}
ALL = {**LARGE, "english_uncased_2000": (True, 0)}


def test_every_vocabulary_is_checked_here():
    assert sorted(path.stem for path in FOLDER.glob("*.txt")) == sorted(ALL)


@pytest.mark.parametrize("name", ALL)
def test_a_vocabulary_has_its_rows_where_google_s_has_them(name):
    _, num_unused = ALL[name]
    vocab = load_vocab(str(FOLDER / f"{name}.txt"))

    rows = list(vocab)
    special = special_rows(num_unused)
    assert len(rows) == int(name.rpartition("_")[2])
    assert rows[: len(special)] == special
    assert not any("[" in row for row in rows[len(special) :] if len(row) > 1)
    assert name not in LARGE or vocab["[UNK]"] == 100


@pytest.mark.parametrize("name", ALL)
def test_every_row_fits_the_tokenizer(name):
    lower, num_unused = ALL[name]
    rows = list(load_vocab(str(FOLDER / f"{name}.txt")))[5 + num_unused :]
    basic = BasicTokenizer(lower)

    for row in rows:
        word = row.removeprefix("##")
        assert basic.tokenize(word) == [word]


@pytest.mark.parametrize("name", ALL)
def test_the_readme_names_the_file_s_hash(name):
    digest = hashlib.sha256((FOLDER / f"{name}.txt").read_bytes()).hexdigest()

    assert f"| `{name}.txt` |" in (FOLDER / "README.md").read_text(encoding="utf-8")
    assert digest in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_plain_english_stays_whole():
    text = "It was the best of times, it was the worst of times."

    for name, (lower, _) in LARGE.items():
        tokenizer = FullTokenizer(str(FOLDER / f"{name}.txt"), lower)
        assert tokenizer.tokenize(text) == tokenizer.basic_tokenizer.tokenize(text)


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize("name", ALL)
def test_the_command_in_the_readme_gives_the_same_file(data_dir, tmp_path, name):
    lower, _ = ALL[name]
    size = int(name.rpartition("_")[2])

    learn_vocab(f"{data_dir}/text/novels_?.txt.gz", str(tmp_path / "vocab.txt"), size, lower)

    assert (tmp_path / "vocab.txt").read_bytes() == (FOLDER / f"{name}.txt").read_bytes()
