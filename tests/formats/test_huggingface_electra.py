"""ELECTRA in Hugging Face's format: golden values, both models of a pre-training, refusals."""

import dataclasses
import json
import os
import subprocess
import sys

import electra_golden
import numpy as np
import pytest
from family_golden import family_file
from random_models import CONFIG, make_model

import bert_tf
from bert_tf.conversion.check import keras_model, random_inputs
from bert_tf.conversion.convert import convert
from bert_tf.formats import huggingface, huggingface_outputs
from bert_tf.formats.source import TokenizerFiles, read_pretrained
from bert_tf.model.replaced_tokens import DiscriminatorModel
from bert_tf.settings import ConversionSettings

safetensors = pytest.importorskip("safetensors.numpy", reason="needs: pip install safetensors")
needs_transformers = pytest.mark.skipif(
    not huggingface_outputs.is_installed(), reason="needs: pip install '.[huggingface]'"
)
ELECTRA = dataclasses.replace(CONFIG, model_type="electra", embedding_size=4)
WIDE = dataclasses.replace(CONFIG, model_type="electra", embedding_size=8)


def small(head, config=ELECTRA):
    return make_model(head, config, tokenizer=TokenizerFiles())


def read_golden(name):
    folder = family_file(f"hf_electra/{name}/reference.npz").parent
    model = huggingface.read(str(folder))
    assert not {**model.dropped, **model.redundant}
    reference = np.load(folder / "reference.npz")
    theirs = ("input_ids", "attention_mask", "token_type_ids")
    inputs = dict(zip(electra_golden.ENCODER_FEATURES, map(reference.get, theirs), strict=True))
    return folder, model, inputs, reference


@pytest.mark.parametrize("name", ["discriminator", "generator"])
def test_outputs_are_the_reference_s_and_the_tensors_are_written_again(name, tmp_path):
    folder, read, inputs, reference = read_golden(name)
    model, is_token = keras_model(read), inputs["input_mask"] == 1
    layers = model.encoder(inputs)["all_encoder_layers"]
    for number, layer in enumerate(layers, start=1):
        expected = reference[f"hidden_{number}"][is_token]
        np.testing.assert_allclose(np.asarray(layer)[is_token], expected, atol=1e-5)
    assert f"hidden_{len(layers) + 1}" not in reference
    if name == "generator":
        assert read.head.kind == "masked_lm"
        places = np.tile(np.arange(is_token.shape[1], dtype="int32"), (len(is_token), 1))
        logits = model({**inputs, "masked_lm_positions": places})["masked_lm_logits"]
    else:
        assert isinstance(model, DiscriminatorModel)
        logits = model(inputs)
    expected = reference["logits"][is_token]
    np.testing.assert_allclose(np.asarray(logits)[is_token], expected, atol=1e-5)

    huggingface.write(read, str(tmp_path / "again"))
    again = safetensors.load_file(tmp_path / "again" / "model.safetensors")
    before = safetensors.load_file(folder / "model.safetensors")
    assert set(again) == set(before)
    for tensor, value in before.items():
        np.testing.assert_array_equal(again[tensor], value, err_msg=tensor)
    config = json.loads((folder / "config.json").read_text())
    for key, value in json.loads((tmp_path / "again" / "config.json").read_text()).items():
        assert config[key] == value, key


@pytest.mark.parametrize("head", ["", "masked LM", "tagging", "span"])
@pytest.mark.parametrize("config", [ELECTRA, WIDE], ids=["narrow", "E = H"])
def test_what_is_written_is_read_back_the_same(head, config, tmp_path):
    model = small(head, config)
    huggingface.write(model, str(tmp_path / "model"))
    read = huggingface.read(str(tmp_path / "model"))
    assert set(read.weights) == set(model.weights)
    for name, value in model.weights.items():
        np.testing.assert_array_equal(read.weights[name], value, err_msg=name)
    assert (read.config, read.head) == (config, model.head)
    assert not read.dropped


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """The golden checkpoint of both models, as a training leaves it."""
    return electra_golden.write_folder(tmp_path_factory.mktemp("electra"))


def run(source, to, output_dir, **settings):
    return convert(
        ConversionSettings(source=str(source), to=to, output_dir=str(output_dir), **settings)
    )


@needs_transformers
@pytest.mark.parametrize(
    ("part", "outputs"),
    [("discriminator", "all_layers, logits"), ("generator", "all_layers, masked_lm_logits")],
)
def test_each_model_of_a_pretraining_computes_the_same_there(part, outputs, pretrained, tmp_path):
    report = run(pretrained, "huggingface", tmp_path / part, part=part)
    assert outputs in report.check
    assert report.check.endswith("after: transformers")
    config = json.loads((tmp_path / part / "config.json").read_text())
    ends = {"discriminator": "ForPreTraining", "generator": "ForMaskedLM"}
    assert config["architectures"] == [f"Electra{ends[part]}"]
    assert (config["vocab_size"], config["embedding_size"]) == (400, 24)


def test_a_generator_fills_in_masks_with_the_logits_of_pretraining(pretrained, tmp_path):
    golden = electra_golden.golden("forward")
    report = run(pretrained, "google", tmp_path / "generator", part="generator")
    assert set(report.missing) == {"cls/seq_relationship/*"}
    assert not report.dropped
    read = read_pretrained(str(tmp_path / "generator"))
    model = keras_model(read)
    masked = {name: golden[f"input/{name}"] for name in electra_golden.ENCODER_FEATURES}
    masked["input_ids"] = golden["masked/input_ids"]
    places = golden["masked/masked_lm_positions"]
    logits = np.asarray(model({**masked, "masked_lm_positions": places})["masked_lm_logits"])
    np.testing.assert_allclose(logits, golden["generator/logits"], atol=1e-5)

    predictor = bert_tf.Predictor(str(tmp_path / "generator"))
    filled = predictor.fill_mask("the [MASK] .")
    tokenizer = bert_tf.FullTokenizer.from_preset(str(tmp_path / "generator"))
    tokens = ["[CLS]", *(t for t in filled.tokens if t not in ("[CLS]", "[SEP]")), "[SEP]"]
    ids = np.array([tokenizer.convert_tokens_to_ids(tokens)])
    place = np.array([[tokens.index("[MASK]")]])
    scores = model({"input_ids": ids, "masked_lm_positions": place})
    best = int(np.asarray(scores["masked_lm_logits"]).argmax())
    assert filled.candidates[0][0].token == tokenizer.convert_ids_to_tokens([best])[0]


def test_both_at_once_are_refused_with_the_way_to_each(pretrained, tmp_path):
    with pytest.raises(ValueError, match=r"--part=generator converts it, .*: generator/emb"):
        run(pretrained, "huggingface", tmp_path / "out")
    huggingface.write(small("tagging"), str(tmp_path / "tagging"))
    with pytest.raises(ValueError, match="--part=generator needs a checkpoint of ELECTRA's"):
        run(tmp_path / "tagging", "google", tmp_path / "out", part="generator")


@pytest.mark.parametrize("head", ["classification", "regression"])
def test_classifiers_of_texts_are_not_written(head, tmp_path):
    with pytest.raises(ValueError, match="ElectraForSequenceClassification: its classifier has a"):
        huggingface.write(small(head), str(tmp_path / "model"))


@pytest.mark.parametrize(
    ("class_end", "tensors"),
    [
        ("ForSequenceClassification", ("classifier.dense", "classifier.out_proj")),
        ("ForMultipleChoice", ("sequence_summary.summary", "classifier")),
    ],
)
def test_of_classifiers_of_texts_the_encoder_is_read(class_end, tensors, tmp_path):
    huggingface.write(small("tagging"), str(tmp_path / "model"))
    path, config = tmp_path / "model" / "model.safetensors", tmp_path / "model" / "config.json"
    found = safetensors.load_file(path)
    encoder = {name: value for name, value in found.items() if name.startswith("electra.")}
    head = {f"{name}.weight": np.eye(8, dtype="float32") for name in tensors}
    safetensors.save_file({**encoder, **head}, path)
    content = json.loads(config.read_text()) | {"architectures": [f"Electra{class_end}"]}
    config.write_text(json.dumps(content))
    read = huggingface.read(str(tmp_path / "model"))
    assert (read.head.kind, len(read.weights)) == ("encoder", len(encoder))
    assert set(read.dropped) == set(head)
    assert all("its classifier has a dense layer" in reason for reason in read.dropped.values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_act": "gelu_new"}, "hidden_act must be 'gelu': ELECTRA has the exact gelu"),
        ({"layer_norm_eps": 1e-5}, "layer_norm_eps must be 1e-12"),
        ({"num_attention_heads": 3}, "hidden_size must be a multiple"),
    ],
)
def test_settings_that_are_not_supported_are_refused(changes, message, tmp_path):
    huggingface.write(small("tagging"), str(tmp_path / "model"))
    path = tmp_path / "model" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(ValueError, match=message):
        huggingface.read(str(tmp_path / "model"))
    relu = small("tagging", dataclasses.replace(ELECTRA, hidden_act="relu"))
    with pytest.raises(ValueError, match="hidden_act must be 'gelu' in Hugging Face's format"):
        huggingface.write(relu, str(tmp_path / "relu"))


# Runs in a process without TensorFlow, which does not go together with PyTorch everywhere.
PROGRAM = """
import sys, transformers
from bert_tf.formats import huggingface_outputs
for folder in sys.argv[2:]:
    huggingface_outputs.main(folder, sys.argv[1], folder + ".npz")
    config = transformers.AutoConfig.from_pretrained(folder)
    model_class = getattr(transformers, config.architectures[0])
    model, loading = model_class.from_pretrained(folder, output_loading_info=True)
    assert not loading["missing_keys"] and not loading["unexpected_keys"], loading
    model.save_pretrained(folder + "-again")
"""


@needs_transformers
def test_transformers_computes_the_same_with_each_head_and_saves_what_is_read(tmp_path):
    models = {
        f"{head or 'none'}-{config.embedding_size}": small(head, config)
        for head in ("", "masked LM", "tagging", "span")
        for config in (ELECTRA, WIDE)
    }
    for name, model in models.items():
        huggingface.write(model, str(tmp_path / name))
    inputs = random_inputs(CONFIG)
    np.savez(tmp_path / "inputs.npz", **inputs)
    command = [sys.executable, "-c", PROGRAM, "inputs.npz", *models]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    is_token = inputs["input_mask"] == 1
    for name, model in models.items():
        theirs, built = dict(np.load(tmp_path / f"{name}.npz")), keras_model(model)
        encoder = getattr(built, "encoder", built)
        ours = encoder(encoder.select_features(inputs))
        if encoder is not built:
            outputs = built(built.select_features(inputs))
            ours |= outputs if isinstance(outputs, dict) else {"logits": outputs}
        layers = np.stack(ours["all_encoder_layers"])[:, is_token]
        np.testing.assert_allclose(theirs.pop("all_layers")[1:, is_token], layers, atol=1e-5)
        assert bool(theirs) is not name.startswith("none")
        for output, value in theirs.items():
            expected = np.asarray(ours[output])[is_token]
            np.testing.assert_allclose(value[is_token], expected, atol=1e-5, err_msg=output)
        again = huggingface.read(str(tmp_path / f"{name}-again"))
        assert (again.config, again.head) == (model.config, model.head)
        for weight, value in model.weights.items():
            np.testing.assert_array_equal(again.weights[weight], value, err_msg=weight)
