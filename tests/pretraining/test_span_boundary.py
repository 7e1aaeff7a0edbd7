"""The span boundary objective against the values of the authors' code, and as whole runs."""

import dataclasses
import io
import json
import logging
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import tensorflow as tf

import bert_tf
from bert_tf.formats import huggingface
from bert_tf.model.encoders import make_encoder
from bert_tf.model.span_boundary import SpanBoundaryModel
from bert_tf.pretraining.objectives import find_objective
from bert_tf.pretraining.objectives.masked_lm_span_boundary import prepare
from bert_tf.pretraining.run import run_pretraining
from bert_tf.pretraining_data.program import create_pretraining_data
from bert_tf.settings import PretrainingDataSettings, PretrainingSettings
from bert_tf.training.checkpoint import named_variables

OBJECTIVE = find_objective("masked_lm+span_boundary")


@pytest.fixture(scope="module")
def golden(golden_dir):
    return golden_dir / "family" / "spanbert"


@pytest.fixture(scope="module")
def pretrained(golden):
    return huggingface.read(str(golden))


@pytest.fixture(scope="module")
def model(pretrained):
    model = SpanBoundaryModel(make_encoder(pretrained.config))
    variables = named_variables(model)
    for name, value in pretrained.weights.items():
        variables.pop(name).assign(value)
    assert set(variables) == {"bert/pooler/dense/kernel", "bert/pooler/dense/bias"}
    return model


@pytest.fixture(scope="module")
def forward(golden):
    return np.load(golden / "forward.npz")


def batch_of(tokens, targets, num_predictions):
    """A batch of records, from `src_tokens` and `lm_target` of the authors' collater."""
    shape = (len(tokens), num_predictions)
    positions, ids, weights = np.zeros(shape, int), np.zeros(shape, int), np.zeros(shape)
    for row, target in enumerate(targets):
        places = np.flatnonzero(target)
        positions[row, : len(places)] = places
        ids[row, : len(places)] = target[places]
        weights[row, : len(places)] = 1
    arrays = {
        "input_ids": tokens,
        "input_mask": tokens != 0,
        "segment_ids": np.zeros_like(tokens),
        "masked_lm_positions": positions,
        "masked_lm_ids": ids,
    }
    batch = {name: tf.constant(value, tf.int32) for name, value in arrays.items()}
    return batch | {"masked_lm_weights": tf.constant(weights, tf.float32)}


@pytest.fixture(scope="module")
def batch(forward):
    return prepare(batch_of(forward["input/src_tokens"], forward["input/lm_target"], 12))


def test_every_weight_of_the_authors_file_is_read_and_written(pretrained, golden, tmp_path):
    assert not pretrained.dropped
    assert len(pretrained.weights) == 5 + 2 * 16 + 5 + 10
    huggingface.write(pretrained, str(tmp_path / "out"))
    theirs = safetensors.numpy.load_file(golden / "model.safetensors")
    ours = safetensors.numpy.load_file(tmp_path / "out" / "model.safetensors")
    for name, value in theirs.items():
        new = name.replace(".gamma", ".weight").replace(".beta", ".bias")
        np.testing.assert_array_equal(ours.pop(new), value)
    assert not ours


def test_targets_are_the_authors(forward, batch):
    pairs, tokens = forward["input/pairs"], forward["input/pair_targets"]
    expected = [
        (left, right, place, token)
        for (left, right), tokens in zip(pairs.reshape(-1, 2), tokens.reshape(-1, 15), strict=True)
        for place, token in enumerate(tokens.tolist())
        if token
    ]
    is_target = batch["span_weights"].numpy() > 0
    names = ("span_left", "span_right", "span_places", "masked_lm_ids")
    found = list(zip(*(batch[name].numpy()[is_target].tolist() for name in names), strict=True))
    assert found == expected
    assert len(found) == int(forward["npairs"]) - 1


def test_targets_of_all_golden_blocks_are_the_authors(golden):
    arrays = np.load(golden / "masking.npz")
    names = ("source", "lm_target", "pair_targets")
    splits = {name: arrays[f"{name}/row_splits"][1:-1] for name in names}
    rows = {name: np.split(arrays[f"{name}/values"], splits[name]) for name in names}
    num_pairs = 0
    for source, target, pairs in zip(*rows.values(), strict=True):
        found = prepare(batch_of(source[None], target[None], 30))
        expected = [
            (row[0], row[1], place, token)
            for row in pairs.reshape(-1, 17).tolist()
            for place, token in enumerate(row[2:])
            if token
        ]
        is_target = found["span_weights"].numpy() > 0
        of = ("span_left", "span_right", "span_places", "masked_lm_ids")
        assert expected == list(
            zip(*(found[name].numpy()[is_target].tolist() for name in of), strict=True)
        )
        num_pairs += len(expected)
    assert num_pairs > 300


def test_layers_logits_and_losses_are_the_authors(model, forward, batch):
    outputs = model(model.select_features(batch))
    features = {name: batch[name] for name in ("input_ids", "input_mask", "segment_ids")}
    real = forward["input/src_tokens"] != 0
    for number, layer in enumerate(model.encoder(features)["all_encoder_layers"]):
        difference = np.abs(layer.numpy() - forward[f"layer_{number}"])[real]
        assert difference.max() < 1e-5
    is_label = batch["masked_lm_weights"].numpy() > 0
    logits = outputs["masked_lm_logits"].numpy()[is_label]
    np.testing.assert_allclose(logits, forward["mlm_logits_at_targets"], rtol=0, atol=1e-5)
    logits = outputs["span_boundary_logits"].numpy()[batch["span_weights"].numpy() > 0]
    np.testing.assert_allclose(logits, forward["sbo_logits_at_targets"], rtol=0, atol=1e-5)

    sums, weights = OBJECTIVE.sums(batch, outputs), OBJECTIVE.weights(batch)
    assert float(sums["masked_lm_loss"]) == pytest.approx(forward["lm_loss_sum"], rel=1e-6)
    assert float(sums["span_boundary_loss"]) == pytest.approx(forward["pair_loss_sum"], rel=1e-6)
    metrics = OBJECTIVE.metrics(batch, outputs, all_reduce=lambda values: values)
    loss, count = metrics["loss"]
    assert float(loss / count) == pytest.approx(forward["loss"], abs=1e-5)
    assert float(weights["masked_lm_loss"]) == forward["ntokens"]
    assert float(weights["span_boundary_loss"]) + 1 == forward["npairs"]


def test_gradients_are_the_authors(model, pretrained, golden, batch, tmp_path):
    variables = named_variables(model)
    with tf.GradientTape() as tape:
        outputs = model(model.select_features(batch), training=False)
        sums, weights = OBJECTIVE.sums(batch, outputs), OBJECTIVE.weights(batch)
        loss = sum(sums[n] / (weights[n] + e) for n, e in OBJECTIVE.epsilons.items())
    found = tape.gradient(loss, variables, unconnected_gradients="zero")
    # As the format names and lays out the weights.
    gradients = {name: found[name].numpy() for name in pretrained.weights}
    huggingface.write(dataclasses.replace(pretrained, weights=gradients), str(tmp_path / "out"))
    ours = safetensors.numpy.load_file(tmp_path / "out" / "model.safetensors")
    theirs = np.load(golden / "gradients.npz")
    assert len(theirs.files) > 30
    for name in theirs.files:
        expected = theirs[name]
        new = name.replace(".gamma", ".weight").replace(".beta", ".bias")
        if name.endswith("key.bias"):  # Zero, but for rounding.
            assert np.abs(ours[new]).max() < 1e-6
        else:
            difference = np.abs(ours[new] - expected).max()
            assert difference / max(np.abs(expected).max(), 1e-3) < 1e-5, name


@pytest.fixture(scope="module")
def folder(tmp_path_factory, golden):
    """Texts and a small model's configuration."""
    folder, rng = tmp_path_factory.mktemp("run"), np.random.default_rng(5)
    words = [w for w in (golden / "vocab.txt").read_text().split() if w.isalpha() and w.islower()]
    documents = [
        "\n".join(" ".join(rng.choice(words, 6)) for _ in range(rng.integers(4, 9)))
        for _ in range(30)
    ]
    (folder / "text").write_text("\n\n".join(documents) + "\n\n")
    config = {**json.loads((golden / "config.json").read_text()), "hidden_act": "gelu_erf"}
    known = {field.name for field in dataclasses.fields(bert_tf.BertConfig)}
    config = {name: value for name, value in config.items() if name in known}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def make_records(folder, golden, name, **values):
    settings = PretrainingDataSettings(
        *(str(folder / "text"), str(golden / "vocab.txt"), str(folder / name / "records")),
        do_lower_case=False,
        max_seq_length=32,
        max_predictions_per_seq=6,
        dupe_factor=1,
        next_sentence=False,
        **values,
    )
    create_pretraining_data(settings)
    return settings.output_file


def train(folder, records, output, **values):
    values = {"num_train_steps": 6, "save_checkpoints_steps": 2, **values}
    settings = PretrainingSettings(
        input_file=records,
        bert_config_file=str(folder / "config.json"),
        output_dir=str(output),
        objective="masked_lm+span_boundary",
        do_train=True,
        do_eval=True,
        max_seq_length=32,
        max_predictions_per_seq=6,
        train_batch_size=4,
        num_warmup_steps=1,
        learning_rate=1e-3,
        **values,
    )
    return run_pretraining(settings, io.StringIO())


@pytest.mark.parametrize("masking", [pytest.param("static", marks=pytest.mark.slow), "dynamic"])
def test_a_run_from_text_fills_masks_and_resumes_to_the_same_weights(
    folder, golden, tmp_path, masking
):
    records = make_records(folder, golden, masking, masking=masking, do_span_mask=True)
    results = train(folder, records, tmp_path / "whole")
    parts = ("masked_lm", "span_boundary")
    assert {f"{part}_{metric}" for part in parts for metric in ("loss", "accuracy")} < set(results)
    assert 0 < results["span_boundary_loss"] < 20
    assert results["loss"] > results["masked_lm_loss"] > 0
    for path in Path(tmp_path / "whole").glob("model.ckpt-6*"):  # As if killed before the last.
        path.rename(tmp_path / path.name)
    assert train(folder, records, tmp_path / "whole") == pytest.approx(results)
    for path in tmp_path.glob("model.ckpt-6*"):
        assert path.read_bytes() == (tmp_path / "whole" / path.name).read_bytes()
    predictor = bert_tf.Predictor(str(tmp_path / "whole"))
    assert len(predictor.fill_mask("the [MASK] .").candidates[0]) == 5


def test_records_without_spans_are_refused(folder, golden, tmp_path, caplog):
    records = make_records(folder, golden, "words", do_whole_word_mask=True)
    with pytest.raises(
        ValueError, match=r"records: .*with --do_span_mask=true.*Received: .*--do_span_mask=false"
    ):
        train(folder, records, tmp_path / "out")
    (folder / "words" / "manifest.json").unlink()  # Nothing says how they were masked.
    with caplog.at_level(logging.WARNING):
        train(folder, records, tmp_path / "out", num_train_steps=1)
    assert "nothing says whether its records were made with --do_span_mask" in caplog.text


def test_a_model_of_the_authors_is_used_and_fine_tuned(golden, forward, tmp_path, monkeypatch):
    monkeypatch.setenv("BERT_TF_CACHE", str(tmp_path))
    predictor = bert_tf.Predictor(str(golden), do_lower_case=False)
    assert len(predictor.fill_mask("the [MASK] of").candidates[0]) == 5
    model = bert_tf.ClassificationModel.from_preset(str(golden), num_labels=3)
    tokens = forward["input/src_tokens"]
    features = {"input_ids": tokens, "input_mask": (tokens != 0).astype("int32")}
    layers = model.encoder(features)["all_encoder_layers"]
    assert np.abs(layers[-1].numpy() - forward["layer_1"])[tokens != 0].max() < 1e-5
    assert model(features).shape == (4, 3)
