"""Similarity: reading pairs, losses by hand, and the whole way from training to search."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_finetuning import small_finetuning

import bert_tf
from bert_tf.finetuning.program import run_finetuning
from bert_tf.inference.predictor import SearchHit
from bert_tf.serving.export import export_saved_model
from bert_tf.settings import ExportSettings
from bert_tf.tasks.task import find_task


def write(path, *rows):
    path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


@pytest.fixture
def nli(tmp_path):
    return write(
        tmp_path / "nli.tsv",
        ["gold_label", "sentence1", "sentence2"],
        ["entailment", "A man eats.", "Someone eats."],
        ["contradiction", "A man eats.", "Nobody eats."],
        ["entailment", "A dog runs.", "An animal runs."],
    )


def pairs(options=None, **more):
    return find_task("sts", {**(options or {}), **more})


def test_the_benchmark_s_files_give_scores(tmp_path):
    (tmp_path / "stsb-en-train.csv").write_text('"A ""plane"".",An air plane.,5.0\na,b,0.5\n')
    examples = pairs(data_dir=str(tmp_path)).read("train")
    assert [(each.text_a, each.label) for each in examples] == [('A "plane".', 5.0), ("a", 0.5)]


def test_positive_pairs_are_chosen_by_their_label(nli):
    options = {"train_file": nli, "text_a_column": "sentence1", "text_b_column": "sentence2"}
    options |= {"loss": "in_batch_negatives", "train_label_column": "gold_label"}
    examples = pairs(options).read("train")
    assert [each.text_b for each in examples] == ["Someone eats.", "An animal runs."]
    assert all(each.label is None for each in examples)
    assert len(pairs(options, train_label_column="").read("train")) == 3
    with pytest.raises(ValueError, match=r"nli\.tsv: no pairs with a label neutral"):
        pairs(options, positive_labels="neutral").read("train")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (["a", "b", "6"], r"dev.tsv:2: the score must be a number from 0 to 5.*Received: '6'"),
        (["a", "b", ""], r"dev.tsv:2: the score must be a number.*Received: None"),
        (["a", " ", "1"], r"dev.tsv:2: a pair needs two texts"),
    ],
)
def test_a_bad_row_is_named(tmp_path, row, message):
    path = write(tmp_path / "dev.tsv", ["a", "b", "1"], row)
    with pytest.raises(ValueError, match=message):
        pairs(dev_file=path).read("eval")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_score": "5"}, "--min_score must be below"),
        ({"train_label_column": "x"}, "is for --loss=in_batch_negatives"),
        ({"loss": "in_batch_negatives", "data_dir": "x"}, "give --train_file"),
        ({"temperature": "0"}, "temperature"),
        ({"pooling": "max"}, "pooling must be one of"),
    ],
)
def test_options_that_contradict_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        pairs(options)


def vectors(*angles):
    """Unit vectors [len(angles) / 2, 2, 2], by their angles in degrees."""
    radians = np.deg2rad(np.array(angles, np.float32)).reshape(-1, 2)
    return np.stack([np.cos(radians), np.sin(radians)], axis=-1)


def test_the_cosine_loss_is_the_squared_error_of_the_cosine():
    # Cosines 0.5 and 0; the scores 5 and 1 of 5 are the targets 1 and 0.2.
    batch = {"target": tf.constant([1.0, 0.2])}
    losses = pairs().loss(batch, vectors(0, 60, 30, 120))
    np.testing.assert_allclose(losses, [0.25, 0.04], atol=1e-6)


def test_each_text_must_find_its_partner_among_those_of_the_batch():
    task = pairs(loss="in_batch_negatives", temperature="0.5")
    ids = tf.constant([[[9], [1]], [[9], [2]], [[9], [1]], [[9], [3]]])
    # Rows 0 and 2 have the same second text, and row 3 only fills the batch.
    batch = {"input_ids": ids, "is_real_example": tf.constant([1.0, 1.0, 1.0, 0.0])}
    losses = task.loss(batch, vectors(0, 0, 90, 90, 0, 0, 0, 0))
    # Logits 1 / 0.5 = 2 for the partner and 0 for the only other text that counts.
    np.testing.assert_allclose(losses[0], np.log(1 + np.exp(-2.0)), rtol=1e-5)
    # The second row is compared with two others.
    np.testing.assert_allclose(losses[1], np.log(1 + 2 * np.exp(-2.0)), rtol=1e-5)


def test_the_metrics_are_correlations_of_the_cosines(tmp_path):
    task = pairs(dev_file=write(tmp_path / "d.tsv", *(["a", "b", str(n)] for n in (0, 1, 5))))
    examples = task.read("eval")
    metrics = task.score(examples, [-0.1, 0.2, 0.9])
    assert metrics["spearman"] == pytest.approx(1.0)
    assert metrics["pearson"] == pytest.approx(np.corrcoef([0, 1, 5], [-0.1, 0.2, 0.9])[0, 1])
    assert task.record(examples[2], 0.9)["error"] == pytest.approx(0.5)
    assert not task.is_collapsed(examples, [-0.1, 0.2, 0.9])
    assert task.is_collapsed(examples, [0.5, 0.5, 0.5])


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_the_model_s_vectors_are_those_of_its_encoder(small_model, pooling):
    encoder = bert_tf.BertEncoder(
        bert_tf.BertConfig.from_json_file(small_model["bert_config_file"])
    )
    model = bert_tf.SiameseModel(encoder, pooling)
    ids = np.array([[[2, 7, 3, 0], [2, 8, 9, 3]]], np.int32)
    found = model({"input_ids": ids, "input_mask": np.sign(ids)}).numpy()[0]
    for row, actual in zip(ids[0], found, strict=True):
        tokens = encoder({"input_ids": row[None][:, row > 0]})["sequence_output"][0].numpy()
        vector = tokens[0] if pooling == "cls" else tokens.mean(axis=0)
        np.testing.assert_allclose(actual, vector / np.linalg.norm(vector), atol=1e-5)
    vectors = model(keras.Input((2, None), dtype="int32"))
    assert keras.layers.Dense(3)(vectors).shape == (None, 2, 3)  # It needs to know their width.


WORDS = ["the", "film", "was", "good", "bad", "story", "plot", "dull", "great", "poor"]


@pytest.mark.parametrize("loss", ["cosine", "in_batch_negatives"])
def test_training_raises_the_correlation_and_leads_to_search(small_model, tmp_path, loss):
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(160):
        first = rng.choice(WORDS, 3, replace=False)
        same = bool(rng.integers(2)) or loss == "in_batch_negatives"
        second = rng.permutation(first) if same else rng.choice(WORDS, 3, replace=False)
        shared = len(set(first) & set(second))
        rows.append([" ".join(first), " ".join(second), str(shared * 5 / 3)])
    train = write(tmp_path / "train.tsv", *rows)
    rows = []
    for shared in [0, 1, 2, 3] * 8:
        first = rng.permutation(WORDS)
        second = [*first[:shared], *first[3 : 6 - shared]]
        rows.append([" ".join(first[:3]), " ".join(second), str(shared)])
    dev = write(tmp_path / "dev.tsv", *rows)

    folder = tmp_path / "out"
    files = (f"train_file={train}", f"dev_file={dev}", f"test_file={dev}")
    settings = small_finetuning(
        small_model,
        "sts",
        folder,
        (*files, f"loss={loss}", "max_score=5"),
        max_seq_length=8,
        num_train_epochs=10.0,
        do_predict=True,
    )
    metrics = run_finetuning(settings)
    assert metrics["eval_spearman"] > 0.6
    assert ("eval_loss" in metrics) == (loss == "cosine")
    lines = (folder / "submission" / "STS-B.tsv").read_text().splitlines()
    assert len(lines) == 33
    task = json.loads((folder / "task.json").read_text())
    assert (task["kind"], task["options"]["steps"]) == ("encoder", ["normalize"])

    predictor = bert_tf.Predictor(folder)
    a, b = (predictor.embed([row[i] for row in rows]) for i in (0, 1))
    np.testing.assert_allclose(np.linalg.norm(a, axis=1), 1.0, atol=1e-5)
    written = [float(line) for line in (folder / "test_results.tsv").read_text().split()]
    np.testing.assert_allclose(np.sum(a * b, axis=1), written, atol=1e-4)

    hits = predictor.search("good film", ["bad plot", "film good", "the dull story"], top_k=2)
    assert [hit.index for hit in hits][:1] == [1]
    assert (hits[0].text, len(hits)) == ("film good", 2)
    settings = ExportSettings(model=str(folder), export_dir=str(tmp_path / "served"))
    export_saved_model(settings)
    saved = bert_tf.Predictor(settings.export_dir)
    again = saved.search("good film", ["bad plot", "film good", "the dull story"], top_k=2)
    assert [hit.index for hit in again] == [hit.index for hit in hits]
    np.testing.assert_allclose(saved.embed("the plot"), predictor.embed("the plot"), atol=1e-4)


def test_search_returns_the_best_and_computes_vectors_once(small_model, tmp_path, monkeypatch):
    config = bert_tf.BertConfig.from_json_file(small_model["bert_config_file"])
    tokenizer = bert_tf.FullTokenizer(small_model["vocab_file"])
    bert_tf.BertEncoder(config).save_to_preset(str(tmp_path / "model"), tokenizer)
    predictor = bert_tf.Predictor(tmp_path / "model")
    texts = ["good film", "bad plot", "good film"]
    found = predictor.search(["good film", "bad plot"], texts, top_k=3)
    assert {hit.index for hit in found[0][:2]} == {0, 2}
    assert found[1][0] == SearchHit("bad plot", pytest.approx(1.0, abs=1e-5), 1)
    embedded = []
    embed = predictor.embed
    monkeypatch.setattr(predictor, "embed", lambda t, p: embedded.extend(t) or embed(t, p))
    assert predictor.search("bad plot", texts)[0].index == 1
    assert embedded == ["bad plot"]
    assert predictor.search("bad plot", []) == []
    with pytest.raises(ValueError, match="top_k must be"):
        predictor.search("a", texts, top_k=0)
    with pytest.raises(ValueError, match="one vector per text"):
        predictor.search("a", texts, pool="tokens")
