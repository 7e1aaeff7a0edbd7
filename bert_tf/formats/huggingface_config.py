"""Translates between Hugging Face's config.json and this package's BertConfig and Head.

Hugging Face's `gelu` is the exact form, `gelu_erf` here; google-research's tanh `gelu` is their
`gelu_new`. `type_vocab_size` defaults to 2 there, to 16 here. `is_decoder` is refused: its pooler
reads [CLS], that of an `is_causal` model the last token.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from bert_tf import files
from bert_tf.config import MODEL_TYPES, BertConfig, check_architecture, model_type_of
from bert_tf.formats.architectures import Architecture, architecture_of, find_architecture
from bert_tf.formats.source import Head, PretrainedModel
from bert_tf.formats.tokenizer_files import special_tokens_map
from bert_tf.kinds.table import CLASSIFIER, KINDS, find_kind, heads_in, kind_of_weights

# Hugging Face's activations -> ours; the first match is used for writing.
_ACTIVATIONS = {
    **dict.fromkeys(("gelu", "gelu_python"), "gelu_erf"),
    **dict.fromkeys(("gelu_new", "gelu_pytorch_tanh", "gelu_fast", "gelu_accurate"), "gelu"),
    **{name: name for name in ("relu", "tanh", "linear")},
}
# Keys of released bert_config.json files that Hugging Face's copies still have.
_RELEASED_KEYS = (
    *("directionality", "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers"),
    *("pooler_size_per_head", "pooler_type"),
)
# Keys with the only supported value and the reason; files may omit them.
_FIXED = {
    "position_embedding_type": ("absolute", "other position embeddings are not supported"),
    "is_decoder": (False, "a left-to-right model is pooled differently here"),
    "add_cross_attention": (False, "decoders are not supported"),
}
_OF_ARCHITECTURES = {name for names in MODEL_TYPES.values() for name in names}
SHARED_FIELDS = {field.name for field in dataclasses.fields(BertConfig)} - {
    *("model_type", "is_causal", "unknown_keys", "bilstm_layers"),
    *_OF_ARCHITECTURES,
}


def read_config(path: str, content: Mapping[str, Any]) -> BertConfig:
    """Returns the config in a config.json; raises a ValueError for other architectures."""
    try:
        check_architecture(content)
        architecture = find_architecture(model_type_of(content))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    class_end = architecture.class_end(named_class(content))
    of_class = architecture.class_fixed.get(class_end, {})
    for name, (value, reason) in {**_FIXED, **architecture.fixed, **of_class}.items():
        if content.get(name, value) != value:
            raise ValueError(
                f"{path}: {name} must be {value!r}: {reason}. Received: {content[name]!r}"
            )
    if content.get("pruned_heads"):
        raise ValueError(f"{path}: some attention heads are pruned (pruned_heads).")
    keys = _keys_of(architecture, model_type_of(content))
    values = {"hidden_act": "gelu", **architecture.defaults} | {
        name: content[key] for name, key in keys.items() if key in content
    }
    # BertConfig refuses the keys of other architectures.
    values |= {name: content[name] for name in _OF_ARCHITECTURES if name in content}
    if not isinstance(values["hidden_act"], str) or values["hidden_act"] not in _ACTIVATIONS:
        raise ValueError(
            f"{path}: {keys['hidden_act']} must be one of {', '.join(_ACTIVATIONS)}. "
            f"Received: {values['hidden_act']!r}"
        )
    values["hidden_act"] = _ACTIVATIONS[values["hidden_act"]]
    released = {name: content[name] for name in _RELEASED_KEYS if name in content}
    try:
        values |= {**architecture.constants, **architecture.class_fields.get(class_end, {})}
        values["model_type"] = model_type_of(content)
        return BertConfig(**values, unknown_keys=released)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error


def _keys_of(architecture: Architecture, model_type: str) -> dict[str, str]:
    """Returns the fields of BertConfig that a config.json has, and their keys there."""
    fields = {*SHARED_FIELDS, *MODEL_TYPES[model_type]} - set(architecture.constants)
    return {name: architecture.keys.get(name, name) for name in fields}


def named_class(content: Mapping[str, Any]) -> str:
    """Returns the name of the class in a config.json; if there is none, that of an encoder."""
    encoder = f"{find_architecture(model_type_of(content)).classes}Model"
    return (content.get("architectures") or [encoder])[0]


def unread_parts(content: Mapping[str, Any]) -> dict[str, str]:
    """Returns the keys of a config.json that change what the model computes, with the reasons."""
    settings = content.get("sentence_transformers")
    activation = settings.get("activation_fn") if isinstance(settings, dict) else None
    activation = activation or content.get("sbert_ce_default_activation_function")
    unread = {
        "auto_map": "its code is never run: the weights are read as a plain BERT's",
        "quantization_config": "quantized models are not supported",
        "adapters": "adapters are not supported",
    }
    dropped = {f"config.json: {name}": why for name, why in unread.items() if content.get(name)}
    if activation and not str(activation).endswith("Identity"):
        dropped[f"config.json: {activation}"] = "scores are given without this activation"
    return dropped


def read_head(path: str, content: Mapping[str, Any], weights: Mapping) -> Head:
    """Returns the head that a config.json names, or else the one found in the weights."""
    architecture, class_name = find_architecture(model_type_of(content)), named_class(content)
    class_end = architecture.class_end(class_name)
    if class_end in architecture.encoder_heads:
        return Head()
    kinds = [kind for kind in KINDS.values() if class_end in kind.architectures]
    # What a classifier is for, and whether a language model is a decoder, only the name tells.
    if not kinds and (CLASSIFIER in heads_in(weights) or "LMHead" in class_name):
        known = dict.fromkeys(
            f"{architecture.classes}{end}"
            for kind in KINDS.values()
            for end, heads in kind.architectures.items()
            if set(heads) <= set(architecture.heads)
        )
        raise ValueError(
            f"{path}: architectures must be one of {', '.join(known)}. "
            f"Received: {content['architectures']}"
        )
    if not kinds or not kinds[0].heads:
        found = find_kind(kind_of_weights(weights))
        kinds = [kind for kind in KINDS.values() if kind.architectures == found.architectures]
    if CLASSIFIER not in kinds[0].heads:
        return Head(kinds[0].name)
    problem = content.get("problem_type")
    rows = len(weights["output_bias"]) if "output_bias" in weights else None
    labelled = next((kind for kind in kinds if kind.has_labels), None)
    if problem == "multi_label_classification" and len(kinds) > 1:
        (labelled,) = (kind for kind in kinds if kind.problem_type == problem)
        return Head(labelled.name, _labels(path, content.get("id2label"), rows))
    scored = next((kind for kind in kinds if not kind.has_labels), None)
    if scored and (problem == "regression" or rows == scored.num_scores or labelled is None):
        if rows not in (None, scored.num_scores):
            raise ValueError(f"{path}: a {scored.name} with {rows} outputs; only one is supported.")
        return Head(scored.name)
    return Head(labelled.name, _labels(path, content.get("id2label"), rows))


def _labels(path: str, by_id: Mapping[str, Any] | None, rows: int | None) -> tuple[str, ...]:
    if by_id is None:
        return tuple(f"LABEL_{i}" for i in range(rows or 0))
    ids = [str(i) for i in range(len(by_id))]
    if not isinstance(by_id, dict) or set(by_id) != set(ids) or rows not in (None, len(ids)):
        raise ValueError(
            f"{path}: id2label must name the labels 0 to {(rows or len(ids)) - 1}, one for each "
            f"row of the classifier. Received: {files.some(sorted(by_id))}"
        )
    labels = tuple(str(by_id[i]) for i in ids)
    for number, label in enumerate(labels):
        if labels.index(label) != number:
            raise ValueError(
                f"{path}: id2label has the label {label!r} for {labels.index(label)} and for "
                f"{number}. Rename one of them, also in label2id."
            )
    return labels


def class_end_of(model: PretrainedModel) -> str:
    """Returns the end of the name of transformers' class for a model, such as `ForMaskedLM`."""
    architecture, kind = architecture_of(model.config), find_kind(model.head.kind)
    class_end = kind.architecture(architecture.heads_of(model.weights))
    for name, value in architecture.class_fields.get(class_end, {}).items():
        if getattr(model.config, name) != value:
            raise ValueError(
                f"{model.path}: Hugging Face's {architecture.classes}{class_end} is a model with "
                f"{name}={value}. Fine-tune one, with this key in bert_config.json, to write it. "
                f"Received: {name}={getattr(model.config, name)}"
            )
    if not kind.heads:
        for end, prefix in architecture.encoder_heads.items():
            if any(name.startswith(prefix) for name in model.weights):
                return end
    return class_end


def class_of(model: PretrainedModel) -> str:
    """Returns the name of transformers' class for a model, such as `BertForMaskedLM`."""
    return f"{architecture_of(model.config).classes}{class_end_of(model)}"


def write_config(model: PretrainedModel) -> dict[str, Any]:
    """Returns the content of a config.json for transformers 4 and 5."""
    config, kind = model.config, find_kind(model.head.kind)
    if config.is_causal:
        raise ValueError(
            "A left-to-right model (is_causal) has no counterpart in Hugging Face: it pools [CLS]."
        )
    architecture = architecture_of(config)
    act = str(config.hidden_act or "linear").lower()
    keys = _keys_of(architecture, config.model_type)
    values = {
        **{name: getattr(config, name) for name in keys},
        "hidden_act": next(theirs for theirs, ours in _ACTIVATIONS.items() if ours == act),
        "hidden_dropout_prob": config.hidden_dropout_prob or 0.0,
        "attention_probs_dropout_prob": config.attention_probs_dropout_prob or 0.0,
    }
    if "embedding_size" in values:
        values["embedding_size"] = config.embedding_size or config.hidden_size
    # Those of pre-training, and one that the class's name tells.
    for name in ("generator_hidden_size", "generator_layers", "gelu_pooler"):
        if not values.get(name):
            values.pop(name, None)
    content = {
        **{key: config.unknown_keys[key] for key in _RELEASED_KEYS if key in config.unknown_keys},
        **{keys[name]: value for name, value in values.items()},
        "architectures": [class_of(model)],
        "model_type": config.model_type,
        "tie_word_embeddings": True,
    }
    for name, (value, reason) in architecture.fixed.items():
        if content.get(name, value) != value:
            raise ValueError(
                f"{model.path}: {name} must be {value!r} in Hugging Face's format: {reason}. "
                f"Received: {content[name]!r}"
            )
    pad_id, _ = architecture.fixed.get("pad_token_id", (None, ""))
    if pad_id is None:
        pad = special_tokens_map(model.tokenizer)["pad_token"]
        pad_id = (model.tokenizer.vocab or (pad,)).index(pad)
    content["pad_token_id"] = pad_id
    if CLASSIFIER in kind.heads:
        rows = len(model.weights["output_bias"])
        labels = model.head.labels or [f"LABEL_{i}" for i in range(rows)]
        content |= {
            "id2label": {str(i): label for i, label in enumerate(labels)},
            "label2id": {label: i for i, label in enumerate(labels)},
            "classifier_dropout": 0.1,  # Fixed in our heads.
        }
    return {**content, "problem_type": kind.problem_type} if kind.problem_type else content
