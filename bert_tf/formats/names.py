"""Maps the names, shapes and layouts of BERT's weights between libraries.

In memory all weights have google-research's names and layout.

    kind of weight            google-research    Hugging Face    keras-hub, tensorflow/models
    dense kernel              [in, out]          [out, in]       [in, out]
    query, key, value kernel  [H, N * D]         [N * D, H]      [H, N, D]
    attention output kernel   [N * D, H]         [H, N * D]      [N, D, H]
    output_weights            [C, H]             [C, H]          [H, C]
"""

import dataclasses
import functools
import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from bert_tf import files
from bert_tf.config import BertConfig
from bert_tf.kinds.table import CLASSIFIER, heads_in, num_scores_of

WORD_EMBEDDINGS = "bert/embeddings/word_embeddings"
MASKED_LM_BIAS = "cls/predictions/output_bias"
POOLER = ("bert/pooler/dense/kernel", "bert/pooler/dense/bias")

Shapes = dict[str, tuple[int, ...]]
# Regular expressions and their replacements, of which each is applied in turn.
Rules = Sequence[tuple[str, str]]

_BLOCK = re.compile(r"(?:bert|electra)/encoder/layer_(\d+)/")
# Parts that torch.compile and FSDP put anywhere into a name.
_WRAPPERS = re.compile(r"(?<![^.])(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
# The group is what stands before an encoder's names.
_EMBEDDINGS = re.compile(r"((?:.*[./])?)embeddings[./](?:word|position)_embeddings(?:\.weight)?")
_OTHER_MODELS = re.compile(
    r"(^|[./])(bert|\w*roberta|\w*electra|albert|distilbert|deberta|layoutlm)\W$"
)


def renamed(name: str, rules: Rules) -> str:
    """Returns a name to which the rules have been applied."""
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def without_prefix(
    path: str, names: Iterable[str], model: str = "bert"
) -> tuple[dict[str, str], str]:
    """Returns names -> the names that they have in a plain model, and the prefix that was removed.

    `module.bert.encoder.x`, `model.bert_model.encoder.x` and `encoder.x` become `bert.encoder.x`;
    google-research's names have slashes. `model.classifier.x` beside them becomes `classifier.x`.
    `model` is what stands there for `bert` in another architecture. Raises a ValueError if there
    are several encoders, or two names become one.
    """
    names = {name: _WRAPPERS.sub("", name) for name in names}
    wrapper = next((m[0] for m in map(_WRAPPERS.search, names) if m), "")
    found = {match[1] for match in map(_EMBEDDINGS.fullmatch, names.values()) if match}
    plain = found & {"", f"{model}.", f"{model}/"}
    others = [match[2] for match in map(_OTHER_MODELS.search, found) if match]
    if len(plain or found) != 1 or set(others) - {model}:
        if not found:
            return names, wrapper
        raise ValueError(
            f"{path}: the weights of one {_model_name(model)} are needed. Found encoders with the "
            f"names {', '.join(f'{prefix}embeddings...' for prefix in sorted(found))}. If one of "
            f"them is a {_model_name(model)}, save it alone."
        )
    (encoder,) = plain or found
    separator = "/" if any("embeddings/" in name for name in names) else "."
    outer = re.sub(rf"(^|[./]){model}[./]$", r"\1", encoder)
    parts = re.findall(r"[^./]*[./]", outer)
    starts = ["".join(parts[:count]) for count in range(len(parts), -1, -1)]
    parts_of_encoder = "embeddings(?:_project)?|encoder|transformer|pooler"
    body = re.compile(rf"{re.escape(encoder)}((?:{parts_of_encoder})[./].*)")

    def rename(name: str) -> str:
        if match := body.fullmatch(name):
            return f"{model}{separator}{match[1]}"
        return name.removeprefix(next(start for start in starts if name.startswith(start)))

    renamed = {name: rename(unwrapped) for name, unwrapped in names.items()}
    if len(set(renamed.values())) != len(renamed):
        raise ValueError(f"{path}: two of its tensors have names of the same weight.")
    return renamed, outer or wrapper


def _model_name(model: str) -> str:
    return "BERT" if model == "bert" else model


def no_bert(path: str, names: Iterable[str], model: str = "bert") -> ValueError:
    """Returns the error about a file without a model's embeddings, with the file's own names."""
    return ValueError(
        f"{path}: not a {_model_name(model)}: none of its names ends with "
        "embeddings, then word_embeddings. It "
        f"has: {files.some(sorted(names)) or 'nothing'}"
    )


def from_keras(
    where: str, value: np.ndarray, name: str, shape: tuple[int, ...], num_heads: int
) -> np.ndarray:
    """Returns a weight of keras-hub or tensorflow/models in google-research's layout, as float32.

    `where` names file and variable for messages, `name` and `shape` are google-research's. Raises a
    ValueError if the type or shape is wrong.
    """
    if value.dtype.kind not in "fV":  # V: bfloat16, which is not NumPy's own.
        raise ValueError(
            f"{where}: the weight has the type {value.dtype}; quantized models cannot be read. "
            "Save it as float32."
        )
    expected, is_scores = shape, name.endswith("output_weights")
    if "/attention/self/" in name:
        expected = (*shape[:-1], num_heads, shape[-1] // num_heads)
    elif name.endswith("/attention/output/dense/kernel"):
        expected = (num_heads, shape[0] // num_heads, shape[1])
    elif is_scores:
        expected = shape[::-1]
    if value.shape != expected:
        raise ValueError(
            f"{where}: its shape is {list(value.shape)}, the config's is {list(expected)}. Does "
            "the config belong to these weights?"
        )
    value = value.astype(np.float32)
    return value.T.copy() if is_scores else value.reshape(shape)


def weight_shapes(config: BertConfig, heads: Iterable[str] = (), num_scores: int = 2) -> Shapes:
    """Returns the weight shapes of an encoder with its pooler, and of some heads.

    `heads` are prefixes from `bert_tf.kinds.table`; `num_scores` is C of a CLASSIFIER.
    """
    shapes: Shapes = {}
    # A block that layers share has no copies.
    small = config if config.num_hidden_groups else dataclasses.replace(config, num_hidden_layers=1)
    for name, shape in _built_shapes(small).items():
        head = heads_in([name])
        if not head:
            copies = range(config.num_hidden_layers) if _BLOCK.match(name) else (0,)
            shapes |= {name.replace("/layer_0/", f"/layer_{n}/"): shape for n in copies}
        elif head[0] in heads:
            shapes[name] = (num_scores, *shape[1:]) if head[0] == CLASSIFIER else shape
    return shapes


@functools.lru_cache(maxsize=4)
def _built_shapes(config: BertConfig) -> Shapes:
    """Returns the weight shapes of a model with all heads, from a graph: that needs no memory."""
    import tensorflow as tf  # Slow to import, and only shapes need it.

    from bert_tf.model.encoders import make_encoder
    from bert_tf.model.heads import PretrainingModel
    from bert_tf.model.task_heads import ClassificationModel, SpanModel

    with tf.Graph().as_default():
        encoder = make_encoder(config)
        models = (
            PretrainingModel(encoder),
            SpanModel(encoder),
            ClassificationModel(encoder, num_labels=1),
        )
        return {w.path: tuple(w.shape) for model in models for w in model.weights}


# Layers between the encoder and a classifier, which then has another width.
_TASK_LAYERS = ("roles/",)


def check_shapes(path: str, config: BertConfig, weights: Mapping[str, np.ndarray]) -> None:
    """Raises a ValueError if weights do not have the config's shapes; they may be missing."""
    if f"{config.scope}/embeddings/word_embeddings" not in weights:
        raise no_bert(path, weights)
    heads = heads_in(weights)
    num_scores = num_scores_of(weights) if CLASSIFIER in heads else 2
    if any(name.startswith(_TASK_LAYERS) for name in weights):
        heads = tuple(head for head in heads if head != CLASSIFIER)
    wrong = [
        f"{name} is {list(weights[name].shape)}, the config's is {list(shape)}"
        for name, shape in weight_shapes(config, heads, num_scores).items()
        if name in weights and tuple(weights[name].shape) != shape
    ]
    layers = {int(match[1]) for match in map(_BLOCK.match, weights) if match}
    wrong += [
        f"layer {layer} is there, the config has num_hidden_layers={config.num_hidden_layers}"
        for layer in sorted(layers)
        if layer >= config.num_hidden_layers
    ]
    if wrong:
        raise ValueError(
            f"{path}: {len(wrong)} weights do not fit the config: {files.some(wrong, '; ')}. Does "
            "the config belong to these weights?"
        )
