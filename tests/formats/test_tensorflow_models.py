import json
import logging
import re
import shutil
import sys

import numpy as np
import pytest
import tensorflow as tf
from read_models import all_outputs, with_weights
from tensorflow.core.protobuf import trackable_object_graph_pb2

import bert_tf
from bert_tf.formats import tensorflow_models
from bert_tf.formats.source import detect_format
from bert_tf.model.task_heads import ClassificationModel, SpanModel, TokenClassificationModel

SHAPE = {
    "vocab_size": 16,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "max_position_embeddings": 10,
    "type_vocab_size": 2,
}
FOLDERS = (
    *("encoder", "pretrainer_v1", "pretrainer_v2", "classifier", "classifier_with_pooler"),
    *("token_classifier", "span_labeler"),
)
QUERY = "transformer/layer_0/self_attention/query/kernel"


@pytest.fixture(scope="module")
def made_by_tfm(golden_dir):
    return golden_dir / "tensorflow_models"


@pytest.fixture
def copy_of(made_by_tfm, tmp_path):
    """Copies one of the folders, to be changed."""
    return lambda name: shutil.copytree(made_by_tfm / name, tmp_path / name)


def outputs_of(folder):
    expected = np.load(folder / "outputs.npz")
    features = {
        "input_ids": expected["input/input_word_ids"],
        "input_mask": expected["input/input_mask"],
        "segment_ids": expected["input/input_type_ids"],
        "masked_lm_positions": expected["positions"],
    }
    return features, expected


def variables_of(prefix):
    """Full name -> value of a checkpoint's variables, the optimizer's left out."""
    reader = tf.train.load_checkpoint(str(prefix))
    graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(
        reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH")
    )
    return {
        item.full_name: reader.get_tensor(item.checkpoint_key)
        for node in graph.nodes
        for item in node.attributes
        if "optimizer/" not in item.checkpoint_key
    }


def write_variables(prefix, variables, **more):
    """An object-based checkpoint of variables with these full names."""
    saved = [tf.Variable(value, name=name) for name, value in variables.items()]
    tf.train.Checkpoint(saved=saved, **more).write(str(prefix))


def write_params(folder, **settings):
    """params.yaml with some of the model's settings; `encoder` are the encoder's."""
    encoder = {
        "vocab_size": 16,
        "hidden_size": 8,
        "num_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 12,
        "max_position_embeddings": 10,
        **settings.pop("encoder", {}),
    }
    kind = settings.pop("type", "bert_v2")
    model = {"encoder": {"type": kind, "bert_v2": encoder}, **settings}
    (folder / "params.yaml").write_text(json.dumps({"task": {"model": model}}))


@pytest.mark.parametrize("name", ["encoder", "pretrainer_v2"])
def test_every_layer_agrees_with_tensorflow_models(made_by_tfm, name):
    pytest.importorskip("yaml", reason="needs: pip install pyyaml")
    read = tensorflow_models.read(str(made_by_tfm / name))
    features, expected = outputs_of(made_by_tfm / name)

    outputs = all_outputs(with_weights(bert_tf.BertEncoder(read.config), read.weights), features)

    for i, layer in enumerate(outputs["all_encoder_layers"]):
        np.testing.assert_allclose(layer, expected[f"layer_{i}"], atol=1e-5, err_msg=str(i))
    assert len(outputs["all_encoder_layers"]) == 2
    if name == "encoder":  # The other one's head has a pooler of its own.
        np.testing.assert_allclose(outputs["pooled_output"], expected["pooled"], atol=1e-5)


@pytest.mark.parametrize("name", ["pretrainer_v1", "pretrainer_v2"])
def test_both_heads_of_pretraining_agree_with_tensorflow_models(made_by_tfm, name):
    pytest.importorskip("yaml", reason="needs: pip install pyyaml")
    read = tensorflow_models.read(str(made_by_tfm / name))
    features, expected = outputs_of(made_by_tfm / name)

    model = bert_tf.PretrainingModel(bert_tf.BertEncoder(read.config))
    outputs = all_outputs(with_weights(model, read.weights), features)

    assert read.head.kind == "masked_lm"
    for output in ("masked_lm_logits", "next_sentence_logits"):
        np.testing.assert_allclose(outputs[output], expected[output], atol=2e-5, err_msg=output)


@pytest.mark.parametrize(
    ("name", "kind", "make_model"),
    [
        (
            "classifier",
            "classification",
            lambda c: ClassificationModel(bert_tf.BertEncoder(c), num_labels=3),
        ),
        (
            "classifier_with_pooler",
            "classification",
            lambda c: ClassificationModel(bert_tf.BertEncoder(c), 3),
        ),
        (
            "token_classifier",
            "tagging",
            lambda c: TokenClassificationModel(bert_tf.BertEncoder(c), num_labels=5),
        ),
    ],
)
def test_a_classifiers_logits_agree_with_tensorflow_models(made_by_tfm, name, kind, make_model):
    read = tensorflow_models.read(str(made_by_tfm / name))
    features, expected = outputs_of(made_by_tfm / name)

    model = with_weights(make_model(read.config), read.weights)

    assert read.head.kind == kind
    np.testing.assert_allclose(
        all_outputs(model, features)["logits"], expected["logits"], atol=1e-5
    )


def test_a_span_labelers_logits_agree_with_tensorflow_models(made_by_tfm):
    read = tensorflow_models.read(str(made_by_tfm / "span_labeler"))
    features, expected = outputs_of(made_by_tfm / "span_labeler")

    model = SpanModel(bert_tf.BertEncoder(read.config))
    outputs = all_outputs(with_weights(model, read.weights), features)

    assert read.head.kind == "span"
    for i, name in enumerate(("start_logits", "end_logits")):
        np.testing.assert_allclose(outputs[name], expected["logits"][i], atol=1e-5, err_msg=name)


def test_a_released_folder_tells_its_shape_and_its_vocabulary(made_by_tfm):
    read = tensorflow_models.read(str(made_by_tfm / "encoder"))

    assert read.config == bert_tf.BertConfig(**SHAPE, hidden_act="gelu")
    assert read.tokenizer.vocab[:3] == ("[PAD]", "[UNK]", "[CLS]")
    assert len(read.tokenizer.vocab) == 16
    assert read.head.kind == "encoder"
    assert not read.dropped


def test_params_yaml_tells_the_shape(made_by_tfm):
    pytest.importorskip("yaml", reason="needs: pip install pyyaml")

    read = tensorflow_models.read(str(made_by_tfm / "pretrainer_v2"))

    assert read.config == bert_tf.BertConfig(**SHAPE, hidden_act="gelu")


def test_without_a_config_the_weights_tell_the_shape_and_the_rest_is_said(copy_of, caplog):
    folder = copy_of("encoder")
    (folder / "bert_config.json").unlink()

    with caplog.at_level(logging.WARNING):
        read = tensorflow_models.read(str(folder))

    assert read.config == bert_tf.BertConfig(**SHAPE, hidden_act="gelu")
    assert "hidden_act='gelu' and a dropout of 0.1 are assumed" in caplog.text


def test_what_has_no_counterpart_is_dropped_with_the_reason(made_by_tfm):
    pytest.importorskip("yaml", reason="needs: pip install pyyaml")

    dropped = tensorflow_models.read(str(made_by_tfm / "pretrainer_v2")).dropped

    pooler = "model/encoder_network/_pooler_layer/kernel"
    assert dropped[pooler] == "never trained: next_sentence has its own pooler"
    assert "optimizer" in dropped["optimizer/_variables/1"]
    counters = {"global_step", "optimizer/_learning_rate"}
    rest = {
        name for name in dropped if not re.match("optimizer/_variables|.*/_pooler_layer/", name)
    }
    assert rest <= counters | {"optimizer/iterations"}


def test_the_poolers_weights_are_the_heads_where_it_has_one(made_by_tfm):
    folder = made_by_tfm / "classifier_with_pooler"
    variables = variables_of(folder / "bert_model.ckpt")

    weights = tensorflow_models.read(str(folder)).weights

    np.testing.assert_array_equal(
        weights["bert/pooler/dense/kernel"], variables["sentence_prediction/pooler_dense/kernel"]
    )
    np.testing.assert_array_equal(
        weights["output_weights"], variables["sentence_prediction/logits/kernel"].T
    )


def test_object_based_checkpoints_are_recognized_and_others_are_not(made_by_tfm, golden_dir):
    for name in FOLDERS:
        folder = made_by_tfm / name
        for path in (folder, folder / "bert_model.ckpt", folder / "bert_model.ckpt.index"):
            assert tensorflow_models.recognizes(str(path)), path
        assert detect_format(str(folder)) == "tensorflow_models", name
    by_name = golden_dir / "model" / "bert_model.ckpt"
    assert not tensorflow_models.recognizes(str(by_name))
    assert not tensorflow_models.recognizes("no such folder")
    with pytest.raises(ValueError, match="a name-based checkpoint like google-research's"):
        tensorflow_models.read(str(by_name))


def test_one_score_is_a_number(made_by_tfm, tmp_path):
    variables = variables_of(made_by_tfm / "classifier" / "bert_model.ckpt")
    variables["sentence_prediction/logits/kernel"] = np.ones((8, 1), "float32")
    variables["sentence_prediction/logits/bias"] = np.ones(1, "float32")
    write_variables(tmp_path / "ckpt", variables)

    read = tensorflow_models.read(str(tmp_path))

    assert read.head.kind == "regression"
    assert read.weights["output_weights"].shape == (1, 8)


def test_bfloat16_becomes_float32(made_by_tfm, tmp_path):
    variables = variables_of(made_by_tfm / "encoder" / "bert_model.ckpt")
    expected = tf.cast(variables[QUERY], tf.bfloat16)
    write_variables(tmp_path / "ckpt", {**variables, QUERY: expected})

    actual = tensorflow_models.read(str(tmp_path)).weights

    name = "bert/encoder/layer_0/attention/self/query/kernel"
    assert actual[name].dtype == np.float32
    np.testing.assert_array_equal(
        actual[name].reshape(8, 2, 4), tf.cast(expected, tf.float32).numpy()
    )


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"pooler_dense/kernel": (8, 12), "pooler_dense/bias": (12,)}, "another width"),
        ({"logits/kernel": (8, 3), "logits/bias": (3,)}, "not have two outputs"),
        ({"pooler_dense/kernel": None, "pooler_dense/bias": None}, "scores every token"),
    ],
)
def test_heads_of_next_sentences_that_are_not_berts_are_dropped(
    made_by_tfm, tmp_path, values, reason
):
    variables = variables_of(made_by_tfm / "pretrainer_v2" / "bert_model.ckpt")
    for name, shape in values.items():
        full_name = f"bert/next_sentence/{name}"
        assert full_name in variables
        variables[full_name] = None if shape is None else np.ones(shape, "float32")
    variables = {name: value for name, value in variables.items() if value is not None}
    write_variables(tmp_path / "ckpt", variables)

    read = tensorflow_models.read(str(tmp_path))

    assert "cls/seq_relationship/output_weights" not in read.weights
    assert "cls/predictions/output_bias" in read.weights
    assert any(reason in text for text in read.dropped.values())
    pooler = next(value for name, value in variables.items() if "pooler_transform/kernel" in name)
    np.testing.assert_array_equal(read.weights["bert/pooler/dense/kernel"], pooler)


@pytest.mark.parametrize(
    ("settings", "dropped", "reason"),
    [
        ({"mlm_activation": "relu"}, "model/masked_lm/dense/kernel", "its activation is 'relu'"),
        (
            {"cls_heads": [{"name": "next_sentence", "cls_token_idx": 1}]},
            "model/classification_heads/0/dense/kernel",
            "'tanh' on token 1",
        ),
    ],
)
def test_heads_that_params_yaml_tells_to_be_others_are_dropped(copy_of, settings, dropped, reason):
    pytest.importorskip("yaml", reason="needs: pip install pyyaml")
    folder = copy_of("pretrainer_v2")
    write_params(folder, **settings)

    read = tensorflow_models.read(str(folder))

    assert reason in read.dropped[dropped]
    assert len(read.weights) < 46


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"type": "albert"}, "the encoder's type must be bert or bert_v2.*'albert'"),
        ({"encoder": {"norm_first": True}}, "norm_first is true"),
        ({"encoder": {"embedding_size": 4}}, "embeddings of 4 are projected"),
        ({"encoder": {"hidden_activation": "swish"}}, r"params\.yaml: hidden_act must be one of"),
        ({"encoder": {"num_attention_heads": 4}}, r"is .8, 2, 4., the config's is .8, 4, 2."),
    ],
)
def test_encoders_that_are_no_bert_are_refused(copy_of, settings, message):
    pytest.importorskip("yaml", reason="needs: pip install pyyaml")
    folder = copy_of("pretrainer_v2")
    write_params(folder, **settings)

    with pytest.raises(ValueError, match=message):
        tensorflow_models.read(str(folder))


def test_params_yaml_that_is_damaged_or_of_something_else_is_refused(copy_of):
    pytest.importorskip("yaml", reason="needs: pip install pyyaml")
    folder = copy_of("pretrainer_v2")

    (folder / "params.yaml").write_text("task: {model: [")
    with pytest.raises(ValueError, match=r"params\.yaml: not YAML"):
        tensorflow_models.read(str(folder))
    (folder / "params.yaml").write_text("runtime: {}\n")
    with pytest.raises(ValueError, match=r"params\.yaml: it does not describe an encoder"):
        tensorflow_models.read(str(folder))


def test_without_pyyaml_it_is_said_how_to_get_it(made_by_tfm, monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)

    with pytest.raises(ValueError, match="pip install pyyaml"):
        tensorflow_models.read(str(made_by_tfm / "pretrainer_v2"))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, rf"ckpt: no BERT of tensorflow/models, or an incomplete one: .* ends in {QUERY}"),
        (np.ones((8, 4, 2), "float32"), r"ckpt: saved/\d+: its shape is .8, 4, 2., .* .8, 2, 4."),
        (np.ones((8, 2, 4), "int8"), r"ckpt: saved/\d+: the weight has the type int8; quantized"),
    ],
)
def test_a_weight_that_is_missing_or_of_another_shape_is_named(
    made_by_tfm, tmp_path, value, message
):
    variables = variables_of(made_by_tfm / "encoder" / "bert_model.ckpt")
    if value is None:
        del variables[QUERY]
    else:
        variables[QUERY] = value
    write_variables(tmp_path / "ckpt", variables)

    with pytest.raises(ValueError, match=message):
        tensorflow_models.read(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("num_hidden_layers", 1, "the checkpoint has 2 layers, .*num_hidden_layers=1"),
        ("num_hidden_layers", 3, "ends in transformer/layer_2/"),
        ("num_attention_heads", 4, r"_query_dense/kernel: its shape is .8, 2, 4., .* .8, 4, 2."),
        ("vocab_size", 17, r"layer_with_weights-0/embeddings: its shape is .16, 8., .* .17, 8."),
    ],
)
def test_a_config_of_another_model_is_refused(copy_of, name, value, message):
    folder = copy_of("encoder")
    (folder / "bert_config.json").write_text(json.dumps({**SHAPE, name: value}))

    with pytest.raises(ValueError, match=message):
        tensorflow_models.read(str(folder))


def test_two_encoders_in_one_checkpoint_are_refused(made_by_tfm, tmp_path):
    variables = variables_of(made_by_tfm / "encoder" / "bert_model.ckpt")
    second = tf.Variable(variables[QUERY], name=f"teacher/{QUERY}")
    write_variables(tmp_path / "ckpt", variables, teacher=second)

    with pytest.raises(ValueError, match=rf"two variables are {QUERY}: saved/\d+ and teacher"):
        tensorflow_models.read(str(tmp_path))


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
    write_variables(tmp_path / "ckpt", {"dense/kernel": np.ones((2, 2), "float32")})

    with pytest.raises(ValueError, match="no BERT of tensorflow/models"):
        tensorflow_models.read(str(tmp_path))


def test_damaged_values_are_refused(copy_of):
    folder = copy_of("encoder")
    data = folder / "bert_model.ckpt.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    variables = variables_of(folder / "bert_model.ckpt")
    place = content.index(variables[QUERY].tobytes())
    content[place] ^= 1
    data.write_bytes(content)

    with pytest.raises(ValueError, match="_query_dense/kernel cannot be read"):
        tensorflow_models.read(str(folder))
    data.write_bytes(content[:100])
    with pytest.raises(ValueError, match=r"bert_model\.ckpt: the checkpoint cannot be read"):
        tensorflow_models.read(str(folder))
