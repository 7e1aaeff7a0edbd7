"""Hugging Face's folders of BERT's successors: golden values, names of heads, released files."""

import dataclasses
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from family_golden import family_file
from random_models import CONFIG, HEADS, make_model
from read_models import all_outputs

import bert_tf
from bert_tf.conversion.check import keras_model, random_inputs
from bert_tf.formats import google, huggingface, huggingface_outputs, names
from bert_tf.formats.architectures import ARCHITECTURES
from bert_tf.formats.source import Head, TokenizerFiles
from bert_tf.kinds.table import CLASSIFIER, MASKED_LM
from bert_tf.model.encoders import make_encoder

safetensors = pytest.importorskip("safetensors.numpy", reason="needs: pip install safetensors")
needs_transformers = pytest.mark.skipif(
    not huggingface_outputs.is_installed(), reason="needs: pip install '.[huggingface]'"
)

CONFIGS = {
    "roberta": dataclasses.replace(
        CONFIG, model_type="roberta", type_vocab_size=1, layer_norm_eps=1e-5
    ),
    "distilbert": dataclasses.replace(CONFIG, model_type="distilbert", type_vocab_size=0),
}
# Classes of transformers without a counterpart of BERT's pooler.
WITHOUT_POOLER = {
    "roberta": ("masked LM", "tagging", "span"),
    "distilbert": ("", "masked LM", "tagging", "span"),
}
MORE_HEADS = {
    "multi-label": (Head("multi_label", ("a", "b", "c")), (CLASSIFIER,)),
    "choice": (Head("choice"), (CLASSIFIER,)),
}
ALL_HEADS = [head for head in (*HEADS, *MORE_HEADS) if head not in ("pretraining", "next sentence")]
CASES = [(model_type, head) for model_type in CONFIGS for head in ALL_HEADS]


def small_model(model_type, head):
    """A model with a head, and only the weights that transformers' class has."""
    without = names.POOLER if head in WITHOUT_POOLER[model_type] else ()
    return make_model(
        MORE_HEADS.get(head, head), CONFIGS[model_type], without, tokenizer=TokenizerFiles()
    )


def assert_same(read, model):
    assert set(read.weights) == set(model.weights)
    for name, value in model.weights.items():
        np.testing.assert_array_equal(read.weights[name], value, err_msg=name)
    assert (read.config, read.head) == (model.config, model.head)
    assert not read.dropped


def read_golden(name):
    folder = family_file(f"{name}/reference.npz").parent
    model = huggingface.read(str(folder))
    assert not {**model.dropped, **model.redundant}
    reference = np.load(folder / "reference.npz")
    inputs = {"input_ids": reference["input_ids"], "input_mask": reference["attention_mask"]}
    return keras_model(model), inputs, reference


@pytest.mark.parametrize("model_type", CONFIGS)
def test_hidden_states_and_masked_lm_are_the_reference_s(model_type):
    model, inputs, reference = read_golden(f"hf_{model_type}/masked_lm")
    outputs = model.encoder(inputs)
    is_token = inputs["input_mask"] == 1
    layers = [outputs["embedding_output"], *outputs["all_encoder_layers"]]
    for number, layer in enumerate(layers):
        expected = reference[f"hidden_{number}"]
        np.testing.assert_allclose(np.asarray(layer)[is_token], expected[is_token], atol=1e-5)
    assert f"hidden_{len(layers)}" not in reference
    positions = np.tile(np.arange(is_token.shape[1]), (len(is_token), 1))
    logits = model({**inputs, "masked_lm_positions": positions})["masked_lm_logits"]
    np.testing.assert_allclose(
        np.asarray(logits)[is_token], reference["logits"][is_token], atol=1e-5
    )
    labels = reference["labels"]
    log_probs = np.asarray(keras.ops.log_softmax(logits))[labels >= 0]
    losses = -log_probs[np.arange(len(log_probs)), labels[labels >= 0]]
    assert losses.mean() == pytest.approx(reference["loss"], abs=1e-5)


@pytest.mark.parametrize("model_type", CONFIGS)
def test_classification_is_the_reference_s(model_type):
    model, inputs, reference = read_golden(f"hf_{model_type}/classification")
    logits = np.asarray(model(inputs))
    np.testing.assert_allclose(logits, reference["logits"], atol=1e-5)
    losses = -np.asarray(keras.ops.log_softmax(logits))[np.arange(len(logits)), reference["labels"]]
    assert losses.mean() == pytest.approx(reference["loss"], abs=1e-5)


@pytest.mark.parametrize(("model_type", "head"), CASES)
def test_what_is_written_is_read_back_the_same(model_type, head, tmp_path):
    model = small_model(model_type, head)
    huggingface.write(model, str(tmp_path / "model"))
    assert_same(huggingface.read(str(tmp_path / "model")), model)


@pytest.mark.parametrize("model_type", CONFIGS)
@pytest.mark.parametrize("wrapper", ["module.", "model._orig_mod."])
def test_wrappers_around_an_encoder_are_removed(model_type, wrapper, tmp_path):
    model, path = small_model(model_type, "tagging"), tmp_path / "model" / "model.safetensors"
    huggingface.write(model, str(tmp_path / "model"))
    tensors = safetensors.load_file(path)
    safetensors.save_file({wrapper + name: value for name, value in tensors.items()}, path)
    assert_same(huggingface.read(str(tmp_path / "model")), model)


# Runs in a process without TensorFlow, which does not go together with PyTorch everywhere.
PROGRAM = """
import sys, transformers
from bert_tf.formats import huggingface_outputs
for folder in sys.argv[1:]:
    huggingface_outputs.main(folder, folder + "-inputs.npz", folder + ".npz")
    config = transformers.AutoConfig.from_pretrained(folder)
    model_class = getattr(transformers, config.architectures[0])
    model, loading = model_class.from_pretrained(folder, output_loading_info=True)
    assert not loading["missing_keys"] and not loading["unexpected_keys"], loading
    model.save_pretrained(folder + "-again")
"""


@pytest.fixture(scope="module")
def used_there(tmp_path_factory):
    """Folders that were written here, run by transformers (.npz), and saved by it (-again)."""
    place, folders = tmp_path_factory.mktemp("models"), []
    for model_type, head in CASES:
        if head != "choice":
            folders.append(str(place / f"{model_type}-{head}"))
            huggingface.write(small_model(model_type, head), folders[-1])
            np.savez(f"{folders[-1]}-inputs.npz", **random_inputs(CONFIGS[model_type]))
    command = [sys.executable, "-c", PROGRAM, *folders]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return place


@needs_transformers
@pytest.mark.parametrize(
    ("model_type", "head"),
    [(model_type, head) for model_type, head in CASES if head not in ("choice", "multi-label")],
)
def test_transformers_computes_the_same(model_type, head, used_there):
    model, inputs = small_model(model_type, head), random_inputs(CONFIGS[model_type])
    theirs = dict(np.load(used_there / f"{model_type}-{head}.npz"))
    ours = all_outputs(keras_model(model), inputs)
    layers = np.stack([ours["embedding_output"], *ours["all_encoder_layers"]])
    is_token = inputs["input_mask"] == 1
    np.testing.assert_allclose(
        theirs.pop("all_layers")[:, is_token], layers[:, is_token], atol=1e-5
    )
    assert theirs or (model_type, head) == ("distilbert", "")
    for name, value in theirs.items():
        per_token = value.shape[:2] == is_token.shape
        shown = is_token if per_token else slice(None)
        np.testing.assert_allclose(value[shown], ours[name][shown], atol=1e-5, err_msg=name)


@needs_transformers
@pytest.mark.parametrize(("model_type", "head"), [case for case in CASES if case[1] != "choice"])
def test_what_transformers_saves_of_it_is_read_here(model_type, head, used_there):
    read = huggingface.read(str(used_there / f"{model_type}-{head}-again"))
    assert_same(read, small_model(model_type, head))


def test_released_files_may_hold_copies_buffers_and_an_unused_pooler(tmp_path):
    model = small_model("roberta", "masked LM")
    huggingface.write(model, str(tmp_path / "model"))
    path = tmp_path / "model" / "model.safetensors"
    tensors = safetensors.load_file(path)
    pooler = {"roberta.pooler.dense.weight": np.eye(8, dtype="float32")}
    pooler["roberta.pooler.dense.bias"] = np.ones(8, "float32")
    extra = {
        **pooler,
        "lm_head.decoder.weight": tensors["roberta.embeddings.word_embeddings.weight"],
        "lm_head.decoder.bias": tensors["lm_head.bias"],
        "roberta.embeddings.position_ids": np.arange(10)[None],
    }
    safetensors.save_file({**tensors, **extra}, path)
    read = huggingface.read(str(tmp_path / "model"))
    assert not read.dropped
    assert set(read.redundant) == set(extra) - set(pooler)
    np.testing.assert_array_equal(read.weights["bert/pooler/dense/bias"], np.ones(8))

    huggingface.write(small_model("roberta", "classification"), str(tmp_path / "classes"))
    path = tmp_path / "classes" / "model.safetensors"
    tensors = safetensors.load_file(path)
    safetensors.save_file({**tensors, **pooler}, path)
    read = huggingface.read(str(tmp_path / "classes"))
    assert_same(read, small_model("roberta", "classification"))
    assert set(read.redundant) == set(pooler)

    altered = {**tensors, **extra, "lm_head.decoder.bias": extra["lm_head.decoder.bias"] + 1}
    altered |= safetensors.load_file(tmp_path / "model" / "model.safetensors")
    altered["lm_head.decoder.bias"] = altered["lm_head.decoder.bias"] + 1
    safetensors.save_file(altered, tmp_path / "model" / "model.safetensors")
    with pytest.raises(ValueError, match=r"lm_head\.decoder\.bias is not lm_head\.bias"):
        huggingface.read(str(tmp_path / "model"))


def test_padding_does_not_move_positions_and_counts_no_place():
    model = keras_model(small_model("roberta", "tagging"))
    ids = np.array([[5, 6, 7, 1, 1], [1, 1, 5, 6, 7]])
    mask = np.int32(ids != 1)
    rows = np.asarray(model({"input_ids": ids, "input_mask": mask}))
    np.testing.assert_allclose(rows[0, :3], rows[1, 2:], atol=1e-6)
    alone = np.asarray(model({"input_ids": ids[:1, :3]}))
    np.testing.assert_allclose(rows[0, :3], alone[0], atol=1e-6)


def test_padding_of_any_id_is_that_of_the_vocabulary():
    model = keras_model(small_model("roberta", "tagging"))
    mask = np.array([[1, 1, 1, 0, 0], [0, 0, 1, 1, 1]])
    ids = np.array([[5, 6, 7, 0, 0], [0, 0, 5, 6, 7]])
    with_zeros = model({"input_ids": ids, "input_mask": mask})
    padded = model({"input_ids": np.where(mask == 1, ids, 1), "input_mask": mask})
    np.testing.assert_array_equal(with_zeros, padded)
    np.testing.assert_allclose(padded[0, :3], padded[1, 2:], atol=1e-6)


@pytest.mark.parametrize("model_type", CONFIGS)
def test_classifiers_start_from_released_models_which_lack_the_first_layer(model_type, tmp_path):
    released = small_model(model_type, "masked LM")
    google.write(released, str(tmp_path / "released"))
    model = bert_tf.ClassificationModel(make_encoder(CONFIGS[model_type]), num_labels=2)
    missing = bert_tf.load_checkpoint(model, str(tmp_path / "released")).missing
    assert set(missing) == {*names.POOLER, "output_weights", "output_bias"}
    table = model.encoder.word_embeddings
    np.testing.assert_array_equal(table, released.weights[names.WORD_EMBEDDINGS])
    assert not model.may_lack("bert/encoder/layer_0/output/dense/kernel")


def test_a_sequence_may_be_two_shorter_than_the_position_table():
    model = keras_model(small_model("roberta", "tagging"))
    assert model(np.full((1, 8), 5)).shape == (1, 8, 4)
    with pytest.raises(ValueError, match="Sequences of 9 tokens"):
        model(np.full((1, 9), 5))


def test_heads_that_an_architecture_lacks_are_not_written(tmp_path):
    for model_type, config in CONFIGS.items():
        model = make_model("pretraining", config, tokenizer=TokenizerFiles())
        left = huggingface.without_place(model)
        assert set(left) == {
            "cls/seq_relationship/output_weights",
            "cls/seq_relationship/output_bias",
        }
        with pytest.raises(ValueError, match="no place in a Hugging Face model"):
            huggingface.write(model, str(tmp_path / model_type))


@pytest.mark.parametrize(
    ("model_type", "changes", "message"),
    [
        ("roberta", {"pad_token_id": 0}, "pad_token_id must be 1: positions are counted"),
        ("roberta", {"position_embedding_type": "relative_key"}, "position_embedding_type must be"),
        ("distilbert", {"activation": "silu"}, "activation must be one of"),
        ("distilbert", {"n_heads": 3}, "hidden_size must be a multiple of num_attention_heads"),
        ("roberta", {"architectures": ["RobertaForCausalThings"]}, "RobertaForTokenClassification"),
    ],
)
def test_settings_that_are_not_supported_are_refused(model_type, changes, message, tmp_path):
    huggingface.write(small_model(model_type, "tagging"), str(tmp_path / "model"))
    path = tmp_path / "model" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(ValueError, match=message) as error:
        huggingface.read(str(tmp_path / "model"))
    assert "Bert" not in str(error.value) or model_type == "distilbert"


@pytest.mark.parametrize("other", ["bert", "electra"])
def test_a_file_of_another_architecture_is_refused(other, tmp_path):
    huggingface.write(small_model("roberta", "tagging"), str(tmp_path / "model"))
    path = tmp_path / "model" / "model.safetensors"
    tensors = safetensors.load_file(path)
    renamed = {name.replace("roberta.", f"{other}."): value for name, value in tensors.items()}
    safetensors.save_file(renamed, path)
    with pytest.raises(ValueError, match=rf"the weights of one roberta are needed.*{other}\."):
        huggingface.read(str(tmp_path / "model"))


@pytest.mark.parametrize("model_type", CONFIGS)
def test_no_two_weights_of_a_class_have_one_name(model_type):
    config, row = CONFIGS[model_type], ARCHITECTURES[model_type]
    for end in ("", "ForMaskedLM", "ForSequenceClassification"):
        theirs = row.names(config, end)
        assert MASKED_LM in row.heads
        assert len(set(theirs.values())) == len(theirs)
