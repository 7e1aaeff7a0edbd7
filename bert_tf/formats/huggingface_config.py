"""Translates between Hugging Face's config.json and this package's BertConfig and Head.

Some keys differ. Hugging Face's `gelu` is the exact form, called `gelu_erf` here; google-research's
`gelu`, the tanh form, is Hugging Face's `gelu_new`. The default of `type_vocab_size` is 2 there, 16
here. `is_decoder` is refused: its pooler reads [CLS], that of an `is_causal` model the last token.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from bert_tf.config import BertConfig, check_architecture
from bert_tf.formats import names
from bert_tf.formats.source import Head
from bert_tf.kinds.table import KINDS, Kind, find_kind, kind_of_weights

# Hugging Face's activations -> ours. In the other direction the first match counts.
_ACTIVATIONS = {
    "gelu": "gelu_erf",
    "gelu_python": "gelu_erf",
    "gelu_new": "gelu",
    "gelu_pytorch_tanh": "gelu",
    "gelu_fast": "gelu",
    "gelu_accurate": "gelu",
    "relu": "relu",
    "tanh": "tanh",
    "linear": "linear",
}
_THEIR_DEFAULTS = {"vocab_size": 30522, "hidden_act": "gelu", "type_vocab_size": 2}
# Keys of released bert_config.json files that Hugging Face's copies still have.
_RELEASED_KEYS = (
    *("directionality", "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers"),
    *("pooler_size_per_head", "pooler_type"),
)
# Keys with the only value that this package supports; files may leave them out.
_FIXED = {
    "model_type": ("bert", "another architecture"),
    "layer_norm_eps": (1e-12, "the epsilon of LayerNorm is 1e-12, as in the original"),
    "position_embedding_type": (
        "absolute",
        "only absolute positions are supported, as in the original",
    ),
    "is_decoder": (False, "a left-to-right model is pooled differently here"),
    "add_cross_attention": (False, "decoders are not supported"),
}
# Class names there -> the kinds here that have such a head. The others have no counterpart.
_KINDS_OF_ARCHITECTURE = {
    name: [kind for kind in KINDS.values() if name in kind.architectures]
    for kind in KINDS.values()
    for name in kind.architectures
}
_FIELDS = tuple(
    field.name
    for field in dataclasses.fields(BertConfig)
    if field.name not in ("model_type", "is_causal", "unknown_keys")
)


def read_config(path: str, content: dict[str, Any]) -> BertConfig:
    """Returns the configuration that a config.json describes.

    Args:
        path: the file, for messages.
        content: the parsed file.

    Raises:
        ValueError: if the file describes another architecture or an unsupported variant.
    """
    for name, (value, reason) in _FIXED.items():
        if content.get(name, value) != value:
            raise ValueError(
                f"{path}: {name} must be {value!r}: {reason}. Received: {content[name]!r}"
            )
    if content.get("pruned_heads"):
        raise ValueError(f"{path}: some attention heads are pruned (pruned_heads).")
    values = {**_THEIR_DEFAULTS, **{name: content[name] for name in _FIELDS if name in content}}
    if values["hidden_act"] not in _ACTIVATIONS:
        raise ValueError(
            f"{path}: hidden_act must be one of {', '.join(_ACTIVATIONS)}. "
            f"Received: {values['hidden_act']!r}"
        )
    values["hidden_act"] = _ACTIVATIONS[values["hidden_act"]]
    released = {name: content[name] for name in _RELEASED_KEYS if name in content}
    try:
        check_architecture(content)
        return BertConfig(**values, unknown_keys=released)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error


def read_head(path: str, content: dict[str, Any], weights: dict) -> Head:
    """Returns the head that a config.json names, or else the one that the weights have.

    Args:
        path, content: see `read_config`.
        weights: the weights under google-research's names.

    Raises:
        ValueError: if the head has no counterpart here, or the labels do not fit it.
    """
    architecture = (content.get("architectures") or ["BertModel"])[0]
    if architecture not in _KINDS_OF_ARCHITECTURE:
        raise ValueError(
            f"{path}: architectures must be one of {', '.join(_KINDS_OF_ARCHITECTURE)}. "
            f"Received: {content['architectures']}"
        )
    kinds = _KINDS_OF_ARCHITECTURE[architecture]
    if not kinds[0].heads:
        kinds = [k for k in KINDS.values() if k.name == kind_of_weights(weights)]
        kinds = _KINDS_OF_ARCHITECTURE[next(iter(kinds[0].architectures))]
    if names.CLASSIFIER not in kinds[0].heads:
        return Head(kinds[0].name)
    return _classifier_head(path, content, kinds, weights)


def _classifier_head(
    path: str, content: dict[str, Any], kinds: Sequence[Kind], weights: dict
) -> Head:
    """Returns which of several kinds with the same classifier it is, and the labels."""
    problem = content.get("problem_type")
    if problem == "multi_label_classification":
        raise ValueError(
            f"{path}: problem_type is multi_label_classification, but only classifiers with one "
            "label per text are supported."
        )
    rows = len(weights["output_bias"]) if "output_bias" in weights else None
    labelled = next((kind for kind in kinds if kind.has_labels), None)
    scored = next((kind for kind in kinds if not kind.has_labels), None)
    if scored and (problem == "regression" or rows == scored.num_scores or labelled is None):
        if rows not in (None, scored.num_scores):
            raise ValueError(f"{path}: a {scored.name} with {rows} outputs; only one is supported.")
        return Head(scored.name)
    return Head(labelled.name, _labels(path, content, rows))


def _labels(path: str, content: dict[str, Any], rows: int | None) -> tuple[str, ...]:
    by_id = content.get("id2label")
    if by_id is None:
        return tuple(f"LABEL_{i}" for i in range(rows or 0))
    labels = tuple(str(by_id.get(str(i))) for i in range(len(by_id)))
    if set(by_id) != set(map(str, range(len(by_id)))) or rows not in (None, len(labels)):
        raise ValueError(
            f"{path}: id2label must name the labels 0 to {(rows or len(by_id)) - 1}, one for each "
            f"row of the classifier. Received: {names.some(sorted(by_id))}"
        )
    return labels


def architecture_of(head: Head, weights: dict) -> str:
    """Returns the name of transformers' class for a head."""
    return find_kind(head.kind).architecture(names.heads_in(weights))


def write_config(
    config: BertConfig, head: Head, weights: dict, pad_token_id: int
) -> dict[str, Any]:
    """Returns the content of a config.json for transformers 4 and 5.

    Raises:
        ValueError: for a causal model, whose pooled output is computed differently there.
    """
    if config.is_causal:
        raise ValueError(
            "A left-to-right model (is_causal) has no counterpart in Hugging Face's BERT, whose "
            "pooler reads [CLS]; this one reads the last token."
        )
    values = {name: getattr(config, name) for name in _FIELDS}
    act = str(config.hidden_act or "linear").lower()
    preferred = {"gelu": "gelu_new"}
    values["hidden_act"] = preferred.get(
        act, next(theirs for theirs, ours in _ACTIVATIONS.items() if ours == act)
    )
    for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
        values[name] = values[name] or 0.0
    content = {
        **{key: config.unknown_keys[key] for key in _RELEASED_KEYS if key in config.unknown_keys},
        **values,
        "architectures": [architecture_of(head, weights)],
        "model_type": config.model_type,
        "layer_norm_eps": 1e-12,
        "pad_token_id": pad_token_id,
        "tie_word_embeddings": True,
    }
    return {**content, **_head_keys(head, weights)}


def _head_keys(head: Head, weights: dict) -> dict[str, Any]:
    kind = find_kind(head.kind)
    if names.CLASSIFIER not in kind.heads:
        return {}
    labels = head.labels or [f"LABEL_{i}" for i in range(len(weights["output_bias"]))]
    keys = {
        "id2label": {str(i): label for i, label in enumerate(labels)},
        "label2id": {label: i for i, label in enumerate(labels)},
        "classifier_dropout": 0.1,  # Fixed in our heads, whatever the encoder's is.
    }
    return {**keys, "problem_type": kind.problem_type} if kind.problem_type else keys
