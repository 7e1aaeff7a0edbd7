"""from_preset and save_to_preset: models and tokenizers in Keras' own terms."""

import json
import logging

import keras
import numpy as np
import pytest
from small_configs import small_config

import bert_tf
from bert_tf.released.published import SCORES

TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefg", "##b", "##c", "xyz"]
CONFIG = small_config(len(TOKENS))
IDS = np.array([[2, 5, 6, 3], [2, 7, 3, 0]], np.int32)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    path = tmp_path_factory.mktemp("vocab") / "vocab.txt"
    path.write_text("\n".join(TOKENS) + "\n")
    return bert_tf.FullTokenizer(str(path))


@pytest.fixture(scope="module")
def pretrained(tokenizer, tmp_path_factory):
    model = bert_tf.PretrainingModel(bert_tf.BertEncoder(CONFIG))
    folder = str(tmp_path_factory.mktemp("presets") / "pretrained")
    model.save_to_preset(folder, tokenizer)
    return model, folder


def make_heads():
    encoder = bert_tf.BertEncoder
    return {
        "encoder": encoder(CONFIG),
        "classification": bert_tf.ClassificationModel(encoder(CONFIG), 3),
        "regression": bert_tf.ClassificationModel(encoder(CONFIG), 1),
        "tagging": bert_tf.TokenClassificationModel(encoder(CONFIG), 3),
        "span": bert_tf.SpanModel(encoder(CONFIG)),
        "choice": bert_tf.ChoiceModel(encoder(CONFIG)),
        # Of other sizes than by default, which the preset must tell.
        "roles": bert_tf.RoleModel(encoder(CONFIG), 3, indicator_size=2, lstm_units=3, mlp_units=4),
        "coreference": bert_tf.CoreferenceModel(encoder(CONFIG), ffnn_size=5, feature_size=2),
    }


@pytest.mark.parametrize("kind", sorted(make_heads()))
def test_a_saved_model_comes_back_and_answers(kind, tokenizer, tmp_path):
    model = make_heads()[kind]
    folder = str(tmp_path / "saved")
    model.save_to_preset(folder, tokenizer)
    again = type(model).from_preset(folder)
    for a, b in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(a, b, a.path)
    assert bert_tf.Predictor(folder).kind == kind
    assert bert_tf.FullTokenizer.from_preset(folder).vocab == tokenizer.vocab


def test_a_new_head_is_random_with_one_warning(pretrained, caplog):
    model, folder = pretrained
    with caplog.at_level(logging.WARNING, logger="bert_tf.released.presets"):
        head = bert_tf.ClassificationModel.from_preset(folder, num_labels=4)
    (record,) = caplog.records
    assert "output_weights, output_bias: these weights are random" in record.getMessage()
    expected = model.encoder(IDS)["pooled_output"]
    np.testing.assert_array_equal(head.encoder(IDS)["pooled_output"], expected)


def test_dtype_and_name_are_passed_on(pretrained):
    _, folder = pretrained
    model = bert_tf.SpanModel.from_preset(folder, dtype="mixed_bfloat16", name="mine")
    assert (model.name, model.dtype_policy.name) == ("mine", "mixed_bfloat16")
    assert model.encoder.dtype_policy.name == "mixed_bfloat16"


def test_a_span_model_without_a_pooler_needs_no_further_argument(tokenizer, tmp_path):
    from bert_tf.formats import huggingface
    from bert_tf.formats.source import Head, PretrainedModel, TokenizerFiles

    model = bert_tf.SpanModel(bert_tf.BertEncoder(CONFIG))
    weights = {w.path: w.numpy() for w in model.weights if not model.is_unneeded(w.path)}
    huggingface.write(
        PretrainedModel(
            "google", "x", CONFIG, weights, Head("span"), TokenizerFiles(tuple(TOKENS), True)
        ),
        str(tmp_path / "hf"),
    )
    again = bert_tf.SpanModel.from_preset(str(tmp_path / "hf"))
    np.testing.assert_allclose(again(IDS)["start_logits"], model(IDS)["start_logits"], atol=1e-5)


def test_lora_matrices_are_added_to_the_kernels(tokenizer, tmp_path):
    model = make_heads()["classification"]
    dense = [x for x in model.encoder._flatten_layers() if isinstance(x, keras.layers.Dense)]
    for layer in dense:
        layer.enable_lora(rank=2)
        layer.lora_kernel_b.assign(np.full(layer.lora_kernel_b.shape, 0.5))
    model.save_to_preset(str(tmp_path / "saved"), tokenizer)
    again = bert_tf.ClassificationModel.from_preset(str(tmp_path / "saved"))
    np.testing.assert_allclose(again(IDS), model(IDS), atol=1e-6)
    for layer in dense:
        layer.lora_kernel_b.assign(np.zeros(layer.lora_kernel_b.shape))
    assert np.abs(again(IDS) - model(IDS)).max() > 1e-3


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize`")
def test_a_quantized_model_is_refused(tokenizer, tmp_path):
    model = make_heads()["classification"]
    model(IDS)
    model.quantize("int8")
    with pytest.raises(ValueError, match=r"is quantized \(int8\), and a preset holds float"):
        model.save_to_preset(str(tmp_path / "saved"), tokenizer)
    assert not (tmp_path / "saved").exists()


def test_labels_and_inputs_are_kept(tokenizer, tmp_path):
    model = make_heads()["classification"]
    folder = str(tmp_path / "a")
    model.save_to_preset(folder, tokenizer, ["x", "y", "z"], ("text_a", "text_b"), 12)
    again = bert_tf.ClassificationModel.from_preset(folder)
    again.save_to_preset(str(tmp_path / "b"))
    described = [json.loads((tmp_path / name / "task.json").read_text()) for name in "ab"]
    assert described[0] == described[1]
    assert described[0]["labels"] == ["x", "y", "z"]
    assert bert_tf.Predictor(folder).inputs == ("text_a", "text_b")


def test_what_does_not_fit_is_refused(pretrained, tokenizer, tmp_path):
    _, folder = pretrained
    with pytest.raises(ValueError, match="give num_labels"):
        bert_tf.ClassificationModel.from_preset(folder)
    with pytest.raises(ValueError, match="SpanModel takes no num_labels"):
        bert_tf.SpanModel.from_preset(folder, num_labels=2)
    with pytest.raises(ValueError, match="There is no file or folder 'nothing'"):
        bert_tf.BertEncoder.from_preset("nothing")
    model = make_heads()["classification"]
    with pytest.raises(ValueError, match="needs the model's tokenizer"):
        model.save_to_preset(str(tmp_path / "x"))
    with pytest.raises(ValueError, match="as many different labels"):
        model.save_to_preset(str(tmp_path / "x"), tokenizer, ["one", "two"])
    assert not (tmp_path / "x").exists()


def test_presets_are_listed_with_parameters_and_scores():
    presets = bert_tf.presets()
    names = [model.name for model in presets]
    assert len(set(names)) == len(names) == 33 + 12 + 3 + 8  # BERT, ALBERT, ELECTRA, of the Hub.
    table = repr(presets).splitlines()
    assert len(table) == 1 + len(names)
    assert "109,482,240" in table[1]
    assert SCORES["bert_base_uncased"][0].value in table[1]
