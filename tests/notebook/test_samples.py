"""The sample tables, the data sets made of them, and the small models."""

import collections
import importlib.util
import json
import subprocess
import sys

import pytest

import bert_tf
from bert_tf import notebook
from bert_tf.config import read_json


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("movie_reviews.csv", ["text", "label"]),
        ("paraphrases.csv", ["sentence1", "sentence2", "label"]),
        ("requests.csv", ["text", "label"]),
        ("countries.csv", ["country", "capital", "currency", "language", "neighbour"]),
    ],
)
def test_a_sample_is_complete_its_classes_equal_and_its_rows_different(name, columns):
    table = notebook.read_table(notebook.sample_file(name))
    assert list(table) == columns
    rows = list(zip(*table.values(), strict=True))
    assert len(set(rows)) == len(rows) >= 48
    assert all(value == value.strip() != "" for row in rows for value in row)
    if "label" in table:
        assert len(set(collections.Counter(table["label"]).values())) == 1


def test_an_unknown_sample_is_answered_with_those_there_are():
    with pytest.raises(ValueError, match=r"movie_reviews\.csv.* Received: 'films\.csv'"):
        notebook.sample_file("films.csv")


def test_a_table_may_have_commas_and_line_ends_in_quotes(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(b'text,label\r\n"a, ""b""\nc",x\r\nd,y\r\n')
    assert notebook.read_table(str(path)) == {"text": ['a, "b"\nc', "d"], "label": ["x", "y"]}


def test_a_row_of_another_length_is_named(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("text,label\na,x\nb\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"table\.csv: row 3 has 1 values, not 2"):
        notebook.read_table(str(path))


def test_a_table_becomes_a_data_set_of_tfds_with_the_same_texts(tmp_path):
    tfds = pytest.importorskip("tensorflow_datasets", reason="needs: pip install '.[tfds]'")
    pytest.importorskip("importlib_resources", reason="needs: pip install '.[tfds]'")
    path = notebook.sample_file("paraphrases.csv")
    for _ in range(2):  # The second time it is kept.
        notebook.write_tfds(path, str(tmp_path), "paraphrases")
    splits, info = tfds.load(
        "paraphrases",
        split=["train", "test"],
        data_dir=str(tmp_path),
        batch_size=-1,
        with_info=True,
    )
    labels = info.features["label"].names
    assert labels == ["equivalent", "not_equivalent"]
    train, test = map(tfds.as_numpy, splits)
    assert (len(train["label"]), len(test["label"])) == (36, 12)
    assert test["label"].sum() == 6
    found = {
        (a.decode(), b.decode(), labels[label])
        for split in (train, test)
        for a, b, label in zip(split["sentence1"], split["sentence2"], split["label"], strict=True)
    }
    assert found == set(zip(*notebook.read_table(path).values(), strict=True))


def test_a_data_set_needs_labels(tmp_path):
    pytest.importorskip("tensorflow_datasets", reason="needs: pip install '.[tfds]'")
    with pytest.raises(ValueError, match=r"no column label\. Received: country"):
        notebook.write_tfds(notebook.sample_file("countries.csv"), str(tmp_path), "countries")


def paragraphs_of(path):
    return [part for article in read_json(path)["data"] for part in article["paragraphs"]]


def test_questions_are_those_of_squad_2_and_their_answers_stand_where_they_say(tmp_path):
    paths = notebook.write_questions(str(tmp_path))
    train, dev = map(paragraphs_of, paths)
    assert (len(train), len(dev)) == (36, 12)
    for part in (*train, *dev):
        assert sum(qa["is_impossible"] for qa in part["qas"]) == 1
        for qa in part["qas"]:
            for answer in qa["answers"]:
                start = answer["answer_start"]
                assert part["context"][start : start + len(answer["text"])] == answer["text"]
    assert not {part["context"] for part in train} & {part["context"] for part in dev}
    ids = [qa["id"] for part in (*train, *dev) for qa in part["qas"]]
    assert len(set(ids)) == len(ids) == 192


def test_the_same_seed_gives_the_same_questions(tmp_path):
    contents = [
        json.dumps([read_json(path) for path in notebook.write_questions(str(tmp_path), seed)])
        for seed in (1, 1, 2)
    ]
    assert contents[0] == contents[1] != contents[2]


def test_a_fact_that_is_left_out_is_nowhere_in_the_passage(tmp_path):
    table = notebook.read_table(notebook.sample_file("countries.csv"))
    capitals = dict(zip(table["country"], table["capital"], strict=True))
    parts = [
        part for path in notebook.write_questions(str(tmp_path)) for part in paragraphs_of(path)
    ]
    left_out = [
        (part["context"], capitals[qa["id"].rpartition("-")[0].replace("_", " ")])
        for part in parts
        for qa in part["qas"]
        if qa["is_impossible"] and qa["id"].endswith("-capital")
    ]
    assert left_out
    for context, capital in left_out:
        assert f" {capital} is" not in context
        assert f"is {capital}." not in context


@pytest.mark.slow
def test_a_small_bert_is_trained_once_and_read_as_a_preset(tmp_path):
    pytest.importorskip("tokenizers", reason="needs: pip install '.[vocab]'")
    folder = notebook.small_bert(str(tmp_path), num_steps=3)
    written = (tmp_path / "model" / "model.ckpt-3.index").stat().st_mtime_ns
    assert notebook.small_bert(str(tmp_path), num_steps=3) == folder
    assert (tmp_path / "model" / "model.ckpt-3.index").stat().st_mtime_ns == written
    predictor = bert_tf.Predictor(folder)
    assert predictor.fill_mask("Returns the [MASK].").candidates[0][0].probability > 0
    assert 0 < predictor.next_sentence_probability("It is a tensor.", "It has a shape.") < 1


def test_the_trained_model_of_a_package_is_preferred(monkeypatch, tmp_path):
    spec = importlib.util.spec_from_loader("made_up", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    assert notebook.small_encoder("nowhere") == str(tmp_path / "model")


def test_every_name_is_there_and_none_is_imported_before_it_is_used():
    for name in notebook.__all__:
        assert callable(getattr(notebook, name))
    assert "small_bert" in dir(notebook)
    with pytest.raises(AttributeError, match="no attribute 'plot'"):
        _ = notebook.plot
    code = (
        "import sys\nfrom bert_tf import notebook\nnotebook.sample_file('requests.csv')\n"
        "assert not {'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
