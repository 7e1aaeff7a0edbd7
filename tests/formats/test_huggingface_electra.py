"""ELECTRA in Hugging Face's format: golden values, both models of a pre-training, refusals."""

import dataclasses
import itertools
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
from bert_tf.formats.source import Head, TokenizerFiles, read_pretrained
from bert_tf.kinds.table import CLASSIFIER
from bert_tf.model.replaced_tokens import DiscriminatorModel
from bert_tf.settings import ConversionSettings

safetensors = pytest.importorskip("safetensors.numpy", reason="needs: pip install safetensors")
needs_transformers = pytest.mark.skipif(
    not huggingface_outputs.is_installed(), reason="needs: pip install '.[huggingface]'"
)
ELECTRA = dataclasses.replace(CONFIG, model_type="electra", embedding_size=4)
WIDE = dataclasses.replace(CONFIG, model_type="electra", embedding_size=8)
POOLED = dataclasses.replace(ELECTRA, gelu_pooler=True)
CHOICE = (Head("choice"), (CLASSIFIER,))


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


@pytest.mark.parametrize(
    ("head", "config"),
    [
        *itertools.product(["", "masked LM", "tagging", "span"], [ELECTRA, WIDE]),
        *((head, POOLED) for head in ("classification", "regression", CHOICE, "tagging")),
    ],
)
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


def run_python(program, folder, *arguments):
    """Runs a program in a process of its own, as PyTorch and TensorFlow do not go together."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


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
def test_the_original_s_classifiers_of_texts_are_not_written(head, tmp_path):
    message = "ElectraForSequenceClassification is a model with gelu_pooler=True. Fine-tune one, "
    with pytest.raises(ValueError, match=message):
        huggingface.write(small(head), str(tmp_path / "model"))


MAKE_CLASSIFIERS = """
import sys, torch, transformers
from bert_tf.formats import huggingface_outputs
torch.manual_seed(1)
config = transformers.ElectraConfig(
    vocab_size=30, embedding_size=4, hidden_size=8, num_hidden_layers=2, num_attention_heads=2,
    intermediate_size=12, max_position_embeddings=10, num_labels=3, initializer_range=0.5,
)
for name in ("SequenceClassification", "MultipleChoice"):
    model = getattr(transformers, f"ElectraFor{name}")(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    model.save_pretrained(name)
    huggingface_outputs.main(name, f"{name}.npz", f"{name}-outputs.npz")
"""


@needs_transformers
def test_classifiers_that_transformers_made_compute_the_same(tmp_path):
    inputs = random_inputs(CONFIG)
    for name, rows in (("SequenceClassification", 1), ("MultipleChoice", 2)):
        shaped = {key: value.reshape(-1, rows, value.shape[1]) for key, value in inputs.items()}
        np.savez(tmp_path / f"{name}.npz", **(inputs if rows == 1 else shaped))
    run_python(MAKE_CLASSIFIERS, tmp_path)
    for name, kind in (("SequenceClassification", "classification"), ("MultipleChoice", "choice")):
        read = huggingface.read(str(tmp_path / name))
        assert not {**read.dropped, **read.redundant}
        assert (read.head.kind, read.config.gelu_pooler) == (kind, True)
        model = keras_model(read)
        features = dict(np.load(tmp_path / f"{name}.npz"))
        ours = np.asarray(model(model.select_features(features)))
        theirs = np.load(tmp_path / f"{name}-outputs.npz")["logits"]
        assert np.ptp(theirs) > 0.01
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
        # Of a model without a vocabulary, whose outputs are compared by transformers, too.
        report = run(tmp_path / name, "huggingface", tmp_path / f"{name}-again")
        assert "logits; before: bert_tf; after: transformers" in report.check
        again = safetensors.load_file(tmp_path / f"{name}-again" / "model.safetensors")
        before = safetensors.load_file(tmp_path / name / "model.safetensors")
        assert set(again) == set(before)
        for tensor, value in before.items():
            np.testing.assert_array_equal(again[tensor], value, err_msg=tensor)


def test_a_classifier_with_a_pooler_goes_through_a_checkpoint(tmp_path):
    model = make_model("classification", POOLED)
    huggingface.write(model, str(tmp_path / "model"))
    run(tmp_path / "model", "google", tmp_path / "google")
    read = read_pretrained(str(tmp_path / "google"))
    assert read.config.gelu_pooler
    assert {"electra/pooler/dense/kernel", "output_weights"} <= set(read.weights)
    first, second = (
        bert_tf.Predictor(str(tmp_path / name)).predict(["w1 w2 w3", "w4"])
        for name in ("model", "google")
    )
    assert first == second


def test_without_a_classifier_the_original_s_pooler_is_none(tmp_path):
    assert not any("pooler" in name for name in small("").weights)
    assert dataclasses.replace(ELECTRA, generator_hidden_size=0.5).gelu_pooler is False
    assert "gelu_pooler" not in ELECTRA.to_dict()
    with pytest.raises(ValueError, match=r"gelu_pooler must be true or false\. Received: 'yes'"):
        dataclasses.replace(ELECTRA, gelu_pooler="yes")
    with pytest.raises(ValueError, match="gelu_pooler is a key of electra"):
        dataclasses.replace(CONFIG, gelu_pooler=True)


@pytest.mark.parametrize(
    ("key", "value"),
    [("summary_type", "last"), ("summary_activation", "tanh"), ("summary_use_proj", False)],
)
def test_choices_that_are_scored_otherwise_are_refused(key, value, tmp_path):
    huggingface.write(small(CHOICE, POOLED), str(tmp_path / "model"))
    path = tmp_path / "model" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(ValueError, match=f"{key} must be .*: choices are scored"):
        huggingface.read(str(tmp_path / "model"))


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
    models |= {head: small(head, POOLED) for head in ("classification", "regression")}
    for name, model in models.items():
        huggingface.write(model, str(tmp_path / name))
    inputs = random_inputs(CONFIG)
    np.savez(tmp_path / "inputs.npz", **inputs)
    run_python(PROGRAM, tmp_path, "inputs.npz", *models)
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
            rows = is_token if value.shape[:2] == is_token.shape else np.s_[:]
            expected = np.asarray(ours[output])[rows]
            np.testing.assert_allclose(value[rows], expected, atol=1e-5, err_msg=output)
        again = huggingface.read(str(tmp_path / f"{name}-again"))
        assert (again.config, again.head) == (model.config, model.head)
        for weight, value in model.weights.items():
            np.testing.assert_array_equal(again.weights[weight], value, err_msg=weight)
