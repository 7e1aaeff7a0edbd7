"""What Beam's workers do, without Beam: the text that each shard gets, whoever deals it."""

import random
import sys
from pathlib import Path

import pytest

from bert_tf.pretraining_data.beam_runner import (
    count_file,
    deal_file,
    number_documents,
    write_parts,
)
from bert_tf.pretraining_data.documents import deal_documents, read_lines
from bert_tf.pretraining_data.program import create_pretraining_data
from bert_tf.pretraining_data.statistics import CorpusStatistics
from bert_tf.settings import PretrainingDataSettings


def deal_by_beam(paths, num_shards, wanted, folder, seed=0):
    """The files that the pipeline's functions write, each called for itself and in any order."""
    rng = random.Random(seed)
    counts = [count_file(numbered) for numbered in enumerate(paths)]
    rng.shuffle(counts)
    dealt = [
        part
        for numbered in enumerate(paths)
        for part in deal_file(numbered, counts, num_shards, set(wanted))
    ]
    rng.shuffle(dealt)
    assert {shard for shard, _ in dealt} == set(wanted)
    for shard in wanted:
        write_parts((part for number, part in dealt if number == shard), str(folder / str(shard)))
    return number_documents(counts)


def random_text(rng):
    lines = ["a b", " c", "d\r", "\u2028e", "é", "", "", " ", "\r"]
    text = "\n".join(rng.choices(lines, k=rng.choice([0, 1, 2, 5, 20])))
    return text + rng.choice(["", "\n", "\n\n"])


def test_workers_deal_the_text_that_one_machine_deals(tmp_path):
    dealt = 0
    for seed in range(150):
        rng = random.Random(seed)
        paths = [str(tmp_path / f"text-{number}") for number in range(rng.randint(1, 6))]
        for path in paths:
            Path(path).write_text(random_text(rng), encoding="utf-8", newline="")
        expected, num_shards = CorpusStatistics(), rng.randint(1, 4)
        here = tmp_path / f"here-{seed}"
        here.mkdir()
        wanted = rng.sample(range(num_shards), rng.randint(1, num_shards))
        texts = {number: str(here / str(number)) for number in wanted}
        try:
            deal_documents(read_lines(paths, expected), num_shards, texts)
        except ValueError as error:
            with pytest.raises(ValueError, match=str(error)):
                deal_by_beam(paths, num_shards, wanted, tmp_path)
            continue
        _, counts = deal_by_beam(paths, num_shards, wanted, tmp_path, seed)
        for shard in wanted:
            assert (tmp_path / str(shard)).read_bytes() == Path(texts[shard]).read_bytes(), seed
        assert counts == expected, seed
        dealt += num_shards > 1
    assert dealt > 50


def test_a_document_goes_on_in_the_next_file_that_holds_text(tmp_path):
    for name, text in zip("abcd", ["x\n\ny\n", "", "z\n\nu\n\n", "v"], strict=True):
        (tmp_path / name).write_text(text)
    paths = [str(tmp_path / name) for name in "abcd"]
    firsts, counts = deal_by_beam(paths, 2, [0, 1], tmp_path)
    assert firsts == [0, 2, 1, 3, 4]  # The empty file has nothing that could belong to a document.
    assert (counts.unclosed_files, counts.empty_files) == (1, 1)
    assert (tmp_path / "0").read_text() == "\nx\n\nu\n"
    assert (tmp_path / "1").read_text() == "\ny\nz\n\nv\n"


def test_without_beam_the_error_says_how_to_have_it(tmp_path, toy_vocab, write_text, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    settings = PretrainingDataSettings(
        write_text("text", 5), toy_vocab, output_dir=str(tmp_path / "o"), num_shards=2
    )
    with pytest.raises(ValueError, match=r"cannot be imported.*setup_beam_environment\.sh"):
        create_pretraining_data(settings, beam_flags=[])
