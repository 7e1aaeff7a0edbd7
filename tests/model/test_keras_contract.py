"""Every public layer and model behaves as a Keras layer or model does."""

import gc
import json
import sys
from pathlib import Path

import forked_python
import keras
import keras_cases
import numpy as np
import pytest
import tensorflow as tf
from keras_cases import all_cases, dataset, flat, model_cases

import bert_tf

PROGRAM = Path(keras_cases.__file__)
NAMES = sorted(all_cases())
MODELS = sorted(model_cases())
WITHOUT_POOLER = (
    *("TokenClassificationModel", "SpanModel", "MaskedLMModel", "SiameseModel"),
    *("RoleModel", "CoreferenceModel", "SpanBoundaryModel"),
)
# Some have no dense layers: an LSTM's kernels are none, and a TaggingModel does not train its
# encoder, which has them.
WITHOUT_DENSE = {"Dropout", "Embeddings", "LinearScores", "BiLstm", "Crf", "WeightedSum"}
WITHOUT_DENSE |= {"ClassificationModel, BiLSTM", "TaggingModel", "RoleModel"}
WITH_DENSE = sorted(set(NAMES) - WITHOUT_DENSE)
# What takes seconds for each is tried with these; with the others, which are made of the same
# layers, by the slow tests.
USUAL = {"BertEncoder", "ClassificationModel", "PretrainingModel", "TransformerBlock"}


def usual_first(names: list[str]) -> list:
    """Parameters of a test: others than the usual are slow."""
    return [name if name in USUAL else pytest.param(name, marks=pytest.mark.slow) for name in names]


def parameters_of_training() -> list:
    """Names and dtypes: in float32 every model and those layers that are in none of them."""
    of_all = {*MODELS, *USUAL, "Crf"}
    return [
        pytest.param(name, dtype, marks=() if is_usual else pytest.mark.slow)
        for name in NAMES
        for dtype, is_usual in (
            (None, name in of_all),
            ("mixed_bfloat16", name in USUAL),
            ("mixed_float16", name in USUAL),
        )
        if name in MODELS or (dtype is None and name != "Dropout")  # Which has no weights.
    ]


def run_program(*arguments):
    run = forked_python.run([sys.executable, PROGRAM, *arguments])
    assert run.returncode == 0, run.stderr[-2000:]


def compiled(case, dtype=None):
    model = case.make(dtype)
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss=case.loss)
    return model


def assert_same_outputs(first, second, **tolerance):
    for a, b in zip(flat(first), flat(second), strict=True):
        np.testing.assert_allclose(a, b, **tolerance)


@pytest.fixture(scope="module")
def reloaded(tmp_path_factory):
    """Saves every case, in float32 and in half precision; a fresh process loads them."""
    folder = tmp_path_factory.mktemp("saved")
    for name, case in all_cases().items():
        for suffix, dtype in (("", None), ("-half", "mixed_bfloat16")):
            model = case.make(dtype)
            model.save(folder / f"{name}{suffix}.keras")
            np.savez(folder / f"{name}{suffix}.npz", *flat(model(case.inputs)))
    run_program("load", folder)
    return folder


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory):
    """Returns the losses of one device and of two by the name of a model."""
    path = tmp_path_factory.mktemp("mirrored") / "losses.json"
    losses = {}

    def losses_of(name):
        if name not in losses:  # Those of all others, or of the usual ones.
            others = set(MODELS) - USUAL
            run_program("mirrored", path, *(others if name in others else set(MODELS) & USUAL))
            losses.update(json.loads(path.read_text()))
        return losses[name]

    return losses_of


@pytest.mark.parametrize("name", NAMES)
def test_it_is_built_called_and_summarized_with_shapes(name):
    case = all_cases()[name]
    model = case.make(None)
    assert all(output.dtype == "float32" for output in flat(model(case.inputs)))
    lines = []
    model.summary(print_fn=lambda text, **_: lines.append(text), expand_nested=True)
    rows = [line for line in "\n".join(lines).splitlines() if line.startswith("│")]
    assert rows
    assert not [row for row in rows if row.split("│")[2].strip() == "?"], "\n".join(rows)


@pytest.mark.parametrize("name", NAMES)
def test_a_fresh_process_loads_it_with_the_same_outputs_and_policy(name, reloaded):
    for stem in (name, f"{name}-half"):
        expected, actual = (np.load(reloaded / f"{stem}{s}.npz") for s in ("", ".again"))
        assert expected.files == actual.files
        for key in expected.files:
            np.testing.assert_array_equal(actual[key], expected[key])
    policies = {
        suffix: json.loads((reloaded / f"{name}{suffix}.json").read_text())
        for suffix in ("", "-half")
    }
    assert policies[""] == ["float32"]
    case = all_cases()[name]
    half = {layer.dtype_policy.name for layer in case.make("mixed_bfloat16")._flatten_layers()}
    assert policies["-half"] == sorted(half)
    if name not in (
        "Embeddings",
        "LinearScores",
        "Crf",
        "WeightedSum",
    ):  # They are float32 whatever the policy.
        assert "mixed_bfloat16" in half


@pytest.mark.parametrize("name", NAMES)
def test_its_weights_are_saved_and_loaded_as_h5(name, tmp_path):
    case = all_cases()[name]
    model, other = case.make(None), case.make(None)
    model.save_weights(tmp_path / "x.weights.h5")
    other.load_weights(tmp_path / "x.weights.h5")
    assert_same_outputs(other(case.inputs), model(case.inputs))


@pytest.mark.parametrize(("name", "dtype"), parameters_of_training())
def test_it_trains_evaluates_and_predicts_on_a_dataset(name, dtype):
    case = all_cases(num_layers=1)[name]
    model = compiled(case, dtype)
    before = model.evaluate(dataset(case), verbose=0)
    history = model.fit(dataset(case), epochs=4, shuffle=False, verbose=0).history["loss"]
    assert np.isfinite(history).all()
    assert model.evaluate(dataset(case), verbose=0) < before
    assert {len(output) for output in flat(model.predict(dataset(case), verbose=0))} == {8}
    assert {w.dtype for w in model.trainable_weights} <= {"float32"}


@pytest.mark.parametrize("name", usual_first(MODELS))
def test_two_devices_train_it(name, mirrored):
    (one, one_rows), (two, two_rows) = mirrored(name)
    assert one_rows == two_rows == 8
    np.testing.assert_allclose(two, one, rtol=1e-5)


def dense_layers(model):
    return [x for x in model._flatten_layers() if isinstance(x, keras.layers.Dense)]


@pytest.mark.parametrize("name", usual_first(WITH_DENSE))
def test_lora_trains_its_dense_layers_and_is_saved(name, tmp_path):
    case = all_cases(num_layers=1)[name]
    model = case.make(None)
    layers = dense_layers(model)
    for layer in layers:
        layer.enable_lora(2)
    trained = [weight.name for weight in model.trainable_weights]
    unneeded = name in WITHOUT_POOLER  # The pooler's dense layer.
    assert trained.count("lora_kernel_a") == trained.count("lora_kernel_b")
    assert trained.count("lora_kernel_a") == len(layers) - unneeded
    assert "kernel" not in trained
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss=case.loss)
    before = flat(model(case.inputs))
    model.fit(dataset(case), epochs=2, shuffle=False, verbose=0)
    after = flat(model(case.inputs))
    assert any((a != b).any() for a, b in zip(before, after, strict=True))
    model.save_weights(tmp_path / "lora.weights.h5")
    plain = case.make(None)  # The saved kernels have the adapters' product added.
    plain.load_weights(tmp_path / "lora.weights.h5")
    assert_same_outputs(plain(case.inputs), after, atol=1e-5)


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method")
@pytest.mark.parametrize("name", usual_first(WITH_DENSE))
def test_its_dense_layers_are_quantized_and_stay_so(name, tmp_path):
    gc.freeze()  # Keras collects garbage for every weight that it quantizes.
    case = all_cases()[name]
    model = case.make(None)
    layers = dense_layers(model)
    same = case.make(None)
    same.set_weights(model.get_weights())
    before = flat(same(case.inputs))
    model.quantize("int8")  # Without a call before it.
    assert {layer.kernel.dtype for layer in layers} == {"int8"}
    after = model(case.inputs)
    assert_same_outputs(after, before, atol=0.1)
    if name in MODELS:
        model.save(tmp_path / "x.keras")
        again = keras.saving.load_model(tmp_path / "x.keras")
        assert {layer.kernel.dtype for layer in dense_layers(again)} == {"int8"}
        assert_same_outputs(again(case.inputs), after, atol=1e-6)


def test_what_is_frozen_stays_so(tmp_path):
    model = model_cases()["ClassificationModel"].make(None)
    model.encoder.embeddings.trainable = False
    model.encoder.blocks[0].trainable = False
    model.save(tmp_path / "x.keras")
    again = keras.saving.load_model(tmp_path / "x.keras")
    assert [w.path for w in again.trainable_weights] == [w.path for w in model.trainable_weights]
    model.trainable = False
    model.save(tmp_path / "x.keras")
    assert not keras.saving.load_model(tmp_path / "x.keras").trainable_weights


def test_a_failed_fit_does_not_spoil_the_next():
    case = model_cases()["ClassificationModel"]
    model = compiled(case)
    wrong = tf.data.Dataset.from_tensor_slices(
        ({"input_ids": np.zeros((8, 99), "int32")}, case.labels)
    )
    with pytest.raises(ValueError, match="longer than the position table"):
        model.fit(wrong.batch(4), shuffle=False, verbose=0)
    assert np.isfinite(
        compiled(case).fit(dataset(case), shuffle=False, verbose=0).history["loss"]
    ).all()


def test_inputs_may_be_given_by_place():
    model = model_cases()["ClassificationModel"].make(None)
    features = keras_cases.FEATURES
    expected = model(features)
    assert_same_outputs(model(list(features.values())), expected)
    assert_same_outputs(model(features["input_ids"]), model({"input_ids": features["input_ids"]}))


def test_inputs_are_named_in_stateless_calls_too():
    model = model_cases()["ClassificationModel"].make(None)
    ids, mask = np.array([[2, 5, 3]]), np.array([[1, 1, 0]])
    variables = model.trainable_variables, model.non_trainable_variables
    for inputs in (ids, {"input_ids": ids, "attention_mask": mask}):
        actual, _ = model.stateless_call(*variables, inputs)
        np.testing.assert_allclose(actual, model(inputs), atol=1e-6)


def test_keras_exports_a_model_that_was_called(tmp_path):
    model = model_cases()["ClassificationModel"].make(None)
    ids = np.array([[2, 5, 3]])
    expected = model(ids)
    model.export(str(tmp_path / "exported"), verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "exported"))
    np.testing.assert_allclose(loaded.serve(ids.astype(np.float32)), expected, atol=1e-6)


def test_hugging_face_s_names_are_accepted_in_calls_graphs_and_fit():
    case = model_cases()["ClassificationModel"]
    model, features = compiled(case), keras_cases.FEATURES
    expected = model(features)
    theirs = ("input_ids", "attention_mask", "token_type_ids")
    aliases = dict(zip(theirs, features.values(), strict=True))
    assert_same_outputs(model(aliases), expected)
    assert_same_outputs(model(**aliases), expected)
    assert_same_outputs(model(features["input_ids"], **dict(list(aliases.items())[1:])), expected)
    np.testing.assert_allclose(model.predict(aliases, verbose=0), expected, atol=1e-6)
    inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in theirs}
    assert_same_outputs(keras.Model(inputs, model(inputs))(aliases), expected)
    model.fit(tf.data.Dataset.from_tensors((aliases, case.labels)), shuffle=False, verbose=0)


IDS = np.ones((2, 4), "int32")
NEXT = np.zeros((2, 1), "int32")


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"input_ids": IDS, "input_masks": IDS}, "input_ids, input_mask, seg.*: .*input_masks"),
        ({"input_ids": IDS, "input_mask": IDS, "attention_mask": IDS}, "once each"),
        ({"input_mask": IDS}, "needs input_ids. Received: input_mask"),
        (None, "needs input_ids. Received: nothing"),
        ({"input_ids": IDS}, "needs masked_lm_positions"),
        ("a text", r"input_ids must hold integers \[B, L\]"),
        ([1, 2, 3], r"input_ids must hold integers \[B, L\].*\(3,\)"),
        ({"input_ids": tf.ragged.constant([[1], [2, 3]])}, "Received: RaggedTensor"),
        ({"input_ids": IDS[:, :0]}, "input_ids must hold"),
        ({"input_ids": IDS, "attention_mask": IDS[:, :3]}, "input_mask must hold.*of input_ids"),
        ({"input_ids": IDS, "input_mask": IDS[:1]}, r"input_mask must hold.*\(1, 4\)"),
        ({"input_ids": IDS, "masked_lm_positions": NEXT[0]}, r"positions must hold .*\[B, M\]"),
        ({"input_ids": IDS, "masked_lm_positions": NEXT + 4}, "positions must be .*0 to 3"),
        ({"input_ids": -IDS}, "input_ids must be integers from 0 to .* -1 to -1"),
        ({"input_ids": IDS * 2**20}, "input_ids must be integers from 0 to"),
        ({"input_ids": IDS.astype("int64") * 2**32}, "input_ids must be integers from 0 to"),
        ({"input_ids": IDS + 0.5}, "input_ids must be integers"),
        ({"input_ids": np.full((1, 2), np.nan)}, "input_ids must be integers"),
        ({"input_ids": np.array([["a"]])}, "input_ids must be integers.*U1"),
        ({"input_ids": IDS, "token_type_ids": 2 * IDS}, "segment_ids must be integers from 0 to 1"),
        ({"input_ids": IDS, "input_mask": -IDS}, "input_mask must be integers from 0 to 1"),
    ],
)
def test_inputs_that_no_model_has_are_refused_by_name(inputs, message):
    encoder = bert_tf.BertEncoder(keras_cases.CONFIG)
    model = bert_tf.PretrainingModel(encoder) if "positions" in message else encoder
    with pytest.raises(ValueError, match=message):
        model(inputs)
    if isinstance(inputs, dict):
        with pytest.raises(ValueError, match=message):
            model.predict(inputs)


def test_inputs_of_a_graph_are_judged_by_their_shapes():
    encoder = bert_tf.BertEncoder(keras_cases.CONFIG)
    with pytest.raises(ValueError, match=r"input_ids must hold integers \[B, L\]"):
        encoder(keras.Input((), dtype="int32"))
    with pytest.raises(ValueError, match=r"input_ids must hold integers \[B, C, L\]"):
        bert_tf.ChoiceModel(encoder)(keras.Input((4,), dtype="int32"))


def test_an_empty_batch_has_an_empty_answer():
    encoder = bert_tf.BertEncoder(keras_cases.CONFIG)
    assert bert_tf.ClassificationModel(encoder, 3)(IDS[:0]).shape == (0, 3)
    assert bert_tf.ChoiceModel(encoder)(np.zeros((0, 2, 4), "int32")).shape == (0, 2)
    assert encoder.predict({"input_ids": IDS[:0]})["sequence_output"].shape[:2] == (0, 4)


def test_a_head_wants_an_encoder():
    with pytest.raises(ValueError, match=r"ClassificationModel takes an encoder.*BertConfig"):
        bert_tf.ClassificationModel(keras_cases.CONFIG, num_labels=2)


def test_the_name_of_a_model_does_not_change_the_names_of_its_weights():
    names = [w.path for w in bert_tf.BertEncoder(keras_cases.CONFIG).weights]
    assert [w.path for w in bert_tf.BertEncoder(keras_cases.CONFIG, name="other").weights] == names
