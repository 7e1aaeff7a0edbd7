"""Reads the configuration beside a tensorflow/models checkpoint.

bert_config.json    in released checkpoints, as google-research's
params.yaml         written by training: task -> model -> mlm_activation, cls_heads and encoder ->
                    type, with the encoder's settings under the type's name
"""

from collections.abc import Mapping
from typing import Any

from bert_tf import files
from bert_tf.config import BertConfig, check_form
from bert_tf.formats.huggingface_config import SHARED_FIELDS
from bert_tf.formats.source import CONFIG_NAME

PARAMS_NAME = "params.yaml"
_FORM = {"task": {"model": {"encoder": {"type": str}}}}

# Keys of BertConfig -> those of tensorflow/models' BertEncoderConfig.
_SETTINGS = {name: name for name in SHARED_FIELDS} | {
    "num_hidden_layers": "num_layers",
    "hidden_act": "hidden_activation",
    "hidden_dropout_prob": "dropout_rate",
    "attention_probs_dropout_prob": "attention_dropout_rate",
}
_ENCODER_TYPES = ("bert", "bert_v2")


def read_config(folder: str) -> tuple[BertConfig, dict[str, str]] | None:
    """Returns a folder's config, if any, and the heads unlike BERT's with the reasons.

    A head is named by the start of its variables' full names.
    """
    config_file, path = (files.join_path(folder, name) for name in (CONFIG_NAME, PARAMS_NAME))
    if files.exists(config_file):
        return BertConfig.from_json_file(config_file), {}
    if not files.exists(path):
        return None
    with files.naming_damage(path):
        content = _read_yaml(path)
        check_form(f"{path}: it does not describe an encoder", content, _FORM)
        model = content["task"]["model"]
        kind = model["encoder"]["type"]
        encoder = model["encoder"].get(kind)
        if kind not in _ENCODER_TYPES or not isinstance(encoder, dict):
            raise ValueError(
                f"{path}: the encoder's type must be {' or '.join(_ENCODER_TYPES)}, with its "
                f"settings under that name. Received: {kind!r}"
            )
        config = _encoder_config(path, encoder)
        return config, _unlike_heads(model, config.hidden_act)


def _encoder_config(path: str, encoder: Mapping[str, Any]) -> BertConfig:
    if encoder.get("norm_first"):
        raise ValueError(f"{path}: norm_first is true; BERT normalizes after each sublayer.")
    # tensorflow/models' defaults differ: type_vocab_size is 2 there.
    values = {"vocab_size": 30522, "type_vocab_size": 2}
    values |= {ours: encoder[theirs] for ours, theirs in _SETTINGS.items() if theirs in encoder}
    try:
        config = BertConfig(**values)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if encoder.get("embedding_size") not in (None, config.hidden_size):
        raise ValueError(
            f"{path}: embeddings of {encoder['embedding_size']} are projected to a hidden size of "
            f"{config.hidden_size}, which BERT does not do."
        )
    return config


def _unlike_heads(model: Mapping[str, Any], hidden_act: str) -> dict[str, str]:
    unlike = {}
    activation = model.get("mlm_activation", "gelu")
    if activation != hidden_act:
        unlike["cls/predictions/"] = (
            f"its activation is {activation!r}, the encoder's {hidden_act!r}; BERT's are equal"
        )
    for head in model.get("cls_heads") or []:
        pooling = (head.get("activation", "tanh"), head.get("cls_token_idx", 0))
        if head.get("name") == "next_sentence" and pooling != ("tanh", 0):
            unlike["next_sentence/"] = (
                f"its pooler has the activation {pooling[0]!r} on token {pooling[1]}, BERT's has "
                "tanh on token 0"
            )
    return unlike


def _read_yaml(path: str) -> Any:
    yaml = files.optional_module("yaml", f"{path}, without a {CONFIG_NAME} beside it,")
    with files.open_file(path, "r") as file:
        try:
            return yaml.safe_load(file)
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: not YAML: {error}") from error
