"""Every reader turns damage into an error that programs show, with the file's path."""

import io
import json
import zipfile

import h5py
import pytest

from bert_tf import files
from bert_tf.config import check_form, read_json
from bert_tf.formats.source import read_pretrained

CONFIG = {"model_type": "bert", "vocab_size": 8, "hidden_size": 4, "num_hidden_layers": 1}
PRESET = {
    "class_name": "BertBackbone",
    "config": {
        "vocabulary_size": 8,
        "num_layers": 1,
        "num_heads": 1,
        "hidden_dim": 4,
        "intermediate_dim": 8,
    },
}


def write(folder, contents):
    for name, content in contents.items():
        text = content if isinstance(content, (bytes, str)) else json.dumps(content)
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(folder)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (KeyError("a"), "x/y: it is damaged or incomplete, or of another form (KeyError: 'a')."),
        (
            StopIteration(),
            "x/y: it is damaged or incomplete, or of another form (StopIteration: ).",
        ),
        (zipfile.BadZipFile("b"), "(BadZipFile: b)"),
        (OSError("Invalid data stream"), "(OSError: Invalid data stream)"),
        (RecursionError(), "x/y: lists or objects are nested too deeply to be read."),
        (MemoryError(), "x/y: too large for the memory."),
        (ValueError("no number"), "x/y: no number"),
    ],
)
def test_errors_about_damage_get_the_path(error, expected):
    with pytest.raises(ValueError, match="x/y") as raised, files.naming_damage("x/y"):
        raise error
    assert expected in str(raised.value)
    assert raised.value.__cause__ is error


@pytest.mark.parametrize("error", [ValueError("x/y:3: bad"), OSError(28, "No space"), Warning("a")])
def test_other_errors_stay_as_they_are(error):
    with (
        pytest.raises(type(error), match=str(error.args[-1])) as raised,
        files.naming_damage("x/y"),
    ):
        raise error
    assert raised.value is error


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ([], "its content must be a JSON object"),
        ({"runs": {}}, "runs must be a list"),
        ({"runs": [{"name": 1}]}, r"runs\[0\].name must be a text. Received: 1"),
        ({"runs": [], "sizes": {"a": True}}, "sizes.a must be a whole number. Received: True"),
    ],
)
def test_json_of_another_form_is_refused_with_the_place(tmp_path, value, place):
    form = {"runs": [{"name": str}], "sizes": {str: int}, "note": str | None}
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"sizes": {}} | value if value else value))
    with pytest.raises(ValueError, match=f"^{path}: {place}"):
        read_json(str(path), form)
    check_form("", {"runs": [{"name": "b"}], "sizes": {"c": 3}}, form)


def keras_archive(config):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("config.json", config)
        file.writestr("model.weights.h5", b"")
    return archive.getvalue()


def without_weights():
    content = io.BytesIO()
    h5py.File(content, "w").close()
    return content.getvalue()


DAMAGED_MODELS = {
    "index, a list": {"config.json": CONFIG, "model.safetensors.index.json": [1]},
    "index, no map": {"config.json": CONFIG, "model.safetensors.index.json": {"weight_map": None}},
    "index, a number": {
        "config.json": CONFIG,
        "pytorch_model.bin.index.json": {"weight_map": {"a": 5}},
    },
    "index, elsewhere": {
        "config.json": CONFIG,
        "model.safetensors.index.json": {"weight_map": {"a": "/etc/a.safetensors"}},
    },
    "index, a parent": {
        "config.json": CONFIG,
        "model.safetensors.index.json": {"weight_map": {"a": "b/../../a.safetensors"}},
    },
    "index, no weights file": {
        "config.json": CONFIG,
        "model.safetensors.index.json": {"weight_map": {"a": "passwd"}},
    },
    "modules, elsewhere": {"modules.json": [{"path": "../other"}], "config.json": CONFIG},
    "modules, no object": {"modules.json": [5], "config.json": CONFIG},
    "activation": {"config.json": CONFIG | {"hidden_act": ["gelu"]}, "model.safetensors": b""},
    "tokenizer": {
        "config.json": CONFIG,
        "tokenizer.json": {"model": "x"},
        "model.safetensors": b"",
    },
    "added tokens": {
        "config.json": CONFIG,
        "tokenizer.json": {"model": {"vocab": {}}, "added_tokens": [5]},
        "model.safetensors": b"",
    },
    "preset without weights": {"config.json": PRESET, "model.weights.h5": without_weights()},
    "preset, config null": {
        "config.json": {"class_name": "BertTextClassifier", "config": None},
        "model.weights.h5": without_weights(),
    },
    "preset, sizes": {
        "config.json": PRESET | {"config": [5]},
        "model.weights.h5": without_weights(),
    },
    "nested": {"a.keras": keras_archive("[" * 200_000)},
    "huge number": {"a.keras": keras_archive("9" * 10_000)},
}


@pytest.mark.parametrize("damage", DAMAGED_MODELS)
def test_a_damaged_model_is_refused_with_its_path(tmp_path, damage):
    path = write(tmp_path, DAMAGED_MODELS[damage])
    path += "/a.keras" if "a.keras" in DAMAGED_MODELS[damage] else ""
    with pytest.raises(ValueError, match=f"^{tmp_path}"):
        read_pretrained(path)
