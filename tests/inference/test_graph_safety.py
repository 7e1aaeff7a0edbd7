"""SavedModels from strangers: what could touch files or run Python is refused before it runs."""

import json

import numpy as np
import pytest
import tensorflow as tf

import bert_tf

SIGNATURES = {"serving_default": {"inputs": {"text": ""}}}
DESCRIPTION = {
    "kind": "regression",
    "inputs": ["text"],
    "labels": [],
    "heads": [],
    "top_k": 0,
    "max_seq_length": 8,
    "signatures": SIGNATURES,
}


def write_saved_model(folder, act=None, **attributes):
    """A SavedModel with the length of a text as its answer, which also does `act`."""
    module = tf.Module()
    for name, value in attributes.items():
        setattr(module, name, value)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def call(text):
        act and act(text)
        return {"value": tf.cast(tf.strings.length(text), tf.float32)}

    tf.saved_model.save(module, str(folder), signatures={"serving_default": call})
    (folder / "assets.extra").mkdir()
    (folder / "assets.extra" / "serving.json").write_text(json.dumps(DESCRIPTION))
    return str(folder)


def in_a_branch(text):
    return tf.cond(tf.size(text) > 99, lambda: tf.size(tf.io.read_file("/etc/hostname")), lambda: 0)


def lines_of_a_file(text):
    return tf.data.TextLineDataset("/etc/hostname").reduce(0, lambda count, line: count + 1)


def restored(text):
    return tf.raw_ops.RestoreV2(
        prefix="model.ckpt", tensor_names=["w"], shape_and_slices=[""], dtypes=[tf.float32]
    )[0]


ACTS = {
    "ReadFile": lambda text: tf.io.read_file("/etc/hostname"),
    "WriteFile": lambda text: tf.io.write_file("written", text[0]),
    "MatchingFiles": lambda text: tf.io.matching_files("/etc/*"),
    "ReadFile in": in_a_branch,
    "TextLineDataset": lines_of_a_file,
    "RestoreV2": restored,
    "SaveV2": lambda text: tf.raw_ops.SaveV2(
        prefix="written", tensor_names=["w"], shape_and_slices=[""], tensors=[text]
    ),
    "EagerPyFunc": lambda text: tf.py_function(lambda x: x, [text], tf.string),
    "PyFunc": lambda text: tf.numpy_function(lambda x: x, [text], tf.string),
    "PrintV2": lambda text: tf.print(text, output_stream="file://written"),
}


@pytest.mark.parametrize("name", ACTS)
def test_a_graph_that_could_do_more_than_compute_is_refused(tmp_path, name):
    folder = write_saved_model(tmp_path / "model", ACTS[name])
    with pytest.raises(ValueError, match=rf"model: this SavedModel .*{name.split()[0]}"):
        bert_tf.Predictor(folder)


def test_what_loading_would_run_is_refused_too(tmp_path):
    written = tmp_path / "written"

    class Resource(tf.saved_model.experimental.TrackableResource):
        def _create_resource(self):
            return tf.raw_ops.VarHandleOp(dtype=tf.float32, shape=[])

        def _initialize(self):
            tf.io.write_file(str(written), "by loading")

    folder = write_saved_model(tmp_path / "model", resource=Resource())
    written.unlink(missing_ok=True)
    with pytest.raises(ValueError, match="WriteFile"):
        bert_tf.Predictor(folder)
    assert not written.exists()
    tf.saved_model.load(folder)
    assert written.exists()


def test_a_graph_that_only_computes_is_run(tmp_path):
    folder = write_saved_model(tmp_path / "model")
    assert bert_tf.Predictor(folder).predict(["four", "a"]) == [4.0, 1.0]


@pytest.mark.parametrize("damage", ["graph", "cut", "kind", "list", "variables"])
def test_a_damaged_saved_model_is_refused_with_its_path(tmp_path, damage):
    folder = tmp_path / "model"
    write_saved_model(folder)
    graph, description = folder / "saved_model.pb", folder / "assets.extra" / "serving.json"
    if damage == "graph":
        graph.write_bytes(np.random.default_rng(0).bytes(400))
    elif damage == "cut":
        graph.write_bytes(graph.read_bytes()[: graph.stat().st_size // 2])
    elif damage == "variables":
        (folder / "variables" / "variables.index").write_bytes(b"nothing")
    else:
        description.write_text('{"kind": "regression"}' if damage == "kind" else "[1]")
    with pytest.raises(ValueError, match="model"):
        bert_tf.Predictor(str(folder))
