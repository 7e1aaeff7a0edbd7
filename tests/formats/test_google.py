"""google-research's checkpoints: read whole, written whole, names and shapes as released."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from random_models import make_model

import bert_tf
from bert_tf.config import BertConfig
from bert_tf.formats import google, names
from bert_tf.formats.source import Head, TokenizerFiles, detect_format, read_pretrained
from bert_tf.kinds.table import MASKED_LM, NEXT_SENTENCE
from bert_tf.model.heads import PretrainingModel
from bert_tf.model.task_heads import ClassificationModel, SpanModel
from bert_tf.released.find_model import find_model
from bert_tf.training.checkpoint import (
    NumberedCheckpoints,
    find_checkpoint,
    named_variables,
    write_tensors,
)

CONFIG = BertConfig(
    vocab_size=30,
    hidden_size=8,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=12,
    max_position_embeddings=10,
    type_vocab_size=2,
)
VOCAB = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(25)))
# Released configs have keys that nothing reads.
pytestmark = pytest.mark.filterwarnings("ignore:BertConfig does not use these keys")


def read_all(prefix):
    reader = tf.train.load_checkpoint(str(prefix))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def released_shapes(folder):
    return {
        name: tuple(shape)
        for name, shape in tf.train.list_variables(str(folder / "bert_model.ckpt"))
        if not name.endswith(("/adam_m", "/adam_v")) and name != "global_step"
    }


@pytest.fixture
def golden_model(golden_dir, tmp_path):
    """The checkpoint that the original's code wrote, in a folder of its own."""
    folder = tmp_path / "golden"
    folder.mkdir()
    for path in (golden_dir / "model").glob("bert_*"):
        shutil.copy(path, folder)
    return folder


def save(folder, model=None, name="bert_model.ckpt"):
    """A small model's checkpoint and config. Returns: the model."""
    model = model or bert_tf.BertEncoder(CONFIG)
    bert_tf.save_checkpoint(model, str(folder / name))
    (folder / "bert_config.json").write_text(CONFIG.to_json_string())
    return model


def test_what_the_original_wrote_is_read_and_written_whole(golden_model, tmp_path):
    model = google.read(str(golden_model))
    google.write(model, str(tmp_path / "copy"))
    before = read_all(golden_model / "bert_model.ckpt")
    after = read_all(tmp_path / "copy" / "bert_model.ckpt")
    assert set(model.weights) == set(before) == set(after)
    assert {"global_step", "bert/pooler/dense/bias/adam_m"} < set(after)
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value, err_msg=name)
        assert after[name].dtype == value.dtype
    assert google.read(str(tmp_path / "copy")).config == model.config
    assert model.head == Head("masked_lm")


@pytest.mark.data
def test_the_tiny_checkpoint_of_the_original_is_read_and_written_whole(data_dir, tmp_path):
    source = data_dir / "tf1_tiny_checkpoint"
    model = google.read(str(source))
    assert model.tokenizer.vocab[5:8] == ("all", "work", "and")
    google.write(model, str(tmp_path / "copy"))
    before, after = (read_all(f / "bert_model.ckpt") for f in (source, tmp_path / "copy"))
    assert set(before) == set(after)
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value, err_msg=name)
    assert (tmp_path / "copy" / "vocab.txt").read_text().split() == list(model.tokenizer.vocab)


@pytest.mark.data
@pytest.mark.parametrize("name", ["tf1_chinese_checkpoint_index", "tf1_medium_checkpoint_index"])
def test_names_and_shapes_are_those_of_the_released_checkpoints(name, data_dir):
    folder = data_dir / name
    config = BertConfig.from_json_file(str(folder / "bert_config.json"))
    ours = names.weight_shapes(config, (MASKED_LM, NEXT_SENTENCE))
    assert ours == released_shapes(folder)


def test_tensorflow_1_initializes_its_variables_from_what_is_written(golden_model, tmp_path):
    """As the original's programs do with --init_checkpoint: a map of names, in a graph."""
    google.write(google.read(str(golden_model)), str(tmp_path / "copy"))
    prefix = str(tmp_path / "copy" / "bert_model.ckpt")
    v1 = tf.compat.v1
    listed = dict(v1.train.list_variables(prefix))
    before = read_all(golden_model / "bert_model.ckpt")
    with tf.Graph().as_default(), v1.Session() as session:
        variables = {
            name: v1.get_variable(name, shape, initializer=v1.zeros_initializer())
            for name, shape in listed.items()
            if name.startswith(("bert/", "cls/")) and "/adam_" not in name
        }
        v1.train.init_from_checkpoint(prefix, {name: name for name in variables})
        session.run(v1.global_variables_initializer())
        for name, value in session.run(variables).items():
            np.testing.assert_array_equal(value, before[name], err_msg=name)


def test_a_model_is_named_by_folder_prefix_or_file(tmp_path):
    save(tmp_path)
    prefix = str(tmp_path / "bert_model.ckpt")
    for path in (tmp_path, prefix, prefix + ".index", prefix + ".data-00000-of-00001"):
        assert detect_format(str(path)) == "google"
        assert read_pretrained(str(path)).path == prefix


def test_of_a_training_folder_the_best_weights_are_read_or_else_the_newest(tmp_path):
    model = save(tmp_path)
    for suffix in (".index", ".data-00000-of-00001"):
        (tmp_path / f"bert_model.ckpt{suffix}").unlink()
    saver = NumberedCheckpoints(str(tmp_path), named_variables(model))
    saver.save(9)
    saver.save(10)
    assert google.read(str(tmp_path)).path.endswith("model.ckpt-10")
    NumberedCheckpoints(str(tmp_path / "best"), named_variables(model)).save(9)
    read = google.read(str(tmp_path))
    assert read.path.endswith("best/model.ckpt-9")
    assert "best weights" in read.notes[0]
    assert find_model(str(tmp_path)).init_checkpoint == read.path == find_checkpoint(str(tmp_path))
    assert not google.read(str(tmp_path / "model.ckpt-10")).notes


def test_which_of_several_checkpoints_is_meant_has_to_be_said(golden_dir, tmp_path):
    for name in ("a.ckpt", "b.ckpt"):
        save(tmp_path, name=name)
    with pytest.raises(ValueError, match=r"2 checkpoints. Name one of them: a.ckpt, b.ckpt"):
        google.read(str(tmp_path))


@pytest.mark.parametrize("prefix", ["module/", "scope/model/"])
@pytest.mark.parametrize("layout", ["bert_model.ckpt", "variables/variables"])
def test_prefixes_and_tf_hub_s_layout_are_understood(prefix, layout, tmp_path, monkeypatch):
    monkeypatch.setenv("BERT_TF_CACHE", str(tmp_path / "cache"))
    model = make_model("pretraining", CONFIG)
    google.write(model, str(tmp_path / "plain"))
    hub = tmp_path / "hub"
    tensors = {prefix + name: tf.constant(value) for name, value in model.weights.items()}
    write_tensors(str(hub / layout), tensors)
    with pytest.raises(ValueError, match=r"no bert_config.json .*Put the model's there"):
        google.read(str(hub))
    (tmp_path / "plain" / "bert_config.json").rename(hub / "bert_config.json")
    (hub / "assets").mkdir()
    is_hub = "/" in layout
    vocab = hub / "assets/vocab.txt" if is_hub else hub / "vocab.txt"
    (tmp_path / "plain" / "vocab.txt").rename(vocab)
    read = google.read(str(hub))
    assert (set(read.weights), read.config) == (set(model.weights), model.config)
    assert read.tokenizer.vocab == model.tokenizer.vocab
    assert read.notes == (f"{prefix!r} was removed from the names of its weights.",)
    found = find_model(str(hub))
    assert Path(found.vocab_file).read_text() == vocab.read_text()
    assert set(google.read_weights(found.init_checkpoint)) == set(model.weights)


@pytest.mark.parametrize(
    ("act", "more", "expected"),
    [("gelu", {}, "gelu"), ("gelu", {"model_type": "bert"}, "gelu_erf")],
)
def test_a_checkpoint_may_have_the_other_library_s_name_of_the_config(
    act, more, expected, tmp_path, monkeypatch
):
    monkeypatch.setenv("BERT_TF_CACHE", str(tmp_path / "cache"))
    google.write(make_model(), str(tmp_path))
    config = tmp_path / "bert_config.json"
    content = {**json.loads(config.read_text()), "hidden_act": act, **more}
    config.unlink()
    (tmp_path / "config.json").write_text(json.dumps(content))
    assert google.read(str(tmp_path)).config.hidden_act == expected
    assert Path(find_model(str(tmp_path)).bert_config_file).name == "bert_config.json"


def test_other_files_are_not_taken_for_a_checkpoint(tmp_path):
    assert not google.recognizes(str(tmp_path))
    (tmp_path / "model.safetensors.index.json").write_text("{}")
    assert not google.recognizes(str(tmp_path))
    tf.train.Checkpoint(v=tf.Variable(1.0)).write(str(tmp_path / "objects"))
    assert not google.recognizes(str(tmp_path / "objects"))


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        (bert_tf.BertEncoder(CONFIG), "encoder"),
        (PretrainingModel(bert_tf.BertEncoder(CONFIG)), "masked_lm"),
        (ClassificationModel(bert_tf.BertEncoder(CONFIG), 3), "classification"),
        (ClassificationModel(bert_tf.BertEncoder(CONFIG), 1), "regression"),
        (SpanModel(bert_tf.BertEncoder(CONFIG)), "span"),
    ],
)
def test_the_head_is_seen_from_the_names(model, kind, tmp_path):
    save(tmp_path, model)
    assert google.read(str(tmp_path)).head.kind == kind


@pytest.mark.parametrize(
    ("folder", "do_lower_case"),
    [
        ("uncased_L-2_H-128_A-2", True),
        ("wwm_cased_L-24_H-1024_A-16", False),
        ("multi_cased_L-12_H-768_A-12", False),
        ("chinese_L-12_H-768_A-12", True),
        ("mine", None),
    ],
)
def test_the_name_of_a_released_folder_tells_its_case(folder, do_lower_case, tmp_path):
    save(tmp_path / folder)
    assert google.read(str(tmp_path / folder)).tokenizer.do_lower_case is do_lower_case


def test_vocabulary_and_case_are_written_beside_the_weights_and_read_again(tmp_path):
    save(tmp_path / "uncased_L-1")
    model = google.read(str(tmp_path / "uncased_L-1"))
    tokenizer = TokenizerFiles(VOCAB, do_lower_case=False, strip_accents=True)
    written = dataclasses.replace(model, tokenizer=tokenizer)
    google.write(written, str(tmp_path / "uncased_L-2"))
    assert google.read(str(tmp_path / "uncased_L-2")).tokenizer == tokenizer
    assert (tmp_path / "uncased_L-2" / "vocab.txt").read_text() == "\n".join(VOCAB) + "\n"


def test_a_checkpoint_without_a_config_is_refused_with_what_is_missing(tmp_path):
    save(tmp_path)
    (tmp_path / "bert_config.json").unlink()
    with pytest.raises(ValueError, match=r"no bert_config.json beside the checkpoint"):
        google.read(str(tmp_path))


def test_another_models_config_is_refused_with_both_shapes(tmp_path):
    save(tmp_path)
    (tmp_path / "bert_config.json").write_text(json.dumps({**CONFIG.to_dict(), "hidden_size": 6}))
    message = r"word_embeddings is \[30, 8\], the config's is \[30, 6\]"
    with pytest.raises(ValueError, match=message):
        google.read(str(tmp_path))


def test_a_layer_that_the_config_has_not_is_refused(tmp_path):
    save(tmp_path)
    weights = read_all(tmp_path / "bert_model.ckpt")
    weights["bert/encoder/layer_1/output/dense/bias"] = np.zeros(8, np.float32)
    write_tensors(str(tmp_path / "bert_model.ckpt"), weights)
    with pytest.raises(ValueError, match="layer 1 is there, the config has num_hidden_layers=1"):
        google.read(str(tmp_path))


def test_a_vocabulary_that_is_longer_than_the_embeddings_is_refused(tmp_path):
    save(tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join([*VOCAB, "more"]) + "\n")
    with pytest.raises(ValueError, match="31 tokens, the model's word embeddings have 30 rows"):
        google.read(str(tmp_path))


@pytest.mark.parametrize(
    "damage", [lambda content: content[:100], lambda content: b"x" + content[1:], lambda _: b""]
)
@pytest.mark.parametrize("suffix", [".index", ".data-00000-of-00001"])
def test_a_damaged_checkpoint_is_refused_by_name(suffix, damage, tmp_path):
    save(tmp_path)
    file = tmp_path / f"bert_model.ckpt{suffix}"
    file.write_bytes(damage(file.read_bytes()))
    assert google.recognizes(str(tmp_path))
    with pytest.raises(ValueError, match=r"bert_model.ckpt: the checkpoint cannot be read"):
        google.read(str(tmp_path))


@pytest.mark.parametrize("suffix", ["index", "data-00000-of-00001"])
def test_a_pointer_in_place_of_a_file_is_named_with_the_remedy(suffix, tmp_path):
    google.write(make_model(), str(tmp_path))
    path = tmp_path / f"bert_model.ckpt.{suffix}"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(ValueError, match=rf"{path.name}: a Git LFS pointer.*git lfs pull"):
        google.read(str(tmp_path))


def test_weights_of_16_bits_are_read_as_float32(tmp_path):
    save(tmp_path)
    weights = read_all(tmp_path / "bert_model.ckpt")
    for name, dtype in (("bert/pooler/dense/bias", tf.bfloat16), (names.POOLER[0], tf.float16)):
        weights[name] = tf.cast(weights[name], dtype)
    write_tensors(str(tmp_path / "bert_model.ckpt"), weights)
    read = google.read(str(tmp_path)).weights
    assert {value.dtype for value in read.values()} == {np.dtype(np.float32)}


def test_other_weights_are_overwritten_only_when_asked(tmp_path):
    save(tmp_path / "a")
    save(tmp_path / "b")
    model = google.read(str(tmp_path / "a"))
    before = {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()}
    with pytest.raises(ValueError, match="would be overwritten"):
        google.write(model, str(tmp_path / "b"))
    assert {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()} == before
    google.write(model, str(tmp_path / "b"), overwrite=True)
    assert set(before) == {path.name for path in (tmp_path / "b").iterdir()}
    for name, value in read_all(tmp_path / "b" / "bert_model.ckpt").items():
        np.testing.assert_array_equal(value, model.weights[name])


def test_nothing_is_left_of_what_could_not_be_written(tmp_path):
    save(tmp_path / "a")
    model = google.read(str(tmp_path / "a"))
    tokenizer = TokenizerFiles((b"not text",))
    broken = dataclasses.replace(model, tokenizer=tokenizer)
    with pytest.raises(TypeError):
        google.write(broken, str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()
    with pytest.raises(TypeError):
        google.write(broken, str(tmp_path / "a"), overwrite=True)
    assert len(list((tmp_path / "a").iterdir())) == 3
