"""TensorFlow files of transformers 4 are read, and compute what transformers computed."""

import json
import shutil

import h5py
import numpy as np
import pytest
from read_models import all_outputs

import bert_tf
from bert_tf.conversion.convert import convert
from bert_tf.formats import huggingface_outputs
from bert_tf.formats.source import detect_format, read_pretrained
from bert_tf.formats.transformers_h5 import torch_name
from bert_tf.settings.conversion import ConversionSettings

MASKED_LM = {"masked_lm_logits": "logits"}


@pytest.fixture(scope="module")
def written(golden_dir):
    return golden_dir / "transformers_tensorflow"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BERT_TF_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def copy(written, tmp_path):
    """Copies a golden file or folder, to be changed."""

    def make(name):
        copy_of = shutil.copytree if (written / name).is_dir() else shutil.copy
        return copy_of(written / name, tmp_path / name)

    return make


def outputs_of(model_class, path, expected):
    model = model_class.from_preset(str(path))
    names = ("input_ids", "input_mask", "segment_ids")
    batch = {name: expected[name] for name in names}
    length = batch["input_ids"].shape[1]
    batch["masked_lm_positions"] = np.tile(np.arange(length, dtype="int32"), (3, 1))
    return all_outputs(model, batch)


@pytest.mark.parametrize(
    ("name", "model_class", "kind", "compared"),
    [
        ("classifier", "ClassificationModel", "classification", {"logits": "logits"}),
        (
            *("pretraining", "PretrainingModel", "masked_lm"),
            {
                "masked_lm_logits": "prediction_logits",
                "next_sentence_logits": "seq_relationship_logits",
            },
        ),
        ("sharded_tagging", "TokenClassificationModel", "tagging", {"logits": "logits"}),
        ("roberta_masked_lm", "PretrainingModel", "masked_lm", MASKED_LM),
        (
            *("distilbert_span", "SpanModel", "span"),
            {"start_logits": "start_logits", "end_logits": "end_logits"},
        ),
        ("albert_masked_lm", "PretrainingModel", "masked_lm", MASKED_LM),
        ("electra_masked_lm", "PretrainingModel", "masked_lm", MASKED_LM),
        ("keras_pooled.h5", "BertEncoder", "classification", {"pooled_output": "pooler_output"}),
        ("keras_main_layer.h5", "ClassificationModel", "classification", {"logits": "outputs"}),
        ("keras_first_token.h5", "BertEncoder", "encoder", {"pooled_output": "pooler_output"}),
    ],
)
def test_a_model_computes_what_transformers_computed(written, name, model_class, kind, compared):
    expected = np.load(written / f"{name.removesuffix('.h5')}.npz")
    assert detect_format(str(written / name)) == "huggingface"
    assert read_pretrained(str(written / name)).head.kind == kind
    outputs = outputs_of(getattr(bert_tf, model_class), written / name, expected)
    for ours, theirs in compared.items():
        value = np.asarray(outputs[ours]).reshape(expected[theirs].shape)
        np.testing.assert_allclose(value, expected[theirs], atol=1e-5, err_msg=ours)


def test_a_classifier_of_ones_own_is_read_with_the_softmax_left_out(written):
    expected = np.load(written / "keras_pooled.npz")
    outputs = outputs_of(bert_tf.ClassificationModel, written / "keras_pooled.h5", expected)
    scores = np.exp(outputs["logits"])
    probabilities = scores / scores.sum(-1, keepdims=True)
    np.testing.assert_allclose(probabilities, expected["outputs"], atol=1e-6)


def test_labels_and_classes_come_from_config_json(written):
    head = read_pretrained(str(written / "classifier")).head
    assert head.labels == ("no", "perhaps", "yes")


def test_layers_of_ones_own_that_are_not_read_are_named(written):
    dropped = read_pretrained(str(written / "keras_first_token.h5")).dropped
    assert len(dropped) == 2
    assert all(name.startswith("dense") for name in dropped)


def test_weights_alone_need_a_config_json(copy, tmp_path):
    path = copy("classifier") / "tf_model.h5"
    alone = shutil.copy(path, tmp_path / "my_weights.h5")
    with pytest.raises(ValueError, match=r"there is no config.json beside .*my_weights.h5"):
        read_pretrained(str(alone))
    shutil.copy(path.with_name("config.json"), tmp_path / "config.json")
    assert read_pretrained(str(alone)).head.kind == "classification"


@pytest.mark.parametrize("source", ["classifier", "keras_pooled.h5"])
def test_they_are_converted_and_read_again(written, tmp_path, monkeypatch, source):
    monkeypatch.setattr(huggingface_outputs, "is_installed", lambda: False)  # It takes seconds.
    folder = str(tmp_path / "new")
    settings = ConversionSettings(source=str(written / source), to="google", output_dir=folder)
    convert(settings)  # It compares the outputs of both.
    before, after = (read_pretrained(str(path)) for path in (written / source, folder))
    assert set(before.weights) == set(after.weights)
    for name, value in before.weights.items():
        np.testing.assert_array_equal(after.weights[name], value, err_msg=name)


def test_a_keras_model_without_or_with_two_encoders_is_refused(copy):
    path = copy("keras_pooled.h5")
    with h5py.File(path, "r+") as file:
        graph = json.loads(file.attrs["model_config"])
        layers = graph["config"]["layers"]
        is_encoder = [layer["class_name"] == "TFBertModel" for layer in layers]
        for others in (False, True):
            graph["config"]["layers"] = [
                layer
                for layer, this in zip(layers, is_encoder, strict=True)
                for _ in range(2 if this and others else not this or others)
            ]
            file.attrs["model_config"] = json.dumps(graph)
            file.flush()
            with pytest.raises(ValueError, match=rf"{path}: .*It has {2 * others};"):
                read_pretrained(str(path))


def test_a_missing_shard_or_weight_is_named(copy):
    folder = copy("sharded_tagging")
    index = folder / "tf_model.h5.index.json"
    content = json.loads(index.read_text())
    content["weight_map"]["tf_bert/bert/more/kernel:0"] = "tf_model-00001-of-00002.h5"
    index.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"its files lack bert.more.weight"):
        read_pretrained(str(folder))
    next(folder.glob("tf_model-00002*")).unlink()
    with pytest.raises(ValueError, match=r"tf_model-00002\S+: cannot be read: there is no such"):
        read_pretrained(str(folder))


def test_damaged_files_are_named(copy):
    path = copy("classifier") / "tf_model.h5"
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], b"no HDF5", b""):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=str(path)):
            read_pretrained(str(path.parent))


def test_names_are_those_of_pytorch():
    assert torch_name("tf_bert/mlm___cls/predictions/bias:0") == "tf_bert.cls.predictions.bias"
    assert torch_name("bert/encoder/layer_._11/output/LayerNorm/gamma:0") == (
        "bert.encoder.layer.11.output.LayerNorm.weight"
    )
