"""sentence-transformers models: their vectors are made as modules.json says, or that is refused."""

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from random_models import CONFIG, make_model

from bert_tf import Predictor
from bert_tf.conversion.convert import convert
from bert_tf.formats import huggingface
from bert_tf.formats.source import read_pretrained
from bert_tf.kinds.pooling import MODES
from bert_tf.serving.export import export_saved_model
from bert_tf.settings import ConversionSettings, ExportSettings

safetensors = pytest.importorskip("safetensors.numpy", reason="needs: pip install safetensors")
TEXTS = ["w1 w2 w3", "W4", "w5 w6 w7 w8 w9 w10 w11 w12 w13 w14", "w2 w2"]
RNG = np.random.default_rng(0)
KERNEL = RNG.normal(size=(6, 16)).astype(np.float32)
BIAS = RNG.normal(size=6).astype(np.float32)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BERT_TF_CACHE", str(tmp_path / "cache"))


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def write_model(folder, *modules, place=""):
    """A sentence-transformers model; `modules` are classes with the settings in their folders."""
    huggingface.write(make_model(), str(folder / place))
    kind = f"sentence_transformers.models.{'BERT' if place else 'Transformer'}"
    listed = [{"idx": 0, "name": "0", "path": place, "type": kind}]
    for number, (name, settings) in enumerate(modules, start=1):
        path = f"{number}_{name}"
        kind = f"sentence_transformers.models.{name}"
        listed.append({"idx": number, "name": str(number), "path": path, "type": kind})
        write_json(folder / path / "config.json", settings)
        if name == "Dense":
            tensors = {"linear.weight": KERNEL, "linear.bias": BIAS}
            if not settings["bias"]:
                del tensors["linear.bias"]
            safetensors.save_file(tensors, folder / path / "model.safetensors")
    write_json(folder / "modules.json", listed)
    return folder


def dense(activation, bias=True):
    name = f"torch.nn.modules.activation.{activation}"
    return (
        "Dense",
        {"in_features": 16, "out_features": 6, "bias": bias, "activation_function": name},
    )


POOLING = (
    "Pooling",
    {
        "word_embedding_dimension": 8,
        "pooling_mode_mean_tokens": True,
        "pooling_mode_cls_token": True,
    },
)
NORMALIZE = ("Normalize", {})


def test_every_step_is_done_in_order_and_after_conversion_and_export_too(tmp_path):
    folder = write_model(tmp_path / "st", POOLING, dense("Tanh"), NORMALIZE, place="0_BERT")
    write_json(folder / "0_BERT" / "sentence_bert_config.json", {"max_seq_length": 6})
    predictor = Predictor(str(folder))
    assert (predictor.kind, predictor.max_seq_length) == ("encoder", 6)
    tokens = predictor.embed(TEXTS, pool="tokens")
    assert max(map(len, tokens)) == 6
    joined = np.stack([np.concatenate([each[0], each.mean(axis=0)]) for each in tokens])
    expected = np.tanh(joined @ KERNEL.T + BIAS)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(predictor.embed(TEXTS), expected, rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(predictor.embed(TEXTS, "mean")[0], tokens[0].mean(axis=0), rtol=1e-4)
    report = convert(
        ConversionSettings(source=str(folder), to="google", output_dir=str(tmp_path / "g"))
    )
    assert "a text's vector: cls and mean, dense Tanh, normalize" in "\n".join(report.lines())
    settings = ExportSettings(model=str(tmp_path / "g"), export_dir=str(tmp_path / "exported"))
    export_saved_model(settings)
    for again in map(Predictor, (str(tmp_path / "g"), str(tmp_path / "exported"))):
        np.testing.assert_allclose(again.embed(TEXTS), expected, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("cls", lambda t: t[0]),
        ("max", lambda t: t.max(axis=0)),
        ("mean", lambda t: t.mean(axis=0)),
        ("mean_sqrt_len_tokens", lambda t: t.sum(axis=0) / np.sqrt(len(t))),
        ("weightedmean", lambda t: np.average(t, axis=0, weights=np.arange(1, len(t) + 1))),
        ("lasttoken", lambda t: t[-1]),
    ],
)
def test_each_mode_leaves_padding_out(mode, expected):
    tokens = RNG.normal(size=(2, 5, 3)).astype(np.float32) - 5
    mask = tf.sequence_mask([5, 2], 5, tf.float32)[:, :, tf.newaxis]
    for row, length in enumerate((5, 2)):
        actual = MODES[mode](tf.constant(tokens), mask)[row]
        np.testing.assert_allclose(actual, expected(tokens[row, :length]), rtol=1e-5)


@pytest.mark.parametrize(
    ("modules", "more", "message"),
    [
        ([("LSTM", {})], {}, "modules.json: module LSTM"),
        ([("Pooling", {"pooling_mode": "median"})], {}, "modules.json: pooling median"),
        ([POOLING, dense("Hardtanh")], {}, "a dense layer with Hardtanh"),
        ([POOLING], {"prompts": {"q": "query: "}, "default_prompt_name": "q"}, "prompt 'query: '"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(modules, more, message, tmp_path):
    folder = write_model(tmp_path / "st", *modules)
    write_json(folder / "config_sentence_transformers.json", more)
    settings = {"source": str(folder), "to": "google", "output_dir": str(tmp_path / "out")}
    with pytest.raises(ValueError, match=message):
        convert(ConversionSettings(**settings))
    report = convert(ConversionSettings(**settings, allow_missing=True))
    assert any(message in name for name in report.dropped)


@pytest.mark.parametrize("mode", [pytest.param("cls", marks=pytest.mark.slow), "mean"])
def test_converted_back_it_makes_the_same_vectors(mode, tmp_path):
    modules = (("Pooling", {"pooling_mode": mode}), dense("Tanh"), NORMALIZE)
    if mode == "cls":
        modules = (*modules[:1], *modules[2:])
    else:
        modules = (POOLING, *modules[1:])
    folder = write_model(tmp_path / "st", *modules)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 6})
    source = str(folder)
    for to in ("google", "huggingface"):
        convert(ConversionSettings(source=source, to=to, output_dir=str(tmp_path / to)))
        source = str(tmp_path / to)
    written = json.loads((tmp_path / "huggingface" / "modules.json").read_text())
    names = [module["type"].rpartition(".")[2] for module in written]
    assert names == ["Transformer", *(name for name, _ in modules)]
    again = Predictor(source)
    assert again.max_seq_length == 6
    np.testing.assert_allclose(again.embed(TEXTS), Predictor(str(folder)).embed(TEXTS), atol=1e-6)


@pytest.mark.skipif(
    importlib.util.find_spec("sentence_transformers") is None,
    reason="needs: pip install sentence-transformers",
)
def test_vectors_are_those_of_the_library_itself(tmp_path):
    folder = write_model(tmp_path / "st", POOLING, dense("Tanh", bias=False), NORMALIZE)
    assert CONFIG.max_position_embeddings == 10
    code = (
        "import sys, numpy, sentence_transformers as s\n"
        "model = s.SentenceTransformer(sys.argv[1], device='cpu', local_files_only=True)\n"
        "numpy.save(sys.argv[2], model.encode(sys.argv[3:]))\n"
    )
    out = str(tmp_path / "vectors.npy")
    subprocess.run([sys.executable, "-c", code, str(folder), out, *TEXTS], check=True)
    np.testing.assert_allclose(Predictor(str(folder)).embed(TEXTS), np.load(out), atol=2e-6)


def test_settings_of_another_form_are_refused_with_their_file(tmp_path):
    folder = write_model(tmp_path / "st", POOLING)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": "x"})
    with pytest.raises(ValueError, match=r"sentence_bert_config\.json: max_seq_length must be"):
        read_pretrained(str(folder))
