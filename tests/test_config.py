"""BertConfig: the original's JSON in and out, and values that no model can have."""

import dataclasses
import json
import re

import pytest

import bert_tf
from bert_tf.config import BertConfig, check_range, read_json

# bert_config.json of the released BERT-Base, uncased.
BASE = {
    "attention_probs_dropout_prob": 0.1,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 768,
    "initializer_range": 0.02,
    "intermediate_size": 3072,
    "max_position_embeddings": 512,
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "type_vocab_size": 2,
    "vocab_size": 30522,
}


def test_a_released_config_survives_the_way_to_json_and_back(tmp_path):
    path = tmp_path / "bert_config.json"
    path.write_text(json.dumps(BASE), encoding="utf-8")
    config = BertConfig.from_json_file(str(path))
    assert config.to_dict() == BASE
    path.write_text(config.to_json_string(), encoding="utf-8")
    assert BertConfig.from_json_file(str(path)) == config


def test_the_json_text_is_laid_out_as_in_the_original_release():
    text = BertConfig(vocab_size=7).to_json_string()
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"
    assert text.startswith('{\n  "attention_probs_dropout_prob": 0.1,\n')


def test_the_defaults_are_those_of_the_original_class():
    assert BertConfig(vocab_size=30522).to_dict() == {**BASE, "type_vocab_size": 16}


def test_the_vocabulary_size_can_be_given_by_position_as_in_the_original():
    assert BertConfig(30522, 128, 2, 2, 512).intermediate_size == 512


def test_unknown_keys_are_kept_with_a_warning_that_names_them():
    with pytest.warns(UserWarning, match="pooler_fc_size, pooler_type"):
        config = BertConfig.from_dict({**BASE, "pooler_type": "first", "pooler_fc_size": 768})
    assert config.unknown_keys == {"pooler_type": "first", "pooler_fc_size": 768}
    assert config.to_dict() == {**BASE, "pooler_type": "first", "pooler_fc_size": 768}
    with pytest.warns(UserWarning, match="pooler_type"):
        assert BertConfig.from_dict(json.loads(config.to_json_string())) == config


def test_known_keys_alone_do_not_warn(recwarn):
    BertConfig.from_dict(BASE)
    assert not recwarn.list


def test_a_config_cannot_be_changed_after_it_was_checked():
    config = BertConfig.from_dict(BASE)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.hidden_size = 7


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("vocab_size", 0),
        ("vocab_size", -1),
        ("vocab_size", None),
        ("vocab_size", "30522"),
        ("vocab_size", 30522.0),
        ("vocab_size", True),
        ("hidden_size", 0),
        ("num_hidden_layers", -12),
        ("num_attention_heads", 0),
        ("intermediate_size", 3072.5),
        ("max_position_embeddings", 0),
        ("type_vocab_size", 0),
        ("hidden_dropout_prob", 1.0),
        ("hidden_dropout_prob", -0.1),
        ("attention_probs_dropout_prob", 1.5),
        ("attention_probs_dropout_prob", "0.1"),
        ("attention_probs_dropout_prob", float("nan")),
        ("initializer_range", 0.0),
        ("initializer_range", -0.02),
        ("hidden_act", "swish"),
        ("hidden_act", 3),
    ],
)
def test_impossible_values_are_refused_by_name(key, value):
    with pytest.raises(ValueError, match=f"{key} must be .*{re.escape(repr(value))}"):
        BertConfig.from_dict({**BASE, key: value})


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="hidden_size=768, num_attention_heads=10"):
        BertConfig.from_dict({**BASE, "num_attention_heads": 10})


@pytest.mark.parametrize("activation", ["gelu", "gelu_erf", "relu", "tanh", "linear"])
def test_every_activation_of_the_original_is_understood(activation):
    assert BertConfig.from_dict({**BASE, "hidden_act": activation}).hidden_act == activation


@pytest.mark.parametrize("activation", [None, ""])
def test_no_activation_means_a_linear_layer_as_in_the_original(activation):
    config = BertConfig.from_dict({**BASE, "hidden_act": activation})
    assert config.to_dict()["hidden_act"] == activation


def test_a_config_without_a_vocabulary_size_is_refused():
    with pytest.raises(ValueError, match=r"needs vocab_size.*hidden_size"):
        BertConfig.from_dict({"hidden_size": 768})


def test_a_file_that_is_not_json_is_named_with_line_and_column(tmp_path):
    path = tmp_path / "bert_config.json"
    path.write_text('{\n  "vocab_size": ,\n}', encoding="utf-8")
    with pytest.raises(ValueError, match=r"bert_config.json:2: not JSON.*column 17"):
        BertConfig.from_json_file(str(path))


def test_a_file_that_is_not_utf8_is_named_with_the_byte(tmp_path):
    path = tmp_path / "bert_config.json"
    path.write_bytes(b'{"a": "\xe9"}')
    with pytest.raises(ValueError, match="not UTF-8 at byte 7"):
        read_json(str(path))


@pytest.mark.parametrize("content", ["[1, 2]", '"text"', "null"])
def test_json_that_is_not_an_object_is_refused(tmp_path, content):
    path = tmp_path / "bert_config.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"bert_config\.json"):
        BertConfig.from_json_file(str(path))


def test_an_impossible_value_in_a_file_is_refused_with_the_path(tmp_path):
    path = tmp_path / "bert_config.json"
    path.write_text(json.dumps({**BASE, "hidden_size": -1}), encoding="utf-8")
    with pytest.raises(ValueError, match=r"bert_config\.json: hidden_size must be"):
        BertConfig.from_json_file(str(path))


def test_a_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no_config\.json"):
        BertConfig.from_json_file(str(tmp_path / "no_config.json"))


def test_the_config_is_a_public_name():
    assert bert_tf.BertConfig is BertConfig


def test_a_range_includes_its_ends_only_when_told():
    check_range("share", 1, "[0, 1]")
    with pytest.raises(ValueError, match=r"share must be a number in \[0, 1\). Received: 1"):
        check_range("share", 1, "[0, 1)")
    with pytest.raises(ValueError, match=r"share must be a number in \(0, 1\]. Received: 0"):
        check_range("share", 0, "(0, 1]")
    with pytest.raises(ValueError, match="Received: True"):
        check_range("share", True, "[0, 1]")


def test_what_the_original_takes_is_no_impossible_value():
    config = BertConfig(vocab_size=10, hidden_act="GELU", hidden_dropout_prob=None)
    assert config.to_dict()["hidden_act"] == "GELU"
    assert hash(config) == hash(dataclasses.replace(config))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"embedding_size": 128}, "embedding_size is a key of albert, electra"),
        ({"model_type": "electra", "num_hidden_groups": 1}, "num_hidden_groups is a key of albert"),
        ({"model_type": "xlnet"}, "model_type 'xlnet'"),
        ({"relative_attention": True}, r"relative_attention \(DeBERTa\)"),
    ],
)
def test_the_configuration_of_another_architecture_is_refused(keys, message, tmp_path):
    path = tmp_path / "bert_config.json"
    path.write_text(json.dumps({"vocab_size": 9, **keys}))
    with pytest.raises(ValueError, match=f"{path}: .*another architecture.*{message}"):
        BertConfig.from_json_file(str(path))


def test_hugging_face_s_keys_of_a_distilbert_are_refused_and_not_replaced_by_defaults():
    with pytest.raises(ValueError, match=r"Give its folder as --model.*Received: dim=32"):
        BertConfig.from_dict({"vocab_size": 9, "model_type": "distilbert", "dim": 32})


@pytest.mark.parametrize("model_type", [None, "albert"])
def test_google_s_albert_files_name_no_architecture(model_type):
    keys = {"embedding_size": 8, "num_hidden_groups": 2, "inner_group_num": 1}
    named = {"model_type": model_type} if model_type else {}
    config = BertConfig.from_dict({"vocab_size": 9, **keys, **named})
    assert config.model_type == "albert"
    assert BertConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"num_hidden_groups": 2, "inner_group_num": 1}, "needs embedding_size"),
        ({"embedding_size": 8, "inner_group_num": 1}, "num_hidden_groups must be from 1"),
        (
            {"embedding_size": 8, "inner_group_num": 1, "num_hidden_groups": 13},
            "Received: 13 groups, 12 layers",
        ),
    ],
)
def test_groups_of_an_albert_must_fit(keys, message):
    with pytest.raises(ValueError, match=message):
        BertConfig(vocab_size=9, model_type="albert", **keys)


def test_only_what_is_not_bert_s_default_is_written():
    written = BertConfig(vocab_size=9).to_dict()
    assert "model_type" not in written
    assert "is_causal" not in written
    causal = BertConfig(vocab_size=9, is_causal=True)
    assert BertConfig.from_dict(causal.to_dict()) == causal
    assert "bilstm_layers" not in written
    with_bilstm = BertConfig(vocab_size=9, bilstm_layers=1)
    assert BertConfig.from_dict(with_bilstm.to_dict()) == with_bilstm


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"bilstm_layers": -1}, "bilstm_layers must be a whole number of at least 0"),
        ({"bilstm_layers": True}, "bilstm_layers must be"),
        ({"bilstm_layers": 1, "hidden_size": 9, "num_attention_heads": 3}, "an even hidden_size"),
    ],
)
def test_a_bilstm_that_cannot_be_made_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        BertConfig(vocab_size=9, **values)
