import io
import json
import math
import shutil
import zipfile

import h5py
import ml_dtypes
import numpy as np
import pytest
from read_models import with_weights

import bert_tf
from bert_tf.formats import keras_hub
from bert_tf.formats.source import detect_format
from bert_tf.model.task_heads import ClassificationModel

QUERY = "layers/transformer_encoder/_self_attention_layer/query_dense/vars/0"
MASKED_LM_HEAD = "layers/masked_lm_head"


@pytest.fixture(scope="module")
def made_by_keras_hub(golden_dir):
    return golden_dir / "keras_hub"


@pytest.fixture
def preset(made_by_keras_hub, tmp_path):
    """A copy of the classifier's preset, to be changed."""
    return shutil.copytree(made_by_keras_hub / "classifier", tmp_path / "preset")


def features(outputs):
    return {
        "input_ids": outputs["input/token_ids"],
        "input_mask": outputs["input/padding_mask"],
        "segment_ids": outputs["input/segment_ids"],
    }


def change_json(path, **values):
    content = json.loads(path.read_text())
    content["config"].update(values)
    path.write_text(json.dumps(content))


def arrays_of(path):
    arrays = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                arrays.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
            )
        )
    return arrays


def write_arrays(path, arrays):
    with h5py.File(path, "w") as file:
        for name, value in arrays.items():
            file[name] = value


def assert_same_weights(actual, expected):
    assert set(actual) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(actual[name], value, err_msg=name)


@pytest.mark.parametrize("name", ["classifier", "masked_lm.keras"])
def test_every_layer_agrees_with_keras_hub(made_by_keras_hub, name):
    read = keras_hub.read(str(made_by_keras_hub / name))
    expected = np.load(made_by_keras_hub / f"{name.removesuffix('.keras')}.npz")

    outputs = with_weights(bert_tf.BertEncoder(read.config), read.weights)(features(expected))

    np.testing.assert_allclose(outputs["pooled_output"], expected["pooled"], atol=1e-5)
    for i, layer in enumerate(outputs["all_encoder_layers"]):
        np.testing.assert_allclose(layer, expected[f"layer_{i}"], atol=1e-5, err_msg=str(i))
    assert len(outputs["all_encoder_layers"]) == 2


def test_a_classifiers_logits_agree_with_keras_hub(made_by_keras_hub):
    read = keras_hub.read(str(made_by_keras_hub / "classifier"))
    expected = np.load(made_by_keras_hub / "classifier.npz")

    model = with_weights(
        ClassificationModel(bert_tf.BertEncoder(read.config), num_labels=3), read.weights
    )

    assert read.head.kind == "classification"
    np.testing.assert_allclose(
        model(model.select_features(features(expected))), expected["logits"], atol=1e-5
    )


def test_a_preset_tells_its_shape_and_its_tokenizer(made_by_keras_hub):
    read = keras_hub.read(str(made_by_keras_hub / "classifier"))

    assert read.config == bert_tf.BertConfig(
        vocab_size=16,
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=12,
        hidden_act="gelu",
        hidden_dropout_prob=0.2,
        attention_probs_dropout_prob=0.2,
        max_position_embeddings=10,
        type_vocab_size=2,
    )
    assert read.tokenizer.vocab[:6] == ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a")
    assert read.tokenizer.vocab[-1] == "##a"
    assert len(read.tokenizer.vocab) == 16
    assert read.tokenizer.do_lower_case is True
    assert read.tokenizer.strip_accents is False  # Keras-hub keeps accents when it lower-cases.
    assert set(read.dropped) == {f"task.weights.h5/optimizer/vars/{i}" for i in (0, 1)}


def gelu_erf(x):
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def masked_lm_scores(model, vectors, arrays, gelu, epsilon):
    dense, norm = (
        f"{MASKED_LM_HEAD}/_intermediate_{part}/vars" for part in ("dense", "layer_norm")
    )
    x = gelu(vectors @ arrays[f"{dense}/0"] + arrays[f"{dense}/1"])
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + epsilon)
    x = x * arrays[f"{norm}/0"] + arrays[f"{norm}/1"]
    words = model.weights["bert/embeddings/word_embeddings"]
    return x @ words.T + arrays[f"{MASKED_LM_HEAD}/vars/0"]


def test_the_masked_word_head_is_dropped_as_it_computes_something_else(made_by_keras_hub):
    path = made_by_keras_hub / "masked_lm.keras"
    read = keras_hub.read(str(path))
    expected = np.load(made_by_keras_hub / "masked_lm.npz")
    with zipfile.ZipFile(path) as archive:
        arrays = arrays_of(io.BytesIO(archive.read("model.weights.h5")))
    vectors = np.take_along_axis(
        expected["layer_1"], expected["input/mask_positions"][..., None], axis=1
    )

    theirs = masked_lm_scores(read, vectors, arrays, gelu_erf, 1e-5)
    ours = masked_lm_scores(read, vectors, arrays, gelu_tanh, 1e-12)

    np.testing.assert_allclose(theirs, expected["logits"], atol=1e-5)
    assert np.abs(ours - expected["logits"]).max() > 1e-4
    assert read.head.kind == "encoder"
    assert not [name for name in read.weights if not name.startswith("bert/")]
    dropped = {name for name in read.dropped if name.startswith(MASKED_LM_HEAD)}
    assert dropped == {name for name in arrays if name.startswith(MASKED_LM_HEAD)}
    assert "exact gelu" in read.dropped[f"{MASKED_LM_HEAD}/vars/0"]


def test_scores_that_are_no_logits_are_dropped(preset):
    change_json(preset / "task.json", activation="sigmoid")

    read = keras_hub.read(str(preset))

    assert read.head.kind == "encoder"
    assert "'sigmoid'" in read.dropped["task.weights.h5/layers/dense/vars/0"]
    change_json(preset / "task.json", activation="softmax")
    assert keras_hub.read(str(preset)).head.kind == "classification"


def test_one_class_is_a_number(preset):
    change_json(preset / "task.json", num_classes=1)
    write_arrays(
        preset / "task.weights.h5",
        {"layers/dense/vars/0": np.ones((8, 1)), "layers/dense/vars/1": np.ones(1)},
    )

    assert keras_hub.read(str(preset)).head.kind == "regression"


def test_the_same_weights_are_in_the_folder_and_in_the_file_of_weights(preset):
    expected = keras_hub.read(str(preset)).weights

    for name in ("model.weights.h5", "task.weights.h5"):
        assert_same_weights(keras_hub.read(str(preset / name)).weights, expected)


@pytest.mark.parametrize("backbone", ["layers/bert_backbone", "backbone"])
def test_an_archive_of_a_classifier_is_read_whole(preset, tmp_path, backbone):
    expected = keras_hub.read(str(preset))
    arrays = arrays_of(preset / "model.weights.h5")
    arrays = {f"{backbone}/{name}": value for name, value in arrays.items()}
    buffer = io.BytesIO()
    write_arrays(buffer, {**arrays, **arrays_of(preset / "task.weights.h5")})
    with zipfile.ZipFile(tmp_path / "classifier.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(preset / "task.json", "config.json")
        archive.writestr("model.weights.h5", buffer.getvalue())
        vocabulary = preset / "assets" / "tokenizer" / "vocabulary.txt"
        archive.write(vocabulary, "assets/preprocessor/tokenizer/vocabulary.txt")

    read = keras_hub.read(str(tmp_path / "classifier.keras"))

    assert_same_weights(read.weights, expected.weights)
    assert (read.config, read.head, read.tokenizer) == (
        expected.config,
        expected.head,
        expected.tokenizer,
    )


def test_a_backbone_alone_has_no_head(preset):
    (preset / "task.json").unlink()
    (preset / "task.weights.h5").unlink()

    read = keras_hub.read(str(preset))

    assert read.head.kind == "encoder"
    assert not read.dropped
    assert "output_weights" not in read.weights


@pytest.mark.parametrize("layers", ["layers", "_layer_checkpoint_dependencies"])
def test_files_of_older_keras_versions_are_read(preset, layers):
    expected = keras_hub.read(str(preset)).weights
    arrays = {
        name.replace("layers/layer_normalization", "embeddings_layer_norm")
        .replace("layers/", f"{layers}/")
        .replace("/query_dense", "/_query_dense"): value
        for name, value in arrays_of(preset / "model.weights.h5").items()
    }
    write_arrays(preset / "model.weights.h5", arrays)

    assert_same_weights(keras_hub.read(str(preset)).weights, expected)


def test_bfloat16_becomes_float32(preset):
    expected = keras_hub.read(str(preset)).weights
    with h5py.File(preset / "model.weights.h5", "a") as file:
        value = file[QUERY][()].astype(ml_dtypes.bfloat16)
        del file[QUERY]
        file[QUERY] = value.view("V2")
        file[QUERY].attrs["dtype"] = "bfloat16"

    actual = keras_hub.read(str(preset)).weights["bert/encoder/layer_0/attention/self/query/kernel"]

    assert actual.dtype == np.float32
    rounded = expected["bert/encoder/layer_0/attention/self/query/kernel"]
    np.testing.assert_array_equal(actual, rounded.astype(ml_dtypes.bfloat16).astype("float32"))


def test_presets_archives_and_files_of_weights_are_recognized(made_by_keras_hub, golden_dir):
    for name in ("classifier", "masked_lm.keras", "classifier/model.weights.h5"):
        assert keras_hub.recognizes(str(made_by_keras_hub / name)), name
        assert detect_format(str(made_by_keras_hub / name)) == "keras_hub", name
    for path in ("no such folder", golden_dir / "model", made_by_keras_hub / "none.keras"):
        assert not keras_hub.recognizes(str(path)), path


def change_weights(path, name, value):
    with h5py.File(path, "a") as file:
        del file[name]
        if value is not None:
            file[name] = value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, r"model\.weights\.h5: the weight .*/layer_0/attention/self/query/kernel is missing"),
        (np.ones((8, 4, 2)), rf"{QUERY}: its shape is \[8, 4, 2\], the config's is \[8, 2, 4\]"),
        (np.ones((8, 2, 4), "int8"), rf"{QUERY}: the weight has the type int8; quantized"),
    ],
)
def test_a_weight_that_is_missing_of_another_shape_or_quantized_is_named(preset, value, message):
    change_weights(preset / "model.weights.h5", QUERY, value)

    with pytest.raises(ValueError, match=message):
        keras_hub.read(str(preset))


@pytest.mark.parametrize(
    ("file", "values", "message"),
    [
        ("config.json", {"num_layers": 1}, "the file has 2 layers, the config has num_layers=1"),
        ("config.json", {"num_layers": 3}, r"layer_2/.* is missing"),
        ("config.json", {"vocabulary_size": 15}, "the config's is .15, 8."),
        ("config.json", {"hidden_dim": None}, "hidden_size must be a whole number"),
        ("task.json", {"num_classes": 4}, "its shape is .8, 3., the config's is .8, 4."),
        ("task.json", {"backbone": {"class_name": "RobertaBackbone"}}, "'RobertaBackbone'"),
    ],
)
def test_weights_of_another_model_than_described_are_refused(preset, file, values, message):
    change_json(preset / file, **values)

    with pytest.raises(ValueError, match=message):
        keras_hub.read(str(preset))


def test_a_classifier_without_its_scores_is_refused(preset):
    (preset / "task.weights.h5").unlink()

    with pytest.raises(ValueError, match="output_weights is missing"):
        keras_hub.read(str(preset))


def test_more_tokens_than_word_embeddings_are_refused(preset):
    with (preset / "assets" / "tokenizer" / "vocabulary.txt").open("a") as file:
        file.write("one\n")

    with pytest.raises(ValueError, match=r"17 tokens, the model's word embeddings have 16 rows"):
        keras_hub.read(str(preset))


def test_truncated_files_are_refused_with_their_name(preset, made_by_keras_hub, tmp_path):
    weights = preset / "model.weights.h5"
    weights.write_bytes(weights.read_bytes()[:50_000])
    archive = tmp_path / "cut.keras"
    archive.write_bytes((made_by_keras_hub / "masked_lm.keras").read_bytes()[:50_000])

    with pytest.raises(ValueError, match=r"model\.weights\.h5: its weights cannot be read"):
        keras_hub.read(str(preset))
    with pytest.raises(ValueError, match=r"cut\.keras: it is damaged"):
        keras_hub.read(str(archive))


def test_missing_files_are_named(preset, tmp_path):
    with zipfile.ZipFile(tmp_path / "empty.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    (preset / "config.json").unlink()

    with pytest.raises(ValueError, match=r"empty\.keras: there is no model\.weights\.h5 in it"):
        keras_hub.read(str(tmp_path / "empty.keras"))
    with pytest.raises(ValueError, match=r"config\.json: there is no such file"):
        keras_hub.read(str(preset))


@pytest.mark.parametrize("way", ["external", "virtual", "external link", "soft link", "huge"])
def test_a_weight_that_lies_elsewhere_or_fills_the_memory_is_refused(preset, way, tmp_path):
    (tmp_path / "secret").write_bytes(b"secret" * 1000)
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["w"] = np.zeros((2, 2))
    name = "layers/position_embedding/vars/0"
    with h5py.File(preset / "model.weights.h5", "r+") as file:
        shape = file[name].shape
        del file[name]
        if way == "external":
            file.create_dataset(name, shape, "<f2", external=[(tmp_path / "secret", 0, 6000)])
        elif way == "virtual":
            layout = h5py.VirtualLayout((2, 2), "f4")
            layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "w", (2, 2))
            file.create_virtual_dataset(name, layout)
        elif way == "huge":
            file.create_dataset(name, (1 << 30, 64), "<f4", chunks=(1024, 64))
        else:
            link = h5py.SoftLink("/w") if way == "soft link" else h5py.ExternalLink("other.h5", "w")
            file[name] = link
    with pytest.raises(ValueError, match=r"weights\.h5: .*position_embedding/vars/0 (is a|grows)"):
        keras_hub.read(str(preset))


def test_an_archive_that_grows_when_read_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
        with archive.open("model.weights.h5", "w", force_zip64=True) as member:
            for _ in range(70):
                member.write(bytes(1 << 24))
    with pytest.raises(ValueError, match=r"bomb.keras: refused: 'model.weights.h5' .* grows from"):
        keras_hub.read(str(tmp_path / "bomb.keras"))
