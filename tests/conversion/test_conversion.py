"""Conversion: what is kept, dropped and missing, what may change, and that both compute alike."""

import dataclasses
import importlib.util
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from random_models import CONFIG, HEADS, VOCAB, make_model

from bert_tf.conversion.check import check_conversion, keras_model, random_inputs
from bert_tf.conversion.convert import convert
from bert_tf.conversion.weights import fill
from bert_tf.formats import google, huggingface, huggingface_outputs, names
from bert_tf.formats.source import TokenizerFiles, read_pretrained
from bert_tf.released.model_folder import ModelDescription, read_description, write_description
from bert_tf.settings import ConversionSettings
from bert_tf.training.checkpoint import NumberedCheckpoints, named_variables, write_tensors
from bert_tf.training.optimizer import AdamWeightDecay
from bert_tf.training.schedule import WarmupAndDecay

needs_safetensors = pytest.mark.skipif(
    importlib.util.find_spec("safetensors") is None, reason="needs: pip install safetensors"
)
TANH = dataclasses.replace(CONFIG, hidden_act="gelu")


@pytest.fixture(autouse=True)
def without_transformers(monkeypatch):
    """The files are read back here: transformers takes seconds, and has tests of its own."""
    monkeypatch.setattr(huggingface_outputs, "is_installed", lambda: False)


def read_all(prefix):
    reader = tf.train.load_checkpoint(str(prefix))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def run(source, to, output, **settings):
    return convert(
        ConversionSettings(source=str(source), to=to, output_dir=str(output), **settings)
    )


def with_state(model):
    """The model with an optimizer's state."""
    state = {
        f"{name}/{slot}": np.full_like(value, number)
        for name, value in model.weights.items()
        for number, slot in enumerate(("adam_m", "adam_v"), start=1)
    }
    weights = {**model.weights, **state, "global_step": np.int64(7)}
    return dataclasses.replace(model, weights=weights)


@pytest.fixture
def trained(tmp_path):
    """A google-research checkpoint of pre-training with the optimizer's state. Returns: folder."""
    google.write(with_state(make_model("pretraining", TANH)), str(tmp_path / "trained"))
    return tmp_path / "trained"


def test_from_google_to_google_everything_is_kept(trained, tmp_path):
    report = run(trained, "google", tmp_path / "out")
    before, after = (read_all(f / "bert_model.ckpt") for f in (trained, tmp_path / "out"))
    assert set(before) == set(after)
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value, err_msg=name)
    assert "largest difference 0.0e+00 in" in report.check
    assert not report.dropped


def test_without_the_optimizer_a_third_is_left(trained, tmp_path):
    report = run(trained, "google", tmp_path / "out", keep_optimizer=False)
    after = read_all(tmp_path / "out" / "bert_model.ckpt")
    assert set(after) == set(make_model("pretraining").weights)
    assert set(report.dropped.values()) == {"optimizer state"}
    assert len(report.dropped) == 2 * len(after) + 1


@needs_safetensors
def test_the_report_lists_what_became_of_everything(trained, tmp_path):
    report = run(trained, "huggingface", tmp_path / "out")
    lines = report.lines()
    assert lines[1] == (
        "mapped: 46 (embeddings 5, layers 32, pooler 2, masked LM 5, next sentence 2)"
    )
    assert lines[2].startswith("dropped: 93 (optimizer state): bert/embeddings/LayerNorm/beta/adam")
    assert lines[3] == "missing: nothing"
    assert lines[-1].startswith("verified: largest difference 0.0e+00 in all_layers")
    assert "transformers is not installed" in lines[-1]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("flax_model.msgpack", "from_flax=True"),
        ("adapter_model.safetensors", "merge_and_unload"),
        ("model.onnx", "the model from which it was exported"),
        ("onnx/model.onnx", "onnx/model.onnx: .*the model from which it was exported"),
        ("model.Q4_K_M.gguf", "llama.cpp"),
        ("bert.tar.gz", "tar -xf"),
        ("notes.txt", "In the folder: config.json, notes.txt"),
        ("inner/bert_model.ckpt.index", r"A model lies in .*inner: give that path"),
    ],
)
def test_a_layout_that_is_not_read_is_named_with_the_step_to_one_that_is(name, message, tmp_path):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"\0")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match=message):
        read_pretrained(str(tmp_path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"7z\xbc\xaf\x27\x1c", r"7z archive \(Unpack it first: 7z x"),
        (b"hello", "It is plain text."),
    ],
)
def test_a_file_that_is_no_model_is_named_by_its_kind(content, message, tmp_path):
    (tmp_path / "model").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_pretrained(str(tmp_path / "model"))


@needs_safetensors
@pytest.mark.parametrize("head", HEADS)
def test_every_head_goes_there_and_back(head, tmp_path):
    model = make_model(head)
    google.write(model, str(tmp_path / "google"))
    labels, kind = model.head.labels, model.head.kind
    if kind in ("classification", "regression", "tagging", "span"):
        inputs = ("question", "context") if kind == "span" else ("text",)
        description = ModelDescription("", kind, inputs, labels, {}, 10, False)
        write_description(str(tmp_path / "google"), description)
    run(tmp_path / "google", "huggingface", tmp_path / "there")
    run(tmp_path / "there", "google", tmp_path / "back")
    back = google.read(str(tmp_path / "back"))
    assert set(back.weights) == set(model.weights)
    for name, value in model.weights.items():
        np.testing.assert_array_equal(back.weights[name], value, err_msg=name)
    assert back.config == model.config
    assert back.tokenizer == model.tokenizer
    before, after = (read_description(str(tmp_path / name)) for name in ("google", "back"))
    assert before == after


@needs_safetensors
def test_a_model_made_elsewhere_gets_a_description(tmp_path):
    huggingface.write(make_model("classification"), str(tmp_path / "there"))
    run(tmp_path / "there", "google", tmp_path / "out", inputs=("text_a", "text_b"))
    assert read_description(str(tmp_path / "out")) == ModelDescription(
        task="",
        kind="classification",
        inputs=("text_a", "text_b"),
        labels=("no", "yes", "?"),
        options={},
        max_seq_length=10,
        do_lower_case=False,
    )


@needs_safetensors
def test_what_was_fine_tuned_here_keeps_its_description_and_labels(tmp_path):
    google.write(make_model("classification"), str(tmp_path / "google"))
    description = ModelDescription(
        "glue:mnli", "classification", ("text_a", "text_b"), ("a", "b", "c"), {}, 9, True, False
    )
    write_description(str(tmp_path / "google"), description)
    run(tmp_path / "google", "google", tmp_path / "out")
    assert read_description(str(tmp_path / "out")) == description
    run(tmp_path / "google", "huggingface", tmp_path / "there")
    there = huggingface.read(str(tmp_path / "there"))
    assert there.head.labels == ("a", "b", "c")
    assert there.tokenizer == TokenizerFiles(VOCAB, do_lower_case=True, strip_accents=False)


def test_a_description_of_other_labels_is_refused(tmp_path):
    google.write(make_model("classification"), str(tmp_path / "google"))
    description = ModelDescription("", "classification", ("text",), ("a", "b"), {}, 9, True)
    write_description(str(tmp_path / "google"), description)
    with pytest.raises(
        ValueError, match=r"has 3 rows, but task.json beside it names 2 labels: a, b"
    ):
        run(tmp_path / "google", "google", tmp_path / "out")


@needs_safetensors
def test_weights_without_a_place_are_lost_only_when_that_is_allowed(tmp_path):
    model = make_model("span")
    more = {"cls/other/kernel": np.ones((2, 2), np.float32)}
    google.write(
        dataclasses.replace(model, weights={**model.weights, **more}), str(tmp_path / "google")
    )
    with pytest.raises(ValueError, match=r"would be lost: 1 \(Hugging.*\): cls/other/kernel"):
        run(tmp_path / "google", "huggingface", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    report = run(tmp_path / "google", "huggingface", tmp_path / "out", allow_missing=True)
    assert list(report.dropped) == ["cls/other/kernel"]
    run(tmp_path / "google", "google", tmp_path / "kept")
    assert "cls/other/kernel" in read_all(tmp_path / "kept" / "bert_model.ckpt")


@needs_safetensors
def test_the_state_of_another_librarys_optimizer_is_no_loss(golden_dir, tmp_path):
    report = run(golden_dir / "keras_hub" / "classifier", "huggingface", tmp_path / "out")
    assert report.dropped
    assert all("optimizer/vars" in name for name in report.dropped)
    assert "largest difference 0.0e+00 in" in report.check


def test_a_needed_weight_that_is_missing_starts_anew_only_when_that_is_allowed(tmp_path):
    name = "bert/encoder/layer_1/output/dense/kernel"
    google.write(make_model(without=(name, names.POOLER[1])), str(tmp_path / "part"))
    with pytest.raises(ValueError, match=rf"2 weights .* are missing: {name}, {names.POOLER[1]}"):
        run(tmp_path / "part", "google", tmp_path / "out")
    report = run(tmp_path / "part", "google", tmp_path / "out", allow_missing=True)
    assert dict(report.missing) == dict.fromkeys((name, names.POOLER[1]), "gets its initial value")
    weights = read_all(tmp_path / "out" / "bert_model.ckpt")
    assert 0.015 < weights[name].std() < 0.02
    assert np.abs(weights[name]).max() <= 0.04
    assert not weights[names.POOLER[1]].any()


@needs_safetensors
@pytest.mark.parametrize("head", ["span", "tagging", "masked LM"])
def test_heads_that_see_every_token_need_no_pooler(head, tmp_path):
    huggingface.write(make_model(head, without=names.POOLER), str(tmp_path / "there"))
    report = run(tmp_path / "there", "google", tmp_path / "out")
    assert set(names.POOLER) <= set(report.missing)
    assert names.POOLER[0] not in read_all(tmp_path / "out" / "bert_model.ckpt")
    run(tmp_path / "there", "google", tmp_path / "whole", allow_missing=True)
    assert names.POOLER[0] in read_all(tmp_path / "whole" / "bert_model.ckpt")


@needs_safetensors
@pytest.mark.parametrize("head", ["", "classification", "next sentence"])
def test_other_heads_need_the_pooler(head, tmp_path):
    huggingface.write(make_model(head, without=names.POOLER), str(tmp_path / "there"))
    with pytest.raises(ValueError, match=r"2 weights .* are missing: bert/pooler/dense/kernel"):
        run(tmp_path / "there", "google", tmp_path / "out")


def test_initial_values_are_the_same_each_time():
    shapes = {"bert/a/kernel": (50, 40), "bert/b/kernel": (50, 40), "bert/LayerNorm/gamma": (3,)}
    first, second = (fill(make_model(), shapes).weights for _ in range(2))
    for name in shapes:
        np.testing.assert_array_equal(first[name], second[name])
    assert not np.array_equal(first["bert/a/kernel"], first["bert/b/kernel"])
    assert first["bert/LayerNorm/gamma"].tolist() == [1, 1, 1]


def train(folder, steps):
    """Numbered checkpoints of a model with random weights. Returns: the weights of each."""
    google.write(make_model("pretraining", TANH), str(folder))
    for suffix in ("index", "data-00000-of-00001"):
        (folder / f"bert_model.ckpt.{suffix}").unlink()
    model = keras_model(make_model("pretraining", TANH))
    optimizer = AdamWeightDecay(named_variables(model), WarmupAndDecay(1e-3, 10))
    variables = {**named_variables(model), **optimizer.named_variables()}
    saver = NumberedCheckpoints(str(folder), variables)
    weights = []
    for step in steps:
        rng = np.random.default_rng(step)
        for variable in named_variables(model).values():
            variable.assign(rng.normal(size=variable.shape).astype(np.float32))
        variables["global_step"].assign(step)
        saver.save(step)
        weights.append({n: v.numpy() for n, v in named_variables(model).items()})
    return weights


def test_the_newest_checkpoints_are_averaged_without_the_optimizer(tmp_path):
    weights = train(tmp_path / "run", (9, 10, 100))
    report = run(tmp_path / "run", "google", tmp_path / "out", average_last=2)
    averaged = read_all(tmp_path / "out" / "bert_model.ckpt")
    assert set(averaged) == {*weights[0], "global_step"}
    assert averaged["global_step"] == 100
    for name in weights[0]:
        expected = (weights[1][name].astype(np.float64) + weights[2][name]) / 2
        np.testing.assert_array_equal(averaged[name], expected.astype(np.float32), err_msg=name)
    assert "note: the weights are the mean of the 2 newest checkpoints." in report.lines()


def test_more_checkpoints_than_there_are_cannot_be_averaged(tmp_path):
    train(tmp_path / "run", (9, 10))
    with pytest.raises(ValueError, match=r"needs so many .* Found: model.ckpt-10, model.ckpt-9"):
        run(tmp_path / "run", "google", tmp_path / "out", average_last=3)


@needs_safetensors
@pytest.mark.parametrize("to", ["google", "huggingface"])
def test_a_padded_vocabulary_changes_no_probability(to, trained, tmp_path):
    report = run(trained, to, tmp_path / "out", padded_vocab_size=32)
    assert "largest difference 0.0e+00 in" in report.check
    model = {"google": google, "huggingface": huggingface}[to].read(str(tmp_path / "out"))
    assert model.config.vocab_size == 32
    assert not model.weights[names.WORD_EMBEDDINGS][30:].any()
    inputs = random_inputs(TANH)
    before = keras_model(make_model("pretraining", TANH))(inputs)["masked_lm_logits"]
    after = keras_model(model)(inputs)["masked_lm_logits"]
    np.testing.assert_allclose(after[..., :30], before, atol=1e-6)
    assert not np.exp(after[..., 30:]).any()


def test_the_optimizers_state_is_padded_with_zeros(trained, tmp_path):
    run(trained, "google", tmp_path / "out", padded_vocab_size=32)
    weights = read_all(tmp_path / "out" / "bert_model.ckpt")
    for name in (names.WORD_EMBEDDINGS, names.MASKED_LM_BIAS):
        for number, slot in enumerate(("adam_m", "adam_v"), start=1):
            value = weights[f"{name}/{slot}"]
            assert value.shape == weights[name].shape
            assert (value[:30] == number).all()
            assert not value[30:].any()


def test_a_vocabulary_cannot_be_padded_to_less_than_it_has(trained, tmp_path):
    with pytest.raises(ValueError, match=r"padded_vocab_size=29 is less than the 30 rows"):
        run(trained, "google", tmp_path / "out", padded_vocab_size=29)


def test_a_zip_of_a_released_model_is_converted(trained, tmp_path, monkeypatch):
    monkeypatch.setenv("BERT_TF_CACHE", str(tmp_path / "cache"))
    archive = tmp_path / "uncased_L-2_H-8_A-2.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in trained.iterdir():
            if path.name != "tokenizer_config.json":
                file.write(path, f"uncased_L-2_H-8_A-2/{path.name}")
    run(archive, "google", tmp_path / "out")
    assert google.read(str(tmp_path / "out")).tokenizer.do_lower_case is True


def test_what_is_no_model_is_an_error_that_says_so(tmp_path):
    with pytest.raises(ValueError, match="nowhere"):
        run(tmp_path / "nowhere", "google", tmp_path / "out")
    with pytest.raises(ValueError, match="no model of a known format"):
        run(tmp_path, "google", tmp_path / "out")


def test_nothing_is_kept_of_a_conversion_that_computes_something_else(
    trained, tmp_path, monkeypatch
):
    monkeypatch.setattr(google, "write", write_another)
    with pytest.raises(ValueError, match=r"computes something else: largest difference .*Nothing"):
        run(trained, "google", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def write_another(model, folder, overwrite=False):
    """A writer with a mistake: it exchanges two matrices."""
    weights = dict(model.weights)
    first, second = (f"bert/encoder/layer_{n}/attention/self/query/kernel" for n in range(2))
    weights[first], weights[second] = weights[second], weights[first]
    write_tensors(f"{folder}/bert_model.ckpt", {n: tf.constant(v) for n, v in weights.items()})
    with open(f"{folder}/bert_config.json", "w") as file:
        file.write(model.config.to_json_string())


def test_a_difference_that_is_no_number_is_one(trained):
    model = google.read(str(trained))
    bias = np.full_like(model.weights[names.POOLER[1]], np.nan)
    model = dataclasses.replace(model, weights={**model.weights, names.POOLER[1]: bias})
    with pytest.raises(ValueError, match="computes something else"):
        check_conversion(model, str(trained), "google")


def test_files_that_are_there_are_overwritten_only_when_asked(trained, tmp_path):
    before = (trained / "bert_model.ckpt.index").read_bytes()
    with pytest.raises(ValueError, match=r"bert_config.json would be overwritten"):
        run(trained, "google", trained, keep_optimizer=False)
    assert (trained / "bert_model.ckpt.index").read_bytes() == before
    run(trained, "google", trained, keep_optimizer=False, overwrite=True)
    assert "global_step" not in read_all(trained / "bert_model.ckpt")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"source": ""}, "--from is needed"),
        ({"output_dir": ""}, "--output_dir is needed"),
        ({"to": "onnx"}, "--to must be one of 'google', 'huggingface'"),
        ({"average_last": -1}, "--average_last must be a whole number"),
        ({"inputs": ("question",)}, "--inputs must be text or text_a,text_b"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_flag(values, message):
    with pytest.raises(ValueError, match=message):
        ConversionSettings(**{"source": "a", "to": "google", "output_dir": "b", **values})


def test_a_smaller_model_has_the_first_and_the_last_layer(tmp_path):
    config = dataclasses.replace(TANH, num_hidden_layers=5)
    whole = with_state(make_model("masked LM", config))
    google.write(whole, str(tmp_path / "whole"))
    run(tmp_path / "whole", "google", tmp_path / "small", num_layers=3)
    small = google.read(str(tmp_path / "small" / "bert_model.ckpt"))
    assert small.config == dataclasses.replace(TANH, num_hidden_layers=3)
    names_of_others = [name for name in whole.weights if "/layer_" not in name]
    for place, source in enumerate((0, 2, 4)):
        for name in small.weights:
            if f"/layer_{place}/" in name:
                theirs = whole.weights[name.replace(f"/layer_{place}/", f"/layer_{source}/")]
                np.testing.assert_array_equal(small.weights[name], theirs)
    assert set(names_of_others) <= set(small.weights)
    with pytest.raises(ValueError, match="at most as many layers as its teacher, 5"):
        run(tmp_path / "whole", "google", tmp_path / "larger", num_layers=6)
