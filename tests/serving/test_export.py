"""The export: checked in a fresh process, whole or not there, and what goes with it."""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import forked_python
import numpy as np
import pytest
import tensorflow as tf
from served_models import VOCAB, make_model, small_config, write_model
from tensorflow.core.protobuf import saved_model_pb2

import bert_tf
from bert_tf.inference.load_model import load_model
from bert_tf.inference.versions import find_saved_model, version_folder
from bert_tf.kinds.classification import Classifier
from bert_tf.kinds.coreference import CoreferenceResolver
from bert_tf.kinds.length_runner import IDS
from bert_tf.kinds.roles import RoleLabeller
from bert_tf.serving.export import export_saved_model
from bert_tf.serving.tflite import write_tflite
from bert_tf.serving.validation import validate
from bert_tf.settings import ExportSettings


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {
        "pair": write_model(folder / "pair", "classification", ("text_a", "text_b")),
        "encoder": write_model(folder / "encoder", "encoder"),
    }


@pytest.fixture(scope="module")
def exported(scripts_dir, folders, tmp_path_factory):
    """What the script says and leaves, as a user runs it."""
    export_dir = tmp_path_factory.mktemp("served") / "reviews"
    command = [
        *(sys.executable, scripts_dir / "export_saved_model.py"),
        *(f"--model={folders['pair']}", f"--export_dir={export_dir}"),
        f"--tflite_file={export_dir.parent / 'reviews.tflite'}",
    ]
    run = forked_python.run(command, timeout=300)
    assert run.returncode == 0, run.stderr
    return export_dir, run


def test_the_script_validates_and_tells_what_it_made(exported):
    export_dir, run = exported
    assert os.listdir(export_dir) == ["1"]
    assert f"{export_dir / '1'}: classification" in run.stdout
    assert "serving_default(text_a string [?], text_b string [?])" in run.stdout
    assert "answered as by Python" in run.stdout
    assert "ms for one short text" in run.stdout
    assert "probabilities" in run.stdout
    assert "Traceback" not in run.stderr


def test_a_masked_lm_shorter_than_some_of_the_texts_is_exported(tmp_path):
    config = dataclasses.replace(small_config(), max_position_embeddings=16)
    folder = tmp_path / "short"
    folder.mkdir()
    (folder / "bert_config.json").write_text(config.to_json_string())
    (folder / "vocab.txt").write_bytes(VOCAB.read_bytes())
    bert_tf.save_checkpoint(make_model("masked_lm", config), str(folder / "bert_model.ckpt"))
    settings = ExportSettings(
        model=str(folder), export_dir=str(tmp_path / "served"), do_lower_case=True
    )
    export_saved_model(settings)
    saved, text = bert_tf.Predictor(settings.export_dir), "The [MASK] was here."
    python = bert_tf.Predictor(str(folder), do_lower_case=True)
    assert saved.fill_mask(text).best == python.fill_mask(text).best


@pytest.mark.parametrize("kind", ["choice", "encoder", "regression"])
def test_an_export_of_ids_only_has_the_outputs_and_no_tokenizer(kind, tmp_path):
    inputs = ("context", "choices") if kind == "choice" else ("text",)
    model = write_model(tmp_path / "model", kind, inputs)
    settings = ExportSettings(
        model=model, export_dir=str(tmp_path / "served"), only_ids=True, do_lower_case=True
    )
    export = export_saved_model(settings)
    assert export.validation.largest_difference < 1e-5
    assert export.num_warmup_requests == 0
    folder = tmp_path / "served" / "1"
    assert not (folder / "batching_params.pbtxt").exists()
    nodes = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    library = nodes.meta_graphs[0].graph_def.library.function
    operations = {node.op for function in library for node in function.node_def}
    assert not any("Wordpiece" in name or "Lookup" in name for name in operations)
    outputs = tf.saved_model.load(str(folder)).signatures["serving_default"]
    rank = 3 if kind == "choice" else 2
    ids = {name: tf.ones([2] * rank, tf.int32) for name in IDS}
    assert next(iter(outputs(**ids).values())).shape[0] == 2


def test_what_needs_more_than_ids_is_not_exported_without_text(folders, monkeypatch, tmp_path):
    assert RoleLabeller.id_signatures(None) == CoreferenceResolver.id_signatures(None) == {}
    monkeypatch.setattr(Classifier, "id_signatures", RoleLabeller.id_signatures)
    settings = ExportSettings(
        model=folders["pair"], export_dir=str(tmp_path / "served"), only_ids=True
    )
    with pytest.raises(ValueError, match="--only_ids: a model for classification needs more"):
        export_saved_model(settings)
    assert not list((tmp_path / "served").glob("1"))


def test_three_lines_lead_from_the_export_to_an_answer(exported, folders):
    pairs = [("A text.", "Another one.")]
    saved = bert_tf.Predictor(str(exported[0])).predict(pairs)[0]
    assert saved.label == bert_tf.Predictor(folders["pair"]).predict(pairs)[0].label


def test_the_tflite_model_gives_the_model_s_probabilities(exported, folders):
    path = exported[0].parent / "reviews.tflite"
    with pytest.warns(UserWarning, match="LiteRT"):
        interpreter = tf.lite.Interpreter(str(path))
    runner = interpreter.get_signature_runner()
    ids = np.zeros((1, 48), np.int32)
    ids[0, :6] = [2, 100, 200, 300, 3, 5]
    mask = (ids > 0).astype(np.int32)
    actual = runner(input_ids=ids, input_mask=mask, segment_ids=np.zeros_like(ids))
    served = bert_tf.Predictor(folders["pair"])._model
    logits = served.model({"input_ids": ids[:, :6], "input_mask": mask[:, :6]})
    np.testing.assert_allclose(actual["probabilities"], tf.nn.softmax(logits), atol=1e-4)
    operations = {d["op_name"] for d in interpreter._get_ops_details()}
    assert not any(name.startswith("Flex") for name in operations)


def test_an_int8_tflite_model_is_smaller_and_close(folders, tmp_path):
    classifier = Classifier(load_model(folders["pair"]))
    exact, rounded = (tmp_path / name for name in ("exact.tflite", "rounded.tflite"))
    error = write_tflite(classifier, str(exact), 16)
    assert error < write_tflite(classifier, str(rounded), 16, int8=True) < 0.1
    assert rounded.stat().st_size < 0.5 * exact.stat().st_size


def test_its_readme_says_how_to_call_it_in_python(exported):
    folder = exported[0] / "1"
    text = (folder / "README.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    code = f"import sys; sys.modules['bert_tf'] = None\n{lines}print(outputs['label'].shape)"
    for program, status in ((code, 0), (code.replace("import tensorflow_text", ""), 1)):
        run = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True)
        assert run.returncode == status, run.stderr
    assert "`probabilities`: float32 [N, C]" in text
    documented = (Path(__file__).parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")
    assert "".join(lines.splitlines(keepends=True)[:3]) in documented


def test_warm_up_requests_are_answered_by_the_model(exported):
    apis = pytest.importorskip(
        "tensorflow_serving.apis.prediction_log_pb2", reason="needs: pip install '.[serving]'"
    )
    folder = exported[0] / "1"
    path = str(folder / "assets.extra" / "tf_serving_warmup_requests")
    logs = [apis.PredictionLog.FromString(r.numpy()) for r in tf.data.TFRecordDataset(path)]
    sizes = [log.predict_log.request.inputs["text_a"].tensor_shape.dim[0].size for log in logs]
    assert sizes == [1, 2, 4, 8, 16, 32]
    signatures = tf.saved_model.load(str(folder)).signatures
    for log in logs:
        request = log.predict_log.request
        assert request.model_spec.name == "reviews"
        inputs = {
            name: tf.constant(tf.make_ndarray(tensor)) for name, tensor in request.inputs.items()
        }
        assert signatures[request.model_spec.signature_name](**inputs)["label"].shape[0] > 0


def test_the_batches_that_the_server_makes_are_those_it_was_warmed_with(exported):
    lines = (exported[0] / "1" / "batching_params.pbtxt").read_text().splitlines()
    allowed = [int(line.split()[1]) for line in lines if line.startswith("allowed_batch_sizes: ")]
    assert allowed == [1, 2, 4, 8, 16, 32]
    assert "max_batch_size { value: 32 }" in lines  # It must be the last of them.


def test_the_graph_runs_on_servers_since_2_13(exported):
    """It has one operation of TensorFlow Text, unchanged since 2.12, and none for XLA alone."""
    content = (exported[0] / "1" / "saved_model.pb").read_bytes()
    (meta,) = saved_model_pb2.SavedModel.FromString(content).meta_graphs
    functions = meta.graph_def.library.function
    nodes = [*meta.graph_def.node, *(node for f in functions for node in f.node_def)]
    names = {f.signature.name for f in functions}
    others = {node.op for node in nodes} - set(dir(tf.raw_ops)) - names
    assert others == {"FastWordpieceTokenizeWithOffsets"}
    assert not [node.name for node in nodes if node.attr["_XlaMustCompile"].b]
    assert not [f.signature.name for f in functions if f.attr["_XlaMustCompile"].b]


def test_half_precision_halves_the_weights_and_keeps_the_answers(folders, tmp_path):
    sizes, predictors = [], []
    for half in (False, True):
        export = export_saved_model(
            ExportSettings(
                model=folders["encoder"],
                export_dir=str(tmp_path),
                do_lower_case=True,
                half_precision=half,
                validate=False,
            )
        )
        data = tmp_path / os.path.basename(export.folder) / "variables"
        sizes.append((data / "variables.data-00000-of-00001").stat().st_size)
        predictors.append(bert_tf.Predictor(export.folder))
    num_weights = sum(int(np.prod(w.shape)) for w in make_model("encoder", small_config()).weights)
    assert sizes[0] - sizes[1] == pytest.approx(2 * num_weights, rel=0.03)
    whole, half = (p.embed(["A text.", "Another, longer one."]) for p in predictors)
    assert 0 < np.abs(whole - half).max() < 0.03 * np.abs(whole).max()
    assert os.listdir(tmp_path) != []
    assert sorted(os.listdir(tmp_path)) == ["1", "2"]


def test_a_saved_model_that_says_something_else_is_refused(exported, folders, tmp_path):
    other = write_model(tmp_path / "other", "classification", ("text_a", "text_b"))
    served = bert_tf.Predictor(other)._model
    served.model.weights[-1].assign([3.0, 0.0, 0.0])
    with pytest.raises(ValueError, match="answer is not Python's for"):
        validate(str(exported[0] / "1"), Classifier(served), 1e-4)


def test_a_folder_that_is_no_saved_model_is_refused_with_what_was_said(folders, tmp_path):
    served = bert_tf.Predictor(folders["pair"])._model
    with pytest.raises(ValueError, match=r"without this package:(?s:.)*does not exist"):
        validate(str(tmp_path / "nowhere"), Classifier(served), 1e-4)


def test_nothing_is_left_of_an_export_that_fails(folders, tmp_path):
    settings = ExportSettings(
        model=folders["encoder"],
        export_dir=str(tmp_path / "out"),
        do_lower_case=True,
        validate=False,
        tflite_file=str(tmp_path / "no_such_folder" / "a.tflite"),
    )
    with pytest.raises(OSError, match="no_such_folder"):
        export_saved_model(settings)
    assert not (tmp_path / "out").exists()


def test_a_killed_export_leaves_no_version(scripts_dir, folders, tmp_path):
    command = [
        *(sys.executable, scripts_dir / "export_saved_model.py"),
        *(f"--model={folders['pair']}", f"--export_dir={tmp_path}"),
    ]
    process = forked_python.start(command)
    deadline = time.monotonic() + 120
    while not any(tmp_path.glob(".1.*/saved_model.pb")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert [name for name in os.listdir(tmp_path) if name.isdigit()] == []
    assert find_saved_model(str(tmp_path)) is None
    assert version_folder(str(tmp_path), 0) == str(tmp_path / "1")


def test_versions_are_numbered_and_never_overwritten(tmp_path):
    assert version_folder(str(tmp_path / "missing"), 0) == str(tmp_path / "missing" / "1")
    for name in ("2", "10", "old", ".11.tmp"):
        (tmp_path / name).mkdir()
    assert version_folder(str(tmp_path), 0) == str(tmp_path / "11")
    assert version_folder(str(tmp_path), 3) == str(tmp_path / "3")
    with pytest.raises(ValueError, match="10 exists already"):
        version_folder(str(tmp_path), 10)


def test_the_newest_version_is_the_model(tmp_path):
    for version in (1, 9, 10):
        (tmp_path / str(version)).mkdir()
        (tmp_path / str(version) / "saved_model.pb").touch()
    (tmp_path / "11").mkdir()  # Being copied by somebody.
    assert find_saved_model(str(tmp_path)) == str(tmp_path / "10")
    assert find_saved_model(str(tmp_path / "9")) == str(tmp_path / "9")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "span"}, "no output_weights|cls/squad"),
        ({"kind": "regression"}, "3 outputs"),
        ({"labels": ("a", "b")}, "as many different labels"),
        ({"inputs": ("question", "context")}, "text or text_a,text_b"),
        ({"max_seq_length": 65}, "max_position_embeddings"),
        ({"model": "", "bert_config_file": "c.json"}, "--model is needed"),
        ({"export_dir": ""}, "--export_dir is needed"),
        ({"pooling": "max"}, "--pooling must be one of"),
        ({"top_k": 0}, "--top_k must be"),
    ],
)
def test_bad_settings_are_said(folders, tmp_path, changes, message):
    values = {"model": folders["pair"], "export_dir": str(tmp_path), **changes}
    with pytest.raises(ValueError, match=message):
        export_saved_model(ExportSettings(**values))
    assert os.listdir(tmp_path) == []


def test_a_model_is_exported_from_its_three_files(folders, tmp_path):
    files = {
        name: os.path.join(folders["pair"], file)
        for name, file in (
            ("bert_config_file", "bert_config.json"),
            ("vocab_file", "vocab.txt"),
            ("init_checkpoint", "bert_model.ckpt"),
        )
    }
    settings = ExportSettings(
        export_dir=str(tmp_path), do_lower_case=True, kind="encoder", validate=False, **files
    )
    export = export_saved_model(settings)
    description = json.loads((tmp_path / "1/assets.extra/serving.json").read_text())
    assert export.description == description
    assert description["kind"] == "encoder"
    assert {"mean", "pooled", "tokens"} < set(description["signatures"])
