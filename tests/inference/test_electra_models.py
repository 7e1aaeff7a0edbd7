"""ELECTRAs in use: loaded from folders, fine-tuned, answered with, exported, converted."""

import json
import math
import shutil

import electra_golden
import numpy as np
import pytest
import tensorflow as tf

import bert_tf
from bert_tf.conversion.convert import convert
from bert_tf.formats.source import read_pretrained
from bert_tf.settings import ConversionSettings

TEXTS = ["The man\ue000 sat.", "A \u0378 house, and a CAT!", ""]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The golden checkpoint as a training leaves it: configuration, vocabulary, weights."""
    return electra_golden.write_folder(tmp_path_factory.mktemp("electra"))


@pytest.fixture(scope="module")
def tuned(folder, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("tuned") / "model")
    model = bert_tf.ClassificationModel.from_preset(folder, num_labels=2)
    model.save_to_preset(path, labels=["no", "yes"])
    return path, model


def test_a_predictor_embeds_with_the_discriminator(folder):
    predictor, encoder = bert_tf.Predictor(folder), bert_tf.ElectraEncoder.from_preset(folder)
    tokenizer = bert_tf.FullTokenizer.from_preset(folder)
    assert tokenizer.encode("a\ue000") == tokenizer.encode("a")
    inputs = tokenizer(TEXTS[:2])
    expected = encoder(inputs)["sequence_output"].numpy()
    for number, vector in enumerate(predictor.embed(TEXTS[:2], pool="pooled")):
        np.testing.assert_allclose(vector, expected[number, 0], atol=1e-5)


def test_a_classifier_is_made_saved_and_asked(tuned):
    path, model = tuned
    tokenizer = bert_tf.FullTokenizer.from_preset(path)
    logits = model(tokenizer(TEXTS[:2])).numpy()
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    answers = bert_tf.Predictor(path).predict(TEXTS[:2])
    for answer, expected in zip(answers, probabilities, strict=True):
        assert answer.label == ("no", "yes")[expected.argmax()]
        assert answer.probability == pytest.approx(expected.max(), abs=1e-5)
    config = bert_tf.BertConfig.from_json_file(f"{path}/bert_config.json")
    assert config.model_type == "electra"


def test_a_classifier_with_hugging_face_s_pooler_starts_from_a_release(folder, tmp_path, caplog):
    start, tuned = tmp_path / "start", tmp_path / "tuned"
    shutil.copytree(folder, start)
    config = json.loads((start / "bert_config.json").read_text()) | {"gelu_pooler": True}
    (start / "bert_config.json").write_text(json.dumps(config))
    model = bert_tf.ClassificationModel.from_preset(str(start), num_labels=2)
    assert "has no electra/pooler/dense/kernel" in caplog.text
    kernel, bias = (np.asarray(w) for w in model.encoder.pooler.weights)
    inputs = bert_tf.FullTokenizer.from_preset(folder)(TEXTS[:2])
    outputs = model.encoder(inputs)
    hidden = outputs["sequence_output"].numpy()[:, 0] @ kernel + bias
    gelu = hidden * 0.5 * (1 + np.vectorize(math.erf)(hidden / 2**0.5))
    np.testing.assert_allclose(outputs["pooled_output"], gelu, atol=1e-5)
    model.save_to_preset(str(tuned), labels=["no", "yes"])
    convert(
        ConversionSettings(source=str(tuned), output_dir=str(tmp_path / "hf"), to="huggingface")
    )
    written = json.loads((tmp_path / "hf" / "config.json").read_text())
    assert written["architectures"] == ["ElectraForSequenceClassification"]


def test_checkpoints_are_converted_with_all_their_parts(folder, tmp_path):
    report = convert(
        ConversionSettings(source=folder, output_dir=str(tmp_path / "same"), to="google")
    )
    assert "dropped: nothing" in "\n".join(report.lines())
    before, after = (read_pretrained(str(path)) for path in (folder, tmp_path / "same"))
    assert len(after.weights) == 114
    for name, value in before.weights.items():
        np.testing.assert_array_equal(after.weights[name], value)


def test_a_config_of_other_sizes_is_refused(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "other")
    config = json.loads((tmp_path / "other" / "bert_config.json").read_text())
    (tmp_path / "other" / "bert_config.json").write_text(json.dumps({**config, "vocab_size": 500}))
    with pytest.raises(ValueError, match=r"electra/embeddings/word_embeddings is \[400, 24\]"):
        bert_tf.Predictor(str(tmp_path / "other"))


@pytest.mark.parametrize("head", ["TokenClassificationModel", "SpanModel"])
def test_heads_on_tokens_are_loaded_on_it(folder, head):
    labels = {"num_labels": 3} if head == "TokenClassificationModel" else {}
    model = getattr(bert_tf, head).from_preset(folder, **labels)
    outputs = model({"input_ids": np.ones((2, 7), "int32")})
    shapes = {tuple(value.shape) for value in tf.nest.flatten(outputs)}
    assert shapes == {(2, 7, 3) if labels else (2, 7)}
    assert not [w.path for w in model.weights if "pooler" in w.path or "generator" in w.path]


def test_a_saved_model_answers_as_the_predictor(tuned, tmp_path):
    from bert_tf.serving.export import export_saved_model
    from bert_tf.settings import ExportSettings

    path, _ = tuned
    export_saved_model(ExportSettings(model=path, export_dir=str(tmp_path / "export")))
    (version,) = (tmp_path / "export").iterdir()
    served, exact = bert_tf.Predictor(str(version)), bert_tf.Predictor(path)
    for ours, theirs in zip(served.predict(TEXTS[:2]), exact.predict(TEXTS[:2]), strict=True):
        assert ours.label == theirs.label
        assert ours.probability == pytest.approx(theirs.probability, abs=1e-5)
