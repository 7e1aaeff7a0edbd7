"""Finds the configuration of a tensorflow/models checkpoint.

bert_config.json    as google-research's: released checkpoints have it
params.yaml         written by training: task -> model -> encoder -> type, and under the type's
                    name the encoder's settings; mlm_activation, cls_heads
neither             the weights show everything but activation and dropout
"""

import dataclasses
import logging
from collections.abc import Callable, Mapping
from typing import Any

from bert_tf import files
from bert_tf.config import BertConfig

logger = logging.getLogger(__name__)

CONFIG_NAME, PARAMS_NAME = "bert_config.json", "params.yaml"

# Keys of BertConfig -> those of tensorflow/models' BertEncoderConfig.
_SETTINGS = {
    "vocab_size": "vocab_size",
    "hidden_size": "hidden_size",
    "num_hidden_layers": "num_layers",
    "num_attention_heads": "num_attention_heads",
    "intermediate_size": "intermediate_size",
    "hidden_act": "hidden_activation",
    "hidden_dropout_prob": "dropout_rate",
    "attention_probs_dropout_prob": "attention_dropout_rate",
    "max_position_embeddings": "max_position_embeddings",
    "type_vocab_size": "type_vocab_size",
    "initializer_range": "initializer_range",
}
_ENCODER_TYPES = ("bert", "bert_v2")
_MASKED_LM, _NEXT_SENTENCE = "cls/predictions/", "next_sentence/"


@dataclasses.dataclass(frozen=True)
class Description:
    """Holds a model's configuration, and what its files say about its heads.

    config: the encoder's configuration.
    unlike: what a head's full names begin with -> why it differs from BERT's head.
    """

    config: BertConfig
    unlike: Mapping[str, str] = dataclasses.field(default_factory=dict)


def describe(
    prefix: str, num_layers: int, shape_of: Callable[[str], tuple[int, ...]]
) -> Description:
    """Returns the description of a checkpoint.

    Args:
        prefix: the checkpoint's prefix.
        num_layers: how many Transformer blocks it holds.
        shape_of: returns a variable's shape for the end of its full name.

    Raises:
        ValueError: if the files are damaged, or the encoder is not a BERT.
    """
    folder = files.split_path(prefix)[0]
    config_file, params_file = (files.join_path(folder, n) for n in (CONFIG_NAME, PARAMS_NAME))
    if files.exists(config_file):
        return Description(BertConfig.from_json_file(config_file))
    if files.exists(params_file):
        return _from_params(params_file)
    config = _from_shapes(num_layers, shape_of)
    logger.warning(
        "%s: there is neither %s nor %s beside the checkpoint. The configuration is taken from the "
        "weights; hidden_act=%r and a dropout of %g are assumed, as in BERT.",
        *(prefix, CONFIG_NAME, PARAMS_NAME, config.hidden_act, config.hidden_dropout_prob),
    )
    return Description(config)


def _from_shapes(num_layers: int, shape_of: Callable[[str], tuple[int, ...]]) -> BertConfig:
    vocab_size, hidden_size = shape_of("word_embeddings/embeddings")
    block = "transformer/layer_0"
    return BertConfig(
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        num_hidden_layers=num_layers,
        num_attention_heads=shape_of(f"{block}/self_attention/query/bias")[0],
        intermediate_size=shape_of(f"{block}/intermediate/bias")[0],
        max_position_embeddings=shape_of("position_embedding/embeddings")[0],
        type_vocab_size=shape_of("type_embeddings/embeddings")[0],
    )


def _from_params(path: str) -> Description:
    try:
        model = _read_yaml(path)["task"]["model"]
        kind = model["encoder"]["type"]
        encoder = model["encoder"].get(kind)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: it does not describe an encoder: task -> model -> encoder -> type is missing "
            f"({type(error).__name__}: {error})."
        ) from error
    if kind not in _ENCODER_TYPES or not isinstance(encoder, dict):
        raise ValueError(
            f"{path}: the encoder's type must be {' or '.join(_ENCODER_TYPES)}, with its settings "
            f"under that name. Received: {kind!r}"
        )
    if encoder.get("norm_first"):
        raise ValueError(
            f"{path}: norm_first is true, but in BERT LayerNorm comes after attention and "
            "feed-forward layer. Such a model cannot be read."
        )
    try:
        # tensorflow/models' defaults differ: type_vocab_size is 2 there.
        defaults = {"vocab_size": 30522, "type_vocab_size": 2}
        given = {ours: encoder[theirs] for ours, theirs in _SETTINGS.items() if theirs in encoder}
        config = BertConfig(**{**defaults, **given})
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if encoder.get("embedding_size") not in (None, config.hidden_size):
        raise ValueError(
            f"{path}: embeddings of {encoder['embedding_size']} are projected to a hidden size of "
            f"{config.hidden_size}, which BERT does not do."
        )
    return Description(config, _unlike_heads(model, config.hidden_act))


def _unlike_heads(model: Mapping[str, Any], hidden_act: str) -> dict[str, str]:
    unlike = {}
    activation = model.get("mlm_activation", "gelu")
    if activation != hidden_act:
        unlike[_MASKED_LM] = (
            f"its activation is {activation!r}, the encoder's {hidden_act!r}; BERT's are equal"
        )
    for head in model.get("cls_heads") or []:
        pooling = (head.get("activation", "tanh"), head.get("cls_token_idx", 0))
        if head.get("name") == "next_sentence" and pooling != ("tanh", 0):
            unlike[_NEXT_SENTENCE] = (
                f"its pooler has the activation {pooling[0]!r} on token {pooling[1]}, BERT's has "
                "tanh on token 0"
            )
    return unlike


def _read_yaml(path: str) -> Any:
    try:
        import yaml  # Needed for this file only, which released checkpoints lack.
    except ImportError as error:
        raise ValueError(
            f"{path}: PyYAML is needed to read it (pip install pyyaml). Or put a {CONFIG_NAME} "
            "beside it."
        ) from error
    with files.open_file(path, "r") as file:
        try:
            return yaml.safe_load(file)
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: not YAML: {error}") from error
