"""Reads and writes how sentence-transformers makes one vector of a text's token vectors.

modules.json                the modules in order: Transformer, Pooling, Dense, Normalize
1_Pooling/config.json       the ways of pooling
2_Dense/config.json         the activation; the weights are in a file beside it
config_sentence_transformers.json, sentence_bert_config.json
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bert_tf import files
from bert_tf.config import read_json, write_json
from bert_tf.formats.huggingface_tensors import (
    MODULES_NAME,
    SAFETENSORS_NAME,
    find_weights,
    inside,
    read_tensors,
    transformer_folder,
    write_safetensors,
)
from bert_tf.formats.source import Head, PretrainedModel
from bert_tf.kinds.pooling import ACTIVATIONS, DENSE, MODES, NORMALIZE, POOLING_WEIGHTS, Pooling

_CONFIG_NAME, _PROMPTS_NAME = "config.json", "config_sentence_transformers.json"
_SETTINGS_NAME = "sentence_bert_config.json"
# Older pooling settings -> modes, in the order in which vectors are joined.
_OLD_MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_SETTINGS_FORM = {"max_seq_length": int | None, "do_lower_case": bool | None}


class _UnknownPart(Exception):
    """Says which part of the modules cannot be done here; `with_modules` lists it as dropped."""


def with_modules(model: PretrainedModel, folder: str) -> PretrainedModel:
    """Returns a transformer with how `modules.json` in `folder`, if any, makes vectors with it.

    What cannot be done is in `dropped`; then the vectors are plain means.
    """
    path = files.join_path(folder, MODULES_NAME)
    if not files.exists(path):
        return model
    model = _with_settings(model, transformer_folder(folder))
    dropped = dict(model.dropped)
    if prompt := _default_prompt(files.join_path(folder, _PROMPTS_NAME)):
        dropped[f"{_PROMPTS_NAME}: prompt {prompt!r}"] = "put it before each text yourself"
    try:
        pooling, weights = _read_modules(path, folder)
    except _UnknownPart as error:
        dropped[f"{MODULES_NAME}: {error}"] = "vectors are plain means of the token vectors instead"
        return dataclasses.replace(model, dropped=dropped)
    way = ", ".join([" and ".join(pooling.modes), *pooling.steps])
    return dataclasses.replace(
        model,
        weights={**model.weights, **weights},
        head=Head(),
        options=dataclasses.asdict(pooling),
        dropped=dropped,
        notes=(*model.notes, f"a text's vector: {way} (as {MODULES_NAME} says)."),
    )


def write_modules(model: PretrainedModel, folder: str) -> None:
    """Writes modules.json, and the files that it names, beside a transformer in `folder`."""
    pooling = Pooling(**model.options)
    size = model.config.hidden_size
    modes = {old: mode in pooling.modes for old, mode in _OLD_MODES.items()}
    parts: list[tuple[str, dict[str, Any]]] = [
        ("Pooling", {"word_embedding_dimension": size, **modes})
    ]
    size *= len(pooling.modes)
    num_dense = 0
    for step in pooling.steps:
        if step == NORMALIZE:
            parts.append(("Normalize", {}))
            continue
        kernel, bias = _dense_weights(model, num_dense)
        activation = step.removeprefix(DENSE)
        place = "linear" if activation == "Identity" else "activation"
        settings = {
            "in_features": size,
            "out_features": len(bias),
            "bias": True,
            "activation_function": f"torch.nn.modules.{place}.{activation}",
        }
        path = files.join_path(folder, f"{len(parts) + 1}_Dense")
        files.make_directories(path)
        tensors = {"linear.weight": np.ascontiguousarray(kernel.T), "linear.bias": bias}
        write_safetensors(tensors, files.join_path(path, SAFETENSORS_NAME))
        parts.append(("Dense", settings))
        size, num_dense = len(bias), num_dense + 1
    listed = [_module(0, "Transformer", "")]
    for number, (name, settings) in enumerate(parts, start=1):
        listed.append(_module(number, name, f"{number}_{name}"))
        path = files.join_path(folder, f"{number}_{name}")
        files.make_directories(path)
        write_json(files.join_path(path, _CONFIG_NAME), settings)
    write_json(files.join_path(folder, MODULES_NAME), listed)
    length = model.max_seq_length or model.config.longest_sequence
    settings = {"max_seq_length": length, "do_lower_case": False}
    write_json(files.join_path(folder, _SETTINGS_NAME), settings)


def _module(number: int, name: str, path: str) -> dict[str, Any]:
    kind = f"sentence_transformers.models.{name}"
    return {"idx": number, "name": str(number), "path": path, "type": kind}


def _dense_weights(model: PretrainedModel, number: int) -> list[np.ndarray]:
    return [model.weights[f"{POOLING_WEIGHTS}dense_{number}/{n}"] for n in ("kernel", "bias")]


def _with_settings(model: PretrainedModel, folder: str) -> PretrainedModel:
    path = files.join_path(folder, _SETTINGS_NAME)
    settings = read_json(path, _SETTINGS_FORM) if files.exists(path) else {}
    tokenizer = model.tokenizer
    if settings.get("do_lower_case") and tokenizer.do_lower_case is False:
        tokenizer = dataclasses.replace(tokenizer, do_lower_case=True, strip_accents=False)
    path = files.join_path(folder, "tokenizer_config.json")
    of_tokenizer = read_json(path, dict).get("model_max_length") if files.exists(path) else None
    length = settings.get("max_seq_length") or of_tokenizer
    return dataclasses.replace(model, tokenizer=tokenizer, max_seq_length=length)


def _default_prompt(path: str) -> str:
    settings = read_json(path, dict) if files.exists(path) else {}
    return (settings.get("prompts") or {}).get(settings.get("default_prompt_name"), "")


def _read_modules(path: str, folder: str) -> tuple[Pooling, dict[str, np.ndarray]]:
    modes: Sequence[str] = ("mean",)
    steps: list[str] = []
    weights: dict[str, np.ndarray] = {}
    for module in read_json(path, [{"path": str, "type": str}])[1:]:
        name = module["type"].rpartition(".")[2]
        place = inside(path, folder, module["path"])
        if name == "Pooling":
            modes = _read_modes(read_json(files.join_path(place, _CONFIG_NAME), dict))
        elif name == "Normalize":
            steps.append(NORMALIZE)
        elif name == "Dense":
            number = sum(step.startswith(DENSE) for step in steps)
            activation, layer = _read_dense(place)
            steps.append(DENSE + activation)
            weights |= {f"{POOLING_WEIGHTS}dense_{number}/{n}": v for n, v in layer.items()}
        elif name != "Dropout":
            raise _UnknownPart(f"module {name}")
    return Pooling(tuple(modes), tuple(steps)), weights


def _read_modes(settings: Mapping[str, Any]) -> Sequence[str]:
    modes = settings.get("pooling_mode") or [m for k, m in _OLD_MODES.items() if settings.get(k)]
    modes = [modes] if isinstance(modes, str) else list(modes) or ["mean"]
    unknown = [*set(modes) - set(MODES)]
    unknown += [
        key for key in settings if key.startswith("pooling_mode_") and key not in _OLD_MODES
    ]
    if unknown:
        raise _UnknownPart(f"pooling {', '.join(unknown)}")
    return modes


def _read_dense(folder: str) -> tuple[str, dict[str, np.ndarray]]:
    settings = read_json(files.join_path(folder, _CONFIG_NAME), dict)
    activation = settings.get("activation_function", "Tanh").rpartition(".")[2]
    if settings.get("use_residual") or activation not in ACTIVATIONS:
        raise _UnknownPart(f"a dense layer with {activation} or a residual connection")
    if settings.get("module_input_name", "sentence_embedding") != "sentence_embedding":
        raise _UnknownPart("a dense layer on token vectors")
    weights_file = find_weights(folder)
    if weights_file is None:
        raise ValueError(f"{folder}: there are no weights of the dense layer.")
    tensors = read_tensors(weights_file)
    kernel = np.ascontiguousarray(tensors["linear.weight"].T)
    bias = tensors.get("linear.bias", np.zeros(kernel.shape[1], np.float32))
    return activation, {"kernel": kernel, "bias": bias}
