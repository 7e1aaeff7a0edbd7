"""From one name or path to a model's files; and every script's --model."""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import recorded_settings
import tensorflow as tf
from small_release import MODEL, WORDS, write_release, write_zip
from zip_server import Reply, ZipServer

from bert_tf.formats import huggingface
from bert_tf.formats.source import read_pretrained
from bert_tf.released.download import DownloadOptions
from bert_tf.released.find_model import ModelFiles, find_init_checkpoint, find_model
from bert_tf.released.models import all_released_models
from bert_tf.training.checkpoint import write_tensors


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """A released model's folder, whose name says that text is lower-cased."""
    return write_release(tmp_path_factory.mktemp("models") / "uncased_L-2_H-128_A-2")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BERT_TF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def assert_files_of(found: ModelFiles, folder, prefix="bert_model.ckpt"):
    assert found.bert_config_file == str(Path(folder) / "bert_config.json")
    assert found.vocab_file == str(Path(folder) / "vocab.txt")
    assert found.init_checkpoint == str(Path(folder) / prefix)


@pytest.mark.parametrize(
    "name", ["", "bert_model.ckpt", "bert_model.ckpt.index", "bert_model.ckpt.data-00000-of-00001"]
)
def test_a_folder_a_prefix_and_its_files_mean_the_same(release, name):
    found = find_model(str(release / name))
    assert_files_of(found, release)
    assert found.do_lower_case is True
    assert found.strip_accents is None


def test_a_released_name_is_downloaded_once(release, cache, monkeypatch):
    content = write_zip(release.parent / "model.zip", release, root="any/").read_bytes()
    server = ZipServer(content, [Reply()])
    monkeypatch.setattr("bert_tf.released.models.RELEASED_MODELS", (MODEL,))
    for _ in range(2):
        options = DownloadOptions(mirror=server.address)
        found = find_model(MODEL.name, options)
        assert_files_of(found, cache / "2018_10_18" / "uncased_L-1_H-8_A-2")
    server.stop()
    assert len(server.requests) == 1


def test_a_folder_goes_before_a_released_model_of_its_name(release, tmp_path, monkeypatch):
    (tmp_path / "bert_base_uncased").symlink_to(release)
    monkeypatch.chdir(tmp_path)
    assert find_model("bert_base_uncased").init_checkpoint == "bert_base_uncased/bert_model.ckpt"


def test_a_zip_is_unpacked_into_the_cache(release, cache, tmp_path):
    path = write_zip(tmp_path / "model.zip", release)
    found = find_model(str(path))
    assert Path(found.init_checkpoint).is_relative_to(cache / "archives")
    assert_files_of(found, Path(found.init_checkpoint).parent)
    assert found.do_lower_case is True  # As the folder in the zip is called.
    assert find_init_checkpoint(str(path)) == found.init_checkpoint
    assert find_init_checkpoint(str(release)) == str(release)


@pytest.mark.data
def test_what_the_original_code_wrote_is_unpacked_as_it_is(data_dir, tmp_path):
    folder = data_dir / "tf1_tiny_checkpoint"
    found = find_model(str(write_zip(tmp_path / "model.zip", folder)))
    for path in folder.iterdir():
        assert Path(found.init_checkpoint).with_name(path.name).read_bytes() == path.read_bytes()


@pytest.mark.data
@pytest.mark.parametrize("name", ["base_uncased", "base_cased"])
def test_real_vocabularies_tell_their_case(data_dir, release, tmp_path, name):
    folder = copy_of(release, tmp_path / "model")
    (folder / "vocab.txt").write_bytes((data_dir / "vocab" / f"bert_{name}.txt").read_bytes())
    assert case_of(folder) == (name == "base_uncased", None)


def test_what_training_wrote_is_found_with_its_newest_checkpoint(release, tmp_path):
    folder = tmp_path / "output"
    folder.mkdir()
    for file in release.iterdir():
        name = file.name.replace("bert_model.ckpt", "model.ckpt-7")
        (folder / name).write_bytes(file.read_bytes())
        if name.startswith("model.ckpt-7."):
            (folder / name.replace("-7", "-30", 1)).write_bytes(file.read_bytes())
    (folder / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-30"\n')
    assert_files_of(find_model(str(folder)), folder, "model.ckpt-30")
    (folder / "best").mkdir()
    for path in folder.glob("model.ckpt-7.*"):
        path.rename(folder / "best" / path.name)
    assert_files_of(find_model(str(folder / "best")), folder, "best/model.ckpt-7")


@pytest.mark.parametrize("name", ["nothing", "bert_bse_uncased", "a/folder"])
def test_what_is_neither_a_path_nor_a_name_is_refused(name):
    with pytest.raises(ValueError, match=rf"no file or folder '{name}'.*--list"):
        find_model(name)


def test_a_checkpoint_without_a_config_is_refused(release, tmp_path):
    for file in release.glob("bert_model*"):
        (tmp_path / file.name).symlink_to(file)
    with pytest.raises(ValueError, match=r"no bert_config.json beside the checkpoint"):
        find_model(str(tmp_path))


def copy_of(release, folder):
    folder.mkdir()
    for file in release.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def case_of(folder):
    found = find_model(str(folder))
    return found.do_lower_case, found.strip_accents


def test_the_case_is_told_by_the_vocabulary_where_nothing_else_tells(release, tmp_path):
    folder = copy_of(release, tmp_path / "model")
    assert case_of(folder) == (None, None)
    for letter, expected in (("x", True), ("X", False)):
        words = [*WORDS, *(f"{letter}{i}" for i in range(1000))]
        (folder / "vocab.txt").write_text("\n".join(words) + "\n")
        assert case_of(folder) == (expected, None)


def test_the_tokenizer_s_own_file_goes_before_the_folder_s_name(release, tmp_path):
    folder = copy_of(release, tmp_path / "cased_L-2_H-128_A-2")
    content = {"do_lower_case": True, "strip_accents": False}
    (folder / "tokenizer_config.json").write_text(json.dumps(content))
    assert case_of(folder) == (True, False)


def test_what_training_says_of_its_model_goes_before_all(release, tmp_path):
    folder = copy_of(release, tmp_path / "model")
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": true}')
    content = {"task": "glue:cola", "kind": "classification", "inputs": ["text"], "labels": ["0"]}
    content |= {"options": {}, "max_seq_length": 16, "do_lower_case": False}
    (folder / "task.json").write_text(json.dumps(content))
    assert case_of(folder) == (False, None)


def test_a_model_without_a_vocabulary_has_none(release, tmp_path):
    folder = copy_of(release, tmp_path / "model")
    (folder / "vocab.txt").unlink()
    assert find_model(str(folder)).vocab_file is None


@pytest.fixture
def other_format(release, tmp_path):
    """The same model as Hugging Face's library keeps it, with accents that stay."""
    model = read_pretrained(str(release))
    tokenizer = dataclasses.replace(model.tokenizer, do_lower_case=True, strip_accents=False)
    folder = tmp_path / "hugging face [1]"
    huggingface.write(dataclasses.replace(model, tokenizer=tokenizer), str(folder))
    return folder


@pytest.mark.parametrize("name", ["", "model.safetensors"])
def test_a_model_of_another_format_is_translated_into_the_cache(other_format, release, cache, name):
    found = find_model(str(other_format / name))
    assert Path(found.init_checkpoint).is_relative_to(cache / "translated")
    assert_files_of(found, Path(found.init_checkpoint).parent)
    assert (found.do_lower_case, found.strip_accents) == (True, False)
    expected = tf.train.load_checkpoint(str(release / "bert_model.ckpt"))
    translated = tf.train.load_checkpoint(found.init_checkpoint)
    names = expected.get_variable_to_shape_map()
    assert set(translated.get_variable_to_shape_map()) == set(names)
    for variable in names:
        np.testing.assert_array_equal(
            translated.get_tensor(variable), expected.get_tensor(variable)
        )


@pytest.mark.parametrize("scope", ["", "transformer/", "module/bert/"])
def test_weights_under_any_scope_are_found(release, tmp_path, scope):
    weights = read_pretrained(str(release)).weights
    renamed = {re.sub("^bert/", scope, name): tf.constant(v) for name, v in weights.items()}
    folder = shutil.copytree(release, tmp_path / "renamed")
    write_tensors(str(folder / "bert_model.ckpt"), renamed)
    found = tf.train.load_checkpoint(find_model(str(folder)).init_checkpoint)
    assert set(weights) == set(found.get_variable_to_shape_map())


def test_a_model_is_translated_once_until_its_files_change(other_format, monkeypatch):
    first = find_model(str(other_format))
    (other_format / "notes.log").write_text("no part of the model")
    with monkeypatch.context() as context:
        context.setattr("bert_tf.released.find_model.read_pretrained", None)
        assert find_model(str(other_format)) == first
    os.utime(other_format / "model.safetensors", ns=(0, 0))
    assert find_model(str(other_format)) != first


def test_a_checkpoint_of_keras_objects_is_not_taken_for_one_by_names(release, tmp_path):
    folder = copy_of(release, tmp_path / "model")
    for path in folder.glob("bert_model*"):
        path.unlink()
    tf.train.Checkpoint(weight=tf.Variable([1.0])).write(str(folder / "bert_model.ckpt"))
    with pytest.raises(ValueError, match=r"bert_model\.ckpt: "):
        find_model(str(folder))


# --model of the scripts.

PARTS = ("bert_config_file", "vocab_file", "init_checkpoint", "do_lower_case")
FLAGS = {
    "run_pretraining": ["--input_file=a", "--output_dir=out", "--do_train"],
    "run_classifier": ["--task_name=cola", "--data_dir=data", "--output_dir=out", "--do_train"],
    "run_squad": ["--train_file=a.json", "--output_dir=out", "--do_train"],
    "finetune": ["--task=squad", "--output_dir=out", "--do_train"],
    "extract_features": ["--input_file=a", "--output_file=b"],
    "fill_mask": ["a [MASK] b"],
    "create_pretraining_data": ["--input_file=a", "--output_file=b"],
}
NAMED = {script: set(PARTS) for script in FLAGS} | {
    "run_pretraining": {"bert_config_file", "init_checkpoint"},
    "create_pretraining_data": {"vocab_file", "do_lower_case"},
}
SCRIPTS = pytest.mark.parametrize("script", FLAGS)


@pytest.fixture
def recorded(scripts_dir):
    """What a script gives to its library function; or the message with which it refuses."""

    def run(script, *arguments):
        command = [sys.executable, recorded_settings.__file__, scripts_dir / f"{script}.py"]
        result = subprocess.run(
            [*command, *arguments, *FLAGS[script]], capture_output=True, text=True
        )
        assert result.returncode == 0, result.stderr
        kind, _, text = result.stdout.splitlines()[0].partition(" ")
        return json.loads(text) if kind == "RECORDED" else result.stdout

    return run


@pytest.fixture(scope="module")
def cased_release(release):
    """The same model, of which a file says that text keeps its capital letters."""
    folder = copy_of(release, release.parent / "other")
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    return folder


@SCRIPTS
def test_every_script_takes_a_model_in_place_of_its_files(recorded, release, cased_release, script):
    for folder, do_lower_case in ((release, True), (cased_release, False)):
        expected = dataclasses.asdict(find_model(str(folder)))
        assert expected["do_lower_case"] is do_lower_case
        found = recorded(script, f"--model={folder}")
        names = {name for name in PARTS if name in found}
        assert {name: found[name] for name in names} == {name: expected[name] for name in names}
        assert names >= NAMED[script]


@SCRIPTS
def test_flags_that_are_given_go_before_what_the_model_says(recorded, release, script):
    given = {"vocab_file": "other.txt", "do_lower_case": False, "bert_config_file": "other.json"}
    if script == "run_pretraining":
        given = {"bert_config_file": "other.json"}
    if script == "create_pretraining_data":
        given.pop("bert_config_file")
    arguments = [f"--{name}={value}" for name, value in given.items()]
    found = recorded(script, f"--model={release}", *arguments)
    assert {name: found[name] for name in given} == given


@SCRIPTS
def test_without_a_model_the_files_are_needed(recorded, script):
    answer = recorded(script)
    assert "REFUSED" in answer
    assert re.search(r"_file(, --\w+)*( or --model)? (is|are) needed", answer)


@pytest.mark.parametrize("script", ["run_pretraining", "extract_features", "fill_mask"])
def test_an_initial_checkpoint_may_be_a_zip(recorded, release, tmp_path, script):
    # TensorFlow looks into a zip when it is new, which the recording script does not do.
    path = write_zip(tmp_path / "model.zip", release)
    prefix = find_init_checkpoint(str(path))
    names = ["bert_config_file", *([] if script == "run_pretraining" else ["vocab_file"])]
    arguments = [f"--{name}={getattr(find_model(str(release)), name)}" for name in names]
    found = recorded(script, f"--init_checkpoint={path}", *arguments)
    assert found["init_checkpoint"] == prefix


def test_a_tokenizer_that_the_settings_cannot_describe_is_refused(recorded, release, tmp_path):
    folder = copy_of(release, tmp_path / "model")
    content = {"do_lower_case": True, "strip_accents": False}
    (folder / "tokenizer_config.json").write_text(json.dumps(content))
    assert "its tokenizer keeps accents" in recorded("run_classifier", f"--model={folder}")
    # Where text is tokens already, it does not matter.
    found = recorded("run_pretraining", f"--model={folder}")
    assert found["init_checkpoint"] == str(folder / "bert_model.ckpt")


def test_a_model_without_a_vocabulary_is_refused_where_one_is_needed(recorded, release, tmp_path):
    folder = copy_of(release, tmp_path / "model")
    (folder / "vocab.txt").unlink()
    assert "merges.txt): give --vocab_file" in recorded("finetune", f"--model={folder}")


def run_script(scripts_dir, name, *arguments):
    return subprocess.run(
        [sys.executable, scripts_dir / f"{name}.py", *arguments], capture_output=True, text=True
    )


def test_a_sentence_s_mask_is_filled_by_the_model_in_a_zip(scripts_dir, release, tmp_path):
    path = write_zip(tmp_path / "model.zip", release)
    result = run_script(scripts_dir, "fill_mask", f"--model={path}", "The [MASK] went.")
    assert result.returncode == 0, result.stderr
    assert "-> the" in result.stdout


def test_the_table_of_models_is_printed_without_tensorflow(scripts_dir):
    result = run_script(scripts_dir, "download_checkpoint", "--list")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert len(lines) == 1 + len(all_released_models())
    base = next(line for line in lines if line.startswith("bert_base_uncased "))
    assert base.split()[1:7] == ["12", "768", "12", "30,522", "109,482,240", "lower-cased"]
    details = run_script(scripts_dir, "download_checkpoint", "--list", "--model=bert_base_chinese")
    assert "2018_11_03/chinese_L-12_H-768_A-12.zip" in details.stdout
    assert "77.2" in details.stdout


def test_the_script_says_in_one_message_what_a_server_did_wrong(scripts_dir, tmp_path):
    server = ZipServer(b"", [Reply(status=403)])
    flags = ["--model=bert_tiny_uncased", f"--mirror={server.address}"]
    result = run_script(scripts_dir, "download_checkpoint", *flags)
    server.stop()
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "Error: http://127.0.0.1" in result.stderr
    assert "BERT_TF_MIRROR" in result.stderr
    assert not list(Path(os.environ["BERT_TF_CACHE"]).rglob("*.zip*"))
